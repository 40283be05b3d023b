package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
)

var (
	// freeFormSchemas are the objects whose keys the contract does not know.
	freeFormSchemas = []string{
		"PersonaTraits", "PersonaCapabilities", "JSONSchemaObject", "ToolArguments", "EventDetails", "AssetAttributes",
		"WorkflowInput", "WebhookPayload", "ValidationContext", "UsageMetadata", "ProviderOptions", "AuthAppMetadata", "AuthUserMetadata",
		"AuthFactor",
	}
	// anything names the one place where every JSON value may stand.
	anything = []string{"ValidationFault.input"}
	// optionalAnswers are objects in answers of which every part may be missing.
	optionalAnswers = []string{"ChunkDelta", "ToolCallDeltaFunction", "UsageLimitsByProvider"}
	boundedFormats  = []string{"uuid", "date", "date-time", "binary"}

	operationSuffixes = []string{
		"Request", "Response", "Reply", "Params", "JSONBody", "JSONRequestBody", "MultipartBody", "MultipartRequestBody",
		"RequestObject", "ResponseObject",
	}
	// typeKinds are the components of which the generator makes types.
	typeKinds      = []string{"schemas", "responses", "parameters", "requestBodies"}
	generatorNames = []string{
		"Client", "ClientInterface", "ClientOption", "ClientWithResponses", "ClientWithResponsesInterface", "HttpRequestDoer",
		"RequestEditorFn", "ServerInterface", "ServerInterfaceWrapper", "StrictServerInterface", "StrictHandlerFunc",
		"StrictMiddlewareFunc", "MiddlewareFunc", "ChiServerOptions", "Unimplemented",
	}
)

func typed(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		s := p.ref.Value
		if s.Type == nil && len(s.AllOf)+len(s.OneOf)+len(s.AnyOf) == 0 && !slices.Contains(anything, p.where) {
			findings = append(findings, p.where+" has no type")
		}
	}
	return findings
}

func properties(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		s := p.ref.Value
		if s.Type.Is("object") && len(s.Properties) == 0 && !isFreeForm(s) && s.AdditionalProperties.Schema == nil {
			findings = append(findings, p.where+" is an object without properties")
		}
		if len(s.Properties) > 0 && !s.Type.Is("object") {
			findings = append(findings, p.where+" has properties and is no object")
		}
	}
	return findings
}

func freeForm(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		if isFreeForm(p.ref.Value) && !slices.Contains(freeFormSchemas, p.where) {
			findings = append(findings, p.where+" may not have unknown keys")
		}
	}
	return findings
}

func isFreeForm(s *openapi3.Schema) bool {
	extra := s.AdditionalProperties
	return extra.Has != nil && *extra.Has ||
		extra.Schema != nil && extra.Schema.Ref == "" && extra.Schema.Value.Type == nil
}

func requiredKeys(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		for _, key := range p.ref.Value.Required {
			if p.ref.Value.Properties[key] == nil {
				findings = append(findings, p.where+" requires the unknown key "+key)
			}
		}
	}
	return findings
}

// answersRequire: an answer of which nothing is required validates when everything is missing.
func answersRequire(doc *openapi3.T) (findings []string) {
	var roots []place
	for _, op := range operations(doc) {
		for _, b := range op.bodies() {
			if b.status != "" {
				roots = append(roots, place{b.where, b.media.Schema})
			}
		}
	}
	for _, p := range reachable(roots...) {
		s := p.ref.Value
		if len(s.Properties) > 0 && len(s.Required) == 0 && !slices.Contains(optionalAnswers, p.where) {
			findings = append(findings, p.where+" is part of an answer and requires nothing")
		}
	}
	return findings
}

func variantsByName(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		for i, variant := range slices.Concat(p.ref.Value.OneOf, p.ref.Value.AnyOf) {
			if variant.Ref == "" {
				findings = append(findings, fmt.Sprintf("%s: variant %d has no name", p.where, i))
			}
		}
		if len(p.ref.Value.AnyOf) > 0 {
			findings = append(findings, p.where+" uses anyOf: say oneOf")
		}
	}
	return findings
}

// variantsDiffer: a discriminator tells the variants apart, or their JSON types do, or each requires a constant property of its own.
func variantsDiffer(doc *openapi3.T) (findings []string) {
	for _, p := range written(doc) {
		s := p.ref.Value
		switch {
		case len(s.OneOf) == 0:
		case s.Discriminator != nil:
			findings = append(findings, discriminated(p.where, s)...)
		case !distinctTypes(s.OneOf) && !distinctMarks(s.OneOf):
			findings = append(findings, p.where+": its variants can't be told apart")
		}
	}
	return findings
}

func discriminated(where string, s *openapi3.Schema) (findings []string) {
	key := s.Discriminator.PropertyName
	words := map[string][]string{}
	for word, target := range s.Discriminator.Mapping {
		words[target.Ref] = append(words[target.Ref], word)
	}
	for _, variant := range s.OneOf {
		var have []string
		if property := variant.Value.Properties[key]; property != nil {
			for _, word := range property.Value.Enum {
				have = append(have, fmt.Sprint(word))
			}
		}
		want := words[variant.Ref]
		slices.Sort(have)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(have, want) || !slices.Contains(variant.Value.Required, key) {
			findings = append(findings, fmt.Sprintf("%s: %s must require %s to be one of %q", where, variant.Ref, key, want))
		}
	}
	if len(words) != len(s.OneOf) {
		findings = append(findings, where+": the mapping does not name its variants")
	}
	return findings
}

