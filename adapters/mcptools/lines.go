package mcptools

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// lineReader passes on what a program prints, as far as it is messages: one JSON object in each line. Lines that are none are dropped. One
// that is too long ends the program, and so do more than it may send.
type lineReader struct {
	in      io.Closer
	r       *bufio.Reader
	limit   int
	budget  *budget
	fail    func(error)
	garbage func(line []byte)
	line    []byte // read, of which rest has not been passed on
	rest    []byte
}

func newLineReader(in io.ReadCloser, limit int, b *budget, fail func(error), garbage func([]byte)) *lineReader {
	return &lineReader{in: in, r: bufio.NewReaderSize(in, 64<<10), limit: limit, budget: b, fail: fail, garbage: garbage}
}

// Read gives one line at a time, whole or in parts.
func (lr *lineReader) Read(p []byte) (int, error) {
	for len(lr.rest) == 0 {
		if err := lr.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, lr.rest)
	lr.rest = lr.rest[n:]
	return n, nil
}

// Close does nothing: who has started the program closes its output when it has ended, and what it prints last is read until then.
func (lr *lineReader) Close() error { return nil }

// next reads a line. At the end of the output, a line that has no end counts too.
func (lr *lineReader) next() error {
	if cap(lr.line) > 1<<20 {
		lr.line = nil // a large message was an exception
	}
	lr.line = lr.line[:0]
	for {
		part, err := lr.r.ReadSlice('\n')
		if len(lr.line)+len(part) > lr.limit {
			lr.fail(errTooLarge)
			return errTooLarge
		}
		lr.line = append(lr.line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && len(lr.line) == 0 {
			return err
		}
		break
	}
	if !lr.budget.spend(len(lr.line), 1) {
		lr.fail(errTooMuch)
		return errTooMuch
	}
	text := bytes.TrimSpace(lr.line)
	switch {
	case len(text) == 0:
	case text[0] != '{' || !json.Valid(text):
		lr.garbage(text)
	default:
		lr.rest = append(text, '\n') // in place: at most the byte that was trimmed
	}
	return nil
}
