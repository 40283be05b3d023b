package jwtauth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/adapters/jwtauth"
	"gaia/domain"
)

func TestSecretAndPublishedKeysSideBySide(t *testing.T) {
	t.Parallel()
	es, rs := newES256(t, "es"), newRS256(t, "rs")
	server := newKeyServer(t, es, rs)
	v := start(t, jwtauth.Config{Secret: secret, KeysURL: server.URL})
	wantGood(t, v, es.token(t, nil), "ES256")
	wantGood(t, v, rs.token(t, nil), "RS256")
	wantGood(t, v, hs256(t, nil), "HS256")
	wantGood(t, v, sign(t, jwt.SigningMethodHS256, []byte(secret), map[string]any{"kid": "es"}, goodClaims(nil)), "HS256 that names a public key")
	if hits := server.hits.Load(); hits != 1 {
		t.Errorf("the keys were fetched %d times", hits)
	}
	only := start(t, jwtauth.Config{KeysURL: server.URL})
	wantGood(t, only, es.token(t, nil), "ES256 without a secret")
	wantKind(t, only, hs256(t, nil), domain.Unauthenticated, "HS256 without a secret")
	wantKind(t, only, sign(t, jwt.SigningMethodHS256, []byte{}, nil, goodClaims(nil)), domain.Unauthenticated, "HS256 with an empty secret")
}

// TestPublicKeysAreNoSecrets: what everybody can read must not sign.
func TestPublicKeysAreNoSecrets(t *testing.T) {
	t.Parallel()
	es, rs := newES256(t, "es"), newRS256(t, "rs")
	stolen := issuerKey{"shared", jwt.SigningMethodHS256, []byte("a secret that somebody published")}
	server := newKeyServer(t, es, rs)
	set := map[string]any{"keys": []any{es.jwk(t), rs.jwk(t), map[string]any{"kty": "oct", "kid": "shared", "k": "YSBzZWNyZXQgdGhhdCBzb21lYm9keSBwdWJsaXNoZWQ", "alg": "HS256"}}}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	server.behave(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	for name, v := range map[string]*jwtauth.Verifier{
		"with a secret": start(t, jwtauth.Config{Secret: secret, KeysURL: server.URL}), "without": start(t, jwtauth.Config{KeysURL: server.URL}),
	} {
		wantGood(t, v, rs.token(t, nil), name)
		wantKind(t, v, stolen.token(t, nil), domain.Unauthenticated, name+": HS256 with a published secret")
		for _, key := range []issuerKey{es, rs} {
			for form, bytes := range publicForms(t, key) {
				for _, alg := range []string{"HS256", key.method.Alg()} { // the true name too: a library may look at the key for the method
					token := sign(t, jwt.SigningMethodHS256, bytes, map[string]any{"alg": alg, "kid": key.kid}, goodClaims(nil))
					wantKind(t, v, token, domain.Unauthenticated, fmt.Sprintf("%s: an HMAC with the %s of %s that says %s", name, form, key.kid, alg))
				}
			}
		}
		wantKind(t, v, sign(t, es.method, es.private, map[string]any{"kid": rs.kid}, goodClaims(nil)), domain.Unauthenticated, "ES256 under the name of an RSA key")
		wantKind(t, v, sign(t, rs.method, rs.private, map[string]any{"kid": es.kid}, goodClaims(nil)), domain.Unauthenticated, "RS256 under the name of an EC key")
	}
}

// publicForms are the bytes in which the public half of a key may be found.
func publicForms(t *testing.T, key issuerKey) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.private.(crypto.Signer).Public())
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(key.jwk(t))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return map[string][]byte{
		"DER": der, "PEM": text, "PEM without its last line break": bytes.TrimSpace(text), "JWK": published, "kid": []byte(key.kid), "nothing": {},
	}
}