// distinctMarks reports whether every variant, and everything that it may be in turn, requires a property with one value only, under a
// name that serves no other variant so. Variants that share the name need a discriminator.
func distinctMarks(variants openapi3.SchemaRefs) bool {
	owner := map[string]int{}
	for i, variant := range variants {
		inner := variant.Value.OneOf
		if len(inner) == 0 {
			inner = openapi3.SchemaRefs{variant}
		}
		for _, v := range inner {
			marked := false
			for _, name := range v.Value.Required {
				if property := v.Value.Properties[name]; property == nil || len(property.Value.Enum) != 1 {
					continue
				}
				if other, taken := owner[name]; taken && other != i {
					return false
				}
				owner[name], marked = i, true
			}
			if !marked {
				return false
			}
		}
	}
	return true
}

func distinctTypes(variants openapi3.SchemaRefs) bool {
	seen := map[string]bool{}
	for _, variant := range variants {
		if variant.Value.Type == nil || len(*variant.Value.Type) != 1 {
			return false
		}
		kind := strings.Replace((*variant.Value.Type)[0], "integer", "number", 1)
		if seen[kind] {
			return false
		}
		seen[kind] = true
	}
	return true
}

func boundedStrings(doc *openapi3.T) (findings []string) {
	for _, p := range fromClients(doc) {
		s := p.ref.Value
		if s.Type.Is("string") && s.MaxLength == nil && len(s.Enum) == 0 && s.Pattern == "" &&
			!slices.Contains(boundedFormats, s.Format) {
			findings = append(findings, p.where+" comes from clients and may be of any length")
		}
	}
	return findings
}

func boundedLists(doc *openapi3.T) (findings []string) {
	for _, p := range fromClients(doc) {
		if p.ref.Value.Type.Is("array") && p.ref.Value.MaxItems == nil {
			findings = append(findings, p.where+" comes from clients and may have any number of items")
		}
	}
	return findings
}

// generatedNames: the compiler would find these too, in a file that nobody wrote.
func generatedNames(doc *openapi3.T) (findings []string) {
	users := map[string]string{}
	for _, name := range generatorNames {
		users[name] = "the generator"
	}
	for _, op := range operations(doc) {
		for _, suffix := range operationSuffixes {
			users[goName(op.OperationID)+suffix] = op.String()
		}
	}
	for kind, names := range components(doc) {
		for _, name := range names {
			if !slices.Contains(typeKinds, kind) {
				continue
			}
			if other, taken := users[goName(name)]; taken {
				findings = append(findings, fmt.Sprintf("%s/%s has the same Go name as %s", kind, name, other))
			}
			users[goName(name)] = kind + "/" + name
		}
	}
	return findings
}

// goName is how the generator writes a name in Go.
func goName(name string) string {
	var out strings.Builder
	upper := true
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			upper = true
			continue
		}
		if upper {
			r = unicode.ToUpper(r)
		}
		out.WriteRune(r)
		upper = unicode.IsDigit(r)
	}
	return out.String()
}

func noUnused(doc *openapi3.T) (findings []string) {
	used := map[string]bool{}
	var mark func(part any)
	mark = func(part any) {
		targets, err := references(part)
		if err != nil {
			findings = append(findings, err.Error())
		}
		for _, target := range targets {
			if !used[target] {
				used[target] = true
				mark(component(doc, target))
			}
		}
	}
	mark(doc.Paths)
	for kind, names := range components(doc) {
		for _, name := range names {
			if target := "#/components/" + kind + "/" + name; kind != "securitySchemes" && !used[target] {
				findings = append(findings, "nothing uses "+target)
			}
		}
	}
	return findings
}

func components(doc *openapi3.T) map[string][]string {
	c := doc.Components
	return map[string][]string{
		"schemas":         slices.Sorted(maps.Keys(c.Schemas)),
		"responses":       slices.Sorted(maps.Keys(c.Responses)),
		"parameters":      slices.Sorted(maps.Keys(c.Parameters)),
		"headers":         slices.Sorted(maps.Keys(c.Headers)),
		"examples":        slices.Sorted(maps.Keys(c.Examples)),
		"requestBodies":   slices.Sorted(maps.Keys(c.RequestBodies)),
		"securitySchemes": slices.Sorted(maps.Keys(c.SecuritySchemes)),
	}
}

// component is the value that a reference names.
func component(doc *openapi3.T, target string) any {
	kind, name, _ := strings.Cut(strings.TrimPrefix(target, "#/components/"), "/")
	c := doc.Components
	switch kind {
	case "schemas":
		return c.Schemas[name].Value
	case "responses":
		return c.Responses[name].Value
	case "parameters":
		return c.Parameters[name].Value
	case "headers":
		return c.Headers[name].Value
	case "examples":
		return c.Examples[name].Value
	case "requestBodies":
		return c.RequestBodies[name].Value
	}
	return nil
}
