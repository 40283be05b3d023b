package echo

import (
	"encoding/json"
	"fmt"

	"gaia/domain"
)

// maxDepth bounds how deep example values nest, whatever a schema asks for.
const maxDepth = 8

// toolToCall returns the tool that the prompt insists on, or nil when it leaves the model a choice: echo then just talks.
func toolToCall(p domain.Prompt) (*domain.Tool, error) {
	if p.ToolChoice.Name == "" {
		if p.ToolChoice.Mode != "required" || len(p.Tools) == 0 {
			return nil, nil //nolint:nilnil // no tool is a plain answer, not a fault
		}
		return &p.Tools[0], nil
	}
	for i := range p.Tools {
		if p.Tools[i].Name == p.ToolChoice.Name {
			return &p.Tools[i], nil
		}
	}
	return nil, domain.NewError(domain.BadRequest, fmt.Sprintf("The tool choice names %q, which is not among the tools", p.ToolChoice.Name))
}

// exampleCall is a call of a tool with the plainest arguments.
func exampleCall(tool domain.Tool) (scriptedCall, error) {
	arguments, err := json.Marshal(example(tool.Parameters, 0))
	if err != nil {
		return scriptedCall{}, fmt.Errorf("echo: write the arguments: %w", err)
	}
	return scriptedCall{tool.Name, string(arguments)}, nil
}

// example is the plainest value that fits a JSON Schema: only required properties, the first of an enum. A nil schema is that of
// a function without parameters.
func example(schema map[string]any, depth int) any {
	if choices, ok := schema["enum"].([]any); ok && len(choices) > 0 {
		return choices[0]
	}
	for _, key := range []string{"const", "default"} {
		if v, ok := schema[key]; ok {
			return v
		}
	}
	switch typeOf(schema) {
	case "string":
		return "echo"
	case "integer", "number":
		if least, ok := schema["minimum"]; ok {
			return least
		}
		return 0
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		return exampleObject(schema, depth)
	default:
		return nil
	}
}

func exampleObject(schema map[string]any, depth int) map[string]any {
	object := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	if depth == maxDepth {
		return object
	}
	for _, name := range required(schema) {
		property, _ := properties[name].(map[string]any)
		object[name] = example(property, depth+1)
	}
	return object
}

// typeOf reads the type of a schema; a list of types means its first. Without a type, properties (or nothing at all) mean an object.
func typeOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			first, _ := t[0].(string)
			return first
		}
	}
	return "object"
}

func required(schema map[string]any) []string {
	switch names := schema["required"].(type) {
	case []string:
		return names
	case []any:
		list := make([]string, 0, len(names))
		for _, n := range names {
			if s, ok := n.(string); ok {
				list = append(list, s)
			}
		}
		return list
	default:
		return nil
	}
}
