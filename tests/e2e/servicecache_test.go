package e2e

import (
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

// staleWithin is how long a process goes by what it keeps while nobody can tell it of changes, and what a busy machine adds.
const staleWithin = 5*time.Second + heardWithin

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
	what  string
	since time.Time
	seen  func() bool
}

// await waits for all together and returns how long the slowest took.
func await(t *testing.T, limit time.Duration, all []news) time.Duration {
	t.Helper()
	took := make([]time.Duration, len(all))
	var waiting sync.WaitGroup
	for i, n := range all {
		waiting.Go(func() {
			for !n.seen() && time.Since(n.since) < patience {
				time.Sleep(20 * time.Millisecond)
			}
			if took[i] = time.Since(n.since); took[i] > limit {
				t.Errorf("%s: after %v, want %v at the most", n.what, took[i], limit)
			}
		})
	}
	waiting.Wait()
	return slices.Max(took)
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
// there or away.
func TestServicesForgetTogether(t *testing.T) {
	t.Parallel()
	d := divided(t)
	f := d.backend.Faults
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
			p := prepareShared(t, d)
			for _, part := range c.away {
				if part == "nats" {
					f.NATS.Stop()
				} else {
					f.Redis.Pause() // it keeps what it had, which is old when it is back
				}
				d.known(t, part, false)
			}
			all := p.change(t)
			t.Logf("the last of %d things was seen after %v", len(all), await(t, c.limit, all))
			for _, part := range c.away {
				if part == "nats" {
					f.NATS.Start()
				} else {
					f.Redis.Resume()
				}
			}
			for _, part := range []string{"nats", "redis"} {
				d.known(t, part, true)
			}
			for begun := time.Now(); time.Since(begun) < 2*time.Second && !t.Failed(); {
				for _, n := range all {
					if !n.seen() {
						t.Errorf("%s: it is as it was, %v after all was well again", n.what, time.Since(begun))
					}
				}
			}
		})
	}
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

// change changes all of it through one gateway, and returns how both sides show it.
func (p *sharedThings) change(t *testing.T) (all []news) {
	t.Helper()
	owner, global := p.here.As(p.owner), p.here.Client()
	add := func(what string, seen func(s *gaiatest.Server) func() bool) {
		since := time.Now() // the answer is there
		for i, s := range p.gateways() {
			all = append(all, news{fmt.Sprintf("%s, gateway %d", what, i+1), since, seen(s)})
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
	return all
}
