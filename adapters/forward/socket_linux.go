package forward

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unanswered is how long, in milliseconds, what was sent may go without a sign that it arrived. Without it, a machine that has vanished is
// noticed after a quarter of an hour.
const unanswered = 30_000

func giveUpOnSilence(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, unanswered) // #nosec G115 -- a descriptor; an old kernel does without
	})
}
