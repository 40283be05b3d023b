package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// A sender needs one connection: the second one of a small pool, or of a busy one, may never come.
func TestOutboxOnOneConnection(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.Outbox(t, func(t *testing.T) portstest.OutboxSetup {
		schema := newSchema(t, database)
		one := postgres.Config{URL: schema, PoolSize: 1, AcquireTimeout: 10 * time.Second, StatementTimeout: 20 * time.Second}
		a, b := openWith(t, one), openWith(t, one)
		return portstest.OutboxSetup{A: a.Outbox(), B: b.Outbox(), Commit: commits(open(t, schema)), Lose: func(t *testing.T) {
			exec(t, connect(t, schema), `DELETE FROM outbox`)
		}}
	})
}

// Processes of a release that knows nothing of traces and times store events beside newer ones: theirs are sent as well, without a trace, and
// count for how long the oldest has waited.
func TestEventsOfAnEarlierReleaseAreSent(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	store := open(t, url)
	exec(t, connect(t, url), `INSERT INTO outbox (id, subject, payload) VALUES (gen_random_uuid(), 'gaia.usage.recorded', '{}')`)
	portstest.Within(t, portstest.Patience, "it has waited for a moment", func() bool {
		waits, err := store.Outbox().Oldest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return waits > time.Millisecond
	})
	var sent []domain.StoredEvent
	n, err := store.Outbox().Relay(t.Context(), 10, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		sent = batch.Events
		return len(batch.Events), "", nil
	})
	if n != 1 || err != nil || sent[0].Trace != "" || sent[0].Subject != domain.SubjectUsageRecorded {
		t.Errorf("Relay = %d, %v: %+v", n, err, sent)
	}
}

// Whoever waits in a large outbox costs a sender nothing: the oldest are read and forgotten by their index.
func TestOutboxUsesItsIndexOn200000Events(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	exec(t, conn, `INSERT INTO outbox (id, subject, payload)
		SELECT gen_random_uuid(), 'gaia.usage.recorded', jsonb_build_object('n', n, 'text', repeat('x', 300)) FROM generate_series(1, 200000) AS n`)
	exec(t, conn, `ANALYZE outbox`)
	if n, err := open(t, url).Outbox().Pending(t.Context()); n != ports.PendingLimit || err != nil {
		t.Errorf("Pending = %d, %v, want the number at which counting stops", n, err)
	}
	send := func(s *postgres.Store) {
		n, err := s.Outbox().Relay(t.Context(), 256, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
			return len(batch.Events), "", nil
		})
		if n != 256 || err != nil {
			t.Fatalf("Relay = %d, %v", n, err)
		}
	}
	numbers := make([]int64, 256)
	for i := range numbers {
		numbers[i] = int64(i) + 10_000
	}
	for mark, args := range map[string][]any{"LIMIT $1": {256}, "DELETE FROM outbox": {numbers}} {
		plan := explain(t, conn, traced(t, url, mark, send), args...)
		if !strings.Contains(plan, "outbox_pkey") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s does not use the index:\n%s", mark, plan)
		}
	}
}
