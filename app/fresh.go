package app

import (
	"context"
	"sync"
	"time"

	"gaia/ports"
)

// fresh is what a look at something found, kept for a while. Those who ask while it is being looked share that look, which goes on when one
// of them has gone: however many ask, there is one look at a time.
type fresh[T any] struct {
	look func(context.Context) T
	wait time.Duration // the longest that a look may take
	age  func(T) time.Duration
	now  ports.Clock

	mu      sync.Mutex
	value   T
	at      time.Time     // when value was found; zero: never
	looking chan struct{} // is closed when the look that goes on has ended; nil: there is none
}

// goodFor is an age that does not depend on what was found.
func goodFor[T any](age time.Duration) func(T) time.Duration {
	return func(T) time.Duration { return age }
}

// get returns what is known or looks. It fails with the error of ctx when that ends before.
func (f *fresh[T]) get(ctx context.Context) (T, error) {
	f.mu.Lock()
	if !f.at.IsZero() {
		if since := f.now().Sub(f.at); since >= 0 && since < f.age(f.value) {
			defer f.mu.Unlock()
			return f.value, nil
		}
	}
	if f.looking == nil {
		f.looking = make(chan struct{})
		go f.run(context.WithoutCancel(ctx), f.looking)
	}
	looking := f.looking
	f.mu.Unlock()
	select {
	case <-looking:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.value, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (f *fresh[T]) run(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	began := f.now()
	value := f.look(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.value, f.at, f.looking = value, began, nil // what it found may be as old as its begin
	close(done)
}
