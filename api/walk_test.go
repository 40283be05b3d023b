package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is an operation with what the document says about it elsewhere.
type operation struct {
	*openapi3.Operation
	method, path string
	params       openapi3.Parameters // of the path and of the operation
	security     openapi3.SecurityRequirements
}

func (o operation) String() string { return o.method + " " + o.path }

// public says that no credentials are asked for. An operation that also works without them is not public.
func (o operation) public() bool { return len(o.security) == 0 }

func (o operation) extension(name string) string {
	word, _ := o.Extensions[name].(string)
	return word
}

func operations(doc *openapi3.T) []operation {
	var ops []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			op := operation{Operation: item.GetOperation(method), method: method, path: path, security: doc.Security}
			op.params = slices.Concat(item.Parameters, op.Parameters)
			if op.Security != nil {
				op.security = *op.Security
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// body is the content of a request or of an answer, for one content type.
type body struct {
	where       string
	status      string // empty for a request
	contentType string
	media       *openapi3.MediaType
}

func (b body) json() bool   { return b.contentType == "application/json" }
func (b body) events() bool { return b.contentType == "text/event-stream" }

// examples are the examples of a body by name; a single one has no name.
func (b body) examples() map[string]any {
	found := map[string]any{}
	if !b.json() && !b.events() {
		return found
	}
	if b.media.Example != nil {
		found[""] = b.media.Example
	}
	for name, example := range b.media.Examples {
		found[name] = example.Value.Value
	}
	return found
}

// bodies lists the bodies of an operation, those of shared responses included.
func (o operation) bodies() []body {
	var all []body
	if o.RequestBody != nil {
		all = append(all, contents(o.String()+" request", "", o.RequestBody.Value.Content)...)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses.Map())) {
		all = append(all, contents(o.String()+" "+status, status, o.Responses.Value(status).Value.Content)...)
	}
	return all
}

func contents(where, status string, content openapi3.Content) []body {
	var all []body
	for _, contentType := range slices.Sorted(maps.Keys(content)) {
		all = append(all, body{where + " " + contentType, status, contentType, content[contentType]})
	}
	return all
}

// place is a schema and where it stands.
type place struct {
	where string
	ref   *openapi3.SchemaRef
}

// named is the place of a schema: its own name when it has one.
func named(where string, ref *openapi3.SchemaRef) place {
	if name, found := strings.CutPrefix(ref.Ref, "#/components/schemas/"); found {
		where = name
	}
	return place{where, ref}
}

// children are the schemas directly below a schema, references included.
func children(p place) []place {
	s := p.ref.Value
	var below []place
	add := func(label string, ref *openapi3.SchemaRef) {
		if ref != nil {
			below = append(below, place{p.where + label, ref})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		add("."+name, s.Properties[name])
	}
	add("[]", s.Items)
	add(".*", s.AdditionalProperties.Schema)
	add(" not", s.Not)
	for word, list := range map[string]openapi3.SchemaRefs{" allOf": s.AllOf, " anyOf": s.AnyOf, " oneOf": s.OneOf} {
		for i, ref := range list {
			add(fmt.Sprintf("%s %d", word, i), ref)
		}
	}
	return below
}

// written lists every schema that is written out in the document, each once and none of the references to it.
func written(doc *openapi3.T) []place {
	var found []place
	var walk func(place)
	walk = func(p place) {
		if p.ref == nil || p.ref.Ref != "" {
			return
		}
		found = append(found, p)
		for _, child := range children(p) {
			walk(child)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		walk(place{name, doc.Components.Schemas[name]})
	}
	for _, op := range operations(doc) {
		for _, p := range op.params {
			walk(place{op.String() + " parameter " + p.Value.Name, p.Value.Schema})
		}
		for _, b := range op.bodies() {
			walk(place{b.where, b.media.Schema})
		}
	}
	return found
}

// reachable lists the schemas that values below the given ones are checked against; it follows references.
func reachable(from ...place) []place {
	var found []place
	seen := map[*openapi3.Schema]bool{}
	var walk func(place)
	walk = func(p place) {
		if p.ref == nil || seen[p.ref.Value] {
			return
		}
		seen[p.ref.Value] = true
		p = named(p.where, p.ref)
		found = append(found, p)
		for _, child := range children(p) {
			walk(child)
		}
	}
	for _, p := range from {
		walk(p)
	}
	return found
}

// fromClients lists the schemas of everything that a client sends.
func fromClients(doc *openapi3.T) []place {
	var roots []place
	for _, op := range operations(doc) {
		for _, p := range op.params {
			roots = append(roots, place{op.String() + " parameter " + p.Value.Name, p.Value.Schema})
		}
		for _, b := range op.bodies() {
			if b.status == "" {
				roots = append(roots, place{b.where, b.media.Schema})
			}
		}
	}
	return reachable(roots...)
}

// references lists the targets of all `$ref` in a part of the document.
func references(part any) ([]string, error) {
	text, err := json.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("unmarshal: %w", err)
	}
	var found []string
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				found = append(found, ref)
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	return found, nil
}
