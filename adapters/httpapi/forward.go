package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// hosts reports whether an operation is carried out in this process.
func (c Config) hosts(op *intake.Operation) bool {
	return op.Service == "" || len(c.Hosts) == 0 || slices.Contains(c.Hosts, op.Service)
}

// receive takes a body in before it is handed on: whoever sends slowly holds nobody up behind the gateway, and a body that is there can be
// sent again. What it says is for the service to judge. A form is passed on as it comes.
func receive(op *intake.Operation, bodies gate, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !op.HasBody() {
			return withoutBody(next)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !op.Accepts(r.Header.Get("Content-Type")) || encoded(r.Header.Get("Content-Encoding")) {
				fail(w, r, errMediaType(op.MediaType()))
				return
			}
			if op.Form() {
				r.Body = &steadyBody{r.Body, http.NewResponseController(w), bodyTimeout}
				next.ServeHTTP(w, r)
				return
			}
			body, err := readThrough(bodies, w, r, bodyTimeout)
			if err != nil {
				fail(w, r, err)
				return
			}
			held := &passedBody{}
			held.data.Store(&body)
			r = r.WithContext(context.WithValue(r.Context(), passedKey{}, held))
			r.ContentLength, r.TransferEncoding = int64(len(body)), nil
			r.GetBody = func() (io.ReadCloser, error) { return &passedReader{body: held}, nil }
			r.Body = &passedReader{body: held}
			next.ServeHTTP(w, r)
		})
	}
}

// passedBody is a body that can be sent again until it is let go: streams last for minutes, and a body may have megabytes.
type passedBody struct {
	data atomic.Pointer[[]byte]
	call json.RawMessage // the id of an MCP client's call, once the body is let go; nil: it is none that is answered
}

type passedKey struct{}

// letGo is for when a service has begun a stream: it has the whole body.
func letGo(ctx context.Context, op *intake.Operation) {
	held, ok := ctx.Value(passedKey{}).(*passedBody)
	if !ok {
		return
	}
	if data := held.data.Swap(nil); data != nil && op.ID == mcpOperation {
		held.call = callID(*data)
	}
}

// passedReader reads a body that is held.
type passedReader struct {
	body *passedBody
	from int
}

func (r *passedReader) Read(b []byte) (int, error) {
	data := r.body.data.Load()
	if data == nil || r.from == len(*data) {
		return 0, io.EOF
	}
	n := copy(b, (*data)[r.from:])
	r.from += n
	return n, nil
}

func (r *passedReader) Close() error { return nil }

// withoutBody leaves what nobody would read where it is.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
		next.ServeHTTP(w, r)
	})
}

// forward hands requests for an operation on to the service that carries it out.
func (c Config) forward(op *intake.Operation, fail failFunc) http.HandlerFunc {
	if c.Forward == nil {
		return notHere(op, fail).ServeHTTP
	}
	wait := c.ForwardTimeout
	if takesLong(op) {
		wait = c.ForwardLong
	}
	return func(w http.ResponseWriter, r *http.Request) {
		began := func() {}
		if isFeed(op) {
			following, begin, end := c.untilStopping(r)
			defer end()
			r, began = following, begin
		}
		hop := domain.Hop{
			Service: op.Service, Wait: wait, Caller: domain.Forwarded{Principal: principalFrom(r.Context()), RequestID: requestIDFrom(r.Context())},
			Repeatable: r.Method == http.MethodGet || r.Method == http.MethodHead || op.Once && r.Header.Get("Idempotency-Key") != "",
		}
		out := &relayWriter{ResponseWriter: w, ctl: http.NewResponseController(w), streams: func() { letGo(r.Context(), op) }, began: began}
		out.outcome = c.afterwards(op, r)
		if err := c.Forward(out, proxies(c.TrustedProxies).rewrite(r, op.Service), hop); err != nil {
			out.tell(false)
			c.brokenOff(out, r, op, err, fail)
		}
	}
}

// untilStopping is a request that ends when the process has to stop, and not only when its patience does: from the moment on that its answer
// begins, since before that there would be nothing to end.
func (c Config) untilStopping(r *http.Request) (following *http.Request, begin, end func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	begin = func() {
		go func() {
			select {
			case <-c.Stopping: // nil: never
				cancel(domain.ErrStopping)
			case <-ctx.Done():
			}
		}()
	}
	return r.WithContext(ctx), begin, func() { cancel(nil) }
}

