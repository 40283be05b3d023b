package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gaia/domain"
)

// Operation is what the contract says about the requests of one operation.
type Operation struct {
	ID      string
	Method  string
	Path    string
	Public  bool           // needs no credentials
	Links   bool           // a signed link opens it, too, in the place of credentials
	Scope   string         // what a key with scopes needs; empty: nothing
	Service domain.Service // that carries it out; empty: each process by itself
	Once    bool           // a client can name a request, so that repeating it does nothing twice
	Limited bool           // counts against rate limits
	OpenAI  bool           // failures also carry the error object of OpenAI
	Streams bool           // answers with nothing but an event stream
	NotYet  bool           // planned: it lists status 501
	Opaque  bool           // its body is read as a whole, and judged by whoever carries it out

	body   *body
	params []param
}

// eachProcess is the x-gaia-service of operations that every process answers for itself.
const eachProcess = "each"

const (
	jsonMedia = "application/json"
	formMedia = "multipart/form-data"
)

// Contract holds all operations by method and path, such as "GET /health".
type Contract map[string]*Operation

type body struct {
	media string // the one content type that is read
	rule  *rule  // nil when it is neither JSON nor a form
}

type param struct {
	name     string
	in       string // "path", "query" or "header"
	required bool
	rule     *rule
}

// Opaque is an operation beside the contract, for callers who are known, that counts against rate limits. Somebody else knows what its body
// may hold.
func Opaque(id, method, path, media string, service domain.Service) *Operation {
	return &Operation{ID: id, Method: method, Path: path, Limited: true, Opaque: true, Service: service, body: &body{media: media}}
}

// document is the part of an OpenAPI document that decides about requests.
type document struct {
	Security   []json.RawMessage                     `json:"security"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas    map[string]json.RawMessage `json:"schemas"` // most are for answers and never read
		Parameters map[string]parameter       `json:"parameters"`
	} `json:"components"`
}

type parameter struct {
	Ref      string  `json:"$ref"`
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

type operation struct {
	ID          string             `json:"operationId"`
	Scope       string             `json:"x-gaia-scope"`
	Service     domain.Service     `json:"x-gaia-service"`
	Security    *[]json.RawMessage `json:"security"`
	Parameters  []parameter        `json:"parameters"`
	RequestBody *struct {
		Required bool                                `json:"required"`
		Content  map[string]struct{ Schema *schema } `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Ref     string                     `json:"$ref"`
		Content map[string]json.RawMessage `json:"content"`
	} `json:"responses"`
}

// Load compiles the contract, an OpenAPI 3.0 document in JSON. It fails when it meets anything that it would not enforce.
func Load(spec []byte) (Contract, error) {
	var doc document
	if err := json.Unmarshal(spec, &doc); err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	l := loader{doc: doc, compiler: compiler{schemas: doc.Components.Schemas, named: map[string]*rule{}, open: map[string]bool{}}}
	contract := Contract{}
	for path, item := range doc.Paths {
		var shared []parameter
		if raw, ok := item["parameters"]; ok {
			if err := json.Unmarshal(raw, &shared); err != nil {
				return nil, fmt.Errorf("read contract: parameters of %s: %w", path, err)
			}
		}
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			op, err := l.operation(strings.ToUpper(method), path, shared, raw)
			if err != nil {
				return nil, fmt.Errorf("read contract: %s %s: %w", method, path, err)
			}
			contract[op.Method+" "+path] = op
		}
	}
	return contract, nil
}

type loader struct {
	doc      document
	compiler compiler
}

func (l *loader) operation(method, path string, shared []parameter, raw json.RawMessage) (*Operation, error) {
	var o operation
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	security := l.doc.Security
	if o.Security != nil {
		security = *o.Security
	}
	_, limited := o.Responses["429"]
	_, notYet := o.Responses["501"]
	op := &Operation{
		ID: o.ID, Method: method, Path: path, Public: len(security) == 0, Links: slices.ContainsFunc(security, isNone), Scope: o.Scope,
		Limited: limited, NotYet: notYet, Opaque: o.Scope == "webhooks",
	}
	if o.Service != eachProcess {
		op.Service = o.Service
	}
	for _, r := range o.Responses {
		op.OpenAI = op.OpenAI || strings.HasPrefix(r.Ref, "#/components/responses/OpenAI")
	}
	content := o.Responses["200"].Content
	_, stream := content["text/event-stream"]
	op.Streams = stream && len(content) == 1
	var err error
	if op.params, err = l.params(append(slices.Clone(shared), o.Parameters...)); err != nil {
		return nil, err
	}
	op.Once = slices.ContainsFunc(op.params, func(p param) bool { return p.in == "header" && p.name == "Idempotency-Key" })
	if o.RequestBody == nil {
		return op, nil
	}
	media := slices.Collect(maps.Keys(o.RequestBody.Content))
	if !o.RequestBody.Required || len(media) != 1 {
		return nil, fmt.Errorf("a body must be required and have one content type")
	}
	op.body = &body{media: media[0]}
	if op.body.media == jsonMedia || op.body.media == formMedia {
		op.body.rule, err = l.compiler.compile(o.RequestBody.Content[op.body.media].Schema)
	}
	return op, err
}

// isNone reports whether a way to get in asks for no credentials. Beside ways that do, it stands for signed links.
func isNone(requirement json.RawMessage) bool {
	var schemes map[string]json.RawMessage
	return json.Unmarshal(requirement, &schemes) == nil && len(schemes) == 0
}

func (l *loader) params(all []parameter) ([]param, error) {
	var params []param
	for _, p := range all {
		if p.Ref != "" {
			name, err := refName(p.Ref, "parameters")
			if err != nil {
				return nil, err
			}
			p = l.doc.Components.Parameters[name]
		}
		if p.Schema == nil || p.In != "path" && p.In != "query" && p.In != "header" {
			return nil, fmt.Errorf("parameter %s in %q is not supported", p.Name, p.In)
		}
		r, err := l.compiler.compile(p.Schema)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		if r.kind < text || r.kind == union {
			return nil, fmt.Errorf("parameter %s must be a scalar", p.Name)
		}
		if p.In == "header" {
			p.Name = http.CanonicalHeaderKey(p.Name)
		}
		params = append(params, param{p.Name, p.In, p.Required, r})
	}
	return params, nil
}
