// Package api holds the contract, openapi.yaml, and what is generated from it. It must not hold anything else.
package api

import _ "embed"

//go:generate go tool oapi-codegen -config server.yaml openapi.yaml
//go:generate go tool oapi-codegen -config client.yaml openapi.yaml

// Spec is the contract as it is served and checked: OpenAPI 3.0.3 in YAML.
//
//go:embed openapi.yaml
var Spec []byte
