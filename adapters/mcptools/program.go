package mcptools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// program is a server that runs as a child of this process, in a process group of its own.
type program struct {
	cmd     *exec.Cmd
	stdin   *os.File
	stdout  *os.File
	stderr  *os.File
	closing time.Duration
	writing time.Duration
	exited  chan struct{} // closed when it has ended and nothing is left of its group
	exitErr error         // before that, for nobody
	logged  chan struct{} // closed when all of its standard error has been read
	once    sync.Once
}

// startProgram runs the command. It gets the settings that the operator's file names and next to nothing of this process's environment,
// which holds secrets.
func startProgram(s *server) (*program, error) {
	cmd := exec.Command(s.Command, s.Args...) // #nosec G204 -- the operator has named it
	cmd.Dir, cmd.Env = s.Dir, s.environment()
	ownGroup(cmd)
	var files []*os.File
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	inR, inW, err1 := pipe()
	outR, outW, err2 := pipe()
	errR, errW, err3 := pipe()
	err := errors.Join(err1, err2, err3)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
		err = cmd.Start()
	}
	if err != nil {
		closeAll(files...)
		return nil, startFault(s.Command, err)
	}
	closeAll(inR, outW, errW)
	p := &program{
		cmd: cmd, stdin: inW, stdout: outR, stderr: errR, closing: s.cfg.pace.closing, writing: s.cfg.pace.write,
		exited: make(chan struct{}), logged: make(chan struct{}),
	}
	go func() {
		defer close(p.logged)
		s.logStderr(errR)
	}()
	go func() {
		defer close(p.exited)
		p.exitErr = cmd.Wait()
		signalGroup(cmd.Process.Pid, syscall.SIGKILL) // what it has started itself
	}()
	return p, nil
}

// startFault leaves out arguments, which may hold secrets.
func startFault(command string, err error) error {
	var pathErr *os.PathError
	var execErr *exec.Error
	switch {
	case errors.As(err, &execErr):
		err = execErr.Err
	case errors.As(err, &pathErr):
		err = pathErr.Err
	}
	return fmt.Errorf("its program %s can't be started: %w", command, err)
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// environment is all that the program gets to see.
func (s *server) environment() []string {
	vars := make(map[string]string, len(s.Env)+len(passedOn))
	if s.cfg.Environment != nil {
		for _, name := range passedOn {
			if value, ok := s.cfg.Environment(name); ok {
				vars[name] = value
			}
		}
	}
	for name, value := range s.Env {
		vars[name] = value
	}
	list := make([]string, 0, len(vars))
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// Write gives the program something to read. One that does not read for long is broken.
func (p *program) Write(b []byte) (int, error) {
	if err := p.stdin.SetWriteDeadline(time.Now().Add(p.writing)); err != nil {
		return 0, err
	}
	return p.stdin.Write(b)
}

// Close tells the program that there is nothing to do any more.
func (p *program) Close() error { return p.stdin.Close() }

// reason says how the program ended, if it did so by itself.
func (p *program) reason(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(p.closing): // it has closed its output and goes on
		return err
	}
	if p.exitErr == nil {
		return errors.New("its program has ended")
	}
	return fmt.Errorf("its program has ended: %w", p.exitErr)
}

// stop ends the program: its input is closed, then it is asked to end, then it is killed, together with what it has started.
func (p *program) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		ended := p.endsWithin(p.closing)
		if !ended {
			signalGroup(p.cmd.Process.Pid, syscall.SIGTERM)
			ended = p.endsWithin(p.closing)
		}
		if !ended {
			signalGroup(p.cmd.Process.Pid, syscall.SIGKILL)
			p.endsWithin(5 * p.closing) // only what hangs in the kernel needs longer
		}
		select {
		case <-p.logged:
		case <-time.After(p.closing): // somebody outside of its group has its standard error still open
		}
		closeAll(p.stdout, p.stderr)
		<-p.logged
	})
}

func (p *program) endsWithin(limit time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(limit):
		return false
	}
}
