package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
)

// maxGroup bounds how many callers share a transaction, and with it how long the first of them waits for the last.
const maxGroup = 128

// errClosed is for those who come after Close.
var errClosed = errors.New("the database is closed")

// group makes one transaction of what several callers want to write at the same moment: a commit costs more than what it commits.
// There is no goroutine for it. Of those who wait, one writes for all of them; who comes meanwhile is in the next transaction. Whoever
// is alone writes at once.
type group struct {
	*writer
	checkpoints *checkpointer
	lead        chan struct{} // holds one token: who has it has the writer
	ended       chan struct{} // is closed when nobody may come any more

	commits atomic.Int64
	mu      sync.Mutex
	waiting []*job
	closed  bool
}

// job is what one caller wants to write.
type job struct {
	ctx  context.Context //nolint:containedctx // who writes for another must know whether that one has left
	size int             // bytes that it writes, when they may be many
	work func(context.Context, *sqlcgen.Queries) error
	done chan error // takes the outcome, once
}

// context is that of the work: it never ends, and knows which trace the job is of.
func (j *job) context() context.Context {
	return domain.WithTrace(context.Background(), domain.TraceOf(j.ctx))
}

func newGroup(w *writer, c *checkpointer) *group {
	g := &group{writer: w, checkpoints: c, lead: make(chan struct{}, 1), ended: make(chan struct{})}
	g.lead <- struct{}{}
	return g
}

// run returns when the work is committed or has failed. Work must change nothing but the database: it runs again when another one in
// the same transaction fails. It gets a context that never ends, because watching one costs more than a statement. A caller that leaves
// before its work has begun has written nothing; later it waits for the outcome.
func (g *group) run(ctx context.Context, size int, work func(context.Context, *sqlcgen.Queries) error) error {
	j := &job{ctx: ctx, size: size, work: work, done: make(chan error, 1)}
	if err := g.enter(j); err != nil {
		return err
	}
	for {
		select {
		case err := <-j.done:
			return err
		case <-g.lead:
			if err := g.commitWaiting(); err != nil && g.leave(j) {
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

func (g *group) waits() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
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
func (g *group) commitWaiting() error {
	defer func() { g.lead <- struct{}{} }()
	if g.waits() == 0 { // another has written for everybody, and the token came before its word of that
		return nil
	}
	g.checkpoints.catchUp()
	if err := g.begin(context.Background()); err != nil {
		return err
	}
	jobs := g.take()
	outcome := slices.Repeat([]error{errPanic}, len(jobs)) // unless something better is known
	ended := false
	defer func() {
		if !ended {
			g.rollback()
		}
		for i, j := range jobs {
			j.done <- outcome[i]
		}
	}()
	if ended = g.commitAll(jobs); ended {
		clear(outcome)
	} else {
		g.rollback()
		ended = g.commitEach(jobs, outcome)
	}
	size := 0
	for _, j := range jobs {
		size += j.size
	}
	g.checkpoints.wrote(pagesOf(len(jobs), size))
	g.commits.Add(1)
	return nil
}

var errPanic = errors.New("the transaction ended in a panic")

// commitAll is the usual case, without savepoints. It reports whether everything is committed.
func (g *group) commitAll(jobs []*job) bool {
	for _, j := range jobs {
		if j.work(j.context(), g.queries) != nil {
			return false
		}
	}
	return g.commit() == nil
}

// commitEach finds out whose work fails, and commits that of the others. It reports whether it came to a commit.
func (g *group) commitEach(jobs []*job, outcome []error) bool {
	err := g.begin(context.Background())
	for i := 0; i < len(jobs) && err == nil; i++ {
		outcome[i], err = g.inSavepoint(jobs[i].context(), jobs[i].work)
	}
	if err == nil {
		err = g.commit()
	}
	if err == nil {
		return true
	}
	for i := range outcome {
		if outcome[i] == nil || errors.Is(outcome[i], errPanic) {
			outcome[i] = err
		}
	}
	return false
}

// pagesOf guesses how many pages of the log a transaction takes: the pages of all indexes once, a few for each job, and those that long
// texts fill.
func pagesOf(jobs, size int) int { return 9 + 3*jobs + size/4000 }

// alone does something while nobody else writes, or returns why it could not wait for that.
func (g *group) alone(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-g.lead:
	case <-g.ended:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { g.lead <- struct{}{} }()
	g.checkpoints.catchUp()
	return do()
}

// close runs what still waits, and ends the connection. Nobody can come any more.
func (g *group) close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	close(g.ended)
	for {
		<-g.lead
		if g.waits() == 0 {
			return g.conn.Close() // and keeps the token: nobody may write any more
		}
		if err := g.commitWaiting(); err != nil {
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
