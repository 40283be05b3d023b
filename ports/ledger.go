package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// Ledger reads what was used. Rows are written by ConversationStore.CommitTurn, and by Append for what clients report. A store that is
// away must be domain.Unavailable.
type Ledger interface {
	// Append writes records that belong to no turn. One that is there already must stay as it is.
	Append(ctx context.Context, records ...domain.UsageRecord) error
	// Totals sums the owner's records with from <= At < to, ordered by day, provider and operation.
	Totals(ctx context.Context, owner string, from, to time.Time) ([]domain.UsageTotal, error)
	// Recent returns the latest records that are no claims, newest first, at most limit, with At >= since. An empty owner means everybody.
	Recent(ctx context.Context, owner string, since time.Time, limit int) ([]domain.UsageRecord, error)
	// CountSince returns how many records that are no claims have At >= since.
	CountSince(ctx context.Context, since time.Time) (int, error)
}

// Marks keeps points in time that all processes share.
type Marks interface {
	// Mark returns the time that was set last under a name; zero when none was.
	Mark(ctx context.Context, name string) (time.Time, error)
	// SetMark sets it.
	SetMark(ctx context.Context, name string, at time.Time) error
}
