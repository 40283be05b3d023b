package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// AnswerStore makes requests with the same Idempotency-Key one request. ConversationStore.CommitTurn stores the answer.
type AnswerStore interface {
	// Claim decides who carries a request out: exactly one of all claims of an owner and key that race must win. A claim wins too when
	// the run that has the key has let its lease run out at c.At. The key with another fingerprint must be domain.Invalid.
	Claim(ctx context.Context, c domain.Claim) (domain.ClaimResult, error)
	// Look tells about a key without claiming it: an answer, a run whose lease holds at the given time, or neither.
	Look(ctx context.Context, owner, key string, at time.Time) (domain.ClaimResult, error)
	// Renew moves the end of a run's lease. A run that has lost its claim must be domain.Conflict.
	Renew(ctx context.Context, owner, key, runID string, until time.Time) error
	// Abandon gives a claim up, so that the next request with the key is carried out. A claim that is lost or answered must stay as it is.
	Abandon(ctx context.Context, owner, key, runID string) error
	// Expire forgets what was claimed before a time, and returns how many that were.
	Expire(ctx context.Context, before time.Time) (int, error)
}
