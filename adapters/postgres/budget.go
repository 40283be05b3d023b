package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.BudgetStore = (*BudgetStore)(nil)

// BudgetStore keeps what callers have spent of a day's budget and what they have set aside.
type BudgetStore struct{ db *Store }

// Budgets returns the store of budgets.
func (s *Store) Budgets() *BudgetStore { return &BudgetStore{db: s} }

// Reserve implements ports.BudgetStore. The sum is counted by a statement of its own after the budget is locked: one that waits for a
// lock and counts counts what was there before the wait.
func (s *BudgetStore) Reserve(ctx context.Context, r domain.Reservation) error {
	id, err := parseID(r.ID)
	if err != nil {
		return fmt.Errorf("postgres reserve: %w", err)
	}
	day := dateOf(r.Day())
	return s.db.write(ctx, "reserve", func(ctx context.Context, q *sqlcgen.Queries) error {
		spent, err := q.LockBudget(ctx, sqlcgen.LockBudgetParams{Principal: r.Owner, Day: day})
		if noRow(err) {
			spent, err = q.OpenBudget(ctx, openBudget(r.Owner, r.Day()))
		}
		if err != nil {
			return err
		}
		if err := q.DeleteExpiredReservations(ctx, r.Owner); err != nil {
			return err
		}
		rows, err := q.InsertReservation(ctx, sqlcgen.InsertReservationParams{
			ID: id, Principal: r.Owner, Day: day, Amount: int64(r.Amount), Lease: r.Lease.Microseconds(), Available: int64(r.Limit) - spent,
		})
		if err == nil && rows == 0 {
			err = domain.OverBudget()
		}
		return err
	})
}

// openBudget makes the day's row, unless it is there.
func openBudget(owner string, day time.Time) sqlcgen.OpenBudgetParams {
	return sqlcgen.OpenBudgetParams{Principal: owner, Day: dateOf(day), First: day, Past: day.AddDate(0, 0, 1)}
}

// Renew implements ports.BudgetStore.
func (s *BudgetStore) Renew(ctx context.Context, held []domain.Reservation) (gone []string, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	var rows sqlcgen.RenewReservationsParams
	for _, r := range held {
		id, err := parseID(r.ID)
		if err != nil {
			return nil, fmt.Errorf("postgres renew reservations: %w", err)
		}
		rows.Ids, rows.Principals, rows.Days = append(rows.Ids, id), append(rows.Principals, r.Owner), append(rows.Days, dateOf(r.Day()))
		rows.Amounts, rows.Leases = append(rows.Amounts, int64(r.Amount)), append(rows.Leases, r.Lease.Microseconds())
	}
	err = s.db.once(ctx, "renew reservations", func(ctx context.Context, q *sqlcgen.Queries) error {
		made, err := q.RenewReservations(ctx, rows)
		for _, id := range made {
			gone = append(gone, id.String())
		}
		return err
	})
	return gone, err
}

// Release implements ports.BudgetStore.
func (s *BudgetStore) Release(ctx context.Context, id string) error {
	key, err := parseID(id)
	if err != nil {
		return fmt.Errorf("postgres release: %w", err)
	}
	return s.db.once(ctx, "release", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.DeleteReservation(ctx, key)
	})
}

// Expire implements ports.BudgetStore.
func (s *BudgetStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.once(ctx, "expire reservations", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
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

func dateOf(day time.Time) pgtype.Date { return pgtype.Date{Time: day, Valid: true} }
