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

// Relay implements ports.Outbox. The lock of the one sender is the transaction's, so a sender that dies gives it back.
func (o *Outbox) Relay(ctx context.Context, limit int, send ports.SendEvents) (sent int, err error) {
	var sendErr error
	err = o.db.write(ctx, "relay events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if mine, err := q.LockOutbox(ctx); err != nil || !mine {
			return err
		}
		rows, err := q.ListEvents(ctx, int32(min(max(limit, 0), math.MaxInt32)))
		if err != nil || len(rows) == 0 {
			return err
		}
		state, err := q.OutboxState(ctx)
		if err != nil {
			return err
		}
		handed, doubt := handOut(rows, state.Handed)
		if len(handed) != len(state.Handed) {
			if err := o.hand(ctx, handed); err != nil {
				return err
			}
		}
		var place string
		sent, place, sendErr = sendWithin(ctx, domain.EventBatch{Events: eventsFromRows(rows), Doubt: doubt, Since: state.Since}, send)
		if sent == 0 {
			return nil
		}
		return settle(ctx, q, rows[:sent], handed, cmp.Or(place, state.Since), state.Since)
	})
	if err != nil {
		sent = 0 // they will be handed out again
	}
	return sent, errors.Join(err, sendErr)
}

// handOut adds the numbers of rows to those that senders have got, and tells whether some were there.
func handOut(rows []sqlcgen.Outbox, before []int64) (handed []int64, doubt bool) {
	handed = slices.Clone(before)
	for _, row := range rows {
		if slices.Contains(before, row.Seq) {
			doubt = true
			continue
		}
		handed = append(handed, row.Seq)
	}
	return handed, doubt
}

// hand notes what a sender gets, in a transaction of its own: that of the lock ends too late.
func (o *Outbox) hand(ctx context.Context, seqs []int64) error {
	return o.db.once(ctx, "hand out events", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.HandEvents(ctx, seqs)
	})
}

// settle forgets rows that were sent. The bus stands at place once none is in doubt, and until then it counts as where it was.
func settle(ctx context.Context, q *sqlcgen.Queries, sent []sqlcgen.Outbox, handed []int64, place, since string) error {
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

func eventsFromRows(rows []sqlcgen.Outbox) []domain.StoredEvent {
	events := make([]domain.StoredEvent, len(rows))
	for i, row := range rows {
		events[i] = domain.StoredEvent{ID: row.ID.String(), Subject: row.Subject, Data: row.Payload}
	}
	return events
}

// Pending implements ports.Outbox.
func (o *Outbox) Pending(ctx context.Context) (int, error) {
	var count int64
	err := o.db.read(ctx, "count events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		count, err = q.CountEvents(ctx)
		return err
	})
	return int(count), err
}

// noRow tells whether a query found nothing.
func noRow(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
