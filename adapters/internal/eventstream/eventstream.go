// Package eventstream reads server-sent events, as the HTML standard defines them, from a provider that may send anything.
//
// It must not know what the events say.
package eventstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Bounds of one event stream: a provider gone wild must not eat the memory.
const (
	maxLine      = 1 << 20
	maxEvent     = 1 << 20
	firstBuffer  = 4 << 10
	maxEmptyRead = 100
)

// ErrTooLong says that a line or an event has no end within the bounds.
var ErrTooLong = errors.New("event is too long")

// Event is one server-sent event. Data is valid until the next call of Next.
type Event struct {
	Name string
	Data []byte
}

// Reader cuts a byte stream into events, as the HTML standard defines them.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int  // unread bytes are buf[start:end]
	scanned    int  // buf[start:scanned] holds no line end
	skipLF     bool // the last line ended in CR: an LF that follows belongs to it
	begun      bool // the place for a byte order mark is past
	data       []byte
}

// New reads events from src.
func New(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, firstBuffer)}
}

// Next returns the next event that has data, or io.EOF. What stands at the end without a blank line counts as an event too, since
// some providers close the connection right after their last line.
func (r *Reader) Next() (Event, error) {
	r.data = r.data[:0]
	name, hasData := "", false
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, io.EOF) && hasData {
				return Event{name, r.data}, nil
			}
			return Event{}, err
		}
		if len(line) == 0 {
			if hasData {
				return Event{name, r.data}, nil
			}
			name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if hasData {
				r.data = append(r.data, '\n')
			}
			hasData = true
			r.data = append(r.data, value...)
			if len(r.data) > maxEvent {
				return Event{}, ErrTooLong
			}
		}
	}
}

// line returns the next line without its end; it is valid until the next call. After the last line comes io.EOF, or the error
// that broke the stream.
func (r *Reader) line() ([]byte, error) {
	for {
		if i := lineEnd(r.buf[r.scanned:r.end]); i >= 0 {
			return r.take(r.scanned + i), nil
		}
		r.scanned = r.end
		if r.end-r.start > maxLine {
			return nil, ErrTooLong
		}
		err := r.fill()
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) && r.end > r.start {
			rest := r.buf[r.start:r.end]
			r.start, r.scanned = r.end, r.end
			return rest, nil
		}
		return nil, err
	}
}

func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// take returns the line that ends at buf[i] and steps over its end.
func (r *Reader) take(i int) []byte {
	line := r.buf[r.start:i]
	r.skipLF = r.buf[i] == '\r'
	r.start, r.scanned = i+1, i+1
	r.dropLF()
	return line
}

// fill reads once, after making room. It must not wait for the LF of a CRLF: the event is complete without it.
func (r *Reader) fill() error {
	r.makeRoom()
	for range maxEmptyRead {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if n == 0 && err == nil {
			continue
		}
		r.dropLF()
		r.dropByteOrderMark()
		if n > 0 {
			return nil // a real error comes again
		}
		return err
	}
	return io.ErrNoProgress
}

func (r *Reader) makeRoom() {
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end -= r.start
		r.scanned -= r.start
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
}

func (r *Reader) dropLF() {
	if !r.skipLF || r.start == r.end {
		return
	}
	r.skipLF = false
	if r.buf[r.start] == '\n' {
		r.start++
		r.scanned = max(r.scanned, r.start)
	}
}

func (r *Reader) dropByteOrderMark() {
	const mark = "\uFEFF"
	if r.begun {
		return
	}
	begin := r.buf[r.start:min(r.end, r.start+len(mark))]
	switch {
	case string(begin) == mark:
		r.begun = true
		r.start += len(mark)
		r.scanned = max(r.scanned, r.start)
	case !strings.HasPrefix(mark, string(begin)):
		r.begun = true
	}
}
