package eventstream

import (
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

type readEvent struct{ name, data string }

func TestReader(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stream string
		want   []readEvent
	}{
		"nothing":                      {"", nil},
		"LF":                           {"data: a\n\ndata: b\n\n", []readEvent{{"", "a"}, {"", "b"}}},
		"CRLF":                         {"data: a\r\n\r\ndata: b\r\n\r\n", []readEvent{{"", "a"}, {"", "b"}}},
		"CR":                           {"data: a\r\rdata: b\r\r", []readEvent{{"", "a"}, {"", "b"}}},
		"all mixed":                    {"data: a\r\n\rdata: b\n\r\n", []readEvent{{"", "a"}, {"", "b"}}},
		"byte order mark":              {"\uFEFFdata: a\n\n", []readEvent{{"", "a"}}},
		"second byte order mark":       {"\uFEFF\uFEFFdata: a\n\ndata: b\n\n", []readEvent{{"", "b"}}},
		"mark that is none":            {"\xEF\xBBdata: a\n\ndata: b\n\n", []readEvent{{"", "b"}}},
		"mark after the begin":         {"\n\uFEFFdata: a\n\ndata: b\n\n", []readEvent{{"", "b"}}},
		"one space goes":               {"data:a\n\ndata:  b\n\n", []readEvent{{"", "a"}, {"", " b"}}},
		"lines of one event":           {"data: a\ndata:\ndata: c\n\n", []readEvent{{"", "a\n\nc"}}},
		"comments":                     {": hi\ndata: a\n:\n: data: x\n\n", []readEvent{{"", "a"}}},
		"name":                         {"event: error\ndata: a\n\ndata: b\n\n", []readEvent{{"error", "a"}, {"", "b"}}},
		"name without data is nothing": {"event: error\n\ndata: b\n\n", []readEvent{{"", "b"}}},
		"field without colon":          {"data\n\n", []readEvent{{"", ""}}},
		"unknown fields":               {"id: 1\nretry: 5\nDATA: x\ndata: a\n\n", []readEvent{{"", "a"}}},
		"no blank line at the end":     {"data: a\n", []readEvent{{"", "a"}}},
		"no line end at the end":       {"data: a\n\ndata: b", []readEvent{{"", "a"}, {"", "b"}}},
		"CR at the end":                {"data: a\r", []readEvent{{"", "a"}}},
		"colon in the value":           {"data: a:b\n\n", []readEvent{{"", "a:b"}}},
		"longer than the buffer":       {"data: " + strings.Repeat("é", firstBuffer) + "\n\n", []readEvent{{"", strings.Repeat("é", firstBuffer)}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(test.stream), "by bytes": iotest.OneByteReader(strings.NewReader(test.stream)),
				"error with data": iotest.DataErrReader(strings.NewReader(test.stream)),
			} {
				if got, err := readEvents(r); err != nil || !reflect.DeepEqual(got, test.want) {
					t.Errorf("%s: got %q, %v, want %q", how, got, err, test.want)
				}
			}
		})
	}
}

// An event counts as soon as its blank line is there: a reader that waited for the LF of the last CRLF would hold it back.
func TestReaderDoesNotWaitForLF(t *testing.T) {
	t.Parallel()
	r := New(io.MultiReader(strings.NewReader("data: a\r\r"), iotest.ErrReader(errors.New("read too far"))))
	if ev, err := r.Next(); err != nil || string(ev.Data) != "a" {
		t.Errorf("got %q, %v", ev.Data, err)
	}
}

func TestReaderBounds(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", maxLine)
	tests := map[string]struct {
		stream string
		want   error
	}{
		"line without an end": {"data: " + strings.Repeat(line, 3), ErrTooLong},
		"comment without end": {":" + strings.Repeat(line, 3), ErrTooLong},
		"lines of one event":  {strings.Repeat("data: "+line[:maxLine/4]+"\n", 5), ErrTooLong},
		"one long line":       {"data: " + line[:maxLine-16] + "\n\n", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := strings.NewReader(test.stream)
			r := New(source)
			if _, err := r.Next(); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if len(r.buf) > 4*maxLine {
				t.Errorf("the buffer grew to %d", len(r.buf))
			}
		})
	}
}

func TestReaderPassesErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	r := New(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken)))
	if ev, err := r.Next(); err != nil || string(ev.Data) != "a" {
		t.Errorf("got %q, %v", ev.Data, err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the connection, not half an event", err)
	}
	if _, err := New(nothing{}).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v from a reader that never gets on", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func FuzzReader(f *testing.F) {
	for _, seed := range []string{"data: a\n\ndata: b\r\n\r\n", "\uFEFFevent: x\rdata\r\r:c\n", "data: a\ndata:b", "\r\n\n\r\r"} {
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		whole, err := readEvents(strings.NewReader(stream))
		if err != nil {
			t.Skip("over a bound")
		}
		if want := eventsByTheBook(stream); !reflect.DeepEqual(whole, want) {
			t.Errorf("got %q, want %q", whole, want)
		}
		cut, err := readEvents(&cutUp{stream, rand.New(rand.NewPCG(seed, 0))})
		if err != nil || !reflect.DeepEqual(cut, whole) {
			t.Errorf("in pieces: got %q, %v, want %q", cut, err, whole)
		}
	})
}

// eventsByTheBook reads a stream in the plainest way, as the HTML standard words it; only the end counts as a blank line.
func eventsByTheBook(stream string) []readEvent {
	stream = strings.TrimPrefix(stream, "\uFEFF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var events []readEvent
	var lines []string
	name := ""
	for line := range strings.SplitSeq(stream+"\n\n", "\n") {
		if line == "" {
			if lines != nil {
				events = append(events, readEvent{name, strings.Join(lines, "\n")})
			}
			lines, name = nil, ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if field == "data" {
			lines = append(lines, value)
		} else if field == "event" {
			name = value
		}
	}
	return events
}

type cutUp struct {
	rest string
	rng  *rand.Rand
}

func (c *cutUp) Read(p []byte) (int, error) {
	if c.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:1+c.rng.IntN(min(len(c.rest), 9))])
	c.rest = c.rest[n:]
	return n, nil
}

func readEvents(src io.Reader) ([]readEvent, error) {
	r := New(src)
	var events []readEvent
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, readEvent{ev.Name, string(ev.Data)})
	}
}
