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
	sent, failed := b.publishAll(ctx, batch.Events, known)
	for i, p := range sent {
		if p.ack == nil {
			continue
		}
		confirmed, err := p.confirmed(ctx)
		if err != nil {
			giveUp(sent[i+1:])
			return i, "", err
		}
		if err := b.reached(ctx, at, confirmed); err != nil {
			giveUp(sent[i+1:])
			return i + 1, "", err
		}
	}
	return len(sent), at.String(), failed
}

// published is an event that is on its way to the stream.
type published struct {
	ack   jetstream.PubAckFuture // nil: it need not be sent
	ended func(error)            // nil: nobody is to be told
}

func (p published) confirmed(ctx context.Context) (ack *jetstream.PubAck, err error) {
	select {
	case ack = <-p.ack.Ok():
	case err = <-p.ack.Err():
	case <-ctx.Done():
		err = errSlow
	}
	p.end(err)
	return ack, err
}

func (p published) end(err error) {
	if p.ended != nil {
		p.ended(err)
	}
}

// giveUp is for what nobody waits for any more.
func giveUp(rest []published) {
	for _, p := range rest {
		p.end(errSlow)
	}
}

// publishAll publishes what is not known to be there. It returns what to wait for, nil where there is nothing, up to the first failure.
func (b *Bus) publishAll(ctx context.Context, events []domain.StoredEvent, known map[string]bool) (sent []published, err error) {
	end, bounded := ctx.Deadline()
	for _, e := range events {
		if known[e.ID] || b.tooLarge(e) {
			sent = append(sent, published{})
			continue
		}
		// By the clock, not by the context, whose timer comes late in a process that was halted: another one sends by now.
		if bounded && !time.Now().Before(end) {
			return sent, errSlow
		}
		m, ended := b.message(ctx, e)
		p := published{ended: ended}
		// Without retries: they would come after events that were stored later.
		if p.ack, err = b.sender.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0)); err != nil {
			p.end(err)
			return sent, err
		}
		sent = append(sent, p)
	}
	return sent, nil
}

// sendToListeners publishes without a stream: an answer to a ping after the events confirms that the server has them.
func (b *Bus) sendToListeners(ctx context.Context, events []domain.StoredEvent) (int, error) {
	for _, e := range events {
		if b.tooLarge(e) {
			continue
		}
		m, ended := b.message(ctx, e)
		err := b.sender.conn.PublishMsg(m)
		published{ended: ended}.end(err)
		if err != nil {
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

// message is an event on its way, and what is called when it got there, or did not; nil: nothing.
func (b *Bus) message(ctx context.Context, e domain.StoredEvent) (m *nats.Msg, ended func(error)) {
	m = &nats.Msg{Subject: b.subject(e.Subject), Data: e.Data, Header: nats.Header{nats.MsgIdHdr: []string{e.ID}}}
	if b.cfg.Observe != nil {
		ended = b.cfg.Observe(domain.WithTrace(ctx, e.Trace), e.Subject, m.Header)
	}
	return m, ended
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
