package tiercache_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gaia/adapters/natsbus"
	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	list  = ports.CacheKey{Space: "personas:list", Name: "active"}
	lists = ports.CacheKey{Space: "personas:list"}
)

// clock stands still unless it is moved.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return noon.Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newCache(t testing.TB, cfg tiercache.Config) *tiercache.Cache {
	t.Helper()
	c, err := tiercache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func openRedis(t testing.TB, cfg rediskv.Config) *rediskv.Client {
	t.Helper()
	c, err := rediskv.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// patientRedis waits for a healthy client whose calls a busy machine does not cut off.
func patientRedis(t testing.TB, url, prefix string) *rediskv.Client {
	t.Helper()
	c := openRedis(t, rediskv.Config{URL: url, Prefix: prefix, CallTimeout: 2 * time.Second})
	healthy(t, c)
	return c
}

func healthy(t testing.TB, part ports.Probe) {
	t.Helper()
	portstest.Within(t, portstest.Patience, "a part is healthy", func() bool { return part.Check(context.Background()).Status == domain.Healthy })
}

func openBus(t testing.TB, url, prefix string) *natsbus.Bus {
	t.Helper()
	b, err := natsbus.Start(context.Background(), natsbus.Config{URL: url, SubjectPrefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func decode(data []byte) (any, error) {
	var s string
	err := json.Unmarshal(data, &s)
	return s, err
}

// store is the truth behind the caches.
type store struct {
	mu    sync.Mutex
	value string
	loads int
}

func (s *store) set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

func (s *store) load(context.Context) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.value, nil
}

func (s *store) fetch(t testing.TB, c ports.Cache) (value string, hit bool) {
	t.Helper()
	got, hit, err := c.Fetch(context.Background(), list, time.Hour, s.load, decode)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	value, _ = got.(string)
	return value, hit
}

// want checks the value of one Fetch.
func (s *store) want(t testing.TB, c ports.Cache, want string, wantHit bool) {
	t.Helper()
	if got, hit := s.fetch(t, c); got != want || hit != wantHit {
		t.Errorf("Fetch = %q, hit %v; want %q, hit %v", got, hit, want, wantHit)
	}
}
