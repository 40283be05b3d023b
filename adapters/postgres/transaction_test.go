package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/ports/portstest"
)

// gate makes the ends of statements that add rows to a table wait: of those of the table at once, or of their transactions.
type gate struct {
	t    *testing.T
	conn *pgx.Conn
}

const gateKey = 4711 // of the lock that they wait for

func newGate(t *testing.T, url, table, when string) gate {
	t.Helper()
	g := gate{t, connect(t, url)}
	exec(t, g.conn, `CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END'`)
	exec(t, g.conn, `CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON `+table+` DEFERRABLE INITIALLY `+when+` FOR EACH ROW EXECUTE FUNCTION pass()`)
	exec(t, g.conn, `SELECT pg_advisory_lock($1)`, gateKey)
	return g
}

// awaited waits until somebody stands before the gate.
func (g gate) awaited() {
	g.t.Helper()
	const asked = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	for deadline := time.Now().Add(portstest.Patience); ; time.Sleep(time.Millisecond) {
		var n int
		if err := g.conn.QueryRow(g.t.Context(), asked, gateKey).Scan(&n); err != nil {
			g.t.Fatal(err)
		}
		if n > 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatal("nobody came to the gate")
		}
	}
}

func (g gate) open() { exec(g.t, g.conn, `SELECT pg_advisory_unlock($1)`, gateKey) }

// gatedWrite is a change that a gate at a table holds up.
type gatedWrite struct {
	table, when string
	write       func(context.Context, *postgres.Store) error
}

// gated is one of each kind.
func gated() map[string]gatedWrite {
	return map[string]gatedWrite{
		"a transaction": {"personas", "DEFERRED", func(ctx context.Context, s *postgres.Store) error {
			return s.Personas().Create(ctx, aPersona("Committed"))
		}},
		"one statement": {"accounts", "IMMEDIATE", func(ctx context.Context, s *postgres.Store) error {
			return s.Accounts().Create(ctx, domain.StoredAccount{ID: newID(), Email: "a@example.com", PasswordHash: "hash", CreatedAt: time.Now()})
		}},
		"a turn": {"conversations", "IMMEDIATE", func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Conversations().CommitTurn(ctx, aTurn("ada", ""))
			return err
		}},
	}
}

// TestCallersLeaveWhileTheirsIsCommitted: what is stored is not told to be given up.
func TestCallersLeaveWhileTheirsIsCommitted(t *testing.T) {
	t.Parallel()
	for name, c := range gated() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			s, g := openWith(t, noWait(url)), newGate(t, url, c.table, c.when)
			ctx, leave := context.WithCancel(t.Context())
			written := make(chan error, 1)
			go func() { written <- c.write(ctx, s) }()
			g.awaited()
			leave()
			g.open()
			if err := <-written; err != nil {
				t.Errorf("it was stored, and the caller hears: %v", err)
			}
			var rows int
			if err := g.conn.QueryRow(t.Context(), `SELECT count(*) FROM `+c.table).Scan(&rows); err != nil || rows != 1 {
				t.Errorf("%d rows, %v", rows, err)
			}
			if err := c.write(ctx, s); domain.KindOf(err) != domain.Canceled {
				t.Errorf("a caller who had left before: %v", err)
			}
			if err := g.conn.QueryRow(t.Context(), `SELECT count(*) FROM `+c.table).Scan(&rows); err != nil || rows != 1 {
				t.Errorf("%d rows after a caller who had left before, %v", rows, err)
			}
		})
	}
}

// TestOutcomesThatNobodyKnows: nobody waits for what hangs after its caller has left. It may be stored all the same, and is not told to be given
// up; only what the server says is over is.
func TestOutcomesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	for name, c := range gated() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			s, g := openWith(t, noWait(url)), newGate(t, url, c.table, c.when)
			write := func(ctx context.Context) <-chan error {
				written := make(chan error, 1)
				go func() { written <- c.write(ctx, s) }()
				g.awaited()
				return written
			}
			written := write(t.Context())
			exec(t, g.conn, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, gateKey)
			if err := <-written; !domain.IsStoreAway(err) || domain.IsInDoubt(err) {
				t.Errorf("the server has said that it was taken back, and the caller hears: %v", err)
			}
			ctx, leave := context.WithCancel(t.Context())
			written = write(ctx)
			left := time.Now()
			leave()
			if err := <-written; !domain.IsInDoubt(err) || !domain.IsStoreAway(err) || domain.KindOf(err) != domain.Unavailable {
				t.Errorf("it may be stored all the same, and the caller hears: %v", err)
			}
			if took := time.Since(left); took > bound {
				t.Errorf("noticed after %v that the caller had left", took)
			}
			g.open()
		})
	}
}
