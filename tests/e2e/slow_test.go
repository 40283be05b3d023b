package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// drip opens connections to a server that each send something and then, until the test ends, nearly nothing.
func drip(t *testing.T, server *gaiatest.Server, n int, begin, more string) {
	t.Helper()
	address := strings.TrimPrefix(server.URL(), "http://")
	conns := make([]net.Conn, 0, n)
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = io.WriteString(conns[i%n], more) // the server may have closed it
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
}

// wantPrompt sends good requests and wants every one answered well and soon.
func wantPrompt(t *testing.T, c *gaiatest.Client, n int) {
	t.Helper()
	const limit = 6 * time.Second // for the slowest on a busy machine; what waits for slow clients waits ten until the first of them is given up
	var slowest time.Duration
	for range n {
		begun := time.Now()
		c.Get("/api/v0.2/chat/status").Want(http.StatusOK)
		c.Post("/calculator/add", map[string]any{"a": 1, "b": 2}).Want(http.StatusOK)
		slowest = max(slowest, time.Since(begun))
	}
	t.Logf("the slowest of %d pairs of requests took %s", n, slowest)
	if slowest > limit {
		t.Errorf("the slowest pair of requests took %s", slowest)
	}
}

// TestSlowClientsHoldNobodyUp: whatever they are slow with.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	const many = 400
	stranger := func(i int) string { return fmt.Sprintf("X-Forwarded-For: 198.51.100.%d\r\n", i) }
	for name, c := range map[string]struct {
		clients     int
		begin, more string
	}{
		"heads":          {many, "GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n"},
		"silence":        {many, "", ""},
		"idle":           {many, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		"bodies":         {many, "POST /calculator/add HTTP/1.1\r\nHost: x\r\n" + stranger(1) + "Content-Length: 1000\r\n\r\n{", " "},
		"refused bodies": {many, "POST /api/v0.2/chat HTTP/1.1\r\nHost: x\r\n" + stranger(2) + "Content-Length: 1000\r\n\r\n{", " "},
		"chunks":         {many, "POST /calculator/add HTTP/1.1\r\nHost: x\r\n" + stranger(3) + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n"},
		"answers":        {50, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 20), ""}, // which are megabytes that nobody reads
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Far fewer may run at once than there are slow clients.
			server := gaiatest.Start(t, trustMe, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": "20"})
			c2 := server.As(uuid.NewString())
			drip(t, server, c.clients, c.begin, c.more)
			wantPrompt(t, c2, 20)
			server.Anonymous().Get("/livez").Want(http.StatusOK)
		})
	}
}

// TestConnectionsAreBounded: those that wait longest go, and whoever has something to ask is answered.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"MAX_CONNECTIONS": "50"})
	c := server.As(uuid.NewString())
	stream := c.Stream(t.Context(), typedRoute, message("Hello"))
	drip(t, server, 300, "GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n")
	gaiatest.Eventually(t, patience, "a request is answered", func() bool {
		r, err := c.Try(gaiatest.Request{Method: http.MethodGet, Path: "/api/v0.2/chat/status"})
		return err == nil && r.Status == http.StatusOK
	})
	stream.All()
	wantPrompt(t, c, 10)
}

// TestOneCallerDoesNotTakeEverything: streams of one caller leave room for others.
func TestOneCallerDoesNotTakeEverything(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": "20", "ECHO_WORD_DELAY": "10", "SHUTDOWN_TIMEOUT": "0.5"})
	greedy := server.As(uuid.NewString())
	var streams []*gaiatest.Stream
	for len(streams) < 30 {
		s, err := greedy.TryStream(t.Context(), typedRoute, message("Take your time"))
		if err != nil {
			break
		}
		streams = append(streams, s)
	}
	if len(streams) != 18 {
		t.Errorf("one caller has %d streams, want 18 of 20", len(streams))
	}
	r := greedy.Get("/api/v0.2/chat/status").Want(http.StatusServiceUnavailable)
	if !strings.Contains(r.JSON().Text("detail"), "your requests") || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", r.Header, r.Body)
	}
	wantPrompt(t, server.As(uuid.NewString()), 5)
	for _, s := range streams {
		s.Close()
	}
	gaiatest.Eventually(t, patience, "the caller has room again", func() bool {
		return greedy.Get("/api/v0.2/chat/status").Status == http.StatusOK
	})
}

func TestHugeHeads(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t).Client()
	c.Get("/api/v0.2/personas?name=" + strings.Repeat("a", 9000)).Want(http.StatusRequestURITooLong)
	many := http.Header{}
	for i := range 120 {
		many.Set(fmt.Sprintf("X-Many-%d", i), "v")
	}
	c.Do(gaiatest.Request{Method: http.MethodGet, Path: "/api/v0.2/personas", Header: many}).Want(http.StatusRequestHeaderFieldsTooLarge)
	c.Do(gaiatest.Request{Method: http.MethodGet, Path: "/", Header: http.Header{"X-Huge": {strings.Repeat("a", 100_000)}}}).Want(http.StatusRequestHeaderFieldsTooLarge)
	c.Get("/api/v0.2/personas").Want(http.StatusOK)
}
