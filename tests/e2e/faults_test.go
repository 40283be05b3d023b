package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/internal/testenv"
	"gaia/tests/gaiatest"
)

const (
	faultExcess  = 50 * time.Millisecond // what a request may take longer while Redis or NATS is away
	faultHardCap = 4 * time.Second       // for any single request; the limits of waits without a bound start at 5 s
	faultRounds  = 2                     // at least
	faultTries   = 8                     // at most, while the machine is too busy to measure
)

// load sends requests that use Redis and NATS without a pause, from several goroutines, until the test ends it. Every answer must be
// the one that was given before the fault.
type load struct {
	t        *testing.T
	client   *gaiatest.Client
	requests []loadRequest
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	took  []time.Duration
	worst string // the slowest request
}

type loadRequest struct {
	gaiatest.Request
	same func(gaiatest.Response) string // what must not change
	want string
}

const loadWorkers = 2

func startLoad(t *testing.T, c *gaiatest.Client, persona string) *load {
	t.Helper()
	const path = "/api/v0.2/personas"
	body := func(r gaiatest.Response) string { return string(r.Body) }
	status := func(gaiatest.Response) string { return "" }
	said := func(r gaiatest.Response) string { return r.JSON().Text("response") }
	stateless := map[string]any{"messages": []map[string]any{{"role": "user", "content": "Hello"}}}
	l := &load{t: t, client: c, requests: []loadRequest{
		{Request: gaiatest.Request{Method: "GET", Path: path}, same: body},
		{Request: gaiatest.Request{Method: "GET", Path: path + "/current"}, same: body},
		{Request: gaiatest.Request{Method: "GET", Path: path + "/" + persona}, same: body},
		{Request: gaiatest.Request{Method: "POST", Path: "/api/v1/chat", Body: stateless}, same: said},
		{Request: gaiatest.Request{Method: "POST", Path: "/api/v0.2/chat", Body: message("Hello")}, same: status},
		{Request: gaiatest.Request{Method: "POST", Path: typedRoute, Body: message("Hello")}, same: status},
		// A write drops what is cached, here and in other replicas.
		{Request: gaiatest.Request{Method: "POST", Path: path + "/set", Body: map[string]any{"persona_id": persona}}, same: body},
	}}
	for i := range l.requests {
		r := &l.requests[i]
		r.want = r.same(c.Do(r.Request).Want(http.StatusOK))
	}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	for worker := range loadWorkers {
		l.running.Go(func() {
			for i := worker; ctx.Err() == nil; i++ {
				l.send(l.requests[i%len(l.requests)])
			}
		})
	}
	return l
}

func (l *load) send(r loadRequest) {
	begun := time.Now()
	resp, err := l.client.Try(r.Request)
	took := time.Since(begun)
	wrong := err != nil || resp.Status != http.StatusOK || r.same(resp) != r.want
	if wrong {
		l.t.Errorf("%s %s: error %v, status %d, body %.300s, want %.300s", r.Method, r.Path, err, resp.Status, resp.Body, r.want)
		l.stop() // once is enough
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worst == "" || took > slices.Max(l.took) {
		l.worst = r.Method + " " + r.Path
	}
	l.took = append(l.took, took)
}

// figures say how long requests took.
type figures struct {
	common, slowest time.Duration // 19 of 20 requests, and all
	worst           string
}

func slowerOf(a, b figures) figures {
	if a.slowest > b.slowest {
		return a
	}
	return b
}

// next measures so many requests from now on.
func (l *load) next(requests int) (f figures) {
	l.t.Helper()
	l.mu.Lock()
	l.took, l.worst = nil, ""
	l.mu.Unlock()
	gaiatest.Eventually(l.t, time.Minute, "the load goes on", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.took) < requests {
			return false
		}
		slices.Sort(l.took)
		f = figures{l.took[len(l.took)*19/20], l.took[len(l.took)-1], l.worst}
		return true
	})
	return f
}

func (l *load) end() {
	l.stop()
	l.running.Wait()
}

