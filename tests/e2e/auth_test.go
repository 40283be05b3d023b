package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/tests/gaiatest"
	"gaia/tests/gotrue"
)

const (
	anonKey      = "anon-key-of-a-test"
	userEmail    = "Ada@example.com"
	userPassword = "Corr3ct-horse-battery" //nolint:gosec // of an account that lives as long as a test
)

// supabase starts a stand-in for Supabase Auth behind its gateway, and returns the settings of a server that asks it.
func supabase(t *testing.T, s gotrue.Settings) (*gotrue.Server, gaiatest.Settings) {
	t.Helper()
	s.Prefix, s.AnonKey = "/auth/v1", anonKey
	settings := gaiatest.Settings{"SUPABASE_ANON_KEY": anonKey, "SUPABASE_JWT_SECRET": ""}
	if s.Alg == "" || s.Alg == "HS256" {
		s.Secret = gaiatest.JWTSecret
		settings["SUPABASE_JWT_SECRET"] = s.Secret
	}
	server := gotrue.New(s)
	t.Cleanup(server.Close)
	settings["SUPABASE_URL"] = server.URL()
	return server, settings
}

func credentials(email, password string) map[string]any {
	return map[string]any{"email": email, "password": password}
}

// bearer is a client with an access token.
func bearer(server *gaiatest.Server, token string) *gaiatest.Client {
	return server.Anonymous().With("Authorization", "Bearer "+token)
}

func signUp(server *gaiatest.Server, email string) (access, refresh, userID string) {
	r := server.Anonymous().Post("/api/v1/auth/register", credentials(email, userPassword)).Want(http.StatusOK).JSON()
	return r.Text("session", "access_token"), r.Text("session", "refresh_token"), r.Text("user", "id")
}

// TestSigningInAndOut is the life of an account.
func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		_, settings := supabase(t, gotrue.Settings{})
		lifeOfAnAccount(t, b.Start(t, settings))
	})
}

// TestSigningInWithPublishedKeys is the same where Supabase signs with keys of its own.
func TestSigningInWithPublishedKeys(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			_, settings := supabase(t, gotrue.Settings{Alg: alg})
			lifeOfAnAccount(t, gaiatest.Start(t, settings))
		})
	}
}

// TestShapesOfAccounts: clients find every field that the old platform's library wrote, also the empty ones.
func TestShapesOfAccounts(t *testing.T) {
	t.Parallel()
	_, settings := supabase(t, gotrue.Settings{})
	answer := gaiatest.Start(t, settings).Anonymous().Post("/api/v1/auth/register", credentials(userEmail, userPassword)).Want(http.StatusOK).JSON()
	for _, c := range []struct {
		at   []any
		want string
	}{
		{nil, "session user"},
		{[]any{"session"}, "access_token expires_at expires_in provider_refresh_token provider_token refresh_token token_type user"},
		{[]any{"user"}, fieldsOfUser},
		{[]any{"session", "user"}, fieldsOfUser},
		{[]any{"user", "identities", 0}, "created_at id identity_data identity_id last_sign_in_at provider updated_at user_id"},
	} {
		object, _ := answer.At(c.at...).(map[string]any)
		if got := strings.Join(slices.Sorted(maps.Keys(object)), " "); got != c.want {
			t.Errorf("%v has %s\nwant %s", c.at, got, c.want)
		}
	}
	for _, when := range []string{"created_at", "updated_at", "last_sign_in_at", "email_confirmed_at"} {
		if at := answer.Text("user", when); !strings.HasSuffix(at, "Z") {
			t.Errorf("%s is %s", when, at)
		}
	}
	expires := answer.Number("session", "expires_at")
	if wait := time.Until(time.Unix(int64(expires), 0)); wait < 50*time.Minute || wait > time.Hour || answer.Number("session", "expires_in") != 3600 {
		t.Errorf("expires at %v", expires)
	}
}

const fieldsOfUser = "action_link app_metadata aud confirmation_sent_at confirmed_at created_at email email_change_sent_at email_confirmed_at factors id " +
	"identities invited_at is_anonymous last_sign_in_at new_email new_phone phone phone_confirmed_at recovery_sent_at role updated_at user_metadata"

