package forward_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/forward"
	"gaia/domain"
)

// watcher takes down attempts.
type watcher struct {
	mu     sync.Mutex
	begun  []forward.Attempt
	endeds []forward.Ending // in the order of the attempts; Status below zero: it has not ended
}

func (w *watcher) observe(_ context.Context, a forward.Attempt, header http.Header) func(forward.Ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := len(w.begun)
	w.begun, w.endeds = append(w.begun, a), append(w.endeds, forward.Ending{Status: -1})
	if header != nil {
		header["Traceparent"] = []string{"attempt-" + strconv.Itoa(a.Number)}
	}
	return func(e forward.Ending) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.endeds[at] = e
	}
}

// take returns what ended since the last time, once all has.
func (w *watcher) take(t *testing.T, want int) (begun []forward.Attempt, ended []forward.Ending) {
	t.Helper()
	eventually(t, "all attempts have ended", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.begun) >= want && !slices.ContainsFunc(w.endeds, func(e forward.Ending) bool { return e.Status < 0 })
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	begun, ended = w.begun, w.endeds
	w.begun, w.endeds = nil, nil
	return begun, ended
}

func TestEachAttemptIsTold(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	target := perRequest(t, func(conn *net.TCPConn, r *http.Request) bool {
		seen <- r.Header.Get("Traceparent")
		switch {
		case r.URL.Path == "/bad":
			_, _ = io.WriteString(conn, "HTTP/1.1 422 Unprocessable\r\n"+mark+"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
			return true
		case r.URL.Path == "/foreign":
			_, _ = io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}")
			return true
		case r.URL.Path == "/breaks":
			_, _ = io.WriteString(conn, head+"Content-Type: text/event-stream\r\nContent-Length: 100\r\n\r\ndata: 1\n\n")
		case r.Header.Get("Traceparent") == "attempt-2":
			_, _ = io.WriteString(conn, head+"Content-Length: 0\r\n\r\n")
			return true
		}
		reset(conn)
		return false
	})
	host, port, err := net.SplitHostPort(strings.TrimPrefix(target, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{}
	g := serve(t, start(t, forward.Config{RetryDelay: time.Millisecond, Observe: w.observe}, target), domain.Hop{})
	for _, c := range []struct {
		path string
		want []forward.Ending
	}{
		{"/", []forward.Ending{{Failed: "lost"}, {Status: 200}}},
		{"/bad", []forward.Ending{{Status: 422}}},
		{"/breaks", []forward.Ending{{Status: 200, Failed: "broken"}}},
	} {
		method, header := http.MethodGet, []string{"Traceparent", "the-client's"}
		_, _, _, _ = call(t, method, g.URL+c.path, nil, header...)
		begun, ended := w.take(t, len(c.want))
		if !slices.Equal(ended, c.want) {
			t.Errorf("%s: %+v, want %+v", c.path, ended, c.want)
		}
		for i, a := range begun {
			if a.Service != chat || a.Method != method || a.Host != host || strconv.Itoa(a.Port) != port || a.Number != i+1 {
				t.Errorf("%s: attempt %+v", c.path, a)
			}
			if got, want := <-seen, "attempt-"+strconv.Itoa(i+1); got != want {
				t.Errorf("%s: the service saw %s, want %s", c.path, got, want)
			}
		}
	}
	want(t, 503, "", http.MethodPost, g.URL+"/foreign", strings.NewReader("{}"))
	if _, ended := w.take(t, 1); !slices.Equal(ended, []forward.Ending{{Status: 502, Failed: "foreign"}}) {
		t.Errorf("foreign: %+v", ended)
	}
}

// When nobody can be asked, that is told as well: it is what a trace shows of the breaker.
func TestRefusalsOfTheBreakerAreTold(t *testing.T) {
	t.Parallel()
	s := newService(t, "c1", says("here"))
	s.down()
	w := &watcher{}
	g := serve(t, start(t, forward.Config{RetryDelay: time.Millisecond, Observe: w.observe}, s.url()), domain.Hop{})
	eventually(t, "it is left alone", func() bool {
		want(t, 503, "", http.MethodPost, g.URL, strings.NewReader("{}"))
		begun, ended := w.take(t, 1)
		for i, e := range ended {
			if away := begun[i].Host == ""; e.Status != 0 || (e.Failed == "away") != away || !away && e.Failed != "connect" {
				t.Errorf("attempt %+v: %+v", begun[i], e)
			}
		}
		return len(begun) == 1 && begun[0].Number == 1 && begun[0].Host == ""
	})
}

func TestWhoLeavesIsNoFaultOfAnAttempt(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	target := raw(t, func(conn *net.TCPConn, _ int) {
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil && r.Method == http.MethodPost {
			close(asked)
			_, _ = io.Copy(io.Discard, conn)
		} else if err == nil {
			_, _ = io.WriteString(conn, probed(conn))
		}
		_ = conn.Close()
	})
	w := &watcher{}
	g := serve(t, start(t, forward.Config{Observe: w.observe}, target), domain.Hop{})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Test-Whole", "1")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-asked
	cancel()
	<-gone
	if _, ended := w.take(t, 1); !slices.Equal(ended, []forward.Ending{{Failed: "canceled"}}) {
		t.Errorf("%+v", ended)
	}
}
