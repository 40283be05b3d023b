package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

const (
	corsMethods = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
	corsMaxAge  = "600"
	corsExposed = "ETag, Location, Mcp-Session-Id, Retry-After, X-API-Version, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID, X-Response-Time"
)

// cors lets pages of the given origins call Gaia; "*" stands for all. It answers preflight requests itself. Credentials are in headers
// that a page has to know, never in cookies, so echoing any origin gives nothing away.
func cors(origins []string) func(http.Handler) http.Handler {
	all := slices.Contains(origins, "*")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			origin := r.Header.Get("Origin")
			if origin == "" {
				next.ServeHTTP(w, r)
				return
			}
			allowed := all || slices.Contains(origins, origin)
			h := w.Header()
			h.Set("Access-Control-Allow-Credentials", "true")
			if allowed {
				h.Set("Access-Control-Allow-Origin", origin)
			}
			method := r.Header.Get("Access-Control-Request-Method")
			if r.Method == http.MethodOptions && method != "" {
				preflight(w, r, allowed, method)
				return
			}
			if allowed {
				varyByOrigin(h)
				h.Set("Access-Control-Expose-Headers", corsExposed)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// varyByOrigin comes before what compression added: some clients of the old platform look at the first value only.
func varyByOrigin(h http.Header) { h["Vary"] = append([]string{"Origin"}, h["Vary"]...) }

func preflight(w http.ResponseWriter, r *http.Request, allowed bool, method string) {
	h := w.Header()
	varyByOrigin(h)
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	var refused []string
	if !allowed {
		refused = append(refused, "origin")
	}
	if !slices.Contains(strings.Split(corsMethods, ", "), method) {
		refused = append(refused, "method")
	}
	if len(refused) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("Disallowed CORS " + strings.Join(refused, ", ")))
		return
	}
	_, _ = w.Write([]byte("OK"))
}
