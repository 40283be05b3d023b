package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// frameTimeout bounds how long one event may take to reach the client. It is renewed for each event, so that a stream may last for as
// long as somebody reads it.
const frameTimeout = 30 * time.Second

// sse writes an event stream. Each event leaves at once. After the first failed write everything else is dropped.
type sse struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	frame []byte // of the event that is being sent
	ids   bool   // events carry their number as their id
	after int    // events up to this number are left out: the client has them
	n     int    // events so far, those left out included
	gone  bool
}

// newSSE sends the headers of an event stream.
func newSSE(w http.ResponseWriter, ids bool, after int) *sse {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	if h.Get("Connection") != "close" { // a server that stops says so
		h.Set("Connection", "keep-alive")
	}
	h.Set("X-Accel-Buffering", "no") // proxies must not collect events
	s := &sse{w: w, ctl: http.NewResponseController(w), ids: ids, after: after}
	w.WriteHeader(http.StatusOK)
	return s
}

// continueSSE goes on with an event stream that others have begun.
func continueSSE(w http.ResponseWriter) *sse { return &sse{w: w, ctl: http.NewResponseController(w)} }

// event sends one value as a data line.
func (s *sse) event(v any) {
	data, err := json.Marshal(v)
	if err != nil { // only generated types come here, and they all encode
		s.gone = true
		return
	}
	s.line(data)
}

// line sends a data line as an event.
func (s *sse) line(data []byte) {
	s.n++
	if s.n <= s.after {
		return
	}
	frame := s.frame[:0]
	if s.ids {
		frame = append(frame, "id: "...)
		frame = strconv.AppendInt(frame, int64(s.n), 10)
		frame = append(frame, '\n')
	}
	frame = append(frame, "data: "...)
	frame = append(frame, data...)
	s.frame = append(frame, "\n\n"...)
	s.send(s.frame)
}

// ping sends a comment, which clients ignore and proxies count as life.
func (s *sse) ping() { s.send([]byte(": ping\n\n")) }

// farewell makes what is still sent no part of what clients number: whoever takes the stream up again must not name it, and gets what comes
// in its place.
func (s *sse) farewell() { s.ids, s.after = false, min(s.after, s.n) }

// done sends what stands at the end of every stream, also to a client that has it already.
func (s *sse) done() {
	s.after = min(s.after, s.n)
	s.line([]byte("[DONE]"))
	if rec := recorderUnder(s.w); rec != nil && !s.gone {
		rec.finished = true
	}
}

func (s *sse) send(frame []byte) {
	if s.gone {
		return
	}
	_ = s.ctl.SetWriteDeadline(time.Now().Add(frameTimeout)) // a recorder in a test has no deadline
	if _, err := s.w.Write(frame); err != nil {
		s.gone = true
	} else if err := s.ctl.Flush(); err != nil {
		s.gone = true
	}
}
