package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.Outbox = (*Outbox)(nil)

// Outbox keeps events until they are sent. The zero value is empty and ready.
type Outbox struct {
	failures

	sending sync.Mutex // held by who sends
	mu      sync.Mutex
	events  []domain.StoredEvent
	times   []time.Time // when these began to wait
	handed  int         // of the first of them a sender has got so many
	since   string      // where the bus stood before those
}

// stored makes of events what waits in an outbox.
func stored(events []domain.Event) ([]domain.StoredEvent, error) {
	list := make([]domain.StoredEvent, len(events))
	for i, e := range events {
		id, ok := domain.ParseID(e.ID)
		if !ok {
			return nil, fmt.Errorf("memory: event %s: %q is no id", e.Subject, e.ID)
		}
		data, err := e.Data()
		if err != nil {
			return nil, fmt.Errorf("memory: event %s: %w", e.Subject, err)
		}
		list[i] = domain.StoredEvent{ID: id, Subject: e.Subject, Data: data}
	}
	return list, nil
}

// toldOf asks for the events about a change.
func toldOf[T any](changed T, tell []func(T) domain.Event) []domain.Event {
	events := make([]domain.Event, len(tell))
	for i, t := range tell {
		events[i] = t(changed)
	}
	return events
}

// add forgets the events when there is no outbox.
func (o *Outbox) add(ctx context.Context, events []domain.StoredEvent) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		e.Trace = domain.TraceOf(ctx)
		o.events, o.times = append(o.events, e), append(o.times, time.Now())
	}
}

// Relay implements ports.Outbox.
func (o *Outbox) Relay(ctx context.Context, limit int, send ports.SendEvents) (int, error) {
	if err := o.enter(ctx, "Relay"); err != nil {
		return 0, err
	}
	if !o.sending.TryLock() {
		return 0, nil
	}
	defer o.sending.Unlock()
	batch := o.hand(limit)
	if len(batch.Events) == 0 {
		return 0, nil
	}
	sent, place, err := send(ctx, batch)
	sent = min(max(sent, 0), len(batch.Events))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events, o.times, o.handed = o.events[sent:], o.times[sent:], o.handed-sent
	if o.handed == 0 && place != "" {
		o.since = place
	}
	return sent, err
}

func (o *Outbox) hand(limit int) domain.EventBatch {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := min(max(limit, 0), len(o.events))
	if o.handed > 0 { // these alone
		count = min(count, o.handed)
	}
	batch := domain.EventBatch{Events: append([]domain.StoredEvent(nil), o.events[:count]...), Doubt: o.handed > 0, Since: o.since}
	o.handed = max(o.handed, count)
	return batch
}

// Oldest implements ports.Outbox.
func (o *Outbox) Oldest(ctx context.Context) (time.Duration, error) {
	if err := o.enter(ctx, "Oldest"); err != nil {
		return 0, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.times) == 0 {
		return 0, nil
	}
	return time.Since(o.times[0]), nil
}

// Pending implements ports.Outbox.
func (o *Outbox) Pending(ctx context.Context) (int, error) {
	if err := o.enter(ctx, "Pending"); err != nil {
		return 0, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.events), nil
}