// wantFresh changes a persona and reads it back: nothing old may come from a cache that has not heard of the change.
func wantFresh(t *testing.T, c *gaiatest.Client, persona, text string) {
	t.Helper()
	c.Put("/api/v0.2/personas/"+persona, map[string]any{"description": text}).Want(http.StatusOK)
	if read := c.Get("/api/v0.2/personas/" + persona).Want(http.StatusOK).JSON(); read.Text("persona", "description") != text {
		t.Errorf("after %q was written, %q was read", text, read.At("persona", "description"))
	}
	if list := c.Get("/api/v0.2/personas").Want(http.StatusOK).JSON(); list.Text("personas", 0, "description") != text {
		t.Errorf("after %q was written, %q was listed", text, list.At("personas", 0, "description"))
	}
}

// TestCacheAndBusMayBeAway: without Redis or NATS every answer stays the same, nobody waits, and only /health tells.
func TestCacheAndBusMayBeAway(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"redis", "nats"} {
		for _, how := range []string{"stopped", "paused"} {
			t.Run(part+" "+how, func(t *testing.T) {
				t.Parallel()
				backend := gaiatest.FragileCache(t)
				broken := fault{backend.Faults.Redis, how}
				if part == "nats" {
					broken.server = backend.Faults.NATS
				}
				awayAndBack(t, backend.Start(t), part, broken)
			})
		}
	}
}

// fault is a way to take a server away.
type fault struct {
	server *testenv.Server
	how    string
}

func (f fault) begin() {
	if f.how == "stopped" {
		f.server.Stop()
	} else {
		f.server.Pause()
	}
}

func (f fault) end() {
	if f.how == "stopped" {
		f.server.Start()
	} else {
		f.server.Resume()
	}
}

func awayAndBack(t *testing.T, server *gaiatest.Server, part string, broken fault) {
	t.Helper()
	c := server.As(uuid.NewString())
	persona := create(t, c, "/api/v0.2/personas", "Nemo")
	c.Post("/api/v0.2/personas/set", map[string]any{"persona_id": persona}).Want(http.StatusOK)
	common, slowest := time.Hour, time.Hour // what the fault adds, in the best of several rounds: other tests keep the machine busy
	rounds, stuck := 0, 0
	for ; rounds < faultRounds || rounds < faultTries && max(common, slowest) > faultExcess; rounds++ {
		wantHealth(t, server, part, "healthy", "healthy")
		l := startLoad(t, c, persona)
		usual := l.next(200)
		broken.begin()
		during := l.next(200)
		common, slowest = min(common, during.common-usual.common), min(slowest, during.slowest-usual.slowest)
		wantHealth(t, server, part, "degraded", "")
		known := l.next(100)
		l.end()
		if worst := slowerOf(during, known); worst.slowest > faultHardCap {
			t.Logf("%s took %s while %s was %s", worst.worst, worst.slowest, part, broken.how)
			if stuck++; stuck > 1 { // a machine that stands still does so once; a wait without a bound is there in every round
				t.Errorf("in %d of %d rounds a request took more than %s", stuck, rounds+1, faultHardCap)
			}
		}
		wantFresh(t, c, persona, fmt.Sprintf("Away %d", rounds))
		broken.end()
		wantHealth(t, server, part, "healthy", "healthy")
		wantFresh(t, c, persona, fmt.Sprintf("Back %d", rounds))
	}
	t.Logf("in the best of %d rounds, 19 of 20 requests took at most %s longer than usual, the slowest %s", rounds, common, slowest)
	if common > faultExcess || slowest > faultExcess {
		t.Errorf("requests took up to %s and %s longer than usual, limit %s", common, slowest, faultExcess)
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
			database := fault{backend.Faults.Postgres, how}
			server := backend.Start(t)
			c := server.As(uuid.NewString())
			say(t, c, message("First"))
			database.begin()
			wantHealth(t, server, "database", "unhealthy", "unhealthy")
			server.Anonymous().Get("/readyz").Want(http.StatusServiceUnavailable)
			// Another user asks: a frozen database may carry out later what was refused by then.
			refusedInTime(t, server.As(uuid.NewString()))
			database.end()
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
	const limit = 20 * time.Second // 5 s each for a connection and for the work on it, 2 s for a commit to end, and what a busy machine adds
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
	backend := gaiatest.FragileCache(t)
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
