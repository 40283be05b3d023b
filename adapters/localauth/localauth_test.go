package localauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"gaia/adapters/localauth"
	"gaia/adapters/memory"
	"gaia/domain"
	"gaia/ports"
)

const (
	secret   = "a-secret-for-tests-that-is-long-enough-for-hs256"
	password = "Corr3ct-horse"
	address  = "ada@example.com"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// provider is what tests ask, and what stands behind it.
type provider struct {
	*localauth.Accounts
	clock    *clock
	accounts *memory.AccountStore
	sessions *memory.SessionStore
	config   localauth.Config
}

func start(t *testing.T, change ...func(*localauth.Config)) *provider {
	t.Helper()
	accounts := memory.NewAccountStore()
	p := &provider{clock: &clock{now: time.Now()}, accounts: accounts, sessions: memory.NewSessionStore(accounts)}
	p.config = localauth.Config{
		Accounts: accounts, Sessions: p.sessions, Secret: secret, Issuer: "http://localhost:8666/auth/v1", NewID: uuid.NewString,
		Passwords: localauth.Argon2{Memory: 64, Passes: 1, Lanes: 1}, HashWait: time.Minute, Now: p.clock.Now,
	}
	p.restart(t, change...)
	return p
}

// restart makes the provider anew over the same stores.
func (p *provider) restart(t *testing.T, change ...func(*localauth.Config)) {
	t.Helper()
	for _, c := range change {
		c(&p.config)
	}
	a, err := localauth.New(p.config)
	if err != nil {
		t.Fatal(err)
	}
	p.Accounts = a
}

func (p *provider) register(t *testing.T, email string) domain.AccountSession {
	t.Helper()
	_, s, err := p.Register(t.Context(), email, password)
	if err != nil || s == nil {
		t.Fatalf("Register: %v", err)
	}
	return *s
}

func (p *provider) login(t *testing.T) domain.AccountSession {
	t.Helper()
	s, err := p.Login(t.Context(), address, password)
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	return s
}

func (p *provider) refresh(t *testing.T, token string) domain.AccountSession {
	t.Helper()
	s, err := p.Refresh(t.Context(), token)
	if err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	return s
}

func wantCode(t *testing.T, err error, kind domain.Kind, code string) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code || e.Message == "" {
		t.Errorf("got %v, want kind %d with code %q in words", err, kind, code)
	}
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]any{}
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestNoSecretNoProvider(t *testing.T) {
	t.Parallel()
	if _, err := localauth.New(localauth.Config{}); err == nil {
		t.Error("anybody could sign")
	}
	if _, err := localauth.New(localauth.Config{Secret: secret, Passwords: localauth.Argon2{Memory: 1 << 30, Passes: 1, Lanes: 1}}); err == nil {
		t.Error("one hash may take all memory")
	}
}

// Access tokens have what those of Supabase Auth have, and nothing else.
func TestClaims(t *testing.T) {
	t.Parallel()
	p := start(t)
	begun := p.clock.Now()
	s := p.register(t, "Ada@Example.com")
	claims := claimsOf(t, s.AccessToken)
	id := s.Account.ID
	want := map[string]any{
		"iss": "http://localhost:8666/auth/v1", "sub": id, "aud": "authenticated", "role": "authenticated", "email": address, "phone": "",
		"iat": float64(begun.Unix()), "exp": float64(begun.Add(time.Hour).Unix()), "session_id": s.ID, "is_anonymous": false, "aal": "aal1",
		"amr":           []any{map[string]any{"method": "password", "timestamp": float64(begun.Unix())}},
		"app_metadata":  map[string]any{"provider": "email", "providers": []any{"email"}},
		"user_metadata": map[string]any{"email": address, "email_verified": true, "phone_verified": false, "sub": id},
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("got %v\nwant %v", claims, want)
	}
	head, _, _ := strings.Cut(s.AccessToken, ".")
	if raw, _ := base64.RawURLEncoding.DecodeString(head); string(raw) != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("header %s", raw)
	}
	if s.ExpiresIn != 3600 || s.ExpiresAt.Unix() != begun.Add(time.Hour).Unix() {
		t.Errorf("expires in %d s, at %v", s.ExpiresIn, s.ExpiresAt)
	}
	p.clock.pass(time.Minute)
	later := claimsOf(t, p.refresh(t, s.RefreshToken).AccessToken)
	if !reflect.DeepEqual(later["amr"], want["amr"]) || later["session_id"] != s.ID || later["iat"] != float64(begun.Add(time.Minute).Unix()) {
		t.Errorf("after a renewal: %v", later)
	}
	if next := claimsOf(t, p.login(t).AccessToken); next["session_id"] == s.ID || next["sub"] != id {
		t.Errorf("after another login: %v", next)
	}
}

