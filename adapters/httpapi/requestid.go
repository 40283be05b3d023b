package httpapi

import (
	"context"
	"net/http"
)

const requestIDHeader = "X-Request-Id"

// maxRequestID bounds ids that come from outside: they end up in logs and answers.
const maxRequestID = 128

type requestIDKey struct{}

// withRequestID gives every request an id: the one that it brought along when that is harmless, else a new one. The answer carries it
// in a header, and in the body when it is a failure.
func withRequestID(newID func() string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get(requestIDHeader)
			if !harmlessID(id) {
				id = newID()
			}
			w.Header().Set(requestIDHeader, id)
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
		})
	}
}

// requestIDFrom is the id of the request that a context belongs to.
func requestIDFrom(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		return id
	}
	return "unknown" // the contract wants some id in every failure
}

func harmlessID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_', c == '.', c == ':', c == '/':
		default:
			return false
		}
	}
	return true
}
