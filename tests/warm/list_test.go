package warm

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/natsbus"
	"gaia/adapters/postgres"
	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/app"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

func TestWarmListReadsCauseOneQuery(t *testing.T) {
	t.Parallel()
	const readers, each = 8, 125
	for name, test := range map[string]struct {
		ttl  time.Duration
		want int64 // queries
	}{
		"cached":     {time.Hour, 1},
		"not cached": {0, readers * each}, // the database does count
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := int64(-1)
			for try := 0; got != test.want; try++ { // a machine that is busy enough loses NATS for a moment, and then everything is read anew
				if try == 3 {
					t.Fatalf("%d reads of the list caused %d queries, want %d", readers*each, got, test.want)
				}
				database := newDatabase(t)
				before := scans(t, database)
				readTogether(t, database, test.ttl, readers, each)
				got = scans(t, database) - before
			}
		})
	}
}

// readTogether lists the personas from several goroutines, with a store, caches and a bus of its own.
func readTogether(t *testing.T, database string, ttl time.Duration, readers, each int) {
	t.Helper()
	store := openStore(t, database)
	defer store.Close()
	personas := app.NewPersonas(app.PersonaDeps{
		Store: store.Personas(), Preferences: store.Personas(), Cache: openCache(t), Now: time.Now, NewID: uuid.NewString,
		TTLs: app.PersonaTTLs{Persona: ttl, ListActive: ttl, ListAll: ttl, Preference: ttl},
	})
	var done sync.WaitGroup
	for range readers {
		done.Go(func() {
			for range each {
				if list, err := personas.List(t.Context(), true); err != nil || len(list) != 1 || list[0].Name != "Nemo" {
					t.Errorf("the list is %v, %v", list, err)
					return
				}
			}
		})
	}
	done.Wait()
}

// openCache returns a cache with both tiers and a bus, all of them there.
func openCache(t *testing.T) *tiercache.Cache {
	t.Helper()
	natsURL, subjects := testenv.NATS(t)
	bus, err := natsbus.Start(t.Context(), natsbus.Config{URL: natsURL, SubjectPrefix: subjects})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	redisURL, keys := testenv.Redis(t)
	remote, err := rediskv.Open(rediskv.Config{URL: redisURL, Prefix: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = remote.Close() })
	cache, err := tiercache.New(tiercache.Config{Remote: remote, Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	portstest.Within(t, portstest.Patience, "Redis and NATS are there", func() bool {
		return bus.Connected() && remote.Check(t.Context()).Status == domain.Healthy
	})
	return cache
}

// newDatabase makes a database that holds one persona.
func newDatabase(t *testing.T) string {
	t.Helper()
	database := testenv.Postgres(t)
	if err := postgres.MigrateUp(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, database)
	defer store.Close()
	nemo := domain.Persona{ID: uuid.NewString(), Name: "Nemo", Active: true, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := store.Personas().Create(t.Context(), nemo); err != nil {
		t.Fatal(err)
	}
	return database
}

func openStore(t *testing.T, database string) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// scans asks the database how often it has read the table of personas. A connection reports what it did when it ends at the latest,
// so all others have to be gone.
func scans(t *testing.T, database string) (n int64) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // only reads
	ask := func(query string) (answer int64) {
		if err := conn.QueryRow(ctx, query).Scan(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	portstest.Within(t, portstest.Patience, "all other connections are gone", func() bool {
		return ask(`SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`) == 0
	})
	return ask(`SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'personas'`)
}
