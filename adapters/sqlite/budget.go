package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.BudgetStore = (*BudgetStore)(nil)

// BudgetStore keeps what callers have spent of a day's budget and what they have set aside.
type BudgetStore struct{ db *Store }

// Budgets returns the store of budgets.
func (s *Store) Budgets() *BudgetStore { return &BudgetStore{db: s} }

// Reserve implements ports.BudgetStore. Its transaction has the only write lock from its start, so nobody else can reserve between
// the sum and the insertion.
func (s *BudgetStore) Reserve(ctx context.Context, r domain.Reservation) error {
	id, ok := domain.ParseID(r.ID)
	if !ok {
		return fmt.Errorf("sqlite reserve: %q is no id", r.ID)
	}
	return s.db.writeTogether(ctx, "reserve", func(ctx context.Context, q *sqlcgen.Queries) error {
		left, err := available(ctx, q, r)
		if err != nil {
			return err
		}
		if left < 0 || r.Amount > left {
			return domain.OverBudget()
		}
		return q.InsertReservation(ctx, sqlcgen.InsertReservationParams{
			ID: id, Principal: r.Owner, Day: dateOf(r.Day()), Amount: int64(r.Amount), ExpiresAt: asStored(r.Expires),
		})
	})
}

// available is what the day's budget has left after what is spent and set aside. It may be less than nothing.
func available(ctx context.Context, q *sqlcgen.Queries, r domain.Reservation) (domain.Money, error) {
	day := dateOf(r.Day())
	spent, err := q.GetBudget(ctx, sqlcgen.GetBudgetParams{Principal: r.Owner, Day: day})
	if errors.Is(err, sql.ErrNoRows) {
		spent, err = q.OpenBudget(ctx, sqlcgen.OpenBudgetParams{
			Principal: r.Owner, Day: day, First: asStored(r.Day()), Past: asStored(r.Day().AddDate(0, 0, 1)),
		})
	}
	if err != nil {
		return 0, err
	}
	expired := sqlcgen.DeleteExpiredReservationsParams{Principal: r.Owner, ExpiresAt: asStored(r.At)}
	if err := q.DeleteExpiredReservations(ctx, expired); err != nil {
		return 0, err
	}
	aside, err := q.SumReservations(ctx, sqlcgen.SumReservationsParams{Principal: r.Owner, Day: day})
	return r.Limit - domain.Money(spent) - domain.Money(aside), err
}

// Release implements ports.BudgetStore.
func (s *BudgetStore) Release(ctx context.Context, id string) error {
	key, ok := domain.ParseID(id)
	if !ok {
		return fmt.Errorf("sqlite release: %q is no id", id)
	}
	return s.db.writeTogether(ctx, "release", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.DeleteReservation(ctx, key)
	})
}

func dateOf(day time.Time) string { return day.UTC().Format(time.DateOnly) }
