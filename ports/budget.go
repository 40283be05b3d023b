package ports

import (
	"context"

	"gaia/domain"
)

// BudgetStore sets money aside before it is spent. ConversationStore.CommitTurn settles.
type BudgetStore interface {
	// Reserve sets the amount aside, or must be domain.PaymentRequired with code domain.CodeQuota when what the owner has spent and
	// set aside that day, plus the amount, is more than the limit. However many processes reserve at once, the sum must hold.
	// Reservations that have expired at r.At no longer count. What the ledger already holds of the day counts as spent.
	Reserve(ctx context.Context, r domain.Reservation) error
	// Release gives a reservation back unspent. One that is not there any more is no error.
	Release(ctx context.Context, id string) error
}
