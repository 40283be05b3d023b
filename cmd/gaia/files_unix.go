//go:build unix

package main

import "syscall"

// maxFiles is how many files and connections this process may have open; 0 when nobody knows.
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur)
}
