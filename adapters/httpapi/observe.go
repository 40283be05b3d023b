package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// Observe is told of a request before anything happens with it. What it returns is the context that the request goes on with, and who is
// told how it goes on. Whether who sends it is trusted, and so may say which trace it belongs to, comes along.
type Observe func(ctx context.Context, r *http.Request, trusted bool) (context.Context, Observer)

// Observer is told how a request goes on. Nil members are not called.
type Observer struct {
	Begins func(Beginning) // of the answer
	Ends   func(Outcome)
}

// Beginning is what is known when an answer begins.
type Beginning struct {
	Operation string // id of the contract; empty: none
	Stream    bool   // it is an event stream
	After     time.Duration
}

// Outcome is how a request ended. It says nothing about who sent it, and nothing that whoever sent it could have made up.
type Outcome struct {
	Operation string // id of the contract; empty: none
	Route     string // pattern of the path; "-": none
	Status    int
	Principal domain.AuthType // how the caller is known; empty: not at all
	Limited   bool            // a rate limit refused it
	StreamEnd StreamEnd       // empty: no event stream
}

// StreamEnd is how an event stream ended.
type StreamEnd string

// The ends of event streams.
const (
	StreamFinished   StreamEnd = "finished"
	StreamFailed     StreamEnd = "error"
	StreamClientLeft StreamEnd = "client_left"
	StreamCut        StreamEnd = "cut" // without a word
)

// observation is what a recorder knows for who observes.
type observation struct {
	observer  Observer
	operation string
	limited   bool // a rate limit refused the request
	stream    bool
	finished  bool // the stream has said all that it had to say
	failed    bool // and that was a failure
	returned  bool // the handler did not give up
}

// observed has a request observed, and returns what has to be called at its end.
func (c Config) observed(rec *recorder, r *http.Request) (*http.Request, func()) {
	if c.Observe == nil {
		if !c.trusts(r) { // else services behind, which trust this one, would take it for its own
			r.Header.Del("Traceparent")
			r.Header.Del("Tracestate")
		}
		return r, func() {}
	}
	ctx, observer := c.Observe(r.Context(), r, c.trusts(r))
	rec.observation.observer = observer
	r = r.WithContext(ctx)
	return r, func() {
		if observer.Ends == nil {
			return
		}
		observer.Ends(Outcome{
			Operation: rec.operation, Route: pathPattern(r), Status: loggedStatus(rec), Principal: rec.principal, Limited: rec.limited,
			StreamEnd: rec.streamEnd(r.Context()),
		})
	}
}

// trusts reports whether a request comes from who may say which trace it belongs to: another service, or a proxy of ours.
func (c Config) trusts(r *http.Request) bool {
	if c.VerifyForwarded != nil {
		return true
	}
	return len(c.TrustedProxies) > 0 && proxies(c.TrustedProxies).trusts(peer(r))
}

// begins tells that an answer begins.
func (rec *recorder) begins() {
	rec.stream = strings.HasPrefix(rec.Header().Get("Content-Type"), "text/event-stream")
	if rec.observer.Begins != nil {
		rec.observer.Begins(Beginning{Operation: rec.operation, Stream: rec.stream, After: time.Since(rec.start)})
	}
}

func (rec *recorder) streamEnd(ctx context.Context) StreamEnd {
	switch {
	case !rec.stream:
		return ""
	case rec.failed:
		return StreamFailed
	case rec.finished:
		return StreamFinished
	case ctx.Err() != nil:
		return StreamClientLeft
	case rec.returned:
		return StreamFinished
	default:
		return StreamCut
	}
}

// noteOperation tells the recorder of a request which operation it is for.
func noteOperation(op *intake.Operation, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := recorderFrom(r.Context())
		if rec == nil {
			next.ServeHTTP(w, r)
			return
		}
		rec.operation = op.ID
		next.ServeHTTP(w, r)
		rec.returned = true
	})
}

// recorderUnder finds the recorder that an answer goes through; nil: none.
func recorderUnder(w http.ResponseWriter) *recorder {
	for {
		if rec, ok := w.(*recorder); ok {
			return rec
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = inner.Unwrap()
	}
}
