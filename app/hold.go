package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const (
	defaultBudgetLease = 90 * time.Second
	holdRenewals       = 4 // in a lease, so that a store may be away for some of them
)

// hold is money that is set aside for something that runs in this process.
type hold struct {
	domain.Reservation

	until time.Time // when the store may give it to others, unless it is renewed before
}

// holds sets money aside for as long as this process needs it. All of it is renewed together, and what is needed for a moment only is not
// renewed at all: a process that dies loses its part of the budget within a lease. until is counted from before the store was asked, so it
// is never later than the store's own, and no clock is compared with another.
type holds struct {
	budgets ports.BudgetStore
	lease   time.Duration
	limit   time.Duration // of one renewal
	now     ports.Clock
	lapsed  func([]domain.Reservation) // is told what others may have been given while it was held
	release func(id string)            // gives back what nobody holds any more
	alive   sync.WaitGroup

	mu      sync.Mutex
	held    map[string]hold
	working bool
	closed  bool
	stop    chan struct{}
}

func newHolds(
	budgets ports.BudgetStore, lease, limit time.Duration, now ports.Clock, lapsed func([]domain.Reservation), release func(string),
) *holds {
	return &holds{
		budgets: budgets, lease: lease, limit: limit, now: now, lapsed: lapsed, release: release, held: map[string]hold{}, stop: make(chan struct{}),
	}
}

// reserve sets money aside until end.
func (h *holds) reserve(ctx context.Context, r domain.Reservation) error {
	r.Lease = h.lease
	until := h.now().Add(h.lease)
	if err := h.budgets.Reserve(ctx, r); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[r.ID] = hold{r, until}
	if !h.working && !h.closed {
		h.working = true
		h.alive.Go(h.work)
	}
	return nil
}

// valid reports whether nobody else can have been given what is held.
func (h *holds) valid(ids ...string) bool {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id string) bool { return !now.Before(h.held[id].until) })
}

// end stops renewing, and forgets. What is not held any more is no error.
func (h *holds) end(ids ...string) {
	now := h.now()
	var lapsed []domain.Reservation
	h.mu.Lock()
	for _, id := range ids {
		if r, ok := h.held[id]; ok && !now.Before(r.until) {
			lapsed = append(lapsed, r.Reservation)
		}
		delete(h.held, id)
	}
	h.mu.Unlock()
	h.tell(lapsed)
}

func (h *holds) tell(lapsed []domain.Reservation) {
	if len(lapsed) > 0 {
		h.lapsed(lapsed)
	}
}

// work renews until nothing is held.
func (h *holds) work() {
	for {
		timer := time.NewTimer(backoffAround(h.lease / holdRenewals)) // not all processes at the same moment
		select {
		case <-timer.C:
		case <-h.stop:
			timer.Stop()
			return
		}
		due, left := h.due()
		if !left {
			return
		}
		if len(due) > 0 {
			h.renew(due)
		}
	}
}

// due is what has to be renewed now. It reports whether anything is held.
func (h *holds) due() (due []domain.Reservation, left bool) {
	fresh := h.now().Add(h.lease - h.lease/holdRenewals)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.held {
		if r.until.Before(fresh) {
			due = append(due, r.Reservation)
		}
	}
	h.working = len(h.held) > 0
	return due, h.working
}

// renew tries once; what fails is due again the next time.
func (h *holds) renew(due []domain.Reservation) {
	began := h.now()
	ctx, cancel := context.WithTimeout(context.Background(), h.limit)
	gone, err := h.budgets.Renew(ctx, due)
	cancel()
	if err != nil {
		return
	}
	var lapsed []domain.Reservation
	h.mu.Lock()
	for _, r := range due {
		was, held := h.held[r.ID]
		back := slices.Contains(gone, r.ID)
		if held && (back || !began.Before(was.until)) {
			lapsed = append(lapsed, r)
		}
		if held {
			h.held[r.ID] = hold{r, began.Add(h.lease)}
		} else if back { // it has ended meanwhile
			h.release(r.ID)
		}
	}
	h.mu.Unlock()
	h.tell(lapsed)
}

// close stops renewing.
func (h *holds) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.stop)
	}
	h.mu.Unlock()
	h.alive.Wait()
}
