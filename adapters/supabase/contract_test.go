package supabase_test

import (
	"os"
	"testing"
	"time"

	"gaia/adapters/supabase"
	"gaia/ports"
	"gaia/ports/portstest"
	"gaia/tests/gotrue"
)

const secret = "a-secret-for-tests-that-is-long-enough-for-hs256"

func open(t *testing.T, cfg supabase.Config) *supabase.Accounts {
	t.Helper()
	if cfg.RefusalTime == 0 {
		cfg.RefusalTime = time.Millisecond
	}
	a, err := supabase.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func start(t *testing.T, settings gotrue.Settings) *gotrue.Server {
	t.Helper()
	if settings.Secret == "" {
		settings.Secret = secret
	}
	s := gotrue.New(settings)
	t.Cleanup(s.Close)
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings gotrue.Settings
		path     string
	}{
		"the server itself":      {gotrue.Settings{}, "/"},
		"behind a gateway":       {gotrue.Settings{Prefix: "/auth/v1", AnonKey: "anon"}, ""},
		"signing with ES256":     {gotrue.Settings{Prefix: "/auth/v1", Alg: "ES256"}, "/auth/v1"},
		"signing with RS256":     {gotrue.Settings{Prefix: "/auth/v1", Alg: "RS256"}, "/auth/v1/"},
		"below a path of others": {gotrue.Settings{Prefix: "/supabase/auth"}, "supabase/auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, c.settings)
			portstest.Accounts(t, func(t *testing.T) ports.Accounts {
				return open(t, supabase.Config{URL: server.URL(), Path: c.path, AnonKey: c.settings.AnonKey})
			})
		})
	}
	// The same suite on a real server, which has to open accounts without a confirmation and to know no limit of requests. There is no
	// test of that name without one, so that nothing counts as skipped.
	url := os.Getenv("TEST_SUPABASE_URL")
	if url == "" {
		t.Log("not run against a real Supabase Auth: set TEST_SUPABASE_URL, and TEST_SUPABASE_ANON_KEY and TEST_SUPABASE_AUTH_PATH where they are needed")
		return
	}
	t.Run("a real server", func(t *testing.T) {
		t.Parallel()
		portstest.Accounts(t, func(t *testing.T) ports.Accounts {
			return open(t, supabase.Config{
				URL: url, Path: os.Getenv("TEST_SUPABASE_AUTH_PATH"), AnonKey: os.Getenv("TEST_SUPABASE_ANON_KEY"),
				RefusalTime: 500 * time.Millisecond,
			})
		})
	})
}
