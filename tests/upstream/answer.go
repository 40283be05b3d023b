package upstream

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errLeft = errors.New("the client left")
	errCut  = errors.New("the connection is cut")
	errOver = errors.New("the answer ends here")
)

// answer is one answer on its way.
type answer struct {
	server *Server
	script Script
	wire   wire
	entry  *Served
	w      http.ResponseWriter
	r      *http.Request
}

func (a *answer) play() error {
	s := a.script
	if err := a.wait(s.BeforeStatus); err != nil {
		return err
	}
	switch {
	case s.Fault == HTML:
		a.w.Header().Set("Content-Type", "text/html")
		_, err := a.w.Write([]byte("<!doctype html><title>Welcome</title>"))
		return a.left(err)
	case s.Fault == NotJSON:
		a.w.WriteHeader(s.Status)
		_, err := a.w.Write([]byte("upstream connect error"))
		return a.left(err)
	case s.Status != 0:
		a.server.edit(a.entry, func(e *Served) { e.Status = s.Status })
		a.wire.refuse(a.w, s.Status, s.Code, s.RetryAfter)
		return nil
	}
	a.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	if err := a.send(a.wire.begin(a.entry.Model)); err != nil {
		return err
	}
	if err := a.wait(s.BeforeFirst); err != nil {
		return err
	}
	if err := a.tokens(); err != nil {
		return err
	}
	if s.Fault == NoFinish {
		return errOver
	}
	return a.finish()
}

// tokens sends the answer on a schedule: a late token does not delay those after it.
func (a *answer) tokens() error {
	s := a.script
	start := time.Now()
	pieces := a.pieces()
	for i, piece := range pieces {
		if s.Fault != None && s.Fault != NoFinish && i == s.After {
			return a.fail()
		}
		due := start.Add(time.Duration(i) * s.Between)
		if s.Between > 0 {
			if err := a.wait(time.Until(due)); err != nil {
				return err
			}
		}
		if s.Stamp {
			piece = a.wire.text(strconv.FormatInt(due.UnixMicro(), 10) + " ")
		}
		if err := a.send(piece); err != nil {
			return err
		}
		a.server.edit(a.entry, func(e *Served) { e.Sent++ })
	}
	if s.Fault != None && s.Fault != NoFinish && s.After >= len(pieces) {
		return a.fail()
	}
	return nil
}

func (a *answer) pieces() [][]byte {
	frame := a.wire.text(a.script.word())
	pieces := make([][]byte, a.script.tokens())
	for i := range pieces {
		pieces[i] = frame
	}
	return append(pieces, a.wire.calls(a.script)...)
}

func (a *answer) finish() error {
	usage := !a.script.NoUsage
	if usage {
		a.server.edit(a.entry, func(e *Served) { e.Prompt, e.Reported = PromptTokens, true })
	}
	if err := a.send(a.wire.end(a.script, a.entry.Sent)); err != nil {
		return err
	}
	a.server.edit(a.entry, func(e *Served) { e.Finished = true })
	return nil
}

// fail does what goes wrong. Nothing comes after it.
func (a *answer) fail() error {
	if err := a.misbehave(); err != nil {
		return err
	}
	return errOver
}

func (a *answer) misbehave() error {
	switch a.script.Fault {
	case Stall:
		<-a.r.Context().Done()
		return errLeft
	case Cut:
		return errCut
	case BadJSON:
		return a.send([]byte("data: {\"choices\":[{\"delta\":\n\n"))
	case Binary:
		return a.send([]byte("data: \x00\xff\xfe\x80\n\n\x1f\x8b\x08\n\n"))
	case HugeEvent:
		return a.send(a.wire.text(strings.Repeat("x", 8<<20)))
	case EndlessLine:
		block := bytes.Repeat([]byte("x"), 64<<10)
		if err := a.send([]byte("data: ")); err != nil {
			return err
		}
		for range 1024 {
			if err := a.send(block); err != nil {
				return err
			}
		}
		return nil
	case InBandError:
		return a.send(a.wire.inBandError())
	default:
		return nil
	}
}

func (a *answer) send(data []byte) error {
	n, err := a.w.Write(data)
	if err == nil {
		err = http.NewResponseController(a.w).Flush()
	}
	a.server.mu.Lock()
	a.entry.SentBytes += int64(n)
	a.server.mu.Unlock()
	return a.left(err)
}

func (a *answer) left(err error) error {
	if err != nil {
		return errLeft
	}
	return nil
}

// wait lasts until something is due, or until the client leaves.
func (a *answer) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-a.r.Context().Done():
		return errLeft
	}
}
