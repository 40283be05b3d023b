package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/adapters/natsbus"
	"gaia/adapters/postgres"
	"gaia/adapters/sqlite"
	"gaia/app"
	"gaia/domain"
	"gaia/internal/testenv"
)

const (
	entities = 25
	each     = 200 // turns of an entity, with two events each
	window   = 150 * time.Millisecond
	deaths   = 18
)

// TestNoEventIsLostOrRepeated: 10,000 events wait for a bus that is away. Then processes send them that are killed at the worst moments, and
// who sends after them comes later than the stream remembers ids.
func TestNoEventIsLostOrRepeated(t *testing.T) {
	t.Parallel()
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		o := orders{Database: testenv.Postgres(t)}
		if err := postgres.MigrateUp(t.Context(), o.Database); err != nil {
			t.Fatal(err)
		}
		checkEvents(t, o, 3)
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		o := orders{File: filepath.Join(t.TempDir(), "gaia.db")}
		if err := sqlite.MigrateUp(t.Context(), o.File); err != nil {
			t.Fatal(err)
		}
		checkEvents(t, o, 1) // the file belongs to one process
	})
}

func checkEvents(t *testing.T, o orders, processes int) {
	t.Helper()
	server := testenv.StartNATS(t)
	makeStream(t, server.URL())
	o.NATS, o.Window, o.Batch = server.URL(), window, 100
	server.Stop()
	ids := storeAll(t, o, processes)
	server.Start()
	died := sendAll(t, o, processes)
	if died < deaths {
		t.Errorf("processes died %d times, want %d", died, deaths)
	}
	wantAll(t, server.URL(), ids)
}

// makeStream makes the stream of events as an operator may, with the smallest memory for ids that there can be.
func makeStream(t *testing.T, url string) {
	t.Helper()
	_, js := connect(t, url)
	c := jetstream.StreamConfig{Name: "GAIA_EVENTS", Subjects: []string{"gaia.chat.>", "gaia.usage.>"}, Duplicates: window}
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// storeAll stores what happens to all entities, each event of one after the one before it, on several connections, while relays look for
// the bus in vain. It returns the ids in the order of each entity.
func storeAll(t *testing.T, o orders, processes int) (ids [entities][]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var dbs []database
	var relays sync.WaitGroup
	for range processes {
		db, err := o.open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer db.close()
		bus, err := natsbus.Start(ctx, natsbus.Config{URL: o.NATS})
		if err != nil {
			t.Fatal(err)
		}
		defer bus.Close()
		relay := app.NewRelay(app.RelayDeps{Outbox: db.outbox, Sender: bus, Config: app.RelayConfig{Poll: 20 * time.Millisecond}})
		relays.Go(func() { relay.Run(ctx) })
		dbs = append(dbs, db)
	}
	defer func() { cancel(); relays.Wait() }()
	var all sync.WaitGroup
	for entity := range entities {
		all.Go(func() {
			for n := range each {
				turn := aTurn(entity, n)
				if _, err := dbs[n%processes].commit(ctx, turn); err != nil {
					t.Errorf("CommitTurn: %v", err)
					return
				}
				for _, e := range turn.Events {
					ids[entity] = append(ids[entity], e.ID)
				}
			}
		})
	}
	all.Wait()
	return ids
}

func aTurn(entity, n int) domain.Turn {
	now := time.Now()
	e := domain.Event{ID: uuid.NewString(), Subject: domain.SubjectChatComplete, Payload: domain.ChatMessageEvent{
		MessageID: fmt.Sprint(entity), UserID: "owner", Status: "completed", Timestamp: now, Details: map[string]any{"n": n},
	}}
	u := domain.Event{ID: uuid.NewString(), Subject: domain.SubjectUsageRecorded, Payload: domain.UsageRecordedEvent{
		RequestID: fmt.Sprint(entity), Attempt: n, Timestamp: now,
	}}
	return domain.Turn{Owner: "owner", At: now, Unstored: true, Events: []domain.Event{u, e}}
}

// sendAll has processes send what waits. It returns how often one died.
func sendAll(t *testing.T, o orders, processes int) int {
	t.Helper()
	var died atomic.Int32
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			for {
				mine := o
				if n := died.Load(); n < deaths {
					mine.How, mine.DieAt = int(n)%ways, 1+rand.IntN(3)
				}
				err := mine.command(t).Run()
				var exit *exec.ExitError
				switch {
				case err == nil:
					return
				case errors.As(err, &exit) && exit.ExitCode() < 0: // a signal
					died.Add(1)
				default:
					t.Errorf("a sender ended with %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	return int(died.Load())
}

// wantAll wants every event once, and those of each entity in their order.
func wantAll(t *testing.T, url string, ids [entities][]string) {
	t.Helper()
	entityOf, placeOf := map[string]int{}, map[string]int{}
	for entity, list := range ids {
		for place, id := range list {
			entityOf[id], placeOf[id] = entity, place
		}
	}
	seen := map[string]bool{}
	var next [entities]int
	var repeated, misplaced int
	for _, id := range stored(t, url) {
		entity, known := entityOf[id]
		switch {
		case !known:
			t.Errorf("%s is nobody's event", id)
		case seen[id]:
			repeated++
		case placeOf[id] != next[entity]:
			misplaced++
			next[entity] = max(next[entity], placeOf[id]+1)
		default:
			next[entity]++
		}
		seen[id] = true
	}
	if lost := len(entityOf) - len(seen); lost != 0 || repeated != 0 || misplaced != 0 {
		t.Errorf("of %d events %d were lost, %d repeated and %d out of order", len(entityOf), lost, repeated, misplaced)
	}
}

// stored returns the ids of all events in the stream, in its order.
func stored(t *testing.T, url string) (ids []string) {
	t.Helper()
	_, js := connect(t, url)
	stream, err := js.Stream(t.Context(), "GAIA_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	for left := stream.CachedInfo().State.Msgs; left > 0; {
		batch, err := consumer.FetchNoWait(1000)
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			if !json.Valid(m.Data()) {
				t.Errorf("%s is no JSON", m.Data())
			}
			ids = append(ids, m.Headers().Get(nats.MsgIdHdr))
			left--
		}
	}
	return ids
}