// TestTokensDoNotChooseTheirKeys: what a token says about keys is compared with what is known, and nothing is fetched for it.
func TestTokensDoNotChooseTheirKeys(t *testing.T) {
	t.Parallel()
	es, foreign := newES256(t, "es"), newES256(t, "foreign")
	server, evil := newKeyServer(t, es), newKeyServer(t, foreign)
	v := start(t, jwtauth.Config{Secret: secret, KeysURL: server.URL + "/keys.json"})
	wantGood(t, v, es.token(t, nil), "the published key")
	for name, header := range map[string]map[string]any{
		"jku": {"kid": "foreign", "jku": evil.URL}, "jku beside a good kid": {"kid": "es", "jku": server.URL + "/keys.json"}, "x5u": {"kid": "foreign", "x5u": evil.URL},
		"jwk": {"kid": "foreign", "jwk": foreign.jwk(t)}, "x5c": {"kid": "foreign", "x5c": []string{"MIIB"}}, "a URL as kid": {"kid": evil.URL}, "a path as kid": {"kid": "../../../../dev/null"},
		"a file as kid": {"kid": "file:///etc/passwd"}, "SQL as kid": {"kid": "es' UNION SELECT 'x' --"}, "a command as kid": {"kid": "es|id"}, "NUL in the kid": {"kid": "es\x00"},
		"another case": {"kid": "ES"}, "a space": {"kid": " es"}, "a list as kid": {"kid": []string{"es"}}, "a number as kid": {"kid": 0}, "an object as kid": {"kid": map[string]any{"es": 1}},
		"no kid": {"kid": nil}, "empty kid": {"kid": ""}, "huge kid": {"kid": strings.Repeat("k", 3000)}, "crit": {"kid": "es", "crit": []string{"b64"}, "b64": false},
	} {
		private := foreign.private
		if header["kid"] == "es" {
			private = es.private
		}
		wantKind(t, v, sign(t, jwt.SigningMethodES256, private, header, goodClaims(nil)), domain.Unauthenticated, name)
	}
	if evil.hits.Load() != 0 {
		t.Error("a token had something fetched")
	}
}

func TestBadSignatures(t *testing.T) {
	t.Parallel()
	es, rs := newES256(t, "es"), newRS256(t, "rs")
	v := start(t, jwtauth.Config{KeysURL: newKeyServer(t, es, rs).URL})
	encode := base64.RawURLEncoding.EncodeToString
	order := elliptic.P256().Params().N
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	zero, one := new(big.Int), big.NewInt(1)
	for _, key := range []issuerKey{es, rs} {
		good := key.token(t, nil)
		signed, signature, _ := cutLast(good)
		wantGood(t, v, good, key.kid)
		for name, bad := range map[string][]byte{
			"r and s are zero": pair(zero, zero), "r is zero": pair(zero, one), "s is zero": pair(one, zero), "r and s are the order": pair(order, order), "ones": pair(one, one),
			"all zero": make([]byte, 256), "all bits set": bytes.Repeat([]byte{0xff}, 256), "empty": {}, "one byte": {0}, "cut": signature[:len(signature)-1], "longer": append(slices.Clone(signature), 0),
			"twice": append(slices.Clone(signature), signature...), "last bit": flip(signature, len(signature)-1), "first bit": flip(signature, 0), "DER": {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01},
		} {
			wantKind(t, v, signed+"."+encode(bad), domain.Unauthenticated, key.kid+": "+name)
		}
		other := key.token(t, jwt.MapClaims{"sub": "somebody else"})
		otherSigned, _, _ := cutLast(other)
		wantKind(t, v, otherSigned+"."+encode(signature), domain.Unauthenticated, key.kid+": the signature of another token")
		wantKind(t, v, good+"=", domain.Unauthenticated, key.kid+": padded")
	}
}

func cutLast(token string) (signed string, signature []byte, err error) {
	dot := strings.LastIndexByte(token, '.')
	signature, err = base64.RawURLEncoding.DecodeString(token[dot+1:])
	return token[:dot], signature, err
}