func lifeOfAnAccount(t *testing.T, server *gaiatest.Server) {
	t.Helper()
	anybody := server.Anonymous()
	access, refresh, id := signUp(server, userEmail)
	if got := bearer(server, access).Get("/api/v1/auth/user").Want(http.StatusOK).JSON().Text("user", "id"); got != id {
		t.Errorf("the user is %s, want %s", got, id)
	}
	bearer(server, access).Post("/api/v1/chat", message("Hello")).Want(http.StatusOK)
	wantValid(t, server, map[string]any{"token": access}, true, "jwt", id)
	wantValid(t, server, map[string]any{"token": access + "x", "api_key": gaiatest.APIKey}, true, "api_key", nil)
	wantValid(t, server, map[string]any{"token": access + "x"}, false, "none", nil)

	other := anybody.Post("/api/v1/auth/login", credentials(strings.ToUpper(userEmail), userPassword)).Want(http.StatusOK)
	if got := other.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of tokens is %q", got)
	}
	otherAccess := other.JSON().Text("session", "access_token")
	next := anybody.Post("/api/v1/auth/refresh", map[string]any{"refresh_token": refresh}).Want(http.StatusOK).JSON()
	if next.Text("user", "id") != id || next.Text("session", "refresh_token") == refresh {
		t.Error("the renewed session is of somebody else, or has the old refresh token")
	}
	nextAccess := next.Text("session", "access_token")

	bearer(server, nextAccess).Post("/api/v1/auth/logout", nil).Want(http.StatusOK)
	for _, token := range []string{access, nextAccess} { // both are of the session that has ended
		bearer(server, token).Get("/api/v1/auth/user").Want(http.StatusUnauthorized)
		bearer(server, token).Get("/api/v1/chat/status").Want(http.StatusUnauthorized)
		wantValid(t, server, map[string]any{"token": token}, false, "none", nil)
	}
	bearer(server, otherAccess).Get("/api/v1/auth/user").Want(http.StatusOK)
	anybody.Post("/api/v1/auth/refresh", map[string]any{"refresh_token": next.Text("session", "refresh_token")}).Want(http.StatusBadRequest)
	for _, route := range []string{"recover", "resend-verification"} {
		known := anybody.Post("/api/v1/auth/"+route, map[string]any{"email": userEmail}).Want(http.StatusOK)
		unknown := anybody.Post("/api/v1/auth/"+route, map[string]any{"email": "nobody@example.com"}).Want(http.StatusOK)
		if !bytes.Equal(known.Body, unknown.Body) {
			t.Errorf("%s tells who has an account: %s, %s", route, known.Body, unknown.Body)
		}
	}
}

func wantValid(t *testing.T, server *gaiatest.Server, body map[string]any, valid bool, authType string, userID any) {
	t.Helper()
	got := server.Anonymous().Post("/api/v1/auth/validate", body).Want(http.StatusOK).JSON()
	if got.At("valid") != valid || got.At("auth_type") != authType || got.At("user_id") != userID || (got.At("error") == nil) != valid {
		t.Errorf("validate: %v, want %t, %s of %v", got.Fields, valid, authType, userID)
	}
}

// TestKeysHaveNoSession: with a key nobody's session can be seen or ended.
func TestKeysHaveNoSession(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{})
	server := gaiatest.Start(t, settings)
	if got := server.Anonymous().Get("/health").Want(http.StatusOK).JSON().Text("supabase", "status"); got != "healthy" {
		t.Errorf("the identity provider is %s", got)
	}
	access, _, _ := signUp(server, userEmail)
	for _, c := range []*gaiatest.Client{server.Client(), server.Anonymous(), server.Anonymous().With("Authorization", "Bearer "+gaiatest.APIKey)} {
		c.Post("/api/v1/auth/logout", nil).Want(http.StatusUnauthorized)
		c.Get("/api/v1/auth/user").Want(http.StatusUnauthorized)
	}
	bearer(server, access).Get("/api/v1/auth/user").Want(http.StatusOK)
	for _, r := range provider.Requests() {
		if strings.Contains(r.Path, "logout") {
			t.Errorf("%s reached the identity provider", r.Path)
		}
	}
}

