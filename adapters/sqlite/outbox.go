package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Outbox = (*Outbox)(nil)

// Outbox keeps events until they are sent. One sender at a time is seen to inside the process alone: the file belongs to one.
type Outbox struct{ db *Store }

// Outbox returns the store of events that wait.
func (s *Store) Outbox() *Outbox { return &Outbox{db: s} }

// Relay implements ports.Outbox. It holds no transaction while it sends, so that nobody who writes waits for the bus.
func (o *Outbox) Relay(ctx context.Context, limit int, send ports.SendEvents) (int, error) {
	if !o.db.relaying.TryLock() {
		return 0, nil
	}
	defer o.db.relaying.Unlock()
	rows, state, err := o.list(ctx, limit)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	doubt := rows[0].Seq <= state.Handed
	if doubt { // these alone
		rows = slices.DeleteFunc(rows, func(row sqlcgen.ListEventsRow) bool { return row.Seq > state.Handed })
	}
	handed := max(state.Handed, rows[len(rows)-1].Seq)
	if handed != state.Handed {
		if err := o.hand(ctx, handed); err != nil {
			return 0, err
		}
	}
	sent, place, sendErr := send(ctx, domain.EventBatch{Events: eventsFromRows(rows), Doubt: doubt, Since: state.Since})
	sent = min(max(sent, 0), len(rows))
	if sent == 0 {
		return 0, sendErr
	}
	last := rows[sent-1].Seq
	if last < handed || place == "" {
		place = state.Since
	}
	// Also when the caller leaves now: what is not forgotten would be in doubt.
	if err := o.forget(context.WithoutCancel(ctx), last, place); err != nil {
		return 0, errors.Join(err, sendErr)
	}
	return sent, sendErr
}

func (o *Outbox) list(ctx context.Context, limit int) (rows []sqlcgen.ListEventsRow, state sqlcgen.OutboxStateRow, err error) {
	err = o.db.read(ctx, "read events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if rows, err = q.ListEvents(ctx, int64(max(limit, 0))); err != nil || len(rows) == 0 {
			return err
		}
		state, err = q.OutboxState(ctx)
		return err
	})
	return rows, state, err
}

// hand notes that a sender gets events up to a number.
func (o *Outbox) hand(ctx context.Context, seq int64) error {
	return o.db.writeTogether(ctx, "hand out events", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.HandEvents(ctx, seq)
	})
}

// forget removes events up to a number, after which the bus stands at a place.
func (o *Outbox) forget(ctx context.Context, seq int64, place string) error {
	return o.db.writeTogether(ctx, "forget events", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.DeleteEvents(ctx, seq); err != nil {
			return err
		}
		return q.SettleEvents(ctx, place)
	})
}

func eventsFromRows(rows []sqlcgen.ListEventsRow) []domain.StoredEvent {
	events := make([]domain.StoredEvent, len(rows))
	for i, row := range rows {
		events[i] = domain.StoredEvent{ID: row.ID, Subject: row.Subject, Data: []byte(row.Payload), Trace: orEmpty(row.Traceparent)}
	}
	return events
}

// storeEvents puts events into the outbox, in their order.
func storeEvents(ctx context.Context, q *sqlcgen.Queries, events []domain.Event) error {
	for _, e := range events {
		if err := storeEvent(ctx, q, e); err != nil {
			return err
		}
	}
	return nil
}

// toldOf asks for the events about a change.
func toldOf[T any](changed T, tell []func(T) domain.Event) []domain.Event {
	events := make([]domain.Event, len(tell))
	for i, t := range tell {
		events[i] = t(changed)
	}
	return events
}

// Oldest implements ports.Outbox.
func (o *Outbox) Oldest(ctx context.Context) (waits time.Duration, err error) {
	var at int64
	err = o.db.read(ctx, "find oldest event", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if at, err = q.OldestEvent(ctx); errors.Is(err, sql.ErrNoRows) {
			at, err = 0, nil
		}
		return err
	})
	if err != nil || at == 0 {
		return 0, err
	}
	return max(time.Since(timeFrom(at)), 0), nil
}

// Pending implements ports.Outbox.
func (o *Outbox) Pending(ctx context.Context) (int, error) {
	var count int64
	err := o.db.read(ctx, "count events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		count, err = q.CountEvents(ctx, ports.PendingLimit)
		return err
	})
	return int(count), err
}
