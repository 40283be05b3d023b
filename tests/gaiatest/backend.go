package gaiatest

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

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
	b.Settings["ASSET_LINK_SECRET"] = "a-secret-of-links-in-tests"
	return b
}

// divide makes a server the gateway, and one of each other service behind it. Each gets the secrets that it gets as a container or a pod, so
// that no test passes by one that it would lack there.
func (s *Server) divide() {
	s.t.Helper()
	for _, service := range []string{"auth", "asset", "chat"} {
		settings := withoutOthers(s.t, s.settings, service)
		settings["SERVICES"], settings["SERVICE_PORT"] = service, "0"
		s.behind = append(s.behind, &Server{t: s.t, transport: newTransport(), settings: settings})
	}
	s.settings = withoutOthers(s.t, s.settings, "gateway")
	s.settings["SERVICES"] = "gateway"
}

// kept are the secrets of each service, as the chart reads them.
var kept = sync.OnceValues(func() (names map[string][]string, err error) {
	data, err := os.ReadFile(filepath.Join(testenv.ModuleRoot(), "deploy", "helm", "gaia", "secrets.yaml"))
	if err != nil {
		return nil, err
	}
	err = yaml.Unmarshal(data, &names)
	return names, err
})

// withoutOthers are settings without secrets that are for other services alone.
func withoutOthers(t testing.TB, settings Settings, service string) Settings {
	t.Helper()
	secrets, err := kept()
	if err != nil || len(secrets[service]) == 0 {
		t.Fatalf("gaiatest: the secrets of %s are %v, %v", service, secrets[service], err)
	}
	own := maps.Clone(settings)
	for _, names := range secrets {
		for _, name := range names {
			if !slices.Contains(secrets["every"], name) && !slices.Contains(secrets[service], name) {
				delete(own, name)
			}
		}
	}
	return own
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
