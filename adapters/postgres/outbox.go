package postgres

import (
	"context"
	"errors"
	"math"
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
func (o *Outbox) Relay(
	ctx context.Context, limit int, send func(context.Context, []domain.StoredEvent) (int, error),
) (sent int, err error) {
	var sendErr error
	err = o.db.write(ctx, "relay events", func(ctx context.Context, q *sqlcgen.Queries) error {
		mine, err := q.LockOutbox(ctx)
		if err != nil || !mine {
			return err
		}
		rows, err := q.ListEvents(ctx, int32(min(max(limit, 0), math.MaxInt32)))
		if err != nil || len(rows) == 0 {
			return err
		}
		sent, sendErr = sendWithin(ctx, eventsFromRows(rows), send)
		if sent == 0 {
			return nil
		}
		seqs := make([]int64, sent)
		for i := range seqs {
			seqs[i] = rows[i].Seq
		}
		return q.DeleteEvents(ctx, seqs)
	})
	if err != nil {
		sent = 0 // they will be handed out again
	}
	return sent, errors.Join(err, sendErr)
}

// sendWithin leaves half of the time for forgetting what was sent.
func sendWithin(
	ctx context.Context, events []domain.StoredEvent, send func(context.Context, []domain.StoredEvent) (int, error),
) (int, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	sent, err := send(ctx, events)
	return min(max(sent, 0), len(events)), err
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
