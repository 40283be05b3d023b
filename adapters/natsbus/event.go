package natsbus

import (
	"context"

	"github.com/nats-io/nats.go"

	"gaia/domain"
)

// message is an encoded event on its way to the goroutine that sends.
type message struct {
	subject string
	data    []byte
	hint    bool // its loss is no loss of an event
	header  nats.Header
	ended   func(error) // nil: nobody is to be told
}

// Publish implements ports.EventPublisher.
func (b *Bus) Publish(ctx context.Context, e domain.Event) {
	data, err := e.Data()
	if err != nil {
		b.losing(e.Subject, err)
		return
	}
	m := message{subject: b.subject(e.Subject), data: data}
	m.observe(ctx, b.cfg.Observe, e.Subject)
	if err := b.enqueue(m); err != nil {
		m.end(err)
		b.losing(e.Subject, err)
	}
}

// enqueue leaves the sending to another goroutine: the library writes to the socket under its lock and may block there.
func (b *Bus) enqueue(m message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return errClosed
	}
	select {
	case b.queue <- m:
		return nil
	default:
		return errQueueFull
	}
}

// send moves events from the queue to the connection. They are told at once or never: a question that is told to have been asked after an
// outage may have been answered long before.
func (b *Bus) send() {
	for {
		select {
		case m := <-b.queue:
			b.sendOne(m)
		case <-b.stop:
			for {
				select {
				case m := <-b.queue:
					b.sendOne(m)
				default:
					return
				}
			}
		}
	}
}

func (b *Bus) sendOne(m message) {
	err := b.conn.PublishMsg(&nats.Msg{Subject: m.subject, Data: m.data, Header: m.header})
	m.end(err)
	if err != nil {
		if m.hint {
			return
		}
		b.losing(m.subject, err)
		return
	}
	if b.failing.Swap(false) {
		b.cfg.Logger.Info("events are sent again", "lost", b.lost.Load())
	}
}

// losing counts an event that is not sent and logs the first of a series: an outage must not fill the log.
func (b *Bus) losing(subject string, err error) {
	n := b.lost.Add(1)
	if !b.failing.Swap(true) {
		b.cfg.Logger.Warn("event not sent", "subject", subject, "lost", n, "error", err)
	}
}
