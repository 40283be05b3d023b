package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// limitedServer serves with room for so many connections. Requests for /wait go on until the test ends.
func limitedServer(t *testing.T, most int) (address string, begun chan struct{}) {
	t.Helper()
	begun = make(chan struct{}, 100)
	finish := make(chan struct{})
	s := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			begun <- struct{}{}
			<-finish
		}
		_, _ = w.Write([]byte("hello"))
	}), most, func(net.Conn, http.ConnState) {}, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { close(finish); _ = s.Close() })
	return l.Addr().String(), begun
}

// dial connects and sends something.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func answers(t *testing.T, conn net.Conn) bool {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode == http.StatusOK && string(body) == "hello"
}

func isClosed(conn net.Conn) bool {
	_, err := conn.Read(make([]byte, 1))
	return err != nil
}

const waitRequest = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"

func TestConnectionsThatWaitLongestGoFirst(t *testing.T) {
	t.Parallel()
	address, begun := limitedServer(t, 4)
	served := dial(t, address, waitRequest)
	<-begun
	idle := dial(t, address, aRequest)
	if !answers(t, idle) {
		t.Fatal("no answer")
	}
	var slow []net.Conn
	for range 10 { // each of them has said something, but not enough
		slow = append(slow, dial(t, address, "GET / HTTP/1.1\r\nHost:"))
		if conn := dial(t, address, aRequest); !answers(t, conn) {
			t.Error("a good request gets no answer")
		}
	}
	if !isClosed(idle) {
		t.Error("a connection that waits for another request is kept")
	}
	closed := 0
	for _, conn := range slow[:8] {
		if isClosed(conn) {
			closed++
		}
	}
	if closed != 8 {
		t.Errorf("%d of the first 8 slow connections are closed", closed)
	}
	_ = served.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := served.Read(make([]byte, 1)); err == nil || !isTimeout(err) {
		t.Errorf("a connection that is served: %v, want it open", err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as net returns it
	return ok && e.Timeout()
}

func TestNewConnectionsGoWhenAllAreServed(t *testing.T) {
	t.Parallel()
	address, begun := limitedServer(t, 2)
	for range 2 {
		dial(t, address, waitRequest)
		<-begun
	}
	if conn := dial(t, address, ""); !isClosed(conn) {
		t.Error("a third connection stays open")
	}
}

func TestConnectionsAreForgotten(t *testing.T) {
	t.Parallel()
	c := newConnections(2)
	for range 100 {
		conn, other := net.Pipe()
		c.state(conn, http.StateNew)
		h := c.serving(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if c.waiting.Len() != 0 {
				t.Error("a connection that is served waits")
			}
		}))
		r, _ := http.NewRequestWithContext(c.remember(context.Background(), conn), http.MethodGet, "/", nil)
		h.ServeHTTP(nil, r)
		if c.waiting.Len() != 1 {
			t.Error("a connection that was served does not wait")
		}
		c.state(conn, http.StateClosed)
		_ = other.Close()
	}
	if len(c.open) != 0 || c.waiting.Len() != 0 {
		t.Errorf("%d open, %d waiting", len(c.open), c.waiting.Len())
	}
}
