package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

var (
	sources = []string{"captured", "declared", "documented", "extension"}
	scopes  = []string{
		"public", "chat:read", "chat:write", "models:read", "personas:read", "personas:write", "assets:read", "assets:write",
		"usage:read", "usage:write", "performance:read", "performance:write", "filesystem:read", "keys:manage", "auth",
		"workflows:read", "workflows:write", "webhooks",
	}
	// Senders of webhooks sign their bodies; that is no security scheme of the document.
	openScopes = []string{"public", "webhooks"}
	probes     = []string{"/health", "/livez", "/readyz"}
	// Where OpenAI clients call, errors carry the object that they read.
	openAIPaths = []string{"/api/v1/chat", "/api/v1/chat/completions", "/api/v1/models", "/api/v1/models/{model}"}
	errorNames  = map[string]string{
		"400": "BadRequest", "401": "Unauthorized", "402": "PaymentRequired", "403": "Forbidden", "404": "NotFound",
		"409": "Conflict", "413": "PayloadTooLarge", "415": "UnsupportedMediaType", "422": "UnprocessableEntity",
		"429": "TooManyRequests", "500": "InternalError", "501": "NotImplemented", "503": "ServiceUnavailable",
	}
	// Only downloads answer these, so they are written out there.
	localErrors = []string{"416"}
)

func version(doc *openapi3.T) []string {
	if doc.OpenAPI != "3.0.3" {
		return []string{"openapi is " + doc.OpenAPI + ", want 3.0.3"}
	}
	return nil
}

// ownAddress keeps "Try it out" of /docs on the server that shows the page, whatever its name and port.
func ownAddress(doc *openapi3.T) []string {
	var found []string
	for _, s := range doc.Servers {
		if s.URL != "/" {
			found = append(found, "server "+s.URL+" is not /")
		}
	}
	return found
}

