package anthropic_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"gaia/adapters/anthropic"
	"gaia/adapters/internal/upstreamtest"
	"gaia/domain"
)

func prompts() map[string]domain.Prompt {
	const model = "claude-sonnet-4-5-20250929"
	text := func(role domain.Role, content string) domain.PromptMessage {
		return domain.PromptMessage{Role: role, Content: content}
	}
	say := []domain.PromptMessage{text(domain.RoleUser, "Hi")}
	city := domain.Tool{
		Name: "weather", Description: "Weather <now>", Strict: new(true),
		Parameters: map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
	}
	schema := func(strict bool) *domain.ResponseFormat {
		return &domain.ResponseFormat{Type: "json_schema", Schema: map[string]any{
			"name": "answer", "strict": strict, "schema": map[string]any{"type": "object", "additionalProperties": false},
		}}
	}
	return map[string]domain.Prompt{
		"plain": {Model: model, Messages: []domain.PromptMessage{
			text(domain.RoleSystem, "You are Mu."), text(domain.RoleDeveloper, "Be brief."), text(domain.RoleUser, "Hi <you> & me"),
			text(domain.RoleUser, "Are you there?"), text(domain.RoleAssistant, "Beep"), text(domain.RoleUser, " \n"), text(domain.RoleSystem, "Beep no more."),
			text(domain.RoleUser, "Well?"),
		}},
		"answer_first": {Model: model, Messages: []domain.PromptMessage{text(domain.RoleAssistant, "Hello"), text(domain.RoleUser, "Hi")}},
		"go_on":        {Model: model, Messages: []domain.PromptMessage{text(domain.RoleUser, "Count"), text(domain.RoleAssistant, "1, 2, \n")}},
		"settings": {
			Model: model, Messages: say, Temperature: new(1.7), TopP: new(0.5), MaxTokens: new(7), Stop: []string{"a", "b"}, Seed: new(int64(42)),
			PresencePenalty: new(-1.5), FrequencyPenalty: new(0.25), User: "u-1",
		},
		"early_settings": {Model: "claude-3-haiku-20240307", Messages: say, Temperature: new(0.0), TopP: new(0.5), User: strings.Repeat("u", 257)},
		"images": {Model: model, Messages: []domain.PromptMessage{{Role: domain.RoleUser, Parts: []domain.ContentPart{
			{Text: "What is this?"}, {ImageURL: "https://example.com/a.png", ImageDetail: "low"}, {ImageURL: "data:image/PNG;base64,iVBORw0KGgo="}, {Text: ""},
		}}}},
		"tools": {
			Model: model, Tools: []domain.Tool{city, {Name: "ping"}, {Name: "loose", Parameters: map[string]any{"properties": map[string]any{}}}},
			ToolChoice: domain.ToolChoice{Name: "weather"}, ParallelToolCalls: new(false),
			Messages: []domain.PromptMessage{
				text(domain.RoleUser, "Weather?"),
				{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "c1", Name: "weather", Arguments: ` {"city":"Bern"}`}, {ID: "c:2", Name: "ping"}}},
				{Role: domain.RoleTool, ToolCallID: "c1", Content: ""},
				{Role: domain.RoleTool, ToolCallID: "c:2", Parts: []domain.ContentPart{{Text: "pong"}, {ImageURL: "https://example.com/b.png"}}},
				text(domain.RoleUser, "And now?"),
				{Role: domain.RoleAssistant, Content: "Again", ToolCalls: []domain.ToolCall{{ID: "c3", Name: "ping", Arguments: "{oops"}, {ID: "c4", Name: "ping", Arguments: "[1]"}}},
				{Role: domain.RoleTool, ToolCallID: "c3", Content: "pong"},
				{Role: domain.RoleTool, ToolCallID: "c4", Content: "pong"},
			},
		},
		"function":          {Model: model, Messages: append(say, domain.PromptMessage{Role: domain.RoleFunction, Name: "ping", Content: "pong"})},
		"tools_required":    {Model: model, Messages: say, Tools: []domain.Tool{city}, ToolChoice: domain.ToolChoice{Mode: "required"}, ParallelToolCalls: new(true)},
		"tools_none":        {Model: model, Messages: say, Tools: []domain.Tool{city}, ToolChoice: domain.ToolChoice{Mode: "none"}, ParallelToolCalls: new(false)},
		"tools_one_by_one":  {Model: model, Messages: say, Tools: []domain.Tool{city}, ParallelToolCalls: new(false)},
		"tools_early":       {Model: "claude-sonnet-4-20250514", Messages: say, Tools: []domain.Tool{city}, ToolChoice: domain.ToolChoice{Mode: "auto"}},
		"choice_of_nothing": {Model: model, Messages: say, ToolChoice: domain.ToolChoice{Mode: "auto"}},
		"json_object":       {Model: model, Messages: append([]domain.PromptMessage{text(domain.RoleSystem, "Be Mu.")}, say...), ResponseFormat: &domain.ResponseFormat{Type: "json_object"}},
		"json_schema":       {Model: model, Messages: say, ResponseFormat: schema(true)},
		"json_schema_loose": {Model: model, Messages: say, ResponseFormat: schema(false)},
		"json_schema_early": {Model: "claude-3-5-haiku-20241022", Messages: say, ResponseFormat: schema(true)},
		"json_schema_none":  {Model: model, Messages: say, ResponseFormat: &domain.ResponseFormat{Type: "json_schema"}},
		"format_text":       {Model: model, Messages: say, ResponseFormat: &domain.ResponseFormat{Type: "text"}},
	}
}

func TestRequestBodies(t *testing.T) {
	t.Parallel()
	for name, prompt := range prompts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, body := capture(t, anthropic.Config{}, prompt)
			var text bytes.Buffer
			if err := json.Indent(&text, body, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, "request_"+name+".json", text.Bytes())
		})
	}
}

func TestBadDataURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"data:", "data:image/png,abc", "data:;base64,AAAA", "DATA:image/png;base64"} {
		p := domain.Prompt{Messages: []domain.PromptMessage{{Role: domain.RoleUser, Parts: []domain.ContentPart{{ImageURL: url}}}}}
		st, err := anthropic.New(anthropic.Config{BaseURL: "http://127.0.0.1:1"}).Open(t.Context(), p)
		if err == nil {
			st.Close()
		}
		if domain.KindOf(err) != domain.BadRequest {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "/", "/v1", "/v1/"} {
		r, _ := capture(t, anthropic.Config{APIKey: " sk-1\n", BaseURL: version}, domain.Prompt{})
		if r.Method != http.MethodPost || r.URL.Path != "/v1/messages" {
			t.Errorf("got %s %s", r.Method, r.URL)
		}
		for name, want := range map[string]string{
			"X-Api-Key": "sk-1", "Anthropic-Version": "2023-06-01", "Content-Type": "application/json", "Accept": "text/event-stream",
			"User-Agent": "gaia", "Accept-Encoding": "", "Authorization": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	r, _ := capture(t, anthropic.Config{}, domain.Prompt{})
	if _, there := r.Header["X-Api-Key"]; there {
		t.Error("there is a key where none was set")
	}
}

// capture sends a prompt and returns the request that reached the provider. The BaseURL is what follows the address.
func capture(t *testing.T, cfg anthropic.Config, p domain.Prompt) (*http.Request, []byte) {
	t.Helper()
	requests := make(chan *http.Request, 1)
	bodies := make(chan []byte, 1)
	url, _ := upstreamtest.Plain(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
	}))
	cfg.BaseURL = url + cfg.BaseURL
	st, err := completer(t, cfg).Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	return <-requests, <-bodies
}
