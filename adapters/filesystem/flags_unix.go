//go:build unix

package filesystem

import "syscall"

// onlyDirectory has the system open nothing but directories, and wait for nothing.
const onlyDirectory = syscall.O_DIRECTORY | syscall.O_NONBLOCK
