package forward

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gaia/domain"
)

// stay is how long a request is worked for: as long as its client is there. When it is this process that has to stop, one that a service may have
// seen and must not see twice is waited for a grace longer: most are answered by then, and of the others nobody knows what became of them.
type stay struct {
	ctx    context.Context //nolint:containedctx // it is what this is about
	sent   atomic.Bool     // a service may have seen the request
	prompt chan struct{}   // closed when there is no answer to wait for
}

// newStay begins the stay of a client whose request has of. The caller has to end it.
func newStay(of context.Context, repeatable bool, grace time.Duration) (*stay, context.CancelFunc) {
	s := &stay{ctx: of, prompt: make(chan struct{})}
	if repeatable {
		return s, func() {}
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(of))
	s.ctx = ctx
	stop := context.AfterFunc(of, func() {
		cause := context.Cause(of)
		if errors.Is(cause, domain.ErrStopping) && s.sent.Load() {
			s.wait(grace)
		}
		cancel(cause)
	})
	return s, func() {
		stop()
		cancel(context.Canceled)
	}
}

// wait waits for the end of the grace, or of the request.
func (s *stay) wait(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.prompt:
	case <-s.ctx.Done():
	}
}

// answered is called when a stream has begun. It is not waited for: it is told of its end, and says itself how to go on.
func (s *stay) answered() { close(s.prompt) }
