package httpapi

import "net/http"

// Limits of the head of a request. net/http bounds its bytes, 64 KB, and answers 431 in a form of its own.
const (
	maxURL          = 8 << 10
	maxHeaderFields = 100
)

var (
	errURLTooLong    = &edgeError{http.StatusRequestURITooLong, "bad_request", "The URL is longer than 8192 bytes"}
	errTooManyFields = &edgeError{http.StatusRequestHeaderFieldsTooLarge, "bad_request", "The request has more than 100 header fields"}
)

// limitHead refuses requests whose head nobody needs to be so large. Whoever sends one is up to nothing good, so the connection ends.
func limitHead(fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var err error
			switch {
			case len(r.RequestURI) > maxURL:
				err = errURLTooLong
			case fields(r.Header) > maxHeaderFields:
				err = errTooManyFields
			default:
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Connection", "close")
			fail(w, r, err)
		})
	}
}

func fields(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}