func valid(doc *openapi3.T) []string {
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// Either credential opens an operation that does not say otherwise.
func security(doc *openapi3.T) (findings []string) {
	bearer, key := doc.Components.SecuritySchemes["BearerAuth"], doc.Components.SecuritySchemes["ApiKeyAuth"]
	if bearer == nil || bearer.Value.Type != "http" || bearer.Value.Scheme != "bearer" {
		findings = append(findings, "BearerAuth is no bearer scheme")
	}
	if key == nil || key.Value.Type != "apiKey" || key.Value.In != "header" || key.Value.Name != "X-API-Key" {
		findings = append(findings, "ApiKeyAuth is not the header X-API-Key")
	}
	var alternatives []string
	for _, requirement := range doc.Security {
		for name := range requirement {
			alternatives = append(alternatives, name)
		}
	}
	if len(doc.Security) != 2 || !slices.Equal(alternatives, []string{"BearerAuth", "ApiKeyAuth"}) {
		findings = append(findings, fmt.Sprintf("default security is %v, want BearerAuth or ApiKeyAuth", alternatives))
	}
	return findings
}

func inTable(table []row) func(*openapi3.T) []string {
	return func(doc *openapi3.T) (findings []string) {
		var have []row
		for _, op := range operations(doc) {
			have = append(have, row{op.method, op.path, op.OperationID, op.extension("x-gaia-source")})
		}
		for _, r := range table {
			if !slices.Contains(have, r) {
				findings = append(findings, fmt.Sprintf("%v is in the table and not in the document", r))
			}
		}
		for _, r := range have {
			if !slices.Contains(table, r) {
				findings = append(findings, fmt.Sprintf("%v is in the document and not in the table", r))
			}
		}
		return findings
	}
}

func uniqueIDs(doc *openapi3.T) (findings []string) {
	users := map[string]string{}
	for _, op := range operations(doc) {
		name := goName(op.OperationID)
		if name == "" {
			findings = append(findings, op.String()+" has no operationId")
		} else if other, taken := users[name]; taken {
			findings = append(findings, fmt.Sprintf("%s and %s are both %s", other, op, op.OperationID))
		}
		users[name] = op.String()
	}
	return findings
}

func oneTag(doc *openapi3.T) (findings []string) {
	used := map[string]bool{}
	for _, op := range operations(doc) {
		if len(op.Tags) != 1 || doc.Tags.Get(op.Tags[0]) == nil {
			findings = append(findings, fmt.Sprintf("%s has tags %q, want one that is declared", op, op.Tags))
			continue
		}
		used[op.Tags[0]] = true
	}
	for _, tag := range doc.Tags {
		if !used[tag.Name] {
			findings = append(findings, "no operation has the tag "+tag.Name)
		}
	}
	return findings
}

func prose(doc *openapi3.T) []string {
	return complain(doc, "needs a summary and a description", func(op operation) bool {
		return strings.TrimSpace(op.Summary) != "" && strings.TrimSpace(op.Description) != ""
	})
}

func sourceWord(doc *openapi3.T) []string {
	return complain(doc, "has an unknown x-gaia-source", func(op operation) bool {
		return slices.Contains(sources, op.extension("x-gaia-source"))
	})
}

func scopeWord(doc *openapi3.T) []string {
	return complain(doc, "has an unknown x-gaia-scope", func(op operation) bool {
		return slices.Contains(scopes, op.extension("x-gaia-scope"))
	})
}

// services are where an operation may be carried out: in one service, or in each process by itself.
var services = []string{"each", "gateway", "auth", "asset", "chat"}

func serviceWord(doc *openapi3.T) []string {
	return complain(doc, "has an unknown x-gaia-service", func(op operation) bool {
		return slices.Contains(services, op.extension("x-gaia-service"))
	})
}

func publicScope(doc *openapi3.T) []string {
	return complain(doc, "must have an open scope exactly when it needs no credentials", func(op operation) bool {
		return slices.Contains(openScopes, op.extension("x-gaia-scope")) == op.public()
	})
}

func noDefault(doc *openapi3.T) []string {
	return complain(doc, "has a default response", func(op operation) bool { return op.Responses.Default() == nil })
}

func commonStatuses(doc *openapi3.T) []string {
	return complain(doc, "must list 500, 503 and, unless it is a probe, 429", func(op operation) bool {
		limited := op.Responses.Value("429") != nil
		return op.answers("500", "503") && limited != slices.Contains(probes, op.path)
	})
}

func callerStatuses(doc *openapi3.T) []string {
	return complain(doc, "asks for credentials and must list 401 and 403", func(op operation) bool {
		return op.public() || op.answers("401", "403")
	})
}

func bodyStatuses(doc *openapi3.T) []string {
	return complain(doc, "has a body and must list 413, 415 and 422", func(op operation) bool {
		return op.RequestBody == nil || op.answers("413", "415", "422")
	})
}

// Header parameters are left out: they are short texts that every client can send.
func parameterStatuses(doc *openapi3.T) []string {
	return complain(doc, "has parameters: query needs 422, path needs 404 and 422", func(op operation) bool {
		for _, p := range op.params {
			if p.Value.In == openapi3.ParameterInQuery && !op.answers("422") ||
				p.Value.In == openapi3.ParameterInPath && !op.answers("404", "422") {
				return false
			}
		}
		return true
	})
}

func namedErrors(doc *openapi3.T) (findings []string) {
	for _, op := range operations(doc) {
		for status, response := range op.Responses.Map() {
			if status < "400" || status == "default" || slices.Contains(localErrors, status) {
				continue
			}
			want := errorNames[status]
			if slices.Contains(openAIPaths, op.path) {
				want = "OpenAI" + want
			}
			if response.Ref != "#/components/responses/"+want {
				findings = append(findings, fmt.Sprintf("%s %s is %q, want the response %s", op, status, response.Ref, want))
			}
		}
	}
	return findings
}

// namedBodies: what has no name gets one from the generator that changes with the order of the document.
func namedBodies(doc *openapi3.T) (findings []string) {
	for _, op := range operations(doc) {
		for _, b := range op.bodies() {
			if b.media.Schema == nil || !strings.HasPrefix(b.media.Schema.Ref, "#/components/schemas/") {
				findings = append(findings, b.where+" has no named schema")
			}
		}
	}
	return findings
}

func examples(doc *openapi3.T) (findings []string) {
	for _, op := range operations(doc) {
		for _, b := range op.bodies() {
			if (b.json() || b.events()) && len(b.examples()) == 0 {
				findings = append(findings, b.where+" has no example")
			}
		}
	}
	return findings
}

func (o operation) answers(statuses ...string) bool {
	for _, status := range statuses {
		if o.Responses.Value(status) == nil {
			return false
		}
	}
	return true
}

func complain(doc *openapi3.T, complaint string, fine func(operation) bool) (findings []string) {
	for _, op := range operations(doc) {
		if !fine(op) {
			findings = append(findings, op.String()+" "+complaint)
		}
	}
	return findings
}
