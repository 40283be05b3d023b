package httpapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/app"
)

// gate lets so many requests into a stage at once, and from each caller only a share of them. One without slots stands open.
//
// A request passes three of them, and holds one at a time: callers whose credentials are looked at count by address, those who send a
// body and those whose operation runs by principal, or by address when nobody knows them. So slow bodies and callers without
// credentials never hold what runs.
type gate struct {
	slots  *app.Slots
	caller func(*http.Request) string
}

// enter lets a request in, or fails with domain.Unavailable. Whoever comes in has to leave under the name that it gives.
func (g gate) enter(r *http.Request) (caller string, err error) {
	if g.slots == nil {
		return "", nil
	}
	caller = g.caller(r)
	return caller, g.slots.Take(caller)
}

func (g gate) leave(caller string) { g.slots.Release(caller) }

// limitRunning is what an operation has to pass to run. A form is read as it comes, so it holds a place among the bodies that are on their
// way, and needs one among those that run only to begin: slow ones never hold what runs.
func limitRunning(op *intake.Operation, bodies, running gate, fail failFunc) chi.Middlewares {
	switch {
	case !op.Limited:
		return nil
	case op.Form():
		return chi.Middlewares{needRoom(running, fail), limitConcurrency(bodies, fail)}
	default:
		return chi.Middlewares{limitConcurrency(running, fail)}
	}
}

// needRoom refuses an operation that finds no place, and gives the place back before the operation begins: for what takes long and is not
// counted among those that run.
func needRoom(running gate, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, err := running.enter(r)
			if err != nil {
				fail(w, r, err)
				return
			}
			running.leave(caller)
			next.ServeHTTP(w, r)
		})
	}
}

// limitConcurrency lets no more operations run than the gate does: a server that takes on more than it can do does nothing well.
func limitConcurrency(running gate, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, err := running.enter(r)
			if err != nil {
				fail(w, r, err)
				return
			}
			defer running.leave(caller)
			next.ServeHTTP(w, r)
		})
	}
}
