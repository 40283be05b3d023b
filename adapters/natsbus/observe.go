package natsbus

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Observe is told of each event that is published, by its subject. It may add to the headers, and returns what is called when the event was
// handed to the connection, or could not be.
type Observe func(ctx context.Context, subject string, header map[string][]string) func(error)

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
