//go:build !unix

package mcptools

import (
	"os"
	"os/exec"
	"syscall"
)

// passedOn are the variables of this process's environment that programs get.
var passedOn = []string{"PATH", "HOME", "TMPDIR", "LANG", "SYSTEMROOT", "PATHEXT", "TEMP", "TMP", "USERPROFILE"}

func ownGroup(*exec.Cmd) {}

// signalGroup can only kill, and only the program itself.
func signalGroup(pid int, sig syscall.Signal) {
	if p, err := os.FindProcess(pid); err == nil && sig == syscall.SIGKILL {
		_ = p.Kill()
	}
}
