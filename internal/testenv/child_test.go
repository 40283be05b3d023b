package testenv

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What is decided once for a process can only be tested in a process of its
// own: the test binary runs itself with a scenario in the environment.
const childVariable = "GAIA_TESTENV_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		flag.Parse()
		runScenario(name)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var scenarios = map[string]func(testing.TB){
	"postgres":        func(t testing.TB) { fmt.Println("url", Postgres(t)) },
	"redis":           func(t testing.TB) { u, p := Redis(t); fmt.Println("url", u); fmt.Println("prefix", p) },
	"nats":            func(t testing.TB) { u, p := NATS(t); fmt.Println("url", u); fmt.Println("prefix", p) },
	"redis-no-docker": func(t testing.TB) { withoutDocker(); Redis(t) },
	"redis-hanging-docker": func(t testing.TB) {
		dockerTimeout = 100 * time.Millisecond
		u, _ := Redis(t)
		fmt.Println("url", u)
	},
	"redis-private": faults,
	"all-and-wait":  allAndWait,
}

func withoutDocker() {
	dockerAnswers = func() error { return errors.New("not in this test") }
}

// faults takes a private Redis through every fault.
func faults(t testing.TB) {
	s := StartRedis(t)
	step := func(what string, act func(), answers bool) {
		act()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := pingRedis(ctx, s.URL()); (err == nil) != answers {
			t.Fatalf("after %s: %v", what, err)
		}
	}
	step("Stop", s.Stop, false)
	step("Start", s.Start, true)
	step("Pause", s.Pause, false)
	step("Resume", s.Resume, true)
	fmt.Println("url", s.URL())
}

// allAndWait has every sort of server running and waits to be killed.
func allAndWait(t testing.TB) {
	withoutDocker()
	Redis(t)
	for _, s := range []*Server{StartPostgres(t), StartRedis(t), StartNATS(t)} {
		fmt.Println("url", s.URL())
		fmt.Println("dir", s.r.(*process).dir)
	}
	fmt.Println("url", redisServer.shared.at)
	fmt.Println("ready")
	select {}
}

// recorder is a testing.TB that prints how a test would have ended.
type recorder struct {
	testing.TB
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return context.Background() }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(f string, a ...any)  { fmt.Printf("log "+f+"\n", a...) }
func (r *recorder) Skip(a ...any)            { fmt.Println("skip", fmt.Sprint(a...)); runtime.Goexit() }
func (r *recorder) Skipf(f string, a ...any) { r.Skip(fmt.Sprintf(f, a...)) }
func (r *recorder) Errorf(f string, a ...any) {
	fmt.Printf("error "+f+"\n", a...)
}
func (r *recorder) Fatalf(f string, a ...any) {
	fmt.Printf("fatal "+f+"\n", a...)
	runtime.Goexit()
}

func runScenario(name string) {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scenarios[name](r)
		fmt.Println("passed")
	}()
	<-done
	for _, f := range r.cleanups {
		f()
	}
}

// command is a scenario ready to run, in an environment with nothing that leads
// to a server except what is given.
func command(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	for _, v := range os.Environ() {
		switch key, _, _ := strings.Cut(v, "="); key {
		case "CI", "GAIA_TEST_REQUIRE", "DATABASE_URL", "REDIS_URL", "NATS_URL", "DOCKER_HOST", "HOME":
		default:
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, childVariable+"="+name, "HOME="+t.TempDir(),
		// The fake Docker publishes here and has no reaper.
		"TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1", "TESTCONTAINERS_RYUK_DISABLED=true")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func run(t *testing.T, name string, env ...string) string {
	t.Helper()
	out, err := command(t, name, env...).CombinedOutput()
	if err != nil {
		t.Fatalf("scenario %s: %v\n%s", name, err, out)
	}
	return string(out)
}

// value is what the scenario printed after a word.
func value(t *testing.T, out, word string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(line, word+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no %q in:\n%s", word, out)
	return ""
}