// afterwards is what this process has to do when a service has carried out an operation, or may have, before the caller can know: whoever
// has ended a session or a key must not get in here with it. Of keys other processes hear on the bus, of sessions they don't.
func (c Config) afterwards(op *intake.Operation, r *http.Request) func(certain bool) {
	switch {
	case op.ID == "V1Logout" && c.SignedOut != nil:
		token := accessTokenFrom(r.Context())
		return func(certain bool) {
			if certain { // else the caller has to be let in to try again
				_ = c.SignedOut(context.WithoutCancel(r.Context()), token) // fails for tokens that are refused anyway
			}
		}
	case op.Scope == "keys:manage" && r.Method != http.MethodGet && c.KeysChanged != nil:
		return c.KeysChanged
	default:
		return nil
	}
}

// takesLong reports whether a model or a generator may have to finish its work before an answer begins, or all of a large file to come.
func takesLong(op *intake.Operation) bool {
	switch op.ID {
	case "V1Chat", "V1ChatCompletions", "V02Chat", "V02StreamChat", "V1GenerateAsset", mcpOperation:
		return true
	default:
		return op.Form()
	}
}

// brokenOff answers for a service that has not, or not to its end.
func (c Config) brokenOff(w http.ResponseWriter, r *http.Request, op *intake.Operation, err error, fail failFunc) {
	end := domain.ErrBrokenOff
	if isStopping(r.Context()) {
		end = domain.ErrStopping
	}
	if rec := recorderFrom(r.Context()); rec != nil && rec.written() && (errors.Is(err, domain.ErrBrokenOff) || isStopping(r.Context())) && endStream(w, r, op, end) {
		return
	}
	fail(w, r, err)
}

// rewrite gives the request as a service has to see it: where it comes from and what the client calls this server, as far as that can be
// believed, and no credentials, but for the access token that the identity provider wants to see.
func (p proxies) rewrite(r *http.Request, to domain.Service) *http.Request {
	out := r.WithContext(r.Context())
	out.Header = r.Header.Clone()
	h := out.Header
	if to != domain.ServiceAuth {
		h.Del("Authorization")
	}
	for _, name := range []string{"X-Api-Key", "Origin", "Cookie", "Forwarded"} {
		h.Del(name)
	}
	h.Set("X-Forwarded-For", p.client(r).String())
	h.Set("X-Forwarded-Proto", p.scheme(r))
	h.Set("X-Forwarded-Host", p.host(r))
	h.Set(requestIDHeader, requestIDFrom(r.Context()))
	return out
}

// relayWriter gives a client time to read as long as there is something to read.
type relayWriter struct {
	http.ResponseWriter

	ctl     *http.ResponseController
	streams func()             // is called before a stream begins
	began   func()             // and when it has
	outcome func(certain bool) // is called once, before a client can know, unless nothing was done; nil: nobody wants to know
}

// tell says that what was asked for is done, or may be.
func (w *relayWriter) tell(certain bool) {
	if w.outcome != nil {
		w.outcome(certain)
		w.outcome = nil
	}
}

// Unwrap is for http.ResponseController.
func (w *relayWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *relayWriter) WriteHeader(status int) {
	switch {
	case status < http.StatusBadRequest:
		w.tell(true)
	case status >= http.StatusInternalServerError:
		w.tell(false)
	}
	streams := isEventStream(w.Header())
	if streams {
		w.streams()
		if w.Header().Get("Connection") != "close" {
			w.Header().Set("Connection", "keep-alive") // holds for one connection, so it did not come from the service
		}
	}
	w.ResponseWriter.WriteHeader(status)
	if streams {
		w.began()
	}
}

func (w *relayWriter) Write(b []byte) (int, error) {
	_ = w.ctl.SetWriteDeadline(time.Now().Add(answerTimeout)) // a recorder in a test has none
	return w.ResponseWriter.Write(b)
}

func isEventStream(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.TrimSpace(media) == "text/event-stream"
}
