package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"gaia/adapters/sqlite/internal/sqlcgen"
)

// maxGroup bounds how many callers share a transaction, and with it how long the first of them waits for the last.
const maxGroup = 128

// errClosed is for those who come after Close.
var errClosed = errors.New("the database is closed")

// group makes one transaction of what several callers want to write at the same moment: a commit costs more than what it commits.
// There is no goroutine for it. Of those who wait, one writes for all of them; who comes meanwhile is in the next transaction. Whoever
// is alone writes at once.
type group struct {
	writer *sql.DB
	writes *sqlcgen.Queries
	lead   chan struct{} // holds one token: who has it writes

	mu      sync.Mutex
	waiting []*job
	closed  bool
}

// job is what one caller wants to write.
type job struct {
	ctx  context.Context //nolint:containedctx // who writes for another must know whether that one has left
	work func(context.Context, *sqlcgen.Queries) error
	done chan error // takes the outcome, once
}

func newGroup(writer *sql.DB, writes *sqlcgen.Queries) *group {
	g := &group{writer: writer, writes: writes, lead: make(chan struct{}, 1)}
	g.lead <- struct{}{}
	return g
}

// run returns when the work is committed or has failed. Work must change nothing but the database: it runs again when another one in
// the same transaction fails. It gets a context that never ends, because watching one costs more than a statement. A caller that leaves
// before its work has begun has written nothing; later it waits for the outcome.
func (g *group) run(ctx context.Context, work func(context.Context, *sqlcgen.Queries) error) error {
	j := &job{ctx: ctx, work: work, done: make(chan error, 1)}
	if err := g.enter(j); err != nil {
		return err
	}
	for {
		select {
		case err := <-j.done:
			return err
		case <-g.lead:
			if err := g.commitWaiting(ctx); err != nil && g.leave(j) {
				return err
			}
		case <-ctx.Done():
			if g.leave(j) {
				return ctx.Err()
			}
			return <-j.done
		}
	}
}

func (g *group) enter(j *job) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errClosed
	}
	g.waiting = append(g.waiting, j)
	return nil
}

// leave reports whether the job was still waiting.
func (g *group) leave(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, j)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// take returns the jobs of the next transaction. Those whose caller has left are not among them.
func (g *group) take() []*job {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), maxGroup)
	taken := make([]*job, 0, n)
	for _, j := range g.waiting[:n] {
		if err := j.ctx.Err(); err != nil {
			j.done <- err
			continue
		}
		taken = append(taken, j)
	}
	g.waiting = slices.Delete(g.waiting, 0, n)
	return taken
}

// commitWaiting runs one transaction for those who wait; the caller has taken the token. An error says that there was no transaction:
// nobody's work has begun then.
func (g *group) commitWaiting(ctx context.Context) error {
	defer func() { g.lead <- struct{}{} }()
	conn, err := g.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := begin(conn)
	if err != nil {
		return err
	}
	jobs := g.take()
	outcome := make([]error, len(jobs))
	for i := range outcome {
		outcome[i] = errPanic // unless something better is known
	}
	defer func() {
		for i, j := range jobs {
			j.done <- outcome[i]
		}
	}()
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	if g.commitAll(tx, jobs) {
		clear(outcome)
		return nil
	}
	_ = tx.Rollback()
	g.commitEach(conn, jobs, outcome)
	return nil
}

var errPanic = errors.New("the transaction ended in a panic")

// commitAll is the usual case, without savepoints. It reports whether everything is committed.
func (g *group) commitAll(tx *sql.Tx, jobs []*job) bool {
	q := g.writes.WithTx(tx)
	for _, j := range jobs {
		if j.work(context.Background(), q) != nil {
			return false
		}
	}
	return tx.Commit() == nil
}

// commitEach finds out whose work fails, and commits that of the others.
func (g *group) commitEach(conn *sql.Conn, jobs []*job, outcome []error) {
	failAll := func(err error) {
		for i := range outcome {
			if outcome[i] == nil || errors.Is(outcome[i], errPanic) {
				outcome[i] = err
			}
		}
	}
	tx, err := begin(conn)
	if err != nil {
		failAll(err)
		return
	}
	defer func() { _ = tx.Rollback() }()
	q := g.writes.WithTx(tx)
	for i, j := range jobs {
		var broken error
		if outcome[i], broken = inSavepoint(tx, func(ctx context.Context) error { return j.work(ctx, q) }); broken != nil {
			failAll(broken)
			return
		}
	}
	if err := tx.Commit(); err != nil {
		failAll(err)
	}
}

// inSavepoint takes back what work did when it fails. broken says that this could not be done.
func inSavepoint(tx *sql.Tx, work func(context.Context) error) (failed, broken error) {
	ctx := context.Background()
	if _, err := tx.ExecContext(ctx, "SAVEPOINT job"); err != nil {
		return nil, err
	}
	end := "RELEASE job"
	if failed = work(ctx); failed != nil {
		end = "ROLLBACK TO job; RELEASE job"
	}
	if _, err := tx.ExecContext(ctx, end); err != nil {
		// A full disk ends the whole transaction, and the work's error tells why.
		return nil, errors.Join(failed, err)
	}
	return failed, nil
}

// begin waits for other processes no longer than the connection's busy timeout.
func begin(conn *sql.Conn) (*sql.Tx, error) { return conn.BeginTx(context.Background(), nil) }

// close runs what still waits. Nobody can come any more.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	for {
		<-g.lead
		g.mu.Lock()
		left := len(g.waiting)
		g.mu.Unlock()
		if left == 0 {
			return // with the token: nobody needs it again
		}
		if err := g.commitWaiting(context.Background()); err != nil {
			g.fail(err)
		}
	}
}

// fail tells everybody who waits.
func (g *group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range g.waiting {
		j.done <- err
	}
	g.waiting = nil
}
