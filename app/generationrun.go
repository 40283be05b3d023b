package app

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// How generators are asked.
const (
	firstCheck    = 2 * time.Second // between two looks at a task whose generator does not say when to look
	lastCheck     = 10 * time.Second
	checkGap      = time.Second      // the least, whatever news come
	firstRetry    = time.Second      // after a generator has said: not now; doubled each time
	lastRetry     = time.Minute      // its end
	triesEach     = 3                // of a generator that takes no orders, while there is another one
	callTimeout   = 30 * time.Second // of a call that orders nothing
	graceAfter    = 10 * time.Minute // after the deadline, for what was made by then
	progressEvery = time.Second
	appearsIn     = 30 * time.Second // in which an order that was taken is found by its generator, if ever
)

// generationRun is one process at work on an asset. What it does next follows from the attempts that are stored, so another process can go on
// from there. All but what has a lock of its own belongs to one goroutine.
type generationRun struct {
	generations *Generations
	runner      string
	ctx         context.Context //nolint:containedctx // of calls that run; it outlives each of them
	beside      context.Context //nolint:containedctx // of what is no part of the work; it ends with ctx
	cancel      context.CancelCauseFunc
	watched     func(error)
	stopping    <-chan struct{} // closed when no generator is to be asked any more
	changed     chan struct{}   // somebody has changed the work
	news        chan struct{}   // the generator has news
	files       generationFiles
	slot        *heldSlot // it has it while it works, and not while it only waits
	claimed     string    // the id of the work

	work   domain.Generation // as it is stored
	tasks  []openTask        // that the generator is at, as far as is known here
	pause  time.Duration     // until the generator is to be asked again
	checks int               // in a row that were no use
	told   time.Time         // when progress was last told
	missed time.Time         // since when an order that was written down is not found
}

// openTask is a task that is to be cancelled if the work is.
type openTask struct{ generator, id string }

func newGenerationRun(g *Generations, soft, hard context.Context, runner string, slot *heldSlot, work domain.Generation) *generationRun {
	r := &generationRun{
		generations: g, runner: runner, slot: slot, stopping: soft.Done(), changed: make(chan struct{}, 1), news: make(chan struct{}, 1),
		claimed: work.ID, work: work,
	}
	r.beside, r.cancel = context.WithCancelCause(hard)
	r.ctx, r.watched = g.Watch(r.beside, work.Trace, workGeneration)
	if last, ok := work.Last(); ok && last.Status == domain.AttemptRunning {
		r.tasks = append(r.tasks, openTask{last.Generator, last.TaskID})
	}
	return r
}

// Kinds of work.
const (
	workGeneration = "generation"
	workWorkflow   = "workflow"
)

func unwatched(ctx context.Context, _, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}

var (
	errWorkInterrupted = errors.New("the work was interrupted")
	errWorkFailed      = errors.New("the work has failed")
)

// ended tells whoever watches how the work went here.
func (r *generationRun) ended(err error) {
	if err == nil && r.work.Status == domain.GenerationFailed {
		err = errWorkFailed
	}
	r.watched(err)
}

// hear notes that there is something new.
func (r *generationRun) hear(what chan struct{}) {
	select {
	case what <- struct{}{}:
	default: // it will look anyway
	}
}

// execute does the work to its end and stores that. Any error means that it has not ended.
func (r *generationRun) execute() error {
	var renewing sync.WaitGroup
	renewing.Go(r.keepClaim)
	defer func() { r.cancel(nil); renewing.Wait() }()
	for !r.work.Status.Ended() {
		if err := r.mayGoOn(); err != nil {
			return err
		}
		if err := r.advance(); err != nil {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			return err
		}
	}
	return nil
}

func (r *generationRun) mayGoOn() error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if r.isStopping() {
		return errGenerationStopping
	}
	return nil
}

func (r *generationRun) isStopping() bool {
	select {
	case <-r.stopping:
		return true
	default:
		return false
	}
}

