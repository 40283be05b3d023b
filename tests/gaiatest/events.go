package gaiatest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Done is the data of the last event of every stream.
const Done = "[DONE]"

// Event is one event of a stream.
type Event struct {
	Object         // empty for Done
	ID      string // of the line before it; empty when there was none
	Data    string
	Arrived time.Time
}

// Stream is an event stream that is being read.
type Stream struct {
	t        testing.TB
	resp     *http.Response
	lines    *bufio.Reader
	Header   http.Header
	comments int
}

func newStream(t testing.TB, resp *http.Response) *Stream {
	return &Stream{t: t, resp: resp, lines: bufio.NewReader(resp.Body), Header: resp.Header}
}

// Next returns the next event, or io.EOF after the last.
func (s *Stream) Next() (Event, error) {
	id := ""
	for {
		line, err := s.Line()
		if err != nil {
			return Event{}, err
		}
		if number, ok := strings.CutPrefix(strings.TrimSpace(line), "id: "); ok {
			id = number
		}
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok {
			continue
		}
		e := Event{ID: id, Data: data, Arrived: time.Now(), Object: Object{t: s.t}}
		if data != Done {
			if err := json.Unmarshal([]byte(data), &e.Fields); err != nil {
				return Event{}, err
			}
		}
		return e, nil
	}
}

// Line returns the next line, comments and empty lines included.
func (s *Stream) Line() (string, error) {
	line, err := s.lines.ReadString('\n')
	if strings.HasPrefix(line, ":") {
		s.comments++
	}
	return line, err
}

// All returns the events that are left, Done included, and fails the test when the stream breaks off.
func (s *Stream) All() []Event {
	s.t.Helper()
	defer s.Close()
	var events []Event
	for {
		e, err := s.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			s.t.Fatalf("gaiatest: the stream breaks off after %d events: %v", len(events), err)
		}
		events = append(events, e)
	}
}

// Comments counts the lines that clients ignore, as far as the stream was read.
func (s *Stream) Comments() int { return s.comments }

// Close hangs up.
func (s *Stream) Close() { _ = s.resp.Body.Close() }

// Text joins what a stream says: the content of OpenAI chunks or of typed events.
func Text(events []Event) string {
	var text strings.Builder
	for _, e := range events {
		if content, ok := e.Fields["content"].(string); ok && e.Fields["type"] == "content" {
			text.WriteString(content)
		}
		choices, _ := e.Fields["choices"].([]any)
		for _, c := range choices {
			choice, _ := c.(map[string]any)
			delta, _ := choice["delta"].(map[string]any)
			content, _ := delta["content"].(string)
			text.WriteString(content)
		}
	}
	return text.String()
}

func isEventStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/event-stream"
}
