package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// startUpstream makes a scripted provider, and the settings of a server that uses it.
func startUpstream(t *testing.T) (*upstream.Server, gaiatest.Settings) {
	t.Helper()
	p := upstream.New()
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p, gaiatest.Settings{"OPENAI_BASE_URL": p.OpenAI(), "OPENAI_API_KEY": upstream.Key, "DEFAULT_LLM_MODEL": "gpt-4o-mini"}
}

// TestRepeatedRequest: the same request with the same key gets the same answer: at once, on another replica, after a restart.
func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		provider, settings := startUpstream(t)
		server := b.Start(t, settings)
		user := uuid.NewString()
		for i, path := range jsonRoutes {
			key := fmt.Sprint("key-", i)
			c := server.As(user).With("Idempotency-Key", key)
			first := c.Post(path, message("Once.")).Want(http.StatusOK)
			again := func(c *gaiatest.Client) {
				t.Helper()
				if r := c.Post(path, message("Once.")).Want(http.StatusOK); string(r.Body) != sameRequestID(first, r) {
					t.Errorf("%s: got %s, want %s", path, r.Body, first.Body)
				}
			}
			again(c)
			if b.Name == "full" && i == 0 {
				again(b.Start(t, settings).As(user).With("Idempotency-Key", key))
			}
			if i == len(jsonRoutes)-1 {
				server.Terminate()
				if err := server.Wait(); err != nil {
					t.Fatal(err)
				}
				server.Restart()
				again(server.As(user).With("Idempotency-Key", key))
			}
			c.Post(path, message("Twice.")).Want(http.StatusUnprocessableEntity)
			c.With("Idempotency-Key", key+"-other").Post(path, message("Twice.")).Want(http.StatusOK)
		}
		wantCount(t, server.As(user), float64(4*len(jsonRoutes)))
		if n := len(provider.Books()); n != 2*len(jsonRoutes) {
			t.Errorf("the provider served %d requests, want %d", n, 2*len(jsonRoutes))
		}
	})
}

// sameRequestID is the body of the first answer with the one thing changed that says which HTTP request it answers.
func sameRequestID(first, again gaiatest.Response) string {
	return strings.ReplaceAll(string(first.Body), first.Header.Get("X-Request-Id"), again.Header.Get("X-Request-Id"))
}

// TestRepeatedWhileRunning: those who ask while the first is on its way wait for its answer, whichever replica they ask.
func TestRepeatedWhileRunning(t *testing.T) {
	t.Parallel()
	provider, settings := startUpstream(t)
	provider.Plays("gpt-4o-mini", upstream.Script{Between: 50 * time.Millisecond, Tokens: 30})
	b := gaiatest.Full(t)
	user, key := uuid.NewString(), "a key"
	replicas := []*gaiatest.Client{b.Start(t, settings).As(user).With("Idempotency-Key", key), b.Start(t, settings).As(user).With("Idempotency-Key", key)}
	var wg sync.WaitGroup
	texts := make([]string, 6)
	for i := range texts {
		wg.Go(func() {
			r, err := replicas[i%2].Try(gaiatest.Request{Method: http.MethodPost, Path: "/api/v1/chat", Body: message("Once.")})
			if err != nil || r.Status != http.StatusOK {
				t.Errorf("status %d, %v: %s", r.Status, err, r.Body)
				return
			}
			texts[i] = r.JSON().Text("response")
		})
	}
	wg.Wait()
	for _, text := range texts {
		if text == "" || text != texts[0] {
			t.Errorf("got %q", texts)
		}
	}
	if n := len(provider.Books()); n != 1 {
		t.Errorf("the provider served %d requests", n)
	}
	wantCount(t, replicas[0], 2)
}

// TestStreamIsTakenUp: with a key the answer goes on without its client, and the same request with Last-Event-ID brings what is missing.
func TestStreamIsTakenUp(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		provider, settings := startUpstream(t)
		provider.Plays("gpt-4o-mini", upstream.Script{Between: 10 * time.Millisecond, Tokens: 40})
		server := b.Start(t, settings)
		for _, path := range append([]string{typedRoute}, openAIRoutes...) {
			c := server.As(uuid.NewString()).With("Idempotency-Key", "key")
			body := with(message("Tell me."), "stream", true)
			whole := server.As(uuid.NewString()).With("Idempotency-Key", "other").Stream(t.Context(), path, body).All()
			first := c.Stream(t.Context(), path, body)
			var seen []gaiatest.Event
			for range 10 {
				e, err := first.Next()
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, e)
			}
			first.Close()
			last := seen[len(seen)-1].ID
			rest := c.With("Last-Event-ID", last).Stream(t.Context(), path, body).All()
			for i, e := range append(seen, rest...) {
				if e.ID != strconv.Itoa(i+1) {
					t.Fatalf("%s: event %d has id %q", path, i+1, e.ID)
				}
			}
			if got, want := gaiatest.Text(append(seen, rest...)), gaiatest.Text(whole); got != want || len(seen)+len(rest) != len(whole) {
				t.Errorf("%s: %d events, %q; want %d, %q", path, len(seen)+len(rest), got, len(whole), want)
			}
			if end := c.With("Last-Event-ID", strconv.Itoa(len(whole))).Stream(t.Context(), path, body).All(); len(end) != 1 || end[0].Data != gaiatest.Done {
				t.Errorf("%s: something comes after the last event: %v", path, end)
			}
			c.With("Last-Event-ID", "x").Post(path, body).Want(http.StatusUnprocessableEntity)
			wantCount(t, c, 2)
		}
		if n := len(provider.Books()); n != 2*(1+len(openAIRoutes)) {
			t.Errorf("the provider served %d requests", n)
		}
	})
}

// TestStreamsWithoutAKeyHaveNoIDs: ids would promise what is not kept.
func TestStreamsWithoutAKeyHaveNoIDs(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t).Client()
	for _, e := range c.Stream(t.Context(), typedRoute, message("Hi")).All() {
		if e.ID != "" {
			t.Errorf("event %s has id %s", e.Data, e.ID)
		}
	}
}
