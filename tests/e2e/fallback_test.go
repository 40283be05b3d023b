package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// startTwo starts a server with openai as the default provider and a compatible one to fall back on.
func startTwo(t *testing.T, more ...gaiatest.Settings) (server *gaiatest.Server, first, second *upstream.Server) {
	t.Helper()
	first, settings := startUpstream(t)
	second, _ = startUpstream(t)
	second.Plays("other", upstream.Script{Word: "other "})
	both := gaiatest.Settings{
		"COMPATIBLE_BASE_URL": second.OpenAI(), "COMPATIBLE_API_KEY": upstream.Key, "COMPATIBLE_MODELS": "other",
		"STREAM_FIRST_EVENT_WAIT": "0.2", "LLM_FIRST_TOKEN_TIMEOUT": "1", "LLM_MAX_RETRIES": "1",
	}
	return gaiatest.Start(t, append([]gaiatest.Settings{settings, both}, more...)...), first, second
}

func TestAnotherProviderAnswers(t *testing.T) {
	t.Parallel()
	server, first, second := startTwo(t, gaiatest.Settings{"STREAM_FIRST_EVENT_WAIT": "10"}) // longer than a busy machine needs
	first.Plays("gpt-4o-mini", upstream.Script{Status: 500})
	for _, path := range jsonRoutes[:2] {
		answer := server.As(uuid.NewString()).Post(path, message("Hi")).Want(http.StatusOK).JSON()
		if answer.At("fallback_used") != true || answer.Text("provider") != "compatible" || answer.Text("model") != "other" {
			t.Errorf("%s: got %v", path, answer.Fields)
		}
		wantText(t, answer.Text("response"), "other other")
	}
	c := server.As(uuid.NewString())
	events := c.Stream(t.Context(), typedRoute, message("Hi")).All()
	for _, e := range events {
		switch e.Fields["type"] {
		case "model_selection", "content":
			if e.Fields["provider"] != "compatible" {
				t.Errorf("got %s", e.Data)
			}
		case "metadata":
			if e.Fields["fallback_used"] != true {
				t.Errorf("got %s", e.Data)
			}
		case "error", "fallback_attempt":
			t.Errorf("got %s before anybody had heard of the first provider", e.Data)
		}
	}
	// Who says no gets the error, and so does an OpenAI client that names a model.
	no := server.As(uuid.NewString())
	no.Post("/api/v0.2/chat", with(message("Hi"), "enable_fallback", false)).Want(http.StatusServiceUnavailable)
	no.Post("/api/v1/chat/completions", map[string]any{"model": "gpt-4o-mini", "messages": []any{userMessage("Hi")}}).Want(http.StatusServiceUnavailable)
	if n := len(second.Books()); n != 3 {
		t.Errorf("the second provider served %d requests", n)
	}
}

func userMessage(text string) map[string]any { return map[string]any{"role": "user", "content": text} }

// TestLateFallbackIsTold: a client that has heard of the first model hears of its failure and of the change.
func TestLateFallbackIsTold(t *testing.T) {
	t.Parallel()
	server, first, _ := startTwo(t)
	first.Plays("gpt-4o-mini", upstream.Script{BeforeStatus: time.Minute})
	events := server.As(uuid.NewString()).Stream(t.Context(), typedRoute, message("Hi")).All()
	var kinds []string
	for _, e := range events {
		if kind, _ := e.Fields["type"].(string); kind != "" && (len(kinds) == 0 || kinds[len(kinds)-1] != kind) {
			kinds = append(kinds, kind)
		}
		if e.Fields["type"] == "error" && (e.Fields["fallback_available"] != true || e.Fields["provider"] != "openai") {
			t.Errorf("got %s", e.Data)
		}
		if e.Fields["type"] == "content" && e.Fields["provider"] != "compatible" {
			t.Errorf("got %s", e.Data)
		}
	}
	want := []string{"start", "ready", "model_selection", "error", "fallback_attempt", "content", "metadata", "complete"}
	if len(kinds) != len(want) {
		t.Fatalf("got %v, want %v", kinds, want)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Fatalf("got %v, want %v", kinds, want)
		}
	}
}

// TestSelectionByWish: who says what matters gets a model of a provider that is there, and a reason.
func TestSelectionByWish(t *testing.T) {
	t.Parallel()
	_, settings := startUpstream(t)
	c := gaiatest.Start(t, settings).Client()
	for wish, model := range map[string]string{"quality": "gpt-4o", "cost": "gpt-4o-mini"} {
		answer := c.Post("/api/v0.2/chat", with(message("Explain the plan."), "priority", wish)).Want(http.StatusOK).JSON()
		if answer.Text("model") != model || answer.Text("provider") != "openai" {
			t.Errorf("%s: got %v", wish, answer.Fields)
		}
		wantText(t, answer.Text("reasoning"), "conversation")
	}
}

// TestUIMessageStream: the third protocol, chosen by either header.
func TestUIMessageStream(t *testing.T) {
	t.Parallel()
	provider, settings := startUpstream(t)
	provider.Plays("tools", upstream.Script{Calls: []upstream.Call{{ID: "call_1", Name: "look", Arguments: []string{`{"at":`, `"door"}`}}}})
	server := gaiatest.Start(t, settings)
	for header, value := range map[string]string{"X-Vercel-AI-UI-Message-Stream": "v1", "Accept": "text/x-vercel-ai-ui-message-stream"} {
		for _, path := range openAIRoutes {
			s := server.Client().With(header, value).Stream(t.Context(), path, message("Hi"))
			if s.Header.Get("X-Vercel-AI-UI-Message-Stream") != "v1" {
				t.Errorf("%s: headers %v", path, s.Header)
			}
			kinds := ""
			for _, e := range s.All() {
				if kind, _ := e.Fields["type"].(string); kind != "text-delta" {
					kinds += kind + " "
				}
			}
			if want := "start start-step text-start text-end finish-step finish  "; kinds != want {
				t.Errorf("%s: got %q, want %q", path, kinds, want)
			}
		}
	}
	events := server.Client().With("Accept", "text/x-vercel-ai-ui-message-stream").Stream(t.Context(), "/api/v1/chat/completions", map[string]any{
		"model": "tools", "provider": "openai", "messages": []any{userMessage("Look.")},
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "look"}}},
	}).All()
	found := false
	for _, e := range events {
		if e.Fields["type"] == "tool-input-available" {
			input, _ := e.Fields["input"].(map[string]any)
			found = input["at"] == "door" && e.Fields["toolName"] == "look"
		}
	}
	if !found {
		t.Errorf("no whole call in %v", events)
	}
}
