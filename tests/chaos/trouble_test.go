package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

// TestPartsAreInTrouble has every part answer, and say that it can't: what it needs itself has run out, or it is not what it was.
func TestPartsAreInTrouble(t *testing.T) {
	t.Parallel()
	w := newServices(t, seedOf(t), shape{small: true})
	d, n := &troubledDatabase{world: w}, &fullStream{world: w}
	faults := []fault{
		{name: "PostgreSQL is stopped at once and recovers for some seconds", begin: d.recover, end: func() {}, notice: much},
		{name: "PostgreSQL has no connections left", begin: d.occupy, end: d.leave, notice: much},
		{name: "PostgreSQL is read-only", begin: d.readOnly, end: d.readWrite, notice: much},
		{name: "Redis has no memory left", begin: w.redisFull(1), end: w.redisFull(0), notice: nothing},
		{name: "JetStream has no room left", begin: n.fill, end: n.empty, notice: nothing},
	}
	if w.disk != nil {
		faults = append(faults, fault{name: "The disk of assets is full", begin: w.disk.fill, end: w.disk.empty, only: []verdict{refused}})
	}
	for i := range faults[1:] { // the first is over when it has begun
		faults[i+1].lasts = troubleTime
	}
	publish(t, "trouble", run(w, faults))
}

// troubleTime is enough for every client to do all that it does.
const troubleTime = 5 * time.Second

// troubledDatabase is the server, for its administrator.
type troubledDatabase struct {
	world *world
	taken []*pgx.Conn
}

func (d *troubledDatabase) connect() (*pgx.Conn, error) {
	return pgx.Connect(d.world.t.Context(), d.world.backend.Settings["DATABASE_URL"])
}

// do has the administrator say something.
func (d *troubledDatabase) do(statements ...string) {
	d.world.t.Helper()
	conn, err := d.connect()
	if err != nil {
		d.world.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(d.world.t.Context())) //nolint:errcheck // the answers are in
	for _, sql := range statements {
		if _, err := conn.Exec(d.world.t.Context(), sql); err != nil {
			d.world.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// recover ends the server and starts it again. Its log goes on in an archive that takes its time to say that there is nothing, and until then
// nobody is let in.
func (d *troubledDatabase) recover() {
	d.do("ALTER SYSTEM SET hot_standby = off", "ALTER SYSTEM SET restore_command = 'sleep 1; exit 1'",
		"COPY (SELECT '') TO PROGRAM 'touch recovery.signal'") // in the folder of the data
	server := d.world.backend.Faults.Postgres
	server.StopAtOnce()
	server.Start()
}

// occupy takes every connection that there is, also those that others have. The processes stand still meanwhile: they would connect again
// before they could be kept out.
func (d *troubledDatabase) occupy() {
	for _, m := range d.world.machines {
		if m.stop != nil { // a process of Gaia
			m.pause()
			defer m.resume()
		}
	}
	const most = 50 // times that connections arrive that were asked for before
	var refused *pgconn.PgError
	for range most {
		conn, err := d.connect()
		for ; err == nil; conn, err = d.connect() {
			d.taken = append(d.taken, conn)
		}
		if !errors.As(err, &refused) || refused.Code != "53300" {
			d.world.t.Fatal(err)
		}
		if d.expel() == 0 {
			return
		}
	}
	d.world.t.Fatalf("others, who stand still, have connections after they were taken from them %d times", most)
}

// expel ends the connections of all others and returns how many these were.
func (d *troubledDatabase) expel() (n int) {
	own := make([]uint32, len(d.taken))
	for i, conn := range d.taken {
		own[i] = conn.PgConn().PID()
	}
	const end = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> ALL($1::bigint[])`
	if err := d.taken[0].QueryRow(d.world.t.Context(), end, own).Scan(&n); err != nil {
		d.world.t.Fatal(err)
	}
	return n
}

func (d *troubledDatabase) leave() {
	for _, conn := range d.taken {
		_ = conn.Close(context.WithoutCancel(d.world.t.Context())) // the server sees it either way
	}
	d.taken = nil
}

// readOnly makes the server what managed ones become whose disk is nearly full.
func (d *troubledDatabase) readOnly() {
	d.do("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
}

func (d *troubledDatabase) readWrite() {
	d.do("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
}

// redisFull gives Redis so many bytes and lets it forget nothing; 0: as many as it likes.
func (w *world) redisFull(bytes int) func() {
	return func() {
		options, err := redis.ParseURL(w.backend.Settings["REDIS_URL"])
		if err != nil {
			w.t.Fatal(err)
		}
		c := redis.NewClient(options)
		defer c.Close() //nolint:errcheck // the answer is in
		for name, value := range map[string]string{"maxmemory-policy": "noeviction", "maxmemory": fmt.Sprint(bytes)} {
			if err := c.ConfigSet(w.t.Context(), name, value).Err(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// fullStream is a stream of somebody else, who takes all the room.
type fullStream struct{ world *world }

const otherStream = "OTHER"

func (f *fullStream) jetStream(do func(ctx context.Context, js jetstream.JetStream) error) {
	t := f.world.t
	conn, err := nats.Connect(f.world.backend.Settings["NATS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), settleLimit)
	defer cancel()
	if err := do(ctx, js); err != nil {
		t.Fatal(err)
	}
}

func (f *fullStream) fill() {
	f.jetStream(func(ctx context.Context, js jetstream.JetStream) error {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: otherStream, Subjects: []string{"other"}}); err != nil {
			return err
		}
		much := []byte(strings.Repeat("x", 900_000))
		for i := 0; ; i++ {
			var full *jetstream.APIError
			if _, err := js.Publish(ctx, "other", much); errors.As(err, &full) {
				f.world.t.Logf("JetStream is full: %v", err)
				return nil
			} else if err != nil {
				return err
			}
			if i > 1000 {
				return errors.New("JetStream does not fill")
			}
		}
	})
}

func (f *fullStream) empty() {
	f.jetStream(func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, otherStream) })
}
