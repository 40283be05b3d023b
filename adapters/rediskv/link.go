package rediskv

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	askWhenUp   = time.Second
	askWhenDown = 200 * time.Millisecond
	// settle is how long values are left alone after an outage. Every other process notices the return within askWhenDown and
	// delivers the drops that it owes; until then Redis may hold values that are no longer true.
	settle = 3 * askWhenDown
)

// link is a circuit breaker: one failed call opens it for all, and only the watcher closes it again.
type link struct {
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	up      bool
	wasUp   bool
	useFrom time.Time // values may be read and written from here on, while up
}

func newLink(log *slog.Logger) *link { return &link{log: log, wake: make(chan struct{}, 1)} }

// answers tells whether calls make sense at all.
func (l *link) answers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// trusted tells whether what Redis holds may be used.
func (l *link) trusted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && (l.useFrom.IsZero() || !time.Now().Before(l.useFrom))
}

func (l *link) lost(err error) {
	l.mu.Lock()
	was := l.up
	l.up = false
	l.mu.Unlock()
	if was {
		l.log.Warn("redis does not answer, going on without it", "error", err)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *link) found() {
	l.mu.Lock()
	was, again := l.up, l.wasUp
	l.up, l.wasUp = true, true
	if !was && again {
		l.useFrom = time.Now().Add(settle)
	}
	l.mu.Unlock()
	if !was {
		l.log.Info("redis answers")
	}
}

// watch asks Redis again and again until ctx ends, so that requests need not find out for themselves.
func (l *link) watch(ctx context.Context, ask func(context.Context) error) {
	for {
		if err := ask(ctx); err == nil {
			l.found()
		} else if ctx.Err() == nil {
			l.lost(err)
		}
		l.pause(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *link) pause(ctx context.Context) {
	wait, wake := askWhenUp, l.wake
	if !l.answers() {
		wait, wake = askWhenDown, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}
