package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.ToolServers = (*Tools)(nil)

// Tools are tools that are functions of the process. The zero value is empty and ready.
type Tools struct {
	failures

	mu    sync.Mutex
	tools []memoryTool
	calls []domain.ToolInvocation
}

type memoryTool struct {
	spec domain.ToolSpec
	do   ToolFunc
}

// ToolFunc does what a tool does.
type ToolFunc func(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error)

// Add offers a tool, in the place of one of the same ID.
func (t *Tools) Add(spec domain.ToolSpec, do ToolFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(spec.ID())
	t.tools = append(t.tools, memoryTool{spec, do})
	slices.SortFunc(t.tools, func(a, b memoryTool) int { return cmp.Compare(a.spec.ID(), b.spec.ID()) })
}

// Remove takes a tool away, as a server does that is not well.
func (t *Tools) Remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(id)
}

func (t *Tools) remove(id string) {
	t.tools = slices.DeleteFunc(t.tools, func(tool memoryTool) bool { return tool.spec.ID() == id })
}

// Calls returns the calls that have reached a tool so far.
func (t *Tools) Calls() []domain.ToolInvocation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.calls)
}

// Tools implements ports.ToolServers.
func (t *Tools) Tools() []domain.ToolSpec {
	t.mu.Lock()
	defer t.mu.Unlock()
	var specs []domain.ToolSpec
	for _, tool := range t.tools {
		specs = append(specs, tool.spec)
	}
	return specs
}

// Call implements ports.ToolServers.
func (t *Tools) Call(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error) {
	if err := t.enter(ctx, "Call"); err != nil {
		return domain.ToolResult{}, err
	}
	t.mu.Lock()
	i := slices.IndexFunc(t.tools, func(tool memoryTool) bool { return tool.spec.Server == call.Server && tool.spec.Name == call.Tool })
	if i < 0 {
		t.mu.Unlock()
		return domain.ToolResult{}, domain.NewError(domain.NotFound, "There is no such tool")
	}
	tool := t.tools[i]
	if err := breaks(tool.spec.Parameters, call.Arguments); err != nil {
		t.mu.Unlock()
		return domain.ToolResult{}, err
	}
	t.calls = append(t.calls, call)
	t.mu.Unlock()
	return tool.do(ctx, call)
}

// breaks checks arguments against what is used of JSON Schema in tests: required properties and the types of properties.
func breaks(parameters map[string]any, arguments json.RawMessage) error {
	var given map[string]any
	if err := json.Unmarshal(arguments, &given); err != nil {
		return domain.NewError(domain.BadRequest, "The arguments are no JSON object")
	}
	for _, name := range stringsOf(parameters["required"]) {
		if _, there := given[name]; !there {
			return domain.NewError(domain.BadRequest, "The argument "+name+" is missing")
		}
	}
	properties, _ := parameters["properties"].(map[string]any)
	for name, value := range given {
		property, _ := properties[name].(map[string]any)
		if want, ok := property["type"].(string); ok && !isOfType(value, want) {
			return domain.NewError(domain.BadRequest, "The argument "+name+" is no "+want)
		}
	}
	return nil
}

func stringsOf(list any) []string {
	if list, ok := list.([]string); ok {
		return list
	}
	var texts []string
	values, _ := list.([]any)
	for _, v := range values {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

func isOfType(value any, name string) bool {
	switch v := value.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	default:
		return name == "null"
	}
}
