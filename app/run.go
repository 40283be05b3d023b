package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"gaia/domain"
)

// Repeat makes a request one that may be sent again: all requests of a caller with the same key get the answer to the first of them.
type Repeat struct {
	Key         string
	Fingerprint string // of everything that decides the answer
	After       int    // number of the last event of a stream that the caller has; 0: none
}

// Times of runs.
const (
	runLease    = 15 * time.Second       // a run that shows no sign of life for so long is dead
	runRenewal  = 5 * time.Second        // how often a run shows one
	runPoll     = 200 * time.Millisecond // how often a run on another replica is looked for
	runLinger   = 60 * time.Second       // how long an answer goes on without anybody who listens
	maxRunSteps = 1 << 20                // of one answer
)

// eventsOfARun is how far apart the numbers are of events of an answer that had to begin again and of those before it.
const (
	eventsOfARun = 10_000_000
	maxEventID   = 1 << 53 // nobody has seen so many, and more of them would not be a number to every client
)

var errNobodyListens = domain.NewError(domain.Unavailable, "The answer was given up because nobody listened to it")

// runs are the requests with an Idempotency-Key that this process works on.
type runs struct {
	mu     sync.Mutex
	byKey  map[runKey]*run
	alive  sync.WaitGroup
	closed bool
}

type runKey struct{ owner, key string }

// run is one answer that any number of requests follow, each from its beginning.
type run struct {
	chat   *Chat
	who    domain.Principal
	req    ChatRequest
	cancel context.CancelCauseFunc

	mu        sync.Mutex
	steps     []ChatStep    // all so far
	grown     chan struct{} // closed when steps has grown
	followers int
	linger    *time.Timer
	holding   bool // a slot of its own, because no request has one for it
}

// follow joins the run of a request, beginning it when there is none.
func (c *Chat) follow(ctx context.Context, who domain.Principal, req ChatRequest) (*ChatStream, error) {
	r, err := c.join(ctx, who, req)
	if err != nil {
		return nil, err
	}
	at := 0
	next := func(ctx context.Context) ChatStep {
		step := r.step(ctx, at)
		at++
		return step
	}
	return c.stream(ctx, ChatInfo{}, next, func(context.Context) {}, r.leave)
}

// completeRun is Complete for a request with an Idempotency-Key.
func (c *Chat) completeRun(ctx context.Context, who domain.Principal, req ChatRequest) (info ChatInfo, _ ChatResult, _ error) {
	r, err := c.join(ctx, who, req)
	if err != nil {
		return ChatInfo{}, ChatResult{}, err
	}
	defer r.leave()
	for at := 0; ; at++ {
		switch step := r.step(ctx, at); {
		case step.Err != nil:
			return ChatInfo{}, ChatResult{}, step.Err
		case step.Result != nil:
			return info, *step.Result, nil
		case step.Info != nil:
			info = *step.Info
		case step.Fallback != nil:
			info.Choice = step.Fallback.To
		}
	}
}

func (c *Chat) join(ctx context.Context, who domain.Principal, req ChatRequest) (*run, error) {
	if c.Answers == nil {
		return nil, domain.MissingPart("Requests with an Idempotency-Key need a store of answers", nil)
	}
	key := runKey{who.OwnerID(), req.Repeat.Key}
	c.runs.mu.Lock()
	defer c.runs.mu.Unlock()
	if c.runs.closed {
		return nil, domain.ErrStopping
	}
	r := c.runs.byKey[key]
	if r != nil && r.req.Repeat.Fingerprint != req.Repeat.Fingerprint {
		return nil, domain.KeyReused()
	}
	if r == nil || !r.enter() {
		runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		r = &run{chat: c, who: who, req: req, cancel: cancel, grown: make(chan struct{}), followers: 1}
		c.runs.byKey[key] = r
		c.runs.alive.Go(func() {
			defer cancel(nil)
			r.work(runCtx)
			c.runs.forget(key, r)
		})
	}
	return r, nil
}

func (rs *runs) forget(key runKey, r *run) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.byKey[key] == r {
		delete(rs.byKey, key)
	}
}

// Close waits until the runs that go on are finished, but not longer than ctx allows: then they are given up, what they have is saved, and
// their keys are free, so that the same request begins anew in another process.
func (c *Chat) Close(ctx context.Context) {
	c.runs.mu.Lock()
	c.runs.closed = true
	c.runs.mu.Unlock()
	finished := make(chan struct{})
	go func() { c.runs.alive.Wait(); close(finished) }()
	defer c.releases.close()
	defer c.holds.close()
	select {
	case <-finished:
		return
	case <-ctx.Done():
	}
	c.runs.mu.Lock()
	for _, r := range c.runs.byKey {
		r.cancel(domain.ErrStopping)
	}
	c.runs.mu.Unlock()
	<-finished
}

// enter adds a follower. A run that has failed has none: the next request begins anew.
func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.steps); n > 0 && r.steps[n-1].Err != nil {
		return false
	}
	r.followers++
	if r.linger != nil {
		r.linger.Stop()
	}
	r.letGo()
	return true
}

