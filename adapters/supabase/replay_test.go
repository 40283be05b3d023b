package supabase_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/supabase"
	"gaia/domain"
	"gaia/tests/gotrue"
)

const golden = "testdata/replay.golden"

// TestRecordedExchanges throws every answer that was recorded from the real server at the call that it belongs to. Answers to calls that
// Gaia never makes are thrown at the one that looks most like them: they must still become the right kind of error. What comes of each is
// a line of the golden file.
func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	var lines []string
	compared := 0
	for _, e := range gotrue.Exchanges() {
		outcome, same := replay(t, e)
		if same {
			compared++
		}
		lines = append(lines, e.Name+": "+outcome)
	}
	if len(lines) != 286 {
		t.Errorf("%d exchanges, want 286", len(lines))
	}
	if compared < 100 { // the rest sends what Gaia never would
		t.Errorf("only %d requests are the recorded ones", compared)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(wantLines) || wantLines[i] != line {
			t.Errorf("line %d: got %s", i+1, line)
		}
	}
}

// replay returns what the adapter makes of a recorded answer, and whether it sent the recorded request.
func replay(t *testing.T, e gotrue.Exchange) (outcome string, same bool) {
	t.Helper()
	var mu sync.Mutex
	var sent *gotrue.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		sent = &gotrue.Request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header, Body: body}
		mu.Unlock()
		write(w, e)
	}))
	defer server.Close()
	a, err := supabase.New(supabase.Config{URL: server.URL, Path: "/", AnonKey: "anon", RefusalTime: time.Microsecond, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ours, outcome := operate(t.Context(), a, e)
	mu.Lock()
	defer mu.Unlock()
	if sent == nil {
		t.Fatalf("%s: nothing was sent", e.Name)
	}
	for _, text := range []string{"<", "Corr3ct", "users_email", "SQL", "cannot unmarshal", "claim"} {
		if strings.Contains(outcome, text) {
			t.Errorf("%s: the outcome holds %q: %s", e.Name, text, outcome)
		}
	}
	return outcome, ours && checkSent(t, e, *sent)
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// write sends a recorded answer with the same value for every placeholder of a kind.
func write(w http.ResponseWriter, e gotrue.Exchange) {
	for name, value := range e.ResponseHeaders {
		if value == "<uuid>" {
			value = aUUID
		}
		w.Header().Set(name, value)
	}
	w.WriteHeader(e.Status)
	switch body := gotrue.Fill(e.Body, placeholder).(type) {
	case nil:
	case string:
		_, _ = io.WriteString(w, body)
	default:
		_ = json.NewEncoder(w).Encode(body)
	}
}

const (
	aUUID = "3f8b6a0c-1d4e-4f1b-9c39-6d1a2b3c4d5e"
	aTime = "2026-03-14T10:30:00.123456789+01:00"
)

func placeholder(key, kind string) any {
	switch {
	case kind == "<uuid>":
		return aUUID
	case key == "expires_at":
		return 1773484200
	case kind == "<timestamp>":
		return aTime
	case kind == "<jwt>":
		return "header.payload.signature"
	default:
		return "abcdefghijkl"
	}
}

// operate makes the call that an exchange belongs to, with what it sent, and says in a line what came of it. ours tells whether Gaia
// makes such calls.
func operate(ctx context.Context, a *supabase.Accounts, e gotrue.Exchange) (ours bool, outcome string) {
	sent, _ := e.Request.(map[string]any)
	field := func(name string) string { s, _ := sent[name].(string); return s }
	_, token, _ := strings.Cut(e.Headers["Authorization"], " ")
	path, query, _ := strings.Cut(e.Path, "?")
	switch call := e.Method + " " + path; {
	case call == "POST /signup":
		account, session, err := a.Register(ctx, field("email"), field("password"))
		if session != nil {
			return true, sessionLine(*session, err)
		}
		return true, accountLine(account, err)
	case call == "POST /token" && query == "grant_type=password":
		session, err := a.Login(ctx, field("email"), field("password"))
		return true, sessionLine(session, err)
	case call == "POST /token" && query == "grant_type=refresh_token":
		session, err := a.Refresh(ctx, field("refresh_token"))
		return true, sessionLine(session, err)
	case call == "POST /logout":
		return true, plainLine(a.Logout(ctx, token))
	case call == "POST /recover":
		return true, plainLine(a.Recover(ctx, field("email")))
	case call == "POST /resend":
		return true, plainLine(a.ResendVerification(ctx, field("email")))
	case e.Status >= 400 && e.Headers["Authorization"] == "" && e.Method == http.MethodPost:
		_, err := a.Login(ctx, field("email"), field("password"))
		return false, plainLine(err)
	default:
		account, err := a.Account(ctx, token)
		return call == "GET /user", accountLine(account, err)
	}
}

func plainLine(err error) string {
	if err == nil {
		return "ok"
	}
	e, ok := err.(*domain.Error) //nolint:errorlint // that is what clients get to see
	if !ok {
		return fmt.Sprintf("unclassified %T", err)
	}
	line := fmt.Sprintf("%d %s %q", e.Kind, domain.FailureOf(e), e.Message)
	if e.RetryAfter > 0 {
		line += " after " + e.RetryAfter.String()
	}
	return line
}

func accountLine(a domain.Account, err error) string {
	if err != nil {
		return plainLine(err)
	}
	line := fmt.Sprintf("account %s aud=%q role=%q phone=%q app=%v user=%v identities=%d", a.Email, a.Audience, a.Role, a.Phone,
		keysOf(a.AppMetadata), keysOf(a.UserMetadata), len(a.Identities))
	if !a.EmailConfirmedAt.IsZero() {
		line += " confirmed"
	}
	if a.Anonymous {
		line += " anonymous"
	}
	return line
}

func sessionLine(s domain.AccountSession, err error) string {
	if err != nil {
		return plainLine(err)
	}
	return fmt.Sprintf("session %s for %d s until %d, tokens of %d and %d bytes, %s", s.ID, s.ExpiresIn, s.ExpiresAt.Unix(), len(s.AccessToken),
		len(s.RefreshToken), accountLine(s.Account, nil))
}

func keysOf(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// checkSent compares what was sent with the recorded request, as far as Gaia would send it: with its own headers, and in JSON with the
// fields that it knows.
func checkSent(t *testing.T, e gotrue.Exchange, sent gotrue.Request) bool {
	t.Helper()
	path, _, _ := strings.Cut(e.Path, "?")
	if path == "/logout" && e.Path != "/logout?scope=local" {
		e.Path = "/logout?scope=local" // the only scope that Gaia uses
	}
	if path == "/recover" || path == "/user" {
		e.Path = path // Gaia knows no redirects, and sends no token there
	}
	if sent.Method != e.Method || sent.Path != e.Path {
		t.Errorf("%s: sent %s %s, recorded %s %s", e.Name, sent.Method, sent.Path, e.Method, e.Path)
	}
	if token := e.Headers["Authorization"]; strings.HasPrefix(token, "Bearer ") && e.Headers["apikey"] == "" && sent.Header.Get("Authorization") != token {
		t.Errorf("%s: Authorization %q, recorded %q", e.Name, sent.Header.Get("Authorization"), token)
	}
	recorded, isObject := e.Request.(map[string]any)
	var body map[string]any
	if len(sent.Body) > 0 {
		if err := json.Unmarshal(sent.Body, &body); err != nil {
			t.Errorf("%s: sent no JSON: %v", e.Name, err)
		}
	}
	if e.Request != nil && !isObject {
		return false // no JSON, or no object
	}
	for name, value := range recorded {
		_, isOurs := body[name]
		if _, isText := value.(string); !isOurs || !isText || (path == "/resend" && name == "type" && value != "signup") {
			return false // fields that Gaia does not send, such as data and phone
		}
	}
	for name := range body {
		if _, ok := recorded[name]; !ok {
			return false // it left out what Gaia always sends
		}
	}
	if isObject && !reflect.DeepEqual(body, recorded) {
		t.Errorf("%s: sent %s, recorded %v", e.Name, sent.Body, recorded)
	}
	return true
}
