package api_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"gaia/api"

	"github.com/getkin/kin-openapi/openapi3"
)

// A check of answers is worth what it refuses. Each example answer of the contract is spoiled in every way that would break a
// client, one way at a time: a required key is dropped, a value gets another JSON type, an enum gets a word it does not know.
func TestContractRefusesSpoiledAnswers(t *testing.T) {
	t.Parallel()
	total := 0
	seen := map[*openapi3.MediaType]bool{} // errors are shared
	for _, op := range operations(load(t, string(api.Spec))) {
		refused := 0
		for _, b := range op.bodies() {
			if b.status == "" || seen[b.media] {
				continue
			}
			seen[b.media] = true
			for name, example := range b.examples() {
				s := spoil(b.media.Schema, example)
				for _, survivor := range s.survivors {
					t.Errorf("%s, example %q: still valid with %s", b.where, name, survivor)
				}
				if s.tried == 0 {
					t.Errorf("%s, example %q: nothing could be spoiled", b.where, name)
				}
				refused += s.tried - len(s.survivors)
			}
		}
		if refused == 0 {
			t.Errorf("%s: no spoiled answer was refused", op)
		}
		total += refused
	}
	t.Logf("%d spoiled answers refused", total)
}

// Without this, a fault of the spoiler would look like a strict contract.
func TestSpoilerFindsLooseSchemas(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, schema string
		example      any
		want         string // in the first survivor; empty when all are refused
	}{
		{"strict key", `{type: object, required: [a], properties: {a: {type: string}}}`, keyA("x"), ""},
		{"nullable key", `{type: object, required: [a], properties: {a: {type: string, nullable: true}}}`, keyA("x"), ""},
		{"strict item", `{type: array, items: {type: object, required: [a], properties: {a: {type: boolean}}}}`, list(keyA(true)), ""},
		{"strict map", `{type: object, additionalProperties: {type: integer}}`, keyA(1.0), ""},
		{"strict enum", `{type: string, enum: [x]}`, "x", ""},
		{"number", `{type: object, required: [a], properties: {a: {type: number}}}`, keyA(1.0), ""},
		{"untyped key", `{type: object, required: [a], properties: {a: {}}}`, keyA("x"), "a = "},
		{"untyped optional key", `{type: object, properties: {a: {}}}`, keyA("x"), "a = "},
		{"untyped item", `{type: array, items: {}}`, list("x"), "[0] = "},
		{"untyped map", `{type: object, additionalProperties: true}`, keyA(1.0), ""},
		{"untyped variant", `{oneOf: [{type: string}, {type: object, properties: {a: {}}}]}`, keyA("x"), "a = "},
		{"untyped part", `{allOf: [{type: object, required: [a], properties: {a: {}}}]}`, keyA("x"), "a = "},
		{"untyped enum", `{enum: [x, 7]}`, "x", " = integer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc := load(t, "components: {schemas: {S: "+tt.schema+"}}")
			s := spoil(doc.Components.Schemas["S"], tt.example)
			switch {
			case s.tried == 0:
				t.Error("nothing was tried")
			case tt.want == "" && len(s.survivors) > 0:
				t.Errorf("still valid with %q", s.survivors)
			case tt.want != "" && (len(s.survivors) == 0 || !strings.Contains(s.survivors[0], tt.want)):
				t.Errorf("survivors are %q, want %q", s.survivors, tt.want)
			}
		})
	}
}

func keyA(value any) any { return map[string]any{"a": value} }

func list(items ...any) any { return items }

// spoiler spoils one example in place, looks whether its schema notices, and puts it right again.
type spoiler struct {
	schema    *openapi3.Schema
	example   any
	tried     int
	survivors []string
}

func spoil(schema *openapi3.SchemaRef, example any) *spoiler {
	s := &spoiler{schema: schema.Value, example: example}
	s.value("", named("", schema), example, func(v any) { s.example = v })
	return s
}

// try looks at the spoiled example. what names the damage.
func (s *spoiler) try(what string) {
	s.tried++
	if s.schema.VisitJSON(s.example, openapi3.VisitAsResponse(), openapi3.FailFast()) == nil {
		s.survivors = append(s.survivors, what)
	}
}

// value spoils one value of the example and what is inside it. put writes another value in its place.
func (s *spoiler) value(path string, p place, value any, put func(any)) {
	if slices.Contains(anything, p.where) {
		return
	}
	fine := append(kinds(p.ref.Value), kindOf(value))
	for _, other := range []any{nil, true, 7.0, 7.5, "spoiled", []any{}, map[string]any{}} {
		if !slices.Contains(fine, kindOf(other)) {
			put(other)
			s.try(path + " = " + kindOf(other))
		}
	}
	if len(p.ref.Value.Enum) > 0 {
		put(unknownWord(value))
		s.try(path + " = unknown word")
	}
	put(value)
	s.inside(path, p, value)
}

func (s *spoiler) inside(path string, p place, value any) {
	schema := p.ref.Value
	for _, variant := range schema.OneOf {
		if variant.Value.VisitJSON(value) == nil {
			s.inside(path, named(p.where, variant), value)
		}
	}
	for _, part := range schema.AllOf {
		s.inside(path, named(p.where, part), value)
	}
	switch value := value.(type) {
	case map[string]any:
		s.keys(path, p, value)
	case []any:
		if len(value) > 0 && schema.Items != nil {
			s.value(path+"[0]", named(p.where+"[]", schema.Items), value[0], func(v any) { value[0] = v })
		}
	}
}

func (s *spoiler) keys(path string, p place, value map[string]any) {
	schema := p.ref.Value
	for _, key := range schema.Required {
		kept := value[key]
		delete(value, key)
		s.try(path + "." + key + " dropped")
		value[key] = kept
	}
	for _, key := range slices.Sorted(maps.Keys(value)) {
		property := schema.Properties[key]
		if property == nil {
			property = schema.AdditionalProperties.Schema
		}
		if property != nil {
			s.value(path+"."+key, named(p.where+"."+key, property), value[key], func(v any) { value[key] = v })
		}
	}
}

// unknownWord is of the type of a value and in no enum.
func unknownWord(value any) any {
	if _, number := value.(float64); number {
		return float64(math.MaxInt32)
	}
	return "spoiled"
}

// kindOf names the JSON type of a value. A number without a fraction is an integer.
func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64:
		if value != math.Trunc(value) {
			return "fraction"
		}
	}
	return "integer"
}

// kinds are the JSON types that a schema says it takes; none when it does not say.
func kinds(schema *openapi3.Schema) []string {
	var fine []string
	for _, word := range schema.Type.Slice() {
		fine = append(fine, word)
		if word == "number" {
			fine = append(fine, "integer", "fraction")
		}
	}
	for _, part := range slices.Concat(schema.OneOf, schema.AllOf) {
		fine = append(fine, kinds(part.Value)...)
	}
	if schema.Nullable {
		fine = append(fine, "null")
	}
	return fine
}
