//go:build unix

package mcptools

import (
	"os/exec"
	"syscall"
)

// passedOn are the variables of this process's environment that programs get.
var passedOn = []string{"PATH", "HOME", "TMPDIR", "LANG"}

// ownGroup puts the program into a process group of its own: signals from the terminal don't reach it, and ours reach all of its children.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func signalGroup(pid int, sig syscall.Signal) { _ = syscall.Kill(-pid, sig) }
