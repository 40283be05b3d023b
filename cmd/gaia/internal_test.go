package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/adapters/internalauth"
	"gaia/domain"
	"gaia/tests/gaiatest"
)

// The tests of this file ask the whole program on its two sides: the one of clients, and the one of other services.

const (
	innerSecret = "what the services of these tests sign with"
	innerBefore = "what the services of these tests signed with before"
)

// innerBed is a whole program with both sides.
type innerBed struct {
	t               *testing.T
	clients, others *httptest.Server
}

func newInnerBed(t *testing.T, settings ...string) *innerBed {
	t.Helper()
	dir := t.TempDir()
	c, err := loadConfig(filepath.Join(dir, "absent"), append([]string{
		"INTERNAL_ADDRESS=127.0.0.1:0", "INTERNAL_AUTH_SECRET=" + innerSecret, "INTERNAL_AUTH_SECRET_PREVIOUS=" + innerBefore,
		"SERVICE_NAME=chat", "SUPABASE_JWT_SECRET=" + gaiatest.JWTSecret, "ECHO_WORD_DELAY=0", "RATE_LIMIT_REQUESTS=0",
	}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	sys, err := wire(t.Context(), c, dir, "key", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := &innerBed{t: t, clients: httptest.NewServer(sys.handler), others: httptest.NewServer(sys.internal)}
	t.Cleanup(func() {
		b.clients.Close()
		b.others.Close()
		sys.close()
	})
	return b
}

// identity makes the header.
func identity(t *testing.T, secret, audience string, who domain.Principal, age time.Duration) string {
	t.Helper()
	s, err := internalauth.NewSigner(secret, func() time.Time { return time.Now().Add(-age) })
	if err != nil {
		t.Fatal(err)
	}
	header, err := s.Sign(domain.Forwarded{Principal: who, RequestID: "of-the-client"}, audience)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// innerAnswer is what came back.
type innerAnswer struct {
	status int
	header http.Header
	body   map[string]any
}

func (b *innerBed) ask(server *httptest.Server, method, path string, body any, header ...string) innerAnswer {
	b.t.Helper()
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, server.URL+path, content)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := innerAnswer{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		b.t.Fatalf("%s %s: %d, no JSON: %v", method, path, a.status, err)
	}
	return a
}

const (
	chatRoute = "/api/v0.2/chat"
	innerUser = "7e8f5f1e-4f0a-4a52-9f59-0d1f6f4f4d11"
)

var hello = map[string]any{"message": "Hello"}

// TestOtherServicesAreKnownByTheirSignatureAlone is the table of who is believed.
func TestOtherServicesAreKnownByTheirSignatureAlone(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	ada := domain.Principal{Type: domain.AuthJWT, UserID: innerUser}
	good := identity(t, innerSecret, "chat", ada, 0)
	token := "Bearer " + gaiatest.Token(t, innerUser)
	const header = domain.ForwardedHeader
	for name, test := range map[string]struct {
		header []string
		status int
	}{
		"a user":                   {[]string{header, good}, 200},
		"with the secret before":   {[]string{header, identity(t, innerBefore, "chat", ada, 0)}, 200},
		"with the user's token":    {[]string{header, good, "Authorization", token}, 200},
		"the global key's callers": {[]string{header, identity(t, innerSecret, "chat", domain.ServicePrincipal(), 0)}, 200},
		"a key with the scope": {[]string{header, identity(t, innerSecret, "chat", domain.Principal{
			Type: domain.AuthUserAPIKey, UserID: innerUser, KeyID: "k", Scopes: []string{"chat:write"}}, 0)}, 200},
		"a key without the scope": {[]string{header, identity(t, innerSecret, "chat", domain.Principal{
			Type: domain.AuthUserAPIKey, UserID: innerUser, KeyID: "k", Scopes: []string{"chat:read"}}, 0)}, 403},
		"nobody":                  {[]string{header, identity(t, innerSecret, "chat", domain.Principal{}, 0)}, 401},
		"nothing":                 {nil, 401},
		"a bare key":              {[]string{"X-API-Key", "key"}, 401},
		"a bare token":            {[]string{"Authorization", token}, 401},
		"a key in its place":      {[]string{header, "key"}, 401},
		"a token in its place":    {[]string{header, strings.TrimPrefix(token, "Bearer ")}, 401},
		"twice":                   {[]string{header, good, header, good}, 401},
		"foreign":                 {[]string{header, identity(t, "what somebody else signs with, long enough", "chat", ada, 0)}, 401},
		"expired":                 {[]string{header, identity(t, innerSecret, "chat", ada, 31*time.Second)}, 401},
		"from the future":         {[]string{header, identity(t, innerSecret, "chat", ada, -time.Hour)}, 401},
		"for another service":     {[]string{header, identity(t, innerSecret, "asset", ada, 0)}, 401},
		"altered":                 {[]string{header, strings.Replace(good, ".", ".A", 1)}, 401},
		"altered, and a good key": {[]string{header, strings.Replace(good, ".", ".A", 1), "X-API-Key", "key"}, 401},
		"as the old platform did": {[]string{"_auth", `{"auth_type":"api_key","key":"key"}`}, 401},
	} {
		t.Run(name, func(t *testing.T) { // at once: what is signed is good for half a minute
			a := b.ask(b.others, "POST", chatRoute, hello, test.header...)
			if a.status != test.status {
				t.Fatalf("%d %v, want %d", a.status, a.body, test.status)
			}
			if a.status == 401 && (a.header.Get("WWW-Authenticate") == "" || a.body["detail"] == "") {
				t.Errorf("%v %v", a.header, a.body)
			}
			if refused := a.header.Get(domain.RefusedHeader) != ""; refused != (a.status == 401 && name != "nobody") {
				t.Errorf("%d, and the header is marked as refused: %v", a.status, refused)
			}
			if a.status == 200 && a.header.Get("X-Request-Id") != "of-the-client" {
				t.Errorf("the request has the id %q here", a.header.Get("X-Request-Id"))
			}
		})
	}
}

// TestAnswersToOthersAreMarked: the gateway takes nothing else for an answer of a service. Clients see no mark.
func TestAnswersToOthersAreMarked(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	good := identity(t, innerSecret, "chat", domain.Principal{Type: domain.AuthJWT, UserID: innerUser}, 0)
	many := []string{domain.ForwardedHeader, good}
	for i := range 200 {
		many = append(many, fmt.Sprint("X-Field-", i), "1")
	}
	for name, test := range map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"an answer":       {"POST", chatRoute, []string{domain.ForwardedHeader, good}, 200},
		"a refusal":       {"POST", chatRoute, nil, 401},
		"no route":        {"GET", "/nowhere", []string{domain.ForwardedHeader, good}, 404},
		"no method":       {"PATCH", chatRoute, []string{domain.ForwardedHeader, good}, 405},
		"too many fields": {"POST", chatRoute, many, 431},
		"a probe":         {"GET", "/readyz", nil, 200},
		"another slash":   {"POST", chatRoute + "/", []string{domain.ForwardedHeader, good}, 0},
	} {
		a := b.ask(b.others, test.method, test.path, hello, test.header...)
		if test.status != 0 && a.status != test.status || a.header.Get(domain.AnswerHeader) == "" {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
		if a := b.ask(b.clients, test.method, test.path, hello, test.header...); a.header.Get(domain.AnswerHeader) != "" {
			t.Errorf("%s for a client: %v", name, a.header)
		}
	}
}

// TestLargeHeadsFromTheGateway: what the gateway took from a client, and what it has added, is not refused by net/http, whose answer nobody marks.
func TestLargeHeadsFromTheGateway(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	inner, err := serveInternal(config{InternalAddress: "127.0.0.1:0", MaxConnections: 10}, handler, &sockets{}, log, failed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.drain(time.Second) })
	address := inner.listener.Addr().String()
	large := strings.Repeat("x", maxHeaderBytes) + "\r\nX-Added: " + strings.Repeat("x", maxHeaderBytes)
	if status, body := raw(t, address, "GET / HTTP/1.1\r\nHost: "+address+"\r\nConnection: close\r\nX-Large: "+large+"\r\n\r\n"); status != http.StatusNoContent {
		t.Errorf("%d %s", status, body)
	}
}

// TestWhoOthersSayCallsIsWhoActs: what a user does through another service is the user's.
func TestWhoOthersSayCallsIsWhoActs(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	header := identity(t, innerSecret, "chat", domain.Principal{Type: domain.AuthJWT, UserID: innerUser}, 0)
	if a := b.ask(b.others, "POST", chatRoute, hello, domain.ForwardedHeader, header); a.status != 200 {
		t.Fatalf("%d %v", a.status, a.body)
	}
	for user, want := range map[string]float64{innerUser: 2, "0195935f-5fa5-7000-8000-3fb2f5a1f0c4": 0} {
		a := b.ask(b.clients, "GET", "/api/v0.2/chat/status", nil, "Authorization", "Bearer "+gaiatest.Token(t, user))
		if a.body["message_count"] != want {
			t.Errorf("%s: %v, want %v messages", user, a.body, want)
		}
	}
}

// TestPublicOperationsNeedASignatureToo: only probes are for everybody.
func TestPublicOperationsNeedASignatureToo(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	nobody := identity(t, innerSecret, "chat", domain.Principal{}, 0)
	for _, path := range []string{"/livez", "/readyz", "/health"} {
		if a := b.ask(b.others, "GET", path, nil); a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	credentials := map[string]any{"email": "a@example.com", "password": "wrong password"}
	if a := b.ask(b.others, "POST", "/api/v1/auth/login", credentials); a.status != 401 {
		t.Errorf("login: %d %v", a.status, a.body)
	}
	if a := b.ask(b.others, "POST", "/api/v1/auth/login", credentials, domain.ForwardedHeader, nobody); a.status == 401 || a.status == 500 {
		t.Errorf("login for nobody known: %d %v", a.status, a.body)
	}
}

func TestValidationForOtherServices(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	nobody := identity(t, innerSecret, "chat", domain.Principal{}, 0)
	token := gaiatest.Token(t, innerUser)
	for name, test := range map[string]struct {
		question any
		header   string
		status   int
		want     map[string]any
	}{
		"the global key":               {map[string]any{"api_key": "key"}, nobody, 200, map[string]any{"valid": true, "auth_type": "api_key", "user_id": nil, "owner": "service", "api_key": nil}},
		"a token":                      {map[string]any{"token": token}, nobody, 200, map[string]any{"valid": true, "auth_type": "jwt", "user_id": innerUser, "owner": innerUser, "api_key": nil}},
		"both":                         {map[string]any{"token": "bad", "api_key": "key"}, nobody, 200, map[string]any{"valid": true, "auth_type": "api_key"}},
		"a bad token":                  {map[string]any{"token": token + "x"}, nobody, 200, map[string]any{"valid": false, "error": "Not authenticated. Provide a valid JWT or API Key."}},
		"a bad key":                    {map[string]any{"api_key": "other"}, nobody, 200, map[string]any{"valid": false, "error": "Could not validate credentials"}},
		"nothing":                      {map[string]any{}, nobody, 200, map[string]any{"valid": false}},
		"the word of the old platform": {map[string]any{"auth_type": "jwt", "user_id": innerUser}, nobody, 200, map[string]any{"valid": false, "user_id": nil}},
		"no object":                    {[]string{"key"}, nobody, 400, nil},
		"huge":                         {map[string]any{"token": strings.Repeat("a", 100_000)}, nobody, 400, nil},
		"no signature":                 {map[string]any{"api_key": "key"}, "", 401, nil},
		"for another service":          {map[string]any{"api_key": "key"}, identity(t, innerSecret, "asset", domain.Principal{}, 0), 401, nil},
	} {
		a := b.ask(b.others, "POST", "/internal/validate", test.question, domain.ForwardedHeader, test.header)
		if a.status != test.status {
			t.Errorf("%s: %d %v, want %d", name, a.status, a.body, test.status)
		}
		for key, want := range test.want {
			if got, there := a.body[key]; !there || got != want {
				t.Errorf("%s: %s is %v in %v, want %v", name, key, got, a.body, want)
			}
		}
		if text := fmt.Sprint(a.body); strings.Contains(text, token) {
			t.Errorf("%s: the answer tells a credential: %s", name, text)
		}
	}
	const ends = "2999-01-01T00:00:00Z"
	made := b.ask(b.clients, "POST", "/api/v1/auth/api-keys", map[string]any{"name": "n", "expires_at": ends}, "X-API-Key", "key")
	a := b.ask(b.others, "POST", "/internal/validate", map[string]any{"api_key": made.body["api_key"]}, domain.ForwardedHeader, nobody)
	if a.status != 200 || a.body["auth_type"] != "user_api_key" || a.body["key_expires_at"] != ends {
		t.Errorf("a key that expires: %d %v", a.status, a.body)
	}
	if tools, there := a.body["tools"]; !there || tools != nil {
		t.Errorf("a key without a list of tools: %v", a.body)
	}
	for _, tools := range [][]any{{}, {"files/*"}} {
		made := b.ask(b.clients, "POST", "/api/v1/auth/api-keys", map[string]any{"name": "n", "tools": tools}, "X-API-Key", "key")
		a := b.ask(b.others, "POST", "/internal/validate", map[string]any{"api_key": made.body["api_key"]}, domain.ForwardedHeader, nobody)
		if !reflect.DeepEqual(a.body["tools"], tools) {
			t.Errorf("a key with the tools %v: %d %v", tools, a.status, a.body)
		}
	}
}

// TestClientsCannotSpeakAsServices: the header and _auth mean nothing on the side of clients.
func TestClientsCannotSpeakAsServices(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	good := identity(t, innerSecret, "chat", domain.Principal{Type: domain.AuthJWT, UserID: innerUser}, 0)
	if a := b.ask(b.clients, "POST", chatRoute, hello, domain.ForwardedHeader, good); a.status != 401 {
		t.Errorf("the header alone: %d %v", a.status, a.body)
	}
	other := "0195935f-5fa5-7000-8000-3fb2f5a1f0c4"
	token := "Bearer " + gaiatest.Token(t, other)
	for _, auth := range []any{
		map[string]any{"auth_type": "jwt", "user_id": innerUser}, map[string]any{"auth_type": "api_key", "key": "key"}, "service", nil,
	} {
		body := map[string]any{"message": "Hello", "_auth": auth}
		if a := b.ask(b.clients, "POST", chatRoute, body); a.status != 401 {
			t.Errorf("_auth alone: %d %v", a.status, a.body)
		}
		if a := b.ask(b.clients, "POST", chatRoute, body, domain.ForwardedHeader, good, "Authorization", token); a.status != 200 {
			t.Errorf("with a token: %d %v", a.status, a.body)
		}
	}
	for user, want := range map[string]float64{innerUser: 0, other: 8} {
		a := b.ask(b.clients, "GET", "/api/v0.2/chat/status", nil, "Authorization", "Bearer "+gaiatest.Token(t, user))
		if a.body["message_count"] != want {
			t.Errorf("%s has %v messages, want %v", user, a.body["message_count"], want)
		}
	}
}

// TestInternalPathsAreNowhereForClients writes requests by hand, as no client library would.
func TestInternalPathsAreNowhereForClients(t *testing.T) {
	t.Parallel()
	b := newInnerBed(t)
	good := identity(t, innerSecret, "chat", domain.ServicePrincipal(), 0)
	address := b.clients.Listener.Addr().String()
	for _, target := range []string{
		"/internal/validate", "/internal", "/internal/", "/internal/validate/", "//internal/validate", "///internal//validate", "/./internal/validate",
		"/api/../internal/validate", "/api/v1/..%2f..%2finternal/validate", "/%2e/internal/validate", "/%2e%2e/internal/validate",
		"/internal%2fvalidate", "/internal%2Fvalidate", "/%2finternal/validate", "/%69nternal/validate", "/%2569nternal/validate",
		"/%252569nternal/validate", "/INTERNAL/validate", "/Internal/Validate", "/internal;a=b/validate", "/internal/validate;a", "/internal%5cvalidate",
		`/\internal/validate`, "/internal/validate?x=1", "/internal/validate%00", "/%20internal/validate", "/internal%20/validate",
		"http://" + address + "/internal/validate", "http://other/internal/validate", "http://" + address + "//internal/validate",
		"/internal/validate/../validate", "/internal/anything", "/livez/../internal/validate",
	} {
		for _, method := range []string{"POST", "GET"} {
			status, body := raw(t, address, method+" "+target+" HTTP/1.1\r\nHost: "+address+"\r\nX-API-Key: key\r\n"+domain.ForwardedHeader+": "+good+
				"\r\nContent-Type: application/json\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"api_key\":\"key\"}")
			var failure struct {
				Detail    string `json:"detail"`
				Status    int    `json:"status_code"`
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &failure); status != 404 || err != nil || failure.Detail != "Not Found" || failure.Status != 404 || failure.RequestID == "" {
				t.Errorf("%s %s: %d %s", method, target, status, body)
			}
		}
	}
}

// raw sends bytes and reads one answer.
func raw(t *testing.T, address, request string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestInternalSettings(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdef0123456789abcdef"
	for name, test := range map[string]struct {
		settings []string
		fault    string
	}{
		"none":             {nil, ""},
		"a secret alone":   {[]string{"INTERNAL_AUTH_SECRET=" + long}, ""},
		"all":              {[]string{"INTERNAL_ADDRESS=127.0.0.1:0", "INTERNAL_AUTH_SECRET=" + long, "INTERNAL_AUTH_SECRET_PREVIOUS=" + long}, ""},
		"no secret":        {[]string{"INTERNAL_ADDRESS=127.0.0.1:0"}, "INTERNAL_AUTH_SECRET: must be set"},
		"only one before":  {[]string{"INTERNAL_AUTH_SECRET_PREVIOUS=" + long}, "INTERNAL_AUTH_SECRET: must be set"},
		"a short secret":   {[]string{"INTERNAL_AUTH_SECRET=short"}, "INTERNAL_AUTH_SECRET: shorter"},
		"a short previous": {[]string{"INTERNAL_AUTH_SECRET=" + long, "INTERNAL_AUTH_SECRET_PREVIOUS=short"}, "INTERNAL_AUTH_SECRET_PREVIOUS: shorter"},
		"no port":          {[]string{"INTERNAL_ADDRESS=localhost", "INTERNAL_AUTH_SECRET=" + long}, "INTERNAL_ADDRESS: not host:port"},
	} {
		_, err := loadConfig(filepath.Join(t.TempDir(), "absent"), test.settings)
		if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) || err != nil && strings.Contains(err.Error(), "short\n") {
			t.Errorf("%s: %v, want %q", name, err, test.fault)
		}
	}
}

func TestInternalAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := config{InternalAddress: taken.Addr().String()}
	log, failed := slog.New(slog.DiscardHandler), make(chan error, 1)
	if s, err := serveInternal(c, http.NotFoundHandler(), &sockets{}, log, failed); s != nil || err == nil || !strings.Contains(err.Error(), "INTERNAL_ADDRESS") {
		t.Errorf("got %v, %v", s, err)
	}
	if s, err := serveInternal(c, nil, &sockets{}, log, failed); s != nil || err != nil {
		t.Errorf("where nobody is to be answered: %v, %v", s, err)
	}
}

// TestBothServersAreDrained: an answer to another service is waited for as one to a client is.
func TestBothServersAreDrained(t *testing.T) {
	t.Parallel()
	log, failed := slog.New(slog.DiscardHandler), make(chan error, 1)
	begun, finish := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // serveInternal takes it again
	inner, err := serveInternal(config{InternalAddress: address, MaxConnections: 10}, handler, &sockets{}, log, failed)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + address)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		answer <- string(data)
	}()
	select {
	case <-begun:
	case got := <-answer:
		t.Fatalf("the request did not arrive: %s", got)
	}
	drained := make(chan bool, 1)
	go func() { drained <- drainAll(10*time.Second, nil, inner) }()
	select {
	case <-drained:
		t.Fatal("drained while an answer runs")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if got := <-answer; got != "whole" || !<-drained {
		t.Errorf("the answer is %q", got)
	}
	select {
	case err := <-failed:
		t.Errorf("a drained server failed: %v", err)
	default:
	}
}
