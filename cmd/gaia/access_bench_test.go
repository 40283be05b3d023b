package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/app"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

const benchSecret = "a secret of at least thirty-two bytes"

// benchIssuer signs tokens as Supabase Auth does, in every way, and publishes its keys.
type benchIssuer struct {
	jwks   *httptest.Server
	tokens map[string]string // by algorithm
}

func newBenchIssuer(b *testing.B) benchIssuer {
	b.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	keys, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kid": "es", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:])},
		{"kid": "rs", "kty": "RSA", "alg": "RS256", "n": encode(rsaKey.N.Bytes()), "e": encode(big.NewInt(int64(rsaKey.E)).Bytes())},
	}})
	if err != nil {
		b.Fatal(err)
	}
	i := benchIssuer{tokens: map[string]string{}}
	for _, s := range []struct {
		method jwt.SigningMethod
		kid    string
		key    any
	}{{jwt.SigningMethodHS256, "hs", []byte(benchSecret)}, {jwt.SigningMethodES256, "es", ec}, {jwt.SigningMethodRS256, "rs", rsaKey}} {
		now := time.Now().Unix()
		token := jwt.NewWithClaims(s.method, jwt.MapClaims{ // as long as Supabase's
			"iss": "https://project.supabase.co/auth/v1", "sub": "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d", "aud": "authenticated", "exp": now + 3600, "iat": now,
			"email": "ada@example.com", "phone": "", "app_metadata": map[string]any{"provider": "email", "providers": []string{"email"}},
			"user_metadata": map[string]any{"email": "ada@example.com", "email_verified": true, "full_name": "Ada Lovelace", "phone_verified": false, "sub": "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"},
			"role":          "authenticated", "aal": "aal1", "amr": []map[string]any{{"method": "password", "timestamp": now}},
			"session_id": "0f1c1a0e-3f51-4a6e-8c1b-6c1d3a1f0a77", "is_anonymous": false,
		})
		token.Header["kid"] = s.kid
		if i.tokens[s.method.Alg()], err = token.SignedString(s.key); err != nil {
			b.Fatal(err)
		}
	}
	i.jwks = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys) }))
	b.Cleanup(i.jwks.Close)
	return i
}

