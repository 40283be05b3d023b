package rediskv_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gaia/adapters/rediskv"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// counting is a limiter that has nothing else when Redis is away.
type counting struct {
	t *testing.T
	c *rediskv.Client
}

func (c counting) Take(ctx context.Context, limits []domain.RateLimit) domain.RateDecision {
	d, err := c.c.Count(ctx, limits, nothing)
	if err != nil {
		c.t.Errorf("Count: %v", err)
	}
	return d
}

var (
	nothing  [domain.MaxRateLimits]time.Duration
	hourly   = domain.RateRule{Name: "hourly", Requests: 10, Period: time.Hour}
	somebody = []domain.RateLimit{{Rule: hourly, ID: "somebody"}}
)

// serverAndClients is a Redis of all tests, and the clients of two processes.
func serverAndClients(t *testing.T) (direct *redis.Client, prefix string, a, b *rediskv.Client) {
	t.Helper()
	url, prefix := testenv.Redis(t)
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	direct = redis.NewClient(opt)
	t.Cleanup(func() { _ = direct.Close() })
	cfg := rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient}
	a, b = open(t, cfg), open(t, cfg)
	waitUntilHealthy(t, a)
	waitUntilHealthy(t, b)
	return direct, prefix, a, b
}

func TestRateLimiterContract(t *testing.T) {
	t.Parallel()
	portstest.RateLimiter(t, func(t *testing.T) (a, b ports.RateLimiter) {
		_, _, one, other := serverAndClients(t)
		return counting{t, one}, counting{t, other}
	})
}

func TestCountersExpire(t *testing.T) {
	t.Parallel()
	direct, prefix, c, _ := serverAndClients(t)
	for range 3 {
		counting{t, c}.Take(t.Context(), somebody)
	}
	keys, err := direct.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) != 1 || keys[0] != prefix+"rate:hourly:somebody" {
		t.Fatalf("keys %q, %v", keys, err)
	}
	ttl, err := direct.PTTL(t.Context(), keys[0]).Result()
	if most := 3 * hourly.Interval(); err != nil || ttl <= most-time.Minute || ttl > most {
		t.Errorf("the counter lives for %v (%v), want a little less than %v", ttl, err, most)
	}
}

func TestDecisionIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	c := open(t, rediskv.Config{URL: server.URL(), CallTimeout: patient})
	waitUntilHealthy(t, c)
	limits := append([]domain.RateLimit{{Rule: domain.RateRule{Name: "second", Requests: 10, Period: time.Second}, ID: "somebody"}}, somebody...)
	counting{t, c}.Take(t.Context(), limits) // the script is known from here on
	opt, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	direct := redis.NewClient(opt)
	defer direct.Close() //nolint:errcheck // only reads
	calls := func() string { return direct.Info(t.Context(), "commandstats").Val() }
	before := commandCalls(t, calls(), "evalsha")
	for range 20 {
		counting{t, c}.Take(t.Context(), limits)
	}
	if after := commandCalls(t, calls(), "evalsha"); after-before != 20 {
		t.Errorf("20 decisions were %d scripts", after-before)
	}
	if n := commandCalls(t, calls(), "eval"); n > 1 {
		t.Errorf("the script was sent %d times", n)
	}
}

