package gaiatest

import (
	"maps"
	"os/exec"
	"testing"

	"gaia/internal/testenv"
)

// Backend is what a server keeps its data in. Servers started on the same backend are replicas of each other, or restarts.
type Backend struct {
	Name     string // "embedded" or "full"
	Settings Settings
	Faults   *Faults // nil where no part may be broken: there is none, or other tests use it
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

// OnBackends runs a test on the embedded backend (SQLite, a bus in the process, no Redis), on the full one (PostgreSQL, Redis, NATS), and on
// that with every service in a process of its own.
func OnBackends(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Helper()
	for name, backend := range map[string]func(testing.TB) Backend{"embedded": Embedded, "full": Full, "split": Split} {
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

// Full is a backend with a database, a key prefix and a subject prefix of its own on the servers that all tests share.
func Full(t testing.TB) Backend {
	t.Helper()
	redisURL, keys := testenv.Redis(t)
	natsURL, subjects := testenv.NATS(t)
	return full(t, nil, Settings{
		"DATABASE_URL": testenv.Postgres(t), "REDIS_URL": redisURL, "REDIS_KEY_PREFIX": keys, "NATS_URL": natsURL, "NATS_SUBJECT_PREFIX": subjects,
	})
}

// Apart is a setting that the program does not know: it has a server be a gateway with a process for each other service behind it.
const Apart = "GAIATEST_APART"

// Split is a full backend on which each server is four processes: a gateway, and behind it auth, asset and chat.
func Split(t testing.TB) Backend {
	t.Helper()
	b := Full(t)
	b.Settings[Apart], b.Settings["INTERNAL_AUTH_SECRET"] = "yes", "a-secret-between-services-of-tests"
	return b
}

// divide makes a server the gateway, and one of each other service behind it.
func (s *Server) divide() {
	for _, service := range []string{"auth", "asset", "chat"} {
		settings := maps.Clone(s.settings)
		settings["SERVICES"], settings["SERVICE_PORT"] = service, "0"
		s.behind = append(s.behind, &Server{t: s.t, transport: newTransport(), settings: settings})
	}
	s.settings["SERVICES"] = "gateway"
}

// FragileCache is a full backend whose Redis and NATS may be broken.
func FragileCache(t testing.TB) Backend {
	t.Helper()
	f := &Faults{Redis: testenv.StartRedis(t), NATS: testenv.StartNATS(t)}
	return full(t, f, Settings{"DATABASE_URL": testenv.Postgres(t), "REDIS_URL": f.Redis.URL(), "NATS_URL": f.NATS.URL()})
}

// Breakable is a full backend of which everything may be broken.
func Breakable(t testing.TB) Backend {
	t.Helper()
	f := &Faults{Postgres: testenv.StartPostgres(t), Redis: testenv.StartRedis(t), NATS: testenv.StartSmallNATS(t)}
	return full(t, f, Settings{"DATABASE_URL": f.Postgres.URL(), "REDIS_URL": f.Redis.URL(), "NATS_URL": f.NATS.URL()})
}

func full(t testing.TB, f *Faults, settings Settings) Backend {
	t.Helper()
	settings["ASSET_STORAGE_URL"] = "file://" + t.TempDir() // replicas share it
	b := Backend{Name: "full", Faults: f, Settings: settings}
	cmd := exec.CommandContext(t.Context(), Program(t), "migrate", "up")
	cmd.Dir = t.TempDir()
	cmd.Env = environ(b.Settings)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gaiatest: gaia migrate up: %v\n%s", err, out)
	}
	checkEvents(t, settings["NATS_URL"], settings["NATS_SUBJECT_PREFIX"])
	return b
}