func TestAccountAnswersFromTheStore(t *testing.T) {
	t.Parallel()
	p := start(t)
	registered := p.register(t, address)
	p.clock.pass(time.Hour / 2)
	s := p.login(t)
	got, err := p.Account(t.Context(), registered.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	got.AppMetadata, s.Account.AppMetadata = nil, nil // lists of different types
	if !reflect.DeepEqual(got, s.Account) {
		t.Errorf("got %+v\nwant %+v", got, s.Account)
	}
	if !got.LastSignInAt.Equal(p.clock.Now().Truncate(time.Microsecond)) || !got.CreatedAt.Equal(registered.Account.CreatedAt) {
		t.Errorf("signed in %v, created %v", got.LastSignInAt, got.CreatedAt)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.register(t, address)
	for name, c := range map[string]struct{ email, password, code string }{
		"no address":       {"ada", password, domain.CodeNotRegistered},
		"a space":          {"bob@example.com ", password, domain.CodeNotRegistered},
		"a short password": {"bob@example.com", "12345", domain.CodeWeakPassword},
		"none":             {"bob@example.com", "", domain.CodeWeakPassword},
		"a long password":  {"bob@example.com", strings.Repeat("p", 73), domain.CodeNotRegistered},
		"taken":            {address, password, domain.CodeNotRegistered},
		"taken in capital": {strings.ToUpper(address), "another-password", domain.CodeNotRegistered},
	} {
		t.Run(name, func(t *testing.T) {
			_, s, err := p.Register(t.Context(), c.email, c.password)
			wantCode(t, err, domain.BadRequest, c.code)
			if s != nil {
				t.Error("and a session")
			}
		})
	}
}

func TestRegisterRace(t *testing.T) {
	t.Parallel()
	p := start(t)
	const many = 8
	errs := make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { _, _, errs[i] = p.Register(t.Context(), address, password) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantCode(t, err, domain.BadRequest, domain.CodeNotRegistered)
		}
	}
	if won != 1 {
		t.Errorf("%d registrations won", won)
	}
	p.login(t)
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.register(t, address)
	var words []string
	for _, c := range []struct{ email, password string }{
		{address, "Wr0ng-horse"}, {"bob@example.com", password}, {"", password}, {address, ""}, {"ada", password}, {address + " ", password},
		{address, password + strings.Repeat("p", 100)}, {address, strings.Repeat("p", 1<<20)},
	} {
		_, err := p.Login(t.Context(), c.email, c.password)
		wantCode(t, err, domain.BadRequest, domain.CodeBadCredentials)
		words = append(words, err.Error())
	}
	if slices.Sort(words); words[0] != words[len(words)-1] {
		t.Errorf("refusals differ: %q", words)
	}
}

func TestPasswordIsHashedAnewWhenParametersChange(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.register(t, address)
	before, _ := p.accounts.ByEmail(t.Context(), address)
	p.login(t)
	if same, _ := p.accounts.ByEmail(t.Context(), address); same.PasswordHash != before.PasswordHash {
		t.Error("hashed anew without a reason")
	}
	p.restart(t, func(c *localauth.Config) { c.Passwords.Memory = 128 })
	if _, err := p.Login(t.Context(), address, "Wr0ng-horse"); err == nil {
		t.Fatal("a wrong password is right")
	}
	if same, _ := p.accounts.ByEmail(t.Context(), address); same.PasswordHash != before.PasswordHash {
		t.Error("a wrong password was hashed")
	}
	p.accounts.FailNext("SetPasswordHash", domain.MissingPart("away", nil))
	p.login(t) // which does not matter to who logs in
	p.login(t)
	after, _ := p.accounts.ByEmail(t.Context(), address)
	if !strings.HasPrefix(after.PasswordHash, "$argon2id$v=19$m=128,t=1,p=1$") {
		t.Errorf("hash %s", after.PasswordHash)
	}
	p.login(t)
	if again, _ := p.accounts.ByEmail(t.Context(), address); again.PasswordHash != after.PasswordHash {
		t.Error("hashed anew twice")
	}
}

func TestLostAnswerOfARenewal(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	second := p.refresh(t, first.RefreshToken)
	p.clock.pass(time.Hour) // far beyond the grace: the second one has not been used
	if again := p.refresh(t, first.RefreshToken); again.RefreshToken != second.RefreshToken || again.ID != first.ID {
		t.Error("the answer that was lost is another one the second time")
	}
	third := p.refresh(t, second.RefreshToken)
	p.clock.pass(9 * time.Second)
	if again := p.refresh(t, second.RefreshToken); again.RefreshToken != third.RefreshToken {
		t.Error("the token before gives another one than it gave")
	}
}

func TestGraceLeadsToTheNewestToken(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	newest := first
	for range 5 {
		newest = p.refresh(t, newest.RefreshToken)
		p.clock.pass(time.Second)
	}
	if again := p.refresh(t, first.RefreshToken); again.RefreshToken != newest.RefreshToken {
		t.Error("an older token leads elsewhere")
	}
	p.refresh(t, newest.RefreshToken)
}

func TestReuseEndsTheSession(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	other := p.login(t)
	second := p.refresh(t, first.RefreshToken)
	third := p.refresh(t, second.RefreshToken)
	p.clock.pass(10 * time.Second)
	for _, token := range []string{first.RefreshToken, third.RefreshToken, second.RefreshToken, first.RefreshToken} {
		_, err := p.Refresh(t.Context(), token)
		wantCode(t, err, domain.BadRequest, domain.CodeBadRefreshToken)
	}
	for _, s := range []domain.AccountSession{first, third} {
		_, err := p.Account(t.Context(), s.AccessToken)
		wantCode(t, err, domain.Unauthenticated, domain.CodeSessionEnded)
	}
	if _, err := p.Account(t.Context(), other.AccessToken); err != nil {
		t.Errorf("another session of the account: %v", err)
	}
	p.refresh(t, other.RefreshToken)
}

// A chain that is too long for the grace ends in a refusal and harms nobody.
func TestManyRenewalsWithinTheGrace(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	newest := first
	for range 40 {
		newest = p.refresh(t, newest.RefreshToken)
	}
	_, err := p.Refresh(t.Context(), first.RefreshToken)
	wantCode(t, err, domain.BadRequest, domain.CodeBadRefreshToken)
	p.refresh(t, newest.RefreshToken)
}

func TestRenewalsAtTheSameTimeGiveOneToken(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	const many = 8
	sessions, errs := make([]domain.AccountSession, many), make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() { sessions[i], errs[i] = p.Refresh(t.Context(), first.RefreshToken) })
	}
	all.Wait()
	for i := range many {
		if errs[i] != nil || sessions[i].RefreshToken != sessions[0].RefreshToken || sessions[i].AccessToken != sessions[0].AccessToken {
			t.Errorf("caller %d has other tokens than the first, or %v", i, errs[i])
		}
	}
}

