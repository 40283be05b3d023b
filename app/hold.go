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

	until  time.Time // when the store may give it to others, unless it is renewed before
	ending bool      // it is being settled: a renewal would set it aside again
	doubt  bool      // one that was on its way may have
}

// lapsed judges by the wall clock too: the other one stands still while the machine is suspended.
func (h hold) lapsed(now time.Time) bool {
	return !now.Before(h.until) || !now.Round(0).Before(h.until.Round(0))
}

// holds sets money aside for as long as this process needs it. All of it is renewed together, and what is needed for a moment only is not
// renewed at all: a process that dies loses its part of the budget within a lease. until is counted from before the store was asked, so it
// is never later than the store's own, and no clock is compared with another.
type holds struct {
	budgets ports.BudgetStore
	lease   time.Duration
	limit   time.Duration // of one renewal
	now     ports.Clock
	lapsed  func([]domain.Reservation) // is told what others may have been given while it was held, at most once in a lease
	release func(id string)            // gives back what nobody holds any more
	alive   sync.WaitGroup

	mu      sync.Mutex
	held    map[string]hold
	untold  []domain.Reservation
	telling bool
	working bool
	closed  bool
	ctx     context.Context // of renewals, until the process stops
	stop    context.CancelFunc
}

func newHolds(
	budgets ports.BudgetStore, lease, limit time.Duration, now ports.Clock, lapsed func([]domain.Reservation), release func(string),
) *holds {
	h := &holds{
		budgets: budgets, lease: lease, limit: min(limit, lease/holdRenewals), now: now, lapsed: lapsed, release: release, held: map[string]hold{},
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
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
	h.held[r.ID] = hold{Reservation: r, until: until}
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
	return !slices.ContainsFunc(ids, func(id string) bool { return h.held[id].lapsed(now) })
}

// forget stops holding what nothing has been spent of. What is not held is no error.
func (h *holds) forget(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.held, id)
	}
}

// settle stops renewing before what was set aside is settled. The function that it returns must be called after that.
func (h *holds) settle(ids ...string) (settled func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if r, ok := h.held[id]; ok {
			r.ending = true
			h.held[id] = r
		}
	}
	return func() { h.end(ids...) }
}

// end stops holding what was spent. What is not held any more is no error.
func (h *holds) end(ids ...string) {
	now := h.now()
	var lapsed []domain.Reservation
	h.mu.Lock()
	for _, id := range ids {
		r, ok := h.held[id]
		if ok && r.lapsed(now) {
			lapsed = append(lapsed, r.Reservation)
		}
		if r.doubt {
			h.release(id)
		}
		delete(h.held, id)
	}
	h.mu.Unlock()
	h.tell(lapsed)
}

// tell tells at once, but then no more for a lease: a store that was away is one line of a log, however many answers there were.
func (h *holds) tell(lapsed []domain.Reservation) {
	h.mu.Lock()
	h.untold = append(h.untold, lapsed...)
	begins := len(h.untold) > 0 && !h.telling && !h.closed
	if begins {
		h.telling = true
	}
	h.mu.Unlock()
	if begins && h.tellNow() {
		h.alive.Go(h.tellOn)
	}
}

// tellNow reports whether there was anything to tell.
func (h *holds) tellNow() bool {
	h.mu.Lock()
	untold := h.untold
	h.untold, h.telling = nil, len(untold) > 0
	h.mu.Unlock()
	if len(untold) > 0 {
		h.lapsed(untold)
	}
	return len(untold) > 0
}

func (h *holds) tellOn() {
	for pause(h.ctx, h.lease) && h.tellNow() { //nolint:revive // nothing else is to be done
	}
}

// work renews until nothing is held.
func (h *holds) work() {
	for pause(h.ctx, backoffAround(h.lease/holdRenewals)) { // not all processes at the same moment
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
		if !r.ending && r.until.Before(fresh) {
			due = append(due, r.Reservation)
		}
	}
	h.working = len(h.held) > 0
	return due, h.working
}

// renew tries once; what fails is due again the next time. It may have been carried out all the same, or be so later.
func (h *holds) renew(due []domain.Reservation) {
	began := h.now()
	ctx, cancel := context.WithTimeout(h.ctx, h.limit)
	gone, err := h.budgets.Renew(ctx, due)
	cancel()
	var lapsed []domain.Reservation
	h.mu.Lock()
	for _, r := range due {
		was, held := h.held[r.ID]
		back := err != nil || slices.Contains(gone, r.ID)
		switch {
		case !held && back: // it has ended meanwhile
			h.release(r.ID)
		case !held || err != nil && !was.ending:
		case was.ending:
			was.doubt = was.doubt || back
			h.held[r.ID] = was
		default:
			if back || was.lapsed(began) {
				lapsed = append(lapsed, r)
			}
			h.held[r.ID] = hold{Reservation: r, until: began.Add(h.lease)}
		}
	}
	h.mu.Unlock()
	h.tell(lapsed)
}

// close stops renewing, and tells what was not told yet.
func (h *holds) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.alive.Wait()
	h.tellNow()
}
