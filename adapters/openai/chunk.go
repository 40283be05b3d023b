package openai

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// maxCalls bounds the tool calls of one answer: their places are kept in a slice, whose size a provider must not choose.
const maxCalls = 128

// endMark is what stands in the last event instead of JSON.
const endMark = "[DONE]"

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

// decoder turns the chunks of one answer into deltas. It is the upstream.Format of one stream.
type decoder struct {
	dialect Dialect
	calls   callTracker
}

// Decode returns what an event adds to the answer, or what the provider said instead of going on.
func (d *decoder) Decode(name string, data []byte, p *upstream.Progress) (domain.Delta, *upstream.Said, error) {
	if string(data) == endMark {
		p.Ended = true
		return domain.Delta{}, nil, nil
	}
	if name == "error" || bytes.HasPrefix(data, []byte("[")) { // Gemini puts errors into a list
		said, _ := parseError(data)
		return domain.Delta{}, (*upstream.Said)(&said), nil
	}
	var c chunk
	if err := upstream.Unmarshal(data, &c); err != nil {
		return domain.Delta{}, nil, err
	}
	if c.Error != nil {
		return domain.Delta{}, (*upstream.Said)(c.Error), nil
	}
	if c.Usage != nil && c.Usage.toDomain().Total() > 0 {
		usage := c.Usage.toDomain()
		p.Usage = &usage
	}
	if len(c.Choices) == 0 && c.Usage == nil { // Mistral's errors have their fields at the top
		if said, ok := parseError(data); ok {
			return domain.Delta{}, (*upstream.Said)(&said), nil
		}
	}
	for _, choice := range c.Choices {
		if choice.Index == 0 { // Gaia asks for one answer only
			return d.choice(choice.Delta, choice.FinishReason, p)
		}
	}
	return domain.Delta{}, nil, nil
}

func (d *decoder) choice(in chunkDelta, finish string, p *upstream.Progress) (domain.Delta, *upstream.Said, error) {
	out := domain.Delta{Content: in.Content.text, Refusal: in.Refusal}
	for _, fragment := range in.ToolCalls {
		piece, err := d.calls.add(fragment)
		if err != nil {
			return domain.Delta{}, nil, err
		}
		if piece != (domain.ToolCallDelta{Index: piece.Index}) {
			out.ToolCalls = append(out.ToolCalls, piece)
		}
	}
	if out.Content != "" || in.Content.parts || out.Refusal != "" || len(in.ToolCalls) > 0 || isSet(in.ReasoningContent) || isSet(in.Reasoning) {
		p.Begun = true
	}
	if finish == "" || p.Finished {
		return out, nil, nil
	}
	word := finishWord(finish)
	switch word {
	case "error", "insufficient_system_resource", "function_call_filter", "malformed_function_call", "unexpected_tool_call":
		return domain.Delta{}, &upstream.Said{Type: word}, nil
	}
	if !d.calls.complete() {
		return domain.Delta{}, nil, fmt.Errorf("%w: a tool call has no name", upstream.ErrUnreadable)
	}
	p.Begun, p.Finished = true, true
	out.Finish = d.dialect.finish(finishReason(word), len(d.calls.calls))
	return out, nil, nil
}

// finishReason takes the words of OpenAI and those that compatible providers let through from their own formats.
func finishReason(word string) domain.FinishReason {
	switch word {
	case "length", "max_tokens", "model_length":
		return domain.FinishLength
	case "tool_calls", "tool_use", "function_call":
		return domain.FinishToolCalls
	case "content_filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content", "spii", "image_safety":
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
type looseText struct {
	text  string
	parts bool // there were parts, be they only thoughts
}

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
			t.parts = true
			if p.Type == "text" {
				t.text += p.Text
			}
		}
		return nil
	}
	return json.Unmarshal(data, &t.text)
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
