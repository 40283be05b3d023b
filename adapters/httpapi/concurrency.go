package httpapi

import (
	"net/http"
	"time"

	"gaia/domain"
)

// limitConcurrency refuses requests while max others run: a server that takes on more than it can do does nothing well.
func limitConcurrency(max int, fail func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	slots := make(chan struct{}, max)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				next.ServeHTTP(w, r)
			default:
				fail(w, r, &domain.Error{
					Kind: domain.Unavailable, Message: "Too many requests are running: try again in a moment", RetryAfter: time.Second,
				})
			}
		})
	}
}
