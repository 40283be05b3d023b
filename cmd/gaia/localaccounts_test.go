package main

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gaia/adapters/memory"
)

func TestWhoKeepsAccounts(t *testing.T) {
	t.Parallel()
	const database, shared = "DATABASE_URL=postgresql://db/gaia", "SUPABASE_JWT_SECRET=a-secret-for-tests-that-is-long-enough"
	const supabase, production = "SUPABASE_URL=https://ref.supabase.co", "ENVIRONMENT=production"
	for name, c := range map[string]struct {
		environ []string
		here    bool
		fault   string // part of it
	}{
		"the embedded default":               {nil, true, ""},
		"switched on":                        {[]string{"LOCAL_ACCOUNTS=on"}, true, ""},
		"switched off":                       {[]string{"LOCAL_ACCOUNTS=off"}, false, ""},
		"neither":                            {[]string{"LOCAL_ACCOUNTS=yes"}, false, "none of auto, on, off"},
		"production":                         {[]string{production}, false, ""},
		"Production":                         {[]string{"ENVIRONMENT=Production"}, false, ""},
		"prod":                               {[]string{"ENVIRONMENT=prod"}, false, ""},
		"LIVE":                               {[]string{"ENVIRONMENT=LIVE"}, false, ""},
		"production, switched on":            {[]string{production, "LOCAL_ACCOUNTS=on"}, false, "not for production"},
		"production, switched on, Supabase":  {[]string{production, "LOCAL_ACCOUNTS=on", supabase}, false, "not for production"},
		"production, switched off":           {[]string{production, "LOCAL_ACCOUNTS=off"}, false, ""},
		"Supabase":                           {[]string{supabase}, false, ""},
		"Supabase, switched on":              {[]string{supabase, "LOCAL_ACCOUNTS=on"}, false, "contradicts SUPABASE_URL"},
		"keys of somebody else":              {[]string{"SUPABASE_JWKS_URL=https://id.example/keys"}, false, ""},
		"keys of somebody else, switched on": {[]string{"SUPABASE_JWKS_URL=https://id.example/keys", "LOCAL_ACCOUNTS=on"}, true, ""},
		"PostgreSQL":                         {[]string{database}, false, ""},
		"a secret of somebody else":          {[]string{shared}, false, ""},
		"a secret, switched on":              {[]string{shared, "LOCAL_ACCOUNTS=on"}, true, ""},
		"PostgreSQL with a secret":           {[]string{database, shared}, false, ""},
		"PostgreSQL, switched on":            {[]string{database, "LOCAL_ACCOUNTS=on"}, false, "need SUPABASE_JWT_SECRET"},
		"PostgreSQL with a secret, on":       {[]string{database, shared, "LOCAL_ACCOUNTS=on"}, true, ""},
		"staging":                            {[]string{"ENVIRONMENT=staging", database, shared, "LOCAL_ACCOUNTS=on"}, true, ""},
	} {
		got, err := loadConfig(filepath.Join(t.TempDir(), "absent"), c.environ)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), "LOCAL_ACCOUNTS") || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: got %v, want a fault with %q", name, err, c.fault)
			}
			continue
		}
		if err != nil || got.keepsAccounts() != c.here {
			t.Errorf("%s: accounts here %v, %v", name, got.keepsAccounts(), err)
		}
	}
}

func TestProviderInside(t *testing.T) {
	t.Parallel()
	accounts := memory.NewAccountStore()
	db := database{accounts: accounts, sessions: memory.NewSessionStore(accounts)}
	for name, c := range map[string]struct {
		config config
		there  bool
		warned bool
	}{
		"embedded":                     {config{LocalAccounts: "on", JWTSecret: "secret"}, true, false},
		"off":                          {config{LocalAccounts: "off", JWTSecret: "secret"}, false, false},
		"Supabase":                     {config{LocalAccounts: "auto", SupabaseURL: "https://ref.supabase.co"}, false, false},
		"production":                   {config{LocalAccounts: "auto", Environment: "production"}, false, false},
		"PostgreSQL":                   {config{LocalAccounts: "auto", DatabaseURL: "postgresql://db/gaia"}, false, true},
		"PostgreSQL in production":     {config{LocalAccounts: "auto", DatabaseURL: "postgresql://db/gaia", Environment: "production"}, false, false},
		"PostgreSQL and a secret":      {config{LocalAccounts: "on", DatabaseURL: "postgresql://db/gaia", JWTSecret: "secret"}, true, false},
		"PostgreSQL, no accounts here": {config{LocalAccounts: "off", DatabaseURL: "postgresql://db/gaia"}, false, false},
	} {
		var out bytes.Buffer
		got, err := openLocalAccounts(c.config, db, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil || (got != nil) != c.there {
			t.Errorf("%s: provider %v, %v", name, got, err)
		}
		if strings.Contains(out.String(), "SUPABASE_JWT_SECRET") != c.warned {
			t.Errorf("%s: logged %s", name, out.String())
		}
	}
}

func TestSigningSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := config{LocalAccounts: "auto"}
	const many = 8 // processes that start at the same time
	secrets := make([]string, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			var err error
			if secrets[i], err = signingSecret(c, dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range secrets {
		if s != secrets[0] || len(s) < minSecretBytes {
			t.Fatalf("secrets %q", secrets)
		}
	}
	info, err := os.Stat(filepath.Join(dir, secretFile))
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
	if again, err := signingSecret(c, dir); err != nil || again != secrets[0] {
		t.Errorf("the second start has another secret: %v", err)
	}
}

func TestSigningSecretFromTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []config{
		{LocalAccounts: "auto", JWTSecret: "chosen"}, {LocalAccounts: "off"}, {LocalAccounts: "auto", Environment: "production"},
		{LocalAccounts: "auto", SupabaseURL: "https://ref.supabase.co"}, {LocalAccounts: "auto", DatabaseURL: "postgresql://db/gaia"},
	} {
		if got, err := signingSecret(c, dir); got != c.JWTSecret || err != nil {
			t.Errorf("%+v: secret %q, %v", c, got, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files were written: %v, %v", left, err)
	}
}

func TestBadSecretFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "short": "only-31-characters-are-in-this-", "spaces": strings.Repeat(" ", 40)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, secretFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := signingSecret(config{LocalAccounts: "auto"}, dir); got != "" || err == nil || content != "" && strings.Contains(err.Error(), content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := signingSecret(config{LocalAccounts: "auto"}, filepath.Join(t.TempDir(), "absent")); got != "" || err == nil {
		t.Errorf("a folder that is not there: %q, %v", got, err)
	}
}
