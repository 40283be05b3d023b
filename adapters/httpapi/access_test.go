package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"gaia/adapters/gcra"
	"gaia/adapters/httpapi/internal/intake"
	"gaia/app"
	"gaia/domain"
)

// guarded puts an operation behind identify, limitRate and authorize.
func guarded(e *testEdge, op *intake.Operation, limits *app.Limits) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(principalFrom(r.Context()).OwnerID()))
	})
	trusted := proxies{netip.MustParsePrefix("192.0.2.1/32")}
	e.router.Method(op.Method, op.Path,
		identify(op, judgeCarefully(known, limits, gate{}, trusted))(limitRate(op, limits, trusted, e.errs.writeError)(authorize(op, e.errs.writeError)(h))))
}

// unlimited limits nothing.
func unlimited() *app.Limits { return app.NewLimits(nil, app.LimitsConfig{}, time.Now) }

// limited counts in memory, at a time that stands still.
func limited(c app.LimitsConfig) *app.Limits {
	now := func() time.Time { return time.Unix(1_800_000_000, 500) }
	return app.NewLimits(gcra.NewLocal(now, 0), c, now)
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	guarded(e, &intake.Operation{Method: "GET", Path: "/private", Scope: "chat:write"}, unlimited())
	guarded(e, &intake.Operation{Method: "GET", Path: "/readable", Scope: "chat:read"}, unlimited())
	guarded(e, &intake.Operation{Method: "GET", Path: "/public", Public: true}, unlimited())
	for _, c := range []struct {
		path, key string
		status    int
		body      string
	}{
		{"/private", "good", 200, "service"},
		{"/private", "", 401, `"detail":"who are you"`},
		{"/private", "bad", 401, `"detail":"who are you"`},
		{"/private", "reader", 403, `"detail":"This API key lacks the scope chat:write"`},
		{"/readable", "reader", 200, "u1"},
		{"/public", "bad", 200, "service"}, // nobody asks: the zero principal
	} {
		res := e.serve(request(t, http.MethodGet, c.path, "X-API-Key", c.key))
		if body := text(t, res.Body); res.StatusCode != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s with %q: %d %s", c.path, c.key, res.StatusCode, body)
		}
	}
	contains(t, e.log.String(), `"principal":"api_key"`, `"principal":"user_api_key"`)
}

func TestNobodyGetsInWhenIdentifyIsMissing(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	op := &intake.Operation{Method: "GET", Path: "/private"}
	e.router.Method("GET", "/private", authorize(op, e.errs.writeError)(http.NotFoundHandler()))
	if res := e.serve(request(t, http.MethodGet, "/private")); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", res.StatusCode)
	}
}

