package domain

import "strings"

// Role says who speaks.
type Role string

// The roles of OpenAI's chat format, "developer" and the old "function" included.
const (
	RoleSystem    Role = "system"
	RoleDeveloper Role = "developer"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
	RoleFunction  Role = "function"
)

// FinishReason says why a model stopped.
type FinishReason string

// The reasons of OpenAI's format; every provider's own words are mapped to them.
const (
	FinishStop          FinishReason = "stop"
	FinishLength        FinishReason = "length"
	FinishToolCalls     FinishReason = "tool_calls"
	FinishContentFilter FinishReason = "content_filter"
)

// Prompt is what a provider gets: everything that decides an answer, in no provider's format.
type Prompt struct {
	Model             string
	Messages          []PromptMessage // system messages first
	Temperature       *float64
	TopP              *float64
	MaxTokens         *int
	Stop              []string
	Seed              *int64
	PresencePenalty   *float64
	FrequencyPenalty  *float64
	User              string // opaque id of the end user, for the provider's abuse detection
	Tools             []Tool
	ToolChoice        ToolChoice
	ParallelToolCalls *bool
	ResponseFormat    *ResponseFormat
}

// PromptMessage is one message of a prompt. Either Content or Parts is set; an assistant message with tool calls may have neither.
type PromptMessage struct {
	Role       Role
	Content    string
	Parts      []ContentPart
	Name       string
	ToolCalls  []ToolCall
	ToolCallID string
}

// ContentPart is a piece of a message: text, or an image by URL (http, https or data).
type ContentPart struct {
	Text        string
	ImageURL    string
	ImageDetail string // "", "auto", "low" or "high"
}

// Tool describes a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  map[string]any // JSON Schema; nil for none
	Strict      *bool
}

// ToolChoice says whether and what the model has to call. The zero value leaves it to the provider.
type ToolChoice struct {
	Mode string // "", "none", "auto", "required"
	Name string // a function that must be called; Mode is then empty
}

// ResponseFormat asks for JSON.
type ResponseFormat struct {
	Type   string         // "text", "json_object" or "json_schema"
	Schema map[string]any // for json_schema: the provider's json_schema object
}

// ToolCall is a finished call that a model asked for. Arguments is JSON as text.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
}

// ToolCallDelta is a piece of a call. ID and Name come in the first piece of an Index; Arguments pieces add up.
type ToolCallDelta struct {
	Index     int
	ID        string
	Name      string
	Arguments string
}

// Delta is one step of an answer. Any field may be empty; Finish comes once, Usage at most once and not before Finish.
type Delta struct {
	Content   string
	Refusal   string
	ToolCalls []ToolCallDelta
	Finish    FinishReason
	Usage     *Usage
}

// Usage counts tokens. Input includes CachedInput and CacheWrite, Output includes Reasoning.
type Usage struct {
	Input       int
	Output      int
	CachedInput int // of Input: read from the provider's cache of prompts
	CacheWrite  int // of Input: written to that cache
	Reasoning   int // of Output
	Source      UsageSource
}

// UsageSource says who counted tokens.
type UsageSource string

// The sources. Adapters leave it empty, which means the provider; whoever counts instead says so.
const (
	UsageFromProvider UsageSource = "provider"
	UsageEstimated    UsageSource = "estimated" // a whole answer whose provider did not count
	UsagePartial      UsageSource = "partial"   // counted up to where an answer broke off
)

// Total is input plus output.
func (u Usage) Total() int { return u.Input + u.Output }

// Answer is a whole answer, put together from its deltas.
type Answer struct {
	Content   string
	Refusal   string
	ToolCalls []ToolCall
	Finish    FinishReason
	Usage     *Usage // nil until the provider told
}

// maxToolCalls bounds what the indices of a provider can make an answer hold.
const maxToolCalls = 128

// AnswerBuilder puts an answer together from its deltas. The zero value is empty; it must not be copied.
type AnswerBuilder struct {
	content, refusal strings.Builder
	answer           Answer
}

// Add takes the next delta into the answer.
func (b *AnswerBuilder) Add(d Delta) {
	b.content.WriteString(d.Content)
	b.refusal.WriteString(d.Refusal)
	for _, c := range d.ToolCalls {
		if c.Index < 0 || c.Index >= maxToolCalls {
			continue
		}
		for len(b.answer.ToolCalls) <= c.Index {
			b.answer.ToolCalls = append(b.answer.ToolCalls, ToolCall{})
		}
		call := &b.answer.ToolCalls[c.Index]
		call.ID += c.ID
		call.Name += c.Name
		call.Arguments += c.Arguments
	}
	if d.Finish != "" {
		b.answer.Finish = d.Finish
	}
	if d.Usage != nil {
		b.answer.Usage = d.Usage
	}
}

// Answer is what was added so far.
func (b *AnswerBuilder) Answer() Answer {
	a := b.answer
	a.Content, a.Refusal = b.content.String(), b.refusal.String()
	return a
}

// Empty tells whether the answer says nothing yet.
func (a Answer) Empty() bool { return a.Content == "" && a.Refusal == "" && len(a.ToolCalls) == 0 }

// charsPerToken is the rule of thumb that stands in where no provider counted.
const charsPerToken = 4

// EstimateTokens guesses how many tokens a text of so many characters has: at least one for any text.
func EstimateTokens(chars int) int { return (chars + charsPerToken - 1) / charsPerToken }
