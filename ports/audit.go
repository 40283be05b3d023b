package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// AuditLog keeps what happened about identity. It is only ever added to.
type AuditLog interface {
	// Record stores entries and the events that tell about them in one transaction. An entry whose id is there already must stay as it
	// is, and is no error.
	Record(ctx context.Context, entries ...domain.AuditEntry) error
	// Expire forgets what happened before a time, and returns how many entries that were.
	Expire(ctx context.Context, before time.Time) (int, error)
}
