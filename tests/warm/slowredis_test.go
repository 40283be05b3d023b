package warm

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/gcra"
	"gaia/adapters/memory"
	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/app"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
	"gaia/tests/faultproxy"
)

// stack is what a request meets of Redis, in the order in which it meets it, with a database that takes no time.
type stack struct {
	redis    *rediskv.Client
	limits   *app.Limits
	keys     *app.APIKeys
	personas *app.Personas
	key      string
}

func newStack(t *testing.T, url string) stack {
	t.Helper()
	var s stack
	var err error
	if s.redis, err = rediskv.Open(rediskv.Config{URL: url}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.redis.Close() })
	// Nothing is kept in the process for long, so every request has to ask Redis for everything.
	cache, err := tiercache.New(tiercache.Config{Remote: s.redis, MaxAge: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	s.limits = app.NewLimits(gcra.NewLimiter(gcra.NewLocal(time.Now, 0), s.redis, slog.New(slog.DiscardHandler)), app.LimitsConfig{Requests: 1_000_000, Period: time.Minute, Burst: 100_000}, time.Now)
	s.keys = app.NewAPIKeys(app.APIKeyDeps{
		Store: &memory.APIKeyStore{Audit: &memory.AuditLog{Outbox: &memory.Outbox{}}}, Cache: cache, TTL: time.Hour, Now: time.Now, NewID: uuid.NewString,
		NewKey: func() string { return domain.KeyText("test", "Random"+strings.Repeat("0", 26)) },
	})
	store := memory.NewPersonaStore()
	s.personas = app.NewPersonas(app.PersonaDeps{
		Store: store, Preferences: store, Cache: cache, Now: time.Now, NewID: uuid.NewString,
		TTLs: app.PersonaTTLs{Persona: time.Hour, ListActive: time.Hour, ListAll: time.Hour, Preference: time.Hour},
	})
	if _, _, err = s.personas.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.key, _, err = s.keys.Create(t.Context(), domain.ServicePrincipal(), domain.APIKeyDraft{Name: "slow"}); err != nil {
		t.Fatal(err)
	}
	s.recovered(t)
	return s
}

// recovered waits until Redis is used again, and values in it.
func (s stack) recovered(t *testing.T) {
	t.Helper()
	portstest.Within(t, portstest.Patience, "Redis is used again", func() bool {
		before := s.redis.Stats()
		s.request(t)
		after := s.redis.Stats()
		return after.Up && after.Outages == before.Outages && after.Skipped == before.Skipped && after.Calls >= before.Calls+5 // the count, the key, the choice, the persona, the list
	})
}

// request does what every request does before its own work, and tells how long that took.
func (s stack) request(t *testing.T) time.Duration {
	ctx := context.Background()
	began := time.Now()
	if _, err := s.limits.Request(ctx, app.Caller{Owner: "ada", Address: netip.MustParseAddr("192.0.2.1")}, app.Ordinary); err != nil {
		t.Errorf("limits: %v", err)
	}
	who, err := s.keys.Verify(ctx, s.key)
	if err != nil {
		t.Errorf("key: %v", err)
	}
	if _, err := s.personas.Current(ctx, who); err != nil {
		t.Errorf("persona: %v", err)
	}
	if _, err := s.personas.List(ctx, true); err != nil {
		t.Errorf("personas: %v", err)
	}
	return time.Since(began)
}

const (
	together = 8
	// budget is how long a request may wait for Redis in all, and how soon Redis has to be given up.
	budget = 100 * time.Millisecond
	// A busy machine is late by itself: of some tries one has to be within the budget, and only one may come near what a server costs that
	// does not answer, as when the machine stands still. What is late by more than the budget for another reason than the machine is so in every try.
	tries = 20
	stall = 2500 * time.Millisecond
)

func TestSlowRedis(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		faultproxy.Fault
	}{
		{"30 ms", faultproxy.Fault{Latency: 15 * time.Millisecond}}, // each way
		{"150 ms", faultproxy.Fault{Latency: 75 * time.Millisecond}},
		{"5 s", faultproxy.Fault{Latency: 2500 * time.Millisecond}},
		{"just below the limit", faultproxy.Fault{Latency: 7500 * time.Microsecond}},
		{"a trickle", faultproxy.Fault{Bandwidth: 50}},
		{"half open", faultproxy.Fault{Swallow: faultproxy.Down}},
		{"everything swallowed", faultproxy.Fault{Swallow: faultproxy.Both}},
		{"refused", faultproxy.Fault{Refuse: true, Swallow: faultproxy.Both}},
	} {
		t.Run(fault.name, func(t *testing.T) { // one after the other: they measure time
			server := testenv.StartRedis(t)
			u, err := url.Parse(server.URL())
			if err != nil {
				t.Fatal(err)
			}
			proxy, err := faultproxy.New(u.Host, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Close)
			u.Host = proxy.Address()
			s := newStack(t, u.String())
			s.within(t, func() { set(t, proxy, fault.Fault) }, func() {
				set(t, proxy, faultproxy.Fault{})
				s.recovered(t)
			})
		})
	}
}

func set(t *testing.T, p *faultproxy.Proxy, f faultproxy.Fault) {
	t.Helper()
	if err := p.Set(f); err != nil {
		t.Fatal(err)
	}
}

// TestRedisThatServesNobody stops a server that goes on accepting connections, as it does while it saves, forks or runs a long script.
func TestRedisThatServesNobody(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	s := newStack(t, server.URL())
	s.within(t, server.Pause, func() { server.Resume(); s.recovered(t) })
}

// within breaks Redis under load and checks that no request waits for longer than it may, that Redis is given up in time, and that it is used
// again afterwards.
func (s stack) within(t *testing.T, slow, fast func()) {
	t.Helper()
	var worst, givenUp time.Duration
	stalls := 0
	for range tries {
		before := s.redis.Stats()
		slow()
		if !s.redis.Stats().Up { // the machine was slow enough already: nobody would meet the fault
			fast()
			continue
		}
		worst, givenUp = s.load(t)
		t.Logf("the longest of %d requests took %v; given up after %v", together, worst, givenUp)
		if got := s.redis.Check(t.Context()); got.Status != domain.Unhealthy {
			t.Errorf("health says %+v", got)
		}
		if after := s.redis.Stats(); after.Up || after.Outages <= before.Outages || after.Skipped <= before.Skipped {
			t.Errorf("stats went from %+v to %+v", before, after)
		}
		fast()
		if worst <= budget && givenUp <= budget {
			return
		}
		if worst > stall {
			stalls++
		}
		if stalls > 1 {
			break
		}
	}
	t.Errorf("a request waited for %v, and Redis was given up after %v: want %v at the most", worst, givenUp, budget)
}

// load sends requests from many callers until Redis has been given up, and some more.
func (s stack) load(t *testing.T) (worst, givenUp time.Duration) {
	began := time.Now()
	took := make([]time.Duration, together)
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range together {
		all.Go(func() {
			for n := 0; n < 20 || s.redis.Stats().Up && time.Since(began) < portstest.Patience; n++ {
				took[i] = max(took[i], s.request(t))
				mu.Lock()
				if givenUp == 0 && !s.redis.Stats().Up {
					givenUp = time.Since(began)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return slices.Max(took), givenUp
}