// commandCalls finds how often Redis was asked for something.
func commandCalls(t *testing.T, info, command string) int {
	t.Helper()
	_, rest, found := strings.Cut(info, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	figure, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(figure)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The clock of the server may be set back: nobody may be locked out until it is again as late as it was.
func TestClockOfTheServerGoesBack(t *testing.T) {
	t.Parallel()
	direct, prefix, c, other := serverAndClients(t)
	key := prefix + "rate:hourly:somebody"
	now, err := direct.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.Set(t.Context(), key, now.Add(24*365*time.Hour).UnixMicro(), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if d := (counting{t, c}).Take(t.Context(), somebody); d.Allowed || hourly.Wait(d.Debts[0]) != hourly.Interval() {
		t.Errorf("%+v, want a refusal until the next request is won back", d)
	}
	if d := (counting{t, other}).Take(t.Context(), somebody); d.Allowed || hourly.Wait(d.Debts[0]) >= hourly.Interval() {
		t.Errorf("%+v, want less to wait than before", d)
	}
	// And forward: everything is won back, not more.
	if err := direct.Set(t.Context(), key, now.Add(-24*time.Hour).UnixMicro(), time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range hourly.Requests + 1 {
		if d := (counting{t, c}).Take(t.Context(), somebody); d.Allowed != (i < hourly.Requests) {
			t.Errorf("request %d: %+v", i+1, d)
		}
	}
}

func TestDebtsOfAnotherProcessAreTakenOver(t *testing.T) {
	t.Parallel()
	_, _, a, b := serverAndClients(t)
	owed := nothing
	owed[0] = 8*hourly.Interval() + hourly.Interval()/2
	for range 2 { // telling twice is not owing twice
		if _, err := a.Count(t.Context(), somebody, owed); err != nil {
			t.Fatal(err)
		}
	}
	if d := (counting{t, b}).Take(t.Context(), somebody); d.Allowed {
		t.Errorf("%+v, want a refusal", d)
	}
	// A refused request tells as well, and no debt is more than everything.
	owed[0] = 1000 * hourly.Full()
	wide := domain.RateLimit{Rule: domain.RateRule{Name: "wide", Requests: 5, Period: time.Hour}, ID: "somebody"}
	if d, err := a.Count(t.Context(), []domain.RateLimit{wide, somebody[0]}, owed); err != nil || d.Allowed {
		t.Errorf("%+v, %v, want a refusal", d, err)
	}
	if d := (counting{t, b}).Take(t.Context(), []domain.RateLimit{wide}); d.Allowed || d.Debts[0] > wide.Rule.Full() {
		t.Errorf("%+v, want a refusal and a debt of %s at the most", d, wide.Rule.Full())
	}
}

func TestCountsThatCannotBe(t *testing.T) {
	t.Parallel()
	direct, prefix, c, _ := serverAndClients(t)
	for _, limits := range [][]domain.RateLimit{nil, make([]domain.RateLimit, domain.MaxRateLimits+1)} {
		if _, err := c.Count(t.Context(), limits, nothing); err == nil {
			t.Errorf("%d limits are counted", len(limits))
		}
	}
	if err := direct.HSet(t.Context(), prefix+"rate:hourly:somebody", "x", 1).Err(); err != nil {
		t.Fatal(err)
	}
	// MGET finds nothing in a value of another type, and SET replaces it.
	if d := (counting{t, c}).Take(t.Context(), somebody); !d.Allowed {
		t.Errorf("%+v", d)
	}
	if err := direct.Set(t.Context(), prefix+"rate:hourly:somebody", "soon", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if d := (counting{t, c}).Take(t.Context(), somebody); !d.Allowed {
		t.Errorf("%+v", d)
	}
}

func TestCountingDoesNotWaitForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t)
	c := open(t, rediskv.Config{URL: server.URL()})
	waitUntilHealthy(t, c)
	count := func() {
		if _, err := c.Count(context.Background(), somebody, nothing); err == nil {
			t.Error("counted without a server")
		}
	}
	server.Pause()
	portstest.Quick(t, "counting", count)
	portstest.Quick(t, "1,000 requests", func() {
		for range 1000 {
			count()
		}
	})
	server.Resume()
	portstest.Within(t, portstest.Patience, "counting works again", func() bool {
		_, err := c.Count(t.Context(), somebody, nothing)
		return err == nil
	})
	server.Stop()
	portstest.Quick(t, "counting", count)
}

func BenchmarkCount(b *testing.B) {
	url, prefix := testenv.Redis(b)
	c, err := rediskv.Open(rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	portstest.Within(b, portstest.Patience, "Redis is healthy", func() bool { return c.Check(b.Context()).Status == domain.Healthy })
	limits := append([]domain.RateLimit{{Rule: domain.RateRule{Name: "second", Requests: 10, Period: time.Second}, ID: "somebody"}}, somebody...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Count(b.Context(), limits, nothing); err != nil {
			b.Fatal(err)
		}
	}
}
