package anthropic

import (
	"encoding/json"
	"regexp"
	"strings"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const (
	defaultMaxTokens = 4096 // the format demands a limit; every model can answer this much
	maxUserID        = 256  // characters
)

// early are the models up to Sonnet 4 and Opus 4. They know no schemas for answers and tools, and take temperature and top_p together,
// which later ones refuse.
var early = regexp.MustCompile(`^claude-([123]|instant|(sonnet|opus)-4(-0)?(-20\d{6})?$)`)

type request struct {
	Model         string        `json:"model"`
	MaxTokens     int           `json:"max_tokens"`
	Stream        bool          `json:"stream"`
	System        string        `json:"system,omitempty"`
	Messages      []message     `json:"messages"`
	Temperature   *float64      `json:"temperature,omitempty"`
	TopP          *float64      `json:"top_p,omitempty"`
	StopSequences []string      `json:"stop_sequences,omitempty"`
	Tools         []tool        `json:"tools,omitempty"`
	ToolChoice    *toolChoice   `json:"tool_choice,omitempty"`
	Metadata      *metadata     `json:"metadata,omitempty"`
	OutputConfig  *outputConfig `json:"output_config,omitempty"`
}

type message struct {
	Role    domain.Role `json:"role"`
	Content []block     `json:"content"`
}

// block is a piece of a message: text, image, tool_use or tool_result.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Source    *imageSource    `json:"source,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   []block         `json:"content,omitempty"`
}

type tool struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	InputSchema map[string]any `json:"input_schema"`
	Strict      bool           `json:"strict,omitempty"`
}

type toolChoice struct {
	Type            string `json:"type"`
	Name            string `json:"name,omitempty"`
	DisableParallel bool   `json:"disable_parallel_tool_use,omitempty"`
}

type metadata struct {
	UserID string `json:"user_id"`
}

type outputConfig struct {
	Format outputFormat `json:"format"`
}

type outputFormat struct {
	Type   string `json:"type"`
	Schema any    `json:"schema"`
}

// encodeRequest writes a prompt as the body of a streaming request. Seed and penalties have no place in the format.
func encodeRequest(p domain.Prompt) ([]byte, error) {
	system, messages, err := messagesFromDomain(p.Messages)
	if err != nil {
		return nil, err
	}
	schemas := !early.MatchString(p.Model)
	r := request{
		Model: p.Model, MaxTokens: defaultMaxTokens, Stream: true, Messages: messages, TopP: p.TopP, StopSequences: p.Stop,
		Tools: toolsFromDomain(p.Tools, schemas), ToolChoice: toolChoiceFromDomain(p),
	}
	if p.MaxTokens != nil {
		r.MaxTokens = *p.MaxTokens
	}
	if p.Temperature != nil {
		t := min(max(*p.Temperature, 0), 1) // others count up to 2
		r.Temperature = &t
		if !early.MatchString(p.Model) {
			r.TopP = nil
		}
	}
	if p.User != "" && len(p.User) <= maxUserID {
		r.Metadata = &metadata{UserID: p.User}
	}
	var wish string
	r.OutputConfig, wish = outputFromDomain(p.ResponseFormat, schemas)
	r.System = join(system, wish)
	return upstream.Marshal(r)
}

// outputFromDomain asks for JSON: by the schema when the caller wants it kept strictly and the model can, else in words. Schemas
// that are not strict are often outside of what the provider accepts.
func outputFromDomain(f *domain.ResponseFormat, schemas bool) (*outputConfig, string) {
	const only = "Answer with JSON only: no other words, and no code fence."
	if f == nil {
		return nil, ""
	}
	switch f.Type {
	case "json_object":
		return nil, only + " The answer is one JSON object."
	case "json_schema":
		schema, ok := f.Schema["schema"]
		if !ok {
			return nil, only
		}
		if strict, _ := f.Schema["strict"].(bool); strict && schemas {
			return &outputConfig{outputFormat{"json_schema", schema}}, ""
		}
		text, err := json.Marshal(schema)
		if err != nil { // it came as JSON
			return nil, only
		}
		return nil, only + " The answer keeps to this JSON Schema: " + string(text)
	default:
		return nil, ""
	}
}

func toolsFromDomain(tools []domain.Tool, schemas bool) []tool {
	var out []tool
	for _, t := range tools {
		schema := t.Parameters
		if schema["type"] == nil { // it must be there
			schema = map[string]any{"type": "object"}
			for k, v := range t.Parameters {
				schema[k] = v
			}
		}
		out = append(out, tool{t.Name, t.Description, schema, schemas && t.Strict != nil && *t.Strict})
	}
	return out
}

// toolChoiceFromDomain gives nothing without tools: the provider refuses a choice among none.
func toolChoiceFromDomain(p domain.Prompt) *toolChoice {
	if len(p.Tools) == 0 {
		return nil
	}
	single := p.ParallelToolCalls != nil && !*p.ParallelToolCalls
	switch {
	case p.ToolChoice.Name != "":
		return &toolChoice{"tool", p.ToolChoice.Name, single}
	case p.ToolChoice.Mode == "none":
		return &toolChoice{Type: "none"}
	case p.ToolChoice.Mode == "required":
		return &toolChoice{"any", "", single}
	case p.ToolChoice.Mode == "auto" || single:
		return &toolChoice{"auto", "", single}
	default:
		return nil
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return strings.Join([]string{a, b}, "\n\n")
}
