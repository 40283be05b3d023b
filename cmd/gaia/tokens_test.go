package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestWhereTheKeysAre(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]config{
		"": {SupabaseAuthPath: "/auth/v1"},
		"https://p.supabase.co/auth/v1/.well-known/jwks.json": {SupabaseURL: "https://p.supabase.co", SupabaseAuthPath: "/auth/v1"},
		"https://q.supabase.co/auth/v1/.well-known/jwks.json": {SupabaseURL: "https://q.supabase.co/", SupabaseAuthPath: "/auth/v1/"},
		"http://127.0.0.1:9999/.well-known/jwks.json":         {SupabaseURL: "http://127.0.0.1:9999", SupabaseAuthPath: "/"},
		"https://id.example/keys":                             {SupabaseURL: "https://p.supabase.co", SupabaseAuthPath: "/auth/v1", JWKSURL: "https://id.example/keys"},
		"https://id.example/only":                             {JWKSURL: "https://id.example/only"},
	} {
		if got := c.jwksURL(); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}

func TestVerifierOfSettings(t *testing.T) {
	t.Parallel()
	const long = "a secret of at least thirty-two bytes"
	for name, test := range map[string]struct {
		c       config
		want    bool
		warning string
	}{
		"nothing":      {config{SupabaseAuthPath: "/auth/v1"}, false, ""},
		"a secret":     {config{JWTSecret: long}, true, ""},
		"short secret": {config{JWTSecret: "short"}, true, "SUPABASE_JWT_SECRET is so short"},
		"keys":         {config{JWKSURL: "http://127.0.0.1:1/keys"}, true, ""},
		"a provider":   {config{SupabaseURL: "http://127.0.0.1:1", SupabaseAuthPath: "/auth/v1"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			sys := &system{}
			verifier, err := openVerifier(test.c, sys, slog.New(slog.NewTextHandler(&out, nil)))
			if err != nil || (verifier != nil) != test.want {
				t.Fatalf("%v, %v", verifier, err)
			}
			sys.close() // before the log is read: it waits for whoever may write
			if !strings.Contains(out.String(), test.warning) || test.warning == "" && strings.Contains(out.String(), "SECRET") || strings.Contains(out.String(), "=short") {
				t.Errorf("the log says %s", out.String())
			}
		})
	}
	if _, err := openVerifier(config{JWKSURL: "keys.json"}, &system{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "SUPABASE_JWKS_URL") {
		t.Errorf("a bad address gave %v", err)
	}
}
