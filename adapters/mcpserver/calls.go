package mcpserver

import (
	"context"
	"sync"
)

// callKey names a call that is under way, among those of all callers.
type callKey struct {
	owner   string // Principal.OwnerID: nobody can cancel what somebody else calls
	session string // what the client sends as its session
	id      string // of the request, as the client wrote it
}

// calls are those that run and can be cancelled by another request: in protocols up to 2025-11-25 a client that gives up sends a notification
// of its own. It finds the call when it comes to the process that runs it. Later protocols end the request instead.
type calls struct {
	mu      sync.Mutex
	running map[callKey]context.CancelCauseFunc
}

// begin gives the context of a call, which ends with what carries the call. end frees everything.
func (c *calls) begin(ctx context.Context, who caller) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(who.request, func() { cancel(context.Cause(who.request)) })
	if who.key == (callKey{}) {
		return ctx, func() { stop(); cancel(nil) }
	}
	c.mu.Lock()
	_, taken := c.running[who.key] // by a client that counts wrongly: the first one stays the one that can be cancelled
	if !taken {
		c.running[who.key] = cancel
	}
	c.mu.Unlock()
	return ctx, func() {
		stop()
		cancel(nil)
		if !taken {
			c.mu.Lock()
			delete(c.running, who.key)
			c.mu.Unlock()
		}
	}
}

// cancel ends a call. One that is not there has ended, or runs elsewhere.
func (c *calls) cancel(key callKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.running[key]; cancel != nil {
		cancel(context.Canceled)
	}
}
