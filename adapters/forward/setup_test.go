package forward_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gaia/adapters/forward"
	"gaia/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chat = domain.ServiceChat

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

func sign(f domain.Forwarded, audience string) (string, error) {
	return "signed:" + audience + ":" + f.RequestID, nil
}

func start(t *testing.T, c forward.Config, targets ...string) *forward.Forwarder {
	t.Helper()
	if c.Targets == nil {
		c.Targets = map[domain.Service][]string{chat: targets}
	}
	if c.Sign == nil {
		c.Sign = sign
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	f, err := forward.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// standing is a clock that stands still.
func standing() func() time.Time {
	now := time.Now()
	return func() time.Time { return now }
}

// gateway serves what a forwarder forwards, as httpapi would: an error before the head is a status, a broken answer is cut off.
type gateway struct {
	*httptest.Server

	forwarder *forward.Forwarder

	hop    domain.Hop
	errors chan error // of Forward, nil included, when there is room
	stop   func()     // ends all requests, as a process does that has to stop
}

func serve(t *testing.T, f *forward.Forwarder, hop domain.Hop) *gateway {
	t.Helper()
	if hop.Service == "" {
		hop.Service = chat
	}
	requests, cut := context.WithCancelCause(context.Background())
	g := &gateway{forwarder: f, hop: hop, errors: make(chan error, 1000), stop: func() { cut(domain.ErrStopping) }}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hop := hop
		hop.Caller.RequestID = r.Header.Get("X-Request-Id")
		hop.Repeatable = hop.Repeatable || r.Header.Get("X-Test-Repeatable") != ""
		if r.Header.Get("X-Test-Whole") != "" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(body))), nil }
			r.Body, _ = r.GetBody()
		}
		err := f.Forward(w, r, hop)
		select {
		case g.errors <- err:
		default:
		}
		var known *domain.Error
		switch {
		case err == nil:
		case errors.Is(err, domain.ErrBrokenOff):
			panic(http.ErrAbortHandler)
		case errors.As(err, &known) && known.Kind == domain.Canceled:
		case errors.As(err, &known):
			http.Error(w, known.Message, http.StatusServiceUnavailable)
		default:
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	g.Config.BaseContext = func(net.Listener) context.Context { return requests }
	g.Start()
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) outcome(t *testing.T) error {
	t.Helper()
	select {
	case err := <-g.errors:
		return err
	case <-time.After(patience):
		t.Fatal("the request is still on its way")
		return nil
	}
}

// service is a real server at an address that it can come back to.
type service struct {
	address string
	id      string
	handler http.Handler
	older   bool         // it is of before answers were marked
	asked   atomic.Int64 // but by probes
	ready   atomic.Bool

	mu     sync.Mutex
	server *http.Server
	ended  chan struct{}
}

func newService(t *testing.T, id string, handler http.HandlerFunc) *service {
	t.Helper()
	s := &service{id: id, handler: handler}
	s.ready.Store(true)
	s.up(t)
	t.Cleanup(s.down)
	return s
}

func (s *service) url() string { return "http://" + s.address }

func (s *service) up(t *testing.T) {
	t.Helper()
	var listener net.Listener
	eventually(t, "the address is free", func() bool {
		var err error
		address := s.address
		if address == "" {
			address = "127.0.0.1:0"
		}
		listener, err = net.Listen("tcp", address) //nolint:noctx // a test's own
		return err == nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, s.ended = listener.Addr().String(), make(chan struct{})
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: patience} //nolint:exhaustruct // a test's own
	go func(server *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = server.Serve(listener)
	}(s.server, s.ended)
}

func (s *service) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close()
	<-s.ended
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.older {
		w.Header().Set(domain.AnswerHeader, "1")
	}
	if r.URL.Path == "/readyz" {
		w.Header().Set(forward.InstanceHeader, s.id)
		if !s.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	}
	s.asked.Add(1)
	s.handler.ServeHTTP(w, r)
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

// raw is a server that does with each connection what a test says, and nothing else. Probes are connections too.
func raw(t *testing.T, talk func(conn *net.TCPConn, n int)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				talk(conn.(*net.TCPConn), n)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + listener.Addr().String()
}

// mark is in every answer of a service, and head begins one.
const (
	mark = domain.AnswerHeader + ": 1\r\n"
	head = "HTTP/1.1 200 OK\r\n" + mark
)

// probed is the whole answer to a probe, whose connection nobody uses again: whether a request finds it would be a matter of luck.
func probed(conn net.Conn) string {
	return head + forward.InstanceHeader + ": at-" + conn.LocalAddr().String() + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
}

// perRequest answers probes, and does with each other request what a test says. The connection is closed after it returns false.
func perRequest(t *testing.T, answer func(conn *net.TCPConn, r *http.Request) bool) string {
	t.Helper()
	return raw(t, func(conn *net.TCPConn, _ int) {
		in := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if r.URL.Path == "/readyz" {
				if _, err := io.WriteString(conn, probed(conn)); err != nil {
					return
				}
				continue
			}
			if !answer(conn, r) {
				return
			}
		}
	})
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to this: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// allReady waits until probes have found so many instances well.
func allReady(t *testing.T, f *forward.Forwarder, n int) {
	t.Helper()
	eventually(t, "instances are ready", func() bool {
		instances := f.Instances(chat)
		return len(instances) == n && !slices.ContainsFunc(instances, func(i domain.Instance) bool { return i.Health.Status != domain.Healthy })
	})
}

func call(t *testing.T, method, url string, body io.Reader, header ...string) (int, http.Header, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(got), err
}

// want calls and insists on an answer.
func want(t *testing.T, status int, text, method, url string, body io.Reader, header ...string) http.Header {
	t.Helper()
	got, h, said, err := call(t, method, url, body, header...)
	if err != nil || got != status || !strings.Contains(said, text) {
		t.Fatalf("%s: %d %q %v, want %d %q", method, got, said, err, status, text)
	}
	return h
}

func hostOf(t *testing.T, url string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
