package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
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
			ID: id, Principal: r.Owner, Day: dateOf(r.Day()), Amount: int64(r.Amount), ExpiresAt: asStored(time.Now().Add(r.Lease)),
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
	expired := sqlcgen.DeleteExpiredReservationsParams{Principal: r.Owner, ExpiresAt: asStored(time.Now())}
	if err := q.DeleteExpiredReservations(ctx, expired); err != nil {
		return 0, err
	}
	aside, err := q.SumReservations(ctx, sqlcgen.SumReservationsParams{Principal: r.Owner, Day: day})
	return r.Limit - domain.Money(spent) - domain.Money(aside), err
}

// heldRow is a reservation as RestoreReservations reads it.
type heldRow struct {
	ID        string `json:"id"`
	Principal string `json:"principal"`
	Day       string `json:"day"`
	Amount    int64  `json:"amount"`
	ExpiresAt int64  `json:"expires_at"`
}

// Renew implements ports.BudgetStore. The file is on one machine, whose clock is that of all its processes.
func (s *BudgetStore) Renew(ctx context.Context, held []domain.Reservation) (gone []string, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	rows, until := make([]heldRow, len(held)), make(map[string]int64, len(held))
	for i, r := range held {
		id, ok := domain.ParseID(r.ID)
		if !ok {
			return nil, fmt.Errorf("sqlite renew reservations: %q is no id", r.ID)
		}
		until[id] = asStored(time.Now().Add(r.Lease))
		rows[i] = heldRow{ID: id, Principal: r.Owner, Day: dateOf(r.Day()), Amount: int64(r.Amount), ExpiresAt: until[id]}
	}
	all, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("sqlite renew reservations: %w", err)
	}
	times, err := json.Marshal(until)
	if err != nil {
		return nil, fmt.Errorf("sqlite renew reservations: %w", err)
	}
	err = s.db.writeTogether(ctx, "renew reservations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if gone, err = q.RestoreReservations(ctx, string(all)); err != nil {
			return err
		}
		return q.RenewReservations(ctx, string(times))
	})
	return gone, err
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

// Expire implements ports.BudgetStore.
func (s *BudgetStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if now := time.Now(); now.Before(before) {
		before = now
	}
	total := 0
	for {
		var rows int64
		err := s.db.write(ctx, "expire reservations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.DeleteLapsedReservations(ctx, sqlcgen.DeleteLapsedReservationsParams{Before: asStored(before), MaxRows: expireBatch})
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(rows)
		if rows < expireBatch {
			return total, nil
		}
	}
}

func dateOf(day time.Time) string { return day.UTC().Format(time.DateOnly) }
