package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/tests/gaiatest"
)

func TestPortInUseNamesTheSetting(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	c := config{LogLevel: "INFO", DataDir: dir, ServiceHost: "127.0.0.1", ServicePort: taken.Addr().(*net.TCPAddr).Port}
	if err := serve(t.Context(), c, io.Discard); err == nil || !strings.Contains(err.Error(), "SERVICE_PORT") {
		t.Errorf("error %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the data folder was written to: %v, %v", entries, err)
	}
}

func TestProductionSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	c := config{Environment: "production"}
	if _, err := wireIdentity(c, "", nil, &system{}, log); err != nil {
		t.Fatal(err)
	}
	if _, err := wireModels(c, log); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"API_KEY, SUPABASE_JWT_SECRET and SUPABASE_URL", "OPENAI_API_KEY"} {
		if !strings.Contains(out.String(), setting) {
			t.Errorf("no word about %s in %s", setting, out.String())
		}
	}
	out.Reset()
	if _, err := wireIdentity(c, "key", nil, &system{}, log); err != nil || out.Len() > 0 {
		t.Errorf("with a key: %s, %v", out.String(), err)
	}
}

// busyProcess is a process with a request that is being answered until the test lets it go.
type busyProcess struct {
	*process

	begun, finish chan struct{}
	answer        chan error
}

func newBusyProcess(t *testing.T, out io.Writer) *busyProcess {
	t.Helper()
	dir := t.TempDir()
	c, err := loadConfig(filepath.Join(dir, "absent"), []string{
		"ADMIN_ADDRESS=127.0.0.1:0", "INTERNAL_ADDRESS=127.0.0.1:0", "INTERNAL_AUTH_SECRET=" + strings.Repeat("s", 32), "LOCAL_ACCOUNTS=off", "API_KEY=key",
		"SERVICE_PORT=8666", "GAIA_DATA_DIR=" + dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.ServicePort = 0 // any
	p := &busyProcess{
		process: &process{config: c, out: out, log: slog.New(slog.NewTextHandler(out, nil)), failed: make(chan error, 3)},
		begun:   make(chan struct{}), finish: make(chan struct{}), answer: make(chan error, 1),
	}
	t.Cleanup(p.close)
	if err := errors.Join(p.prepare(), p.open(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.sys.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(p.begun)
		select {
		case <-p.finish:
			_, _ = io.WriteString(w, "whole")
		case <-t.Context().Done(): // the test has failed
		}
	})
	go func() { p.answer <- p.ask(t.Context()) }() // its connection waits until it is taken
	return p
}

func (p *busyProcess) ask(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listener.Addr().String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != "whole" {
		err = errors.Join(err, fmt.Errorf("answer %q", body))
	}
	return errors.Join(err, resp.Body.Close())
}

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// soon is what comes from a channel, or its end.
func soon[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("it did not come to this: %s", what)
		panic("not reached")
	}
}

// safeText is text that is written and read at the same time.
type safeText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *safeText) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *safeText) has(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), what)
}

// Whatever ends a process, whoever is being answered gets the whole answer first, and the process fails.
func TestEveryEndDrains(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]struct {
		before, during func(p *busyProcess) error
	}{
		"no word to others":      {before: func(p *busyProcess) error { return p.sys.bus.Close() }},
		"no more clients":        {during: func(p *busyProcess) error { return p.server.listener.Listener.Close() }},
		"no more other services": {during: func(p *busyProcess) error { return p.internal.listener.Listener.Close() }},
		"no more operators":      {during: func(p *busyProcess) error { return p.admin.listener.Listener.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log safeText
			p := newBusyProcess(t, &log)
			if fail.before != nil {
				if err := fail.before(p); err != nil {
					t.Fatal(err)
				}
			}
			ended := make(chan error, 1)
			go func() { ended <- p.run(t.Context(), nil) }()
			soon(t, "the request is being answered", p.begun)
			if fail.during != nil {
				if err := fail.during(p); err != nil {
					t.Fatal(err)
				}
			}
			gaiatest.Eventually(t, patience, "the process stops", func() bool { return log.has("msg=stopping") })
			select {
			case err := <-ended:
				t.Fatalf("it has ended while it answers: %v", err)
			default:
			}
			close(p.finish)
			if err := soon(t, "the client has an answer", p.answer); err != nil {
				t.Errorf("the client: %v", err)
			}
			if err := soon(t, "the process has ended", ended); err == nil || exitCode(err) == 0 {
				t.Errorf("the process says %v", err)
			}
		})
	}
}
