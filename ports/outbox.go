package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// Outbox keeps events from the moment when what they tell about is stored until they are sent.
type Outbox interface {
	// Relay hands the oldest events, at most limit, to send in the order in which they were stored, and forgets as many of them from
	// the front as send says that it has sent. It returns that number. One process at a time may send: while another does, Relay must
	// return 0 and no error without waiting for it. An error of send comes back after what was sent is forgotten.
	//
	// That a sender gets events must be stored before it gets them. Those that it got and that were not forgotten, because the process died
	// or for any other reason, are handed out again, in doubt and without others: with the place of the bus that send returned last when no
	// event was in doubt after it. Events that are there no more, whoever took them, are in no doubt. Each comes with the trace
	// (domain.TraceOf) of the call that stored it.
	Relay(ctx context.Context, limit int, send SendEvents) (int, error)
	// Pending returns how many events wait. It may stop counting at PendingLimit.
	Pending(ctx context.Context) (int, error)
	// Oldest returns how long the first of the events has waited; 0 when none waits, or nobody knows.
	Oldest(ctx context.Context) (time.Duration, error)
}

// PendingLimit is more than anybody wants to know exactly.
const PendingLimit = 100_001

// SendEvents is EventSender.Send.
type SendEvents func(ctx context.Context, batch domain.EventBatch) (sent int, place string, err error)

// EventSender sends stored events, so that each reaches the stream of the bus once, in their order.
type EventSender interface {
	// Send returns how many events, from the front, the bus has, and the place at which it stands by then, empty when there is nothing to
	// say about it. What is in doubt must not be sent before the bus was asked whether it has it. Nothing of a batch may reach the bus
	// after Send has returned an error, but for what the bus itself has in its hands. It must not wait longer than ctx allows.
	Send(ctx context.Context, batch domain.EventBatch) (sent int, place string, err error)
}
