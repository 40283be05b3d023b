package e2e

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

func TestNothingIsLostInACrash(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		user, conversation := uuid.NewString(), uuid.NewString()
		c := server.As(user)
		nemo := create(t, c, personaRoutes["v0.2"], "Nemo")
		c.Post("/api/v0.2/personas/set", map[string]any{"persona_id": nemo}).Want(http.StatusOK)
		say(t, c, message("Remember me"))
		c.Stream(t.Context(), typedRoute, message("And this")).All()
		say(t, c, with(message("Elsewhere"), "conversation_id", conversation))
		before := c.Get("/api/v0.2/personas").Want(http.StatusOK)

		server.Kill()
		server.Restart()
		after := c.Get("/api/v0.2/personas").Want(http.StatusOK)
		if string(before.Body) != string(after.Body) {
			t.Errorf("personas before: %s\nafter: %s", before.Body, after.Body)
		}
		wantCount(t, c, 4)
		wantText(t, say(t, c, message("Hello again")), "Nemo here", "This is message 5 of")
		wantText(t, say(t, c, with(message("Still here?"), "conversation_id", conversation)), "This is message 3 of")
		wantText(t, say(t, server.As(uuid.NewString()), message("And me?")), "Mu here", "This is message 1 of")
	})
}

// TestACrashLeavesNoHalfTurn: an answer that nobody got to the end of is no part of the conversation after a crash.
func TestACrashLeavesNoHalfTurn(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.NewProvider(t).Settings())
		c := server.As(uuid.NewString())
		echo := func(text string) map[string]any { return with(message(text), "model", "echo/echo") }
		say(t, c, echo("First"))
		stream := c.Stream(t.Context(), typedRoute, openAI(gaiatest.ModelHangs))
		for {
			e, err := stream.Next()
			if err != nil {
				t.Fatal(err)
			}
			if gaiatest.Text([]gaiatest.Event{e}) != "" {
				break
			}
		}
		server.Kill()
		stream.Close()
		server.Restart()
		wantCount(t, c, 2)
		wantText(t, say(t, c, echo("Third")), "This is message 3 of")
	})
}

// TestStoppingLetsStreamsFinish: SIGTERM takes no new requests and ends nothing that runs.
func TestStoppingLetsStreamsFinish(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "0.3", "SHUTDOWN_TIMEOUT": "30"}) // the stream outlasts the checks below
		c := server.As(uuid.NewString())
		stream := c.Stream(t.Context(), "/api/v1/chat", with(message("Take your time, please, and tell me everything"), "stream", true))
		if _, err := stream.Next(); err != nil {
			t.Fatal(err)
		}
		server.Terminate()
		gaiatest.Eventually(t, patience, "no request is taken any more", func() bool {
			r, err := server.Anonymous().Try(gaiatest.Request{Method: http.MethodGet, Path: "/readyz"})
			return err != nil || r.Status == http.StatusServiceUnavailable
		})
		if !server.Running() {
			t.Fatal("the server has not waited for the stream")
		}
		events := stream.All()
		if len(events) < 10 || events[len(events)-1].Data != gaiatest.Done {
			t.Errorf("the stream ended after %d events", len(events))
		}
		if err := server.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		server.Restart()
		wantCount(t, c, 2)
	})
}

// TestStoppingHasAnEnd: a stream that takes too long is cut off, and what was said until then is kept.
func TestStoppingHasAnEnd(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "1", "SHUTDOWN_TIMEOUT": "0.5"})
	c := server.As(uuid.NewString())
	stream := c.Stream(t.Context(), "/api/v1/chat", with(message("Take your time, please"), "stream", true))
	for range 2 { // the role and a word
		if _, err := stream.Next(); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if took := time.Since(begun); took > 15*time.Second { // the whole answer would take longer
		t.Errorf("stopping took %s", took)
	}
	stream.Close()
	server.Restart()
	wantCount(t, c, 2)
}

func TestKeyOfTheFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := gaiatest.Start(t, gaiatest.Settings{"GAIA_DATA_DIR": dir, "API_KEY": ""})
	path := filepath.Join(dir, "api_key")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Fatalf("%v, %v", info, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(data))
	if printed := strings.Count(server.Output(), key); printed != 1 {
		t.Errorf("the key was printed %d times at the first start", printed)
	}
	status := gaiatest.Request{Method: http.MethodGet, Path: "/api/v0.2/chat/status", Header: http.Header{"X-Api-Key": {key}}}
	server.Anonymous().Do(status).Want(http.StatusOK)
	status.Header = http.Header{"Authorization": {"Bearer " + key}}
	server.Anonymous().Do(status).Want(http.StatusOK)

	server.Kill()
	server.Restart()
	server.Anonymous().Do(status).Want(http.StatusOK)
	if strings.Contains(server.Output(), key) {
		t.Error("the key was printed again at the second start")
	}
}

// TestReplicasAgree: what one replica changes, the others show soon, whatever they have cached.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	backend := gaiatest.Full(t)
	here, there := backend.Start(t), backend.Start(t)
	user := uuid.NewString()
	a, b := here.As(user), there.As(user)
	// A second is what is promised, and what the quickest of the four changes must keep; the rest is for a busy machine. A replica that
	// has not heard goes on for five seconds at least.
	const path, promised, limit = "/api/v0.2/personas", time.Second, 10 * time.Second
	quickest := limit
	eventually := func(what string, holds func() bool) {
		t.Helper()
		began := time.Now()
		gaiatest.Eventually(t, limit, what, holds)
		quickest = min(quickest, time.Since(began))
	}
	warm := func() {
		for range 3 {
			b.Get(path).Want(http.StatusOK)
			b.Get(path + "/current").Want(http.StatusOK)
			say(t, b, message("Who?"))
		}
	}
	warm()
	id := create(t, a, path, "Nemo")
	eventually("the other replica lists the new persona", func() bool {
		ids, _ := listed(t, b, path)
		return len(ids) == 2
	})
	b.Get(path + "/" + id).Want(http.StatusOK)
	a.Post(path+"/set", map[string]any{"persona_id": id}).Want(http.StatusOK)
	eventually("the other replica answers as the chosen persona", func() bool {
		return strings.Contains(say(t, b, message("Who?")), "Nemo here")
	})
	warm()
	a.Put(path+"/"+id, map[string]any{"system_prompt": "You are Dakkar, a prince."}).Want(http.StatusOK)
	eventually("the other replica uses the changed prompt", func() bool {
		return strings.Contains(say(t, b, message("Who?")), "Dakkar here")
	})
	warm()
	a.Delete(path + "/" + id).Want(http.StatusOK)
	eventually("the other replica forgets the deleted persona", func() bool {
		ids, _ := listed(t, b, path)
		return len(ids) == 1 && b.Get(path+"/"+id).Status == http.StatusNotFound && strings.Contains(say(t, b, message("Who?")), "Mu here")
	})
	if quickest > promised {
		t.Errorf("the quickest change took %s to get to the other replica", quickest)
	}
	before := a.Get("/api/v0.2/chat/status").Want(http.StatusOK).JSON().Number("message_count")
	say(t, a, message("One"))
	wantCount(t, b, before+2)
}
