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

// Send implements ports.EventSender. Events go into the stream with their id as Nats-Msg-Id, by which JetStream drops what came a
// while ago; what is in doubt is looked for in the stream. On a server without JetStream events go to who listens at the moment.
func (b *Bus) Send(ctx context.Context, batch domain.EventBatch) (sent int, place string, err error) {
	if !b.Connected() {
		return 0, "", errAway
	}
	b.sender.mu.Lock()
	defer b.sender.mu.Unlock()
	stored, err := b.ensureStream(ctx)
	if err == nil {
		err = b.beginSession()
	}
	if err == nil {
		end, _ := ctx.Deadline()
		b.sender.fence.until(end)
	}
	switch {
	case err != nil:
	case stored:
		sent, place, err = b.sendToStream(ctx, batch)
	default:
		sent, err = b.sendToListeners(ctx, batch.Events)
	}
	if err != nil {
		b.sender.end()
		b.stream.forget() // it may have been deleted, or JetStream switched on or off
		return sent, place, fmt.Errorf("send events: %w", err)
	}
	b.sender.fence.until(time.Time{}) // the buffer is empty
	return sent, place, nil
}

// sendToStream publishes all events and then waits for the confirmations, in order: the first that is missing ends the count.
func (b *Bus) sendToStream(ctx context.Context, batch domain.EventBatch) (int, string, error) {
	at := readPlaces(batch.Since)
	var known map[string]bool
	if batch.Doubt {
		var err error
		if known, err = b.inStream(ctx, batch.Events, at); err != nil {
			return 0, "", err
		}
	}
	acks, failed := b.publishAll(ctx, batch.Events, known)
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		select {
		case confirmed := <-ack.Ok():
			if err := b.reached(ctx, at, confirmed); err != nil {
				return i + 1, "", err
			}
		case err := <-ack.Err():
			return i, "", err
		case <-ctx.Done():
			return i, "", errSlow
		}
	}
	return len(acks), at.String(), failed
}

// publishAll publishes what is not known to be there. It returns what to wait for, nil where there is nothing, up to the first failure.
func (b *Bus) publishAll(ctx context.Context, events []domain.StoredEvent, known map[string]bool) (acks []jetstream.PubAckFuture, err error) {
	end, bounded := ctx.Deadline()
	for _, e := range events {
		if known[e.ID] || b.tooLarge(e) {
			acks = append(acks, nil)
			continue
		}
		// By the clock, not by the context, whose timer comes late in a process that was halted: another one sends by now.
		if bounded && !time.Now().Before(end) {
			return acks, errSlow
		}
		// Without retries: they would come after events that were stored later.
		ack, err := b.sender.js.PublishMsgAsync(b.message(e), jetstream.WithRetryAttempts(0))
		if err != nil {
			return acks, err
		}
		acks = append(acks, ack)
	}
	return acks, nil
}

// sendToListeners publishes without a stream: an answer to a ping after the events confirms that the server has them.
func (b *Bus) sendToListeners(ctx context.Context, events []domain.StoredEvent) (int, error) {
	for _, e := range events {
		if b.tooLarge(e) {
			continue
		}
		if err := b.sender.conn.PublishMsg(b.message(e)); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWait)
	defer cancel()
	if err := b.sender.conn.FlushWithContext(ctx); err != nil {
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
