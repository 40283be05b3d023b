package testenv

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// A guard ends a server, and removes its directory, when the test process is
// gone, however it went: a normal exit, a panic, a timeout, SIGKILL.
//
// It is a small shell that reads a pipe whose other end only the test process
// holds; the kernel closes that end in every case. The usual alternative,
// Pdeathsig, follows the thread that started the server rather than the process
// (so it needs a locked thread for as long as the server lives), exists on
// Linux only, can only send one signal, and leaves the directory behind.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// Each line names the process to end and the signal for it; 0 means none. The
// wait before KILL is bounded, because a process that nobody reaps stays listed.
const guardScript = `
trap '' HUP INT TERM
pid=0
while read -r p s; do pid=$p sig=$s; done
if [ "$pid" -ne 0 ]; then
	kill -CONT "$pid"; kill -"$sig" "$pid"
	n=0
	while [ "$sig" != KILL ] && kill -0 "$pid" && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
	kill -KILL "$pid"
fi
rm -rf "$1"
`

func newGuard(dir string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	cmd.Env = []string{"PATH=/usr/bin:/bin"} // whatever the test does to its own
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

func (g *guard) watch(pid int, signal string) error {
	if _, err := fmt.Fprintf(g.pipe, "%d %s\n", pid, signal); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	return nil
}

// close lets the guard remove the directory and waits for it.
func (g *guard) close() {
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
