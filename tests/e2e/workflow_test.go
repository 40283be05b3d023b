package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const workflows = "/api/v1/workflows"

func aTask(kind, task string) map[string]any { return map[string]any{"kind": kind, "task": task} }

func startWorkflow(t *testing.T, c *gaiatest.Client, draft map[string]any) string {
	t.Helper()
	resp := c.Post(workflows, draft).Want(http.StatusOK)
	id := resp.JSON().Text("id")
	if got := resp.Header.Get("Location"); got != workflows+"/"+id {
		t.Errorf("Location %q", got)
	}
	return id
}

// followed reads a workflow's events to their end, checks that none is missing, and returns their types.
func followed(t *testing.T, s *gaiatest.Stream, after int) string {
	t.Helper()
	var types []string
	events := s.All()
	if len(events) == 0 || events[len(events)-1].Data != gaiatest.Done {
		t.Fatalf("the last of %d events is not %s", len(events), gaiatest.Done)
	}
	for _, e := range events[:len(events)-1] {
		after++
		if e.Number("sequence") != float64(after) || e.ID != fmt.Sprint(after) {
			t.Errorf("event %s with id %s, want number %d", e.Data, e.ID, after)
		}
		types = append(types, e.Text("type"))
	}
	return strings.Join(types, " ")
}

func TestWorkflowFromStartToEnd(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		wantPage(t, c, workflows, "workflows", "id", 0)
		id := startWorkflow(t, c, aTask("agent", "Say it\n/say The mirror shows the way."))
		path := workflows + "/" + id
		const all = "started step_started step_completed completed"
		if got := followed(t, c.Follow(t.Context(), path+"/events"), 0); got != all {
			t.Errorf("events %q, want %q", got, all)
		}
		// It has ended, and can be followed all the same: from the start, from the middle, from the end.
		for _, last := range []struct {
			id, want string
			after    int
		}{{"0", all, 0}, {"2", "step_completed completed", 2}, {"4", "", 4}, {"99", "", 99}} {
			if got := followed(t, c.With("Last-Event-ID", last.id).Follow(t.Context(), path+"/events"), last.after); got != last.want {
				t.Errorf("events after %s: %q, want %q", last.id, got, last.want)
			}
		}
		flow := c.Get(workflows + "/" + strings.ToUpper(id)).Want(http.StatusOK).JSON()
		if flow.Text("status") != "completed" || flow.Text("output") != "The mirror shows the way." || flow.Text("completed_at") == "" {
			t.Errorf("got %v", flow.Fields)
		}
		if steps := flow.At("steps").([]any); len(steps) != 1 || flow.Text("steps", 0, "status") != "completed" || flow.Number("usage", "total_tokens") == 0 {
			t.Errorf("steps %v", steps)
		}
		wantPage(t, c, workflows+"?status=completed", "workflows", "id", 1, id)
		wantPage(t, c, workflows+"?status=running", "workflows", "id", 0)
		wantPage(t, other, workflows, "workflows", "id", 0)
		for _, missing := range []string{path, workflows + "/" + nobody, workflows + "/no-id"} {
			other.Get(missing).Want(http.StatusNotFound)
			other.Get(missing + "/events").Want(http.StatusNotFound)
			other.Post(missing+"/cancel", nil).Want(http.StatusNotFound)
		}
		c.Post(path+"/cancel", nil).Want(http.StatusConflict)
	})
}

func TestWorkflowThatIsRefused(t *testing.T) {
	t.Parallel()
	c := gaiatest.Embedded(t).Start(t).As(uuid.NewString())
	for _, test := range []struct {
		about  string
		change map[string]any
		status int
	}{
		{"kind", map[string]any{"kind": "swarm"}, http.StatusUnprocessableEntity},
		{"no task", map[string]any{"task": ""}, http.StatusUnprocessableEntity},
		{"long task", map[string]any{"task": strings.Repeat("x", 100_001)}, http.StatusUnprocessableEntity},
		{"agent", map[string]any{"agents": []string{"nobody"}}, http.StatusNotFound},
		{"persona", map[string]any{"persona_id": nobody}, http.StatusNotFound},
		{"model", map[string]any{"model": "no-such-model"}, http.StatusNotFound},
		{"limits", map[string]any{"limits": map[string]any{"max_iterations": 0}}, http.StatusUnprocessableEntity},
	} {
		draft := aTask("agent", "Say it")
		for name, value := range test.change {
			draft[name] = value
		}
		if got := c.Post(workflows, draft); got.Status != test.status {
			t.Errorf("%s: %d %.300s, want %d", test.about, got.Status, got.Body, test.status)
		}
	}
	wantPage(t, c, workflows, "workflows", "id", 0)
	id := startWorkflow(t, c, aTask("agent", "Say it"))
	for _, last := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		c.With("Last-Event-ID", last).Get(workflows + "/" + id + "/events").Want(http.StatusUnprocessableEntity)
	}
}

func TestWorkflowWithAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		keyed := c.With("Idempotency-Key", uuid.NewString())
		id := startWorkflow(t, keyed, aTask("agent", "one"))
		if again := startWorkflow(t, keyed, aTask("agent", "one")); again != id {
			t.Errorf("the same request started %s and %s", id, again)
		}
		keyed.Post(workflows, aTask("agent", "two")).Want(http.StatusConflict)
		wantPage(t, c, workflows, "workflows", "id", 1, id)
	})
}

// slowly makes echo take long enough for something to happen meanwhile.
var slowly = gaiatest.Settings{"ECHO_WORD_DELAY": "0.2"}

func TestWorkflowThatIsCancelled(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t, slowly).As(uuid.NewString())
		id := startWorkflow(t, c, aTask("agent", "Say it\n/say "+strings.Repeat("word ", 200)))
		path := workflows + "/" + id
		events := c.Follow(t.Context(), path+"/events")
		for {
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			if e.Text("type") == "step_started" {
				break
			}
		}
		flow := c.Post(path+"/cancel", nil).Want(http.StatusOK).JSON()
		if flow.Text("status") != "cancelled" || flow.Text("steps", 0, "status") != "cancelled" {
			t.Errorf("got %v", flow.Fields)
		}
		if got := followed(t, events, 2); got != "cancelled" {
			t.Errorf("events %q", got)
		}
		c.Post(path+"/cancel", nil).Want(http.StatusConflict)
		if got := c.Get(path).Want(http.StatusOK).JSON().Text("status"); got != "cancelled" {
			t.Errorf("it is %s", got)
		}
	})
}

// A replica that only answers, beside one that works: both show the same, and a cancel at one stops the other.
func TestWorkflowOnAnotherReplica(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	door, worker := b.Start(t, gaiatest.Settings{"WORKFLOWS_AT_ONCE": "0"}), b.Start(t, slowly)
	user := uuid.NewString()
	c, there := door.As(user), worker.As(user)
	id := startWorkflow(t, c, aTask("parallel", "Say it\n/say one two three"))
	if got := followed(t, c.Follow(t.Context(), workflows+"/"+id+"/events"), 0); !strings.HasSuffix(got, " completed") {
		t.Errorf("events %q", got)
	}
	id = startWorkflow(t, c, aTask("agent", "Say it\n/say "+strings.Repeat("word ", 200)))
	events := there.Follow(t.Context(), workflows+"/"+id+"/events")
	for e, err := events.Next(); e.Text("type") != "step_started"; e, err = events.Next() {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Post(workflows+"/"+id+"/cancel", nil).Want(http.StatusOK)
	if got := followed(t, events, 2); got != "cancelled" {
		t.Errorf("events %q", got)
	}
}

// Who follows takes a place among running requests, and gives it back when leaving.
func TestFollowersThatLeave(t *testing.T) {
	t.Parallel()
	const places = 12
	server := gaiatest.Embedded(t).Start(t, slowly, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": fmt.Sprint(places)})
	c := server.As(uuid.NewString())
	id := startWorkflow(t, c, aTask("agent", "Say it\n/say "+strings.Repeat("word ", 200)))
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		for range places / 2 {
			s := c.Follow(ctx, workflows+"/"+id+"/events")
			if e, err := s.Next(); err != nil || e.Text("type") != "started" {
				t.Fatalf("got %v, %v", e.Fields, err)
			}
		}
		leave()
		deadline := time.Now().Add(patience)
		for c.Get(workflows+"/"+id).Status != http.StatusOK { // until there is room again
			if time.Now().After(deadline) {
				t.Fatal("followers that have left keep their places")
			}
		}
	}
}

// A process that stops sends those away who follow, without [DONE], so that they ask another one.
func TestFollowersOfAProcessThatStops(t *testing.T) {
	t.Parallel()
	server := gaiatest.Embedded(t).Start(t, slowly, gaiatest.Settings{"SHUTDOWN_TIMEOUT": "60"})
	c := server.As(uuid.NewString())
	id := startWorkflow(t, c, aTask("agent", "Say it\n/say "+strings.Repeat("word ", 200)))
	s := c.Follow(t.Context(), workflows+"/"+id+"/events")
	defer s.Close()
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	server.Terminate()
	events := s.All() // the check of all answers sees to it that there is either an interruption or [DONE] at the end
	if last := events[len(events)-1]; last.Fields["type"] != "interrupted" || last.ID != "" {
		t.Errorf("the stream ends with %s, id %q", last.Data, last.ID)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("stopping took %v", took)
	}
}
