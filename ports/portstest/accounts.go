package portstest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Passwords of the accounts that Accounts opens.
const (
	goodPassword  = "Corr3ct-horse-battery" //nolint:gosec // of accounts that live as long as a test
	wrongPassword = "Wr0ng-horse-battery"   //nolint:gosec // see above
)

// reuseGrace is more than providers may go on taking a used refresh token: 10 s is the default of hosted ones.
const reuseGrace = 20 * time.Second

// Accounts checks what ports.Accounts demands of a provider that opens accounts at once, without waiting for a confirmation, except how
// it behaves when it is away, and how long it takes: only its adapter knows. open runs once for each test; the accounts that a test
// opens are its own, so the provider may be one that others use, too.
func Accounts(t *testing.T, open func(*testing.T) ports.Accounts) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.Accounts){
		"Register opens an account and a session":         accountsRegister,
		"a weak password is refused":                      accountsWeakPassword,
		"an address has one account":                      accountsTaken,
		"Login opens a session":                           accountsLogin,
		"a wrong password and an unknown address are one": accountsBadCredentials,
		"Refresh renews and uses the token up":            accountsRefresh,
		"a renewal may be sent again":                     accountsRefreshAgain,
		"an old refresh token ends the session":           accountsReuse,
		"renewals at the same time all go well":           accountsRefreshTogether,
		"what is no refresh token is refused":             accountsBadRefreshToken,
		"Logout ends one session":                         accountsLogout,
		"what is no access token is refused":              accountsBadAccessToken,
		"mails go to everybody or to nobody":              accountsMails,
		"a caller who left is told so":                    accountsCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// anAddress is one that nobody has. It has a capital, which no provider keeps.
func anAddress() string { return "Player-" + strings.ToLower(rand.Text()) + "@example.com" }

func registered(t *testing.T, a ports.Accounts) (email string, s domain.AccountSession) {
	t.Helper()
	email = anAddress()
	_, session, err := a.Register(t.Context(), email, goodPassword)
	if err != nil || session == nil {
		t.Fatalf("Register: session %v, %v", session != nil, err)
	}
	return email, *session
}

func loggedIn(t *testing.T, a ports.Accounts, email string) domain.AccountSession {
	t.Helper()
	s, err := a.Login(t.Context(), email, goodPassword)
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	return s
}

func accountsRegister(t *testing.T, a ports.Accounts) {
	email := anAddress()
	account, session, err := a.Register(t.Context(), email, goodPassword)
	if err != nil || session == nil {
		t.Fatalf("session %v, %v", session != nil, err)
	}
	wantAccount(t, account, email)
	wantSession(t, *session, email)
	if account.ID != session.Account.ID {
		t.Errorf("the account is %s, its session's %s", account.ID, session.Account.ID)
	}
	now, err := a.Account(t.Context(), session.AccessToken)
	if err != nil || now.ID != account.ID {
		t.Errorf("Account with the session's token: %s, %v", now.ID, err)
	}
	wantAccount(t, now, email)
}

func wantAccount(t *testing.T, a domain.Account, email string) {
	t.Helper()
	if _, ok := domain.ParseID(a.ID); !ok {
		t.Errorf("id %q is no UUID", a.ID)
	}
	if a.Email != strings.ToLower(email) {
		t.Errorf("address %q, want %q in lower case", a.Email, email)
	}
	if a.Audience != "authenticated" || a.Role != "authenticated" {
		t.Errorf("audience %q, role %q", a.Audience, a.Role)
	}
	if a.CreatedAt.IsZero() || a.EmailConfirmedAt.IsZero() {
		t.Errorf("created %v, confirmed %v", a.CreatedAt, a.EmailConfirmedAt)
	}
	if a.AppMetadata["provider"] != "email" || a.UserMetadata == nil {
		t.Errorf("metadata %v, of the user %v", a.AppMetadata, a.UserMetadata)
	}
	if len(a.Identities) != 1 || a.Identities[0].UserID != a.ID || a.Identities[0].Provider != "email" {
		t.Errorf("identities %+v", a.Identities)
	}
}

func wantSession(t *testing.T, s domain.AccountSession, email string) {
	t.Helper()
	if strings.Count(s.AccessToken, ".") != 2 || s.RefreshToken == "" {
		t.Errorf("tokens of %d and %d bytes", len(s.AccessToken), len(s.RefreshToken))
	}
	if _, ok := domain.ParseID(s.ID); !ok {
		t.Errorf("the id of the session is %q", s.ID)
	}
	if s.ExpiresIn <= 0 || !s.ExpiresAt.After(s.Account.CreatedAt) {
		t.Errorf("expires in %d s, at %v", s.ExpiresIn, s.ExpiresAt)
	}
	wantAccount(t, s.Account, email)
}

func accountsWeakPassword(t *testing.T, a ports.Accounts) {
	email := anAddress()
	_, _, err := a.Register(t.Context(), email, "abc")
	wantRefusal(t, err, domain.CodeWeakPassword, "abc", email)
	_, err = a.Login(t.Context(), email, "abc")
	wantRefusal(t, err, domain.CodeBadCredentials, email)
}

func accountsTaken(t *testing.T, a ports.Accounts) {
	email, _ := registered(t, a)
	for _, again := range []string{email, strings.ToUpper(email)} {
		_, session, err := a.Register(t.Context(), again, wrongPassword)
		wantRefusal(t, err, domain.CodeNotRegistered, wrongPassword, email)
		if session != nil {
			t.Error("somebody else's account gives a session")
		}
	}
	loggedIn(t, a, email) // the password is what it was
}

func accountsLogin(t *testing.T, a ports.Accounts) {
	email, first := registered(t, a)
	for _, address := range []string{email, strings.ToLower(email), strings.ToUpper(email)} {
		s := loggedIn(t, a, address)
		wantSession(t, s, email)
		if s.Account.ID != first.Account.ID || s.ID == first.ID || s.RefreshToken == first.RefreshToken {
			t.Errorf("login as %s: account %s, want %s, in a session of its own", address, s.Account.ID, first.Account.ID)
		}
		if s.Account.LastSignInAt.IsZero() {
			t.Error("the sign-in is not noted")
		}
	}
	if _, err := a.Account(t.Context(), first.AccessToken); err != nil {
		t.Errorf("the session before: %v", err)
	}
}

func accountsBadCredentials(t *testing.T, a ports.Accounts) {
	email, _ := registered(t, a)
	unknown := anAddress()
	var messages []string
	for _, c := range []struct{ email, password string }{
		{email, wrongPassword}, {unknown, goodPassword}, {unknown, wrongPassword}, {email, goodPassword + " "}, {email, strings.ToUpper(goodPassword)},
	} {
		_, err := a.Login(t.Context(), c.email, c.password)
		messages = append(messages, wantRefusal(t, err, domain.CodeBadCredentials, c.email, c.password))
	}
	for _, m := range messages {
		if m != messages[0] {
			t.Errorf("%q and %q read differently", m, messages[0])
		}
	}
}

func accountsRefresh(t *testing.T, a ports.Accounts) {
	email, first := registered(t, a)
	next := renewed(t, a, first.RefreshToken)
	wantSession(t, next, email)
	if next.RefreshToken == first.RefreshToken || next.Account.ID != first.Account.ID || next.ID != first.ID {
		t.Errorf("session %s of %s, want %s of %s with a new refresh token", next.ID, next.Account.ID, first.ID, first.Account.ID)
	}
	if _, err := a.Account(t.Context(), next.AccessToken); err != nil {
		t.Errorf("the new access token: %v", err)
	}
}

func renewed(t *testing.T, a ports.Accounts, refreshToken string) domain.AccountSession {
	t.Helper()
	s, err := a.Refresh(t.Context(), refreshToken)
	if err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	return s
}

func accountsRefreshAgain(t *testing.T, a ports.Accounts) {
	_, first := registered(t, a)
	renewed(t, a, first.RefreshToken) // its answer is lost
	again := renewed(t, a, first.RefreshToken)
	if last := renewed(t, a, again.RefreshToken); last.ID != first.ID {
		t.Errorf("session %s, want %s", last.ID, first.ID)
	}
}

func accountsReuse(t *testing.T, a ports.Accounts) {
	_, first := registered(t, a)
	second := renewed(t, a, first.RefreshToken)
	third := renewed(t, a, second.RefreshToken)
	var err error
	for begun := time.Now(); err == nil && time.Since(begun) < reuseGrace; {
		if _, err = a.Refresh(t.Context(), first.RefreshToken); err == nil {
			<-time.After(reuseGrace / 40) // not so often that it would be refused for that
		}
	}
	wantRefusal(t, err, domain.CodeBadRefreshToken, first.RefreshToken)
	_, err = a.Refresh(t.Context(), third.RefreshToken)
	wantRefusal(t, err, domain.CodeBadRefreshToken, third.RefreshToken)
}

func accountsRefreshTogether(t *testing.T, a ports.Accounts) {
	_, first := registered(t, a)
	const callers = 6
	sessions, errs := make([]domain.AccountSession, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { sessions[i], errs[i] = a.Refresh(t.Context(), first.RefreshToken) })
	}
	all.Wait()
	for i := range callers {
		if errs[i] != nil {
			t.Fatalf("one of %d: %v", callers, errs[i])
		}
		if sessions[i].ID != first.ID {
			t.Errorf("session %s, want %s", sessions[i].ID, first.ID)
		}
	}
	renewed(t, a, sessions[0].RefreshToken)
}

