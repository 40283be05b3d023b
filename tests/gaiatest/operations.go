package gaiatest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Operation is one operation of the contract with an example of a request.
type Operation struct {
	ID       string
	Method   string
	Path     string // with example values in place of parameters, required query parameters included
	Template string // as the contract writes it
	Public   bool   // needs no credentials
	Scope    string // that a key needs
	Finished bool   // false when the contract says that it may answer 501
	BodyType string // content type of the body; empty when it takes none
	Body     []byte // the example of the contract
	Schema   *openapi3.Schema
}

// Operations returns every operation of the contract.
func Operations(t testing.TB) []Operation {
	t.Helper()
	spec, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	var list []Operation
	for _, op := range operationsOf(spec.lenient) {
		security := spec.lenient.Security
		if op.definition.Security != nil {
			security = *op.definition.Security
		}
		o := Operation{
			Scope: scopeOf(op),
			ID:    op.id, Method: op.method, Template: op.path, Finished: op.finished, Public: len(security) == 0, Path: examplePath(op),
		}
		if op.definition.RequestBody != nil {
			for kind, media := range op.definition.RequestBody.Value.Content {
				o.BodyType, o.Schema = kind, media.Schema.Value
				if o.Body, err = json.Marshal(exampleOf(media)); err != nil {
					t.Fatalf("the example of %s: %v", op.id, err)
				}
			}
		}
		list = append(list, o)
	}
	return list
}

func exampleOf(media *openapi3.MediaType) any {
	if media.Example != nil {
		return media.Example
	}
	for _, e := range media.Examples {
		return e.Value.Value
	}
	return nil
}

// examplePath fills a path in with values that its parameters take.
func examplePath(op operation) string {
	path, query := op.path, url.Values{}
	for _, ref := range slices.Concat(op.shared, op.definition.Parameters) {
		p := ref.Value
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", exampleID(p))
		case p.In == "query" && p.Required:
			query.Set(p.Name, exampleID(p))
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

func exampleID(p *openapi3.Parameter) string {
	if s, ok := p.Example.(string); ok {
		return s
	}
	if s := p.Schema; s != nil && s.Value != nil {
		if len(s.Value.Enum) > 0 {
			if first, ok := s.Value.Enum[0].(string); ok {
				return first
			}
		}
		if s.Value.Type.Is("integer") {
			return "1"
		}
	}
	return "6f1c2a9e-3b57-4c1e-9d0a-5a7c1e2f4b80"
}

func scopeOf(op operation) string {
	scope, _ := op.definition.Extensions["x-gaia-scope"].(string)
	return scope
}
