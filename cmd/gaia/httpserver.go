package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of one connection. None of them cuts a stream.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
)

// saveTimeout bounds how long answers that were cut off may take to be saved.
const saveTimeout = 10 * time.Second

// httpServer is an http.Server that knows when its last handler has returned. http.Server.Close does not wait for that, and answers
// that it cuts off are still to be saved.
type httpServer struct {
	http.Server

	cut     context.CancelFunc
	running sync.RWMutex // each running handler holds it for reading
}

// newHTTPServer makes a server with no more connections than so many. watch hears of each that begins and ends.
func newHTTPServer(handler http.Handler, most int, watch func(net.Conn, http.ConnState), log *slog.Logger) *httpServer {
	requests, cut := context.WithCancel(context.Background())
	s, open := &httpServer{cut: cut}, newConnections(most)
	s.Server = http.Server{
		Handler: open.serving(s.counted(handler)), BaseContext: func(net.Listener) context.Context { return requests },
		ConnContext: open.remember, ConnState: func(conn net.Conn, state http.ConnState) {
			open.state(conn, state)
			watch(conn, state)
		},
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

func (s *httpServer) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.running.RLock()
		defer s.running.RUnlock()
		next.ServeHTTP(w, r)
	})
}

// drain takes no more requests and lets those that run finish. Those that take longer than patience are cut off, and drain waits until
// they have saved what they have. It reports whether all could finish.
func (s *httpServer) drain(patience time.Duration) bool {
	defer s.cut()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return true
	}
	_ = s.Close() // first, so that clients see a lost connection and no answer that looks whole
	s.cut()
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
