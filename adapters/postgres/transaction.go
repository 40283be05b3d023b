package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
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
		err = ctx.Err()
	}
	if err != nil {
		_ = tx.Rollback(ctx) // the connection is closed when this fails, and the server takes everything back
		return err
	}
	commit, cancel := outlasting(ctx, commitGrace)
	defer cancel()
	return tx.Commit(commit)
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
