package app

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"gaia/domain"
)

// ChatStream is an answer on its way. Whoever got it must Close it.
type ChatStream struct {
	// Info says how the question is answered. Its MessageID is empty while another replica answers it: then a step brings it.
	Info ChatInfo

	steps  chan ChatStep
	begun  chan error // takes the outcome of the first step
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex // guards what follows, and Info until Stream has returned
	announced bool       // Info is on its way to the client
}

// Stream answers step by step. It waits a moment for the first step, so that a refusal of the provider is an error here and not in
// the middle of a stream. When ctx ends, the provider is told at once, unless the request has an Idempotency-Key: then the answer goes on
// for a while, and the same request finds it.
func (c *Chat) Stream(ctx context.Context, who domain.Principal, req ChatRequest) (*ChatStream, error) {
	req.Streamed = true
	if req.Repeat != nil {
		return c.follow(ctx, who, req)
	}
	t, err := c.prepare(ctx, who, req)
	if err != nil {
		return nil, err
	}
	return c.stream(ctx, t.info, func(ctx context.Context) ChatStep { return t.safely(ctx, t.next) },
		func(ctx context.Context) { _ = t.fail(ctx, ctx.Err()) }, t.close)
}

// stream pumps steps to a client. When the client leaves before the last step, left is called; in the end close.
func (c *Chat) stream(ctx context.Context, info ChatInfo, next func(context.Context) ChatStep, left func(context.Context), end func()) (*ChatStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &ChatStream{
		Info: info, cancel: cancel, done: make(chan struct{}), begun: make(chan error, 1),
		steps: make(chan ChatStep, 1), // room for the first step, which nobody reads while Stream waits; more would loosen backpressure
	}
	go func() {
		defer close(s.done)
		defer end()
		s.pump(ctx, next, left)
	}()
	wait := time.NewTimer(c.Config.FirstEventWait)
	defer wait.Stop()
	select {
	case err := <-s.begun:
		if err != nil {
			s.Close()
			return nil, err
		}
	case <-wait.C:
	}
	s.mu.Lock()
	s.announced = true
	s.mu.Unlock()
	return s, nil
}

// Steps delivers the answer. A step with Result or Err is the last; the channel is never closed. The last step reaches whoever is
// waiting for it, but after the context ended or Close was called nobody waits for a reader: watch the context too.
func (s *ChatStream) Steps() <-chan ChatStep { return s.steps }

// Close tells the provider to stop, waits until what was generated is saved, and frees everything. It may be called twice.
func (s *ChatStream) Close() {
	s.cancel()
	<-s.done
}

// pump owns the answer: it reads no faster than the client reads the steps.
func (s *ChatStream) pump(ctx context.Context, next func(context.Context) ChatStep, left func(context.Context)) {
	begun := false
	for {
		step := next(ctx)
		if s.absorb(step) {
			continue
		}
		if !begun {
			begun = true
			s.begun <- step.Err
		}
		if !s.deliver(ctx, step, left) {
			return
		}
	}
}

// absorb takes into Info what it can still say: a client hears of a fallback only when it has heard of the first choice.
func (s *ChatStream) absorb(step ChatStep) bool {
	if step.Fallback == nil && step.Info == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.announced, step.Fallback != nil && step.Fallback.Late:
		return false
	case step.Info != nil:
		s.Info = *step.Info
	default:
		s.Info.Choice = step.Fallback.To
	}
	return true
}

// safely turns a panic into an error: here, outside of the goroutine of a request, it would end the process.
func (t *turn) safely(ctx context.Context, do func(context.Context) ChatStep) (step ChatStep) {
	defer func() {
		if p := recover(); p != nil {
			step = ChatStep{Err: t.fail(ctx, fmt.Errorf("chat stream: panic: %v\n%s", p, debug.Stack()))}
		}
	}()
	return do(ctx)
}

// deliver hands a step to the client and reports whether there is more to come.
func (s *ChatStream) deliver(ctx context.Context, step ChatStep, left func(context.Context)) bool {
	if step.last() {
		select {
		case s.steps <- step: // chosen below by chance only, when ctx is over as well
			return false
		default:
		}
	}
	select {
	case s.steps <- step:
		return !step.last()
	case <-ctx.Done():
		if !step.last() {
			left(ctx) // the client is gone: there is nobody to tell
		}
		return false
	}
}
