package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compiler turns schemas into rules. Named schemas are compiled once, which also lets them contain themselves.
type compiler struct {
	schemas map[string]json.RawMessage
	named   map[string]*rule
	open    map[string]bool // named rules that are being filled
}

func (c *compiler) compile(s *schema) (*rule, error) {
	switch {
	case s.Ref != "":
		return c.reference(s.Ref)
	case len(s.AllOf) == 1: // the way of 3.0 to say more about a reference
		r, err := c.compile(s.AllOf[0])
		if err != nil || !s.Nullable {
			return r, err
		}
		if name, _ := refName(s.AllOf[0].Ref, "schemas"); c.open[name] {
			return nil, fmt.Errorf("schema %s contains a nullable copy of itself", name)
		}
		nullable := *r
		nullable.nullable = true
		return &nullable, nil
	}
	r := new(rule)
	return r, c.fill(r, s)
}

func (c *compiler) reference(ref string) (*rule, error) {
	name, err := refName(ref, "schemas")
	if err != nil {
		return nil, err
	}
	if r := c.named[name]; r != nil {
		return r, nil
	}
	raw, ok := c.schemas[name]
	if !ok {
		return nil, fmt.Errorf("schema %s does not exist", name)
	}
	s := new(schema)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	if s.Ref != "" || len(s.AllOf) == 1 {
		return c.compile(s)
	}
	r := new(rule)
	c.named[name], c.open[name] = r, true
	defer delete(c.open, name)
	if err := c.fill(r, s); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	if r.enum != nil && enumClasses[name] {
		r.enumFault.kind = "enum"
	}
	return r, nil
}

func (c *compiler) fill(r *rule, s *schema) error {
	r.nullable = s.Nullable
	r.maxLength, r.most = orUnlimited(s.MaxLength), orUnlimited(s.MaxItems)
	switch {
	case len(s.AllOf) > 0:
		return fmt.Errorf("allOf of several schemas is not supported")
	case len(s.OneOf) > 0:
		return c.fillUnion(r, s)
	}
	switch s.Type {
	case "":
		return nil
	case "object":
		return c.fillObject(r, s)
	case "array":
		r.kind, r.least, r.unique = array, s.MinItems, s.UniqueItems
		if s.Items == nil {
			return fmt.Errorf("array without items")
		}
		items, err := c.compile(s.Items)
		if err != nil {
			return fmt.Errorf("items: %w", err)
		}
		if r.items = items; r.unique && items.kind != text {
			return fmt.Errorf("uniqueItems is supported for strings only")
		}
		return nil
	case "string":
		return fillText(r, s)
	case "integer", "number":
		r.kind, r.minimum, r.maximum, r.exclusiveMin, r.exclusiveMax = number, s.Minimum, s.Maximum, s.ExclusiveMin, s.ExclusiveMax
		if s.Type == "integer" {
			r.kind = integer
		}
	case "boolean":
		r.kind = boolean
	default:
		return fmt.Errorf("unknown type %q", s.Type)
	}
	if s.Enum != nil {
		return fmt.Errorf("enum is supported for strings only")
	}
	return nil
}

func fillText(r *rule, s *schema) (err error) {
	r.kind, r.minLength = text, s.MinLength
	if r.format, err = formatOf(s.Format); err != nil {
		return err
	}
	if s.Pattern != "" {
		if r.pattern, err = regexp.Compile(s.Pattern); err != nil {
			return err
		}
	}
	if s.Enum == nil {
		return nil
	}
	r.enum = make(map[string]bool, len(s.Enum))
	var words []string
	for _, raw := range s.Enum {
		if string(raw) == "null" { // nullable says the same
			continue
		}
		var word string
		if err := json.Unmarshal(raw, &word); err != nil {
			return fmt.Errorf("enum: %w", err)
		}
		r.enum[word] = true
		words = append(words, word)
	}
	r.enumFault = enumFault{"literal_error", alternatives(words)}
	return nil
}

func (c *compiler) fillObject(r *rule, s *schema) error {
	if len(s.Properties) == 0 {
		return c.fillMapping(r, s)
	}
	if s.Additional != nil || s.MaxProperties != nil {
		return fmt.Errorf("an object has either properties or free keys")
	}
	r.kind, r.byName, r.byFold = object, map[string]int{}, map[string]int{}
	// What the contract calls required stands in the order in which clients expect missing fields to be reported.
	names := slices.Clone(s.Required)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(s.Required, name) {
			names = append(names, name)
		}
	}
	for i, name := range names {
		p := s.Properties[name]
		if p == nil {
			return fmt.Errorf("required property %s does not exist", name)
		}
		pr, err := c.compile(p)
		if err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
		r.properties = append(r.properties, property{name, i < len(s.Required), pr})
		r.byName[name] = i
		r.byFold[string(foldName(nil, []byte(name)))] = i
	}
	return nil
}

func (c *compiler) fillMapping(r *rule, s *schema) error {
	r.kind, r.most = mapping, orUnlimited(s.MaxProperties)
	switch string(s.Additional) {
	case "", "true":
		return nil
	case "false":
		return fmt.Errorf("additionalProperties: false is not supported: clients may send unknown keys")
	}
	var values schema
	if err := json.Unmarshal(s.Additional, &values); err != nil {
		return fmt.Errorf("additionalProperties: %w", err)
	}
	var err error
	r.items, err = c.compile(&values)
	return err
}

func (c *compiler) fillUnion(r *rule, s *schema) error {
	r.kind = union
	for i, b := range s.OneOf {
		branch, err := c.compile(b)
		if err != nil {
			return fmt.Errorf("oneOf %d: %w", i, err)
		}
		r.branches = append(r.branches, branch)
	}
	if s.Discriminator == nil {
		return nil
	}
	if len(s.Discriminator.Mapping) == 0 {
		return fmt.Errorf("discriminator without mapping")
	}
	r.tag, r.byTag = s.Discriminator.PropertyName, map[string]*rule{}
	var tags []string
	for _, tag := range slices.Sorted(maps.Keys(s.Discriminator.Mapping)) {
		branch, err := c.reference(s.Discriminator.Mapping[tag])
		if err != nil {
			return fmt.Errorf("discriminator %s: %w", tag, err)
		}
		r.byTag[tag] = branch
		tags = append(tags, "'"+tag+"'")
	}
	r.tags = strings.Join(tags, ", ")
	return nil
}

func orUnlimited(limit *int) int {
	if limit == nil {
		return -1
	}
	return *limit
}

// foldName appends name the way encoding/json folds names of struct fields when it looks for one that is not written exactly so.
func foldName(dst, name []byte) []byte {
	for _, r := range string(name) {
		switch {
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		case r == 'ſ':
			r = 'S'
		case r == 'K': // the Kelvin sign
			r = 'K'
		}
		dst = append(dst, string(r)...)
	}
	return dst
}
