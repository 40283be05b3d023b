package httpapi

import "net/http"

// limitBody refuses bodies of more than max bytes: at once when they say so, else where they pass the limit.
func limitBody(max int64, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > max {
				fail(w, r, errBodyTooLarge(max))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, max)
			next.ServeHTTP(w, r)
		})
	}
}
