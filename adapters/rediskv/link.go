package rediskv

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	askWhenUp   = time.Second
	askWhenDown = 200 * time.Millisecond
	// settle is how long values are left alone after an outage. Every other process notices the return within askWhenDown and
	// delivers the drops that it owes; until then Redis may hold values that are no longer true.
	settle = 3 * askWhenDown
	// mostSlow is how many calls in a row may be answered in time and still slowly. A request makes several calls, one after the other:
	// they must not add up, and a cache that is slower than the database is none.
	mostSlow = 3
)

var errSlow = errors.New("redis is slow")

// link is a circuit breaker: one call without an answer, or several slow ones, open it for all, and only the watcher closes it again.
type link struct {
	log  *slog.Logger
	wake chan struct{}

	calls, failures, slow, skipped, outages atomic.Uint64

	mu      sync.Mutex
	up      bool
	wasUp   bool
	slowRow int       // slow calls since the last fast one
	useFrom time.Time // values may be read and written from here on, while up
}

func newLink(log *slog.Logger) *link { return &link{log: log, wake: make(chan struct{}, 1)} }

// answers tells whether calls make sense at all.
func (l *link) answers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// open tells a caller whether to make a call, and counts it when not.
func (l *link) open() bool {
	ok := l.answers()
	if !ok {
		l.skipped.Add(1)
	}
	return ok
}

// trusted tells a caller whether what Redis holds may be used, and counts the call that is not made when not.
func (l *link) trusted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.up && (l.useFrom.IsZero() || !time.Now().Before(l.useFrom))
	if !ok {
		l.skipped.Add(1)
	}
	return ok
}

// answered notes a call that was answered in time.
func (l *link) answered(slowly bool) {
	l.mu.Lock()
	if slowly {
		l.slowRow++
		l.slow.Add(1)
	} else {
		l.slowRow = 0
	}
	tooSlow := l.up && l.slowRow >= mostSlow
	l.mu.Unlock()
	if tooSlow {
		l.lost(errSlow)
	}
}

func (l *link) lost(err error) {
	l.mu.Lock()
	was := l.up
	l.up, l.slowRow = false, 0
	l.mu.Unlock()
	if was {
		l.outages.Add(1)
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
