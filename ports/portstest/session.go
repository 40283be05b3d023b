package portstest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// SessionStore checks everything that ports.SessionStore demands of a database that is there. empty runs once for each test.
func SessionStore(t *testing.T, empty func(*testing.T) AccountSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, AccountSetup){
		"a session is found until it ends":                            sessionStored,
		"Open notes the sign-in":                                      sessionSignIn,
		"Open for nobody is NotFound":                                 sessionOfNobody,
		"Open ends the sessions beyond keep that would end first":     sessionKeep,
		"racing sign-ins leave no more than keep":                     sessionKeepRace,
		"Renew uses up one token after the other":                     renewChain,
		"Renew prolongs the session":                                  renewProlongs,
		"an unknown token is NotFound":                                renewUnknown,
		"a token of a session that has ended is NotFound":             renewEnded,
		"the parent of an unused token gives it again":                renewAgain,
		"an older token passes within the grace":                      renewPassed,
		"an older token ends the session after the grace":             renewReused,
		"reuse leaves other sessions alone":                           renewReusedOthers,
		"of racing renewals of one token all get the same":            renewRace,
		"of racing renewals with an older token the session ends":     renewReuseRace,
		"another next token takes the place of an unused one":         renewOtherKey,
		"tokens beyond the limit are Limited":                         renewLimit,
		"tokens that were used long ago make room":                    renewForgets,
		"End ends one session with its tokens, and once more is fine": sessionEnd,
		"EndAll ends all sessions of one account":                     sessionEndAll,
		"Expire forgets what ended before":                            sessionExpire,
		"a caller who left is told so and no session is changed":      sessionCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

const (
	rest      = 24 * time.Hour // of a session
	grace     = 10 * time.Second
	maxTokens = 8
)

func aHash() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// openSession opens one at a time and returns it with its first token.
func openSession(t *testing.T, s ports.SessionStore, accountID string, at time.Time) (domain.StoredSession, string) {
	t.Helper()
	session := domain.StoredSession{ID: newID(), AccountID: accountID, CreatedAt: at, EndsAt: at.Add(rest)}
	token := aHash()
	if err := s.Open(t.Context(), session, token, 100); err != nil {
		t.Fatalf("Open: %v", err)
	}
	return session, token
}

func signIn(t *testing.T, s AccountSetup) (domain.StoredSession, string) {
	t.Helper()
	a := createAccount(t, s.A, anAccount(fmt.Sprintf("%s@example.com", newID())))
	return openSession(t, s.SessionsA, a.ID, accountTime)
}

func wantStoredSession(t *testing.T, s ports.SessionStore, want domain.StoredSession, at time.Time) {
	t.Helper()
	if got, err := s.Get(t.Context(), want.ID, at); err != nil || got != want {
		t.Errorf("Get: got %+v, %v, want %+v", got, err, want)
	}
}

func wantEnded(t *testing.T, s ports.SessionStore, id string) {
	t.Helper()
	_, err := s.Get(t.Context(), id, accountTime)
	wantKind(t, err, domain.NotFound, "a session that has ended")
}

func sessionStored(t *testing.T, s AccountSetup) {
	session, _ := signIn(t, s)
	wantStoredSession(t, s.SessionsB, session, session.CreatedAt)
	wantStoredSession(t, s.SessionsB, session, session.EndsAt.Add(-time.Microsecond))
	for _, id := range []string{session.ID, newID(), "", "no id"} {
		_, err := s.SessionsB.Get(t.Context(), id, session.EndsAt)
		wantKind(t, err, domain.NotFound, "Get %q", id)
	}
}

func sessionSignIn(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	at := accountTime.Add(time.Hour)
	openSession(t, s.SessionsA, a.ID, at)
	a.LastSignInAt, a.UpdatedAt = at, at
	wantStoredAccount(t, s.B, a)
}

func sessionOfNobody(t *testing.T, s AccountSetup) {
	session := domain.StoredSession{ID: newID(), AccountID: newID(), CreatedAt: accountTime, EndsAt: accountTime.Add(rest)}
	wantKind(t, s.SessionsA.Open(t.Context(), session, aHash(), 10), domain.NotFound, "Open")
	wantEnded(t, s.SessionsA, session.ID)
}

func sessionKeep(t *testing.T, s AccountSetup) {
	a, b := createAccount(t, s.A, anAccount("ada@example.com")), createAccount(t, s.A, anAccount("bob@example.com"))
	open := func(accountID string, end time.Duration) string {
		session := domain.StoredSession{ID: newID(), AccountID: accountID, CreatedAt: accountTime, EndsAt: accountTime.Add(end)}
		if err := s.SessionsA.Open(t.Context(), session, aHash(), 3); err != nil {
			t.Fatal(err)
		}
		return session.ID
	}
	others := open(b.ID, time.Minute)
	second, first, third := open(a.ID, 2*time.Hour), open(a.ID, time.Hour), open(a.ID, 3*time.Hour)
	newest := open(a.ID, time.Minute) // it stays although it ends first
	wantEnded(t, s.SessionsB, first)
	for _, id := range []string{second, third, newest, others} {
		if _, err := s.SessionsB.Get(t.Context(), id, accountTime); err != nil {
			t.Errorf("a session has gone that should stay: %v", err)
		}
	}
}

func sessionKeepRace(t *testing.T, s AccountSetup) {
	a := createAccount(t, s.A, anAccount("ada@example.com"))
	const many, keep = 12, 3
	ids := together(many, func(i int) string {
		session := domain.StoredSession{ID: newID(), AccountID: a.ID, CreatedAt: accountTime, EndsAt: accountTime.Add(rest)}
		if err := []ports.SessionStore{s.SessionsA, s.SessionsB}[i%2].Open(t.Context(), session, aHash(), keep); err != nil {
			t.Errorf("Open: %v", err)
		}
		return session.ID
	})
	left := 0
	for _, id := range ids {
		if _, err := s.SessionsA.Get(t.Context(), id, accountTime); err == nil {
			left++
		}
	}
	if left != keep {
		t.Errorf("%d sessions are left, want %d", left, keep)
	}
}

func aRenewal(token, next string, after time.Duration) domain.Renewal {
	at := accountTime.Add(after)
	return domain.Renewal{TokenHash: token, NextHash: next, At: at, EndsAt: at.Add(rest), Grace: grace, MaxTokens: maxTokens}
}

// renew renews and wants a result.
func renew(t *testing.T, s ports.SessionStore, r domain.Renewal, want domain.RenewalResult) domain.StoredSession {
	t.Helper()
	session, result, err := s.Renew(t.Context(), r)
	if err != nil || result != want {
		t.Fatalf("Renew: got result %d, %v, want %d", result, err, want)
	}
	return session
}

func wantNoRenewal(t *testing.T, s ports.SessionStore, r domain.Renewal, want domain.Kind, what string) {
	t.Helper()
	session, result, err := s.Renew(t.Context(), r)
	wantKind(t, err, want, "%s", what)
	if result != 0 || session != (domain.StoredSession{}) {
		t.Errorf("%s: got %+v and result %d beside the error", what, session, result)
	}
}

func renewChain(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	for i := range 5 {
		next := aHash()
		got := renew(t, []ports.SessionStore{s.SessionsA, s.SessionsB}[i%2], aRenewal(token, next, time.Duration(i)*time.Hour), domain.RenewalDone)
		if got.ID != session.ID || got.AccountID != session.AccountID || !got.CreatedAt.Equal(session.CreatedAt) {
			t.Errorf("got %+v, want session %+v", got, session)
		}
		token = next
	}
}

func renewProlongs(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	r := aRenewal(token, aHash(), time.Hour)
	got := renew(t, s.SessionsA, r, domain.RenewalDone)
	session.EndsAt = r.EndsAt
	if got != session {
		t.Errorf("got %+v, want %+v", got, session)
	}
	wantStoredSession(t, s.SessionsB, session, session.EndsAt.Add(-time.Microsecond))
}

func renewUnknown(t *testing.T, s AccountSetup) {
	_, token := signIn(t, s)
	for _, unknown := range []string{aHash(), "", token + "0", token[:63]} {
		wantNoRenewal(t, s.SessionsB, aRenewal(unknown, aHash(), 0), domain.NotFound, "an unknown token")
	}
	renew(t, s.SessionsB, aRenewal(token, aHash(), 0), domain.RenewalDone)
}

func renewEnded(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	r := aRenewal(token, aHash(), 0)
	r.At = session.EndsAt
	wantNoRenewal(t, s.SessionsB, r, domain.NotFound, "a session that has ended")
	r.At = session.EndsAt.Add(-time.Microsecond)
	renew(t, s.SessionsB, r, domain.RenewalDone)
}

func renewAgain(t *testing.T, s AccountSetup) {
	_, first := signIn(t, s)
	second, third := aHash(), aHash()
	for _, after := range []time.Duration{0, time.Second, 20 * time.Hour} { // the grace does not matter
		renew(t, s.SessionsB, aRenewal(first, second, after), domain.RenewalDone)
	}
	renew(t, s.SessionsA, aRenewal(second, third, 21*time.Hour), domain.RenewalDone)
}

func renewPassed(t *testing.T, s AccountSetup) {
	session, first := signIn(t, s)
	second, third := aHash(), aHash()
	renew(t, s.SessionsA, aRenewal(first, second, 0), domain.RenewalDone)
	renew(t, s.SessionsA, aRenewal(second, third, time.Second), domain.RenewalDone)
	if got := renew(t, s.SessionsB, aRenewal(first, second, grace-time.Microsecond), domain.RenewalPassed); got.ID != session.ID {
		t.Errorf("got %+v, want session %s", got, session.ID)
	}
	renew(t, s.SessionsB, aRenewal(second, third, grace-time.Microsecond), domain.RenewalDone)
	renew(t, s.SessionsB, aRenewal(third, aHash(), grace-time.Microsecond), domain.RenewalDone)
}

// reuse uses a token of a session twice, with another one in between, and returns the tokens.
func reuse(t *testing.T, s AccountSetup, first string) (second, third string) {
	t.Helper()
	second, third = aHash(), aHash()
	renew(t, s.SessionsA, aRenewal(first, second, 0), domain.RenewalDone)
	renew(t, s.SessionsA, aRenewal(second, third, time.Second), domain.RenewalDone)
	return second, third
}

func renewReused(t *testing.T, s AccountSetup) {
	session, first := signIn(t, s)
	second, third := reuse(t, s, first)
	if got := renew(t, s.SessionsB, aRenewal(first, second, grace), domain.RenewalReused); got.ID != session.ID {
		t.Errorf("got %+v, want session %s", got, session.ID)
	}
	wantEnded(t, s.SessionsA, session.ID)
	for _, token := range []string{first, second, third} {
		wantNoRenewal(t, s.SessionsA, aRenewal(token, aHash(), grace), domain.NotFound, "a token of the ended family")
	}
}

func renewReusedOthers(t *testing.T, s AccountSetup) {
	session, first := signIn(t, s)
	other, token := openSession(t, s.SessionsA, session.AccountID, accountTime)
	second, _ := reuse(t, s, first)
	renew(t, s.SessionsB, aRenewal(first, second, grace), domain.RenewalReused)
	wantStoredSession(t, s.SessionsA, other, accountTime)
	renew(t, s.SessionsA, aRenewal(token, aHash(), 0), domain.RenewalDone)
}

type renewOutcome struct {
	session domain.StoredSession
	result  domain.RenewalResult
	err     error
}

func renewTogether(t *testing.T, s AccountSetup, many int, r func(i int) domain.Renewal) []renewOutcome {
	t.Helper()
	return together(many, func(i int) (out renewOutcome) {
		out.session, out.result, out.err = []ports.SessionStore{s.SessionsA, s.SessionsB}[i%2].Renew(t.Context(), r(i))
		return out
	})
}

func renewRace(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	next := aHash()
	for _, got := range renewTogether(t, s, 16, func(int) domain.Renewal { return aRenewal(token, next, 0) }) {
		if got.err != nil || got.result != domain.RenewalDone || got.session.ID != session.ID {
			t.Errorf("got %+v, want the renewed session", got)
		}
	}
	renew(t, s.SessionsA, aRenewal(next, aHash(), 0), domain.RenewalDone)
}

func renewReuseRace(t *testing.T, s AccountSetup) {
	session, first := signIn(t, s)
	second, third := reuse(t, s, first)
	detected := 0
	for i, got := range renewTogether(t, s, 16, func(i int) domain.Renewal {
		if i%4 == 0 {
			return aRenewal(third, "ffff"+third[4:], time.Minute) // the owner goes on
		}
		return aRenewal(first, second, time.Minute)
	}) {
		switch {
		case got.result == domain.RenewalReused && i%4 != 0:
			detected++
		case got.result == domain.RenewalDone && i%4 == 0:
		default:
			wantKind(t, got.err, domain.NotFound, "after the reuse")
		}
	}
	if detected != 1 {
		t.Errorf("the reuse was detected %d times, want once", detected)
	}
	wantEnded(t, s.SessionsA, session.ID)
}

func renewOtherKey(t *testing.T, s AccountSetup) {
	_, first := signIn(t, s)
	lost, second, third := aHash(), aHash(), aHash()
	renew(t, s.SessionsA, aRenewal(first, lost, 0), domain.RenewalDone)
	renew(t, s.SessionsB, aRenewal(first, second, time.Second), domain.RenewalDone)
	wantNoRenewal(t, s.SessionsA, aRenewal(lost, aHash(), time.Second), domain.NotFound, "what was replaced")
	renew(t, s.SessionsA, aRenewal(second, third, 2*time.Second), domain.RenewalDone)
	// first was used when it was used for the first time.
	renew(t, s.SessionsA, aRenewal(first, second, grace-time.Microsecond), domain.RenewalPassed)
	renew(t, s.SessionsA, aRenewal(first, second, grace), domain.RenewalReused)
}

func renewLimit(t *testing.T, s AccountSetup) {
	_, token := signIn(t, s)
	first := token
	var second string
	for range maxTokens - 1 {
		next := aHash()
		renew(t, s.SessionsA, aRenewal(token, next, 0), domain.RenewalDone)
		if second == "" {
			second = next
		}
		token = next
	}
	wantNoRenewal(t, s.SessionsA, aRenewal(token, aHash(), 0), domain.Limited, "one token too many")
	renew(t, s.SessionsA, aRenewal(first, second, 0), domain.RenewalPassed)
	renew(t, s.SessionsA, aRenewal(first, second, grace), domain.RenewalReused)
}

func renewForgets(t *testing.T, s AccountSetup) {
	_, first := signIn(t, s)
	second, third := reuse(t, s, first)
	day := rest + time.Microsecond // after first was used
	token := third
	renewOn := func() {
		t.Helper()
		next := aHash()
		renew(t, s.SessionsA, aRenewal(token, next, day), domain.RenewalDone)
		token = next
	}
	for range maxTokens - 3 {
		renewOn()
	}
	renewOn() // which takes the place of the first one
	wantNoRenewal(t, s.SessionsA, aRenewal(token, aHash(), day), domain.Limited, "one token too many")
	wantNoRenewal(t, s.SessionsA, aRenewal(first, second, day), domain.NotFound, "a forgotten token")
	renew(t, s.SessionsA, aRenewal(second, third, day+grace), domain.RenewalReused) // this one is still known
}

func sessionEnd(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	other, _ := openSession(t, s.SessionsA, session.AccountID, accountTime)
	for _, id := range []string{session.ID, session.ID, newID(), "", "no id"} {
		if err := s.SessionsB.End(t.Context(), id); err != nil {
			t.Errorf("End %q: %v", id, err)
		}
	}
	wantEnded(t, s.SessionsA, session.ID)
	wantNoRenewal(t, s.SessionsA, aRenewal(token, aHash(), 0), domain.NotFound, "a token of a session that was ended")
	wantStoredSession(t, s.SessionsA, other, accountTime)
}

func sessionEndAll(t *testing.T, s AccountSetup) {
	session, _ := signIn(t, s)
	second, _ := openSession(t, s.SessionsA, session.AccountID, accountTime)
	others, _ := signIn(t, s)
	for _, id := range []string{session.AccountID, newID(), "", "no id"} {
		if err := s.SessionsB.EndAll(t.Context(), id); err != nil {
			t.Errorf("EndAll %q: %v", id, err)
		}
	}
	wantEnded(t, s.SessionsA, session.ID)
	wantEnded(t, s.SessionsA, second.ID)
	wantStoredSession(t, s.SessionsA, others, accountTime)
}

func sessionExpire(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	later, _ := openSession(t, s.SessionsA, session.AccountID, accountTime.Add(time.Microsecond))
	for _, want := range []int{1, 0} {
		if n, err := s.SessionsB.Expire(t.Context(), later.EndsAt); err != nil || n != want {
			t.Errorf("Expire: got %d, %v, want %d", n, err, want)
		}
	}
	wantEnded(t, s.SessionsA, session.ID)
	wantNoRenewal(t, s.SessionsA, aRenewal(token, aHash(), 0), domain.NotFound, "a token of an expired session")
	wantStoredSession(t, s.SessionsA, later, accountTime)
}

func sessionCanceled(t *testing.T, s AccountSetup) {
	session, token := signIn(t, s)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	another := domain.StoredSession{ID: newID(), AccountID: session.AccountID, CreatedAt: accountTime, EndsAt: accountTime.Add(rest)}
	wantCanceled(t, "Open", s.SessionsA.Open(gone, another, aHash(), 1))
	_, err := s.SessionsA.Get(gone, session.ID, accountTime)
	wantCanceled(t, "Get", err)
	_, _, err = s.SessionsA.Renew(gone, aRenewal(token, aHash(), 0))
	wantCanceled(t, "Renew", err)
	wantCanceled(t, "End", s.SessionsA.End(gone, session.ID))
	wantCanceled(t, "EndAll", s.SessionsA.EndAll(gone, session.AccountID))
	_, err = s.SessionsA.Expire(gone, session.EndsAt.Add(time.Hour))
	wantCanceled(t, "Expire", err)
	wantStoredSession(t, s.SessionsA, session, accountTime)
	wantEnded(t, s.SessionsA, another.ID)
	next := aHash()
	renew(t, s.SessionsA, aRenewal(token, next, 0), domain.RenewalDone)
	renew(t, s.SessionsA, aRenewal(next, aHash(), 0), domain.RenewalDone)
}
