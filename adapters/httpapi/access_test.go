package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// guarded puts an operation behind identify, limitRate and authorize.
func guarded(e *testEdge, op *intake.Operation, take RateLimiter) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(principalFrom(r.Context()).OwnerID()))
	})
	trusted := proxies{netip.MustParsePrefix("192.0.2.1/32")}
	e.router.Method(op.Method, op.Path,
		identify(op, known)(limitRate(op, take, trusted, e.errs.writeError)(authorize(op, e.errs.writeError)(h))))
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	guarded(e, &intake.Operation{Method: "GET", Path: "/private", Scope: "chat:write"}, nil)
	guarded(e, &intake.Operation{Method: "GET", Path: "/readable", Scope: "chat:read"}, nil)
	guarded(e, &intake.Operation{Method: "GET", Path: "/public", Public: true}, nil)
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

func TestRateLimit(t *testing.T) {
	t.Parallel()
	reset := time.Unix(1_800_000_000, 0)
	left := map[string]int{}
	take := func(_ context.Context, id string) RateDecision {
		n, seen := left[id]
		if !seen {
			n = 1
		}
		left[id] = n - 1
		return RateDecision{Allowed: n > 0, Limit: 60, Remaining: n - 1, Reset: reset, RetryAfter: 2 * time.Second, Rule: "60 per 1 minute"}
	}
	e := newTestEdge(t)
	guarded(e, &intake.Operation{Method: "GET", Path: "/private", Limited: true}, take)
	guarded(e, &intake.Operation{Method: "GET", Path: "/probe", Public: true}, take)
	first := e.serve(request(t, http.MethodGet, "/private", "X-API-Key", "good"))
	if first.StatusCode != 200 || first.Header.Get("X-RateLimit-Limit") != "60" || first.Header.Get("X-RateLimit-Remaining") != "0" ||
		first.Header.Get("X-RateLimit-Reset") != "1800000000" {
		t.Errorf("first: %d %v", first.StatusCode, first.Header)
	}
	second := e.serve(request(t, http.MethodGet, "/private", "X-API-Key", "good"))
	body := failureBody(t, second, "RateLimitError")
	if second.StatusCode != 429 || body["error"] != "Rate limit exceeded: 60 per 1 minute" || second.Header.Get("Retry-After") != "2" ||
		second.Header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("second: %d %v %v", second.StatusCode, second.Header, body)
	}
	// Callers who can't say who they are share the limit of their address, or they could guess keys without end.
	for i, want := range []int{401, 429} {
		r := request(t, http.MethodGet, "/private", "X-API-Key", "guess")
		r.RemoteAddr = "203.0.113.9:1"
		if res := e.serve(r); res.StatusCode != want {
			t.Errorf("guess %d: %d", i, res.StatusCode)
		}
	}
	for range 3 {
		if res := e.serve(request(t, http.MethodGet, "/probe")); res.StatusCode != 200 || res.Header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("probe: %d %v", res.StatusCode, res.Header)
		}
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
	a, b := request(t, http.MethodGet, "/"), request(t, http.MethodGet, "/")
	a.RemoteAddr, b.RemoteAddr = "[2001:db8:0:1::7]:1", "[2001:db8:0:1:ffff::8]:1"
	if limitedID(a, nil) != limitedID(b, nil) {
		t.Error("two addresses of one IPv6 network count apart")
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
	e.router.Method("GET", "/", identify(op, who)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
