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