func accountsBadRefreshToken(t *testing.T, a ports.Accounts) {
	_, s := registered(t, a)
	for _, token := range []string{"abcdefghijkl", "x", s.AccessToken, strings.Repeat("a", 4096), "ünïcödé", s.RefreshToken + "x"} {
		_, err := a.Refresh(t.Context(), token)
		wantRefusal(t, err, domain.CodeBadRefreshToken)
	}
	renewed(t, a, s.RefreshToken) // none of this harmed the session
}

func accountsLogout(t *testing.T, a ports.Accounts) {
	email, one := registered(t, a)
	other := loggedIn(t, a, email)
	for range 2 { // what has ended is no error
		if err := a.Logout(t.Context(), one.AccessToken); err != nil {
			t.Fatalf("Logout: %v", err)
		}
	}
	if _, err := a.Account(t.Context(), one.AccessToken); domain.KindOf(err) != domain.Unauthenticated {
		t.Errorf("the token of the ended session: %v", err)
	}
	_, err := a.Refresh(t.Context(), one.RefreshToken)
	wantRefusal(t, err, domain.CodeBadRefreshToken, one.RefreshToken)
	if _, err := a.Account(t.Context(), other.AccessToken); err != nil {
		t.Errorf("the other session: %v", err)
	}
	renewed(t, a, other.RefreshToken)
}

