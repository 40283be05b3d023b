package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	portAttempts = 5
	stopTimeout  = 20 * time.Second
	pollInterval = 10 * time.Millisecond
)

var errExited = errors.New("the server exited")

// process is a server started from a local binary in a directory of its own.
type process struct {
	kind  kind
	at    string
	dir   string
	what  launch
	guard *guard

	cmd    *exec.Cmd
	alive  *os.File // end of file when the server and its children are gone
	paused []int
}

// startProcess starts k on a free port. A port can be taken between looking and
// binding, so a server that exits is tried again on another one.
func startProcess(k kind) (*process, error) {
	var last error
	for range portAttempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p, err := newProcess(k, port, newSecret())
		if err != nil {
			return nil, err
		}
		if last = p.start(); last == nil {
			return p, nil
		}
		p.close()
		if !errors.Is(last, errExited) {
			break
		}
	}
	return nil, last
}

func newProcess(k kind, port int, secret string) (*process, error) {
	dir, err := os.MkdirTemp("", "gaia-test-")
	if err != nil {
		return nil, err
	}
	g, err := newGuard(dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	p := &process{kind: k, dir: dir, guard: g, at: k.url(secret, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))}
	// The server may run as somebody else and must reach its data below this.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // holds nothing but test data
		p.close()
		return nil, err
	}
	if p.what, err = k.local(dir, secret, port); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// freePort looks below the range from which the kernel takes the ports of
// outgoing connections: there, a port stays free while a server is stopped.
func freePort() (int, error) {
	for range 100 {
		port := 15000 + rand.IntN(15000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port between 15000 and 30000")
}

func (p *process) url() string { return p.at }

// start launches the server and waits until it answers as itself.
func (p *process) start() error {
	if err := p.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for {
		err := p.kind.ready(ctx, p.at)
		if err == nil {
			return nil
		}
		if p.exited(pollInterval) {
			p.reap()
			return fmt.Errorf("%s: %w: %s", p.kind.name, errExited, p.logTail())
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s is not ready: %w: %s", p.kind.name, err, p.logTail())
		}
	}
}

func (p *process) launch() error {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server holds its own descriptor
	alive, held, err := os.Pipe()
	if err != nil {
		return err
	}
	defer held.Close() //nolint:errcheck // as above
	cmd := exec.Command(p.what.path, p.what.args...)
	cmd.Dir = p.dir
	// Not the test's own output: `go test` waits until all who hold it are gone.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{held}
	// A group of its own keeps a Ctrl-C meant for the test away from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.what.credential, Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = alive.Close()
		return fmt.Errorf("start %s: %w", p.what.path, err)
	}
	p.cmd, p.alive = cmd, alive
	return p.guard.watch(cmd.Process.Pid, p.what.farewell)
}

// exited waits up to limit for the server to be gone. The pipe takes the place
// of a goroutine in Wait, which leak detectors of the packages under test would see.
func (p *process) exited(limit time.Duration) bool {
	_ = p.alive.SetReadDeadline(time.Now().Add(limit))
	_, err := p.alive.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func (p *process) reap() {
	_ = p.cmd.Wait() // its status is the signal it was sent, or is told by its log
	_ = p.alive.Close()
	p.cmd, p.paused = nil, nil
	_ = p.guard.watch(0, "")
}

// kill ends the server by a signal and returns when no part of it is left.
func (p *process) kill(sig syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	for _, pid := range p.paused {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return err
	}
	gone := p.exited(stopTimeout)
	if !gone {
		_ = p.cmd.Process.Kill()
	}
	p.reap()
	if !gone {
		return fmt.Errorf("%s did not end within %s of %s", p.kind.name, stopTimeout, sig)
	}
	return nil
}

// pause freezes the server with its children: PostgreSQL answers in those.
func (p *process) pause() error {
	if p.cmd == nil {
		return errors.New("the server is stopped")
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.paused = []int{p.cmd.Process.Pid}
	children, err := childrenOf(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, pid := range children {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		p.paused = append(p.paused, pid)
	}
	return nil
}

func (p *process) resume() error {
	for _, pid := range p.paused {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	p.paused = nil
	return nil
}

// close ends the server politely and removes what it left.
func (p *process) close() {
	sig := syscall.SIGKILL
	if p.what.farewell == "QUIT" {
		sig = syscall.SIGQUIT
	}
	_ = p.kill(sig)
	if p.what.afterCrash != nil {
		p.what.afterCrash()
	}
	p.guard.close()
}

func (p *process) logTail() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	const most = 1000
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}

func childrenOf(parent int) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var children []int
	for line := range strings.Lines(string(out)) {
		var pid, ppid int
		if _, err := fmt.Sscan(line, &pid, &ppid); err == nil && ppid == parent {
			children = append(children, pid)
		}
	}
	return children, nil
}
