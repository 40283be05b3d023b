package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// apiKey is the global key of the measured server.
const apiKey = "gaia-bench-key"

const (
	stopTimeout  = 30 * time.Second
	pollInterval = time.Millisecond
)

// process is a running server. What it logs is read and thrown away.
type process struct {
	cmd     *exec.Cmd
	url     string
	begun   time.Time     // just before exec
	drained chan struct{} // closed when the process has closed its output
}

// startGaia starts gaia on the embedded default with its usual log level. It returns when the server listens.
func startGaia(ctx context.Context, program, dataDir string, settings ...string) (*process, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "serve")
	cmd.Dir = dataDir // no .env of the developer is read
	cmd.Env = append(cleanEnvironment(), "SERVICE_HOST=127.0.0.1", "SERVICE_PORT=0", "GAIA_DATA_DIR="+dataDir, "API_KEY="+apiKey,
		"MAX_CONCURRENT_REQUESTS=1000", "RATE_LIMIT_REQUESTS=0", "ECHO_WORD_DELAY=0")
	cmd.Env = append(cmd.Env, settings...)
	return launch(ctx, cmd)
}

// cleanEnvironment keeps out what a developer has set for gaia.
func cleanEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func launch(ctx context.Context, cmd *exec.Cmd) (*process, error) {
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, begun: time.Now(), drained: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, p.kill) // unblocks whoever waits for it
	lines := bufio.NewReaderSize(stdout, 64<<10)
	address, err := listening(lines)
	go func() {
		_, _ = io.Copy(io.Discard, lines) // ends when the process does
		close(p.drained)
	}()
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("%s does not listen: %w", cmd.Path, err)
	}
	p.url = "http://" + address
	return p, nil
}

// listening reads the log up to the line that tells the address.
func listening(log *bufio.Reader) (string, error) {
	for {
		line, err := log.ReadBytes('\n')
		if err != nil {
			return "", err
		}
		var entry struct{ Msg, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
			return entry.Address, nil
		}
	}
}

// awaitReady polls until the server is ready and returns how long that took from exec.
func (p *process) awaitReady(ctx context.Context) (time.Duration, error) {
	c := newClient(p.url, 1)
	defer c.close()
	for {
		a, err := c.send(ctx, request{method: http.MethodGet, path: "/readyz"})
		if err == nil && a.status == http.StatusOK {
			return time.Since(p.begun), nil
		}
		if err := pause(ctx, pollInterval); err != nil {
			return 0, fmt.Errorf("not ready: %w", err)
		}
	}
}

// stop ends the server politely.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	select {
	case <-p.drained:
	case <-time.After(stopTimeout):
		p.kill()
		return errors.New("the server did not stop when it was asked to")
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the server stopped with: %w", err)
	}
	return nil
}

// kill ends a server, however it does. Doing so after stop is harmless.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
