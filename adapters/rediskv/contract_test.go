package rediskv_test

import (
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

func open(t *testing.T, cfg rediskv.Config) *rediskv.Client {
	t.Helper()
	c, err := rediskv.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// within polls for a state that another process or goroutine brings about.
func within(t *testing.T, limit time.Duration, what string, reached func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for !reached() {
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func waitFor(t *testing.T, c *rediskv.Client, want domain.Status) {
	t.Helper()
	within(t, 10*time.Second, "health "+string(want), func() bool { return c.Check(t.Context()).Status == want })
}

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.RemoteCache(t, func(t *testing.T) (a, b ports.RemoteCache) {
		url, prefix := testenv.Redis(t)
		cfg := rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient}
		one, other := open(t, cfg), open(t, cfg)
		waitFor(t, one, domain.Healthy)
		waitFor(t, other, domain.Healthy)
		return one, other
	})
}
