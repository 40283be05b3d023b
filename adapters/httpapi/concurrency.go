package httpapi

import (
	"net/http"

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
