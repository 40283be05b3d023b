package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// OpenTraced opens a store whose statements a test can see.
func OpenTraced(ctx context.Context, c Config, tracer pgx.QueryTracer) (*Store, error) {
	c = c.withDefaults()
	pool, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	pool.ConnConfig.Tracer = tracer
	return open(ctx, c, pool)
}

// Hold takes a connection of the pool.
func (s *Store) Hold(ctx context.Context) (release func(), err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Release, nil
}
