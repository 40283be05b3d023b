package ports

import (
	"context"

	"gaia/domain"
)

// Outbox keeps events from the moment when what they tell about is stored until they are sent.
type Outbox interface {
	// Relay hands the oldest events, at most limit, to send in the order in which they were stored, and forgets as many of them from
	// the front as send says that it has sent. It returns that number. One process at a time may send: while another does, Relay must
	// return 0 and no error without waiting for it. An error of send comes back after what was sent is forgotten. Events that a
	// process has sent and could not forget are handed out again.
	Relay(ctx context.Context, limit int, send func(context.Context, []domain.StoredEvent) (sent int, err error)) (int, error)
	// Pending returns how many events wait.
	Pending(ctx context.Context) (int, error)
}

// EventSender sends stored events, so that each reaches the stream of the bus once, however often it is sent within a few minutes.
type EventSender interface {
	// Send returns how many events, from the front, the bus has confirmed. It must not wait longer than ctx allows.
	Send(ctx context.Context, events []domain.StoredEvent) (sent int, err error)
}
