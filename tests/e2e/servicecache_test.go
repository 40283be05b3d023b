package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const (
	heardWithin = 3 * time.Second       // a change that other processes are told of, on a busy machine
	staleWithin = copyAge + heardWithin // one that nobody can tell them of
	lostAfter   = 20 * time.Second      // nobody told them, and what they have does not grow old: it is kept for 15 minutes and more
	newsTries   = 3                     // while the machine is too busy
)

// division is two gateways before one auth and a chat of their own each: what is changed through one is cached behind the other.
type division struct {
	backend     gaiatest.Backend
	here, there *gaiatest.Server // the gateways
	all         []*gaiatest.Server
}

func divided(t *testing.T) *division {
	t.Helper()
	d := &division{backend: gaiatest.FragileCache(t)}
	secret := gaiatest.Settings{"INTERNAL_AUTH_SECRET": "a-secret-between-services-of-tests"}
	start := func(service string, more gaiatest.Settings) *gaiatest.Server {
		s := d.backend.Start(t, secret, gaiatest.Settings{"SERVICES": service}, more)
		d.all = append(d.all, s)
		return s
	}
	behind := gaiatest.Settings{"AUTH_SERVICE_URL": start("auth", nil).URL(), "ASSET_SERVICE_URL": start("asset", nil).URL()}
	gateway := func() *gaiatest.Server {
		behind["CHAT_SERVICE_URL"] = start("chat", nil).URL()
		return start("gateway", behind)
	}
	d.here, d.there = gateway(), gateway()
	return d
}

// gateways are both.
func (d *division) gateways() []*gaiatest.Server { return []*gaiatest.Server{d.here, d.there} }

// known waits until every process says that a part is there, or that it is not.
func (d *division) known(t *testing.T, part string, there bool) {
	t.Helper()
	for _, s := range d.all {
		gaiatest.Eventually(t, patience, fmt.Sprintf("%s is there: %t", part, there), func() bool {
			return (s.Anonymous().Get("/health").Want(http.StatusOK).JSON().Text(part, "status") == "healthy") == there
		})
	}
}

// news is a change, and how somebody sees that it has arrived.
type news struct {
	what string
	seen func() bool
	took time.Duration
}

// watch waits for changes, for each from the moment on in which it is there.
type watch struct {
	all     []*news
	waiting sync.WaitGroup
}

func (w *watch) add(what string, seen func() bool) {
	n, since := &news{what: what, seen: seen}, time.Now()
	w.all = append(w.all, n)
	w.waiting.Go(func() {
		for !seen() && time.Since(since) < lostAfter {
			time.Sleep(20 * time.Millisecond)
		}
		n.took = time.Since(since)
	})
}

// slowest waits for all and returns what came last.
func (w *watch) slowest() *news {
	w.waiting.Wait()
	return slices.MaxFunc(w.all, func(a, b *news) int { return cmp.Compare(a.took, b.took) })
}

// answers sends a request again and again until its answer has a status, and a word in it.
func answers(t *testing.T, c *gaiatest.Client, path string, status int, word string) func() bool {
	return func() bool {
		r, err := c.Try(gaiatest.Request{Method: http.MethodGet, Path: path})
		if err != nil || r.Status >= http.StatusInternalServerError {
			t.Errorf("%s: %d %v %s", path, r.Status, err, r.Body)
		}
		return r.Status == status && strings.Contains(string(r.Body), word)
	}
}

// validated has auth say about a key.
func validated(t *testing.T, s *gaiatest.Server, key string) bool {
	t.Helper()
	return s.Anonymous().Post("/api/v1/auth/validate", map[string]any{"api_key": key}).Want(http.StatusOK).JSON().At("valid") == true
}

// TestServicesForgetTogether changes keys and personas through one gateway, and looks through the other, while what tells services of it is
// there or away. Where something comes late all of it is changed again: a machine stands still now and then, and a service that is not told of
// something is late every time. What is not seen at all is seen to be lost the first time.
func TestServicesForgetTogether(t *testing.T) {
	t.Parallel()
	d := divided(t)
	for _, c := range []struct {
		name  string
		away  []string
		limit time.Duration
	}{
		{"all is well", nil, heardWithin},
		{"NATS is away", []string{"nats"}, staleWithin},
		{"Redis is away", []string{"redis"}, heardWithin},
		{"both are away", []string{"nats", "redis"}, staleWithin},
		{"all is well again", nil, heardWithin},
	} {
		t.Run(c.name, func(t *testing.T) {
			for try := 1; ; try++ {
				last := d.tell(t, c.away)
				t.Logf("the last of all things was seen after %v: %s", last.took, last.what)
				switch {
				case last.took <= c.limit:
					return
				case last.took >= lostAfter:
					t.Fatalf("%s: not seen within %v", last.what, lostAfter)
				case try == newsTries:
					t.Fatalf("%s: after %v, want %v at the most", last.what, last.took, c.limit)
				}
			}
		})
	}
}