// leave takes a follower away. Without any the run goes on for a while, and counts like the request that it was: else whoever hangs up
// at once could have any number of them.
func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followers--; r.followers == 0 {
		r.chat.Slots.Hold(r.slot())
		r.holding = true
		r.linger = time.AfterFunc(runLinger, func() { r.giveUp() })
	}
}

func (r *run) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followers == 0 {
		r.cancel(errNobodyListens)
	}
}

// step waits for a step of the answer.
func (r *run) step(ctx context.Context, at int) ChatStep {
	for {
		r.mu.Lock()
		if at < len(r.steps) {
			step := r.steps[at]
			r.mu.Unlock()
			return step
		}
		grown := r.grown
		r.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ChatStep{Err: context.Cause(ctx)}
		}
	}
}

func (r *run) add(steps ...ChatStep) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, steps...)
	close(r.grown)
	r.grown = make(chan struct{})
}

// work brings the answer about: by asking a provider when this run wins the key, else by waiting for the run that has it.
func (r *run) work(ctx context.Context) {
	defer r.stopLingering()
	defer func() { // here, outside of the goroutine of a request, a panic would end the process
		if p := recover(); p != nil {
			r.add(ChatStep{Err: fmt.Errorf("chat run: panic: %v\n%s", p, debug.Stack())})
		}
	}()
	runID := r.chat.NewID()
	for {
		now := r.chat.Now()
		result, err := r.chat.Answers.Claim(ctx, domain.Claim{
			Owner: r.who.OwnerID(), Key: r.req.Repeat.Key, Fingerprint: r.req.Repeat.Fingerprint, RunID: runID, At: now, LeaseUntil: now.Add(runLease),
		})
		switch {
		case err != nil:
			r.add(ChatStep{Err: err})
			return
		case result.Won:
			r.generate(ctx, runID)
			return
		case result.Answer != nil:
			r.replay(result.Answer)
			return
		}
		if !pause(ctx, backoffAround(runPoll)) {
			r.add(ChatStep{Err: context.Cause(ctx)})
			return
		}
	}
}

func (r *run) stopLingering() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.linger != nil {
		r.linger.Stop()
	}
	r.letGo()
	r.followers++ // nobody may start the timer again
}

// letGo gives back the slot that a run without followers holds.
func (r *run) letGo() {
	if r.holding {
		r.chat.Slots.Release(r.slot())
		r.holding = false
	}
}

// slot is whose slots the run takes.
func (r *run) slot() string { return Caller{Owner: r.who.OwnerID()}.ID() }

// generate asks a provider and shows signs of life meanwhile. A run without an answer frees the key.
func (r *run) generate(ctx context.Context, runID string) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewing := make(chan struct{})
	go func() { defer close(renewing); r.renew(ctx, cancel, runID) }()
	answered := r.ask(ctx, runID)
	cancel(nil)
	<-renewing
	if !answered {
		ctx, end := context.WithTimeout(context.WithoutCancel(ctx), r.chat.Config.SaveTimeout)
		defer end()
		_ = r.chat.Answers.Abandon(ctx, r.who.OwnerID(), r.req.Repeat.Key, runID) // else the lease runs out
	}
}

// eventBase is the number before the first event. A caller who has seen events of an answer that is not there, because the process that
// gave it has gone, gets all of this one, with higher numbers: else it would take the rest of this answer for the rest of that one.
func (r *run) eventBase() int {
	if r.req.Repeat.After == 0 || r.req.Repeat.After > maxEventID {
		return 0
	}
	return (r.req.Repeat.After/eventsOfARun + 1) * eventsOfARun
}

// ask produces the steps and reports whether an answer is stored.
func (r *run) ask(ctx context.Context, runID string) bool {
	t, err := r.chat.prepare(ctx, r.who, r.req)
	if err != nil {
		r.add(ChatStep{Err: err})
		return false
	}
	defer t.close()
	t.kept = &keeper{key: r.req.Repeat.Key, runID: runID, deltas: !t.whole}
	t.info.EventBase = r.eventBase()
	info := t.info
	r.add(ChatStep{Info: &info})
	for n := 0; ; n++ {
		step := t.safely(ctx, t.next)
		if n >= maxRunSteps && !step.last() {
			step = ChatStep{Err: t.fail(ctx, domain.NewError(domain.Unavailable, "The answer has too many pieces"))}
		}
		if t.whole && !step.last() && step.Fallback == nil {
			continue
		}
		if step.last() { // who comes from now on finds the outcome in the store
			defer r.add(step)
			return t.kept.stored
		}
		r.add(step)
	}
}

// renew keeps the claim alive. Who has lost it must not go on: another run answers.
func (r *run) renew(ctx context.Context, cancel context.CancelCauseFunc, runID string) {
	for pause(ctx, runRenewal) {
		err := r.chat.Answers.Renew(ctx, r.who.OwnerID(), r.req.Repeat.Key, runID, r.chat.Now().Add(runLease))
		var lost *domain.Error
		if errors.As(err, &lost) && lost.Kind == domain.Conflict {
			cancel(lost)
			return
		}
	}
}

// replay gives a stored answer step by step.
func (r *run) replay(data []byte) {
	steps, err := stepsFromKept(data)
	if err != nil {
		r.add(ChatStep{Err: err})
		return
	}
	r.add(steps...)
}
