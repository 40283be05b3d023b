package mcptools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	connectLimit   = 10 * time.Second
	redirectsLimit = 3
)

var errElsewhere = errors.New("it sends to another host, to which nothing is sent")

// statusError is an answer that is no answer to what was asked.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("it answered with status %d %s", int(e), http.StatusText(int(e)))
}

// flight is how far a call has come.
type flight struct {
	sent   atomic.Bool  // at least in part, or it is about to be
	status atomic.Int32 // of the answer over HTTP
}

type flightKey struct{}

// courier carries requests to one host and adds the operator's headers. It bounds what comes back, and ends with the connection whose it is.
type courier struct {
	base    http.RoundTripper
	to      *url.URL
	headers map[string]string
	wire    context.Context // ends all requests
	limit   int             // bytes of a message
	budget  *budget
	fail    func(error)
}

func (s *server) openHTTP(l *link) (*connection, error) {
	to, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New("its url is none") // the error would show it
	}
	base := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectLimit, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    connectLimit,
		ResponseHeaderTimeout:  max(s.Timeout, s.cfg.pace.connect) + connectLimit, // a call's own limit comes first
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        2*s.Concurrency + 8,
		MaxIdleConnsPerHost:    s.Concurrency,
		IdleConnTimeout:        90 * time.Second,
	}
	wire, cut := context.WithCancel(context.WithoutCancel(l.life))
	return &connection{
		Transport: &mcp.StreamableClientTransport{
			Endpoint: s.URL, MaxEventSize: s.messageLimit(), MaxRetries: 2,
			HTTPClient: &http.Client{
				Transport:     &courier{base: base, to: to, headers: s.Headers, wire: wire, limit: s.messageLimit(), budget: l.budget, fail: l.end},
				CheckRedirect: stayAt(to),
			},
		},
		release: func() {
			cut()
			base.CloseIdleConnections()
		},
	}, nil
}

// stayAt follows redirects on the same host alone: requests carry credentials, and arguments of calls.
func stayAt(to *url.URL) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != to.Host || req.URL.Scheme != to.Scheme || len(via) > redirectsLimit {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// RoundTrip implements http.RoundTripper.
func (c *courier) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != c.to.Host || req.URL.Scheme != c.to.Scheme {
		return nil, errElsewhere
	}
	ctx, cancel := context.WithCancel(req.Context())
	detach := context.AfterFunc(c.wire, cancel)
	end := func() { detach(); cancel() }
	call, _ := ctx.Value(flightKey{}).(*flight)
	if call != nil && req.Method == http.MethodPost {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { call.sent.Store(true) }})
	}
	out := req.Clone(ctx)
	for name, value := range c.headers {
		out.Header.Set(name, value)
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "gaia")
	}
	resp, err := c.base.RoundTrip(out)
	if err != nil {
		end()
		return nil, err
	}
	if call != nil && req.Method == http.MethodPost {
		call.status.Store(int32(resp.StatusCode)) // #nosec G115 -- three digits
	}
	if req.Method == http.MethodPost && (resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests) {
		_ = resp.Body.Close()
		end()
		return nil, statusError(resp.StatusCode)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	resp.Body = &boundedBody{ReadCloser: resp.Body, courier: c, events: kind == "text/event-stream", end: end}
	return resp, nil
}

// boundedBody bounds what a server answers: a single message by its size, a stream of them by the budget. The SDK would read everything.
type boundedBody struct {
	io.ReadCloser
	*courier
	events bool
	read   int
	end    func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	messages := 0
	if b.events {
		messages = bytes.Count(p[:n], []byte("\n")) // each event has two of them, at least
	} else if b.read += n; b.read > b.limit {
		b.fail(errTooLarge)
		return 0, errTooLarge
	}
	if n > 0 && !b.budget.spend(n, messages) {
		b.fail(errTooMuch)
		return 0, errTooMuch
	}
	return n, err
}

func (b *boundedBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