// advance does what comes next.
func (r *generationRun) advance() error {
	now := r.generations.Now()
	if now.After(r.work.Deadline.Add(graceAfter)) {
		return r.timedOut()
	}
	a, ok := r.work.Last()
	switch {
	case !ok:
		return r.next(0)
	case a.Status == domain.AttemptBegun:
		return r.recover(a)
	case a.Status == domain.AttemptRunning:
		return r.look(a)
	case a.Status == domain.AttemptDone:
		return r.nextStage(a)
	case a.Status == domain.AttemptFailed && a.EndedAt.IsZero():
		return r.again(a)
	case a.Status == domain.AttemptFailed:
		return r.next(r.work.Place(a.Generator) + 1)
	default:
		return r.fail(domain.CodeOutcomeUnknown, unknownOrder(a))
	}
}

// nap waits until the generator is to be asked again, but not beyond the deadline. Of a task, news end it.
func (r *generationRun) nap(ofTask bool) error {
	left := r.work.Deadline.Sub(r.generations.Now())
	wait := min(r.pause, max(left, 0))
	r.pause = 0
	if wait <= 0 {
		return nil
	}
	r.slot.giveBack()
	if ofTask && !pauseUnless(r.ctx, r.stopping, nil, min(wait, checkGap)) {
		return r.mayGoOn()
	}
	if !ofTask {
		pauseUnless(r.ctx, r.stopping, nil, wait)
	} else if wait > checkGap {
		pauseUnless(r.ctx, r.stopping, r.news, wait-checkGap)
	}
	return r.mayGoOn()
}

// hold waits until there is room for this run to work.
func (r *generationRun) hold() error {
	if r.slot.take(r.ctx, r.stopping) {
		return nil
	}
	return r.mayGoOn()
}

// pauseUnless waits, and reports whether nothing has ended that before its time.
func pauseUnless(ctx context.Context, stopping, news <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-news:
	case <-stopping:
	case <-ctx.Done():
	}
	return false
}

// generator is the table's row of a generator and the generator itself. It is an error when this process has it not.
func (r *generationRun) generator(id string) (domain.Generator, ports.AssetGenerator, error) {
	row, listed := r.generations.Table.Find(id)
	asked := r.generations.Generators[id]
	if !listed || asked == nil {
		return row, nil, fmt.Errorf("generation %s: generator %s is not configured here", r.work.ID, id)
	}
	return row, asked, nil
}

// order is what a generator is asked for, but for what it is to adapt.
func (r *generationRun) order(a domain.GenerationAttempt, row domain.Generator) domain.GenerationOrder {
	o := domain.GenerationOrder{
		Token: a.Token, Begun: a.StartedAt, Stage: a.Stage, Request: ordered(row, r.work.Request), Model: row.Model, Seed: r.seed(),
		Notify: r.generations.NewsURL(row.ID),
	}
	if r.work.Request.MaxBytes <= 0 || r.work.Request.MaxBytes > r.generations.Config.MaxBytes {
		o.Request.MaxBytes = r.generations.Config.MaxBytes
	}
	for _, before := range r.work.Attempts {
		if before.Generator == a.Generator && before.Status == domain.AttemptDone {
			o.Previous = before.TaskID
		}
	}
	return o
}

// seed is the seed of the request, or one that is drawn for the work and is the same each time.
func (r *generationRun) seed() int64 {
	if r.work.Request.Seed != nil {
		return *r.work.Request.Seed
	}
	sum := sha256.Sum256([]byte(r.work.ID))
	return int64(binary.BigEndian.Uint32(sum[:4]))
}

// guarded makes a call of a generator. A panic is an error like one that nobody has classified.
func guarded[T any](call func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("generator: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}

// retryPause is a random pause that grows.
func retryPause(tries int) time.Duration {
	most := min(firstRetry<<min(tries, 10), lastRetry)
	return most/2 + rand.N(most/2) // #nosec G404 -- it spreads work, and guards nothing
}

// checkPause is how long a task is left alone.
func checkPause(checks int) time.Duration {
	return min(firstCheck+time.Duration(checks)*time.Second, lastCheck)
}

// clientMessage is what clients may read of an error.
func clientMessage(err error, otherwise string) string {
	var e *domain.Error
	if errors.As(err, &e) && e.Kind != domain.Internal && e.Message != "" {
		return e.Message
	}
	return otherwise
}
