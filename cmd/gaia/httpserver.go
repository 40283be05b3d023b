package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
)

// Limits of one connection. None of them cuts a stream.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
	// maxForwardedBytes is for what a gateway sends on: what it has taken, what it says of it besides, and the name of the host again.
	maxForwardedBytes = 4 * maxHeaderBytes
)

// Times of a server that stops.
const (
	endLead      = time.Second           // before its patience ends, so long the server ends what still runs
	endTimeout   = 5 * time.Second       // for what was ended to be saved and to say so; then connections are cut
	saveTimeout  = 5 * time.Second       // for answers that were cut off to be saved
	idleLinger   = time.Second           // a connection that nobody serves is kept so long: its client may be about to send
	lingerLook   = 5 * time.Millisecond  // how often it is looked whether there is such a connection
	forEver      = math.MaxInt64         // is quiet only when nobody is connected
	backlogSweep = 20 * time.Millisecond // for connections that the kernel has taken already
)

// httpServer is an http.Server that ends in good order. http.Server.Shutdown drops connections that are idle, although a request may be on
// its way, and http.Server.Close does not wait for handlers, whose answers are still to be saved.
type httpServer struct {
	http.Server

	open     *connections
	cut      context.CancelCauseFunc // ends all requests
	leaving  atomic.Bool             // clients are told to come back on another connection
	linger   time.Duration
	listener *closingListener
	running  sync.RWMutex // each running handler holds it for reading
}

// newHTTPServer makes a server with no more connections than so many. watch hears of each that begins and ends.
func newHTTPServer(handler http.Handler, most int, watch func(net.Conn, http.ConnState), log *slog.Logger) *httpServer {
	requests, cut := context.WithCancelCause(context.Background())
	s := &httpServer{cut: cut, open: newConnections(most), linger: idleLinger}
	s.Server = http.Server{
		Handler: s.open.serving(s.watched(handler)), BaseContext: func(net.Listener) context.Context { return requests },
		ConnContext: s.open.remember, ConnState: func(conn net.Conn, state http.ConnState) {
			s.open.state(conn, state)
			watch(conn, state)
		},
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// serve answers what comes in by a listener until the server is drained. What ends it before goes to failed.
func (s *httpServer) serve(listener net.Listener, failed chan<- error) {
	s.listener = &closingListener{Listener: listener}
	go func() {
		if err := s.Serve(s.listener); !s.listener.closing.Load() && !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
}

// watched knows which handlers run, and frees those that wait for a body when requests are ended.
func (s *httpServer) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.running.RLock()
		defer s.running.RUnlock()
		if s.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		if r.ContentLength != 0 {
			defer context.AfterFunc(r.Context(), func() {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now())
			})()
		}
		next.ServeHTTP(w, r)
	})
}

// leave has every answer from now on tell its client to come back on another connection.
func (s *httpServer) leave() { s.leaving.Store(true) }

// drain takes no more connections and lets the requests that run finish. Those that would take longer than patience are ended shortly before:
// they save what they have and tell their clients. What then does not come to an end is cut off. It reports whether all could finish.
func (s *httpServer) drain(patience time.Duration) bool {
	defer s.cut(domain.ErrStopping)
	s.leave()
	if s.listener != nil {
		s.listener.finish()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience-min(endLead, patience/4))
	defer cancel()
	s.awaitQuiet(ctx)
	if s.Shutdown(ctx) == nil {
		return true
	}
	s.cut(domain.ErrStopping)
	ctx, cancel = context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return false
	}
	_ = s.Close()
	returned := make(chan struct{})
	go func() {
		s.running.Lock() // for good: a handler that begins now would find everything closed
		close(returned)
	}()
	select {
	case <-returned:
	case <-time.After(saveTimeout):
	}
	return false
}

// awaitQuiet waits until nobody is served and those who are connected have been silent for a while. Until then each of them may have sent a
// request, which is answered, or may take its connection for one that lasts, because an answer that began before said so.
func (s *httpServer) awaitQuiet(ctx context.Context) {
	began := time.Now()
	look := time.NewTicker(lingerLook)
	defer look.Stop()
	for !s.open.quiet(s.linger) || time.Since(began) < s.linger && !s.open.quiet(forEver) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// closingListener is a listener that leaves no connection behind that the kernel has taken before it is closed.
type closingListener struct {
	net.Listener

	closing atomic.Bool
	closed  sync.Once
}

// Accept is net.Listener's. Once the listener is to close and nobody waits, it is closed at once: whom the kernel takes between the last look
// and that moment is reset unheard.
func (l *closingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil && l.closing.Load() {
		_ = l.Close()
		return nil, net.ErrClosed
	}
	return conn, err
}

// finish takes what is waiting for a moment and closes.
func (l *closingListener) finish() {
	l.closing.Store(true)
	if timed, ok := l.Listener.(*net.TCPListener); ok && timed.SetDeadline(time.Now().Add(backlogSweep)) == nil {
		time.Sleep(backlogSweep)
	}
	_ = l.Close()
}

// Close is net.Listener's; http.Server calls it again.
func (l *closingListener) Close() (err error) {
	l.closed.Do(func() { err = l.Listener.Close() })
	return err
}
