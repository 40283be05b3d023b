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
	"sync/atomic"
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
	// maxHeld is how much is held back of an answer that nobody can use in parts.
	maxHeld = 1 << 20
)

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// relay passes an answer on as it comes.
func (a *attempt) relay(w http.ResponseWriter, client *stay) (err error) {
	defer a.end()
	failed := reasonBroken // unless it comes to its end, or is given up
	defer func() { a.told(Ending{Status: a.response.StatusCode, Failed: failed, Again: a.again}) }()
	defer func() { _ = a.response.Body.Close() }()
	stream := isEventStream(a.response.Header)
	incoming(w.Header(), a.response.Header, stream)
	w.WriteHeader(a.response.StatusCode)
	if stream {
		client.answered()
		err = a.events(w)
	} else {
		err = a.bytes(w)
	}
	err = a.outcome(err, a.left(client.ctx))
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

// room is what may be held back of all answers at once, in bytes, besides a piece of each.
type room struct{ left atomic.Int64 }

func (r *room) take(n int64) bool {
	if r.left.Add(-n) >= 0 {
		return true
	}
	r.left.Add(n)
	return false
}

// readAhead takes in an answer that nobody can use in parts, as far as there is room for it: most are whole then, and one that breaks off is an
// attempt that has failed, about which the client can still be told. Of one that is longer, what was read goes first.
func (a *attempt) readAhead() error {
	length := a.response.ContentLength
	if !isJSON(a.response.Header) || length > maxHeld {
		return nil
	}
	n, read := 0, a.response.Body.Read // as long as the vigil for the head lasts
	for int64(n) != length {
		if n == len(a.held)*pieceSize {
			if !a.holdMore() {
				break
			}
			if n > 0 {
				read = a.read
			}
		}
		more, err := read(a.held[n/pieceSize][n%pieceSize:])
		n += more
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			_ = a.response.Body.Close()
			return err
		}
	}
	a.response.Body = &aheadBody{ReadCloser: a.response.Body, attempt: a, size: n}
	return nil
}

// holdMore gives room for another piece of the answer, and tells whether there is any. Whoever sends more than one has begun to answer, and has time
// as for any other answer.
func (a *attempt) holdMore() bool {
	if len(a.held) > 0 {
		if len(a.held)*pieceSize >= maxHeld || !a.endpoint.group.room.take(pieceSize) {
			return false
		}
		a.vigil.begun(a.endpoint.patience(a.response.Header))
	}
	piece, _ := pieces.Get().(*[pieceSize]byte)
	a.held = append(a.held, piece)
	return true
}

// letGo gives back one of the pieces that are held, unless it was given back before.
func (a *attempt) letGo(i int) {
	if a.held[i] == nil {
		return
	}
	pieces.Put(a.held[i])
	a.held[i] = nil
	if i > 0 {
		a.endpoint.group.room.left.Add(pieceSize)
	}
}

// aheadBody is a body of which so many bytes have been read. What is read from it is held no longer.
type aheadBody struct {
	io.ReadCloser

	attempt    *attempt
	size, next int
}

// Read reads what has been read before, and then the rest.
func (b *aheadBody) Read(p []byte) (int, error) {
	if b.next == b.size {
		return b.ReadCloser.Read(p)
	}
	i, from := b.next/pieceSize, b.next%pieceSize
	n := copy(p, b.attempt.held[i][from:min(from+b.size-b.next, pieceSize)])
	b.next += n
	if b.next == b.size || b.next/pieceSize > i {
		b.attempt.letGo(i)
	}
	return n, nil
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
