package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.WorkQueue = (*WorkQueue)(nil)

// WorkQueue spreads work of one kind over the processes on a bus. Each kind has subjects and a stream of its own, so that none waits for
// another, or fails with it.
type WorkQueue struct {
	bus             *Bus
	kind            string // for people
	stream          string // its name, without what a prefix of the subjects adds
	offered, signal string // subjects
	field           string // of an item that holds the id
	state           streamState
	garbled         atomic.Bool // the last item could not be read, and that was logged
}

// Workflows returns the queue of workflows.
func (b *Bus) Workflows() *WorkQueue { return b.workflows }

// Generations returns the queue of work on assets.
func (b *Bus) Generations() *WorkQueue { return b.generations }

func newWorkflowQueue(b *Bus) *WorkQueue {
	return &WorkQueue{
		bus: b, kind: "workflows", stream: "GAIA_WORK", field: "workflow_id",
		offered: domain.SubjectWorkOffered, signal: domain.SubjectWorkSignal,
	}
}

func newGenerationQueue(b *Bus) *WorkQueue {
	return &WorkQueue{
		bus: b, kind: "generations", stream: "GAIA_WORK_GENERATION", field: "generation_id",
		offered: domain.SubjectGenerationOffered, signal: domain.SubjectGenerationSignal,
	}
}

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
	maxItem        = 512 // bytes of an item or a signal: anybody on the bus can send them
)

// item is an item and a signal on the wire.
func (q *WorkQueue) item(id string) ([]byte, error) {
	return json.Marshal(map[string]string{q.field: id})
}

func (q *WorkQueue) read(data []byte) (id string, ok bool) {
	var item map[string]any
	if len(data) > maxItem || json.Unmarshal(data, &item) != nil {
		return "", false
	}
	id, _ = item[q.field].(string)
	return id, id != ""
}

// config is that of the stream of items. It takes none of the subjects of events.
func (q *WorkQueue) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: q.bus.nameOf(q.stream), Description: "Work that waits for a process of Gaia", Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage, MaxAge: workAge, MaxBytes: workBytes,
		Subjects: []string{q.bus.subject(q.offered)},
	}
}

// ensure makes the stream of items if need be, and reports whether there is one.
func (q *WorkQueue) ensure(ctx context.Context) (bool, error) {
	return q.bus.ensure(ctx, &q.state, q.config(), q.kind+" are offered only to who listens at the moment")
}

// Enqueue implements ports.WorkQueue. On a server without JetStream, or one where another stream has the subject, the item goes to a
// process that has room for it at the moment, if there is one.
func (q *WorkQueue) Enqueue(ctx context.Context, id string) error {
	if !q.bus.Connected() {
		return errAway
	}
	data, err := q.item(id)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, q.bus.cfg.enqueueWait)
	defer cancel()
	stored, err := q.ensure(ctx)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	m := message{subject: q.bus.subject(q.offered), data: data, hint: true}
	m.observe(ctx, q.bus.cfg.Observe, q.offered)
	if !stored {
		if err = q.bus.enqueue(m); err == nil {
			return nil
		}
	} else if _, err = q.bus.js.PublishMsg(ctx, &nats.Msg{Subject: m.subject, Data: data, Header: m.header}, jetstream.WithRetryAttempts(0)); err != nil {
		q.state.forget() // it may have been deleted
	}
	m.end(err)
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// Work implements ports.WorkQueue. It returns before ctx ends only when the bus is closed.
func (q *WorkQueue) Work(ctx context.Context, atOnce int, do func(ctx context.Context, id string) (done bool)) error {
	w := &worker{queue: q, bus: q.bus, do: do, direct: make(chan direct)}
	sub, err := q.bus.conn.QueueSubscribe(q.bus.subject(q.offered), workConsumer, w.hear)
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
	queue  *WorkQueue
	bus    *Bus
	do     func(ctx context.Context, id string) bool
	direct chan direct // items that no stream holds

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
	stored, err := w.queue.ensure(ctx)
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, workFetch)
	defer cancel()
	if !stored {
		select {
		case item := <-w.direct:
			w.doItem(ctx, item.id, item.header) // what is not done is found in the store
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
	consumer, err := w.bus.js.CreateOrUpdateConsumer(ctx, w.queue.config().Name, jetstream.ConsumerConfig{
		Durable: workConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: w.bus.cfg.WorkWait, MaxDeliver: -1,
		MaxAckPending: workPending, FilterSubject: w.bus.subject(w.queue.offered),
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
	w.queue.state.forget()
}

// handle does an item. Meanwhile it tells the server now and then that it is at it, so that nobody else gets the item.
func (w *worker) handle(ctx context.Context, msg jetstream.Msg) {
	id, ok := w.queue.read(msg.Data())
	if !ok {
		if !w.queue.garbled.Swap(true) { // once for a series
			w.bus.cfg.Logger.Warn("an item of work can't be read", "of", w.queue.kind, "bytes", len(msg.Data()))
		}
		_ = msg.Term()
		return
	}
	w.queue.garbled.Store(false)
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
	done = w.doItem(ctx, id, msg.Headers())
}

// doItem does an item and tells whoever watches.
func (w *worker) doItem(ctx context.Context, id string, header nats.Header) (done bool) {
	if w.bus.cfg.Receive == nil {
		return w.do(ctx, id)
	}
	ctx, ended := w.bus.cfg.Receive(ctx, w.queue.offered, header)
	err := errGivenBack // unless it is done
	defer func() { ended(err) }()
	if done = w.do(ctx, id); done {
		err = nil
	}
	return done
}

// direct is an item that no stream holds.
type direct struct {
	id     string
	header nats.Header
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
	switch w.queue.state.known.Load() {
	case streamless, streamForeign: // nothing comes out of a stream
	default:
		return
	}
	id, ok := w.queue.read(m.Data)
	if !ok {
		return
	}
	select {
	case w.direct <- direct{id, m.Header}:
	default: // it is found in the store
	}
}

// Signal implements ports.WorkQueue. A signal while the bus is away is lost: who waits for one looks by himself now and then.
func (q *WorkQueue) Signal(_ context.Context, id string) {
	data, err := q.item(id)
	if err != nil || !q.bus.Connected() {
		return
	}
	_ = q.bus.enqueue(message{subject: q.bus.subject(q.signal), data: data, hint: true})
}

// Watch implements ports.WorkQueue.
func (q *WorkQueue) Watch(heard func(id string)) (stop func()) {
	var (
		mu      sync.Mutex
		stopped bool
	)
	sub, err := q.bus.conn.Subscribe(q.bus.subject(q.signal), func(m *nats.Msg) {
		id, ok := q.read(m.Data)
		mu.Lock()
		defer mu.Unlock()
		if ok && !stopped {
			heard(id)
		}
	})
	if err != nil { // the bus is closed
		q.bus.cfg.Logger.Warn("signals are not heard", "of", q.kind, "error", err)
		return func() {}
	}
	return func() {
		_ = sub.Unsubscribe()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}
}
