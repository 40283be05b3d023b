package postgres

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Outbox = (*Outbox)(nil)

// Outbox keeps events until they are sent.
type Outbox struct{ db *Store }

// Outbox returns the store of events that wait.
func (s *Store) Outbox() *Outbox { return &Outbox{db: s} }

// Relay implements ports.Outbox. It takes one connection and two transactions: that a sender gets events has to be stored before it gets
// them, and the lock of the one sender is the transaction's, so that one that dies or stands still gives it back, whatever pooler stands
// between. What happens in the gap between the two shows in the version of the state.
func (o *Outbox) Relay(ctx context.Context, limit int, send ports.SendEvents) (sent int, err error) {
	var sendErr error
	err = o.db.use(ctx, "relay events", func(ctx context.Context, conn *pgx.Conn) error {
		var h handing
		if err := sending(ctx, conn, func(q *sqlcgen.Queries) (err error) {
			h, err = handOut(ctx, q, limit)
			return err
		}); err != nil || len(h.rows) == 0 {
			return err
		}
		return sending(ctx, conn, func(q *sqlcgen.Queries) error {
			if version, err := q.OutboxVersion(ctx); err != nil || version != h.version {
				return err // another sender was there: what it did is not known here
			}
			var place string
			sent, place, sendErr = sendWithin(ctx, h.batch, send)
			if sent == 0 {
				return nil
			}
			return settle(ctx, q, h.rows[:sent], h.handed, cmp.Or(place, h.batch.Since), h.batch.Since)
		})
	})
	if err != nil {
		sent = 0 // they will be handed out again
	}
	return sent, errors.Join(err, sendErr)
}

// sending runs do in a transaction that has the lock of the one sender, and not at all while another has it.
func sending(ctx context.Context, conn *pgx.Conn, do func(*sqlcgen.Queries) error) error {
	return transaction(ctx, conn, func(tx pgx.Tx) error {
		q := sqlcgen.New(tx)
		if mine, err := q.LockOutbox(ctx); err != nil || !mine {
			return err
		}
		return do(q)
	})
}

// handing is what a sender gets.
type handing struct {
	rows    []sqlcgen.ListEventsRow
	batch   domain.EventBatch
	handed  []int64 // the numbers of all that senders have got
	version string  // of the state by then
}

// handOut notes what a sender gets. The state gets a new version each time.
func handOut(ctx context.Context, q *sqlcgen.Queries, limit int) (h handing, err error) {
	if h.rows, err = q.ListEvents(ctx, int32(min(max(limit, 0), math.MaxInt32))); err != nil || len(h.rows) == 0 {
		return handing{}, err
	}
	state, err := q.OutboxState(ctx)
	if err != nil {
		return handing{}, err
	}
	h.handed = stillThere(state.Handed, h.rows, len(h.rows) < limit)
	doubtful := slices.DeleteFunc(slices.Clone(h.rows), func(row sqlcgen.ListEventsRow) bool { return !slices.Contains(h.handed, row.Seq) })
	if len(doubtful) > 0 {
		h.rows = doubtful
	} else {
		for _, row := range h.rows {
			h.handed = append(h.handed, row.Seq)
		}
	}
	h.batch = domain.EventBatch{Events: eventsFromRows(h.rows), Doubt: len(doubtful) > 0, Since: state.Since}
	h.version, err = q.HandEvents(ctx, h.handed)
	return h, err
}

// stillThere leaves out the numbers of rows that went another way: an operator deleted them, or a release that notes nothing sent them.
// rows are the oldest, or all that there are.
func stillThere(handed []int64, rows []sqlcgen.ListEventsRow, all bool) []int64 {
	there := make(map[int64]bool, len(rows))
	for _, row := range rows {
		there[row.Seq] = true
	}
	last := rows[len(rows)-1].Seq
	return slices.DeleteFunc(slices.Clone(handed), func(seq int64) bool { return !there[seq] && (all || seq <= last) })
}

// settle forgets rows that were sent. The bus stands at place once none is in doubt, and until then it counts as where it was.
func settle(ctx context.Context, q *sqlcgen.Queries, sent []sqlcgen.ListEventsRow, handed []int64, place, since string) error {
	seqs := make([]int64, len(sent))
	for i, row := range sent {
		seqs[i] = row.Seq
	}
	handed = slices.DeleteFunc(handed, func(seq int64) bool { return slices.Contains(seqs, seq) })
	if len(handed) > 0 {
		place = since
	}
	if err := q.DeleteEvents(ctx, seqs); err != nil {
		return err
	}
	return q.SettleEvents(ctx, sqlcgen.SettleEventsParams{Handed: handed, Since: place})
}

// sendWithin leaves half of the time for forgetting what was sent.
func sendWithin(ctx context.Context, batch domain.EventBatch, send ports.SendEvents) (sent int, place string, err error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	sent, place, err = send(ctx, batch)
	return min(max(sent, 0), len(batch.Events)), place, err
}

func eventsFromRows(rows []sqlcgen.ListEventsRow) []domain.StoredEvent {
	events := make([]domain.StoredEvent, len(rows))
	for i, row := range rows {
		events[i] = domain.StoredEvent{ID: row.ID.String(), Subject: row.Subject, Data: row.Payload, Trace: orEmpty(row.Traceparent)}
	}
	return events
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

// Oldest implements ports.Outbox.
func (o *Outbox) Oldest(ctx context.Context) (waits time.Duration, err error) {
	var seconds float64
	err = o.db.read(ctx, "find oldest event", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if seconds, err = q.OldestEvent(ctx); noRow(err) {
			seconds, err = 0, nil
		}
		return err
	})
	return max(time.Duration(seconds*float64(time.Second)), 0), err
}

// storeEvents puts events into the outbox, in their order. What they are about must be locked by then: that keeps the order of its changes.
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

// noRow tells whether a query found nothing.
func noRow(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
