package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.WorkQueue = (*Bus)(nil)

// How work is handed out.
const (
	workConsumer   = "workers"
	workAge        = 24 * time.Hour // of an item that nobody takes; the store has it all the same
	workBytes      = 16 << 20
	workAckWait    = 15 * time.Second // a process that shows no sign of life for so long has died
	workFetch      = 2 * time.Second  // of one request for an item; bounds how long an outage goes unnoticed
	workPause      = 250 * time.Millisecond
	workPending    = 10_000           // items that all processes together have
	workFirstDelay = time.Second      // of an item that is given back; it doubles each time
	workLastDelay  = 30 * time.Second // its end
	enqueueWait    = 500 * time.Millisecond
)

// workItem is an item and a signal on the wire.
type workItem struct {
	WorkflowID string `json:"workflow_id"`
}

func readWorkItem(data []byte) (id string, ok bool) {
	var item workItem
	if err := json.Unmarshal(data, &item); err != nil {
		return "", false
	}
	return item.WorkflowID, item.WorkflowID != ""
}

// workStream is the stream of items. It takes none of the subjects of events.
func (b *Bus) workStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.nameOf("GAIA_WORK"), Description: "Work that waits for a process of Gaia", Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage, MaxAge: workAge, MaxBytes: workBytes,
		Subjects: []string{b.subject(domain.SubjectWorkOffered)},
	}
}

// ensureWork makes the stream of items if need be, and reports whether there is one.
func (b *Bus) ensureWork(ctx context.Context) (bool, error) {
	return b.ensure(ctx, &b.work, b.workStream(), "work is offered to who listens at the moment")
}

