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
	faultHardCap = time.Second           // for any single request, however busy the machine is
	faultRounds  = 3
)

// load sends requests that use Redis and NATS without a pause, from several goroutines, until the test ends it. Every answer must be
// the one that was given before the fault.
type load struct {
	t        *testing.T
	client   *gaiatest.Client
	requests []loadRequest
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	count   int
	slowest time.Duration
	which   string
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
	switch {
	case err != nil:
		l.t.Errorf("%s %s: %v", r.Method, r.Path, err)
	case resp.Status != http.StatusOK:
		l.t.Errorf("%s %s: status %d: %.300s", r.Method, r.Path, resp.Status, resp.Body)
	case r.same(resp) != r.want:
		l.t.Errorf("%s %s: the answer changed from\n%s\nto\n%s", r.Method, r.Path, r.want, r.same(resp))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if took > l.slowest {
		l.slowest, l.which = took, r.Method+" "+r.Path
	}
}

// reset forgets what was measured.
func (l *load) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count, l.slowest, l.which = 0, 0, ""
}

// after waits for so many requests since the last reset and tells how long the slowest took.
func (l *load) after(requests int) (slowest time.Duration, which string) {
	l.t.Helper()
	gaiatest.Eventually(l.t, time.Minute, "the load goes on", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		slowest, which = l.slowest, l.which
		return l.count >= requests
	})
	return slowest, which
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
				backend := gaiatest.Full(t)
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
	best := time.Hour // of several rounds, since other tests keep the machine busy
	for round := range faultRounds {
		wantHealth(t, server, part, "healthy", "healthy")
		l := startLoad(t, c, persona)
		usual, _ := l.after(100)
		l.reset()
		broken.begin()
		slowest, which := l.after(200)
		if slowest > faultHardCap {
			t.Errorf("%s took %s while %s was %s", which, slowest, part, broken.how)
		}
		best = min(best, slowest-usual)
		wantHealth(t, server, part, "degraded", "")
		l.reset()
		if slowest, which := l.after(100); slowest > faultHardCap {
			t.Errorf("%s took %s while %s was known to be %s", which, slowest, part, broken.how)
		}
		l.end()
		wantFresh(t, c, persona, fmt.Sprintf("Away %d", round))
		broken.end()
		wantHealth(t, server, part, "healthy", "healthy")
		wantFresh(t, c, persona, fmt.Sprintf("Back %d", round))
	}
	t.Logf("the slowest request took %s longer than usual in the best of %d rounds", best, faultRounds)
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
