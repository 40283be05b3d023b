package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"gaia/domain"
)

const (
	// lastChange is read by the check: it is among the last that migrations add, so a schema that is too old is noticed.
	lastChange = "SELECT traceparent FROM workflows LIMIT 0"
	// busyWait is how long the check waits for a connection of the pool before it makes one of its own.
	busyWait = 300 * time.Millisecond
	// busy is what clients read when the database answers and all connections are in use.
	busy = "All connections to the database are in use"
)

// Check implements ports.Probe. A pool whose connections are all in use says nothing about the server, so it is asked over a connection that
// is made for that: a process that has much to do must not be taken for one that can't do anything.
func (s *Store) Check(ctx context.Context) domain.PartHealth {
	start := time.Now()
	status, detail := domain.Healthy, ""
	err := s.checkPooled(ctx)
	if errors.Is(err, errBusy) {
		if err = s.checkBeside(ctx); err == nil {
			status, detail = domain.Degraded, busy
		}
	}
	health := domain.PartHealth{Status: status, Detail: detail, ResponseTime: time.Since(start)}
	if err != nil {
		health.Status, health.Detail = domain.Unhealthy, away
		var missing *domain.Error
		if errors.As(err, &missing) && missing.Kind == domain.Unavailable {
			health.Detail = missing.Message
		}
	}
	return health
}

var errBusy = errors.New("no connection of the pool is free")

func (s *Store) checkPooled(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, busyWait)
	defer cancel()
	conn, err := s.pool.Acquire(wait)
	if err != nil {
		return s.cannotAcquire(ctx, err)
	}
	defer conn.Release()
	return s.look(ctx, conn.Conn())
}

// cannotAcquire tells a pool that is in use from a server that is away: that may take longer to be sure of.
func (s *Store) cannotAcquire(ctx context.Context, err error) error {
	if stat := s.pool.Stat(); ctx.Err() == nil && (allInUse(stat) || errors.Is(err, context.DeadlineExceeded)) {
		return errBusy
	}
	return translate(ctx, "check", &unreachableError{err})
}

func allInUse(s *pgxpool.Stat) bool { return s.AcquiredConns() >= s.MaxConns() }

// checkBeside asks the server over a connection of its own.
func (s *Store) checkBeside(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return translate(ctx, "check", &unreachableError{err})
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return s.look(ctx, conn)
}

func (s *Store) look(ctx context.Context, conn *pgx.Conn) error {
	statement, cancel := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancel()
	_, err := conn.Exec(statement, lastChange)
	return translate(ctx, "check", err)
}
