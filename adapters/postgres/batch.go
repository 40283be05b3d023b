package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"gaia/adapters/postgres/internal/sqlcgen"
)

var _ sqlcgen.DBTX = (*batch)(nil)

// batch collects statements that go to the server together, in one round trip and one transaction: the first that fails takes the
// others with it. sqlcgen.New(batch) queues what it is asked to run, and its results mean nothing; only what statements return to
// results is real.
type batch struct{ queued pgx.Batch }

// Exec queues a statement.
func (b *batch) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	b.queued.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// QueryRow queues a statement whose row result will take.
func (b *batch) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	b.queued.Queue(sql, args...)
	return rowToCome{}
}

// Query can't be queued: who asks wants to read at once.
func (b *batch) Query(context.Context, string, ...any) (pgx.Rows, error) {
	return nil, errors.New("postgres: a batch has no rows")
}

// result tells where the only column of the statement queued last goes to when the batch runs.
func (b *batch) result(into any) {
	b.queued.QueuedQueries[b.queued.Len()-1].QueryRow(func(row pgx.Row) error { return row.Scan(into) })
}

// refusal tells what it means when the statement queued last fails in a certain way.
func (b *batch) refusal(meaning func(error) error) {
	b.queued.QueuedQueries[b.queued.Len()-1].Fn = func(r pgx.BatchResults) error {
		_, err := r.Exec()
		return meaning(err)
	}
}

// changes fails the batch when the statement queued last changes no row.
func (b *batch) changes(otherwise error) {
	b.queued.QueuedQueries[b.queued.Len()-1].Fn = func(r pgx.BatchResults) error {
		tag, err := r.Exec()
		if err == nil && tag.RowsAffected() == 0 {
			err = otherwise
		}
		return err
	}
}

// run sends everything. Without a BEGIN the server takes statements that come in one piece for one transaction.
func (b *batch) run(ctx context.Context, conn *pgx.Conn) error {
	return conn.SendBatch(ctx, &b.queued).Close()
}

type rowToCome struct{}

func (rowToCome) Scan(...any) error { return nil }
