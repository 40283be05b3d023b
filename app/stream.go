package app

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"gaia/domain"
)

// ChatStream is an answer on its way. Whoever got it must Close it.
type ChatStream struct {
	Info   ChatInfo
	steps  chan ChatStep
	begun  chan error // takes the outcome of the first step
	cancel context.CancelFunc
	done   chan struct{}
}

// Stream answers step by step. It waits a moment for the first step, so that a refusal of the provider is an error here and not in
// the middle of a stream. When ctx ends, the provider is told at once.
func (c *Chat) Stream(ctx context.Context, who domain.Principal, req ChatRequest) (*ChatStream, error) {
	t, err := c.prepare(ctx, who, req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &ChatStream{
		Info: t.info, cancel: cancel, done: make(chan struct{}), begun: make(chan error, 1),
		steps: make(chan ChatStep, 1), // room for the first step, which nobody reads while Stream waits; more would loosen backpressure
	}
	go s.pump(ctx, t)

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

// pump owns the turn: it reads the provider no faster than the client reads the steps.
func (s *ChatStream) pump(ctx context.Context, t *turn) {
	defer close(s.done)
	defer t.close()
	step := t.safely(ctx, t.first)
	s.begun <- step.Err
	for s.deliver(ctx, t, step) {
		step = t.safely(ctx, t.next)
	}
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
func (s *ChatStream) deliver(ctx context.Context, t *turn, step ChatStep) bool {
	last := step.Err != nil || step.Result != nil
	if last {
		select {
		case s.steps <- step: // chosen below by chance only, when ctx is over as well
			return false
		default:
		}
	}
	select {
	case s.steps <- step:
		return !last
	case <-ctx.Done():
		if !last {
			_ = t.fail(ctx, ctx.Err()) // the client is gone: there is nobody to tell
		}
		return false
	}
}
