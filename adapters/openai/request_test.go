package openai_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gaia/adapters/openai"
	"gaia/domain"
)

func prompts() map[string]domain.Prompt {
	say := []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hi"}}
	city := domain.Tool{
		Name: "weather", Description: "Weather <now>", Strict: new(true),
		Parameters: map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
	}
	everything := []domain.PromptMessage{
		{Role: domain.RoleDeveloper, Content: "Be brief."}, {Role: domain.RoleUser, Content: "Weather?", Name: "ada"},
		{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{
			{ID: "call_abc", Name: "weather", Arguments: `{"city":"Bern"}`}, {ID: "abcDEF012", Name: "ping", Arguments: "{}"},
		}},
		{Role: domain.RoleTool, ToolCallID: "call_abc", Content: "Rain"}, {Role: domain.RoleTool, ToolCallID: "abcDEF012", Content: "pong"},
	}
	return map[string]domain.Prompt{
		"plain": {Model: "gpt-4o-mini", Messages: []domain.PromptMessage{
			{Role: domain.RoleSystem, Content: "You are Mu."}, {Role: domain.RoleDeveloper, Content: "Be brief."},
			{Role: domain.RoleUser, Content: "Hi <you> & me", Name: "ada"}, {Role: domain.RoleAssistant, Content: "Beep"},
			{Role: domain.RoleUser},
		}},
		"settings": {
			Model: "gpt-4o", Messages: say, Temperature: new(0.0), TopP: new(0.5), MaxTokens: new(7), Stop: []string{"a", "b"}, Seed: new(int64(42)),
			PresencePenalty: new(-1.5), FrequencyPenalty: new(0.25), User: "u-1",
		},
		"new_limit": {Model: "o4-mini", Messages: say, MaxTokens: new(7)},
		"images": {Model: "gpt-4o", Messages: []domain.PromptMessage{{Role: domain.RoleUser, Parts: []domain.ContentPart{
			{Text: "What is this?"}, {ImageURL: "https://example.com/a.png", ImageDetail: "low"}, {ImageURL: "data:image/png;base64,AAAA"}, {Text: ""},
		}}}},
		"tools": {
			Model: "gpt-4o", Tools: []domain.Tool{city, {Name: "ping"}}, ToolChoice: domain.ToolChoice{Name: "weather"}, ParallelToolCalls: new(false),
			Messages: []domain.PromptMessage{
				{Role: domain.RoleUser, Content: "Weather?"},
				{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "c1", Name: "weather", Arguments: `{"city":"Bern"}`}}},
				{Role: domain.RoleTool, ToolCallID: "c1", Content: ""},
				{Role: domain.RoleAssistant, Content: "Both", ToolCalls: []domain.ToolCall{{ID: "c2", Name: "ping", Arguments: "{}"}}},
				{Role: domain.RoleTool, ToolCallID: "c2", Content: "pong"},
			},
		},
		"tools_required": {Model: "gpt-4o", Messages: say, Tools: []domain.Tool{city}, ToolChoice: domain.ToolChoice{Mode: "required"}},
		"gemini": {
			Model: "gemini-2.5-flash", Messages: everything, Temperature: new(1.7), TopP: new(0.5), MaxTokens: new(7), Stop: []string{"a"}, Seed: new(int64(42)),
			PresencePenalty: new(-1.5), FrequencyPenalty: new(0.25), User: "u-1", Tools: []domain.Tool{city, {Name: "ping"}},
			ToolChoice: domain.ToolChoice{Mode: "required"}, ParallelToolCalls: new(false),
		},
		"gemini_signed": {Model: "gemini-3-pro-preview", Messages: everything, Tools: []domain.Tool{city}},
		"mistral": {
			Model: "mistral-small-latest", Messages: everything, Temperature: new(1.7), TopP: new(0.5), MaxTokens: new(7), Stop: []string{"a"}, Seed: new(int64(42)),
			PresencePenalty: new(-1.5), FrequencyPenalty: new(0.25), User: "u-1", Tools: []domain.Tool{city, {Name: "ping"}},
			ToolChoice: domain.ToolChoice{Mode: "required"}, ParallelToolCalls: new(false),
		},
		"mistral_tool": {Model: "mistral-small-latest", Messages: say, Temperature: new(0.3), Tools: []domain.Tool{city}, ToolChoice: domain.ToolChoice{Name: "weather"}},
		"json_object":  {Model: "gpt-4o", Messages: say, ResponseFormat: &domain.ResponseFormat{Type: "json_object"}},
		"json_schema": {Model: "gpt-4o", Messages: say, ResponseFormat: &domain.ResponseFormat{Type: "json_schema", Schema: map[string]any{
			"name": "answer", "strict": true, "schema": map[string]any{"type": "object"},
		}}},
	}
}

func TestRequestBodies(t *testing.T) {
	t.Parallel()
	for name, prompt := range prompts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, body := capture(t, openai.Config{Dialect: dialect(name)}, prompt)
			var indented bytes.Buffer
			if err := json.Indent(&indented, body, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "request_"+name+".json")
			if *update {
				if err := os.WriteFile(golden, indented.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(indented.Bytes(), want) {
				t.Errorf("got %s\nwant %s", indented.Bytes(), want)
			}
		})
	}
}

func TestTokenLimitByModel(t *testing.T) {
	t.Parallel()
	for model, key := range map[string]string{
		"gpt-4o": "max_tokens", "gpt-4.1-mini": "max_tokens", "gpt-3.5-turbo": "max_tokens", "omni": "max_tokens", "openai/gpt-oss-20b": "max_tokens",
		"llama3": "max_tokens", "o1": "max_completion_tokens", "o4-mini-2025-04-16": "max_completion_tokens",
		"gpt-5": "max_completion_tokens", "gpt-5.2-nano": "max_completion_tokens", "openai/gpt-5-mini": "max_completion_tokens",
		"gpt-10": "max_completion_tokens",
	} {
		_, body := capture(t, openai.Config{}, domain.Prompt{Model: model, MaxTokens: new(5)})
		var object map[string]any
		if err := json.Unmarshal(body, &object); err != nil {
			t.Fatal(err)
		}
		_, old := object["max_tokens"]
		_, late := object["max_completion_tokens"]
		if old == late || object[key] != 5.0 {
			t.Errorf("%s got %s, want %s", model, body, key)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	r, _ := capture(t, openai.Config{APIKey: " sk-1\n", Organization: "org-1"}, domain.Prompt{})
	if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
		t.Errorf("got %s %s", r.Method, r.URL)
	}
	want := http.Header{
		"Authorization": {"Bearer sk-1"}, "Openai-Organization": {"org-1"}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"},
		"User-Agent": {"gaia"},
	}
	for name, value := range want {
		if !reflect.DeepEqual(r.Header[name], value) {
			t.Errorf("%s is %q, want %q", name, r.Header[name], value)
		}
	}
	if r.Header.Get("Accept-Encoding") != "" {
		t.Error("the request invites a compressed stream, which arrives in lumps")
	}
	r, _ = capture(t, openai.Config{}, domain.Prompt{})
	if r.Header.Get("Authorization") != "" {
		t.Error("there is a key where none was set")
	}
}

// capture sends a prompt and returns the request that reached the provider.
func capture(t *testing.T, cfg openai.Config, p domain.Prompt) (*http.Request, []byte) {
	t.Helper()
	requests := make(chan *http.Request, 1)
	bodies := make(chan []byte, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
	}))
	defer server.Close()
	cfg.BaseURL = server.URL + "/v1"
	c := openai.New(cfg)
	defer c.CloseIdle()
	st, err := c.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	return <-requests, <-bodies
}
