package mcptools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"gaia/domain"
)

// Bounds of a schema, once its references have been followed, and of what is checked by it. A check takes time for each part of one with each
// part of the other.
const (
	maxSchemaParts    = 2000
	maxSchemaDepth    = 64
	maxSchemaPatterns = 100
	maxArguments      = 1 << 20
	maxViolation      = 500
)

// parameters are what a tool takes.
type parameters struct {
	schema  map[string]any // as the server wrote it
	checked *jsonschema.Resolved
}

// newParameters reads a server's schema. The library follows references for ever where they go in circles, and for very long where each part
// refers to the next one twice; so that it gets to see a schema without any: see unfold.
func newParameters(raw []byte) (_ *parameters, err error) {
	defer recovered(&err)
	p := &parameters{}
	if json.Unmarshal(raw, &p.schema) != nil || p.schema == nil {
		return nil, errors.New("its schema is no object")
	}
	if kind, ok := p.schema["type"]; !ok {
		p.schema["type"] = "object"
	} else if kind != "object" {
		return nil, errors.New("its schema is not that of an object")
	}
	draft, _ := p.schema["$schema"].(string)
	u := &unfolder{root: p.schema, draft7: strings.Contains(draft, "draft-07")}
	plain, err := u.unfold(p.schema, 0, nil)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(data, &schema); err != nil {
		return nil, fmt.Errorf("its schema is none: %w", err)
	}
	if p.checked, err = schema.Resolve(nil); err != nil {
		return nil, fmt.Errorf("its schema is none: %w", err)
	}
	return p, nil
}

// recovered makes an error of a panic: what a library does with a schema that somebody made for it to fail must not end the process.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = errors.New("its schema can't be worked with")
	}
}

// check returns arguments in the form in which they are sent. What it says about those that break the schema names no value of them: it
// may be one that is redacted.
func (p *parameters) check(raw json.RawMessage) (_ json.RawMessage, err error) {
	if len(raw) > maxArguments {
		return nil, domain.NewError(domain.BadRequest, fmt.Sprintf("The arguments are larger than %d bytes", maxArguments))
	}
	if len(raw) == 0 || string(raw) == "null" {
		raw = json.RawMessage("{}")
	}
	var args map[string]any
	if json.Unmarshal(raw, &args) != nil || args == nil {
		return nil, domain.NewError(domain.BadRequest, "The arguments are not a JSON object")
	}
	if err := p.validate(args); err != nil {
		return nil, domain.NewError(domain.BadRequest, "The arguments don't fit the tool: "+shorten(violation(err), maxViolation))
	}
	var compact bytes.Buffer // a message to a program is one line
	if err := json.Compact(&compact, raw); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}

func (p *parameters) validate(args map[string]any) (err error) {
	defer recovered(&err)
	return p.checked.Validate(args)
}

// afterValue is where the library's text goes on after the value, for each rule that shows it. The last such words are the library's own.
var afterValue = map[string]string{
	"type": " want ", "enum": " does not equal any of: ", "pattern": " does not match regular expression ", "minimum": " is less than ",
	"maximum": " is greater than ", "exclusiveMinimum": " is less than ", "exclusiveMaximum": " is greater than ",
	"minLength": " fewer than ", "maxLength": " more than ", "multipleOf": " is not a multiple of ",
}

