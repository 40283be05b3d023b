package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gaia/domain"
)

// maxCalls bounds the tool calls of one answer: their places are kept in a slice, whose size a provider must not choose.
const maxCalls = 128

var (
	errNotChunk  = errors.New("openai: not a chat completion chunk")
	errBrokenOff = errors.New("openai: stream ended before the finish reason")
)

// chunk is a chat.completion.chunk, as far as an answer depends on it.
type chunk struct {
	Choices []struct {
		Index        int        `json:"index"`
		Delta        chunkDelta `json:"delta"`
		FinishReason string     `json:"finish_reason"`
	} `json:"choices"`
	Usage *chunkUsage    `json:"usage"`
	Error *providerError `json:"error"`
}

type chunkDelta struct {
	Content          looseText       `json:"content"`
	Refusal          string          `json:"refusal"`
	ToolCalls        []callFragment  `json:"tool_calls"`
	ReasoningContent json.RawMessage `json:"reasoning_content"`
	Reasoning        json.RawMessage `json:"reasoning"`
}

type callFragment struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string         `json:"name"`
		Arguments looseArguments `json:"arguments"`
	} `json:"function"`
}

type chunkUsage struct {
	PromptTokens        int `json:"prompt_tokens"`
	CompletionTokens    int `json:"completion_tokens"`
	TotalTokens         int `json:"total_tokens"`
	PromptTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// decoder turns the chunks of one answer into deltas.
type decoder struct {
	calls    callTracker
	begun    bool // the model has begun to answer, or to think aloud
	finished bool
	usage    *domain.Usage // told at the end: some providers count in every chunk, and only the last count is right
}

// decode returns what an event adds to the answer, or what the provider said instead of going on.
func (d *decoder) decode(ev event) (domain.Delta, *providerError, error) {
	if ev.name == "error" {
		said, _ := parseError(ev.data)
		return domain.Delta{}, &said, nil
	}
	var c chunk
	if err := json.Unmarshal(ev.data, &c); err != nil {
		return domain.Delta{}, nil, fmt.Errorf("%w: %w", errNotChunk, withoutInput(err))
	}
	if c.Error != nil {
		return domain.Delta{}, c.Error, nil
	}
	if c.Usage != nil && c.Usage.toDomain().Total() > 0 {
		usage := c.Usage.toDomain()
		d.usage = &usage
	}
	for _, choice := range c.Choices {
		if choice.Index == 0 { // Gaia asks for one answer only
			return d.choice(choice.Delta, choice.FinishReason)
		}
	}
	return domain.Delta{}, nil, nil
}

func (d *decoder) choice(in chunkDelta, finish string) (domain.Delta, *providerError, error) {
	out := domain.Delta{Content: string(in.Content), Refusal: in.Refusal}
	for _, fragment := range in.ToolCalls {
		piece, err := d.calls.add(fragment)
		if err != nil {
			return domain.Delta{}, nil, err
		}
		if piece != (domain.ToolCallDelta{Index: piece.Index}) {
			out.ToolCalls = append(out.ToolCalls, piece)
		}
	}
	if out.Content != "" || out.Refusal != "" || len(in.ToolCalls) > 0 || isSet(in.ReasoningContent) || isSet(in.Reasoning) {
		d.begun = true
	}
	if finish == "" || d.finished {
		return out, nil, nil
	}
	if finish == "error" || finish == "insufficient_system_resource" {
		return domain.Delta{}, &providerError{Type: finish}, nil
	}
	if !d.calls.complete() {
		return domain.Delta{}, nil, fmt.Errorf("%w: a tool call has no name", errNotChunk)
	}
	d.begun, d.finished = true, true
	out.Finish = finishReason(finish)
	return out, nil, nil
}

// finishReason takes the words of OpenAI and those that compatible providers let through from their own formats.
func finishReason(s string) domain.FinishReason {
	switch strings.ToLower(s) {
	case "length", "max_tokens", "model_length":
		return domain.FinishLength
	case "tool_calls", "tool_use", "function_call":
		return domain.FinishToolCalls
	case "content_filter", "safety", "refusal":
		return domain.FinishContentFilter
	default:
		return domain.FinishStop
	}
}

func (u *chunkUsage) toDomain() domain.Usage {
	usage := domain.Usage{
		Input: max(u.PromptTokens, 0), Output: max(u.CompletionTokens, 0),
		CachedInput: max(u.PromptTokensDetails.CachedTokens, 0), Reasoning: max(u.CompletionTokensDetails.ReasoningTokens, 0),
	}
	// Some providers leave the model's thinking out of completion_tokens and put it into the total only. It is paid for.
	usage.Output = max(usage.Output, u.TotalTokens-usage.Input)
	return usage
}

// looseText is a text, or a list of parts whose texts belong together; null is no text.
type looseText string

// UnmarshalJSON takes all three.
func (t *looseText) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal(data, &parts); err != nil {
			return err
		}
		for _, p := range parts {
			if p.Type == "text" {
				*t += looseText(p.Text)
			}
		}
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// looseArguments is JSON as text, or the object itself; null is nothing.
type looseArguments string

// UnmarshalJSON takes all three.
func (a *looseArguments) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		return json.Unmarshal(data, (*string)(a))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return err
	}
	*a = looseArguments(compact.String())
	return nil
}

func isSet(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null" && string(raw) != `""`
}

// withoutInput drops the piece of input that a decoding error repeats: it may be a prompt.
func withoutInput(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("bad JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("wrong type for %s at byte %d", kind.Field, kind.Offset)
	default:
		return errors.New("unexpected JSON")
	}
}
