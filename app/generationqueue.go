package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"gaia/domain"
)

var (
	errGenerationCancelled = domain.NewError(domain.Conflict, "The making of the asset was cancelled")
	errGenerationLost      = domain.NewError(domain.Conflict, "Another process has taken the work over")
	errGenerationStopping  = domain.NewError(domain.Unavailable, "The server stops")
)

// Run works on assets until ctx ends: on those that the queue hands out, and on those that nobody has, because the queue lost them or who had
// them died. Then no generator is asked any more, calls that run get Config.Patience to finish, and the work goes to other processes.
func (g *Generations) Run(ctx context.Context) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var alive sync.WaitGroup
	if !g.Config.OnlyOwn {
		alive.Go(func() { g.listen(ctx, hard, &alive) })
	}
	alive.Go(func() { g.search(ctx, hard, &alive) })
	finished := make(chan struct{})
	go func() { alive.Wait(); close(finished) }()
	select {
	case <-finished: // not before ctx has ended
		return
	case <-ctx.Done():
	}
	patience := time.NewTimer(g.Config.Patience)
	defer patience.Stop()
	select {
	case <-finished:
		return
	case <-patience.C:
		cancel(errGenerationStopping)
	}
	<-finished
}

// listen takes what the queue hands out. A queue that is away is tried again.
func (g *Generations) listen(ctx, hard context.Context, alive *sync.WaitGroup) {
	for ctx.Err() == nil {
		err := g.Queue.Work(ctx, g.Config.AtOnce, func(_ context.Context, id string) bool { return g.turn(ctx, hard, alive, id) })
		if err != nil && ctx.Err() == nil {
			pause(ctx, backoffAround(g.Config.Poll))
		}
	}
}

// turn has work begun once there is room: what the queue has handed out or, when that had to wait, what is next of all that waits. So nobody
// has to stand behind everything that one caller has ordered before.
func (g *Generations) turn(ctx, hard context.Context, alive *sync.WaitGroup, id string) (done bool) {
	atOnce, place := takeSlot(ctx, g.places, true)
	if place == nil {
		return false
	}
	now, slot := takeSlot(ctx, g.slots, true)
	if slot == nil {
		place.giveBack()
		return false
	}
	ids := []string{id}
	if !atOnce || !now {
		ids = append(g.waiting(ctx), id)
	}
	alive.Go(func() { g.workOn(ctx, hard, place, slot, ids) })
	return true
}

// waiting are works that nobody does, those first that have their turn.
func (g *Generations) waiting(ctx context.Context) []string {
	ids := g.ownWork()
	if !g.Config.OnlyOwn {
		ctx, cancel := context.WithTimeout(ctx, g.Config.SaveTimeout)
		defer cancel()
		var err error
		if ids, err = g.Store.Waiting(ctx, g.Now(), g.Config.AtOnce+maxUnreadable); err != nil {
			return nil // asked again soon
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return g.unreadable.is(id, g.Now()) })
}

// keep remembers work that was asked for here, and has it begun.
func (g *Generations) keep(id string) {
	g.mu.Lock()
	g.own[id] = true
	g.mu.Unlock()
	select {
	case g.begun <- struct{}{}:
	default: // it will look anyway
	}
}

