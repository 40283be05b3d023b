package testenv

import (
	"bufio"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestURLInTheEnvironmentComesFirst(t *testing.T) {
	t.Parallel()
	docker := startFakeDocker(t)
	for name, start := range map[string]func(testing.TB) *Server{
		"postgres": StartPostgres, "redis": StartRedis, "nats": StartNATS,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := start(t).URL()
			variable := map[string]string{"postgres": "DATABASE_URL", "redis": "REDIS_URL", "nats": "NATS_URL"}[name]
			out := run(t, name, variable+"="+mine, "DOCKER_HOST="+docker.host)
			if got := value(t, out, "url"); hostOf(t, got) != hostOf(t, mine) {
				t.Errorf("used %s, want the server at %s", got, mine)
			}
			if !strings.Contains(out, "passed") || strings.Contains(out, "error") {
				t.Errorf("scenario failed:\n%s", out)
			}
		})
	}
}

func TestWrongURLInTheEnvironmentFails(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{
		"postgres": "DATABASE_URL=postgres://u@127.0.0.1:1/x", "redis": "REDIS_URL=redis://127.0.0.1:1", "nats": "NATS_URL=nats://127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variable, _, _ := strings.Cut(env, "=")
			out := run(t, name, env)
			if got := value(t, out, "fatal"); !strings.Contains(got, "the server at "+variable+" does not answer") {
				t.Errorf("message: %s", got)
			}
		})
	}
}

func TestMissingServerSkipsOrFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ env, want string }{
		{"CI=", "skip"}, {"CI=0", "skip"}, {"CI=false", "skip"},
		{"CI=true", "fatal"}, {"CI=1", "fatal"}, {"GAIA_TEST_REQUIRE=1", "fatal"},
	} {
		t.Run(c.env, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			got := value(t, run(t, "redis-no-docker", c.env, "PATH="+t.TempDir(), "TMPDIR="+tmp), c.want)
			for _, part := range []string{"no Redis", "make test-deps", "REDIS_URL", "not in this test", "redis-server"} {
				if !strings.Contains(got, part) {
					t.Errorf("message lacks %q: %s", part, got)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestShortAsksForNoServer(t *testing.T) {
	t.Parallel()
	cmd := command(t, "redis", "CI=true")
	cmd.Args = append(cmd.Args, "-test.short")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, string(out), "skip"); !strings.Contains(got, "-short") {
		t.Errorf("message: %s", got)
	}
}

func TestServersDieWithAKilledTestProcess(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{postgres, redisServer, natsServer} {
		needsLocal(t, k)
	}
	cmd := command(t, "all-and-wait")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var urls, dirs []string
	lines := bufio.NewScanner(pipe)
	for lines.Scan() && lines.Text() != "ready" {
		switch word, rest, _ := strings.Cut(lines.Text(), " "); word {
		case "url":
			urls = append(urls, rest)
		case "dir":
			dirs = append(dirs, rest)
		}
	}
	if len(urls) != 4 || len(dirs) != 3 {
		t.Fatalf("the scenario started %d servers in %d directories", len(urls), len(dirs))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, u := range urls {
		eventually(t, u+" still listens", func() bool { return !listens(t, u) })
	}
	for _, d := range dirs {
		eventually(t, d+" is still there", func() bool { _, err := os.Stat(d); return os.IsNotExist(err) })
	}
}

func needsLocal(t *testing.T, k kind) {
	t.Helper()
	program := map[string]string{"PostgreSQL": "postgres", "Redis": "redis-server", "NATS": "nats-server"}[k.name]
	for _, elsewhere := range []string{"/usr/sbin", "/usr/lib/postgresql/*/bin"} {
		if _, err := binary(program, elsewhere); err == nil {
			return
		}
	}
	missing(t, k, os.ErrNotExist)
}

func hostOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func listens(t *testing.T, raw string) bool {
	t.Helper()
	c, err := net.DialTimeout("tcp", hostOf(t, raw), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(stopTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(otherwise)
		}
	}
}

func TestBinaryOffPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"14", "15"} {
		bin := filepath.Join(dir, version, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "gaia-no-such-program"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := binary("gaia-no-such-program", filepath.Join(dir, "*", "bin"))
	if want := filepath.Join(dir, "15", "bin", "gaia-no-such-program"); err != nil || got != want {
		t.Errorf("found %q, %v; want the newest, %q", got, err, want)
	}
	if _, err := binary("gaia-no-such-program", filepath.Join(dir, "none")); err == nil {
		t.Error("found a program that is nowhere")
	}
}