// wantStanding checks the headers about limits.
func wantStanding(t *testing.T, about string, res *http.Response, limit, remaining, reset string) {
	t.Helper()
	for name, want := range map[string]string{"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", about, name, got, want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	limits := limited(app.LimitsConfig{Requests: 2, Period: time.Minute})
	e := newTestEdge(t)
	guarded(e, &intake.Operation{Method: "GET", Path: "/private", Limited: true, Scope: "chat:write"}, limits)
	guarded(e, &intake.Operation{Method: "GET", Path: "/probe", Public: true}, limits)
	ask := func(key, addr string) *http.Response {
		r := request(t, http.MethodGet, "/private", "X-API-Key", key)
		r.RemoteAddr = addr + ":1"
		return e.serve(r)
	}
	// A principal is the same at every address.
	for i, addr := range []string{"203.0.113.1", "203.0.113.2"} {
		res := ask("good", addr)
		if res.StatusCode != http.StatusOK {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
		wantStanding(t, "good", res, "2", []string{"1", "0"}[i], []string{"1800000031", "1800000061"}[i])
	}
	third := ask("good", "203.0.113.3")
	body := failureBody(t, third, "RateLimitError")
	if third.StatusCode != 429 || body["error"] != "Rate limit exceeded: 2 per 1 minute" || body["detail"] != body["error"] || third.Header.Get("Retry-After") != "30" {
		t.Errorf("third: %d %v %v", third.StatusCode, third.Header, body)
	}
	wantStanding(t, "third", third, "2", "0", "1800000061")
	// Whoever is nobody, or may not do this, is told where they stand too.
	for key, want := range map[string]int{"": 401, "guess": 401, "reader": 403} {
		res := ask(key, "198.51.100."+strconv.Itoa(len(key)))
		if res.StatusCode != want {
			t.Errorf("%q: %d, want %d", key, res.StatusCode, want)
		}
		wantStanding(t, key, res, "2", "1", "1800000031")
	}
	for i, want := range []int{401, 401, 429} {
		if res := ask("", "203.0.113.9"); res.StatusCode != want {
			t.Errorf("nobody %d: %d", i, res.StatusCode)
		}
	}
	for range 3 {
		res := e.serve(request(t, http.MethodGet, "/probe"))
		if res.StatusCode != 200 {
			t.Errorf("probe: %d", res.StatusCode)
		}
		wantStanding(t, "probe", res, "", "", "")
	}
}

// Keys can't be guessed, and nobody is locked out by a neighbour who tries.
func TestGuessingKeys(t *testing.T) {
	t.Parallel()
	limits := limited(app.LimitsConfig{Requests: 1000, Period: time.Minute, Failures: 3})
	e := newTestEdge(t)
	guarded(e, &intake.Operation{Method: "GET", Path: "/private", Limited: true}, limits)
	ask := func(key string) *http.Response {
		return e.serve(request(t, http.MethodGet, "/private", "X-API-Key", key))
	}
	if res := ask("good"); res.StatusCode != http.StatusOK { // which costs one try
		t.Fatalf("status %d", res.StatusCode)
	}
	for i, want := range []int{401, 401, 429, 429} {
		if res := ask("guess" + strconv.Itoa(i)); res.StatusCode != want {
			t.Errorf("guess %d: %d, want %d", i, res.StatusCode, want)
		}
	}
	if res := ask("reader"); res.StatusCode != http.StatusTooManyRequests { // a right guess
		t.Errorf("a right guess over the limit: %d", res.StatusCode)
	}
	for range 5 {
		if res := ask("good"); res.StatusCode != http.StatusOK {
			t.Errorf("the neighbour: %d", res.StatusCode)
		}
	}
	res := ask("guess")
	failureBody(t, res, "RateLimitError")
	wantStanding(t, "guess", res, "3", "0", "1800000061")
	if res.Header.Get("Retry-After") != "20" {
		t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
	}
}

func TestSurfacesAreOperations(t *testing.T) {
	t.Parallel()
	contract := loadContract(t)
	for path := range surfaces {
		if op := contract["POST "+path]; op == nil || !op.Limited {
			t.Errorf("%s is no operation with limits", path)
		}
	}
}

func TestAccountsAreLimitedWhereverOneComesFrom(t *testing.T) {
	t.Parallel()
	limits := limited(app.LimitsConfig{Requests: 1000, Period: time.Minute, SignIns: 4, Account: 3})
	e := newTestEdge(t)
	for _, path := range []string{"/api/v1/auth/login", "/api/v1/auth/recover", "/api/v1/auth/refresh"} {
		op := contractOperation(t, "POST "+path)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body) // has to be there still
		})
		e.router.Method(op.Method, op.Path, limitRate(op, limits, nil, e.errs.writeError)(validate(op, gate{}, e.errs.writeError)(limitAccount(op, limits, e.errs.writeError)(h))))
	}
	ask := func(path, addr, body string) *http.Response {
		r := post(t, "/api/v1/auth/"+path, "application/json", body)
		r.RemoteAddr = addr + ":1"
		return e.serve(r)
	}
	body := func(email string) string { return `{"email": "` + email + `", "password": "x"}` }
	for i, email := range []string{"ada@example.com", "Ada@Example.com", "ADA@EXAMPLE.COM"} {
		res := ask("login", "203.0.113."+strconv.Itoa(i), body(email))
		if got := text(t, res.Body); res.StatusCode != http.StatusOK || got != body(email) {
			t.Errorf("login %d: %d %s", i, res.StatusCode, got)
		}
		wantStanding(t, "login", res, "4", "3", "1800000016")
	}
	res := ask("login", "203.0.113.77", body("ada@example.com"))
	if b := failureBody(t, res, "RateLimitError"); res.StatusCode != 429 || b["detail"] != "Rate limit exceeded: 3 per 15 minutes" || res.Header.Get("Retry-After") != "300" {
		t.Errorf("%d %v %v", res.StatusCode, res.Header, b)
	}
	wantStanding(t, "login", res, "3", "0", "1800000901")
	// Who is locked out of logging in can still have a mail sent, and others can log in.
	for path, email := range map[string]string{"recover": "ada@example.com", "login": "bob@example.com"} {
		if res := ask(path, "203.0.113.77", body(email)); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	// One address against many accounts: three were let through above.
	if res := ask("login", "203.0.113.77", body("eve@example.com")); res.StatusCode != http.StatusOK {
		t.Errorf("the fourth: %d", res.StatusCode)
	}
	if res := ask("recover", "203.0.113.77", body("zoe@example.com")); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the fifth: %d", res.StatusCode)
	}
	if res := ask("refresh", "203.0.113.77", `{"refresh_token": "x"}`); res.StatusCode != http.StatusOK {
		t.Errorf("refresh: %d", res.StatusCode)
	}
	// What is no request at all uses up nothing of an account.
	if res := ask("login", "203.0.113.78", `{"email": 5}`); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("invalid: %d", res.StatusCode)
	}
}