// showsNoValue are rules whose text holds figures and names of arguments alone.
var showsNoValue = []string{"required", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"}

// violation says where a schema is broken and which rule, and not the value.
func violation(err error) string {
	var where string
	for inner := errors.Unwrap(err); inner != nil; err, inner = inner, errors.Unwrap(inner) {
		step := strings.TrimSuffix(strings.TrimSuffix(err.Error(), inner.Error()), ": ")
		if step = strings.TrimPrefix(step, "validating "); step != "root" {
			where = step
		}
	}
	text := err.Error()
	rule, rest, named := strings.Cut(text, ": ")
	switch mark := strings.LastIndex(rest, afterValue[rule]); {
	case afterValue[rule] != "" && mark >= 0:
		text = rule + ":" + rest[mark:]
	case strings.HasPrefix(text, "unexpected additional properties "), slices.Contains(showsNoValue, rule), strings.HasPrefix(rule, "dependentRequired["):
	case named:
		text = rule
	default:
		text = "a rule is broken"
	}
	if where == "" {
		return text
	}
	return where + ": " + text
}

// unfolder copies a schema without references and with nothing but rules.
type unfolder struct {
	root            map[string]any
	draft7          bool // whoever refers there says nothing else
	parts, patterns int
}

// unfold puts in place of a reference what it refers to. Where a schema contains itself, it is put in once, and anything goes below that: the
// server checks its arguments too.
func (u *unfolder) unfold(v any, depth int, under []string) (any, error) {
	if u.parts++; u.parts > maxSchemaParts {
		return nil, fmt.Errorf("its schema has more than %d parts", maxSchemaParts)
	}
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("its schema is deeper than %d", maxSchemaDepth)
	}
	if _, ok := v.(bool); ok {
		return v, nil
	}
	in, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("a part of its schema is none")
	}
	out := map[string]any{}
	var err error
	ref, refers := in["$ref"].(string)
	if !refers || !u.draft7 {
		for _, key := range slices.Sorted(maps.Keys(in)) {
			if err = u.keyword(out, in, key, depth+1, under); err != nil {
				return nil, err
			}
		}
	}
	if !refers || slices.Contains(under, ref) {
		return out, nil
	}
	target, err := u.follow(ref)
	if err != nil {
		return nil, err
	}
	part, err := u.unfold(target, depth+1, append(slices.Clip(under), ref))
	if err != nil || len(out) == 0 {
		return part, err
	}
	all, _ := out["allOf"].([]any)
	out["allOf"] = append(slices.Clip(all), part)
	return out, nil
}

// keyword copies one rule. What is no rule is left out: texts, defaults, definitions, formats, and what nobody knows.
func (u *unfolder) keyword(out, in map[string]any, key string, depth int, under []string) error {
	var err error
	value := in[key]
	switch key {
	case "type", "enum", "const", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
		"minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "required", "dependentRequired":
		out[key] = value
	case "pattern":
		out[key] = value
		err = u.pattern()
	case "not", "if", "then", "else", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties":
		out[key], err = u.unfold(value, depth, under)
	case "allOf", "anyOf", "oneOf", "prefixItems":
		out[key], err = u.list(value, depth, under)
	case "items":
		if _, tuple := value.([]any); !tuple {
			out[key], err = u.unfold(value, depth, under)
			break
		}
		if out["prefixItems"], err = u.list(value, depth, under); err == nil && in["additionalItems"] != nil { // as written until draft 7
			out["items"], err = u.unfold(in["additionalItems"], depth, under)
		}
	case "patternProperties":
		for range len(asMap(value)) {
			err = errors.Join(err, u.pattern())
		}
		if err == nil {
			out[key], err = u.table(value, depth, under)
		}
	case "properties", "dependentSchemas":
		out[key], err = u.table(value, depth, under)
	}
	return err
}

func (u *unfolder) pattern() error {
	if u.patterns++; u.patterns > maxSchemaPatterns {
		return fmt.Errorf("its schema has more than %d patterns", maxSchemaPatterns)
	}
	return nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func (u *unfolder) list(v any, depth int, under []string) (any, error) {
	in, ok := v.([]any)
	if !ok {
		return nil, errors.New("a part of its schema is no list")
	}
	out := make([]any, len(in))
	var err error
	for i := range in {
		if out[i], err = u.unfold(in[i], depth, under); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (u *unfolder) table(v any, depth int, under []string) (any, error) {
	in, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("a part of its schema is no object")
	}
	out := make(map[string]any, len(in))
	var err error
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if out[name], err = u.unfold(in[name], depth, under); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// follow finds what a reference means within the schema. Nothing is ever fetched.
func (u *unfolder) follow(ref string) (any, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && pointer[0] != '/' {
		return nil, errors.New("its schema refers to something outside of it")
	}
	var at any = u.root
	if pointer == "" {
		return at, nil
	}
	for step := range strings.SplitSeq(pointer[1:], "/") {
		if plain, err := url.PathUnescape(step); err == nil {
			step = plain
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		found := false
		switch node := at.(type) {
		case map[string]any:
			at, found = node[step]
		case []any:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node) {
				at, found = node[i], true
			}
		}
		if !found {
			return nil, errors.New("its schema refers to a part that it does not have")
		}
	}
	return at, nil
}
