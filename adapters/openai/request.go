package openai

import (
	"regexp"
	"strings"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// newLimitModels are the models that refuse max_tokens. Older ones, and servers that only speak the format, may know nothing else.
var newLimitModels = regexp.MustCompile(`^(o\d|gpt-([5-9]|[1-9]\d))`)

type request struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options,omitempty"`
	Temperature         *float64        `json:"temperature,omitempty"`
	TopP                *float64        `json:"top_p,omitempty"`
	MaxTokens           *int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int            `json:"max_completion_tokens,omitempty"`
	Stop                []string        `json:"stop,omitempty"`
	Seed                *int64          `json:"seed,omitempty"`
	RandomSeed          *int64          `json:"random_seed,omitempty"`
	PresencePenalty     *float64        `json:"presence_penalty,omitempty"`
	FrequencyPenalty    *float64        `json:"frequency_penalty,omitempty"`
	User                string          `json:"user,omitempty"`
	Tools               []tool          `json:"tools,omitempty"`
	ToolChoice          any             `json:"tool_choice,omitempty"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls,omitempty"`
	ResponseFormat      *responseFormat `json:"response_format,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type message struct {
	Role       domain.Role   `json:"role"`
	Content    any           `json:"content"` // a *string, parts, or null
	Name       string        `json:"name,omitempty"`
	ToolCalls  []messageCall `json:"tool_calls,omitempty"`
	ToolCallID string        `json:"tool_call_id,omitempty"`
}

type messagePart struct {
	Type     string    `json:"type"`
	Text     *string   `json:"text,omitempty"`
	ImageURL *imageURL `json:"image_url,omitempty"`
}

type imageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

type messageCall struct {
	ID       string        `json:"id"`
	Type     string        `json:"type"`
	Function callFunction  `json:"function"`
	Extra    *extraContent `json:"extra_content,omitempty"`
}

type callFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type tool struct {
	Type     string       `json:"type"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Strict      *bool          `json:"strict,omitempty"`
}

type namedToolChoice struct {
	Type     string `json:"type"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

type responseFormat struct {
	Type       string         `json:"type"`
	JSONSchema map[string]any `json:"json_schema,omitempty"`
}

// encodeRequest writes a prompt as the body of a streaming request. The usage is always asked for: without it, what an answer
// cost can only be guessed.
func encodeRequest(p domain.Prompt, dialect Dialect) ([]byte, error) {
	r := request{
		Model: p.Model, Stream: true, StreamOptions: &streamOptions{IncludeUsage: true},
		Messages:    make([]message, 0, len(p.Messages)),
		Temperature: p.Temperature, TopP: p.TopP, Stop: p.Stop, Seed: p.Seed,
		PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty, User: p.User,
		ToolChoice: toolChoiceFromDomain(p.ToolChoice), ParallelToolCalls: p.ParallelToolCalls,
	}
	for i := range p.Messages {
		r.Messages = append(r.Messages, messageFromDomain(&p.Messages[i]))
	}
	for _, t := range p.Tools {
		r.Tools = append(r.Tools, tool{"function", toolFunction{t.Name, t.Description, t.Parameters, t.Strict}})
	}
	if f := p.ResponseFormat; f != nil {
		r.ResponseFormat = &responseFormat{Type: f.Type, JSONSchema: f.Schema}
	}
	name := p.Model[strings.LastIndexByte(p.Model, '/')+1:]
	if newLimitModels.MatchString(name) {
		r.MaxCompletionTokens = p.MaxTokens
	} else {
		r.MaxTokens = p.MaxTokens
	}
	dialect.adapt(&r, p)
	return upstream.Marshal(r)
}

// messageFromDomain keeps a reference to the text, which costs no memory: a prompt may have fifty.
func messageFromDomain(m *domain.PromptMessage) message {
	out := message{Role: m.Role, Content: &m.Content, Name: m.Name, ToolCallID: m.ToolCallID}
	if len(m.Parts) > 0 {
		out.Content = partsFromDomain(m.Parts)
	}
	for _, c := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, messageCall{ID: c.ID, Type: "function", Function: callFunction{c.Name, c.Arguments}})
	}
	if m.Content == "" && len(m.Parts) == 0 && len(out.ToolCalls) > 0 {
		out.Content = nil // the key has to be there, as null
	}
	return out
}

func partsFromDomain(parts []domain.ContentPart) []messagePart {
	out := make([]messagePart, 0, len(parts))
	for _, p := range parts {
		if p.ImageURL != "" {
			out = append(out, messagePart{Type: "image_url", ImageURL: &imageURL{p.ImageURL, p.ImageDetail}})
			continue
		}
		out = append(out, messagePart{Type: "text", Text: &p.Text})
	}
	return out
}

func toolChoiceFromDomain(c domain.ToolChoice) any {
	if c.Name != "" {
		named := namedToolChoice{Type: "function"}
		named.Function.Name = c.Name
		return named
	}
	if c.Mode != "" {
		return c.Mode
	}
	return nil
}