func accountsBadAccessToken(t *testing.T, a ports.Accounts) {
	_, s := registered(t, a)
	head, signature, _ := strings.Cut(s.AccessToken, ".")
	for _, token := range []string{"x", s.RefreshToken, head + "." + signature + "x", s.AccessToken[:len(s.AccessToken)-20], "a.b.c"} {
		_, err := a.Account(t.Context(), token)
		if domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("Account with a bad token: %v", err)
		}
		if err := a.Logout(t.Context(), token); domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("Logout with a bad token: %v", err)
		}
	}
}

// A second mail right away may not be sent, and a provider may not be able to send any, but nobody learns more than that.
func accountsMails(t *testing.T, a ports.Accounts) {
	email, _ := registered(t, a)
	for name, send := range map[string]func(context.Context, string) error{"Recover": a.Recover, "ResendVerification": a.ResendVerification} {
		first := send(t.Context(), email)
		if first != nil {
			wantKind(t, first, domain.Unavailable, "%s", name)
		}
		for _, address := range []string{email, anAddress(), anAddress()} {
			err := send(t.Context(), address)
			if (err == nil) != (first == nil) || err != nil && (err.Error() != first.Error() || strings.Contains(err.Error(), address)) {
				t.Errorf("%s: got %v, and %v for another address", name, first, err)
			}
		}
	}
}

func accountsCanceled(t *testing.T, a ports.Accounts) {
	_, s := registered(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Register": func() error { _, _, err := a.Register(ctx, anAddress(), goodPassword); return err },
		"Login":    func() error { _, err := a.Login(ctx, anAddress(), goodPassword); return err },
		"Refresh":  func() error { _, err := a.Refresh(ctx, s.RefreshToken); return err },
		"Logout":   func() error { return a.Logout(ctx, s.AccessToken) },
		"Account":  func() error { _, err := a.Account(ctx, s.AccessToken); return err },
	}
	for name, call := range calls {
		if err := call(); domain.KindOf(err) != domain.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wantRefusal demands a refusal in words, with a code, that repeats nothing secret. It returns the words.
func wantRefusal(t *testing.T, err error, code string, secrets ...string) string {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.BadRequest || e.Code != code || e.Message == "" {
		t.Errorf("got %v, want a BadRequest %s in words", err, code)
		return ""
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%v repeats %q", err, s)
		}
	}
	return e.Message
}
