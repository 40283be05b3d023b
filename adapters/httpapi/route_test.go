package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
)

func routed(t *testing.T) *testEdge {
	t.Helper()
	e := newTestEdge(t)
	named := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(name)) }
	}
	contract := intake.Contract{}
	for _, key := range []string{"GET /health", "GET /api/v0.2/", "GET /personas", "GET /personas/{id}", "PUT /personas/{id}", "GET /personas/current", "GET /events"} {
		method, path, _ := strings.Cut(key, " ")
		contract[key] = &intake.Operation{ID: key, Method: method, Path: path, Public: true, Streams: path == "/events"}
	}
	plain := func(_ *intake.Operation, h http.Handler) http.Handler { return h }
	err := mountOperations(e.router, contract, plain, func(r chi.Router) {
		for key, op := range contract {
			r.Group(func(r chi.Router) {
				if op.Method == http.MethodPut {
					r.Put(op.Path, named(key))
				} else {
					r.Get(op.Path, named(key))
				}
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTrailingSlash(t *testing.T) {
	t.Parallel()
	e := routed(t)
	for path, want := range map[string]string{
		"/personas/":              "http://gaia.test/personas",
		"/personas/?limit=5&q=%2": "http://gaia.test/personas?limit=5&q=%2",
		"/api/v0.2":               "http://gaia.test/api/v0.2/",
		"/personas/a%2Fb/":        "http://gaia.test/personas/a%2Fb",
		"/health/":                "http://gaia.test/health",
	} {
		res := e.serve(request(t, http.MethodGet, "http://gaia.test"+path))
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusTemporaryRedirect || got != want || text(t, res.Body) != "" {
			t.Errorf("%s: %d to %q", path, res.StatusCode, got)
		}
	}
	for _, path := range []string{"/nowhere/", "/nowhere", "/health/more/", "//", "/api/v0.2//"} {
		res := e.serve(request(t, http.MethodGet, "http://gaia.test"+path))
		if body := failureBody(t, res, "Error"); res.StatusCode != http.StatusNotFound || body["detail"] != "Not Found" {
			t.Errorf("%s: %d %v", path, res.StatusCode, body)
		}
	}
}

func TestRedirectBelievesTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	e := routed(t)
	behind := notFound(e.router, proxies{netip.MustParsePrefix("192.0.2.0/24")}, e.errs.writeError)
	for remote, want := range map[string]string{"192.0.2.7:1": "https://gaia.test/health", "198.51.100.7:1": "http://gaia.test/health"} {
		r := request(t, http.MethodGet, "http://gaia.test/health/", "X-Forwarded-Proto", "https")
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		behind(w, r)
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("from %s: %s", remote, got)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	e := routed(t)
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/health", "GET, HEAD"},
		{"POST", "/personas/x", "GET, HEAD, PUT"},
		{"DELETE", "/personas/a%2Fb", "GET, HEAD, PUT"},
		{"HEAD", "/events", "GET"},
		{"OPTIONS", "/health", "GET, HEAD"},
		{"BREW", "/health", "GET, HEAD"},
	} {
		res := e.serve(request(t, c.method, c.path))
		if got := res.Header.Get("Allow"); res.StatusCode != http.StatusMethodNotAllowed || got != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, res.StatusCode, got)
			continue
		}
		if c.method != http.MethodHead {
			if body := failureBody(t, res, "Error"); body["detail"] != "Method Not Allowed" || body["error_type"] != "method_not_allowed" {
				t.Errorf("%s %s: %v", c.method, c.path, body)
			}
		}
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	t.Parallel()
	s := routed(t).start(t)
	for path, want := range map[string]int{"/health": 200, "/personas/current": 200, "/nowhere": 404} {
		res, err := s.Client().Head(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if body := text(t, res.Body); res.StatusCode != want || body != "" {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
		if want == 200 && res.ContentLength != int64(len("GET "+path)) {
			t.Errorf("%s: length %d", path, res.ContentLength)
		}
	}
}

func TestLiteralPathsWin(t *testing.T) {
	t.Parallel()
	e := routed(t)
	for path, want := range map[string]string{"/personas/current": "GET /personas/current", "/personas/x": "GET /personas/{id}"} {
		if got := text(t, e.serve(request(t, http.MethodGet, path)).Body); got != want {
			t.Errorf("%s went to %s", path, got)
		}
	}
}

func TestRoutesAndContractMustAgree(t *testing.T) {
	t.Parallel()
	wrap := func(_ *intake.Operation, h http.Handler) http.Handler { return h }
	err := mountOperations(chi.NewRouter(), intake.Contract{}, wrap, func(r chi.Router) { r.Post("/x", nil) })
	if err == nil || !strings.Contains(err.Error(), "POST /x") {
		t.Errorf("route without operation: %v", err)
	}
	err = mountOperations(chi.NewRouter(), intake.Contract{"GET /y": {}}, wrap, func(chi.Router) {})
	if err == nil || !strings.Contains(err.Error(), "GET /y") {
		t.Errorf("operation without route: %v", err)
	}
}
