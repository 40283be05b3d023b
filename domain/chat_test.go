package domain_test

import (
	"reflect"
	"strings"
	"testing"

	"gaia/domain"
)

func TestAnswerAddsUp(t *testing.T) {
	t.Parallel()
	usage := &domain.Usage{Input: 3, Output: 4}
	var b domain.AnswerBuilder
	for _, d := range []domain.Delta{
		{},
		{Content: "Hel"},
		{Content: "lo", Refusal: "n"},
		{Refusal: "o"},
		{ToolCalls: []domain.ToolCallDelta{{Index: 0, ID: "c0", Name: "add", Arguments: `{"a":`}}},
		{ToolCalls: []domain.ToolCallDelta{{Index: 1, ID: "c1", Name: "sub"}, {Index: 0, Arguments: "1"}}},
		{ToolCalls: []domain.ToolCallDelta{{Index: 0, Arguments: "}"}, {Index: 1, Arguments: "{}"}}},
		{Finish: domain.FinishToolCalls},
		{Usage: usage},
	} {
		b.Add(d)
	}
	want := domain.Answer{
		Content: "Hello", Refusal: "no", Finish: domain.FinishToolCalls, Usage: usage,
		ToolCalls: []domain.ToolCall{{ID: "c0", Name: "add", Arguments: `{"a":1}`}, {ID: "c1", Name: "sub", Arguments: "{}"}},
	}
	if a := b.Answer(); !reflect.DeepEqual(a, want) {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}

// A provider decides the indices, so no index may cost memory or end the process.
func TestAnswerIgnoresImpossibleIndices(t *testing.T) {
	t.Parallel()
	var b domain.AnswerBuilder
	for _, index := range []int{-1, 1 << 40, -1 << 63} {
		b.Add(domain.Delta{Content: "x", ToolCalls: []domain.ToolCallDelta{{Index: index, ID: "c", Name: "add"}}})
	}
	if a := b.Answer(); len(a.ToolCalls) != 0 || a.Content != "xxx" {
		t.Errorf("got %+v", a)
	}
	b.Add(domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 127, ID: "last"}}})
	if a := b.Answer(); len(a.ToolCalls) != 128 || a.ToolCalls[127].ID != "last" {
		t.Errorf("got %d calls, want 128", len(a.ToolCalls))
	}
}

func TestEstimateTokens(t *testing.T) {
	t.Parallel()
	for chars, want := range map[int]int{0: 0, 1: 1, 4: 1, 5: 2, 400: 100, 401: 101} {
		if got := domain.EstimateTokens(chars); got != want {
			t.Errorf("%d characters gave %d tokens, want %d", chars, got, want)
		}
	}
}

func TestMostTokens(t *testing.T) {
	t.Parallel()
	text := domain.PromptMessage{Role: domain.RoleUser, Content: strings.Repeat("word", 100)}
	image := domain.PromptMessage{Role: domain.RoleUser, Parts: []domain.ContentPart{{Text: "What?"}, {ImageURL: "https://example.com/a.png"}}}
	tool := domain.Tool{Name: "look", Description: strings.Repeat("long", 50), Parameters: map[string]any{"type": "object", "about": strings.Repeat("deep", 80)}}
	schema := &domain.ResponseFormat{Type: "json_schema", Schema: map[string]any{"about": strings.Repeat("deep", 60)}}
	for name, c := range map[string]struct {
		prompt domain.Prompt
		least  int
		most   int
	}{
		"nothing": {domain.Prompt{}, 0, 0},
		"text":    {domain.Prompt{Messages: []domain.PromptMessage{text}}, 200, 200},
		"image":   {domain.Prompt{Messages: []domain.PromptMessage{image}}, 5004, 5004},
		"tools":   {domain.Prompt{Tools: []domain.Tool{tool, tool}}, 2 * 2 * (51 + 80), 2 * 2 * (51 + 80 + 20)},
		"schema":  {domain.Prompt{ResponseFormat: schema}, 120, 140},
	} {
		if got := c.prompt.MostTokens(); got < c.least || got > c.most {
			t.Errorf("%s: got %d, want %d to %d", name, got, c.least, c.most)
		}
	}
}

func TestEstimateUsage(t *testing.T) {
	t.Parallel()
	prompt := []domain.PromptMessage{
		{Role: domain.RoleSystem, Content: "äöüß"}, // 4 characters, 8 bytes
		{Role: domain.RoleUser, Parts: []domain.ContentPart{{Text: "12345678"}, {ImageURL: "https://example.com/a-very-long-address.png"}}},
		{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "c", Name: "add", Arguments: `{"a":12}`}}},
	}
	answer := domain.Answer{Content: "ßß", Refusal: "ßß", ToolCalls: []domain.ToolCall{{Name: "ab", Arguments: "{}"}, {Name: "x", Arguments: "{}"}}}
	got := domain.EstimateUsage(prompt, answer)
	if want := (domain.Usage{Input: 1 + 2 + 2, Output: 1 + 1 + 1, Source: domain.UsageEstimated}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Total() != 8 {
		t.Errorf("the total is %d", got.Total())
	}
	if empty := domain.EstimateUsage(nil, domain.Answer{}); empty != (domain.Usage{Source: domain.UsageEstimated}) {
		t.Errorf("nothing costs %+v", empty)
	}
}
