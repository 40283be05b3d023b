//go:build !linux

package gaiatest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
