package postgres_test

import (
	"testing"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
)

// A process whose connections are all in use has much to do. It must not be taken for one that can't do anything.
func TestHealthOfAnExhaustedPool(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrateUp(t, url)
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	release, err := s.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h := s.Check(t.Context()); h.Status != domain.Degraded || h.Detail != "All connections to the database are in use" {
		t.Errorf("with no connection left: %+v", h)
	}
	release()
	wantHealth(t, s, domain.Healthy)
}
