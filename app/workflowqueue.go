package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"gaia/domain"
)

var (
	errWorkflowCancelled = domain.NewError(domain.Conflict, "The workflow was cancelled")
	errWorkflowLost      = domain.NewError(domain.Conflict, "Another process has taken the workflow over")
	errWorkflowStopping  = domain.NewError(domain.Unavailable, "The server stops")
)

// Run works on workflows until ctx ends: on those that the queue hands out, and on those that nobody has, because the queue lost them or
// who had them died. Then no more steps begin, those that run get Config.Patience to finish, and the workflows go to other processes.
func (w *Workflows) Run(ctx context.Context) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var alive sync.WaitGroup
	if !w.Config.OnlyOwn {
		alive.Go(func() { w.listen(ctx, hard) })
	}
	alive.Go(func() { w.search(ctx, hard, &alive) })
	finished := make(chan struct{})
	go func() { alive.Wait(); close(finished) }()
	select {
	case <-finished: // not before ctx has ended
		return
	case <-ctx.Done():
	}
	patience := time.NewTimer(w.Config.Patience)
	defer patience.Stop()
	select {
	case <-finished:
		return
	case <-patience.C:
		cancel(errWorkflowStopping)
	}
	<-finished
}

// listen takes what the queue hands out. A queue that is away is tried again.
func (w *Workflows) listen(ctx, hard context.Context) {
	for ctx.Err() == nil {
		err := w.Queue.Work(ctx, w.Config.AtOnce, func(_ context.Context, id string) bool {
			select {
			case w.slots <- struct{}{}:
				defer func() { <-w.slots }()
				return w.work(ctx, hard, id)
			case <-ctx.Done():
				return false
			}
		})
		if err != nil && ctx.Err() == nil {
			pause(ctx, backoffAround(w.Config.Poll))
		}
	}
}

// search looks for workflows that nobody works on.
func (w *Workflows) search(ctx, hard context.Context, alive *sync.WaitGroup) {
	for {
		w.searchOnce(ctx, hard, alive)
		timer := time.NewTimer(backoffAround(w.Config.Poll)) // not all processes at the same moment
		select {
		case <-timer.C:
		case <-w.begun:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// keep remembers a workflow that was started here, and has it worked on.
func (w *Workflows) keep(id string) {
	w.mu.Lock()
	w.own[id] = true
	w.mu.Unlock()
	select {
	case w.begun <- struct{}{}:
	default: // it will look anyway
	}
}

// isOthers reports whether a workflow is left to other processes.
func (w *Workflows) isOthers(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Config.OnlyOwn && !w.own[id]
}

func (w *Workflows) searchOnce(ctx, hard context.Context, alive *sync.WaitGroup) {
	bounded, cancel := context.WithTimeout(ctx, w.Config.SaveTimeout)
	defer cancel()
	ids, err := w.Store.Waiting(bounded, w.Now(), w.Config.AtOnce+maxUnreadable)
	if err != nil {
		return // tried again soon
	}
	for _, id := range ids {
		if w.isOthers(id) || w.unreadable.is(id, w.Now()) {
			continue
		}
		select {
		case w.slots <- struct{}{}:
			alive.Go(func() {
				defer func() { <-w.slots }()
				if !w.work(ctx, hard, id) && ctx.Err() != nil {
					w.offer(ctx, id)
				}
			})
		default: // no room: who has some takes it
			return
		}
	}
}

// maxUnreadable is how much work that can't be claimed is remembered.
const maxUnreadable = 100

// unreadableWork is what could not be claimed here, and until when that is not tried again.
type unreadableWork struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (u *unreadableWork) add(id string, now, until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.until, func(_ string, until time.Time) bool { return !now.Before(until) })
	if u.until == nil {
		u.until = map[string]time.Time{}
	}
	if len(u.until) < maxUnreadable {
		u.until[id] = until
	}
}

func (u *unreadableWork) is(id string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, known := u.until[id]
	return known && now.Before(until)
}

// work runs a workflow as far as it goes and reports whether nobody needs to be offered it again. soft ends when no more steps are to begin,
// hard when those that run are to end.
func (w *Workflows) work(soft, hard context.Context, id string) (done bool) {
	defer func() { // here, outside of the goroutine of a request, a panic would end the process
		if p := recover(); p != nil {
			w.Troubled(id, fmt.Errorf("workflow: panic: %v\n%s", p, debug.Stack()))
			done = true // it is tried again when its claim has run out, not at once
		}
	}()
	id, err := workflowID(id)
	if err != nil { // anybody on the bus can offer anything
		return true
	}
	if w.runHere(id) != nil { // a claim that ran out here would go to another run of this process
		return true
	}
	now := w.Now()
	runner := w.NewID()
	bounded, cancel := context.WithTimeout(hard, w.Config.SaveTimeout)
	flow, steps, err := w.Store.Claim(bounded, id, runner, now, now.Add(w.Config.Lease))
	cancel()
	switch kind := domain.KindOf(err); {
	case kind == domain.Conflict && err != nil, kind == domain.NotFound && err != nil: // it has ended, or another has it
		return true
	case err != nil && kind == domain.Internal && hard.Err() == nil: // what is stored can't be read, perhaps by this release: others must not wait behind it
		w.unreadable.add(id, now, now.Add(w.Config.Lease))
		w.Troubled(id, err)
		return true
	case err != nil:
		return false
	}
	run := newWorkflowRun(w, soft, hard, runner, flow, steps)
	w.mu.Lock()
	w.running[id] = run
	w.mu.Unlock()
	defer func() {
		run.cancel(nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running[id] == run {
			delete(w.running, id)
		}
	}()
	err = errWorkInterrupted
	defer func() { run.ended(err) }()
	err = run.execute()
	return w.finish(run, err)
}

// finish is what becomes of a workflow whose run has come to an end here, well or not.
func (w *Workflows) finish(run *workflowRun, err error) (done bool) {
	switch {
	case err == nil, errors.Is(err, errWorkflowLost), errors.Is(err, errWorkflowCancelled):
		return true
	case errors.Is(err, errWorkflowStopping):
	default: // the store is away, or something is broken: it is tried again when the claim has run out
		w.Troubled(run.flow.ID, err)
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run.ctx), w.Config.SaveTimeout)
	defer cancel()
	_ = w.Store.Abandon(ctx, run.flow.ID, run.runner) // else the claim runs out
	return false
}
