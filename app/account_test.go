package app_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// accountProvider is an identity provider that answers as it is told.
type accountProvider struct {
	ports.Accounts // what a test does not expect

	session *domain.AccountSession
	account domain.Account
	err     error
	calls   []string
}

func (p *accountProvider) Register(_ context.Context, email, _ string) (domain.Account, *domain.AccountSession, error) {
	p.calls = append(p.calls, "register "+email)
	return p.account, p.session, p.err
}

func (p *accountProvider) Login(_ context.Context, email, _ string) (domain.AccountSession, error) {
	p.calls = append(p.calls, "login "+email)
	return deref(p.session), p.err
}

func (p *accountProvider) Refresh(_ context.Context, token string) (domain.AccountSession, error) {
	p.calls = append(p.calls, "refresh "+token)
	return deref(p.session), p.err
}

func (p *accountProvider) Logout(_ context.Context, token string) error {
	p.calls = append(p.calls, "logout "+token)
	return p.err
}

func (p *accountProvider) Account(_ context.Context, token string) (domain.Account, error) {
	p.calls = append(p.calls, "account "+token)
	return p.account, p.err
}

func (p *accountProvider) ResendVerification(_ context.Context, email string) error {
	p.calls = append(p.calls, "resend "+email)
	return p.err
}

func (p *accountProvider) Recover(_ context.Context, email string) error {
	p.calls = append(p.calls, "recover "+email)
	return p.err
}

func deref(s *domain.AccountSession) domain.AccountSession {
	if s == nil {
		return domain.AccountSession{}
	}
	return *s
}

// signedIn is a session of ada.
func signedIn() *domain.AccountSession {
	return &domain.AccountSession{ID: "session-1", AccessToken: "a.b.c", RefreshToken: "r", Account: domain.Account{ID: ada.UserID}}
}

// accounts is a use case with what it leaves in the audit log.
type accounts struct {
	*app.Accounts

	provider  *accountProvider
	forgotten []string
	log       ports.AuditLog
	store     func() // what waits, refusals among it
}

func newAccounts(t *testing.T, p *accountProvider) *accounts {
	t.Helper()
	a := &accounts{provider: p, log: new(memory.AuditLog)}
	audit := app.NewAudit(app.AuditDeps{Log: a.log, Now: clock(), NewID: ids()})
	a.store = func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		audit.Run(ctx)
	}
	deps := app.AccountDeps{
		Identity: app.NewIdentity(globalKey, tokens{}), Audit: audit,
		Forget: func(_ context.Context, token string) error {
			a.forgotten = append(a.forgotten, token)
			return nil
		},
	}
	if p != nil {
		deps.Provider = p
	}
	a.Accounts = app.NewAccounts(deps)
	return a
}

// recorded is the audit log, the oldest first, in short.
func (a *accounts) recorded(t *testing.T) []string {
	t.Helper()
	a.store()
	entries, err := a.log.Recent(t.Context(), time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, e := range slices.Backward(entries) {
		short = append(short, string(e.Action)+" "+e.Principal+" "+e.Subject+" "+e.Details[domain.DetailReason])
	}
	return short
}

func (a *accounts) wantRecorded(t *testing.T, want ...string) {
	t.Helper()
	if got := a.recorded(t); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	bad := app.CredentialCheck{Error: "No valid authentication credentials provided"}
	for name, c := range map[string]struct {
		token, key string
		want       app.CredentialCheck
		recorded   []string
	}{
		"a token":                {goodToken, "", app.CredentialCheck{Valid: true, Type: domain.AuthJWT, UserID: ada.UserID}, nil},
		"the key":                {"", globalKey, app.CredentialCheck{Valid: true, Type: domain.AuthAPIKey}, nil},
		"a token and a bad key":  {goodToken, "nope", app.CredentialCheck{Valid: true, Type: domain.AuthJWT, UserID: ada.UserID}, nil},
		"a bad token and a key":  {"bad", globalKey, app.CredentialCheck{Valid: true, Type: domain.AuthAPIKey}, nil},
		"a key where tokens are": {globalKey, "", app.CredentialCheck{Valid: true, Type: domain.AuthAPIKey}, nil}, // as OpenAI clients send it
		"nothing":                {"", "", bad, nil},
		"a bad token":            {"bad", "", bad, []string{"validation_failed   bad_token"}},
		"a bad key":              {"", "nope", bad, []string{"validation_failed   unknown_key"}},
		"both bad":               {"bad", "nope", bad, []string{"validation_failed   unknown_key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccounts(t, nil)
			got, err := a.Validate(t.Context(), c.token, c.key)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
			a.wantRecorded(t, c.recorded...)
		})
	}
}

// What can't be judged now is neither good nor bad.
func TestValidateWhenAPartIsAway(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The key server is not available", errAny)
	audit := app.NewAudit(app.AuditDeps{Log: new(memory.AuditLog), Now: clock(), NewID: ids()})
	a := app.NewAccounts(app.AccountDeps{Identity: app.NewIdentity(globalKey, tokens{trouble: away}), Audit: audit})
	if got, err := a.Validate(t.Context(), goodToken, ""); !errors.Is(err, away) || got.Valid {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSessionsAreRecorded(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, &accountProvider{session: signedIn(), account: domain.Account{ID: ada.UserID}})
	if _, s, err := a.Register(t.Context(), "ada@example.com", "pw"); err != nil || s.AccessToken != "a.b.c" {
		t.Errorf("Register: %+v, %v", s, err)
	}
	if s, err := a.Login(t.Context(), "ada@example.com", "pw"); err != nil || s.AccessToken != "a.b.c" {
		t.Errorf("Login: %+v, %v", s, err)
	}
	if s, err := a.Refresh(t.Context(), "r"); err != nil || s.AccessToken != "a.b.c" {
		t.Errorf("Refresh: %+v, %v", s, err)
	}
	if err := a.Logout(t.Context(), ada, "a.b.c"); err != nil {
		t.Errorf("Logout: %v", err)
	}
	if account, err := a.Current(t.Context(), ada, "a.b.c"); err != nil || account.ID != ada.UserID {
		t.Errorf("Current: %+v, %v", account, err)
	}
	a.wantRecorded(t, "login ada session-1 ", "login ada session-1 ", "refresh ada session-1 ", "logout ada  ")
	if want := []string{"a.b.c"}; !slices.Equal(a.forgotten, want) {
		t.Errorf("forgotten %q, want %q", a.forgotten, want)
	}
	want := []string{"register ada@example.com", "login ada@example.com", "refresh r", "logout a.b.c", "account a.b.c"}
	if !slices.Equal(a.provider.calls, want) {
		t.Errorf("asked %q, want %q", a.provider.calls, want)
	}
}

func TestRegisterWithoutASession(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, &accountProvider{account: domain.Account{ID: ada.UserID}})
	if account, s, err := a.Register(t.Context(), "ada@example.com", "pw"); err != nil || s != nil || account.ID != ada.UserID {
		t.Errorf("got %+v, %v, %v", account, s, err)
	}
	a.wantRecorded(t)
}

func TestRefusalsOfTheProvider(t *testing.T) {
	t.Parallel()
	refused := func(code string) error {
		return &domain.Error{Kind: domain.BadRequest, Code: code, Message: "No"}
	}
	for name, c := range map[string]struct {
		err      error
		recorded []string
	}{
		"bad credentials":   {refused(domain.CodeBadCredentials), []string{"validation_failed   bad_password"}},
		"bad refresh token": {refused(domain.CodeBadRefreshToken), []string{"validation_failed   bad_refresh_token"}},
		"not confirmed":     {refused(domain.CodeNotConfirmed), nil},
		"too often":         {domain.NewError(domain.Limited, "Later"), nil},
		"away":              {domain.MissingPart("Away", errAny), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccounts(t, &accountProvider{session: signedIn(), err: c.err})
			_, _, register := a.Register(t.Context(), "ada@example.com", "pw")
			_, login := a.Login(t.Context(), "ada@example.com", "pw")
			_, refresh := a.Refresh(t.Context(), "r")
			_, current := a.Current(t.Context(), ada, "a.b.c")
			for call, err := range map[string]error{
				"Register": register, "Login": login, "Refresh": refresh, "Current": current, "Logout": a.Logout(t.Context(), ada, "a.b.c"),
				"ResendVerification": a.ResendVerification(t.Context(), "ada@example.com"), "Recover": a.Recover(t.Context(), "ada@example.com"),
			} {
				if !errors.Is(err, c.err) {
					t.Errorf("%s: %v", call, err)
				}
			}
			a.wantRecorded(t, c.recorded...)
			if len(a.forgotten) > 0 {
				t.Error("a token is forgotten whose session goes on")
			}
		})
	}
}

