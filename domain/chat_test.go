package domain_test

import (
	"reflect"
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
