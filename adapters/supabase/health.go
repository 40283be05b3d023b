package supabase

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const (
	checkTimeout = 1500 * time.Millisecond // below what Health gives to all parts
	checkAge     = 10 * time.Second        // anybody may ask how Gaia is: that must not become as many requests to Supabase
)

var _ ports.Probe = (*Accounts)(nil)

// checked is what a look at the server found.
type checked struct {
	at    time.Time
	state domain.PartHealth
}

// Check implements ports.Probe. The server tells that it is up, not that its database is; all who ask within some seconds share an
// answer.
func (a *Accounts) Check(ctx context.Context) domain.PartHealth {
	if last := a.checked.Load(); last != nil && time.Since(last.at) < checkAge {
		return last.state
	}
	looked := a.looks.DoChan("", a.detached(func() (any, error) {
		c := &checked{state: a.look(context.WithoutCancel(ctx)), at: time.Now()}
		a.checked.Store(c)
		return c.state, nil
	}))
	select {
	case r := <-looked:
		if state, ok := r.Val.(domain.PartHealth); ok {
			return state
		}
	case <-ctx.Done():
	}
	return domain.PartHealth{Status: domain.Unhealthy, Detail: msgAway}
}

func (a *Accounts) look(ctx context.Context) domain.PartHealth {
	ctx, cancel := context.WithTimeout(domain.WithOrigin(ctx, domain.Origin{}), checkTimeout) // on behalf of nobody
	defer cancel()
	begun := time.Now()
	_, err := a.do(ctx, call{name: "health", method: http.MethodGet, path: "/health"}, &struct{}{})
	state := domain.PartHealth{Status: domain.Healthy, ResponseTime: time.Since(begun)}
	var e *domain.Error
	switch {
	case err == nil:
	case errors.As(public(err, nil), &e):
		state.Status, state.Detail = domain.Unhealthy, e.Message
	default:
		state.Status, state.Detail = domain.Unhealthy, msgAway
	}
	return state
}
