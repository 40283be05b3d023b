package app

import (
	"context"
	"sync"
	"time"

	"gaia/ports"
)

const (
	releasePause    = 250 * time.Millisecond // between two tries; it grows
	maxReleasePause = 5 * time.Second
	releaseDoubt    = 15 * time.Second // for which a store may still carry out what it was asked for before it went away
	lastRelease     = 2 * time.Second  // for a try when the process ends
	releaseTime     = time.Hour        // after which what could not be given back has expired
	maxReleases     = 100_000          // that wait; the oldest of more than these expire
)

// release is money that was set aside and is not needed any more.
type release struct {
	give  func(context.Context) error
	due   time.Time
	until time.Time // when it expires by itself
	given bool      // once: what the store does late may have set it aside again since then
}

// releases gives back what was set aside where the store could not be told at once: it goes on until the store has heard of it. What it
// holds is lost with the process, and expires. Give back what the store knows of without it.
type releases struct {
	limit time.Duration // of one try
	now   ports.Clock
	alive sync.WaitGroup

	mu      sync.Mutex
	waiting []release
	working bool
	closed  bool
	stop    chan struct{}
}

func newReleases(limit time.Duration, now ports.Clock) *releases {
	return &releases{limit: limit, now: now, stop: make(chan struct{})}
}

// later has something given back as soon as the store allows it, and once more when nothing that was asked of it before can come late.
func (r *releases) later(give func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := r.now()
	if len(r.waiting) >= maxReleases {
		r.waiting = r.waiting[1:]
	}
	r.waiting = append(r.waiting, release{give: give, due: now, until: now.Add(releaseTime)})
	if !r.working {
		r.working = true
		r.alive.Go(r.work)
	}
}

// work goes on until nothing waits.
func (r *releases) work() {
	for wait := releasePause; ; {
		left, failed := r.round(r.now(), r.limit)
		if !left {
			return
		}
		if wait = min(2*wait, maxReleasePause); !failed {
			wait = releasePause
		}
		timer := time.NewTimer(backoffAround(wait))
		select {
		case <-timer.C:
		case <-r.stop:
			timer.Stop()
			r.round(r.now().Add(releaseDoubt), lastRelease)
			return
		}
	}
}

// round gives back what is due, up to the first failure; each takes no longer than limit. It reports whether anything is left to do.
func (r *releases) round(now time.Time, limit time.Duration) (left, failed bool) {
	for {
		next, found, left := r.next(now)
		if !found {
			return left, false
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := next.give(ctx)
		cancel()
		if err == nil && next.given {
			continue
		}
		if err == nil {
			next.given, next.due = true, now.Add(releaseDoubt)
		}
		r.mu.Lock()
		r.waiting = append(r.waiting, next)
		r.mu.Unlock()
		if err != nil {
			return true, true
		}
	}
}

// next takes out something that is due, and what has expired.
func (r *releases) next(now time.Time) (next release, found, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.waiting[:0]
	for _, w := range r.waiting {
		switch {
		case w.until.Before(now):
		case !found && !w.due.After(now):
			next, found = w, true
		default:
			kept = append(kept, w)
		}
	}
	clear(r.waiting[len(kept):])
	r.waiting = kept
	left = found || len(kept) > 0
	r.working = left
	return next, found, left
}

// close tries once more, and forgets what is left.
func (r *releases) close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	r.alive.Wait()
}
