package chaos

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// freezeTime is longer than every claim, than three heartbeats need to be missed, and than a gateway waits for who does not answer probes either.
const freezeTime = 40 * time.Second

// TestFreezesOutlastLeases has what stood still go on when all others have long done without it: what it was about to do must not happen.
func TestFreezesOutlastLeases(t *testing.T) {
	t.Parallel()
	w := newServices(t, seedOf(t), shape{})
	f := &freeze{world: w}
	publish(t, "freezes", run(w, []fault{
		{name: "auth, asset (1) and chat (1) stand still for 40 s, in the middle of work", lasts: freezeTime, begin: f.workers, end: f.thaw, notice: much},
		{name: "Redis and NATS stand still for 40 s", lasts: freezeTime, begin: f.parts("Redis", "NATS"), end: f.thaw, notice: nothing},
		{name: "PostgreSQL stands still for 40 s", lasts: freezeTime, begin: f.parts("PostgreSQL"), end: f.thaw, notice: much},
	}))
}

// freeze is what stands still together.
type freeze struct {
	world  *world
	frozen []*machine
	held   []work
	last   int64 // number of the last event that was stored when they were all frozen
}

// work is something that one process does at a time.
type work struct{ table, id string }

func (f *freeze) pause(name string) {
	i := slices.IndexFunc(f.world.machines, func(m *machine) bool { return m.name == name })
	f.frozen = append(f.frozen, f.world.machines[i])
	f.world.machines[i].pause()
}

func (f *freeze) parts(names ...string) func() {
	return func() {
		for _, name := range names {
			f.pause(name)
		}
	}
}

// workers freezes a process that sends events at that moment, one that makes an asset, and one that works on a workflow. Anybody may send
// events, so the first is one of the three.
func (f *freeze) workers() {
	db := f.connect()
	defer db.Close(f.world.t.Context()) //nolint:errcheck // the answers are in
	workers := []string{"auth", "asset (1)", "chat (1)"}
	sender := f.sender(db, workers)
	for _, name := range workers {
		switch {
		case name == sender:
		case name == "asset (1)":
			f.pauseWith(db, name, "generations")
		case name == "chat (1)":
			f.pauseWith(db, name, "workflows")
		default:
			f.pause(name)
		}
	}
	if err := db.QueryRow(f.world.t.Context(), "SELECT coalesce(max(seq), 0) FROM outbox").Scan(&f.last); err != nil {
		f.world.t.Fatal(err)
	}
}

// thaw lets everything go on. By now others have done what it had begun.
func (f *freeze) thaw() {
	t := f.world.t
	if len(f.held) > 0 || f.last > 0 {
		db := f.connect()
		defer db.Close(t.Context()) //nolint:errcheck // the answers are in
		for _, w := range f.held {
			if !f.done(db, w) {
				t.Errorf("nobody has gone on with %s of %s", w.id, w.table)
			}
		}
		var left int
		if err := db.QueryRow(t.Context(), "SELECT count(*) FROM outbox WHERE seq <= $1", f.last).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left > 0 {
			t.Errorf("nobody has gone on with %d events", left)
		}
	}
	for _, m := range f.frozen {
		m.resume()
	}
	f.frozen, f.held, f.last = nil, nil, 0
}

func (f *freeze) connect() *pgx.Conn {
	db, err := pgx.Connect(f.world.t.Context(), f.world.backend.Settings["DATABASE_URL"])
	if err != nil {
		f.world.t.Fatal(err)
	}
	return db
}

const (
	freezeTries = 200
	// otherwiseDone is when work has ended that was not in the hands of who was frozen, and far from the end of a lease.
	otherwiseDone = time.Second
)

// sender freezes one of some processes while it sends events, and returns its name: events can be read, and not be noted as sent, until
// everybody who is about to note that is frozen, or was somebody else.
func (f *freeze) sender(db *pgx.Conn, of []string) string {
	ctx, t := f.world.t.Context(), f.world.t
	const senders = `SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE l.locktype = 'advisory' AND l.classid = 72001 AND l.granted AND a.wait_event_type = 'Lock'`
	for range freezeTries {
		tx, err := db.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE outbox_state IN SHARE MODE"); err != nil {
			t.Fatal(err)
		}
		var name string
		for deadline := time.Now().Add(otherwiseDone); name == "" && time.Now().Before(deadline); {
			if err := tx.QueryRow(ctx, "SELECT coalesce(("+senders+" LIMIT 1), '')").Scan(&name); err != nil {
				t.Fatal(err)
			}
		}
		found := slices.Contains(of, name)
		if found {
			f.pause(name)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if found {
			t.Logf("%s stands still while it sends events", name)
			return name
		}
	}
	t.Fatalf("none of %v sends events", of)
	return ""
}

// pauseWith freezes a process that has something of a table in its hands: nobody else comes to its end.
func (f *freeze) pauseWith(db *pgx.Conn, name, table string) {
	t := f.world.t
	for range freezeTries {
		w := work{table: table}
		for deadline := time.Now().Add(settleLimit); w.id == ""; {
			if time.Now().After(deadline) {
				t.Fatalf("there is no work in %s", table)
			}
			const open = "(SELECT id::text FROM %s WHERE completed_at IS NULL AND claimed_until > now() LIMIT 1)"
			if err := db.QueryRow(t.Context(), "SELECT coalesce("+fmt.Sprintf(open, table)+", '')").Scan(&w.id); err != nil {
				t.Fatal(err)
			}
		}
		f.pause(name)
		done := false
		for deadline := time.Now().Add(otherwiseDone); !done && time.Now().Before(deadline); {
			done = f.done(db, w)
		}
		if !done {
			t.Logf("%s stands still with %s of %s", name, w.id, table)
			f.held = append(f.held, w)
			return
		}
		f.frozen[len(f.frozen)-1].resume()
		f.frozen = f.frozen[:len(f.frozen)-1]
	}
	t.Fatalf("%s has no work", name)
}

func (f *freeze) done(db *pgx.Conn, w work) (done bool) {
	if err := db.QueryRow(f.world.t.Context(), fmt.Sprintf("SELECT completed_at IS NOT NULL FROM %s WHERE id = $1::uuid", w.table), w.id).Scan(&done); err != nil {
		f.world.t.Fatal(err)
	}
	return done
}
