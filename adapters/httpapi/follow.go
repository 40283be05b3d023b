package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gaia/domain"
)

// eventFeed is what happens to something, as an event stream, for as long as it happens.
type eventFeed struct {
	ctx context.Context //nolint:containedctx // the generated code has no place for it
	// listen calls hear with each event and its number, from 1, until the last one. An event without a number, 0, gets no id. It ends as
	// soon as hear fails.
	listen   func(ctx context.Context, hear func(number int, event any) error) error
	ping     time.Duration
	stopping <-chan struct{}
	log      *slog.Logger
}

// eventFeed is a feed that somebody has to give something to listen to.
func (s *server) eventFeed(ctx context.Context) eventFeed {
	return eventFeed{ctx: ctx, ping: s.pingInterval, stopping: s.stopping, log: s.log}
}

// heardEvent is what a feed hears.
type heardEvent struct {
	number int
	event  any
	ended  bool
	err    error // with ended; nil: that was the last event
}

// write sends events until the last one, or until the client leaves. When the process stops, an interruption comes last. A stream that ends
// for another reason breaks off, so that it does not look whole: either way the client asks again and names the last event that it has.
func (f *eventFeed) write(w http.ResponseWriter) {
	ctx, cancel := context.WithCancel(f.ctx)
	heard := make(chan heardEvent)
	var listening sync.WaitGroup
	listening.Go(func() { f.pass(ctx, heard) })
	defer listening.Wait()
	defer cancel()
	out := newSSE(w, true, 0)
	out.ping() // so that the client knows at once that it follows
	ticker := time.NewTicker(f.ping)
	defer ticker.Stop()
	for !out.gone {
		select {
		case h := <-heard:
			if h.ended {
				f.end(out, h.err)
				return
			}
			out.ids, out.n = h.number > 0, h.number-1
			out.event(h.event)
			ticker.Reset(f.ping)
		case <-ticker.C:
			out.ping()
		case <-f.stopping: // another process goes on with it
			interrupt(out, domain.ErrStopping)
			return
		case <-ctx.Done():
			if isStopping(ctx) {
				interrupt(out, domain.ErrStopping)
			}
			return
		}
	}
}

// pass hands on what is heard until it has ended.
func (f *eventFeed) pass(ctx context.Context, heard chan<- heardEvent) {
	hand := func(h heardEvent) error {
		select {
		case heard <- h:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := f.listen(ctx, func(number int, event any) error { return hand(heardEvent{number: number, event: event}) })
	_ = hand(heardEvent{ended: true, err: err})
}

func (f *eventFeed) end(out *sse, err error) {
	if err == nil {
		out.ids = false // else a client that reconnects would name an event that never was
		out.done()
		return
	}
	if f.ctx.Err() == nil { // else the client left
		logLate(f.ctx, f.log, err)
		panic(http.ErrAbortHandler)
	}
}