// Keys have no session: nobody's may be ended or shown with one.
func TestOnlyTokensHaveSessions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		who   domain.Principal
		token string
	}{
		"the global key":  {service, ""},
		"a user's key":    {domain.Principal{Type: domain.AuthUserAPIKey, UserID: ada.UserID, KeyID: "k"}, ""},
		"a key and token": {service, "a.b.c"},
		"no token":        {ada, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []*accountProvider{nil, {account: domain.Account{ID: ada.UserID}}} { // also where there is no provider
				a := newAccounts(t, p)
				if err := a.Logout(t.Context(), c.who, c.token); domain.KindOf(err) != domain.Unauthenticated {
					t.Errorf("Logout: %v", err)
				}
				if _, err := a.Current(t.Context(), c.who, c.token); domain.KindOf(err) != domain.Unauthenticated {
					t.Errorf("Current: %v", err)
				}
				if p != nil && len(p.calls) > 0 {
					t.Errorf("asked %q", p.calls)
				}
			}
		})
	}
}

// A provider that takes the token for somebody else's does not go with the verifier: showing that account would be worse than nothing.
func TestAccountOfSomebodyElse(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, &accountProvider{account: domain.Account{ID: bob.UserID}})
	if got, err := a.Current(t.Context(), ada, "a.b.c"); domain.KindOf(err) != domain.Unavailable || got.ID != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWithoutAProvider(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, nil)
	_, _, register := a.Register(t.Context(), "ada@example.com", "pw")
	_, login := a.Login(t.Context(), "ada@example.com", "pw")
	_, refresh := a.Refresh(t.Context(), "r")
	_, current := a.Current(t.Context(), ada, "a.b.c")
	for call, err := range map[string]error{
		"Register": register, "Login": login, "Refresh": refresh, "Current": current, "Logout": a.Logout(t.Context(), ada, "a.b.c"),
		"ResendVerification": a.ResendVerification(t.Context(), "ada@example.com"), "Recover": a.Recover(t.Context(), "ada@example.com"),
	} {
		var e *domain.Error
		if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Message != "No identity provider is configured: set SUPABASE_URL and SUPABASE_ANON_KEY, or see LOCAL_ACCOUNTS" {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// A log that hangs must not keep anybody from signing in.
func TestSigningInWhenTheAuditLogHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		audit := app.NewAudit(app.AuditDeps{Log: frozenLog{}, Now: time.Now, NewID: ids()})
		a := app.NewAccounts(app.AccountDeps{Provider: &accountProvider{session: signedIn()}, Identity: app.NewIdentity(globalKey, nil), Audit: audit})
		begun := time.Now()
		if _, err := a.Login(t.Context(), "ada@example.com", "pw"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("login took %v", took)
		}
	})
}
