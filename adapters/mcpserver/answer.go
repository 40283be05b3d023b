package mcpserver

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// frameTimeout bounds how long one event may take to reach the client. Each write renews it, so that an answer may take as long as somebody
// waits for it.
const frameTimeout = 30 * time.Second

// answer is the way out of one answer. It sends comments while nothing else comes, so that no proxy takes a slow call for a dead one, and
// turns what the library says in plain text into failures of the protocol.
type answer struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	id  json.RawMessage

	header http.Header // the library's: it sets them without a lock

	mu     sync.Mutex
	begun  bool // the status is out
	plain  bool // the library writes an explanation in plain text
	framed bool // the library writes one JSON message into what has begun as a stream
	wrote  bool // since the last comment was due
}

func newAnswer(w http.ResponseWriter, id json.RawMessage) *answer {
	return &answer{w: w, ctl: http.NewResponseController(w), id: id, header: http.Header{}}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin(status)
}

func (a *answer) begin(status int) {
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if a.begun {
		a.framed = a.framed || media != "text/event-stream"
		return
	}
	a.begun = true
	h := a.w.Header()
	maps.Copy(h, a.header)
	switch {
	case media == "text/event-stream":
		h.Set("X-Accel-Buffering", "no") // proxies must not collect events
	case media == "text/plain" && status >= http.StatusBadRequest:
		a.plain = true
		h.Set("Content-Type", "application/json")
	}
	a.w.WriteHeader(status)
}

// Write implements http.ResponseWriter. The library writes an event, a message or an explanation at once.
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		a.begin(http.StatusOK)
	}
	a.wrote = true
	out := p
	switch {
	case a.plain:
		out = errorBody(a.id, jsonrpc.CodeInvalidRequest, string(bytes.TrimSpace(p)))
	case a.framed:
		out = append(append([]byte("event: message\ndata: "), p...), "\n\n"...)
	}
	_ = a.ctl.SetWriteDeadline(time.Now().Add(frameTimeout)) // a recorder in a test has none
	if _, err := a.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// FlushError is what a ResponseController looks for.
func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ctl.Flush()
}

// keepAlive sends a comment whenever nothing was sent for so long. What it returns ends that, and waits until it has ended.
func (a *answer) keepAlive(every time.Duration) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				a.comment()
			case <-done:
				return
			}
		}
	})
	return func() { close(done); running.Wait() }
}

// comment begins the stream if need be: calls are answered by nothing else once they take that long.
func (a *answer) comment() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrote {
		a.wrote = false
		return
	}
	if !a.begun {
		a.begun = true
		h := a.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Set("X-Accel-Buffering", "no")
		a.w.WriteHeader(http.StatusOK)
	}
	_ = a.ctl.SetWriteDeadline(time.Now().Add(frameTimeout))
	if _, err := a.w.Write([]byte(": ping\n\n")); err == nil {
		_ = a.ctl.Flush()
	}
}
