package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestWrongAnswersAreSeen(t *testing.T) {
	t.Parallel()
	ok := func(body string) answer { return answer{status: http.StatusOK, body: []byte(body)} }
	failed := answer{status: http.StatusInternalServerError, body: []byte(`{"personas":[]}`)}
	const text = `{"response":"Mu here, running offline as the echo model."}` + "\n"
	const stream = `data: {"content":"the "}` + "\n\n" + `data: {"content":"echo "}` + "\n\ndata: [DONE]\n\n"
	for _, c := range []struct {
		name     string
		recorded answer
		stream   bool
		list     bool
		got      answer
		good     bool
	}{
		{name: "the same list", list: true, recorded: ok(`{"personas":[]}`), got: ok(`{"personas":[]}`), good: true},
		{name: "another list", list: true, recorded: ok(`{"personas":[]}`), got: ok(`{"personas":{}}`)},
		{name: "a failed list", list: true, recorded: ok(`{"personas":[]}`), got: failed},
		{name: "a chat", recorded: ok(text), got: ok(text), good: true},
		{name: "a chat of somebody else", recorded: ok(text), got: ok(`{"response":"Mu here, running offline as the other model"}` + "\n")},
		{name: "half a chat", recorded: ok(text), got: ok(text[30:])},
		{name: "a stream", stream: true, recorded: ok(stream), got: ok(stream), good: true},
		{name: "a stream without its end", stream: true, recorded: ok(stream), got: ok(stream[:len(stream)-3])},
		{name: "a stream without a word", stream: true, recorded: ok(stream), got: ok(stream[28:])},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := load{stream: c.stream, recorded: c.recorded}
			check := l.sameKind
			if c.list {
				check = l.sameBytes
			}
			if err := check(c.got); (err == nil) != c.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBareServerRepeatsEveryByte(t *testing.T) {
	t.Parallel()
	stream := []byte("data: one\n\ndata: two\n\ndata: [DONE]\n\n")
	pieces := events(stream)
	if len(pieces) != 3 || !bytes.Equal(slices.Concat(pieces...), stream) {
		t.Fatalf("pieces %q", pieces)
	}
	w := httptest.NewRecorder()
	recording{ContentType: "text/event-stream", Pieces: pieces}.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/0", nil))
	if !bytes.Equal(w.Body.Bytes(), stream) || w.Header().Get("Content-Type") != "text/event-stream" || !w.Flushed {
		t.Errorf("got %q, %v, flushed %v", w.Body, w.Header(), w.Flushed)
	}
}
