package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
)

// methodNotAllowed answers methods that a path does not know, and lists those that it does.
func methodNotAllowed(routes chi.Routes, fail failFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if r.URL.RawPath != "" { // what chi matched
			path = r.URL.RawPath
		}
		w.Header().Set("Allow", strings.Join(methodsOf(routes, path), ", "))
		fail(w, r, errMethod)
	}
}

// operationRouter stands between the generated registration code and the real router. It puts middleware around each handler that
// knows the operation: the generated code would run its own only after it has bound parameters, and so answered callers whom nobody
// authenticated yet. Every GET gets a HEAD beside it, except for event streams, whose headers say nothing.
type operationRouter struct {
	chi.Router
	contract intake.Contract
	wrap     func(*intake.Operation, http.Handler) http.Handler
	seen     map[string]bool
	unknown  *[]string
}

// mountOperations lets register add its routes to router, each wrapped for its operation. Routes and contract must be the same.
func mountOperations(router chi.Router, contract intake.Contract, wrap func(*intake.Operation, http.Handler) http.Handler, register func(chi.Router)) error {
	o := operationRouter{router, contract, wrap, map[string]bool{}, new([]string)}
	register(o)
	if len(*o.unknown) > 0 {
		return fmt.Errorf("mount operations: not in the contract: %s", strings.Join(*o.unknown, ", "))
	}
	for key := range contract {
		if !o.seen[key] {
			return fmt.Errorf("mount operations: no route for %s", key)
		}
	}
	return nil
}

func (o operationRouter) handle(method, pattern string, h http.HandlerFunc) {
	key := method + " " + pattern
	op := o.contract[key]
	if op == nil {
		*o.unknown = append(*o.unknown, key)
		return
	}
	o.seen[key] = true
	wrapped := noteOperation(op, o.wrap(op, h))
	o.Router.Method(method, pattern, wrapped)
	if method == http.MethodGet && !op.Streams {
		o.Router.Method(http.MethodHead, pattern, wrapped)
	}
}

func (o operationRouter) Delete(pattern string, h http.HandlerFunc) {
	o.handle(http.MethodDelete, pattern, h)
}
func (o operationRouter) Get(pattern string, h http.HandlerFunc) {
	o.handle(http.MethodGet, pattern, h)
}
func (o operationRouter) Patch(pattern string, h http.HandlerFunc) {
	o.handle(http.MethodPatch, pattern, h)
}
func (o operationRouter) Post(pattern string, h http.HandlerFunc) {
	o.handle(http.MethodPost, pattern, h)
}
func (o operationRouter) Put(pattern string, h http.HandlerFunc) {
	o.handle(http.MethodPut, pattern, h)
}

// Group has nothing to add: the generated code makes one for each route.
func (o operationRouter) Group(register func(chi.Router)) chi.Router {
	register(o)
	return o
}
