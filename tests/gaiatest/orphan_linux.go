package gaiatest

import "syscall"

// dieWithParent keeps a server from outliving a test run that was killed or timed out.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
