package mcptools

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// missesAllowed is how often in a row a server may leave something unanswered before it is started again.
const missesAllowed = 3

var (
	errSilent  = errors.New("it does not answer")
	errStopped = errors.New("stopped")
)

// server keeps one server running: one goroutine connects, lists its tools, watches it and begins anew when it is gone.
type server struct {
	Server
	cfg     Config
	log     *slog.Logger
	changed func()        // the tools are others now
	slots   chan struct{} // one for each call that runs
	tried   chan struct{} // closed when the first attempt is over
	first   sync.Once     // guards the closing

	running atomic.Int32 // calls
	missed  atomic.Int32 // what has not been answered in time since the last answer
	oldOnly bool         // it did not understand the newer protocol's greeting at all; for run alone

	mu      sync.Mutex
	current *catalogue // nil while it is away
	shown   State
}

// catalogue is what a server that is well offers.
type catalogue struct {
	link    *link
	tools   map[string]*tool
	leftOut int
}

func newServer(sc Server, cfg Config, changed func()) *server {
	s := &server{
		Server: sc, cfg: cfg, changed: changed, slots: make(chan struct{}, sc.Concurrency), tried: make(chan struct{}),
		log:   cfg.Log.With("server", sc.Name),
		shown: State{Name: sc.Name, Kind: "stdio", Status: Starting, Since: time.Now()},
	}
	switch {
	case sc.URL != "":
		s.shown.Kind = "http"
	case sc.InProcess != nil:
		s.shown.Kind = "built in"
	}
	if sc.Disabled {
		s.shown.Status = Off
		close(s.tried)
	}
	return s
}

func (s *server) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

// catalogue is nil while the server is away.
func (s *server) catalogue() *catalogue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// run keeps the server running until ctx ends.
func (s *server) run(ctx context.Context) {
	pause := s.cfg.pace.retry
	for {
		began := time.Now()
		err := s.serve(ctx)
		s.first.Do(func() { close(s.tried) })
		if ctx.Err() != nil {
			s.down(errStopped, 0)
			return
		}
		if time.Since(began) > s.cfg.pace.steady {
			pause = s.cfg.pace.retry
		}
		wait := pause/2 + rand.N(pause) // #nosec G404 -- no secret: servers that died together need not come back together
		s.down(err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, s.cfg.pace.retryMax)
	}
}

// serve is one life of the server. It ends when the server is gone, or ctx.
func (s *server) serve(ctx context.Context) error {
	s.missed.Store(0)
	l, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	cat, err := s.list(l)
	if err != nil {
		return err
	}
	s.up(cat)
	defer s.withdraw() // before its connection is closed
	return s.watch(ctx, l)
}

// up offers what the server has.
func (s *server) up(cat *catalogue) {
	s.mu.Lock()
	s.current = cat
	was := s.shown
	s.shown.Status, s.shown.Tools, s.shown.LeftOut, s.shown.Protocol, s.shown.Fault = Up, len(cat.tools), cat.leftOut, cat.link.protocol(), ""
	if was.Status != Up {
		s.shown.Since = time.Now()
	}
	now := s.shown
	s.mu.Unlock()
	s.changed()
	if was.Status != Up {
		s.log.Info("tool server is up", "kind", now.Kind, "tools", now.Tools, "left_out", now.LeftOut, "protocol", now.Protocol)
		s.first.Do(func() { close(s.tried) })
	} else if was.Tools != now.Tools {
		s.log.Info("tool server has other tools", "tools", now.Tools, "left_out", now.LeftOut)
	}
}

// withdraw offers nothing any more.
func (s *server) withdraw() {
	s.mu.Lock()
	s.current = nil
	s.shown.Status, s.shown.Since, s.shown.Tools, s.shown.LeftOut, s.shown.Protocol, s.shown.Fault = Down, time.Now(), 0, 0, "", "its connection is closed"
	s.mu.Unlock()
	s.changed()
}

// down notes why the server is away, and says so once.
func (s *server) down(err error, retry time.Duration) {
	fault := s.plain(err)
	s.mu.Lock()
	was := s.shown
	s.shown.Status, s.shown.Tools, s.shown.LeftOut, s.shown.Protocol, s.shown.Fault = Down, 0, 0, "", fault
	if was.Status != Down {
		s.shown.Since = time.Now()
	}
	s.mu.Unlock()
	switch {
	case errors.Is(err, errStopped):
	case was.Status != Down || was.Fault != fault:
		s.log.Warn("tool server is away; its tools are not offered", "error", fault, "retry", retry.Round(time.Millisecond).String())
	default:
		s.log.Debug("tool server is still away", "error", fault, "retry", retry.Round(time.Millisecond).String())
	}
}

// watch returns when the server is gone.
func (s *server) watch(ctx context.Context, l *link) error {
	p := s.cfg.pace
	health, refresh := time.NewTicker(p.health), time.NewTicker(p.refresh)
	defer health.Stop()
	defer refresh.Stop()
	var due <-chan time.Time
	listed := time.Now()
	for {
		var err error
		select {
		case <-ctx.Done():
			return errStopped
		case <-l.life.Done():
			return context.Cause(l.life)
		case <-l.listChanged:
			if due == nil { // a server may say so as often as it likes
				due = time.After(max(0, p.relist-time.Since(listed)))
			}
		case <-due:
			due, listed = nil, time.Now()
			err = s.relist(l)
		case <-refresh.C:
			listed = time.Now()
			err = s.relist(l)
		case <-l.suspect:
			err = s.check(l, true)
		case <-health.C:
			err = s.check(l, false)
		}
		if err != nil {
			return err
		}
	}
}

// relist asks for the tools again. A server that is busy keeps those it had.
func (s *server) relist(l *link) error {
	cat, err := s.list(l)
	if errors.Is(err, context.DeadlineExceeded) {
		return s.miss()
	}
	if err != nil {
		return err
	}
	s.up(cat)
	return nil
}

// check asks the server for a sign of life. Some do one thing after the other, so that nothing is expected of one that has a call to do,
// unless its calls are not answered either.
func (s *server) check(l *link, suspect bool) error {
	if !suspect && s.running.Load() > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.life, s.cfg.pace.answer)
	defer cancel()
	err := l.ping(ctx)
	switch {
	case err == nil:
		s.missed.Store(0)
		return nil
	case l.life.Err() != nil:
		return context.Cause(l.life)
	case suspect:
		return errSilent
	default:
		return s.miss()
	}
}

// miss counts what was not answered.
func (s *server) miss() error {
	if s.missed.Add(1) >= missesAllowed {
		return errSilent
	}
	return nil
}
