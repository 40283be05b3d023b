package natsbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.EventSender = (*Bus)(nil)

const (
	ackTimeout   = 5 * time.Second // after that an event counts as not sent
	headerMargin = 1 << 10         // of the server's limit, for headers
)

var errSlow = errors.New("the bus did not confirm in time")

// Send implements ports.EventSender. Events go into the stream with their id as Nats-Msg-Id, by which JetStream drops what it has
// already. On a server without JetStream they go to who listens at the moment.
func (b *Bus) Send(ctx context.Context, events []domain.StoredEvent) (int, error) {
	if !b.Connected() {
		return 0, errAway
	}
	stored, err := b.ensureStream(ctx)
	if err != nil {
		return 0, fmt.Errorf("send events: %w", err)
	}
	var sent int
	if stored {
		sent, err = b.sendToStream(ctx, events)
	} else {
		sent, err = b.sendToListeners(ctx, events)
	}
	if err != nil {
		b.stream.forget() // it may have been deleted, or JetStream switched on or off
		return sent, fmt.Errorf("send events: %w", err)
	}
	return sent, nil
}

// sendToStream publishes all events and then waits for the confirmations, in order: the first that is missing ends the count.
func (b *Bus) sendToStream(ctx context.Context, events []domain.StoredEvent) (int, error) {
	acks := make([]jetstream.PubAckFuture, 0, len(events))
	var failed error
	for _, e := range events {
		if b.tooLarge(e) {
			acks = append(acks, nil)
			continue
		}
		// Without retries: they would come after events that were stored later.
		ack, err := b.js.PublishMsgAsync(b.message(e), jetstream.WithRetryAttempts(0))
		if err != nil {
			failed = err
			break
		}
		acks = append(acks, ack)
	}
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return i, err
		case <-ctx.Done():
			return i, errSlow
		}
	}
	return len(acks), failed
}

// sendToListeners publishes without a stream: an answer to a ping after the events confirms that the server has them.
func (b *Bus) sendToListeners(ctx context.Context, events []domain.StoredEvent) (int, error) {
	for _, e := range events {
		if b.tooLarge(e) {
			continue
		}
		if err := b.conn.PublishMsg(b.message(e)); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWait)
	defer cancel()
	if err := b.conn.FlushWithContext(ctx); err != nil {
		return 0, err
	}
	return len(events), nil
}

func (b *Bus) message(e domain.StoredEvent) *nats.Msg {
	return &nats.Msg{Subject: b.subject(e.Subject), Data: e.Data, Header: nats.Header{nats.MsgIdHdr: []string{e.ID}}}
}

// tooLarge gives up an event that the server would never take, lest all others wait behind it.
func (b *Bus) tooLarge(e domain.StoredEvent) bool {
	if limit := b.conn.MaxPayload(); limit <= 0 || int64(len(e.Data)) <= limit-headerMargin {
		return false
	}
	b.lost.Add(1)
	b.cfg.Logger.Error("event is larger than the bus allows", "subject", e.Subject, "id", e.ID, "bytes", len(e.Data))
	return true
}
