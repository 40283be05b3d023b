package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// schema is the part of OpenAPI 3.0's schema object that the contract uses. Reading one with another keyword fails, so that nothing
// in the contract goes unenforced without anybody noticing.
type schema struct {
	Ref           string             `json:"$ref"`
	Type          string             `json:"type"`
	Format        string             `json:"format"`
	Nullable      bool               `json:"nullable"`
	Enum          []json.RawMessage  `json:"enum"`
	MinLength     int                `json:"minLength"`
	MaxLength     *int               `json:"maxLength"`
	Pattern       string             `json:"pattern"`
	Minimum       *float64           `json:"minimum"`
	Maximum       *float64           `json:"maximum"`
	ExclusiveMin  bool               `json:"exclusiveMinimum"`
	ExclusiveMax  bool               `json:"exclusiveMaximum"`
	Items         *schema            `json:"items"`
	MinItems      int                `json:"minItems"`
	MaxItems      *int               `json:"maxItems"`
	UniqueItems   bool               `json:"uniqueItems"`
	Required      []string           `json:"required"`
	Properties    map[string]*schema `json:"properties"`
	Additional    json.RawMessage    `json:"additionalProperties"`
	MaxProperties *int               `json:"maxProperties"`
	OneOf         []*schema          `json:"oneOf"`
	AllOf         []*schema          `json:"allOf"`
	Discriminator *discriminator     `json:"discriminator"`

	// These say nothing about what is valid.
	Title       json.RawMessage `json:"title"`
	Description json.RawMessage `json:"description"`
	Default     json.RawMessage `json:"default"`
	Example     json.RawMessage `json:"example"`
	Deprecated  bool            `json:"deprecated"`
	ReadOnly    bool            `json:"readOnly"`
	WriteOnly   bool            `json:"writeOnly"`
}

type discriminator struct {
	PropertyName string            `json:"propertyName"`
	Mapping      map[string]string `json:"mapping"`
}

// schemaFields is schema without its method, for decoding.
type schemaFields schema

// UnmarshalJSON reads a schema, leaves out its extensions and refuses keywords that are not in the struct.
func (s *schema) UnmarshalJSON(data []byte) error {
	if bytes.Contains(data, []byte(`"x-`)) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(data, &all); err != nil {
			return err
		}
		for key := range all {
			if strings.HasPrefix(key, "x-") {
				delete(all, key)
			}
		}
		plain, err := json.Marshal(all)
		if err != nil {
			return err
		}
		data = plain
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode((*schemaFields)(s))
}

// refName is the name of a local reference to a component.
func refName(ref, section string) (string, error) {
	name, ok := strings.CutPrefix(ref, "#/components/"+section+"/")
	if !ok {
		return "", fmt.Errorf("unexpected reference %q", ref)
	}
	return name, nil
}
