package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gaia/internal/logging"
)

// Times of a restart.
const (
	successorPatience = time.Minute      // for a successor to be ready
	handOverLinger    = 10 * time.Second // connections that are idle are kept so long: there is no hurry
)

// closeOnExec keeps a descriptor from children.
func closeOnExec(fd uintptr) { syscall.CloseOnExec(int(fd)) } // #nosec G115 -- descriptors are small

// duplicate gives another descriptor of a socket. net.TCPListener.File would do, but for its Fd, which makes Accept block in the kernel for
// both, and then Close waits for a client to come.
func duplicate(listener *net.TCPListener, name string) (*os.File, error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	var copied int
	var failed error
	err = raw.Control(func(fd uintptr) { copied, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(copied), name), nil // #nosec G115 -- descriptors are small
}

// hangups tells of each SIGHUP, which asks for a restart. In a terminal it means that the terminal is gone, and ends the process as ever.
func hangups() (<-chan os.Signal, func()) {
	if tty, err := os.Open("/dev/tty"); err == nil {
		_ = tty.Close()
		return nil, func() {}
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked, func() { signal.Stop(asked) }
}

// restart is what a process needs to have another one take its place.
type restart struct {
	program string // as the command line names it: the file that is there now, not the one that was
	sockets *sockets
	serves  string // the setting SERVICES, which the command line may have set
	inPlace bool   // nobody else may use what this process uses, or nobody else may be there when it ends
	log     *slog.Logger
}

func newRestart(c config, s *sockets, log *slog.Logger) *restart {
	program, err := exec.LookPath(os.Args[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		program, _ = os.Executable()
	}
	return &restart{program: program, sockets: s, serves: c.Services, inPlace: c.NATSURL == "" || c.DatabaseURL == "" || os.Getpid() == 1, log: log}
}

// begin starts the successor and waits until it serves, or looks whether this process can be replaced. It reports whether this process has
// to go; else it goes on, and the log says why.
func (r *restart) begin(ctx context.Context) bool {
	logging.Lifecycle(r.log, "restarting", "program", r.program, "in_place", r.inPlace)
	notify("RELOADING=1\nMONOTONIC_USEC=" + monotonic())
	try := r.startSuccessor
	if r.inPlace {
		try = r.checkProgram
	}
	if err := try(ctx); err != nil {
		r.log.Error("not restarted: this process goes on as it is", "error", err.Error())
		notify("READY=1")
		return false
	}
	return true
}

// checkProgram looks whether the program can be started with the settings as they are now.
func (r *restart) checkProgram(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, successorPatience)
	defer cancel()
	var faults bytes.Buffer
	check := exec.CommandContext(ctx, r.program, "config") // #nosec G204 G702 -- the program itself
	check.Env = append(os.Environ(), "SERVICES="+r.serves)
	check.Stderr = &faults
	if err := check.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(faults.String()))
	}
	return nil
}

// replace puts the program in the place of this process, which has ended all that it did. Its sockets stay open, so that clients wait.
func (r *restart) replace(files []*os.File, variable string) error {
	for _, f := range files {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("restart: %w", err)
		}
	}
	err := syscall.Exec(r.program, os.Args, append(os.Environ(), socketsVariable+"="+variable)) // #nosec G204 G702 -- the program itself
	return fmt.Errorf("restart: %w", err)
}

// startSuccessor starts the program beside this process, with the same sockets, and returns when it is ready.
func (r *restart) startSuccessor(ctx context.Context) error {
	files, variable, err := r.sockets.files(3)
	if err != nil {
		return err
	}
	defer closeAll(files)
	listen, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer listen.Close()
	successor := exec.Command(r.program, os.Args[1:]...) // #nosec G204 G702 -- the program itself
	successor.Args[0] = os.Args[0]
	successor.ExtraFiles = append(files, tell)
	successor.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s=%d", socketsVariable, variable, readySocket, 3+len(files)))
	successor.Stdout, successor.Stderr = os.Stdout, os.Stderr
	err = successor.Start()
	_ = tell.Close()
	if err != nil {
		return err
	}
	if err = awaitWord(ctx, listen); err == nil {
		logging.Lifecycle(r.log, "the successor serves", "successor_pid", successor.Process.Pid)
		notify(fmt.Sprintf("MAINPID=%d\nREADY=1", successor.Process.Pid))
		return nil
	}
	_ = successor.Process.Kill()
	return errors.Join(err, successor.Wait())
}

// awaitWord waits until a successor says that it serves.
func awaitWord(ctx context.Context, from *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, successorPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = from.SetReadDeadline(time.Now()) })()
	word, err := io.ReadAll(io.LimitReader(from, int64(len(readyWord))))
	switch {
	case string(word) == readyWord:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("the successor was not ready: %w", ctx.Err())
	case err != nil:
		return err
	default:
		return errors.New("the successor ended before it was ready")
	}
}

// monotonic is the time as systemd wants to know it with RELOADING=1.
func monotonic() string {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return "0"
	}
	return fmt.Sprint(now.Nano() / 1000)
}
