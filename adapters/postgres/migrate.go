package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"gaia/db"
)

// MigrateUp applies every pending migration. Processes that do this at the same time wait for each other.
func MigrateUp(ctx context.Context, url string) error {
	return migrate(url, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// MigrateDown takes the last migration back; on a schema without any it does nothing.
func MigrateDown(ctx context.Context, url string) error {
	return migrate(url, func(p *goose.Provider) error {
		_, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		return err
	})
}

// MigrationStatus lists the known migrations in their order.
func MigrationStatus(ctx context.Context, url string) ([]db.Migration, error) {
	var list []db.Migration
	err := migrate(url, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			list = append(list, db.Migration{Version: s.Source.Version, Name: path.Base(s.Source.Path), AppliedAt: s.AppliedAt.UTC()})
		}
		return err
	})
	return list, err
}

func migrate(url string, do func(*goose.Provider) error) error {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return errBadURL(err)
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultAcquireTimeout
	}
	// Migrations may rightly take longer than any request: no statement timeout, the caller's ctx bounds them.
	conn := stdlib.OpenDB(*c)
	defer conn.Close()
	files, err := db.Migrations("postgres")
	if err != nil {
		return fmt.Errorf("postgres migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, files, goose.WithSessionLocker(sessionLock{}))
	if err != nil {
		return fmt.Errorf("postgres migrate: %w", err)
	}
	if err := do(p); err != nil {
		return fmt.Errorf("postgres migrate: %w", err)
	}
	return nil
}

// sessionLock makes migrations of one schema wait for each other. goose's own lock asks again after a second at the earliest.
type sessionLock struct{}

const lockPoll = 20 * time.Millisecond

// SessionLock implements lock.SessionLocker. It asks again and again because a connection that waits inside the server would
// block statements that wait for all older transactions, such as CREATE INDEX CONCURRENTLY.
func (sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	id, err := lockID(ctx, conn)
	if err != nil {
		return err
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", id).Scan(&got); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		if got {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock: %w", ctx.Err())
		case <-poll.C:
		}
	}
}

// SessionUnlock implements lock.SessionLocker.
func (sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	id, err := lockID(ctx, conn)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", id); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	return nil
}

// lockID differs by schema, so that schemas of one database don't wait for each other.
func lockID(ctx context.Context, conn *sql.Conn) (int64, error) {
	var schema string
	if err := conn.QueryRowContext(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return 0, fmt.Errorf("lock: %w", err)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("gaia migrations " + schema))
	return int64(h.Sum64()), nil // #nosec G115 -- any 64 bits make a lock
}