// TestRefusalsReadTheSame: nobody learns from a refusal whether somebody has an account.
func TestRefusalsReadTheSame(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{HashTime: 50 * time.Millisecond})
	server := gaiatest.Start(t, settings)
	signUp(server, userEmail)
	signUp(server, "banned@example.com")
	provider.Ban("banned@example.com")
	refusal := func(path, email, password string) string {
		r := server.Anonymous().Post(path, credentials(email, password)).Want(http.StatusBadRequest).JSON()
		return r.Text("detail")
	}
	const login, register = "/api/v1/auth/login", "/api/v1/auth/register"
	wrong := refusal(login, userEmail, "wrong-password")
	for name, got := range map[string]string{
		"unknown": refusal(login, "nobody@example.com", userPassword), "suspended": refusal(login, "banned@example.com", userPassword),
		"too long": refusal(login, userEmail, strings.Repeat("x", 1024)), "in lower case": refusal(login, userEmail, strings.ToLower(userPassword)),
	} {
		if got != wrong {
			t.Errorf("%s reads %q, a wrong password %q", name, got, wrong)
		}
	}
	if taken, long := refusal(register, userEmail, userPassword), refusal(register, "new@example.com", strings.Repeat("x", 73)); taken != long {
		t.Errorf("a taken address reads %q, a password that is too long %q", taken, long)
	}
	if weak := refusal(register, "new@example.com", "abc"); !strings.Contains(weak, "weak") {
		t.Errorf("a weak password reads %q", weak)
	}
}

// TestUnconfirmedAddress has no session until the address is confirmed.
func TestUnconfirmedAddress(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{Confirm: true})
	server := gaiatest.Start(t, settings)
	anybody := server.Anonymous()
	first := anybody.Post("/api/v1/auth/register", credentials(userEmail, userPassword)).Want(http.StatusOK).JSON()
	if first.At("session") != nil {
		t.Errorf("the session is %v", first.At("session"))
	}
	anybody.Post("/api/v1/auth/login", credentials(userEmail, userPassword)).Want(http.StatusBadRequest)
	provider.Confirm(strings.ToLower(userEmail))
	anybody.Post("/api/v1/auth/login", credentials(userEmail, userPassword)).Want(http.StatusOK)
	again := anybody.Post("/api/v1/auth/register", credentials(userEmail, userPassword)).Want(http.StatusOK).JSON()
	if again.At("session") != nil {
		t.Error("somebody else's account gives a session")
	}
	for _, answer := range []map[string]any{first.Fields, again.Fields} {
		user := answer["user"].(map[string]any)
		for _, changing := range []string{"id", "created_at", "updated_at", "confirmation_sent_at"} {
			delete(user, changing)
		}
	}
	if a, b := text(t, first.Fields), text(t, again.Fields); a != b {
		t.Errorf("a new account\n%s\nis not like one that is there\n%s", a, b)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOnlyWhatIsNeededReachesTheProvider: no header of a client but its token, and its address only as far as it is known for certain.
func TestOnlyWhatIsNeededReachesTheProvider(t *testing.T) {
	t.Parallel()
	forged := http.Header{
		"X-Jwt-Aud": {"other-app"}, "X-Supabase-Api-Version": {"2020-01-01"}, "Apikey": {"of the client"}, "Cookie": {"sb=1"},
		"X-Forwarded-For": {"203.0.113.7"}, "X-Client-Info": {"supabase-js"}, "X-Api-Key": {"nope"}, "User-Agent": {"somebody"},
	}
	for name, c := range map[string]struct{ trusted, address string }{
		"from anywhere":        {"", "127.0.0.1"},
		"from a trusted proxy": {"127.0.0.1", "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider, settings := supabase(t, gotrue.Settings{})
			server := gaiatest.Start(t, settings, gaiatest.Settings{"TRUSTED_PROXIES": c.trusted})
			anybody := server.Anonymous()
			r := anybody.Do(gaiatest.Request{Method: "POST", Path: "/api/v1/auth/register", Header: forged, Body: credentials(userEmail, userPassword)}).Want(http.StatusOK).JSON()
			header := maps.Clone(forged)
			header["Authorization"] = []string{"Bearer " + r.Text("session", "access_token")}
			anybody.Do(gaiatest.Request{Method: "GET", Path: "/api/v1/auth/user", Header: header}).Want(http.StatusOK)
			anybody.Do(gaiatest.Request{Method: "POST", Path: "/api/v1/auth/logout", Header: header}).Want(http.StatusOK)
			for _, sent := range provider.Requests() {
				if strings.HasSuffix(sent.Path, "/jwks.json") {
					continue
				}
				names := slices.Sorted(maps.Keys(sent.Header))
				for _, name := range names {
					switch value := strings.Join(sent.Header[name], ","); name {
					case "X-Forwarded-For":
						if value != c.address {
							t.Errorf("%s: %s is %q, want %q", sent.Path, name, value, c.address)
						}
					case "Apikey":
						if value != anonKey {
							t.Errorf("%s: %s is %q", sent.Path, name, value)
						}
					case "User-Agent", "X-Supabase-Api-Version":
						if value != "gaia" && value != "2024-01-01" {
							t.Errorf("%s: %s is %q", sent.Path, name, value)
						}
					case "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Authorization":
					default:
						t.Errorf("%s carries %s: %s", sent.Path, name, value)
					}
				}
			}
		})
	}
}

