package natsbus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// Observe is told of each event that is published, by its subject, and of work that is offered. ctx has the trace of what caused it
// (domain.TraceOf). It may add to the headers, and returns what is called when the event was handed to the connection, or could not be; of
// what a stream takes, when the stream has it.
type Observe func(ctx context.Context, subject string, header map[string][]string) func(error)

// Receive is told of work that this process gets, by its subject. It returns the context of doing it, and what is called when that is over.
type Receive func(ctx context.Context, subject string, header map[string][]string) (context.Context, func(error))

// errGivenBack is how work ends that is offered again.
var errGivenBack = errors.New("the work is offered again")

func (m *message) observe(ctx context.Context, observe Observe, subject string) {
	if observe == nil {
		return
	}
	m.header = nats.Header{}
	m.ended = observe(ctx, subject, m.header)
}

func (m *message) end(err error) {
	if m.ended != nil {
		m.ended(err)
	}
}

// Reconnects counts how often the connection came back.
func (b *Bus) Reconnects() uint64 { return b.conn.Stats().Reconnects }