func TestAddressOfTheClient(t *testing.T) {
	t.Parallel()
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		remote, forwarded, want string
	}{
		{"203.0.113.9:1", "", "203.0.113.9"},
		{"203.0.113.9:1", "198.51.100.1", "203.0.113.9"}, // anybody can write the header
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"},
		{"10.0.0.1:1", "1.2.3.4, rubbish", "10.0.0.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "198.51.100.1", "198.51.100.1"},
		{"[2001:db8::7]:1", "", "2001:db8::7"},
		{"[fe80::1%eth0]:1", "", "fe80::1"},
		{"pipe", "", "invalid IP"},
	} {
		r := request(t, http.MethodGet, "/", "X-Forwarded-For", c.forwarded)
		r.RemoteAddr = c.remote
		if got := trusted.client(r).String(); got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/x", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(requestIDFrom(r.Context()))) })
	for sent, want := range map[string]string{
		"": "id-1", "abc-123_x.y:z/1": "abc-123_x.y:z/1", "a b": "id-1", `"><script>`: "id-1", "ümlaut": "id-1", strings.Repeat("x", 129): "id-1",
	} {
		res := e.serve(request(t, http.MethodGet, "/x", "X-Request-ID", sent))
		if body := text(t, res.Body); body != want || res.Header.Get("X-Request-ID") != want {
			t.Errorf("%q: %q, header %q", sent, body, res.Header.Get("X-Request-ID"))
		}
	}
}

func TestAccessLogNamesThePatternAndNoSecrets(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/keys/{key}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("12345")) })
	e.serve(request(t, http.MethodGet, "/keys/sesame?token=open", "Authorization", "Bearer sesame", "X-API-Key", "sesame"))
	e.serve(request(t, http.MethodGet, "/sesame"))
	log := e.log.String()
	contains(t, log, `"method":"GET"`, `"path":"/keys/{key}"`, `"status":200`, `"bytes":5`, `"request_id":"id-1"`, `"duration_ms":`, `"path":"-"`, `"status":404`)
	if strings.Contains(log, "sesame") || strings.Contains(log, "open") {
		t.Error(log)
	}
	var line struct {
		Duration float64 `json:"duration_ms"`
	}
	if err := json.NewDecoder(strings.NewReader(log)).Decode(&line); err != nil || line.Duration <= 0 || line.Duration > 10_000 {
		t.Errorf("duration %v, error %v in %s", line.Duration, err, log)
	}
}

