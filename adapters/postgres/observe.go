package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Observe is told of each query before it goes to the server, by its name, never by what it asks for. It returns the context that the
// query goes on with, and what is called at its end.
type Observe func(ctx context.Context, query string) (context.Context, func(error))

var (
	_ pgx.QueryTracer = observer{}
	_ pgx.BatchTracer = observer{}
)

// observer tells of queries where the driver allows it.
type observer struct{ observe Observe }

type observedKey struct{}

func (o observer) start(ctx context.Context, name string) context.Context {
	ctx, end := o.observe(ctx, name)
	return context.WithValue(ctx, observedKey{}, end)
}

func ended(ctx context.Context, err error) {
	if end, ok := ctx.Value(observedKey{}).(func(error)); ok {
		end(err)
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (o observer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return o.start(ctx, queryName(q.SQL))
}

// TraceQueryEnd implements pgx.QueryTracer.
func (observer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	ended(ctx, q.Err)
}

// TraceBatchStart implements pgx.BatchTracer. A batch is one round trip, and one query here.
func (o observer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return o.start(ctx, "batch")
}

// TraceBatchQuery implements pgx.BatchTracer.
func (observer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (observer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, b pgx.TraceBatchEndData) {
	ended(ctx, b.Err)
}

// queryName is the name that the file of a query gives it, or the first word of one that is put together as it is needed.
func queryName(sql string) string {
	if rest, named := strings.CutPrefix(sql, "-- name: "); named {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	word := strings.TrimLeft(sql, " \t\n")
	if end := strings.IndexFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }); end >= 0 {
		word = word[:end]
	}
	return strings.ToLower(word)
}

// PoolState is how the connections are used.
type PoolState struct {
	Max, InUse, Idle int
	Waited           float64 // seconds that callers have waited for a connection, all together
	Refused          int64   // waits that ended without one
}

// Pool tells how the connections are used.
func (s *Store) Pool() PoolState {
	p := s.pool.Stat()
	return PoolState{
		Max: int(p.MaxConns()), InUse: int(p.AcquiredConns()), Idle: int(p.IdleConns()),
		Waited: p.AcquireDuration().Seconds(), Refused: p.CanceledAcquireCount(),
	}
}
