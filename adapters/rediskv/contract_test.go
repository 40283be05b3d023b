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

func waitUntilHealthy(t *testing.T, c *rediskv.Client) {
	t.Helper()
	portstest.Within(t, portstest.Patience, "Redis is healthy", func() bool { return c.Check(t.Context()).Status == domain.Healthy })
}

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.RemoteCache(t, func(t *testing.T) (a, b ports.RemoteCache) {
		url, prefix := testenv.Redis(t)
		cfg := rediskv.Config{URL: url, Prefix: prefix, CallTimeout: patient}
		one, other := open(t, cfg), open(t, cfg)
		waitUntilHealthy(t, one)
		waitUntilHealthy(t, other)
		return one, other
	})
}