func flip(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

// TestKeyRotation goes through the states of a signing key: standby, current, previously used, revoked, and back.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := newES256(t, "first"), newES256(t, "second")
	server := newKeyServer(t, first, second)
	v := start(t, jwtauth.Config{Secret: secret, KeysURL: server.URL, CacheTTL: time.Hour, Timing: quick})
	old, legacy := first.token(t, nil), hs256(t, nil)
	wantGood(t, v, old, "the current key")
	wantGood(t, v, second.token(t, nil), "a standby key")

	server.publish(second, first) // the second is current now, and the order means nothing
	awaitFetches(t, server, 2)
	young := second.token(t, jwt.MapClaims{"iat": now.Unix()})
	wantGood(t, v, old, "a token of the previous key, known")
	wantGood(t, v, first.token(t, jwt.MapClaims{"iat": now.Unix()}), "a token of the previous key, not known")
	wantGood(t, v, young, "a token of the key that was standby")

	server.publish(second) // the first is revoked
	eventually(t, "tokens of the revoked key are refused", func() bool {
		_, err := v.Verify(t.Context(), old)
		return domain.KindOf(err) == domain.Unauthenticated && err != nil
	})
	wantKind(t, v, first.token(t, jwt.MapClaims{"iat": 1}), domain.Unauthenticated, "another token of the revoked key")
	wantGood(t, v, young, "the current key goes on")
	wantGood(t, v, legacy, "and the secret")

	server.publish(first, second) // it was a mistake
	eventually(t, "the key is taken again", func() bool {
		_, err := v.Verify(t.Context(), old)
		return err == nil
	})
	wantGood(t, v, young, "and the current key goes on")
}

// awaitFetches waits until answers that were asked for from now on have been put to use.
func awaitFetches(t *testing.T, server *keyServer, n int64) {
	t.Helper()
	want := server.hits.Load() + n
	eventually(t, "the keys are fetched again", func() bool { return server.hits.Load() >= want })
}

// TestAnotherKeyUnderTheSameName: what the old key verified must not be believed because of the name.
func TestAnotherKeyUnderTheSameName(t *testing.T) {
	t.Parallel()
	first, second := newES256(t, "key"), newES256(t, "key")
	server := newKeyServer(t, first)
	v := start(t, jwtauth.Config{KeysURL: server.URL, CacheTTL: time.Hour, Timing: quick})
	old := first.token(t, nil)
	wantGood(t, v, old, "the first key")
	server.publish(second)
	eventually(t, "tokens of the first key are refused", func() bool {
		_, err := v.Verify(t.Context(), old)
		return err != nil
	})
	wantGood(t, v, second.token(t, nil), "the second key")
}

// TestUnknownKeysCostOneFetch: a key without a time on standby is found at once, and no flood of names makes more than one fetch.
func TestUnknownKeysCostOneFetch(t *testing.T) {
	t.Parallel()
	first, second := newES256(t, "first"), newRS256(t, "second")
	server, clock := newKeyServer(t, first), newClock()
	v := start(t, jwtauth.Config{KeysURL: server.URL, Now: clock.now})
	wantGood(t, v, first.token(t, nil), "the first key")
	server.publish(first, second)
	wantKind(t, v, second.token(t, nil), domain.Unauthenticated, "a new key within the interval of the last fetch")
	clock.advance(11 * time.Second)
	wantGood(t, v, second.token(t, nil), "a new key after the interval")
	if hits := server.hits.Load(); hits != 2 {
		t.Fatalf("%d fetches, want 2", hits)
	}
	for round := range int64(3) {
		clock.advance(11 * time.Second)
		flood(t, v, first)
		if hits := server.hits.Load(); hits != 3+round {
			t.Fatalf("%d fetches after %d floods", hits, round+1)
		}
	}
	if wantGood(t, v, first.token(t, nil), "a known key during all that"); server.hits.Load() != 5 {
		t.Error("a known key had keys fetched")
	}
}

// flood sends tokens of many keys that nobody publishes, at once.
func flood(t *testing.T, v *jwtauth.Verifier, key issuerKey) {
	t.Helper()
	tokens := make([]string, 100)
	for i := range tokens {
		tokens[i] = issuerKey{fmt.Sprintf("made up %d", i), key.method, key.private}.token(t, nil)
	}
	var all sync.WaitGroup
	for _, token := range tokens {
		all.Go(func() { wantKind(t, v, token, domain.Unauthenticated, "a key that nobody publishes") })
	}
	all.Wait()
}

