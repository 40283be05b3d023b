package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AnswerStore = (*AnswerStore)(nil)

// AnswerStore keeps answers of requests with an Idempotency-Key, and who is working on one.
type AnswerStore struct{ db *Store }

// Answers returns the store of kept answers.
func (s *Store) Answers() *AnswerStore { return &AnswerStore{db: s} }

// claimTries bounds the rounds of a claim that finds a key taken and, when it looks who has it, free again.
const claimTries = 10

// Claim implements ports.AnswerStore.
func (s *AnswerStore) Claim(ctx context.Context, c domain.Claim) (domain.ClaimResult, error) {
	run, err := parseID(c.RunID)
	if err != nil {
		return domain.ClaimResult{}, fmt.Errorf("postgres claim: %w", err)
	}
	for range claimTries {
		result, err := s.tryClaim(ctx, c, run)
		if err != nil || result.Won || result.Answer != nil || result.Running != "" {
			return result, err
		}
	}
	return domain.ClaimResult{}, domain.NewError(domain.Unavailable, "Too many requests with this Idempotency-Key come and go")
}

// tryClaim returns nothing when the key was taken and has become free.
func (s *AnswerStore) tryClaim(ctx context.Context, c domain.Claim, run uuid.UUID) (domain.ClaimResult, error) {
	var rows int64
	err := s.db.once(ctx, "claim", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ClaimAnswer(ctx, sqlcgen.ClaimAnswerParams{
			Principal: c.Owner, IdempotencyKey: c.Key, Fingerprint: c.Fingerprint, RunID: run,
			LeaseUntil: asStored(c.LeaseUntil), CreatedAt: asStored(c.At),
		})
		return err
	})
	if err != nil || rows > 0 {
		return domain.ClaimResult{Won: rows > 0}, err
	}
	row, err := s.get(ctx, c.Owner, c.Key)
	if err == nil && row != nil && row.Fingerprint != c.Fingerprint {
		err = domain.KeyReused()
	}
	if err != nil {
		return domain.ClaimResult{}, err
	}
	return claimFromRow(row, c.At), nil
}

// Look implements ports.AnswerStore.
func (s *AnswerStore) Look(ctx context.Context, owner, key string, at time.Time) (domain.ClaimResult, error) {
	row, err := s.get(ctx, owner, key)
	if err != nil {
		return domain.ClaimResult{}, err
	}
	return claimFromRow(row, at), nil
}

// get returns nil for a key that nobody has.
func (s *AnswerStore) get(ctx context.Context, owner, key string) (*sqlcgen.GetClaimRow, error) {
	var found *sqlcgen.GetClaimRow
	err := s.db.read(ctx, "read claim", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.GetClaim(ctx, sqlcgen.GetClaimParams{Principal: owner, IdempotencyKey: key})
		if noRow(err) {
			found = nil
			return nil
		}
		found = &row
		return err
	})
	return found, err
}

func claimFromRow(row *sqlcgen.GetClaimRow, at time.Time) domain.ClaimResult {
	switch {
	case row == nil:
		return domain.ClaimResult{}
	case row.Answer != nil:
		return domain.ClaimResult{Answer: []byte(*row.Answer)}
	case row.LeaseUntil.After(asStored(at)):
		return domain.ClaimResult{Running: row.RunID.String()}
	default:
		return domain.ClaimResult{}
	}
}

// Renew implements ports.AnswerStore.
func (s *AnswerStore) Renew(ctx context.Context, owner, key, runID string, until time.Time) error {
	run, err := parseID(runID)
	if err != nil {
		return fmt.Errorf("postgres renew: %w", err)
	}
	return s.db.once(ctx, "renew claim", func(ctx context.Context, q *sqlcgen.Queries) error {
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
	run, err := parseID(runID)
	if err != nil {
		return fmt.Errorf("postgres abandon: %w", err)
	}
	return s.db.once(ctx, "abandon claim", func(ctx context.Context, q *sqlcgen.Queries) error {
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
		err := s.db.once(ctx, "expire answers", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
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
