package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// patience is how long a test waits for what should come soon.
const patience = time.Minute

// The routes that answer a message, in the two forms that an answer has.
var (
	jsonRoutes   = []string{"/api/v0.2/chat", "/api/v1/chat", "/api/v1/chat/completions"}
	openAIRoutes = jsonRoutes
	typedRoute   = "/api/v0.2/chat/stream"
)

func message(text string) map[string]any { return map[string]any{"message": text} }

func with(body map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range body {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func say(t *testing.T, c *gaiatest.Client, body map[string]any) string {
	t.Helper()
	return c.Post("/api/v0.2/chat", body).Want(http.StatusOK).JSON().Text("response")
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not contain %q", text, part)
		}
	}
}

func wantCount(t *testing.T, c *gaiatest.Client, count float64) {
	t.Helper()
	for _, path := range []string{"/api/v0.2/chat/status", "/api/v1/chat/status"} {
		status := c.Get(path).Want(http.StatusOK).JSON()
		if status.Number("message_count") != count || status.At("has_history") != (count > 0) {
			t.Errorf("%s is %v, want %v messages", path, status.Fields, count)
		}
	}
}

func TestAllRoutesShareOneConversation(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		wantCount(t, c, 0)
		for i, path := range jsonRoutes {
			answer := c.Post(path, message("Hello there")).Want(http.StatusOK).JSON()
			wantText(t, answer.Text("response"), "Mu here", `You said: "Hello there"`, "This is message "+string(rune('1'+2*i))+" of our conversation")
			if answer.Text("provider") != "echo" || answer.Text("model") != "echo" || answer.Number("usage", "total_tokens") == 0 {
				t.Errorf("%s: %v", path, answer.Fields)
			}
			wantCount(t, c, float64(2*i+2))
		}
		typed := c.Stream(t.Context(), typedRoute, message("And now")).All()
		wantText(t, gaiatest.Text(typed), `You said: "And now"`, "This is message 7")
		chunks := c.Stream(t.Context(), "/api/v1/chat", with(message("And then"), "stream", true)).All()
		wantText(t, gaiatest.Text(chunks), `You said: "And then"`, "This is message 9")
		wantCount(t, c, 10)

		for _, path := range []string{"/api/v0.2/chat/history", "/api/v0.2/chat/stream/history", "/api/v1/chat/history"} {
			say(t, c, message("Forget this"))
			c.Delete(path).Want(http.StatusOK)
			wantCount(t, c, 0)
		}
		c.Delete("/api/v1/chat/history").Want(http.StatusOK) // clearing nothing is no error
		wantText(t, say(t, c, message("Hello again")), "This is message 1 of")
	})
}

func TestWordsArriveOneByOne(t *testing.T) {
	t.Parallel()
	const pause = 20 * time.Millisecond
	server := gaiatest.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "0.02"})
	for _, path := range append([]string{typedRoute}, openAIRoutes...) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			c, fault := server.As(uuid.NewString()), ""
			for range 10 { // a busy machine makes lumps now and then, a buffer makes them every time
				begun := time.Now()
				stream := c.Stream(t.Context(), path, with(message("Tell me a story that takes its time"), "stream", true))
				var arrived []time.Time
				for _, e := range stream.All() {
					if gaiatest.Text([]gaiatest.Event{e}) != "" {
						arrived = append(arrived, e.Arrived)
					}
				}
				if len(arrived) < 15 {
					t.Fatalf("only %d pieces", len(arrived))
				}
				if fault = lumps(begun, arrived, pause); fault == "" {
					return
				}
			}
			t.Error(fault)
		})
	}
}

// lumps says what shows that the pieces of an answer did not arrive one by one.
func lumps(begun time.Time, arrived []time.Time, pause time.Duration) string {
	first, last := arrived[0], arrived[len(arrived)-1]
	if spread := last.Sub(first); spread < pause*time.Duration(len(arrived)-2)*3/4 {
		return fmt.Sprintf("%d pieces arrived within %s", len(arrived), spread)
	}
	if first.Sub(begun) > last.Sub(begun)/2 {
		return fmt.Sprintf("the first piece came after %s of %s", first.Sub(begun), last.Sub(begun))
	}
	together := 0
	for i := 1; i < len(arrived); i++ {
		if arrived[i].Sub(arrived[i-1]) < pause/4 {
			together++
		}
	}
	if together > len(arrived)/3 {
		return fmt.Sprintf("%d of %d pieces came together with the one before", together, len(arrived))
	}
	return ""
}