// TestBadTokensAskForNoKeys: a token that is bad anyway is judged without the provider.
func TestBadTokensAskForNoKeys(t *testing.T) {
	t.Parallel()
	key, server := newES256(t, "known"), newKeyServer(t)
	server.fail()
	v := start(t, jwtauth.Config{KeysURL: server.URL, Timing: jwtauth.Timing{Retry: time.Hour}})
	wantKind(t, v, key.token(t, nil), domain.Unavailable, "a token that can't be judged")
	hits := server.hits.Load()
	for name, change := range map[string]jwt.MapClaims{
		"expired": {"exp": now.Unix()}, "not valid yet": {"nbf": now.Add(time.Hour).Unix()}, "wrong audience": {"aud": "anon"}, "no subject": {"sub": nil}, "reserved": {"sub": "service"},
	} {
		wantKind(t, v, key.token(t, change), domain.Unauthenticated, name)
	}
	wantKind(t, v, sign(t, jwt.SigningMethodES256, key.private, nil, goodClaims(nil)), domain.Unauthenticated, "no kid")
	if server.hits.Load() != hits {
		t.Error("keys were fetched")
	}
}

// faults are ways in which a server of keys can fail.
func faults(t *testing.T) map[string]http.HandlerFunc {
	key := newES256(t, "key")
	set, err := json.Marshal(map[string]any{"keys": []any{key.jwk(t)}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newKeyServer(t, key)
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	return map[string]http.HandlerFunc{
		"500": text(500, string(set)), "404": text(404, string(set)), "401": text(401, `{"message":"No API key found in request"}`), "201": text(201, string(set)), "204": text(204, ""),
		"garbage": text(200, "\x00\xff<html>"), "empty": text(200, ""), "an error as JSON": text(200, `{"message":"down"}`), "no list": text(200, `{"keys":{}}`), "cut JSON": text(200, string(set[:len(set)-5])),
		"huge":            text(200, `{"pad":"`+strings.Repeat("x", 1<<20)+`",`+string(set[1:])),
		"huge and spaces": text(200, string(set)+strings.Repeat(" ", 1<<20)),
		"huge header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Pad", strings.Repeat("x", 100<<10))
			_, _ = w.Write(set)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(set)
		},
		"closed": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"never ends": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"stops midway": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(set[:20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	}
}

// TestServerFails: whatever the server of keys does, known keys go on, the secret goes on, and what needs new keys is not called bad.
func TestServerFails(t *testing.T) {
	t.Parallel()
	for name, fault := range faults(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known, unknown := newES256(t, "known"), newES256(t, "key")
			server, clock, log := newKeyServer(t, known), newClock(), &logBuffer{}
			timing := jwtauth.Timing{Fetch: 300 * time.Millisecond, Wait: 100 * time.Millisecond, Retry: time.Hour}
			cfg := jwtauth.Config{Secret: secret, KeysURL: server.URL + "/keys?token=hidden", CacheTTL: time.Hour, Timing: timing, Now: clock.now, Logger: log.logger()}
			before := start(t, cfg)
			eventually(t, "the keys are there", func() bool { // the machine may be slow, too
				clock.advance(11 * time.Second)
				_, err := before.Verify(t.Context(), known.token(t, nil))
				return err == nil
			})

			server.behave(fault)
			clock.advance(11 * time.Second)
			wantAway(t, before, unknown.token(t, nil))
			wantAway(t, before, unknown.token(t, nil)) // within the interval, by the same outcome
			wantGood(t, before, known.token(t, nil), "a token that is known")
			wantGood(t, before, known.token(t, jwt.MapClaims{"iat": 1}), "a key that is known")
			wantGood(t, before, hs256(t, nil), "the secret")
			never := start(t, cfg)
			wantAway(t, never, known.token(t, nil))
			wantGood(t, never, hs256(t, nil), "the secret, without ever having had keys")
			wantKind(t, never, known.token(t, jwt.MapClaims{"exp": 1}), domain.Unauthenticated, "a token that is bad anyway")
			eventually(t, "the log tells of it", func() bool { return strings.Contains(log.String(), "level=WARN") })
			if strings.Contains(log.String(), "hidden") {
				t.Errorf("the log shows the address: %s", log.String())
			}

			server.publish(known, unknown)
			for _, v := range []*jwtauth.Verifier{before, never} {
				eventually(t, "it has come back", func() bool { // a fetch that still hangs has to end first
					clock.advance(11 * time.Second)
					_, err := v.Verify(t.Context(), unknown.token(t, nil))
					return err == nil
				})
			}
		})
	}
}

