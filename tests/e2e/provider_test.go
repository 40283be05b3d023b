package e2e

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

func openAI(model string) map[string]any {
	return map[string]any{"message": "Hello", "provider": "openai", "model": model}
}

func TestPromptThatReachesAProvider(t *testing.T) {
	t.Parallel()
	provider := gaiatest.NewProvider(t)
	c := gaiatest.Start(t, provider.Settings()).As(uuid.NewString())
	say(t, c, message("First"))
	if got := say(t, c, message("Second")); got != gaiatest.ProviderText {
		t.Errorf("the answer is %q", got)
	}
	prompts := provider.Prompts()
	if len(prompts) != 2 || prompts[1].Model != "gpt-4o-mini" {
		t.Fatalf("prompts: %v", prompts)
	}
	var roles []string
	for _, m := range prompts[1].Messages {
		roles = append(roles, m.Role)
	}
	want := []string{"system", "user", "assistant", "user"}
	if len(roles) != len(want) {
		t.Fatalf("roles are %v, want %v", roles, want)
	}
	for i := range want {
		if roles[i] != want[i] {
			t.Fatalf("roles are %v, want %v", roles, want)
		}
	}
	system, _ := prompts[1].Messages[0].Content.(string)
	wantText(t, system, "You are Mu")
	if m := prompts[1].Messages; m[1].Content != "First" || m[2].Content != gaiatest.ProviderText || m[3].Content != "Second" {
		t.Errorf("the history is %v", m)
	}
}

// TestRefusalsAreHTTPErrors: what fails before the first event is a status, also for streams, and leaves nothing behind.
func TestRefusalsAreHTTPErrors(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t, gaiatest.NewProvider(t).Settings()).As(uuid.NewString())
		for _, path := range append([]string{typedRoute}, jsonRoutes...) {
			for _, stream := range []bool{false, true} {
				r := c.Post(path, with(openAI(gaiatest.ModelRefuses), "stream", stream)).Want(http.StatusTooManyRequests)
				// The provider says 7; after the first refusal the rest of that time is told without asking it again.
				if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 7 {
					t.Errorf("%s: Retry-After is %q", path, r.Header.Get("Retry-After"))
				}
				wantNoSecret(t, r)
				wantNoSecret(t, c.Post(path, with(openAI(gaiatest.ModelBroken), "stream", stream)).Want(http.StatusServiceUnavailable))
			}
		}
		wantCount(t, c, 0)
	})
}

func wantNoSecret(t *testing.T, r gaiatest.Response) {
	t.Helper()
	if body := string(r.Body); len(body) == 0 || containsAny(body, "sk-test-provider", "The provider says no") {
		t.Errorf("the error repeats what the provider said: %s", body)
	}
}

// TestLateFailuresAreData: what fails later can only be told in the stream, and leaves nothing behind either.
func TestLateFailuresAreData(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t, gaiatest.NewProvider(t).Settings()).As(uuid.NewString())
		for _, path := range openAIRoutes {
			events := c.Stream(t.Context(), path, with(openAI(gaiatest.ModelBreaks), "stream", true)).All()
			last := events[len(events)-2]
			if last.Text("choices", 0, "finish_reason") != "error" || last.Text("error", "message") == "" {
				t.Errorf("%s ends with %s", path, last.Data)
			}
		}
		events := c.Stream(t.Context(), typedRoute, openAI(gaiatest.ModelBreaks)).All()
		if failed, complete := events[len(events)-3], events[len(events)-2]; failed.Text("type") != "error" || complete.Number("response_length") != 0 {
			t.Errorf("the typed stream ends with %s, %s", failed.Data, complete.Data)
		}
		for _, path := range jsonRoutes {
			c.Post(path, openAI(gaiatest.ModelBreaks)).Want(http.StatusServiceUnavailable)
		}
		wantCount(t, c, 0)
	})
}

// TestLeavingStopsTheProvider: tokens that nobody reads cost money.
func TestLeavingStopsTheProvider(t *testing.T) {
	t.Parallel()
	provider := gaiatest.NewProvider(t)
	server := gaiatest.Start(t, provider.Settings())
	for _, path := range append([]string{typedRoute}, openAIRoutes...) {
		const limit = 100 * time.Millisecond
		best := time.Hour
		for try := 0; try < 10 && best > limit; try++ { // a busy machine is late now and then
			ctx, leave := context.WithCancel(t.Context())
			stream := server.As(uuid.NewString()).Stream(ctx, path, with(openAI(gaiatest.ModelHangs), "stream", true))
			for words := 0; words < 5; {
				e, err := stream.Next()
				if err != nil {
					t.Fatal(err)
				}
				if gaiatest.Text([]gaiatest.Event{e}) != "" {
					words++
				}
			}
			left := time.Now()
			leave()
			stream.Close()
			select {
			case at := <-provider.HungUp():
				best = min(best, at.Sub(left))
			case <-time.After(patience):
				t.Fatalf("%s: the provider was not told", path)
			}
		}
		if best > limit {
			t.Errorf("%s: the provider was told after %s", path, best)
		}
	}
}

// TestSilentProvider: a stream whose provider thinks for long is answered with 200 after a while and kept alive by comments.
func TestSilentProvider(t *testing.T) {
	t.Parallel()
	provider := gaiatest.NewProvider(t)
	server := gaiatest.Start(t, provider.Settings(), gaiatest.Settings{"STREAM_FIRST_EVENT_WAIT": "0.1", "STREAM_PING_INTERVAL": "0.05"})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	stream := server.Client().Stream(ctx, "/api/v1/chat", with(openAI(gaiatest.ModelSilent), "stream", true))
	limit := time.AfterFunc(patience, leave)
	defer limit.Stop()
	for stream.Comments() < 3 {
		if _, err := stream.Line(); err != nil {
			break
		}
	}
	if stream.Comments() < 3 {
		t.Errorf("%d comments", stream.Comments())
	}
}
