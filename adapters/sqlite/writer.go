package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
)

// writer is the one connection that writes, with everything that it runs compiled. It is no *sql.Tx because what goes with one costs as
// much as a statement or two.
type writer struct {
	conn                  *sql.Conn
	timeout               time.Duration // of the wait for other processes
	queries               *sqlcgen.Queries
	beginStmt, commitStmt *sql.Stmt
	rollbackStmt          *sql.Stmt
	startStmt, keepStmt   *sql.Stmt // of a savepoint
	takeBackStmt          *sql.Stmt
}

func newWriter(ctx context.Context, pool *sql.DB, timeout time.Duration) (_ *writer, err error) {
	w := &writer{timeout: timeout}
	if w.conn, err = pool.Conn(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = w.conn.Close()
		}
	}()
	for query, stmt := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &w.beginStmt, "COMMIT": &w.commitStmt, "ROLLBACK": &w.rollbackStmt,
		"SAVEPOINT job": &w.startStmt, "RELEASE job": &w.keepStmt, "ROLLBACK TO job": &w.takeBackStmt,
	} {
		//nolint:sqlclosecheck // they live as long as the connection
		if *stmt, err = w.conn.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
	}
	w.queries, err = sqlcgen.Prepare(ctx, w.conn)
	return w, err
}

// lockRound is the connection's busy timeout. SQLite asks for a lock ever less often the longer it waits, ten times a second in the end, and
// never gets it from a process that writes without a pause: so the wait begins anew before that.
const lockRound = 50 * time.Millisecond

// begin takes the file's only write lock. It waits for other processes about as long as the store's timeout. Its ctx must not end: the driver
// may then report an error although the transaction has begun, and nobody would end it.
func (w *writer) begin(ctx context.Context) error {
	for since := time.Now(); ; {
		_, err := w.beginStmt.ExecContext(ctx)
		if err == nil || !isBusy(err) || time.Since(since) >= w.timeout {
			return err
		}
	}
}

// commit never stops half-way: whoever left gets a clear outcome all the same.
func (w *writer) commit() error {
	_, err := w.commitStmt.ExecContext(context.Background())
	return err
}

// rollback fails when there is no transaction, because it is committed or because SQLite has ended it itself. Both is what is wanted.
func (w *writer) rollback() { _, _ = w.rollbackStmt.ExecContext(context.Background()) }

// transaction runs work in a transaction of its own.
func (w *writer) transaction(ctx context.Context, work func(context.Context, *sqlcgen.Queries) error) error {
	if err := w.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			w.rollback()
		}
	}()
	if err := work(ctx, w.queries); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := w.commit()
	committed = err == nil
	return err
}

// inSavepoint takes back what work did when it fails. broken says that this could not be done.
func (w *writer) inSavepoint(ctx context.Context, work func(context.Context, *sqlcgen.Queries) error) (failed, broken error) {
	if _, err := w.startStmt.ExecContext(ctx); err != nil {
		return nil, err
	}
	if failed = work(ctx, w.queries); failed != nil {
		if _, err := w.takeBackStmt.ExecContext(ctx); err != nil {
			return nil, errors.Join(failed, err) // a full disk ends the whole transaction, and the work's error tells why
		}
	}
	_, broken = w.keepStmt.ExecContext(ctx)
	return failed, broken
}