func TestTypedStream(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		stream := c.Stream(t.Context(), typedRoute, message("Grüße"))
		if got := stream.Header.Get("X-Accel-Buffering") + " " + stream.Header.Get("Content-Type"); got != "no text/event-stream; charset=utf-8" {
			t.Errorf("headers say %q", got)
		}
		events := stream.All()
		var kinds []string
		for _, e := range events {
			kind, _ := e.Fields["type"].(string)
			if e.Data == gaiatest.Done {
				kind = e.Data
			}
			if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
				kinds = append(kinds, kind)
			}
		}
		if got, want := strings.Join(kinds, " "), "start ready model_selection content metadata complete [DONE]"; got != want {
			t.Errorf("events are %s, want %s", got, want)
		}
		n := len(events)
		if length := utf8.RuneCountInString(gaiatest.Text(events)); events[n-2].Number("response_length") != float64(length) {
			t.Errorf("response_length is %v, want %d", events[n-2].At("response_length"), length)
		}
		if events[n-3].Number("total_tokens") == 0 {
			t.Error("no tokens were counted")
		}
	})
}

func TestOpenAIStream(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	for _, path := range openAIRoutes {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			body := with(message("Hello"), "stream", true)
			usage := path != "/api/v0.2/chat" // which has no such option
			if usage {
				body = with(body, "stream_options", map[string]any{"include_usage": true})
			}
			stream := server.As(uuid.NewString()).Stream(t.Context(), path, body)
			if version := stream.Header.Get("X-Api-Version"); (path == "/api/v0.2/chat") != (version == "0.2") {
				t.Errorf("X-API-Version is %q", version)
			}
			checkChunks(t, stream.All(), usage)
		})
	}
}

func checkChunks(t *testing.T, events []gaiatest.Event, usage bool) {
	t.Helper()
	chunks := events[:len(events)-1]
	if events[len(events)-1].Data != gaiatest.Done {
		t.Errorf("the last event is %s", events[len(events)-1].Data)
	}
	if usage {
		last := chunks[len(chunks)-1]
		chunks = chunks[:len(chunks)-1]
		choices, _ := last.At("choices").([]any)
		if last.Number("usage", "prompt_tokens") == 0 || last.Number("usage", "total_tokens") == 0 || len(choices) != 0 {
			t.Errorf("the usage chunk is %s", last.Data)
		}
	}
	if chunks[0].Text("choices", 0, "delta", "role") != "assistant" {
		t.Errorf("the first chunk is %s", chunks[0].Data)
	}
	stops := 0
	for i, e := range chunks {
		if e.Text("id") != chunks[0].Text("id") {
			t.Errorf("chunk %d has another id", i)
		}
		if reason := e.At("choices", 0, "finish_reason"); reason != nil {
			stops++
			if reason != "stop" || i != len(chunks)-1 {
				t.Errorf("chunk %d of %d ends with %v", i, len(chunks), reason)
			}
		}
	}
	if stops != 1 {
		t.Errorf("%d stop chunks", stops)
	}
}

func TestConversationsAreApart(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		one, two := uuid.NewString(), uuid.NewString()
		wantText(t, say(t, c, with(message("a"), "conversation_id", one)), "This is message 1 of")
		wantText(t, say(t, c, with(message("b"), "conversation_id", one)), "This is message 3 of")
		wantText(t, say(t, c, with(message("c"), "conversation_id", strings.ToUpper(two))), "This is message 1 of")
		wantText(t, say(t, c, with(message("d"), "conversation_id", two)), "This is message 3 of")
		wantText(t, say(t, c, message("e")), "This is message 1 of")
		wantCount(t, c, 2)
		c.Delete("/api/v0.2/chat/history").Want(http.StatusOK)
		wantText(t, say(t, c, with(message("f"), "conversation_id", one)), "This is message 5 of")

		for _, path := range append([]string{typedRoute}, jsonRoutes...) {
			other.Post(path, with(message("g"), "conversation_id", one)).Want(http.StatusNotFound)
		}
		wantText(t, say(t, c, with(message("h"), "conversation_id", one)), "This is message 7 of")
	})
}

