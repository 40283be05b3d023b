package testenv

import (
	"syscall"
	"testing"
)

// runner is a server that can be made to fail: a process or a container.
type runner interface {
	url() string
	start() error
	kill(syscall.Signal) error
	pause() error
	resume() error
	close()
}

// A Server belongs to one test, which may break it. It is for use by one
// goroutine at a time, and is gone when the test ends.
type Server struct {
	t testing.TB
	r runner
}

// start prefers a local binary to Docker: signals act on it at once, and it
// costs a tenth of a container.
func start(t testing.TB, k kind) *Server {
	t.Helper()
	skipShort(t)
	r, err := startPrivate(k)
	if err != nil {
		missing(t, k, err)
	}
	t.Cleanup(r.close)
	return &Server{t: t, r: r}
}

func startPrivate(k kind) (runner, error) {
	p, local := startProcess(k)
	if local == nil {
		return p, nil
	}
	if err := dockerFor(k); err != nil {
		return nil, joinReasons(local, err)
	}
	c, err := startContainer(k)
	if err != nil {
		return nil, joinReasons(local, err)
	}
	return c, nil
}

// URL is where the server listens. It stays the same over Stop and Start.
func (s *Server) URL() string { return s.r.url() }

// Stop kills the server as a crash would, and returns when it is gone.
func (s *Server) Stop() { s.t.Helper(); s.must("stop", s.r.kill(syscall.SIGKILL)) }

// StopAtOnce has the server end at once and say so, and returns when it is gone. PostgreSQL calls that immediate.
func (s *Server) StopAtOnce() { s.t.Helper(); s.must("stop", s.r.kill(syscall.SIGQUIT)) }

// Start starts a stopped server on the same port and data, and returns when it answers.
func (s *Server) Start() { s.t.Helper(); s.must("start", s.r.start()) }

// Pause freezes the server: connections stay open and nothing answers.
func (s *Server) Pause() { s.t.Helper(); s.must("pause", s.r.pause()) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.t.Helper(); s.must("resume", s.r.resume()) }

func (s *Server) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("testenv: %s the server: %v", what, err)
	}
}