// wantAway also checks that clients hear when to come back, and nothing else.
func wantAway(t *testing.T, v *jwtauth.Verifier, token string) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Message != "The keys of the identity provider are not available" || e.RetryAfter != 10*time.Second || e.Cause == nil {
		t.Errorf("got %#v", err)
	}
}

func TestServerIsNotThere(t *testing.T) {
	t.Parallel()
	key, gone := newES256(t, "key"), newKeyServer(t)
	address := gone.URL
	gone.Close()
	v := start(t, jwtauth.Config{Secret: secret, KeysURL: address})
	wantAway(t, v, key.token(t, nil))
	wantGood(t, v, hs256(t, nil), "the secret")
}

// TestStartAndStopWaitForNobody although the server of keys never answers.
func TestStartAndStopWaitForNobody(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	server := newKeyServer(t)
	server.behave(func(_ http.ResponseWriter, r *http.Request) { asked <- struct{}{}; <-r.Context().Done() })
	begun := time.Now()
	v, err := jwtauth.New(jwtauth.Config{KeysURL: server.URL, Secret: secret, Timing: jwtauth.Timing{Fetch: time.Hour, Wait: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	token := newES256(t, "key").token(t, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()})
	go func() {
		_, err := v.Verify(ctx, token)
		left <- err
	}()
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	v.Close()
	if took := time.Since(begun); took > patience {
		t.Errorf("it took %s", took)
	}
	wantKind(t, v, token, domain.Unavailable, "after the end")
	v.Close() // twice is no fault
}

// TestWaitingHasAnEnd: tokens that need keys wait for a slow server for a moment, from the beginning of the fetch, and not each anew.
func TestWaitingHasAnEnd(t *testing.T) {
	t.Parallel()
	server, clock := newKeyServer(t), newClock()
	server.behave(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	v := start(t, jwtauth.Config{KeysURL: server.URL, Now: clock.now, Timing: jwtauth.Timing{Fetch: time.Hour, Wait: 50 * time.Millisecond}})
	token := newES256(t, "key").token(t, nil)
	wantAway(t, v, token)
	clock.advance(time.Minute) // the fetch still runs
	wantAway(t, v, token)
	if hits := server.hits.Load(); hits != 1 {
		t.Errorf("%d fetches at once", hits)
	}
}

// TestTheFirstFetchIsWaitedFor: tokens that come right after the start are not refused for that.
func TestTheFirstFetchIsWaitedFor(t *testing.T) {
	t.Parallel()
	key, release := newES256(t, "key"), make(chan struct{})
	server := newKeyServer(t, key)
	server.mu.Lock()
	whole := server.answer
	server.mu.Unlock()
	server.behave(func(w http.ResponseWriter, r *http.Request) { <-release; whole(w, r) })
	v := start(t, jwtauth.Config{KeysURL: server.URL, Timing: jwtauth.Timing{Wait: patience, Fetch: patience}})
	token := key.token(t, nil)
	done := make(chan error)
	for range 5 {
		go func() {
			_, err := v.Verify(context.WithoutCancel(t.Context()), token)
			done <- err
		}()
	}
	close(release)
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestKeysAreFetchedAgainInTheBackground and after failures too, with the log told once of each change.
func TestKeysAreFetchedAgainInTheBackground(t *testing.T) {
	t.Parallel()
	key, log := newES256(t, "key"), &logBuffer{}
	server := newKeyServer(t, key)
	v := start(t, jwtauth.Config{KeysURL: server.URL, Timing: quick, Logger: log.logger()})
	awaitFetches(t, server, 3)
	server.fail()
	awaitFetches(t, server, 4)
	wantGood(t, v, key.token(t, nil), "while it fails")
	server.publish(key)
	awaitFetches(t, server, 3)
	if text := log.String(); strings.Count(text, "level=WARN") != 1 || strings.Count(text, "level=INFO") != 2 {
		t.Errorf("the log says:\n%s", text)
	}
}