func TestSessionsEndWithoutRenewal(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *localauth.Config) { c.SessionTTL = 24 * time.Hour })
	s := p.register(t, address)
	for range 3 {
		p.clock.pass(23 * time.Hour)
		s = p.refresh(t, s.RefreshToken)
	}
	p.clock.pass(24 * time.Hour)
	_, err := p.Refresh(t.Context(), s.RefreshToken)
	wantCode(t, err, domain.BadRequest, domain.CodeBadRefreshToken)
}

func TestAccessTokensExpire(t *testing.T) {
	t.Parallel()
	p := start(t)
	s := p.register(t, address)
	p.clock.pass(time.Hour - time.Second)
	if _, err := p.Account(t.Context(), s.AccessToken); err != nil {
		t.Errorf("a second before: %v", err)
	}
	p.clock.pass(time.Second)
	_, err := p.Account(t.Context(), s.AccessToken)
	wantCode(t, err, domain.Unauthenticated, "")
	wantCode(t, p.Logout(t.Context(), s.AccessToken), domain.Unauthenticated, "")
	p.refresh(t, s.RefreshToken)
}

func TestSessionsOfAnAccountAreBounded(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *localauth.Config) { c.MaxSessions, c.MaxRenewals = 2, 3 })
	first := p.register(t, address)
	p.clock.pass(time.Second)
	second := p.login(t)
	p.clock.pass(time.Second)
	first = p.refresh(t, first.RefreshToken) // now it is the second that would end first
	p.clock.pass(time.Second)
	p.login(t)
	_, err := p.Account(t.Context(), second.AccessToken)
	wantCode(t, err, domain.Unauthenticated, domain.CodeSessionEnded)
	first = p.refresh(t, first.RefreshToken)
	_, err = p.Refresh(t.Context(), first.RefreshToken)
	wantCode(t, err, domain.Limited, "")
	if _, err := p.Account(t.Context(), first.AccessToken); err != nil {
		t.Errorf("the session that was renewed too often: %v", err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	p := start(t)
	first := p.register(t, address)
	second := p.refresh(t, first.RefreshToken) // whose answer is lost when the process ends
	p.restart(t)
	if again := p.refresh(t, first.RefreshToken); again.RefreshToken != second.RefreshToken {
		t.Error("after a restart the answer is another one")
	}
	if _, err := p.Account(t.Context(), first.AccessToken); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	p.restart(t, func(c *localauth.Config) { c.Secret = "another-secret-that-is-long-enough-for-hs256" })
	_, err := p.Account(t.Context(), second.AccessToken)
	wantCode(t, err, domain.Unauthenticated, "")
	third := p.refresh(t, second.RefreshToken) // sessions outlive the signing key
	if _, err := p.Account(t.Context(), third.AccessToken); err != nil {
		t.Errorf("the new key: %v", err)
	}
}

func TestAccessTokensOfOthers(t *testing.T) {
	t.Parallel()
	p := start(t)
	s, other := p.register(t, address), p.register(t, "bob@example.com")
	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims(claimsOf(t, s.AccessToken))
		change(claims)
		token := jwt.NewWithClaims(method, claims)
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	key := []byte(secret)
	if _, err := p.Account(t.Context(), sign(jwt.SigningMethodHS256, key, func(jwt.MapClaims) {})); err != nil {
		t.Fatalf("the token itself: %v", err)
	}
	set := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[name] = value }
	}
	for name, token := range map[string]string{
		"unsigned":         sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, func(jwt.MapClaims) {}),
		"HS512":            sign(jwt.SigningMethodHS512, key, func(jwt.MapClaims) {}),
		"another secret":   sign(jwt.SigningMethodHS256, []byte("another"), func(jwt.MapClaims) {}),
		"expired":          sign(jwt.SigningMethodHS256, key, set("exp", 1)),
		"without an end":   sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "exp") }),
		"another audience": sign(jwt.SigningMethodHS256, key, set("aud", "service")),
		"no session":       sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "session_id") }),
		"no user":          sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { delete(c, "sub") }),
		"service":          sign(jwt.SigningMethodHS256, key, set("sub", "service")),
		"a number":         sign(jwt.SigningMethodHS256, key, set("session_id", 1)),
		"SUB for sub":      sign(jwt.SigningMethodHS256, key, func(c jwt.MapClaims) { c["SUB"] = c["sub"]; delete(c, "sub") }),
		"huge":             sign(jwt.SigningMethodHS256, key, set("more", strings.Repeat("x", 8<<10))),
		"empty":            "", "no token": "abc", "a refresh token": s.RefreshToken,
	} {
		_, err := p.Account(t.Context(), token)
		if wantCode(t, err, domain.Unauthenticated, ""); token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error repeats the token", name)
		}
		wantCode(t, p.Logout(t.Context(), token), domain.Unauthenticated, "")
	}
	for name, token := range map[string]string{
		"an unknown session":     sign(jwt.SigningMethodHS256, key, set("session_id", uuid.NewString())),
		"an unknown user":        sign(jwt.SigningMethodHS256, key, set("sub", uuid.NewString())),
		"the session of another": sign(jwt.SigningMethodHS256, key, set("session_id", other.ID)),
	} {
		if _, err := p.Account(t.Context(), token); domain.KindOf(err) != domain.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claimsOf(t, s.AccessToken)))
	critical.Header["crit"] = []string{"b64"}
	text, err := critical.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Account(t.Context(), text)
	wantCode(t, err, domain.Unauthenticated, "")
}