// ownWork is what was asked for here, may not have ended, and does not run here, the oldest first. Others may have it.
func (g *Generations) ownWork() (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.own {
		if g.running[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// forget drops work that nobody can do any more.
func (g *Generations) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.own, id)
}

// workOn does the first of some works that nobody has.
func (g *Generations) workOn(ctx, hard context.Context, place, slot *heldSlot, ids []string) {
	defer place.giveBack()
	defer slot.giveBack()
	for _, id := range ids {
		taken, done := g.do(ctx, hard, slot, id)
		if !done && ctx.Err() != nil {
			g.offer(ctx, id)
		}
		if taken || ctx.Err() != nil {
			return
		}
	}
}

// search looks for work that nobody does.
func (g *Generations) search(ctx, hard context.Context, alive *sync.WaitGroup) {
	for {
		g.searchOnce(ctx, hard, alive)
		timer := time.NewTimer(backoffAround(g.Config.Poll)) // not all processes at the same moment
		select {
		case <-timer.C:
		case <-g.begun:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (g *Generations) searchOnce(ctx, hard context.Context, alive *sync.WaitGroup) {
	ids := g.waiting(ctx)
	for i, id := range ids {
		_, place := takeSlot(ctx, g.places, false)
		if place == nil { // no room: who has some takes it
			return
		}
		_, slot := takeSlot(ctx, g.slots, false)
		if slot == nil {
			place.giveBack()
			return
		}
		next := []string{id}
		if g.Config.OnlyOwn { // others may have it: what stands behind it must not wait for that
			next = ids[i:]
		}
		alive.Go(func() { g.workOn(ctx, hard, place, slot, next) })
	}
}

// do does work as far as it goes and reports whether it was free, and whether nobody needs to be offered it again. soft ends when no
// generator is to be asked any more, hard when calls that run are to end.
func (g *Generations) do(soft, hard context.Context, slot *heldSlot, id string) (taken, done bool) {
	defer func() { // here, outside of the goroutine of a request, a panic would end the process
		if p := recover(); p != nil {
			g.Troubled(id, fmt.Errorf("generation: panic: %v\n%s", p, debug.Stack()))
			taken, done = true, true // it is tried again when its claim has run out, not at once
		}
	}()
	id, ok := domain.ParseID(id)
	if !ok { // anybody on the bus can offer anything
		return false, true
	}
	if g.runHere(id) != nil { // a claim that ran out here would go to another run of this process
		return false, true
	}
	now := g.Now()
	runner := g.NewID()
	bounded, cancel := context.WithTimeout(hard, g.Config.SaveTimeout)
	work, err := g.Store.Claim(bounded, id, runner, now, now.Add(g.Config.Lease))
	cancel()
	switch kind := domain.KindOf(err); {
	case codeOf(err) == domain.CodeEnded, kind == domain.NotFound && err != nil:
		g.forget(id)
		return false, true
	case kind == domain.Conflict && err != nil: // another has it
		return false, true
	case err != nil && kind == domain.Internal && hard.Err() == nil: // what is stored can't be read, perhaps by this release: others must not wait behind it
		g.unreadable.add(id, now, now.Add(g.Config.Lease))
		g.Troubled(id, err)
		return false, true
	case err != nil:
		return false, false
	}
	run := newGenerationRun(g, soft, hard, runner, slot, work)
	err = errWorkInterrupted
	defer func() { run.ended(err) }()
	if !g.enter(id, run) {
		return false, true
	}
	defer g.leave(id, run)
	err = run.execute()
	return true, g.finish(run, err)
}

// enter makes a run the one of this process. There is one at most.
func (g *Generations) enter(id string, run *generationRun) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[id] != nil {
		return false
	}
	g.running[id] = run
	return true
}

func (g *Generations) leave(id string, run *generationRun) {
	run.cancel(nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[id] == run {
		delete(g.running, id)
	}
}

// finish is what becomes of work whose run has come to an end here, well or not.
func (g *Generations) finish(run *generationRun, err error) (done bool) {
	if err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run.ctx), g.Config.SaveTimeout)
	defer cancel()
	run.abandonFiles(ctx)
	switch {
	case errors.Is(err, errGenerationCancelled):
		run.cancelTask(ctx)
		return true
	case errors.Is(err, errGenerationLost):
		return true
	case errors.Is(err, errGenerationStopping):
		_ = g.Store.Abandon(ctx, run.work.ID, run.runner) // else the claim runs out
		return false
	default: // the store is away, or something is broken: it is tried again when the claim has run out
		g.Troubled(run.work.ID, err)
		return true
	}
}
