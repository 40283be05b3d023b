package gcra

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocalContract(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(*testing.T) (a, b ports.RateLimiter) {
		l := NewLocal(time.Now, 0)
		return l, l
	})
}

// setClock is a clock that a test sets.
type setClock struct {
	mu sync.Mutex
	at time.Time
}

func newSetClock() *setClock { return &setClock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *setClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *setClock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(by)
}

var (
	perMinute = domain.RateRule{Name: "minute", Requests: 60, Period: time.Minute}
	perSecond = domain.RateRule{Name: "second", Requests: 10, Period: time.Second}
)

func limitsOf(id string) []domain.RateLimit {
	return []domain.RateLimit{{Rule: perMinute, ID: id}, {Rule: perSecond, ID: id}}
}

// flood sends n requests at one moment and counts those that are let through.
func flood(l ports.RateLimiter, n int, limits []domain.RateLimit) (allowed int, last domain.RateDecision) {
	for range n {
		if last = l.Take(context.Background(), limits); last.Allowed {
			allowed++
		}
	}
	return allowed, last
}

func TestPeriodAndBurst(t *testing.T) {
	t.Parallel()
	clock := newSetClock()
	l := NewLocal(clock.now, 0)
	total := 0
	for second := range 6 {
		n, last := flood(l, 100, limitsOf("ada"))
		if n != 10 || last.Allowed || last.Refused != 1 && second < 5 {
			t.Errorf("second %d: %d requests, %+v", second, n, last)
		}
		total += n
		clock.advance(time.Second)
	}
	// In six seconds six were won back; what is left of the period is what counts now.
	if n, last := flood(l, 100, limitsOf("ada")); total+n != 66 || last.Refused != 0 || perMinute.Wait(last.Debts[0]) != time.Second {
		t.Errorf("%d requests in all, %+v", total+n, last)
	}
	clock.advance(time.Second)
	if n, _ := flood(l, 100, limitsOf("ada")); n != 1 {
		t.Errorf("%d requests after a second", n)
	}
	clock.advance(time.Hour)
	if n, _ := flood(l, 100, limitsOf("ada")); n != 10 {
		t.Errorf("%d requests after an hour", n)
	}
}

func TestClockJumps(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"back": -24 * time.Hour, "to before the start": -1000 * time.Hour, "forward": 1000 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newSetClock()
			clock.advance(time.Minute)
			l := NewLocal(clock.now, 0)
			limits := []domain.RateLimit{{Rule: perMinute, ID: "ada"}}
			flood(l, 100, limits)
			clock.advance(jump)
			n, last := flood(l, 100, limits)
			if want := map[bool]int{true: 60, false: 0}[jump > 0]; n != want || perMinute.Wait(last.Debts[0]) > time.Second {
				t.Errorf("%d requests, want %d; %s to wait", n, want, perMinute.Wait(last.Debts[0]))
			}
			clock.advance(10 * time.Second)
			if n, _ := flood(l, 100, limits); n != 10 {
				t.Errorf("%d requests after ten seconds", n)
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const room = 64 * parts
	clock := newSetClock()
	l := NewLocal(clock.now, room)
	heavy := []domain.RateLimit{{Rule: perMinute, ID: "heavy"}}
	flood(l, 50, heavy)
	for i := range 5 * room { // in one moment, so that each counter says something
		l.Take(t.Context(), []domain.RateLimit{{Rule: perMinute, ID: strconv.Itoa(i)}})
		if n := l.len(); n > room {
			t.Fatalf("%d counters, room for %d", n, room)
		}
	}
	if n := l.len(); n < room/2 {
		t.Errorf("%d counters, room for %d", n, room)
	}
	if n, _ := flood(l, 100, heavy); n != 10 {
		t.Errorf("a heavy user among many light ones got %d more, want 10", n)
	}
	clock.advance(time.Hour)
	for i := range 1000 { // what says nothing makes room
		l.Take(t.Context(), []domain.RateLimit{{Rule: perMinute, ID: "new" + strconv.Itoa(i)}})
	}
	if n := l.len(); n > 1000+firstSweep*parts {
		t.Errorf("%d counters of 1000 callers", n)
	}
}

func TestEveryLimitHasItsCounterWhateverTheRoom(t *testing.T) {
	t.Parallel()
	l := NewLocal(time.Now, 1)
	for i := range 1000 {
		if d := l.Take(t.Context(), limitsOf(strconv.Itoa(i))); !d.Allowed {
			t.Fatalf("caller %d: %+v", i, d)
		}
	}
}

func BenchmarkLocal(b *testing.B) {
	for _, callers := range []int{1, 100_000} {
		b.Run(strconv.Itoa(callers)+" callers", func(b *testing.B) {
			l := NewLocal(time.Now, 0)
			limits := make([][]domain.RateLimit, callers)
			for i := range limits {
				limits[i] = limitsOf("owner:" + strconv.Itoa(i))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Take(b.Context(), limits[i%callers])
				i++
			}
		})
	}
	b.Run("more callers than room", func(b *testing.B) {
		const room = 1 << 16
		l := NewLocal(time.Now, room)
		limits := []domain.RateLimit{{Rule: domain.RateRule{Name: "day", Requests: 60, Period: 24 * time.Hour}}}
		i := 0
		for ; i < 2*room; i++ {
			limits[0].ID = strconv.Itoa(i)
			l.Take(b.Context(), limits)
		}
		b.ReportAllocs()
		for b.Loop() {
			limits[0].ID = strconv.Itoa(i)
			l.Take(b.Context(), limits)
			i++
		}
	})
}
