package gaiatest

import (
	"os/exec"
	"testing"

	"gaia/internal/testenv"
)

// Backend is what a server keeps its data in. Servers started on the same backend are replicas of each other, or restarts.
type Backend struct {
	Name     string
	Settings Settings
	Faults   *Faults // nil for the embedded backend, which has no parts that could fail by themselves
}

// Faults are the servers behind a full backend, to be stopped and paused.
type Faults struct {
	Postgres, Redis, NATS *testenv.Server
}

// Start starts a server on this backend.
func (b Backend) Start(t testing.TB, settings ...Settings) *Server {
	t.Helper()
	return Start(t, append([]Settings{b.Settings}, settings...)...)
}

// OnBackends runs a test on the embedded backend (SQLite, a bus in the process, no Redis) and on the full one (PostgreSQL, Redis,
// NATS).
func OnBackends(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Helper()
	for name, backend := range map[string]func(testing.TB) Backend{"embedded": Embedded, "full": Full} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, backend(t))
		})
	}
}

// Embedded is a backend without any other server.
func Embedded(t testing.TB) Backend {
	t.Helper()
	return Backend{Name: "embedded", Settings: Settings{"GAIA_DATA_DIR": t.TempDir()}}
}

// Full is a backend with a database of its own on the PostgreSQL that all tests share, and with a Redis and a NATS server that no
// other test uses, since the names of gaia's keys and subjects are fixed.
func Full(t testing.TB) Backend {
	t.Helper()
	return full(t, testenv.Postgres(t), &Faults{Redis: testenv.StartRedis(t), NATS: testenv.StartNATS(t)})
}

// Breakable is a full backend whose PostgreSQL may be broken too.
func Breakable(t testing.TB) Backend {
	t.Helper()
	f := &Faults{Postgres: testenv.StartPostgres(t), Redis: testenv.StartRedis(t), NATS: testenv.StartNATS(t)}
	return full(t, f.Postgres.URL(), f)
}

func full(t testing.TB, databaseURL string, f *Faults) Backend {
	t.Helper()
	b := Backend{Name: "full", Faults: f, Settings: Settings{
		"DATABASE_URL": databaseURL, "REDIS_URL": f.Redis.URL(), "NATS_URL": f.NATS.URL(),
	}}
	cmd := exec.CommandContext(t.Context(), Program(t), "migrate", "up")
	cmd.Dir = t.TempDir()
	cmd.Env = environ(b.Settings)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gaiatest: gaia migrate up: %v\n%s", err, out)
	}
	return b
}
