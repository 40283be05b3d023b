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

// BudgetStore keeps what callers have spent of a day's budget and what they have set aside. The zero value is empty and ready.
type BudgetStore struct {
	failures

	mu       sync.Mutex
	spent    map[ownerDay]domain.Money
	reserved map[string]domain.Reservation
}

type ownerDay struct {
	owner string
	day   time.Time
}

// Reserve implements ports.BudgetStore. All that was ever settled counts, so the ledger need not be asked.
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
	left := r.Limit - s.spent[ownerDay{r.Owner, r.Day()}]
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
	if s.reserved == nil {
		s.reserved = map[string]domain.Reservation{}
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

// Settle does what ConversationStore.CommitTurn of a database does with a turn's reservation, which may be empty, and its costs.
func (s *BudgetStore) Settle(owner, reservationID string, at time.Time, spent domain.Money) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent == nil {
		s.spent = map[ownerDay]domain.Money{}
	}
	s.spent[ownerDay{owner, domain.Reservation{At: at}.Day()}] += spent
	if id, ok := domain.ParseID(reservationID); ok {
		delete(s.reserved, id)
	}
}
