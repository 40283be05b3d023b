package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// BudgetStore sets money aside before it is spent. ConversationStore.CommitTurn settles.
type BudgetStore interface {
	// Reserve sets the amount aside, or must be domain.PaymentRequired with code domain.CodeQuota when what the owner has spent and
	// set aside that day, plus the amount, is more than the limit. However many processes reserve at once, the sum must hold.
	// What was set aside on a day before and still runs counts too: it may be spent on either. Reservations whose lease is over, by the
	// clock of the store, no longer count. What the ledger already holds of the day counts as spent.
	Reserve(ctx context.Context, r domain.Reservation) error
	// Renew has reservations that their holder still needs count for a whole Lease from now on; it must never shorten one. Those that are
	// gone are set aside again, whatever the limit, for what they stand for is being spent: Renew returns their ids. It costs one
	// statement, however many there are.
	Renew(ctx context.Context, held []domain.Reservation) (gone []string, err error)
	// Release gives a reservation back unspent. One that is not there any more is no error.
	Release(ctx context.Context, id string) error
	// Expire forgets reservations whose lease was over before a time, and returns how many. It must forget none that counts, whatever time
	// that is.
	Expire(ctx context.Context, before time.Time) (int, error)
}
