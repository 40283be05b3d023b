package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// Ledger reads what was used. Rows are written by ConversationStore.CommitTurn, and by Append for what clients report. A store that is
// away must be domain.Unavailable.
type Ledger interface {
	// Append writes records that belong to no turn, all of them or none. One that is there already must stay as it is.
	Append(ctx context.Context, records ...domain.UsageRecord) error
	// Totals sums the owner's records with from <= At < to, ordered by day, provider, operation, quality and claim. A cost beyond what
	// Money holds must be the largest Money. The work must not grow with the records of others or of other times.
	Totals(ctx context.Context, owner string, from, to time.Time) ([]domain.UsageTotal, error)
	// Recent returns the latest records that are no claims with At >= since, at most limit: those of an owner, the newest first, or with
	// an empty owner everybody's, those of the newest request first. The work must not grow with older records.
	Recent(ctx context.Context, owner string, since time.Time, limit int) ([]domain.UsageRecord, error)
	// CountSince counts everybody's requests, whatever became of them, that reached a provider: first attempts that are no claims with
	// At >= since, the newest of them, at most limit. first is the earliest At among those, zero without any.
	CountSince(ctx context.Context, since time.Time, limit int) (n int, first time.Time, err error)
}

// Marks keeps points in time that all processes share. A store that is away must be domain.Unavailable.
type Marks interface {
	// Mark returns the time that was set last under a name, in UTC with microseconds; zero when none was.
	Mark(ctx context.Context, name string) (time.Time, error)
	// SetMark sets it.
	SetMark(ctx context.Context, name string, at time.Time) error
}
