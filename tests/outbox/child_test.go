package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/adapters/postgres"
	"gaia/adapters/sqlite"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// childVariable makes the test binary a process that sends events.
const childVariable = "GAIA_OUTBOX_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var o orders
		err := json.Unmarshal([]byte(text), &o)
		if err == nil {
			err = o.run(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Ways to die in the middle of sending.
const (
	before  = iota // of anything
	halfWay        // through the batch
	after          // the bus has all, and the database has not heard of it
	ways
)

// orders are what a child has to do: send until nothing waits, or until it dies.
type orders struct {
	File     string // of SQLite; empty: PostgreSQL
	Database string
	NATS     string
	Window   time.Duration // of the stream for duplicates; what is in doubt is sent after it
	Batch    int
	DieAt    int // number of the batch; 0: never
	How      int
	Halt     bool          // stand still instead of dying, and then go on as if nothing had happened; it says both
	Patience time.Duration // of the database with a statement; 0: the default
}

// database is an outbox with the store that fills it.
type database struct {
	outbox ports.Outbox
	commit func(context.Context, domain.Turn) (string, error)
	close  func()
}

func (o orders) open(ctx context.Context) (database, error) {
	if o.File != "" {
		s, err := sqlite.Open(ctx, sqlite.Config{Path: o.File})
		if err != nil {
			return database{}, err
		}
		return database{outbox: s.Outbox(), commit: s.Conversations().CommitTurn, close: func() { _ = s.Close() }}, nil
	}
	s, err := postgres.Open(ctx, postgres.Config{URL: o.Database, PoolSize: 8, StatementTimeout: o.Patience})
	if err != nil {
		return database{}, err
	}
	return database{outbox: s.Outbox(), commit: s.Conversations().CommitTurn, close: s.Close}, nil
}

func (o orders) run(ctx context.Context) error {
	db, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	bus, err := natsbus.Start(ctx, natsbus.Config{URL: o.NATS})
	if err != nil {
		return err
	}
	defer bus.Close()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	relay := app.NewRelay(app.RelayDeps{
		Outbox: db.outbox, Sender: &mortal{orders: o, bus: bus},
		Config: app.RelayConfig{Batch: o.Batch, Poll: 20 * time.Millisecond, LastWait: 200 * time.Millisecond},
	})
	go func() { relay.Run(ctx); close(ended) }()
	for {
		left, err := db.outbox.Pending(ctx)
		if err != nil || left == 0 {
			cancel()
			<-ended
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// command makes a process that follows the orders.
func (o orders) command(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childVariable+"="+string(text))
	c.Stderr = os.Stderr
	return c
}

// mortal sends until its batch has come.
type mortal struct {
	orders
	bus     ports.EventSender
	batches int
}

// Send implements ports.EventSender.
func (m *mortal) Send(ctx context.Context, batch domain.EventBatch) (int, string, error) {
	if batch.Doubt { // so late that JetStream has forgotten what it took
		select {
		case <-time.After(2 * m.Window):
		case <-ctx.Done():
			return 0, "", ctx.Err()
		}
	}
	if m.batches++; m.batches != m.DieAt {
		return m.bus.Send(ctx, batch)
	}
	all := batch
	switch m.How {
	case before:
		batch.Events = nil
	case halfWay:
		batch.Events = batch.Events[:len(batch.Events)/2]
	}
	if _, _, err := m.bus.Send(ctx, batch); err != nil {
		return 0, "", err
	}
	if m.Halt {
		fmt.Println("halts")
		_, _ = fmt.Scanln() // it is stopped here, and told when it runs again: a process that stops itself may run on for a moment
		n, place, err := m.bus.Send(ctx, all)
		fmt.Println("went on:", n, err)
		return n, place, err
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
