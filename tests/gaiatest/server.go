package gaiatest

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Credentials of every server that Start starts, unless a setting says otherwise.
const (
	APIKey    = "gaia-test-key"
	JWTSecret = "a-secret-for-tests-that-is-long-enough-for-hs256"
)

const (
	startTimeout = 60 * time.Second // with the race detector on a busy machine
	stopTimeout  = 40 * time.Second
	pollInterval = 10 * time.Millisecond
)

// Settings are environment variables of a server.
type Settings map[string]string

// Server is a running gaia process, or the gateway with the processes behind it, which it starts and ends. Its methods are for the goroutine
// of the test that started it.
type Server struct {
	t         testing.TB
	behind    []*Server // each is one service
	settings  Settings
	transport *http.Transport
	url       string
	cmd       *exec.Cmd
	out       *output
	exited    chan struct{}
	exitErr   error
}

// topology is a variable that has tests of the embedded server run on one in four processes instead, when it is "split".
const topology = "GAIA_TEST_TOPOLOGY"

// Start starts a server and returns when it is ready. Without settings that say otherwise it is the embedded one, with its data in
// a folder of the test, no rate limit and a model that answers at once. The server ends with the test; what it printed is shown
// when the test fails.
func Start(t testing.TB, settings ...Settings) *Server {
	t.Helper()
	s := Launch(t, settings...)
	s.awaitReady()
	return s
}

// Launch is Start for a server that will not be ready, because a part that it needs is away: it returns when the server listens.
func Launch(t testing.TB, settings ...Settings) *Server {
	t.Helper()
	s := &Server{
		t: t, transport: newTransport(),
		settings: Settings{
			"SERVICE_HOST": "127.0.0.1", "SERVICE_PORT": "0", "RATE_LIMIT_REQUESTS": "0", "ECHO_WORD_DELAY": "0", "SHUTDOWN_TIMEOUT": "10",
			"API_KEY": APIKey, "SUPABASE_JWT_SECRET": JWTSecret, "LOG_LEVEL": "DEBUG",
		},
	}
	for _, more := range settings {
		maps.Copy(s.settings, more)
	}
	if os.Getenv(topology) == "split" && s.settings["DATABASE_URL"] == "" {
		maps.Copy(s.settings, Split(t).Settings)
	}
	if s.settings["GAIA_DATA_DIR"] == "" {
		s.settings["GAIA_DATA_DIR"] = t.TempDir()
	}
	t.Cleanup(s.cleanup)
	if s.settings[Apart] != "" {
		s.divide()
	}
	s.launch()
	return s
}

func (s *Server) launch() {
	s.t.Helper()
	for _, service := range s.behind {
		service.launch()
		// The gateway is told anew after each start: a port may have become that of an outgoing connection while nobody listened.
		s.settings[strings.ToUpper(service.settings["SERVICES"])+"_SERVICE_URL"] = service.url
	}
	cmd := exec.Command(Program(s.t), "serve")
	cmd.Dir = s.settings["GAIA_DATA_DIR"] // no .env of the developer is read
	cmd.Env = environ(s.settings)
	cmd.SysProcAttr = dieWithParent()
	out, exited := newOutput(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("gaiatest: start gaia: %v", err)
	}
	s.cmd, s.out, s.exited = cmd, out, exited
	go func() {
		s.exitErr = cmd.Wait()
		close(exited)
	}()
	select {
	case address := <-out.address:
		s.url = "http://" + address
	case <-exited:
		s.t.Fatalf("gaiatest: gaia ended before it listened: %v", s.exitErr)
	case <-time.After(startTimeout):
		s.t.Fatalf("gaiatest: gaia does not listen after %s", startTimeout)
	}
}

// environ is a clean environment: what a developer has set must not reach the server.
func environ(settings Settings) []string {
	env := []string{"GORACE=halt_on_error=0"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env
}

func (s *Server) awaitReady() {
	s.t.Helper()
	for _, service := range s.behind {
		service.awaitReady()
	}
	probe := s.Client()
	Eventually(s.t, startTimeout, "the server is ready", func() bool {
		if s.hasExited() {
			s.t.Fatalf("gaiatest: gaia ended before it was ready: %v", s.exitErr)
		}
		r, err := probe.Try(Request{Method: http.MethodGet, Path: "/readyz"})
		return err == nil && r.Status == http.StatusOK
	})
}

// URL is where the server listens, without a slash at the end. It changes with a restart.
func (s *Server) URL() string { return s.url }

// Output is what the server printed since it was last started, and after it what each process behind it did.
func (s *Server) Output() string {
	all := s.out.String()
	for _, service := range s.behind {
		all += service.Output()
	}
	return all
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	processes := append(slices.Clone(s.behind), s)
	for _, process := range processes { // all at once, as when a machine dies
		process.signal(syscall.SIGKILL)
	}
	for _, process := range processes {
		<-process.exited
	}
}

// Pause freezes the server: connections stay open and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

// Terminate asks the server to stop and does not wait for it. Processes behind a gateway are asked when that has ended.
func (s *Server) Terminate() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	for _, service := range s.behind {
		process, gateway := service.cmd.Process, s.exited
		go func() {
			<-gateway
			_ = process.Signal(syscall.SIGTERM) // it may have ended
		}()
	}
}

// Wait waits until the server has ended and returns how: nil when it went well.
func (s *Server) Wait() error {
	s.t.Helper()
	var ended []error
	for _, process := range append([]*Server{s}, s.behind...) {
		select {
		case <-process.exited:
			ended = append(ended, process.exitErr)
		case <-time.After(stopTimeout):
			s.t.Fatalf("gaiatest: gaia still runs after %s", stopTimeout)
		}
	}
	return errors.Join(ended...)
}

// Restart starts a server again that has ended, with the same settings and data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Wait() //nolint:errcheck // how it ended was for the test to judge
	s.checkOutput()
	for _, service := range s.behind {
		service.checkOutput()
	}
	s.transport.CloseIdleConnections()
	s.launch()
	s.awaitReady()
}

// Running reports whether the process is there.
func (s *Server) Running() bool { return !s.hasExited() }

func (s *Server) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("gaiatest: signal gaia: %v", err)
	}
}

// cleanup ends the server politely: a server that can't stop is a fault of its own.
func (s *Server) cleanup() {
	s.transport.CloseIdleConnections()
	if s.cmd == nil {
		return
	}
	if !s.hasExited() {
		s.signal(syscall.SIGTERM)
		select {
		case <-s.exited:
			if s.exitErr != nil {
				s.t.Errorf("gaiatest: gaia stopped with: %v", s.exitErr)
			}
		case <-time.After(stopTimeout):
			s.t.Errorf("gaiatest: gaia did not stop within %s of SIGTERM", stopTimeout)
			s.signal(syscall.SIGQUIT) // shows where it hangs
			<-s.exited
		}
	}
	s.checkOutput()
	for _, service := range s.behind {
		service.cleanup()
	}
	if s.t.Failed() {
		s.t.Logf("output of gaia (%s):\n%s", s.url, tail(s.out.String(), 16<<10))
	}
}

func (s *Server) checkOutput() {
	s.t.Helper()
	if sign := s.out.alarm(); sign != "" {
		s.t.Errorf("gaiatest: gaia printed %q\n%s", sign, tail(s.out.String(), 64<<10))
	}
}

func tail(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return "…" + strings.ToValidUTF8(s[len(s)-limit:], "")
}

// Eventually polls until a condition holds and fails the test when it does not within the limit.
func Eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("gaiatest: not within %s: %s", limit, what)
		}
		time.Sleep(pollInterval)
	}
}
