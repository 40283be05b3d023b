// Package api holds the contracts, openapi.yaml for clients and asyncapi.yaml for services that listen, and what is generated from
// them. It must not hold anything else.
package api

import _ "embed"

//go:generate go tool oapi-codegen -config server.yaml openapi.yaml
//go:generate go tool oapi-codegen -config client.yaml openapi.yaml

// Spec is the contract as it is served and checked: OpenAPI 3.0.3 in YAML.
//
//go:embed openapi.yaml
var Spec []byte

// Events describes the events on the bus: AsyncAPI 3.0 in YAML.
//
//go:embed asyncapi.yaml
var Events []byte
