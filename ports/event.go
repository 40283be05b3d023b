package ports

import (
	"context"

	"gaia/domain"
)

// EventPublisher tells other services what happened. It must not block on a bus that is away and must not fail the caller: what
// can't be sent is logged and, where it matters, sent later.
type EventPublisher interface {
	Publish(ctx context.Context, e domain.Event)
}