func TestMailsAreNotSent(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.register(t, address)
	for _, email := range []string{address, "nobody@example.com"} {
		if err := p.ResendVerification(t.Context(), email); err != nil {
			t.Errorf("ResendVerification: %v", err)
		}
		wantCode(t, p.Recover(t.Context(), email), domain.Unavailable, "")
	}
	wantCode(t, p.ResendVerification(t.Context(), "ada"), domain.BadRequest, "")
	wantCode(t, p.Recover(t.Context(), "ada"), domain.BadRequest, "")
}

// What the stores report reaches the caller as it is, and never as a verdict about credentials.
func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("away", nil)
	p := start(t)
	s := p.register(t, address)
	for name, c := range map[string]struct {
		fail func()
		call func() error
	}{
		"Register, the account": {func() { p.accounts.FailNext("Create", away) }, func() error {
			_, _, err := p.Register(t.Context(), "bob@example.com", password)
			return err
		}},
		"Login, the account": {func() { p.accounts.FailNext("ByEmail", away) }, func() error {
			_, err := p.Login(t.Context(), address, password)
			return err
		}},
		"Login, the session": {func() { p.sessions.FailNext("Open", away) }, func() error {
			_, err := p.Login(t.Context(), address, password)
			return err
		}},
		"Refresh, the session": {func() { p.sessions.FailNext("Renew", away) }, func() error {
			_, err := p.Refresh(t.Context(), s.RefreshToken)
			return err
		}},
		"Refresh, the account": {func() { p.accounts.FailNext("Get", away) }, func() error {
			_, err := p.Refresh(t.Context(), s.RefreshToken)
			return err
		}},
		"Logout":               {func() { p.sessions.FailNext("End", away) }, func() error { return p.Logout(t.Context(), s.AccessToken) }},
		"Account, the session": {func() { p.sessions.FailNext("Get", away) }, func() error { _, err := p.Account(t.Context(), s.AccessToken); return err }},
		"Account, the account": {func() { p.accounts.FailNext("Get", away) }, func() error { _, err := p.Account(t.Context(), s.AccessToken); return err }},
	} {
		c.fail()
		if err := c.call(); !errors.Is(err, away) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := p.Account(t.Context(), s.AccessToken); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// TestAnAccountThatIsThereIsAnswered: whoever was told that it failed would try again, and be refused the address.
func TestAnAccountThatIsThereIsAnswered(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.sessions.FailNext("Open", domain.MissingPart("away", nil))
	account, session, err := p.Register(t.Context(), "eve@example.com", password)
	if err != nil || session != nil || account.Email != "eve@example.com" {
		t.Errorf("without a session: %+v, %+v, %v", account, session, err)
	}
	if _, err := p.Login(t.Context(), "eve@example.com", password); err != nil {
		t.Errorf("an account whose first session failed: %v", err)
	}

	ctx, leave := context.WithCancel(t.Context())
	p.restart(t, func(c *localauth.Config) { c.Accounts = leavingAccounts{c.Accounts, leave} })
	if _, session, err = p.Register(ctx, "bob@example.com", password); err != nil || session == nil {
		t.Errorf("the caller has left when it was stored: %+v, %v", session, err)
	}
	if _, _, err = p.Register(ctx, "carol@example.com", password); domain.KindOf(err) != domain.Canceled {
		t.Errorf("the caller had left before: %v", err)
	}
}

// leavingAccounts is a store whose callers leave when an account is stored.
type leavingAccounts struct {
	ports.AccountStore
	leave func()
}

func (s leavingAccounts) Create(ctx context.Context, a domain.StoredAccount) error {
	err := s.AccountStore.Create(ctx, a)
	s.leave()
	return err
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	p := start(t)
	s, other := p.register(t, address), p.register(t, "bob@example.com")
	const next = "N3w-password"
	wantCode(t, p.SetPassword(t.Context(), "nobody@example.com", next), domain.NotFound, "")
	wantCode(t, p.SetPassword(t.Context(), address, "short"), domain.BadRequest, domain.CodeWeakPassword)
	if err := p.SetPassword(t.Context(), strings.ToUpper(address), next); err != nil {
		t.Fatal(err)
	}
	_, err := p.Login(t.Context(), address, password)
	wantCode(t, err, domain.BadRequest, domain.CodeBadCredentials)
	_, err = p.Account(t.Context(), s.AccessToken)
	wantCode(t, err, domain.Unauthenticated, domain.CodeSessionEnded)
	_, err = p.Refresh(t.Context(), s.RefreshToken)
	wantCode(t, err, domain.BadRequest, domain.CodeBadRefreshToken)
	if _, err := p.Login(t.Context(), address, next); err != nil {
		t.Errorf("the new password: %v", err)
	}
	p.refresh(t, other.RefreshToken)
	for _, fail := range []func(){
		func() { p.accounts.FailNext("ByEmail", errAway) }, func() { p.accounts.FailNext("SetPasswordHash", errAway) }, func() { p.sessions.FailNext("EndAll", errAway) },
	} {
		fail()
		if err := p.SetPassword(t.Context(), address, next); !errors.Is(err, errAway) {
			t.Errorf("got %v", err)
		}
	}
}

var errAway = domain.MissingPart("away", nil)
