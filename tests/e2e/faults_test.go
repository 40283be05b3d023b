package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/internal/testenv"
	"gaia/tests/gaiatest"
)

const (
	faultExcess  = 50 * time.Millisecond // what a request may take longer while Redis or NATS is away
	faultHardCap = time.Second           // for any single request, however busy the machine is
	faultRounds  = 3
)

// probe asks for everything that uses Redis or NATS and returns what was answered and how long the slowest took.
type probe struct {
	t      *testing.T
	client *gaiatest.Client
	mine   string // a persona of the caller
	round  int
}

func (p *probe) run(n int) (answers string, slowest time.Duration) {
	p.t.Helper()
	timed := func(r gaiatest.Request) gaiatest.Response {
		begun := time.Now()
		resp := p.client.Do(r).Want(http.StatusOK)
		slowest = max(slowest, time.Since(begun))
		return resp
	}
	const path = "/api/v0.2/personas"
	stateless := map[string]any{"messages": []map[string]any{{"role": "user", "content": "Hello"}}}
	for range n {
		p.round++
		list := timed(gaiatest.Request{Method: "GET", Path: path})
		current := timed(gaiatest.Request{Method: "GET", Path: path + "/current"})
		one := timed(gaiatest.Request{Method: "GET", Path: path + "/" + p.mine})
		answer := timed(gaiatest.Request{Method: "POST", Path: "/api/v1/chat", Body: stateless}).JSON().Text("response")
		answers = fmt.Sprintf("%s\n%s\n%s\n%s", list.Body, current.Body, one.Body, answer)
		timed(gaiatest.Request{Method: "POST", Path: "/api/v0.2/chat", Body: message("Hello")})
		// A write drops what is cached here and in other replicas. What is written is the same, but for updated_at.
		timed(gaiatest.Request{Method: "POST", Path: path + "/set", Body: map[string]any{"persona_id": p.mine}})
	}
	return answers, slowest
}

// write changes a persona and reads it back: nothing old may come from a cache that has not heard of the change.
func (p *probe) write() (slowest time.Duration) {
	p.t.Helper()
	p.round++
	text := fmt.Sprintf("Change %d", p.round)
	begun := time.Now()
	p.client.Put("/api/v0.2/personas/"+p.mine, map[string]any{"description": text}).Want(http.StatusOK)
	slowest = time.Since(begun)
	read := p.client.Get("/api/v0.2/personas/" + p.mine).Want(http.StatusOK).JSON()
	if read.Text("persona", "description") != text {
		p.t.Errorf("after %q was written, %q was read", text, read.At("persona", "description"))
	}
	list := p.client.Get("/api/v0.2/personas").Want(http.StatusOK).JSON()
	if list.Text("personas", 0, "description") != text {
		p.t.Errorf("after %q was written, %q was listed", text, list.At("personas", 0, "description"))
	}
	return slowest
}

// TestCacheAndBusMayBeAway: without Redis or NATS every answer stays the same, nobody waits, and only /health tells.
func TestCacheAndBusMayBeAway(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"redis", "nats"} {
		for _, how := range []string{"stopped", "paused"} {
			t.Run(part+" "+how, func(t *testing.T) {
				t.Parallel()
				backend := gaiatest.Full(t)
				broken := backend.Faults.Redis
				if part == "nats" {
					broken = backend.Faults.NATS
				}
				server := backend.Start(t)
				awayAndBack(t, server, part, broken, how)
			})
		}
	}
}