func TestMessagesAreStatelessUnlessStored(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		messages := map[string]any{"messages": []map[string]any{
			{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}, {"role": "user", "content": []map[string]any{{"type": "text", "text": "Three"}}},
		}}
		for range 2 {
			answer := c.Post("/api/v1/chat", messages).Want(http.StatusOK).JSON()
			wantText(t, answer.Text("response"), "Mu here", `You said: "Three"`, "This is message 3 of")
			if answer.At("_metadata", "conversation_id") != nil {
				t.Errorf("a stateless answer has conversation %v", answer.At("_metadata"))
			}
		}
		wantCount(t, c, 0)
		own := map[string]any{"messages": []map[string]any{{"role": "system", "content": "You are Ahab, a captain."}, {"role": "user", "content": "Who?"}}}
		wantText(t, c.Post("/api/v1/chat", own).Want(http.StatusOK).JSON().Text("response"), "Ahab here")

		id := uuid.NewString()
		stored := c.Post("/api/v1/chat", with(messages, "conversation_id", id)).Want(http.StatusOK).JSON()
		if stored.Text("_metadata", "conversation_id") != id {
			t.Errorf("stored in %v, want %s", stored.At("_metadata"), id)
		}
		wantText(t, say(t, c, with(message("Four"), "conversation_id", id)), "This is message 3 of")
	})
}

// TestDisconnectKeepsWhatWasSaid: a client that hangs up has heard something, so that is part of the conversation.
func TestDisconnectKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "0.05"})
		for _, path := range append([]string{typedRoute}, openAIRoutes...) {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				c := server.As(uuid.NewString())
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				stream := c.Stream(ctx, path, with(message("Tell me a very long story"), "stream", true))
				for words := 0; words < 3; {
					e, err := stream.Next()
					if err != nil {
						t.Fatal(err)
					}
					if gaiatest.Text([]gaiatest.Event{e}) != "" {
						words++
					}
				}
				hangUp()
				stream.Close()
				gaiatest.Eventually(t, patience, "the broken off turn is saved", func() bool {
					return c.Get("/api/v0.2/chat/status").Want(http.StatusOK).JSON().Number("message_count") == 2
				})
				wantText(t, say(t, c, message("Go on")), "This is message 3 of")
			})
		}
	})
}

func TestSettingsOfARequestReachTheModel(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t).Client()
	short := c.Post("/api/v1/chat", with(message("Hello"), "max_tokens", 2)).Want(http.StatusOK).JSON()
	if short.Text("choices", 0, "finish_reason") != "length" {
		t.Errorf("with max_tokens 2: %v", short.At("choices"))
	}
	cut := c.Post("/api/v1/chat", with(message("Hello"), "stop", "running")).Want(http.StatusOK).JSON()
	if text := cut.Text("response"); strings.Contains(text, "running") || text == "" {
		t.Errorf("with a stop word: %q", text)
	}
	object := c.Post("/api/v1/chat", with(message("Hello"), "response_format", map[string]any{"type": "json_object"})).Want(http.StatusOK).JSON()
	wantText(t, object.Text("response"), `{"response":`)
	c.Post("/api/v0.2/chat", with(message("Hello"), "model", "nope-1")).Want(http.StatusNotFound)
	c.Post("/api/v0.2/chat", with(message("Hello"), "provider", "gemini")).Want(http.StatusServiceUnavailable)
	c.Post("/api/v0.2/chat/stream", with(message("Hello"), "provider", "claude")).Want(http.StatusServiceUnavailable)
	c.Post("/api/v0.2/chat", with(message("Hello"), "model", "echo/echo")).Want(http.StatusOK)
}

func TestReloadPrompt(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		say(t, c, message("Hello"))
		c.Post("/api/v0.2/chat/reload-prompt", nil).Want(http.StatusOK)
		c.Post("/api/v1/chat/reload-prompt", nil).Want(http.StatusOK)
		wantCount(t, c, 2)
		wantText(t, say(t, c, message("Hello")), "Mu here", "This is message 3 of")
	})
}

func containsAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