// benchConfig takes the issuer's tokens. Without a cache, every credential is judged anew.
func benchConfig(b *testing.B, i benchIssuer, cached bool) config {
	b.Helper()
	settings := []string{"RATE_LIMIT_REQUESTS=0", "SUPABASE_JWT_SECRET=" + benchSecret, "SUPABASE_JWKS_URL=" + i.jwks.URL}
	if !cached {
		settings = append(settings, "AUTH_CACHE_TTL=0", "API_KEY_CACHE_TTL=0")
	}
	c, err := loadConfig(filepath.Join(b.TempDir(), "absent"), settings)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkAuthenticate finds out who calls, and nothing else. Cold is every time anew, cached the second time and later.
func BenchmarkAuthenticate(b *testing.B) {
	i := newBenchIssuer(b)
	for how, cached := range map[string]bool{"cold": false, "cached": true} {
		identity, key := benchIdentity(b, benchConfig(b, i, cached))
		for _, alg := range []string{"HS256", "ES256", "RS256"} {
			b.Run(alg+"/"+how, func(b *testing.B) { benchAuthenticate(b, identity, "Bearer "+i.tokens[alg], "", domain.AuthJWT) })
		}
		b.Run("API key/"+how, func(b *testing.B) { benchAuthenticate(b, identity, "", key, domain.AuthUserAPIKey) })
		if cached {
			b.Run("global key", func(b *testing.B) { benchAuthenticate(b, identity, "", "key", domain.AuthAPIKey) })
		}
	}
}

// benchIdentity is what finds out who calls, on the embedded database, and an API key that it knows.
func benchIdentity(b *testing.B, c config) (*app.Identity, string) {
	b.Helper()
	log, sys := slog.New(slog.DiscardHandler), &system{}
	b.Cleanup(sys.close)
	db, err := openDatabase(b.Context(), c, b.TempDir(), sys, map[string]ports.Probe{})
	if err != nil {
		b.Fatal(err)
	}
	cache, err := openCache(c, nil, nil, sys, log)
	if err != nil {
		b.Fatal(err)
	}
	keys := newAPIKeys(c, db.apiKeys, cache, nil, nil)
	identity, err := wireIdentity(c, "key", keys, sys, log)
	if err != nil {
		b.Fatal(err)
	}
	key, _, err := keys.Create(b.Context(), domain.Principal{Type: domain.AuthJWT, UserID: "8d6f2a54-5d0b-4a7e-9c39-1f4f0c1b2a3d"}, domain.APIKeyDraft{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	return identity, key
}

func benchAuthenticate(b *testing.B, identity *app.Identity, authorization, apiKey string, want domain.AuthType) {
	b.Helper()
	if who, err := identity.Authenticate(b.Context(), authorization, apiKey); err != nil || who.Type != want {
		b.Fatalf("%+v, %v", who, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := identity.Authenticate(b.Context(), authorization, apiKey); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAuthenticatedRequest is a whole request of the smallest answer there is, without a network: what authentication and all that
// comes with it adds to one that needs none.
func BenchmarkAuthenticatedRequest(b *testing.B) {
	i := newBenchIssuer(b)
	sys, err := wire(b.Context(), benchConfig(b, i, true), b.TempDir(), "key", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sys.close)
	for _, r := range []benchRequest{
		{"public", "/api/v0.2/", "", ""},
		{"global key", "/api/v0.2/models/priorities", "", "key"},
		{"ES256", "/api/v0.2/models/priorities", "Bearer " + i.tokens["ES256"], ""},
	} {
		b.Run(r.name, func(b *testing.B) { r.repeat(b, sys.handler) })
	}
}

// BenchmarkProbes is what who watches asks all the time, as a whole and without a network. Readiness on PostgreSQL and SQLite differ in the look at the database,
// which is shared by all who ask within a second.
func BenchmarkProbes(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		c := benchConfig(b, newBenchIssuer(b), true)
		if kind == "postgres" {
			c.DatabaseURL = testenv.Postgres(b)
			if err := migrate(b.Context(), c, "up", io.Discard); err != nil {
				b.Fatal(err)
			}
		}
		sys, err := wire(b.Context(), c, b.TempDir(), "key", slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(sys.close)
		probe := sys.health.Probes[app.PartDatabase]
		portstest.Within(b, portstest.Patience, "the database is there", func() bool { return probe.Check(b.Context()).Status == domain.Healthy })
		for _, path := range []string{"/livez", "/readyz", "/health"} {
			b.Run(path+"/"+kind, func(b *testing.B) { benchRequest{path: path}.repeat(b, sys.handler) })
		}
		b.Run("look at the database/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if part := probe.Check(b.Context()); part.Status != domain.Healthy {
					b.Fatal(part.Detail)
				}
			}
		})
	}
}

// BenchmarkAuthenticatedRequestLimited is the same with the global key and its limits over time, which nothing reaches: of the process
// alone, and of many together in Redis.
func BenchmarkAuthenticatedRequestLimited(b *testing.B) {
	i := newBenchIssuer(b)
	for name, withRedis := range map[string]bool{"alone": false, "Redis": true} {
		b.Run(name, func(b *testing.B) {
			c := benchConfig(b, i, true)
			c.RateLimit, c.RateLimitPeriod, c.RateBurst = 1_000_000, "minute", 100_000
			if withRedis {
				c.RedisURL, c.RedisPrefix = testenv.Redis(b)
			}
			sys, err := wire(b.Context(), c, b.TempDir(), "key", slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(sys.close)
			portstest.Within(b, portstest.Patience, "all is well", func() bool { return sys.health.Report(b.Context()).Status == domain.Healthy })
			benchRequest{"global key", "/api/v0.2/models/priorities", "", "key"}.repeat(b, sys.handler)
		})
	}
}

// benchRequest is a request of a benchmark.
type benchRequest struct{ name, path, authorization, apiKey string }

func (r benchRequest) repeat(b *testing.B, handler http.Handler) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, r.path, nil)
		if r.authorization != "" {
			req.Header.Set("Authorization", r.authorization)
		}
		if r.apiKey != "" {
			req.Header.Set("X-Api-Key", r.apiKey)
		}
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, req); w.Code != http.StatusOK {
			b.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
}
