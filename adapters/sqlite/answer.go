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

var _ ports.AnswerStore = (*AnswerStore)(nil)

// AnswerStore keeps answers of requests with an Idempotency-Key, and who is working on one.
type AnswerStore struct{ db *Store }

// Answers returns the store of kept answers.
func (s *Store) Answers() *AnswerStore { return &AnswerStore{db: s} }

// Claim implements ports.AnswerStore.
func (s *AnswerStore) Claim(ctx context.Context, c domain.Claim) (result domain.ClaimResult, err error) {
	run, ok := domain.ParseID(c.RunID)
	if !ok {
		return domain.ClaimResult{}, fmt.Errorf("sqlite claim: %q is no id", c.RunID)
	}
	err = s.db.writeTogether(ctx, "claim", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.ClaimAnswer(ctx, sqlcgen.ClaimAnswerParams{
			Principal: c.Owner, IdempotencyKey: c.Key, Fingerprint: c.Fingerprint, RunID: run,
			LeaseUntil: asStored(c.LeaseUntil), CreatedAt: asStored(c.At),
		})
		if err != nil || rows > 0 {
			result = domain.ClaimResult{Won: rows > 0}
			return err
		}
		row, err := q.GetClaim(ctx, sqlcgen.GetClaimParams{Principal: c.Owner, IdempotencyKey: c.Key})
		if err == nil && row.Fingerprint != c.Fingerprint {
			err = domain.KeyReused()
		}
		if err != nil {
			return err
		}
		result = claimFromRow(row, c.At)
		return nil
	})
	if err != nil {
		return domain.ClaimResult{}, err
	}
	return result, nil
}

// Look implements ports.AnswerStore.
func (s *AnswerStore) Look(ctx context.Context, owner, key string, at time.Time) (result domain.ClaimResult, err error) {
	err = s.db.read(ctx, "read claim", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.GetClaim(ctx, sqlcgen.GetClaimParams{Principal: owner, IdempotencyKey: key})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		result = claimFromRow(row, at)
		return err
	})
	if err != nil {
		return domain.ClaimResult{}, err
	}
	return result, nil
}

func claimFromRow(row sqlcgen.GetClaimRow, at time.Time) domain.ClaimResult {
	switch {
	case row.Answer != nil:
		return domain.ClaimResult{Answer: []byte(*row.Answer)}
	case row.LeaseUntil > asStored(at):
		return domain.ClaimResult{Running: row.RunID}
	default:
		return domain.ClaimResult{}
	}
}

// Renew implements ports.AnswerStore.
func (s *AnswerStore) Renew(ctx context.Context, owner, key, runID string, until time.Time) error {
	run, ok := domain.ParseID(runID)
	if !ok {
		return fmt.Errorf("sqlite renew: %q is no id", runID)
	}
	return s.db.writeTogether(ctx, "renew claim", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.RenewClaim(ctx, sqlcgen.RenewClaimParams{
			Principal: owner, IdempotencyKey: key, RunID: run, LeaseUntil: asStored(until),
		})
		if err == nil && rows == 0 {
			err = domain.ClaimLost()
		}
		return err
	})
}

// Abandon implements ports.AnswerStore.
func (s *AnswerStore) Abandon(ctx context.Context, owner, key, runID string) error {
	run, ok := domain.ParseID(runID)
	if !ok {
		return fmt.Errorf("sqlite abandon: %q is no id", runID)
	}
	return s.db.writeTogether(ctx, "abandon claim", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.AbandonClaim(ctx, sqlcgen.AbandonClaimParams{Principal: owner, IdempotencyKey: key, RunID: run})
	})
}

// expireBatch bounds what one transaction forgets.
const expireBatch = 1000

// Expire implements ports.AnswerStore.
func (s *AnswerStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.write(ctx, "expire answers", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireAnswers(ctx, sqlcgen.ExpireAnswersParams{Before: asStored(before), MaxAnswers: expireBatch})
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
