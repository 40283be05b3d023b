// Package upstreamtest plays providers for the tests of adapters that stream answers over HTTP: servers that send, stall and break
// off, and bodies that come without a network.
//
// It must not know what any provider says.
package upstreamtest

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gaia/adapters/internal/upstream"
)

// Serve makes a server of a handler, and returns its address and a client that reaches it; nil is the adapter's own client.
type Serve func(t *testing.T, h http.Handler) (url string, client *http.Client)

// Protocols are the versions of HTTP that providers speak.
func Protocols() map[string]Serve { return map[string]Serve{"HTTP/1.1": Plain, "HTTP/2": Encrypted} }

// Plain serves a handler by HTTP/1.1.
func Plain(t *testing.T, h http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, nil
}

// Encrypted serves a handler by TLS, and offers HTTP/2. The client is the transport of adapters, which trusts the server besides.
func Encrypted(t *testing.T, h http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := upstream.NewTransport(time.Minute)
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	t.Cleanup(transport.CloseIdleConnections)
	return server.URL, &http.Client{Transport: transport}
}

// Send answers with events.
func Send(events ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		takeBody(r)
		Write(w, events...)
	})
}

// Then sends events and goes on with a handler.
func Then(h http.HandlerFunc, events ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		takeBody(r)
		Write(w, events...)
		h(w, r)
	})
}

// Write sends events, each by itself.
func Write(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, event := range events {
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
	}
}

// Stall holds a request until its client leaves, at the latest until the end of the test.
func Stall(t *testing.T) http.HandlerFunc {
	t.Helper()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return func(_ http.ResponseWriter, r *http.Request) {
		takeBody(r)
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}
}

// takeBody reads the request: before that, an HTTP/1 server does not notice that its client left.
func takeBody(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

// Repeat sends an event every few milliseconds until the client leaves.
func Repeat(event string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		takeBody(r)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			Write(w, event)
			<-tick.C
		}
	}
}

// Abort drops the connection in the middle of a response.
func Abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Canned is a client that answers every request with the same body, without a network.
func Canned(body io.Reader) *http.Client { return &http.Client{Transport: canned{body}} }

type canned struct{ body io.Reader }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(c.body), Request: r,
	}, nil
}

// Choppy gives a text in pieces of random size, the same for the same seed.
func Choppy(text string, seed uint64) io.Reader {
	return &choppy{rest: text, rng: rand.New(rand.NewPCG(seed, 1))}
}

type choppy struct {
	rest string
	rng  *rand.Rand
}

func (c *choppy) Read(p []byte) (int, error) {
	if c.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:1+c.rng.IntN(min(len(c.rest), 60))])
	c.rest = c.rest[n:]
	return n, nil
}

// Files reads the files of a pattern, by their names without the extension. There must be some.
func Files(t *testing.T, pattern string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("found no %s: %v", pattern, err)
	}
	contents := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = string(content)
	}
	return contents
}

// SameWhole compares what a stream becomes when it is cut anywhere and its lines end in any way, with what it becomes at once.
func SameWhole(t *testing.T, body string, read func(t *testing.T, r io.Reader) string) {
	t.Helper()
	whole := read(t, strings.NewReader(body))
	same := func(what string, r io.Reader) {
		t.Helper()
		if got := read(t, r); got != whole {
			t.Fatalf("%s: got %s\nwant %s", what, got, whole)
		}
	}
	for ending, text := range map[string]string{
		"LF": body, "CRLF": strings.ReplaceAll(body, "\n", "\r\n"), "CR": strings.ReplaceAll(body, "\n", "\r"), "BOM": "\uFEFF" + body,
	} {
		same(ending+", one byte at a time", &oneByte{text})
		for seed := range uint64(8) {
			same(ending+", choppy", Choppy(text, seed))
		}
		if len(text) < 700 && strings.HasSuffix(ending, "LF") {
			for i := range len(text) {
				same(ending+", cut in two", io.MultiReader(strings.NewReader(text[:i]), strings.NewReader(text[i:])))
			}
		}
	}
}

type oneByte struct{ rest string }

// Read gives the end together with the last byte, as readers may.
func (o *oneByte) Read(p []byte) (int, error) {
	if o.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], o.rest)
	o.rest = o.rest[n:]
	if o.rest == "" {
		return n, io.EOF
	}
	return n, nil
}
