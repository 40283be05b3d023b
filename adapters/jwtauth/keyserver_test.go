package jwtauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/adapters/jwtauth"
	"gaia/domain"
)

// patience is for what happens in the background on a busy machine.
const patience = 20 * time.Second

// issuerKey is a key of an identity provider.
type issuerKey struct {
	kid     string
	method  jwt.SigningMethod
	private any
}

func newES256(t testing.TB, kid string) issuerKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuerKey{kid, jwt.SigningMethodES256, key}
}

func newRS256(t testing.TB, kid string) issuerKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return issuerKey{kid, jwt.SigningMethodRS256, key}
}

// token makes a token as the provider would, with its claims changed.
func (k issuerKey) token(t testing.TB, changes jwt.MapClaims) string {
	t.Helper()
	return sign(t, k.method, k.private, map[string]any{"kid": k.kid}, goodClaims(changes))
}

// jwk is what the provider publishes of the key.
func (k issuerKey) jwk(t testing.TB) map[string]any {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	published := map[string]any{"kid": k.kid, "alg": k.method.Alg(), "use": "sig", "key_ops": []string{"verify"}, "ext": true}
	switch key := k.private.(type) {
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		published["kty"], published["crv"], published["x"], published["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	case *rsa.PrivateKey:
		published["kty"], published["n"], published["e"] = "RSA", encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	}
	return published
}

// keyServer publishes keys and can misbehave.
type keyServer struct {
	*httptest.Server

	t      testing.TB
	mu     sync.Mutex
	answer http.HandlerFunc
	hits   atomic.Int64
}

func newKeyServer(t testing.TB, keys ...issuerKey) *keyServer {
	t.Helper()
	s := &keyServer{t: t}
	s.publish(keys...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// publish makes the server answer as Supabase Auth does.
func (s *keyServer) publish(keys ...issuerKey) {
	s.t.Helper()
	set := make([]any, len(keys))
	for i, key := range keys {
		set[i] = key.jwk(s.t)
	}
	data, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		s.t.Fatal(err)
	}
	s.behave(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write(data)
	})
}

func (s *keyServer) behave(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *keyServer) fail() {
	s.behave(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) })
}

// clock is a time that a test sets.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(now.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// start makes a verifier with a clock of the test, and with time for a busy machine where cfg says nothing.
func start(t testing.TB, cfg jwtauth.Config) *jwtauth.Verifier {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = newClock().now
	}
	if cfg.Timing.Wait == 0 {
		cfg.Timing.Fetch, cfg.Timing.Wait = patience, patience
	}
	v, err := jwtauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// quick lets nothing but the test's own steps take time.
var quick = jwtauth.Timing{Min: 20 * time.Millisecond, Max: 20 * time.Millisecond, Retry: 5 * time.Millisecond}

func wantKind(t testing.TB, v *jwtauth.Verifier, token string, want domain.Kind, about string) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); err == nil || domain.KindOf(err) != want {
		t.Errorf("%s: got %v", about, err)
	}
}

func wantGood(t testing.TB, v *jwtauth.Verifier, token, about string) {
	t.Helper()
	if who, err := v.Verify(t.Context(), token); err != nil || who.UserID != subject {
		t.Errorf("%s: got %+v, %v", about, who, err)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
