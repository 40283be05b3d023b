package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

// statusClientGone is how the log counts requests whose client left before there was an answer. It is never sent.
const statusClientGone = 499

// accessLog writes one line for each request, and has it observed. Bytes are those before compression. It names the pattern of the path,
// never what stands in its place, and no query, header or body: these may hold secrets. Probes that succeed are for who looks for faults: they
// come every few seconds from everybody who watches, and would be most of the log.
func (c Config) accessLog() func(http.Handler) http.Handler {
	log := c.Log
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, r := record(w, r)
			r, ended := c.observed(rec, r)
			defer ended()
			defer func() { // also when a handler gives up the connection
				level := c.AccessLevel
				if isProbe(r) && loggedStatus(rec) < http.StatusMultipleChoices {
					level = min(level, slog.LevelDebug)
				}
				if !log.Enabled(r.Context(), level) {
					return
				}
				log.LogAttrs(r.Context(), level, "request",
					slog.String("method", r.Method),
					slog.String("path", pathPattern(r)),
					slog.Int("status", loggedStatus(rec)),
					slog.Int64("bytes", rec.bytes),
					slog.Float64("duration_ms", float64(time.Since(rec.start).Microseconds())/1000),
					slog.String("request_id", requestIDFrom(r.Context())),
					slog.String("principal", string(rec.principal)),
				)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// isProbe reports whether a request asks how this process is.
func isProbe(r *http.Request) bool {
	switch r.URL.Path {
	case "/livez", "/readyz", "/health":
		return true
	}
	return false
}

func loggedStatus(rec *recorder) int {
	switch {
	case rec.canceled:
		return statusClientGone
	case !rec.written():
		return http.StatusOK // what the server sends for a handler that wrote nothing
	default:
		return rec.status
	}
}

// pathPattern is the pattern of the route that a request took, or "-" when there is none.
func pathPattern(r *http.Request) string {
	if rctx := chi.RouteContext(r.Context()); rctx != nil {
		if pattern := rctx.RoutePattern(); pattern != "" {
			return pattern
		}
	}
	return "-"
}
