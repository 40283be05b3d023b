package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// AuditLog keeps what happened about identity. It is only ever added to. A store that is away must be domain.Unavailable.
type AuditLog interface {
	// Record stores entries, tidied by AuditEntry.Tidy, and the events that tell about them in one transaction. An entry whose id is
	// there already must stay as it is, and is no error; it must not be told about a second time.
	Record(ctx context.Context, entries ...domain.AuditEntry) error
	// Recent returns the last entries since a time, the newest first, at most limit.
	Recent(ctx context.Context, since time.Time, limit int) ([]domain.AuditEntry, error)
	// Expire forgets what happened before a time, and returns how many entries that were.
	Expire(ctx context.Context, before time.Time) (int, error)
}
