package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// commitGrace is how long a commit goes on for a caller who has left, or whose time is up. It ends in milliseconds unless the server hangs, and
// a process that stops waits for it.
const commitGrace = 2 * time.Second

// transaction runs work in a transaction. A caller who leaves ends it while it can be taken back, and not any more once it is being
// committed: a commit that is cut off may be carried out all the same, and the caller would be told to try again.
func transaction(ctx context.Context, conn *pgx.Conn, work func(pgx.Tx) error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	if err = work(tx); err == nil {
		err = atOnce(ctx, conn, tx.Commit)
	}
	if err != nil {
		_ = tx.Rollback(ctx) // the connection is closed when this fails, and the server takes everything back that was not committed
	}
	return err
}

// atOnce runs what can't be taken back once it was sent: a commit, or statements that are a transaction by themselves. It outlasts its caller.
func atOnce(ctx context.Context, conn *pgx.Conn, work func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	longer, cancel := outlasting(ctx, commitGrace)
	defer cancel()
	return orInDoubt(conn, work(longer))
}

// inDoubtError is a failure of which nobody knows whether the change is stored all the same.
type inDoubtError struct{ cause error }

func (e *inDoubtError) Error() string { return "the outcome is not known: " + e.cause.Error() }
func (e *inDoubtError) Unwrap() error { return e.cause }

// orInDoubt tells a failure that leaves the outcome open from those that say that nothing is stored: those of a server that has answered, and of
// a request that never went out.
func orInDoubt(conn *pgx.Conn, err error) error {
	var refused *pgconn.PgError
	if err == nil || !conn.IsClosed() || errors.As(err, &refused) || pgconn.SafeToRetry(err) {
		return err
	}
	return &inDoubtError{err}
}

// outlasting returns a context that ends a grace after another one has. Its caller must cancel it.
func outlasting(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}