func awayAndBack(t *testing.T, server *gaiatest.Server, part string, broken *testenv.Server, how string) {
	t.Helper()
	c := server.As(uuid.NewString())
	p := &probe{t: t, client: c, mine: create(t, c, "/api/v0.2/personas", "Nemo")}
	c.Post("/api/v0.2/personas/set", map[string]any{"persona_id": p.mine}).Want(http.StatusOK)
	p.run(3)
	wantHealth(t, server, part, "healthy", "healthy")

	best := time.Hour
	for range faultRounds {
		before, usual := p.run(10)
		if how == "stopped" {
			broken.Stop()
		} else {
			broken.Pause()
		}
		during, slowest := p.run(20)
		if before != during {
			t.Errorf("answers changed from\n%s\nto\n%s", before, during)
		}
		slowest = max(slowest, p.write())
		if slowest > faultHardCap {
			t.Errorf("a request took %s while %s was %s", slowest, part, how)
		}
		best = min(best, slowest-usual)
		wantHealth(t, server, part, "degraded", "")
		_, slowest = p.run(5) // when the fault is known
		if slowest > faultHardCap {
			t.Errorf("a request took %s while %s was %s for long", slowest, part, how)
		}
		if how == "stopped" {
			broken.Start()
		} else {
			broken.Resume()
		}
		wantHealth(t, server, part, "healthy", "healthy")
		p.write()
	}
	t.Logf("%s %s: the slowest request took %s longer than usual in the best of %d rounds", part, how, best, faultRounds)
	if best > faultExcess {
		t.Errorf("the slowest request took %s longer in the best of %d rounds", best, faultRounds)
	}
}

// wantHealth waits until /health says so. An empty part status means anything but healthy.
func wantHealth(t *testing.T, server *gaiatest.Server, part, whole, status string) {
	t.Helper()
	gaiatest.Eventually(t, patience, "the health is "+whole, func() bool {
		health := server.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		got := health.Text(part, "status")
		return health.Text("status") == whole && (got == status || status == "" && got != "healthy")
	})
	server.Anonymous().Get("/livez").Want(http.StatusOK)
}

// TestDatabaseMayBeAway: without PostgreSQL requests are refused in time, and all is well again when it is back.
func TestDatabaseMayBeAway(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stopped", "paused"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			backend := gaiatest.Breakable(t)
			database := backend.Faults.Postgres
			server := backend.Start(t)
			c := server.As(uuid.NewString())
			say(t, c, message("First"))
			if how == "stopped" {
				database.Stop()
			} else {
				database.Pause()
			}
			wantHealth(t, server, "database", "unhealthy", "unhealthy")
			server.Anonymous().Get("/readyz").Want(http.StatusServiceUnavailable)
			// Another user asks: a frozen database may carry out later what was refused by then.
			refusedInTime(t, server.As(uuid.NewString()))
			if how == "stopped" {
				database.Start()
			} else {
				database.Resume()
			}
			wantHealth(t, server, "database", "healthy", "healthy")
			gaiatest.Eventually(t, patience, "the server is ready again", func() bool {
				return server.Anonymous().Get("/readyz").Status == http.StatusOK
			})
			wantCount(t, c, 2)
			wantText(t, say(t, c, message("Second")), "This is message 3 of")
		})
	}
}

func refusedInTime(t *testing.T, c *gaiatest.Client) {
	t.Helper()
	const limit = 10 * time.Second
	var took []time.Duration
	for _, r := range []gaiatest.Request{
		{Method: "GET", Path: "/api/v0.2/chat/status"},
		{Method: "DELETE", Path: "/api/v1/chat/history"},
		{Method: "POST", Path: "/api/v0.2/chat", Body: message("Lost")},
		{Method: "POST", Path: "/api/v1/chat", Body: message("Lost")},
		{Method: "POST", Path: typedRoute, Body: message("Lost")},
		{Method: "POST", Path: "/api/v0.2/personas", Body: draft("Lost")},
		{Method: "GET", Path: "/api/v0.2/personas/" + nobody},
	} {
		begun := time.Now()
		c.Do(r).Want(http.StatusServiceUnavailable)
		took = append(took, time.Since(begun))
	}
	t.Logf("refused after %v", took)
	if slowest := slices.Max(took); slowest > limit {
		t.Errorf("a request was refused after %s only", slowest)
	}
}

// TestStartWithoutCacheAndBus: a server must come up while Redis and NATS are away.
func TestStartWithoutCacheAndBus(t *testing.T) {
	t.Parallel()
	backend := gaiatest.Full(t)
	backend.Faults.Redis.Stop()
	backend.Faults.NATS.Stop()
	server := backend.Start(t)
	wantHealth(t, server, "redis", "degraded", "")
	c := server.Client()
	wantText(t, say(t, c, message("Hello")), "Mu here")
	backend.Faults.Redis.Start()
	backend.Faults.NATS.Start()
	wantHealth(t, server, "nats", "healthy", "healthy")
	wantHealth(t, server, "redis", "healthy", "healthy")
}
