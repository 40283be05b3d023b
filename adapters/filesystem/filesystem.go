package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gaia/domain"
)

// Config says what is shown. Zero values get defaults.
type Config struct {
	Root       string // a directory; it may come and go while this is in use
	MaxEntries int    // of a directory that can still be listed
}

const defaultMaxEntries = 100_000

// Filesystem shows what is below a directory.
type Filesystem struct{ Config }

// New makes a filesystem. It does not look at the root, which may be mounted later: until then everything is domain.Unavailable.
func New(c Config) *Filesystem {
	if c.MaxEntries <= 0 {
		c.MaxEntries = defaultMaxEntries
	}
	return &Filesystem{c}
}

// Check reports whether the root is there.
func (f *Filesystem) Check() error {
	root, err := f.open()
	if err != nil {
		return err
	}
	return root.Close()
}

// open opens the root anew, since it may have been mounted or replaced since the last time.
func (f *Filesystem) open() (*os.Root, error) {
	info, err := os.Stat(f.Root) // a pipe in the place of the root would keep OpenRoot waiting
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(f.Root)
	}
	if err != nil {
		return nil, domain.MissingPart("The filesystem is not available: its root is not there", err)
	}
	return root, nil
}

// within runs something with the root open and the path in the form that os.Root takes. Its errors become those of the domain.
func (f *Filesystem) within(ctx context.Context, path string, do func(root *os.Root, clean, local string) error) error {
	clean, err := domain.CleanFilePath(path)
	if err != nil {
		return err
	}
	local, err := localPath(clean)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return explain(root, do(root, clean, local))
}

// localPath writes a clean path as this machine does. Some names are no names there, such as C: and NUL on Windows.
func localPath(clean string) (string, error) {
	if clean == "" {
		return ".", nil
	}
	local := filepath.FromSlash(clean)
	if !filepath.IsLocal(local) {
		return "", domain.LeavesRoot()
	}
	return local, nil
}

// explain says in the words of the domain why the system refused something.
func explain(root *os.Root, err error) error {
	var known *domain.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case escapes(root, err):
		return domain.LeavesRoot()
	case errors.Is(err, fs.ErrNotExist), isAny(err, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL):
		// A name below a file, one that is too long to exist, links that lead in a circle.
		return &domain.Error{Kind: domain.NotFound, Message: "There is no such file or directory", Cause: err}
	case errors.Is(err, fs.ErrPermission):
		return &domain.Error{Kind: domain.Forbidden, Message: "The file system does not allow this", Cause: err}
	default:
		return domain.MissingPart("The file system can't do this now", err)
	}
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// escapes reports whether os.Root refused to leave the root. The error that says so has no name outside of os, so it is had from a path
// that is certain to cause it.
func escapes(root *os.Root, err error) bool {
	_, sure := root.Lstat("..")
	var a, b *fs.PathError
	return errors.As(err, &a) && errors.As(sure, &b) && a.Err == b.Err //nolint:errorlint // this very error, not one around it
}
