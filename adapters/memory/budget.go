package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.BudgetStore = (*BudgetStore)(nil)

// BudgetStore keeps what callers have spent of a day's budget and what they have set aside. The zero value is not usable.
type BudgetStore struct {
	failures

	ledger   ports.Ledger
	mu       sync.Mutex
	spent    map[ownerDay]domain.Money // of days that somebody has reserved something of
	reserved map[string]domain.Reservation
}

type ownerDay struct {
	owner string
	day   time.Time
}

// NewBudgetStore makes a store that counts what a ledger holds already.
func NewBudgetStore(ledger ports.Ledger) *BudgetStore {
	return &BudgetStore{ledger: ledger, spent: map[ownerDay]domain.Money{}, reserved: map[string]domain.Reservation{}}
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
		case !asStored(other.Expires).After(asStored(r.At)):
			delete(s.reserved, old)
		case other.Day().Equal(r.Day()):
			left -= other.Amount
		}
	}
	if left < 0 || r.Amount > left {
		return domain.OverBudget()
	}
	if _, taken := s.reserved[id]; taken {
		return domain.NewError(domain.Conflict, "This id exists already")
	}
	s.reserved[id] = r
	return nil
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
	s.mu.Lock()
	defer s.mu.Unlock()
	day := domain.Reservation{At: turn.At}.Day()
	if r, ok := s.reserved[id]; ok {
		day = r.Day()
	}
	delete(s.reserved, id)
	if _, open := s.spent[ownerDay{turn.Owner, day}]; !open {
		return // the ledger will be counted
	}
	for _, record := range turn.Usage {
		if !record.Claimed {
			s.spent[ownerDay{turn.Owner, day}] += record.Cost
		}
	}
}

// spend adds the costs of records to what is spent of the day of a time, if somebody has reserved something of it.
func (s *BudgetStore) spend(owner string, at time.Time, usage []domain.UsageRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := ownerDay{owner, domain.Reservation{At: at}.Day()}
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
