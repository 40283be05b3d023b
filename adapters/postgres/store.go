package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"gaia/adapters/internal/history"
	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/ports"
)

var _ ports.Probe = (*Store)(nil)

// Config says where the database is and how much of it to use. Zero values get defaults.
type Config struct {
	URL              string
	PoolSize         int           // connections in normal times
	MaxOverflow      int           // connections more under load
	AcquireTimeout   time.Duration // longest wait for a connection, a new one included
	StatementTimeout time.Duration // longest wait for the work on one connection
	Recycle          time.Duration // age at which a connection is replaced
	Observe          Observe       // nil: nobody does
}

const (
	defaultPoolSize         = 20
	defaultAcquireTimeout   = 3 * time.Second
	defaultStatementTimeout = 5 * time.Second
	defaultRecycle          = 30 * time.Minute
	minIdle                 = 2
	connectTimeout          = 3 * time.Second // a server that doesn't answer for so long is away
	pingTimeout             = time.Second
	idleTimeout             = 5 * time.Minute
)

func (c Config) withDefaults() Config {
	setDefault(&c.PoolSize, defaultPoolSize)
	setDefault(&c.AcquireTimeout, defaultAcquireTimeout)
	setDefault(&c.StatementTimeout, defaultStatementTimeout)
	setDefault(&c.Recycle, defaultRecycle)
	c.MaxOverflow = max(c.MaxOverflow, 0)
	return c
}

func setDefault[T int | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Store is a pool of connections to one database. It probes it, and carries the stores of the ports.
type Store struct {
	pool    *pgxpool.Pool
	config  Config
	history *history.Cache
}

// Open makes a store. It doesn't wait for the database and succeeds while it is away; only a malformed URL is an error.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	pool, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	return open(ctx, c, pool)
}

func open(ctx context.Context, c Config, pc *pgxpool.Config) (*Store, error) {
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), pc)
	if err != nil {
		return nil, fmt.Errorf("postgres open: %w", err)
	}
	return &Store{pool: pool, config: c, history: history.New(0)}, nil
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errBadURL(err)
	}
	pc.MaxConns = int32(min(c.PoolSize+c.MaxOverflow, math.MaxInt16)) // #nosec G115 -- both are above 0, and the bound is below
	pc.MinIdleConns = min(minIdle, pc.MaxConns)
	pc.MaxConnLifetime = c.Recycle
	pc.MaxConnLifetimeJitter = c.Recycle / 10
	pc.MaxConnIdleTime = idleTimeout
	pc.PingTimeout = min(c.AcquireTimeout, pingTimeout)
	if c.Observe != nil {
		pc.ConnConfig.Tracer = observer{c.Observe}
	}
	pc.ConnConfig.ConnectTimeout = min(c.AcquireTimeout, connectTimeout)
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// By SET and not as startup parameters: poolers between us and the server refuse parameters that they don't know.
		ms := c.StatementTimeout.Milliseconds()
		set := fmt.Sprintf("SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d", ms, 2*ms)
		return conn.PgConn().Exec(ctx, set).Close()
	}
	return pc, nil
}

// Close waits for running calls and closes all connections.
func (s *Store) Close() { s.pool.Close() }

// Personas returns the store of personas and preferences.
func (s *Store) Personas() *PersonaStore { return &PersonaStore{db: s} }

// Conversations returns the store of conversations.
func (s *Store) Conversations() *ConversationStore { return &ConversationStore{db: s} }

// read runs queries that change nothing, and runs them again when the connection turned out to be dead: the pool notices only by
// using it.
func (s *Store) read(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.readOn(ctx, op, func(ctx context.Context, conn *pgx.Conn) error { return query(ctx, sqlcgen.New(conn)) })
}

// readOn is read for queries that are put together as they are needed.
func (s *Store) readOn(ctx context.Context, op string, work func(context.Context, *pgx.Conn) error) error {
	err := s.use(ctx, op, work)
	var lost *lostError
	if errors.As(err, &lost) && !errors.Is(err, context.DeadlineExceeded) {
		err = s.use(ctx, op, work)
	}
	return err
}

// write runs queries in one transaction.
func (s *Store) write(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.use(ctx, op, func(ctx context.Context, conn *pgx.Conn) error {
		return transaction(ctx, conn, func(tx pgx.Tx) error { return query(ctx, sqlcgen.New(tx)) })
	})
}

// once runs a query of one statement, which is a transaction by itself and outlasts its caller like the end of one.
func (s *Store) once(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.use(ctx, op, func(ctx context.Context, conn *pgx.Conn) error {
		return atOnce(ctx, conn, func(ctx context.Context) error { return query(ctx, sqlcgen.New(conn)) })
	})
}

// use runs work on a connection. Neither the wait for the connection nor the work takes longer than configured; what can't be
// taken back any more may go on for commitGrace after that.
func (s *Store) use(ctx context.Context, op string, work func(context.Context, *pgx.Conn) error) error {
	acquire, cancelAcquire := context.WithTimeout(ctx, s.config.AcquireTimeout)
	defer cancelAcquire()
	conn, err := s.pool.Acquire(acquire)
	if err != nil {
		return translate(ctx, op, &unreachableError{err})
	}
	defer conn.Release()
	statement, cancelStatement := context.WithTimeout(ctx, s.config.StatementTimeout)
	defer cancelStatement()
	err = work(statement, conn.Conn())
	if err != nil && conn.Conn().IsClosed() {
		err = &lostError{err}
	}
	return translate(ctx, op, err)
}