// Enqueue implements ports.WorkQueue. On a server without JetStream, or one where another stream has the subject, the item goes to a
// process that has room for it at the moment, if there is one.
func (b *Bus) Enqueue(ctx context.Context, id string) error {
	if !b.Connected() {
		return errAway
	}
	data, err := json.Marshal(workItem{id})
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, enqueueWait)
	defer cancel()
	stored, err := b.ensureWork(ctx)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	subject := b.subject(domain.SubjectWorkOffered)
	if !stored {
		err = b.enqueue(message{subject: subject, data: data, hint: true})
	} else if _, err = b.js.Publish(ctx, subject, data, jetstream.WithRetryAttempts(0)); err != nil {
		b.work.forget() // it may have been deleted
	}
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// Work implements ports.WorkQueue. It returns before ctx ends only when the bus is closed.
func (b *Bus) Work(ctx context.Context, atOnce int, do func(ctx context.Context, id string) (done bool)) error {
	w := &worker{bus: b, do: do, direct: make(chan string)}
	sub, err := b.conn.QueueSubscribe(b.subject(domain.SubjectWorkOffered), workConsumer, w.hear)
	if err != nil {
		return fmt.Errorf("work: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for range max(atOnce, 1) {
		all.Go(func() {
			if w.run(ctx) != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// worker hands out items. Each of its goroutines asks for one when it has nothing to do, so that none waits where nobody has time.
type worker struct {
	bus    *Bus
	do     func(ctx context.Context, id string) bool
	direct chan string // items that no stream holds

	mu       sync.Mutex
	consumer jetstream.Consumer // nil until it is known
}

// run works until ctx ends, or returns why there can be no more work.
func (w *worker) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if w.bus.conn.IsClosed() {
			return errClosed
		}
		if err := w.one(ctx); err != nil && ctx.Err() == nil {
			w.forget()
			select {
			case <-time.After(workPause):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// one waits a while for an item and does it.
func (w *worker) one(ctx context.Context) error {
	if !w.bus.Connected() {
		return errAway
	}
	stored, err := w.bus.ensureWork(ctx)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, workFetch)
	defer cancel()
	if !stored {
		select {
		case id := <-w.direct:
			w.do(ctx, id) // what is not done is found in the store
		case <-wait.Done():
		}
		return nil
	}
	consumer, err := w.consume(wait)
	if err != nil {
		return err
	}
	msg, err := consumer.Next(jetstream.FetchContext(wait))
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, jetstream.ErrNoMessages):
		return nil
	case err != nil:
		return err
	}
	w.handle(ctx, msg)
	return nil
}

// consume finds the stream's consumer, which all processes share, or makes it.
func (w *worker) consume(ctx context.Context) (jetstream.Consumer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.consumer != nil {
		return w.consumer, nil
	}
	consumer, err := w.bus.js.CreateOrUpdateConsumer(ctx, w.bus.workStream().Name, jetstream.ConsumerConfig{
		Durable: workConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.bus.cfg.WorkWait, MaxDeliver: -1,
		MaxAckPending: workPending, FilterSubject: w.bus.subject(domain.SubjectWorkOffered),
	})
	if err == nil {
		w.consumer = consumer
	}
	return consumer, err
}

// forget makes the next one look for stream and consumer again.
func (w *worker) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.consumer = nil
	w.bus.work.forget()
}

// handle does an item. Meanwhile it tells the server now and then that it is at it, so that nobody else gets the item.
func (w *worker) handle(ctx context.Context, msg jetstream.Msg) {
	id, ok := readWorkItem(msg.Data())
	if !ok {
		w.bus.cfg.Logger.Warn("an item of work can't be read")
		_ = msg.Term()
		return
	}
	finished := make(chan struct{})
	var alive sync.WaitGroup
	alive.Go(func() {
		sign := time.NewTicker(w.bus.cfg.WorkWait / 4)
		defer sign.Stop()
		for {
			select {
			case <-sign.C:
				_ = msg.InProgress()
			case <-finished:
				return
			}
		}
	})
	done := false
	defer func() { // also when it panics
		close(finished)
		alive.Wait()
		switch {
		case done:
			_ = msg.Ack()
		case ctx.Err() != nil: // this process stops, another may go on at once
			_ = msg.Nak()
		default:
			_ = msg.NakWithDelay(workDelay(msg))
		}
	}()
	done = w.do(ctx, id)
}

// workDelay is how long an item that was not done waits for the next attempt.
func workDelay(msg jetstream.Msg) time.Duration {
	meta, err := msg.Metadata()
	if err != nil {
		return workFirstDelay
	}
	delay := workFirstDelay
	for n := uint64(1); n < meta.NumDelivered && delay < workLastDelay; n++ {
		delay *= 2
	}
	return min(delay, workLastDelay)
}

// hear takes items that no stream holds, when somebody has time. Those of a stream come to its consumer.
func (w *worker) hear(m *nats.Msg) {
	switch w.bus.work.known.Load() {
	case streamless, streamForeign: // nothing comes out of a stream
	default:
		return
	}
	id, ok := readWorkItem(m.Data)
	if !ok {
		return
	}
	select {
	case w.direct <- id:
	default: // it is found in the store
	}
}

// Signal implements ports.WorkQueue. A signal while the bus is away is lost: who waits for one looks by himself now and then.
func (b *Bus) Signal(_ context.Context, id string) {
	data, err := json.Marshal(workItem{id})
	if err != nil || !b.Connected() {
		return
	}
	_ = b.enqueue(message{subject: b.subject(domain.SubjectWorkSignal), data: data, hint: true})
}

// Watch implements ports.WorkQueue.
func (b *Bus) Watch(heard func(id string)) (stop func()) {
	var (
		mu      sync.Mutex
		stopped bool
	)
	sub, err := b.conn.Subscribe(b.subject(domain.SubjectWorkSignal), func(m *nats.Msg) {
		id, ok := readWorkItem(m.Data)
		mu.Lock()
		defer mu.Unlock()
		if ok && !stopped {
			heard(id)
		}
	})
	if err != nil { // the bus is closed
		b.cfg.Logger.Warn("signals of workflows are not heard", "error", err)
		return func() {}
	}
	return func() {
		_ = sub.Unsubscribe()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}
}
