package httpapi

import (
	"cmp"
	"context"
	"net/http"
)

// seen is what use cases do not know of a request, and some answers need.
type seen struct {
	request *http.Request
	base    string // what the client calls this server: a scheme and a host
}

type seenKey struct{}

// noteAddress remembers a request, and under which address it reached this server.
func noteAddress(publicURL string, trusted proxies) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			base := cmp.Or(publicURL, trusted.scheme(r)+"://"+trusted.host(r))
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), seenKey{}, seen{r, base})))
		})
	}
}

// requestFrom is what noteAddress has seen of the request that a context belongs to.
func requestFrom(ctx context.Context) seen {
	s, _ := ctx.Value(seenKey{}).(seen)
	return s
}
