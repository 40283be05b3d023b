package anthropic

import (
	"encoding/json"
	"fmt"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// maxCalls bounds the tool calls of one answer, whose places are kept: a provider must not choose how many.
const maxCalls = 128

// wireEvent is any event of the stream, as far as an answer depends on it.
type wireEvent struct {
	Type    string `json:"type"`
	Message struct {
		Usage *wireUsage `json:"usage"`
	} `json:"message"`
	Index int        `json:"index"`
	Block wireBlock  `json:"content_block"`
	Delta wireDelta  `json:"delta"`
	Usage *wireUsage `json:"usage"`
	Error wireError  `json:"error"`
}

type wireBlock struct {
	Type  string          `json:"type"`
	Text  string          `json:"text"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type wireDelta struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	PartialJSON string `json:"partial_json"`
	StopReason  string `json:"stop_reason"`
}

// wireUsage counts what was used so far. What an event leaves out has not changed.
type wireUsage struct {
	Input        *int `json:"input_tokens"`
	CacheRead    *int `json:"cache_read_input_tokens"`
	CacheCreated *int `json:"cache_creation_input_tokens"`
	Output       *int `json:"output_tokens"`
	Details      struct {
		Thinking *int `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

// counts is a usage in the provider's division: its input is what no cache had to do with.
type counts struct{ input, cacheRead, cacheCreated, output, thinking int }

func (c *counts) update(u *wireUsage) {
	if u == nil {
		return
	}
	for _, f := range []struct {
		count *int
		told  *int
	}{
		{&c.input, u.Input}, {&c.cacheRead, u.CacheRead}, {&c.cacheCreated, u.CacheCreated}, {&c.output, u.Output}, {&c.thinking, u.Details.Thinking},
	} {
		if f.told != nil {
			*f.count = max(*f.told, 0)
		}
	}
}

func (c *counts) usage() *domain.Usage {
	u := domain.Usage{
		Input: c.input + c.cacheRead + c.cacheCreated, CachedInput: c.cacheRead, CacheWrite: c.cacheCreated,
		Output: c.output, Reasoning: min(c.thinking, c.output),
	}
	if u.Total() == 0 {
		return nil
	}
	return &u
}

// decoder turns the events of one answer into deltas. It is the upstream.Format of one stream.
type decoder struct {
	counts counts
	calls  []*call
}

// call is a block that asks for a tool.
type call struct {
	block int    // its index among all blocks
	start string // the input that came with its name; the pieces replace it
	begun bool   // a piece of the input is out
	ended bool
}

// Decode returns what an event adds to the answer, or what the provider said instead of going on. The kind of an event is in its
// data too; events and deltas of new kinds may come at any time and add nothing.
func (d *decoder) Decode(_ string, data []byte, p *upstream.Progress) (domain.Delta, *upstream.Said, error) {
	var ev wireEvent
	if err := upstream.Unmarshal(data, &ev); err != nil {
		return domain.Delta{}, nil, err
	}
	switch ev.Type {
	case "message_start":
		d.counts.update(ev.Message.Usage)
		p.Usage = d.counts.usage()
	case "content_block_start":
		p.Begun = true
		return d.startBlock(ev.Index, ev.Block)
	case "content_block_delta":
		p.Begun = true
		return d.growBlock(ev.Index, ev.Delta)
	case "content_block_stop":
		return domain.Delta{ToolCalls: d.endCalls(func(c *call) bool { return c.block == ev.Index })}, nil, nil
	case "message_delta":
		d.counts.update(ev.Usage)
		p.Usage = d.counts.usage()
		return d.finish(ev.Delta.StopReason, p), nil, nil
	case "message_stop":
		p.Ended = true
	case "error":
		said := ev.Error.said()
		return domain.Delta{}, &said, nil
	}
	return domain.Delta{}, nil, nil
}

func (d *decoder) startBlock(index int, b wireBlock) (domain.Delta, *upstream.Said, error) {
	switch b.Type {
	case "text":
		return domain.Delta{Content: b.Text}, nil, nil
	case "tool_use":
		if b.Name == "" || b.ID == "" {
			return domain.Delta{}, nil, fmt.Errorf("%w: a tool call without id or name", upstream.ErrUnreadable)
		}
		if len(d.calls) == maxCalls {
			return domain.Delta{}, nil, fmt.Errorf("%w: more than %d tool calls", upstream.ErrUnreadable, maxCalls)
		}
		d.calls = append(d.calls, &call{block: index, start: inputText(b.Input)})
		return domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: len(d.calls) - 1, ID: b.ID, Name: b.Name}}}, nil, nil
	}
	return domain.Delta{}, nil, nil
}

// inputText is an input that is whole at the start of its block; "{}" stands there when the pieces are still to come.
func inputText(input json.RawMessage) string {
	if len(input) == 0 || string(input) == "null" {
		return "{}"
	}
	return string(input)
}

func (d *decoder) growBlock(index int, in wireDelta) (domain.Delta, *upstream.Said, error) {
	switch in.Type {
	case "text_delta":
		return domain.Delta{Content: in.Text}, nil, nil
	case "input_json_delta":
		for i := len(d.calls) - 1; i >= 0; i-- {
			if c := d.calls[i]; c.block == index && !c.ended && in.PartialJSON != "" {
				c.begun = true
				return domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, Arguments: in.PartialJSON}}}, nil, nil
			}
		}
	}
	return domain.Delta{}, nil, nil // thinking and its signature, citations, inputs of tools that the provider runs itself
}

// endCalls closes calls. One that got no pieces has the input it started with: clients parse arguments, and nothing is no JSON.
func (d *decoder) endCalls(which func(*call) bool) []domain.ToolCallDelta {
	var out []domain.ToolCallDelta
	for i, c := range d.calls {
		if c.ended || !which(c) {
			continue
		}
		c.ended = true
		if !c.begun {
			out = append(out, domain.ToolCallDelta{Index: i, Arguments: c.start})
		}
	}
	return out
}

// finish ends the answer, once. Later events of the same kind can only correct the usage.
func (d *decoder) finish(reason string, p *upstream.Progress) domain.Delta {
	if reason == "" || p.Finished {
		return domain.Delta{}
	}
	p.Begun, p.Finished = true, true
	return domain.Delta{ToolCalls: d.endCalls(func(*call) bool { return true }), Finish: finishReason(reason)}
}

func finishReason(s string) domain.FinishReason {
	switch s {
	case "max_tokens", "model_context_window_exceeded",
		"pause_turn": // only with tools that the provider runs itself, which Gaia does not ask for; the answer is not whole
		return domain.FinishLength
	case "tool_use":
		return domain.FinishToolCalls
	case "refusal":
		return domain.FinishContentFilter
	default:
		return domain.FinishStop
	}
}