// Whoever watches asks every few seconds: that is no news, unless the answer is.
func TestProbesThatSucceedDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	ready := true
	for _, path := range []string{"/livez", "/readyz", "/health", "/other"} {
		e.router.Get(path, func(w http.ResponseWriter, _ *http.Request) {
			if !ready {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
	for _, c := range []struct {
		path  string
		ready bool
		level string
	}{
		{"/livez", true, "DEBUG"}, {"/readyz", true, "DEBUG"}, {"/health", true, "DEBUG"}, {"/other", true, "INFO"},
		{"/readyz", false, "INFO"}, {"/livez", false, "INFO"},
	} {
		ready = c.ready
		before := len(e.log.String())
		e.serve(request(t, http.MethodGet, c.path))
		if line := e.log.String()[before:]; !strings.Contains(line, `"level":"`+c.level+`"`) || !strings.Contains(line, c.path) {
			t.Errorf("%+v: %s", c, line)
		}
	}
}

func TestOriginOfARequest(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	trusted := proxies{netip.MustParsePrefix("192.0.2.1/32")}
	e.router.Method("GET", "/", noteOrigin(trusted)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := domain.OriginFrom(r.Context())
		_, _ = w.Write([]byte(o.Address + " " + o.RequestID))
	})))
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1234", "203.0.113.7", "203.0.113.7 id-1"},
		{"192.0.2.1:1234", "10.0.0.1, 203.0.113.7", "203.0.113.7 id-1"},
		{"198.51.100.9:1234", "203.0.113.7", "198.51.100.9 id-1"},
		{"unknown", "203.0.113.7", " id-1"},
	} {
		r := request(t, http.MethodGet, "/", "X-Forwarded-For", c.forwarded)
		r.RemoteAddr = c.peer
		if got := text(t, e.serve(r).Body); got != c.want {
			t.Errorf("%s for %s: %q, want %q", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestAccessTokenOfARequest(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	op := &intake.Operation{Method: "GET", Path: "/"}
	who := func(_ context.Context, authorization, apiKey string) (domain.Principal, error) {
		if authorization == "" || apiKey != "" {
			return domain.ServicePrincipal(), nil
		}
		return domain.Principal{Type: domain.AuthJWT, UserID: "u1"}, nil
	}
	e.router.Method("GET", "/", identify(op, judgeCarefully(who, unlimited(), gate{}, nil))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(accessTokenFrom(r.Context())))
	})))
	for _, c := range []struct{ authorization, key, want string }{
		{"Bearer a.b.c", "", "a.b.c"},
		{"bearer   a.b.c ", "", "a.b.c"},
		{"Bearer a.b.c", "key", ""}, // known by the key
		{"", "", ""},
	} {
		if got := text(t, e.serve(request(t, http.MethodGet, "/", "Authorization", c.authorization, "X-API-Key", c.key)).Body); got != c.want {
			t.Errorf("%q with key %q: %q, want %q", c.authorization, c.key, got, c.want)
		}
	}
}

func TestProxiesThatNobodyTrustsAreNoticedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		remote, forwarded string
		lines             int
	}{
		"a proxy beside":      {"10.0.0.1:1", "203.0.113.9", 1},
		"one that is trusted": {"192.168.7.1:1", "203.0.113.9", 0},
		"no proxy":            {"10.0.0.1:1", "", 0},
		"a stranger":          {"203.0.113.9:1", "10.0.0.1", 0},
	} {
		e := newTestEdge(t)
		trusted := proxies{netip.MustParsePrefix("192.168.7.0/24")}
		e.router.Get("/x", hintAtProxies(trusted, e.errs.log)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP)
		for range 3 {
			r := request(t, http.MethodGet, "/x")
			if r.RemoteAddr = c.remote; c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			e.serve(r)
		}
		if n := strings.Count(e.log.String(), "TRUSTED_PROXIES"); n != c.lines {
			t.Errorf("%s: %d lines, want %d", name, n, c.lines)
		}
	}
}
