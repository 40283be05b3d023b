package jwtauth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/adapters/jwtauth"
	"gaia/domain"
)

// TestVerifiedTokensAreNotJudgedAgain, and no longer than they may: a verifier without keys of its own could not judge them.
func TestVerifiedTokensAreNotJudgedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ttl, life, trusted time.Duration
	}{
		"until they expire":      {time.Hour, 10 * time.Minute, 10 * time.Minute},
		"until the time is over": {10 * time.Minute, time.Hour, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			v := start(t, jwtauth.Config{Secret: secret, CacheTTL: test.ttl, Now: clock.now})
			token := hs256(t, jwt.MapClaims{"exp": now.Add(test.life).Unix()})
			wantGood(t, v, token, "the first time")
			wantGood(t, v, token, "the second time")
			clock.advance(test.trusted - time.Nanosecond)
			wantGood(t, v, token, "at the last moment")
			clock.advance(time.Nanosecond)
			if test.life > test.ttl {
				wantGood(t, v, token, "judged again")
				clock.advance(test.life - test.ttl)
			}
			wantKind(t, v, token, domain.Unauthenticated, "expired")
		})
	}
}

// TestOnlyTheWholeTokenIsKnown: nothing that resembles a verified token profits from it.
func TestOnlyTheWholeTokenIsKnown(t *testing.T) {
	t.Parallel()
	v := start(t, jwtauth.Config{Secret: secret, CacheTTL: time.Hour})
	token := hs256(t, nil)
	wantGood(t, v, token, "the token")
	for _, other := range []string{token + "x", token[:len(token)-1], " " + token, token + "=", token[:len(token)-4] + "AAAA"} {
		wantKind(t, v, other, domain.Unauthenticated, other)
	}
	wantGood(t, v, token, "the token again")
}

// TestWhatAKnownTokenCosts can't run beside others, since it counts the allocations of the process.
func TestWhatAKnownTokenCosts(t *testing.T) { //nolint:paralleltest // see above
	cost := func(ttl time.Duration) float64 {
		v, token := start(t, jwtauth.Config{Secret: secret, CacheTTL: ttl}), hs256(t, nil)
		wantGood(t, v, token, "the first time")
		return testing.AllocsPerRun(100, func() { wantGood(t, v, token, "again") })
	}
	if n := cost(time.Hour); n > 2 {
		t.Errorf("a known token costs %v allocations", n)
	}
	if n := cost(0); n < 10 {
		t.Errorf("%v allocations are too few for judging: something is kept although it must not be", n)
	}
	clock := newClock()
	v := start(t, jwtauth.Config{Secret: secret, CacheTTL: time.Minute, Now: clock.now})
	token := hs256(t, jwt.MapClaims{"exp": now.Add(1000 * time.Hour).Unix()})
	n := testing.AllocsPerRun(100, func() {
		clock.advance(time.Minute)
		wantGood(t, v, token, "a minute later")
	})
	if n < 10 {
		t.Errorf("%v allocations are too few for judging: a token is kept for longer than it may be", n)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	const session = "5f0e1f62-8f0f-4d9a-9a0e-1c5d7c9f3b11"
	key, clock := newES256(t, "key"), newClock()
	v := start(t, jwtauth.Config{Secret: secret, KeysURL: newKeyServer(t, key).URL, CacheTTL: time.Hour, Now: clock.now})
	of := func(more jwt.MapClaims) jwt.MapClaims {
		claims := jwt.MapClaims{"session_id": session, "iat": now.Unix()}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	first, known, unknown := key.token(t, of(nil)), key.token(t, of(jwt.MapClaims{"aal": "aal2"})), hs256(t, of(jwt.MapClaims{"exp": now.Add(2 * time.Hour).Unix()}))
	others := map[string]string{
		"another session": key.token(t, of(jwt.MapClaims{"session_id": "another"})), "no session": key.token(t, nil), "another user": hs256(t, of(jwt.MapClaims{"sub": "somebody"})),
	}
	for _, token := range []string{first, known, others["another session"], others["no session"]} {
		wantGood(t, v, token, "before")
	}
	if err := v.Forget(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"the token": first, "another one of the session": known, "one that was never seen": unknown} {
		wantKind(t, v, token, domain.Unauthenticated, name)
	}
	for name, token := range others {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	clock.advance(59 * time.Minute)
	wantKind(t, v, unknown, domain.Unauthenticated, "after a while")
	if err := v.Forget(t.Context(), first); domain.KindOf(err) != domain.Unauthenticated {
		t.Errorf("forgotten twice: %v", err)
	}
}

// TestForgetReachesYoungerTokens: those of the session may live for longer than the one that ends it.
func TestForgetReachesYoungerTokens(t *testing.T) {
	t.Parallel()
	clock := newClock()
	v := start(t, jwtauth.Config{Secret: secret, CacheTTL: time.Hour, Now: clock.now})
	const life = time.Hour
	issued := func(at time.Time) string {
		return hs256(t, jwt.MapClaims{"session_id": "s", "iat": at.Unix(), "exp": at.Add(life).Unix()})
	}
	old, young := issued(now.Add(-50*time.Minute)), issued(now)
	if err := v.Forget(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		wantKind(t, v, young, domain.Unauthenticated, "the younger token")
		clock.advance(10 * time.Minute)
	}
}

func TestForgetATokenWithoutASession(t *testing.T) {
	t.Parallel()
	v := start(t, jwtauth.Config{Secret: secret})
	token, other := hs256(t, nil), hs256(t, jwt.MapClaims{"iat": 1})
	if err := v.Forget(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	wantKind(t, v, token, domain.Unauthenticated, "the token")
	wantGood(t, v, other, "another one")
}

func TestForgetNeedsAGoodToken(t *testing.T) {
	t.Parallel()
	v := start(t, jwtauth.Config{Secret: secret})
	good := hs256(t, jwt.MapClaims{"session_id": "s"})
	forged := sign(t, jwt.SigningMethodHS256, []byte("another secret"), nil, goodClaims(jwt.MapClaims{"session_id": "s"}))
	for _, token := range []string{forged, "", "nope"} {
		if err := v.Forget(t.Context(), token); domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("%q: %v", token, err)
		}
	}
	wantGood(t, v, good, "the session")
}

// TestTheCacheIsBounded: more tokens than it holds are all judged right.
func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	v := start(t, jwtauth.Config{Secret: secret, CacheTTL: time.Hour, CacheEntries: 10})
	for round := range 2 {
		for i := range 100 {
			who, err := v.Verify(t.Context(), hs256(t, jwt.MapClaims{"sub": fmt.Sprint("user ", i)}))
			if err != nil || who.UserID != fmt.Sprint("user ", i) {
				t.Fatalf("round %d, token %d: %+v, %v", round, i, who, err)
			}
		}
	}
}

func BenchmarkVerifyKinds(b *testing.B) {
	es, rs := newES256(b, "es"), newRS256(b, "rs")
	server := newKeyServer(b, es, rs)
	for name, ttl := range map[string]time.Duration{"cold": 0, "cached": time.Hour} {
		v := start(b, jwtauth.Config{Secret: secret, KeysURL: server.URL, CacheTTL: ttl})
		for alg, token := range map[string]string{"HS256": hs256(b, nil), "ES256": es.token(b, nil), "RS256": rs.token(b, nil)} {
			b.Run(alg+"/"+name, func(b *testing.B) {
				wantGood(b, v, token, alg)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