// tell makes things, changes them while something is away, and returns what was seen last. What was seen must stay when all is well again.
func (d *division) tell(t *testing.T, away []string) (last *news) {
	t.Helper()
	p := prepareShared(t, d)
	for _, part := range away {
		if part == "nats" {
			d.backend.Faults.NATS.Stop()
		} else {
			d.backend.Faults.Redis.Pause() // it keeps what it had, which is old when it is back
		}
		d.known(t, part, false)
	}
	var w watch
	defer w.waiting.Wait() // a change that fails ends the test
	p.change(t, &w)
	last = w.slowest()
	for _, part := range away {
		if part == "nats" {
			d.backend.Faults.NATS.Start()
		} else {
			d.backend.Faults.Redis.Resume()
		}
	}
	for _, part := range []string{"nats", "redis"} {
		d.known(t, part, true)
	}
	if last.took >= lostAfter {
		return last
	}
	for begun := time.Now(); time.Since(begun) < 2*time.Second && !t.Failed(); {
		for _, n := range w.all {
			if !n.seen() {
				t.Errorf("%s: it is as it was, %v after all was well again", n.what, time.Since(begun))
			}
		}
	}
	return last
}

// sharedThings are what both sides know.
type sharedThings struct {
	*division
	owner                string
	revoked, rotated     string // keys
	revokedID, rotatedID string
	changed, deleted     string // ids of personas
	chosen               string
}

const personas = "/api/v0.2/personas"

// prepareShared makes things and has both sides keep them.
func prepareShared(t *testing.T, d *division) *sharedThings {
	t.Helper()
	p := &sharedThings{division: d, owner: uuid.NewString()}
	p.revoked, p.revokedID = newKey(t, d.here.As(p.owner), map[string]any{"name": "revoked"})
	p.rotated, p.rotatedID = newKey(t, d.here.As(p.owner), map[string]any{"name": "rotated"})
	for _, id := range []*string{&p.changed, &p.deleted, &p.chosen} {
		*id = create(t, d.here.Client(), personas, "P "+uuid.NewString())
	}
	for _, s := range d.gateways() {
		for _, key := range []string{p.revoked, p.rotated} {
			withKey(s, key).Get(probeRoute).Want(http.StatusOK)
			if !validated(t, s, key) {
				t.Error("auth does not know a key")
			}
		}
		for _, path := range []string{"", "/" + p.changed, "/" + p.deleted, "/current"} {
			s.As(p.owner).Get(personas + path).Want(http.StatusOK)
		}
	}
	return p
}

// change changes all of it through one gateway, and has watched when both sides show it.
func (p *sharedThings) change(t *testing.T, w *watch) {
	t.Helper()
	owner, global := p.here.As(p.owner), p.here.Client()
	add := func(what string, seen func(s *gaiatest.Server) func() bool) {
		for i, s := range p.gateways() {
			w.add(fmt.Sprintf("%s, gateway %d", what, i+1), seen(s))
		}
	}
	refused := func(key string) func(s *gaiatest.Server) func() bool {
		return func(s *gaiatest.Server) func() bool {
			return answers(t, withKey(s, key), probeRoute, http.StatusForbidden, badKey)
		}
	}
	owner.Delete(keysRoute + "/" + p.revokedID).Want(http.StatusOK)
	if validated(t, p.here, p.revoked) {
		t.Error("auth takes a key that it has just revoked")
	}
	add("a revoked key is refused", refused(p.revoked))
	next := owner.Post(keysRoute+"/"+p.rotatedID+"/rotate", map[string]any{"grace_period_seconds": 0}).Want(http.StatusOK).JSON().Text("api_key")
	add("a replaced key is refused", refused(p.rotated))
	created, _ := newKey(t, owner, map[string]any{"name": "created"})
	for _, s := range p.gateways() {
		withKey(s, next).Get(probeRoute).Want(http.StatusOK)
		withKey(s, created).Get(probeRoute).Want(http.StatusOK)
	}
	word := "Now " + uuid.NewString()
	global.Put(personas+"/"+p.changed, map[string]any{"description": word}).Want(http.StatusOK)
	add("a persona shows its change", func(s *gaiatest.Server) func() bool {
		return answers(t, s.As(p.owner), personas+"/"+p.changed, http.StatusOK, word)
	})
	add("the list shows the change", func(s *gaiatest.Server) func() bool { return answers(t, s.As(p.owner), personas, http.StatusOK, word) })
	global.Delete(personas + "/" + p.deleted).Want(http.StatusOK)
	add("a deleted persona is gone", func(s *gaiatest.Server) func() bool {
		return answers(t, s.As(p.owner), personas+"/"+p.deleted, http.StatusNotFound, "")
	})
	owner.Post(personas+"/set", map[string]any{"persona_id": p.chosen}).Want(http.StatusOK)
	add("the choice is known", func(s *gaiatest.Server) func() bool {
		return answers(t, s.As(p.owner), personas+"/current", http.StatusOK, p.chosen)
	})
	added := create(t, global, personas, "Added "+uuid.NewString())
	add("the list shows what was added", func(s *gaiatest.Server) func() bool { return answers(t, s.As(p.owner), personas, http.StatusOK, added) })
}
