package httpapi

import (
	"net/http"
	"time"
)

const (
	// bodyTimeout bounds how long a client may take to send a body.
	bodyTimeout = 30 * time.Second
	// answerTimeout bounds how long a client may take to read an answer once it has begun. Streams renew it with each event.
	answerTimeout = 2 * time.Minute
)

// limitBodyTime bounds how long a body may take to arrive, also when nobody reads it: before net/http sends the answer it reads what
// is left of the body, and would wait for ever for a client that does not send it.
func limitBodyTime(timeout time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout)) // a recorder in a test has none
			}
			next.ServeHTTP(w, r)
		})
	}
}
