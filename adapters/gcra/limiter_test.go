package gcra

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/rediskv"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// patient keeps a busy test machine from looking like an outage.
const patient = 2 * time.Second

func openRedis(t testing.TB, cfg rediskv.Config) *rediskv.Client {
	t.Helper()
	c, err := rediskv.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	portstest.Within(t, portstest.Patience, "Redis is healthy", func() bool { return c.Check(t.Context()).Status == domain.Healthy })
	return c
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestLimiterContract(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(t *testing.T) (a, b ports.RateLimiter) {
		url, prefix := testenv.Redis(t)
		cfg := rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient}
		return NewLimiter(NewLocal(time.Now, 0), openRedis(t, cfg), quiet()), NewLimiter(NewLocal(time.Now, 0), openRedis(t, cfg), quiet())
	})
}

// A limiter that is alone has to keep the rules, too.
func TestLonelyLimiterContract(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(*testing.T) (a, b ports.RateLimiter) {
		l := NewLimiter(NewLocal(time.Now, 0), &shared{Local: NewLocal(time.Now, 0), away: always()}, quiet())
		return l, l
	})
}

// shared is a shared limiter in this process, which can be away.
type shared struct {
	*Local
	away *atomic.Bool
}

func always() *atomic.Bool {
	var away atomic.Bool
	away.Store(true)
	return &away
}

var errAway = errors.New("away")

func (s *shared) Count(_ context.Context, limits []domain.RateLimit, owed [domain.MaxRateLimits]time.Duration) (domain.RateDecision, error) {
	if s.away.Load() {
		return domain.RateDecision{}, errAway
	}
	s.learn(limits, owed)
	return s.take(limits, false), nil
}

// replicas are two limiters that share one.
func replicas(clock ports.Clock) (a, b *Limiter, away *atomic.Bool) {
	away = new(atomic.Bool)
	s := &shared{NewLocal(clock, 0), away}
	return NewLimiter(NewLocal(clock, 0), s, quiet()), NewLimiter(NewLocal(clock, 0), s, quiet()), away
}

func TestWhoWasLimitedTogetherIsLimitedAlone(t *testing.T) {
	t.Parallel()
	clock := newSetClock()
	a, b, away := replicas(clock.now)
	limits := []domain.RateLimit{{Rule: perMinute, ID: "ada"}}
	flood(a, 29, limits)
	flood(b, 30, limits)
	flood(a, 1, limits)
	away.Store(true)
	if n, last := flood(a, 100, limits); n != 0 || perMinute.Wait(last.Debts[0]) != time.Second {
		t.Errorf("%d requests, %+v: the local limiter has begun at zero", n, last)
	}
	if n, _ := flood(b, 100, limits); n != 1 { // it has not heard of the last one
		t.Errorf("%d requests at the other replica, want 1", n)
	}
	clock.advance(5 * time.Second)
	if n, _ := flood(a, 100, limits); n != 5 {
		t.Errorf("%d requests after five seconds alone, want 5", n)
	}
}

func TestWhatWasGivenAloneCountsTogether(t *testing.T) {
	t.Parallel()
	clock := newSetClock()
	a, b, away := replicas(clock.now)
	limits := []domain.RateLimit{{Rule: perMinute, ID: "ada"}}
	away.Store(true)
	flood(a, 40, limits)
	flood(b, 20, limits)
	away.Store(false)
	if d := a.Take(t.Context(), limits); perMinute.Remaining(d.Debts[0]) != 19 {
		t.Errorf("%d left, want 19", perMinute.Remaining(d.Debts[0]))
	}
	// Debts of two replicas for the same time are not added, and told once only.
	if d := b.Take(t.Context(), limits); perMinute.Remaining(d.Debts[0]) != 18 {
		t.Errorf("%d left, want 18", perMinute.Remaining(d.Debts[0]))
	}
	clock.advance(10 * time.Second)
	if d := a.Take(t.Context(), limits); perMinute.Remaining(d.Debts[0]) != 27 {
		t.Errorf("%d left, want 27", perMinute.Remaining(d.Debts[0]))
	}
	if owed := a.local.owed(limits); owed[0] != 0 {
		t.Errorf("%s are still owed", owed[0])
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	away := new(atomic.Bool)
	l := NewLimiter(NewLocal(time.Now, 0), &shared{NewLocal(time.Now, 0), away}, slog.New(slog.NewTextHandler(&out, nil)))
	for _, gone := range []bool{false, true, false} {
		away.Store(gone)
		flood(l, 5, limitsOf("ada"))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	away.Store(true)
	l.Take(gone, limitsOf("ada")) // who has left says nothing about others
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "alone") || !strings.Contains(got, "together") {
		t.Errorf("log: %s", got)
	}
}

func TestHealthTellsWhetherCountersAreShared(t *testing.T) {
	t.Parallel()
	away := new(atomic.Bool)
	l := NewLimiter(NewLocal(time.Now, 0), &shared{NewLocal(time.Now, 0), away}, quiet())
	if got := l.Check(t.Context()); got.Status != domain.Healthy {
		t.Errorf("%+v", got)
	}
	away.Store(true)
	if got := l.Check(t.Context()); got.Status != domain.Degraded || got.Detail == "" {
		t.Errorf("%+v", got)
	}
}

// Redis stops, hangs and comes back under load: nobody waits, and nobody gets more than one process would give by itself.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stopped", "paused"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			server := testenv.StartRedis(t)
			l := NewLimiter(NewLocal(time.Now, 0), openRedis(t, rediskv.Config{URL: server.URL(), CallTimeout: 20 * time.Millisecond}), quiet())
			rule := domain.RateRule{Name: "hourly", Requests: 100, Period: 1000 * time.Hour}
			limits := []domain.RateLimit{{Rule: rule, ID: "ada"}}
			n, _ := flood(l, 40, limits)
			stop, start := server.Stop, server.Start
			if how == "paused" {
				stop, start = server.Pause, server.Resume
			}
			stop()
			portstest.Quick(t, "a request", func() { more, _ := flood(l, 1, limits); n += more })
			portstest.Quick(t, "1,000 requests", func() { more, _ := flood(l, 1000, limits); n += more })
			if n != rule.Requests {
				t.Errorf("%d requests until now, want %d", n, rule.Requests)
			}
			start()
			portstest.Within(t, portstest.Patience, "counters are shared again", func() bool { return l.Check(t.Context()).Status == domain.Healthy })
			if n, _ := flood(l, 100, limits); n != 0 {
				t.Errorf("%d more when Redis is back", n)
			}
		})
	}
}

func BenchmarkLimiter(b *testing.B) {
	url, prefix := testenv.Redis(b)
	l := NewLimiter(NewLocal(time.Now, 0), openRedis(b, rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient}), quiet())
	b.ReportAllocs()
	for b.Loop() {
		l.Take(b.Context(), limitsOf("ada"))
	}
}
