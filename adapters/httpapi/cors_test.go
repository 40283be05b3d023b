package httpapi

import (
	"net/http"
	"testing"

	"gaia/domain"
)

func TestCORS(t *testing.T) {
	t.Parallel()
	const friend, stranger = "http://localhost:3000", "http://evil.example"
	preflight := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-api-key,content-type"}
	for _, c := range []struct {
		name    string
		allowed string
		method  string
		headers []string
		status  int
		body    string
		want    map[string]string // "" means absent
	}{
		{"preflight of a friend", friend, "OPTIONS", append(preflight, "Origin", friend), 200, "OK", map[string]string{
			"Access-Control-Allow-Origin": friend, "Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "600", "Vary": "Origin",
			"Access-Control-Allow-Methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", "Access-Control-Allow-Headers": "x-api-key,content-type",
			"Content-Type": "text/plain; charset=utf-8",
		}},
		{"preflight of a stranger", friend, "OPTIONS", append(preflight, "Origin", stranger), 400, "Disallowed CORS origin", map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "600", "Vary": "Origin",
			"Access-Control-Allow-Methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT", "Access-Control-Allow-Headers": "x-api-key,content-type",
			"Content-Type": "text/plain; charset=utf-8",
		}},
		{"preflight for an unknown method", friend, "OPTIONS", []string{"Origin", friend, "Access-Control-Request-Method", "TRACE"}, 400, "Disallowed CORS method", nil},
		{"request of a friend", friend, "GET", []string{"Origin", friend}, 200, "fine", map[string]string{
			"Access-Control-Allow-Origin": friend, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
		}},
		{"request of a stranger", friend, "GET", []string{"Origin", stranger}, 200, "fine", map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "true", "Vary": "Accept-Encoding",
		}},
		{"request without origin", friend, "GET", nil, 200, "fine", map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "",
		}},
		{"anybody may", "*", "GET", []string{"Origin", stranger}, 200, "fine", map[string]string{
			"Access-Control-Allow-Origin": stranger, "Vary": "Origin",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newTestEdge(t, c.allowed)
			e.router.Get("/x", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) })
			res := e.serve(request(t, c.method, "/x", c.headers...))
			if body := text(t, res.Body); res.StatusCode != c.status || body != c.body {
				t.Errorf("%d %q", res.StatusCode, body)
			}
			for name, want := range c.want {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestFailuresCarryCORSHeaders(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t, "http://a")
	e.router.Get("/fails", func(w http.ResponseWriter, r *http.Request) {
		e.errs.writeError(w, r, domain.NewError(domain.Unauthenticated, "no"))
	})
	e.router.Get("/panics", func(http.ResponseWriter, *http.Request) { panic("oh") })
	for path, status := range map[string]int{"/fails": 401, "/panics": 500, "/nowhere": 404} {
		res := e.serve(request(t, "GET", path, "Origin", "http://a"))
		if res.StatusCode != status || res.Header.Get("Access-Control-Allow-Origin") != "http://a" {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
	}
}
