//go:build unix

package folder

import (
	"errors"
	"syscall"
)

func notDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
