package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// notFound answers paths that no route has. When the same path with or without a slash at its end has one, the client is sent there.
func notFound(routes chi.Routes, trusted proxies, fail failFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		other := path + "/"
		if strings.HasSuffix(path, "/") {
			other = strings.TrimRight(path, "/")
		}
		if other == "" || len(methodsOf(routes, other)) == 0 {
			fail(w, r, errNoRoute)
			return
		}
		location := trusted.scheme(r) + "://" + r.Host + other
		if r.URL.RawQuery != "" {
			location += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// routedMethods are the methods that routes may have, as Allow lists them.
var routedMethods = []string{
	http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut,
}

// methodsOf lists the methods for which a path has a route.
func methodsOf(routes chi.Routes, path string) []string {
	return slices.DeleteFunc(slices.Clone(routedMethods), func(method string) bool {
		return !routes.Match(chi.NewRouteContext(), method, path)
	})
}
