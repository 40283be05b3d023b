package testenv

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDockerComesBeforeLocalBinaries(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]kind{"postgres": postgres, "redis": redisServer, "nats": natsServer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needsLocal(t, k) // behind the fake container
			docker := startFakeDocker(t)
			out := run(t, name, "DOCKER_HOST="+docker.host)
			if want := k.name + " from Docker, " + k.image; !strings.Contains(out, want) || !strings.Contains(out, "passed") {
				t.Errorf("want %q in:\n%s", want, out)
			}
			if calls := docker.calls(); !slices.Contains(calls, "POST /containers/create") {
				t.Errorf("no container was created: %q", calls)
			}
			if !listens(t, value(t, out, "url")) {
				t.Error("the URL is not that of the container")
			}
		})
	}
}

func TestPrivateServerInDocker(t *testing.T) {
	t.Parallel()
	needsLocal(t, redisServer)
	docker := startFakeDocker(t)
	out := run(t, "redis-private", "DOCKER_HOST="+docker.host, "PATH="+t.TempDir())
	if !strings.Contains(out, "passed") {
		t.Errorf("scenario failed:\n%s", out)
	}
	for _, verb := range []string{"kill", "start", "pause", "unpause"} {
		if !slices.ContainsFunc(docker.calls(), func(c string) bool { return strings.HasSuffix(c, "/"+verb) }) {
			t.Errorf("no container was asked to %s", verb)
		}
	}
	if listens(t, value(t, out, "url")) {
		t.Error("the container outlived the test")
	}
}

func TestDockerThatCannotRunIsReported(t *testing.T) {
	t.Parallel()
	docker := startFakeDocker(t)
	docker.createError = "no space left on device"

	t.Run("and the local binary used", func(t *testing.T) {
		t.Parallel()
		needsLocal(t, redisServer)
		out := run(t, "redis", "DOCKER_HOST="+docker.host)
		if !strings.Contains(out, "a local binary") || !strings.Contains(out, docker.createError) {
			t.Errorf("want the local binary, and why not Docker:\n%s", out)
		}
	})
	t.Run("and is fatal without one", func(t *testing.T) {
		t.Parallel()
		got := value(t, run(t, "redis", "DOCKER_HOST="+docker.host, "PATH="+t.TempDir(), "CI=true"), "fatal")
		for _, part := range []string{"run redis:7", docker.createError, `"redis-server"`, "make test-deps"} {
			if !strings.Contains(got, part) {
				t.Errorf("message lacks %q: %s", part, got)
			}
		}
	})
}

func TestDockerThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	needsLocal(t, redisServer)
	dir, err := os.MkdirTemp("", "gaia-docker-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket) // connects, by the backlog, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := run(t, "redis-hanging-docker", "DOCKER_HOST=unix://"+socket)
	if !strings.Contains(out, "a local binary (Docker: no answer within 100ms)") {
		t.Errorf("want the local binary after a short wait:\n%s", out)
	}
}

// The PATH of these tests must hide the local binary for them to mean anything.
func TestEmptyPathHidesRedis(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if path, err := exec.LookPath("redis-server"); err == nil {
		t.Fatalf("found %s with PATH=%s", path, dir)
	}
}
