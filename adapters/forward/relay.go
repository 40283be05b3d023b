package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"gaia/domain"
)

const (
	// pieceSize is how much of an answer is passed on at a time.
	pieceSize = 32 << 10
	// eventSize is what a stream of events begins with; there are many at once, and most events are small. maxEvent is what is held back of one
	// until it is whole.
	eventSize = 4 << 10
	maxEvent  = 1 << 20
)

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// relay passes an answer on as it comes.
func (a *attempt) relay(w http.ResponseWriter, r *http.Request) (err error) {
	defer a.end()
	failed := reasonBroken // unless it comes to its end, or is given up
	defer func() { a.told(Ending{Status: a.response.StatusCode, Failed: failed, Again: a.again}) }()
	defer func() { _ = a.response.Body.Close() }()
	if a.ahead != nil {
		defer pieces.Put(a.ahead)
	}
	stream := isEventStream(a.response.Header)
	incoming(w.Header(), a.response.Header, stream)
	w.WriteHeader(a.response.StatusCode)
	if stream {
		err = a.events(w)
	} else {
		err = a.bytes(w)
	}
	err = a.outcome(err, a.left(r.Context()))
	failed = brokenBy(err)
	return err
}

// patience is how long an answer may send nothing.
func (e *endpoint) patience(h http.Header) time.Duration {
	if isEventStream(h) {
		return e.group.config.Silence
	}
	return e.group.config.Standstill
}

func isEventStream(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream") && h.Get("Content-Encoding") == ""
}

// clientError is why the client could not be written to.
type clientError struct{ error }

func (e *clientError) Unwrap() error { return e.error }

func (a *attempt) left(client context.Context) error {
	if a.body != nil {
		return a.body.upload.left(client)
	}
	return context.Cause(client)
}

func (a *attempt) outcome(err, left error) error {
	var gone *clientError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &gone):
		return canceled(err)
	case left != nil:
		return canceled(left)
	default:
		a.endpoint.probeNow()
		a.endpoint.group.counts.broken.Add(1)
		return fmt.Errorf("forward to %s: %w: %w", a.service, domain.ErrBrokenOff, err)
	}
}

// read reads the next piece of the answer.
func (a *attempt) read(b []byte) (int, error) {
	a.vigil.wait()
	n, err := a.response.Body.Read(b)
	a.vigil.rest()
	return n, err
}

func (a *attempt) bytes(w http.ResponseWriter) error {
	piece, _ := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	ctl := http.NewResponseController(w)
	prompt := a.response.ContentLength < 0 && !isJSON(a.response.Header)
	for {
		n, err := a.read(piece[:])
		if n > 0 {
			if _, failed := w.Write(piece[:n]); failed != nil {
				return &clientError{failed}
			}
			if prompt && err == nil {
				if failed := ctl.Flush(); failed != nil {
					return &clientError{failed}
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return a.why(err)
		}
	}
}

// readAhead takes in what is there of an answer that nobody can use in parts, as far as a piece goes: most are whole by then, and one that
// breaks off is an attempt that has failed, about which the client can still be told.
func (a *attempt) readAhead() error {
	if !isJSON(a.response.Header) || a.response.ContentLength > pieceSize {
		return nil
	}
	piece, _ := pieces.Get().(*[pieceSize]byte)
	for n := 0; n < len(piece); {
		more, err := a.response.Body.Read(piece[n:])
		n += more
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			pieces.Put(piece)
			_ = a.response.Body.Close()
			return err
		case err != nil || n == len(piece):
			a.ahead, a.response.Body = piece, &aheadBody{bytes.NewReader(piece[:n]), a.response.Body}
			return nil
		}
	}
	return nil
}

// aheadBody is a body of which something has been read.
type aheadBody struct {
	read *bytes.Reader
	io.ReadCloser
}

// Read reads what has been read before, and then the rest.
func (b *aheadBody) Read(p []byte) (int, error) {
	if b.read.Len() > 0 {
		return b.read.Read(p)
	}
	return b.ReadCloser.Read(p)
}

// isJSON tells answers that nobody can use in parts.
func isJSON(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json")
}

// why names the true reason: when a vigil has given up, reading fails for the want of a context.
func (a *attempt) why(err error) error {
	if a.vigil.done.Load() {
		return errSilent
	}
	return err
}

// events passes whole events on, each as soon as it is there. Half of one is of no use to a client and would spoil what is said after it,
// should the stream break off.
func (a *attempt) events(w http.ResponseWriter) error {
	ctl := http.NewResponseController(w)
	if err := ctl.Flush(); err != nil { // the status tells that there will be a stream
		return &clientError{err}
	}
	buffer, held := make([]byte, eventSize), 0
	for {
		n, err := a.read(buffer[held:])
		held += n
		whole := held
		if !errors.Is(err, io.EOF) {
			whole = wholeEvents(buffer[:held], n)
		}
		if whole == 0 && held == len(buffer) {
			if len(buffer) < maxEvent {
				buffer = append(buffer, make([]byte, len(buffer))...)
			} else {
				whole = held
			}
		}
		if whole > 0 {
			if failed := send(w, ctl, buffer[:whole]); failed != nil {
				return failed
			}
			held = copy(buffer, buffer[whole:held])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return a.why(err)
		}
	}
}

func send(w http.ResponseWriter, ctl *http.ResponseController, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return &clientError{err}
	}
	if err := ctl.Flush(); err != nil {
		return &clientError{err}
	}
	return nil
}

// wholeEvents is the length of the events at the beginning of b that are complete. Only the last fresh bytes were not looked at before.
func wholeEvents(b []byte, fresh int) int {
	from := max(len(b)-fresh-3, 0)
	if i := bytes.LastIndex(b[from:], []byte("\n\n")); i >= 0 {
		return from + i + 2
	}
	if i := bytes.LastIndex(b[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4
	}
	return 0
}