// TestProviderThatFails: what needs it is 503 in words and soon, whatever is wrong with it; everybody else notices nothing.
func TestProviderThatFails(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{})
	server := gaiatest.Start(t, settings)
	access, refresh, id := signUp(server, userEmail)
	faults := map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>topsecret") },
		"its error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code":"XX000","message":"topsecret"}`, 500)
		},
		"half":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"access_token":"topsecret`) },
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"wrong key": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"message":"topsecret"}`, http.StatusUnauthorized)
		},
	}
	for name, fault := range faults {
		provider.Intercept(fault)
		wantAway(t, name, server, access, refresh, id)
	}
	provider.Intercept(nil)
	server.Anonymous().Post("/api/v1/auth/login", credentials(userEmail, userPassword)).Want(http.StatusOK)
	provider.Close()
	wantAway(t, "stopped", server, access, refresh, id)
	gaiatest.Eventually(t, patience, "the provider is unhealthy", func() bool { // what was found is told again for a while
		report := server.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		return report.Text("supabase", "status") == "unhealthy" && report.Text("status") == "degraded"
	})
	for what, secret := range map[string]string{
		"the password": userPassword, "an access token": access, "a refresh token": refresh, "the key": anonKey, "the provider's words": "topsecret",
	} {
		if strings.Contains(server.Output(), secret) {
			t.Errorf("%s is in the log", what)
		}
	}
}

func wantAway(t *testing.T, name string, server *gaiatest.Server, access, refresh, id string) {
	t.Helper()
	anybody, user := server.Anonymous(), bearer(server, access)
	for _, r := range []gaiatest.Response{
		anybody.Post("/api/v1/auth/login", credentials(userEmail, userPassword)),
		anybody.Post("/api/v1/auth/register", credentials("new@example.com", userPassword)),
		anybody.Post("/api/v1/auth/refresh", map[string]any{"refresh_token": refresh}),
		anybody.Post("/api/v1/auth/recover", map[string]any{"email": userEmail}),
		anybody.Post("/api/v1/auth/resend-verification", map[string]any{"email": userEmail}),
		user.Get("/api/v1/auth/user"),
		user.Post("/api/v1/auth/logout", nil),
	} {
		if r.Status != http.StatusServiceUnavailable || strings.Contains(string(r.Body), "topsecret") {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	wantValid(t, server, map[string]any{"token": access}, true, "jwt", id)
	user.Get("/api/v1/chat/status").Want(http.StatusOK)
	server.Client().Get("/api/v1/chat/status").Want(http.StatusOK)
}

// TestSlowProvider: who leaves is let go, and the process stops in time although calls hang.
func TestSlowProvider(t *testing.T) {
	t.Parallel()
	provider, settings := supabase(t, gotrue.Settings{})
	server := gaiatest.Start(t, settings)
	reached := make(chan struct{}, 8)
	provider.Intercept(func(_ http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		<-r.Context().Done()
		reached <- struct{}{}
	})
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL()+"/api/v1/auth/login",
		strings.NewReader(`{"email":"ada@example.com","password":"Corr3ct-horse"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(request); err == nil { //nolint:bodyclose // closed below
			_ = resp.Body.Close()
		}
	}()
	<-reached
	leave()
	<-done
	select {
	case <-reached: // the provider was hung up on
	case <-time.After(5 * time.Second):
		t.Error("the call to the provider goes on without anybody who waits for it")
	}
}

// TestLimitOfTheProviderIsPassedOn with the time to wait.
func TestLimitOfTheProviderIsPassedOn(t *testing.T) {
	t.Parallel()
	_, settings := supabase(t, gotrue.Settings{Burst: 2})
	server := gaiatest.Start(t, settings)
	login := func() gaiatest.Response {
		return server.Anonymous().Post("/api/v1/auth/login", credentials(userEmail, "wrong-password"))
	}
	login().Want(http.StatusBadRequest)
	login().Want(http.StatusBadRequest)
	r := login().Want(http.StatusTooManyRequests)
	if r.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", r.Header)
	}
}
