package memory

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.BudgetStore = (*BudgetStore)(nil)

// BudgetStore keeps what callers have spent of a day's budget and what they have set aside, by the clock of the machine. The zero value is
// not usable.
type BudgetStore struct {
	failures

	ledger   ports.Ledger
	mu       sync.Mutex
	spent    map[ownerDay]domain.Money // of days that somebody has reserved something of
	reserved map[string]reservation
}

type reservation struct {
	domain.Reservation

	until time.Time
}

type ownerDay struct {
	owner string
	day   time.Time
}

// NewBudgetStore makes a store that counts what a ledger holds already.
func NewBudgetStore(ledger ports.Ledger) *BudgetStore {
	return &BudgetStore{ledger: ledger, spent: map[ownerDay]domain.Money{}, reserved: map[string]reservation{}}
}

// Reserve implements ports.BudgetStore.
func (s *BudgetStore) Reserve(ctx context.Context, r domain.Reservation) error {
	if err := s.enter(ctx, "Reserve"); err != nil {
		return err
	}
	id, ok := domain.ParseID(r.ID)
	if !ok {
		return fmt.Errorf("memory reserve: %q is no id", r.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spent, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	left := r.Limit - spent
	for old, other := range s.reserved {
		switch {
		case other.Owner != r.Owner:
		case !other.until.After(time.Now()):
			delete(s.reserved, old)
		case !other.Day().After(r.Day()):
			left -= other.Amount
		}
	}
	if left < 0 || r.Amount > left {
		return domain.OverBudget()
	}
	if _, taken := s.reserved[id]; taken {
		return domain.NewError(domain.Conflict, "This id exists already")
	}
	s.reserved[id] = reservation{r, time.Now().Add(r.Lease)}
	return nil
}

// Renew implements ports.BudgetStore.
func (s *BudgetStore) Renew(ctx context.Context, held []domain.Reservation) (gone []string, err error) {
	if err := s.enter(ctx, "Renew"); err != nil {
		return nil, err
	}
	ids := make([]string, len(held))
	for i, r := range held {
		id, ok := domain.ParseID(r.ID)
		if !ok {
			return nil, fmt.Errorf("memory renew: %q is no id", r.ID)
		}
		ids[i] = id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range held {
		if !s.hold(ids[i], r.Lease) {
			s.reserved[ids[i]] = reservation{r, time.Now().Add(r.Lease)}
			gone = append(gone, ids[i])
		}
	}
	return gone, nil
}

// hold has a reservation count for some time more, and reports whether it is there. It needs the lock.
func (s *BudgetStore) hold(id string, lease time.Duration) bool {
	r, ok := s.reserved[id]
	if until := time.Now().Add(lease); ok && until.After(r.until) {
		r.until = until
		s.reserved[id] = r
	}
	return ok
}

// holdFor has what is set aside for work that begins need nobody who renews it.
func (s *BudgetStore) holdFor(g domain.Generation) error {
	id, ok := domain.ParseID(g.ReservationID)
	if !ok {
		return fmt.Errorf("memory create generation: reservation: %q is no id", g.ReservationID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hold(id, g.ReservedFor()) {
		return domain.ReservationLapsed()
	}
	return nil
}

// Expire implements ports.BudgetStore.
func (s *BudgetStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	if now := time.Now(); now.Before(before) {
		before = now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := len(s.reserved)
	maps.DeleteFunc(s.reserved, func(_ string, r reservation) bool { return r.until.Before(before) })
	return all - len(s.reserved), nil
}

// Elapse makes all reservations older, for tests.
func (s *BudgetStore) Elapse(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.reserved {
		r.until = r.until.Add(-d)
		s.reserved[id] = r
	}
}

// Release implements ports.BudgetStore.
func (s *BudgetStore) Release(ctx context.Context, id string) error {
	if err := s.enter(ctx, "Release"); err != nil {
		return err
	}
	key, ok := domain.ParseID(id)
	if !ok {
		return fmt.Errorf("memory release: %q is no id", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reserved, key)
	return nil
}

// open returns what is spent of the day, which begins with what the ledger holds of it.
func (s *BudgetStore) open(ctx context.Context, r domain.Reservation) (domain.Money, error) {
	key := ownerDay{r.Owner, r.Day()}
	if spent, ok := s.spent[key]; ok {
		return spent, nil
	}
	totals, err := s.ledger.Totals(ctx, r.Owner, r.Day(), r.Day().AddDate(0, 0, 1))
	if err != nil {
		return 0, err
	}
	var spent domain.Money
	for _, total := range totals {
		if !total.Claimed {
			spent += total.Cost
		}
	}
	s.spent[key] = spent
	return spent, nil
}

// Settle does what ConversationStore.CommitTurn of a database does with a turn's reservation and costs, once they are in the ledger.
func (s *BudgetStore) Settle(turn domain.Turn) {
	id, ok := domain.ParseID(turn.ReservationID)
	if !ok {
		return
	}
	for _, record := range turn.Usage {
		s.spend(turn.Owner, record.At, record)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reserved, id)
}

// spend adds the costs of records to what is spent of the day of a time, if somebody has reserved something of it.
func (s *BudgetStore) spend(owner string, at time.Time, usage ...domain.UsageRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := ownerDay{owner, domain.DayOf(at)}
	if _, open := s.spent[day]; !open {
		return // the ledger will be counted
	}
	for _, record := range usage {
		if !record.Claimed {
			s.spent[day] += record.Cost
		}
	}
}

// end ends a reservation.
func (s *BudgetStore) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := domain.ParseID(id); ok {
		delete(s.reserved, key)
	}
}
