package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"gaia/domain"
)

// readAtOnce is how much is read between two looks at whether somebody still waits for it.
const readAtOnce = 1 << 18

// Read returns a whole file. What it says to be its size is not believed: files may grow, and those of /proc say 0.
func (f *Filesystem) Read(ctx context.Context, path string, limit int64) (domain.File, error) {
	var file domain.File
	err := f.within(ctx, path, func(root *os.Root, clean, local string) error {
		handle, info, err := openRegular(root, local)
		if err != nil {
			return err
		}
		defer handle.Close() //nolint:errcheck // nothing was written
		if info.Size() > limit {
			return tooLarge(limit)
		}
		content, err := readUpTo(ctx, handle, info.Size(), limit+1)
		if int64(len(content)) > limit {
			return tooLarge(limit)
		}
		file = domain.File{Path: clean, Content: content}
		return err
	})
	return file, err
}

// ReadPart returns some bytes of a file.
func (f *Filesystem) ReadPart(ctx context.Context, path string, offset, length int64) (part []byte, size int64, err error) {
	err = f.within(ctx, path, func(root *os.Root, _, local string) error {
		handle, info, err := openRegular(root, local)
		if err != nil {
			return err
		}
		defer handle.Close() //nolint:errcheck // nothing was written
		size = info.Size()
		if offset < 0 {
			offset = max(size+offset, 0)
		}
		if offset > 0 {
			if _, err := handle.Seek(offset, io.SeekStart); err != nil {
				return err
			}
		}
		part, err = readUpTo(ctx, handle, size-offset, length)
		return err
	})
	return part, size, err
}

func tooLarge(limit int64) error {
	return domain.NewError(domain.TooLarge, fmt.Sprintf("The file is larger than %d bytes", limit))
}

var (
	errDirectory = domain.NewError(domain.BadRequest, "This is a directory")
	errNoFile    = domain.NewError(domain.BadRequest, "This is no regular file")
)

// openRegular opens a regular file. Others are not opened at all, since opening a device may do something and opening a pipe waits for its
// other end; should one take the place of a file in between, the flags keep that from happening, and the handle tells.
func openRegular(root *os.Root, local string) (*os.File, fs.FileInfo, error) {
	info, err := root.Stat(local)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, nil, err
	}
	handle, err := root.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENXIO) { // a socket, or a device without a driver, has taken its place
		return nil, nil, errNoFile
	}
	if err != nil {
		return nil, nil, err
	}
	if info, err = handle.Stat(); err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, handle.Close())
	}
	return handle, info, nil
}

func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errDirectory
	case !info.Mode().IsRegular():
		return errNoFile
	default:
		return nil
	}
}

// readUpTo reads at most so many bytes of what is expected to have some size.
func readUpTo(ctx context.Context, r io.Reader, expected, most int64) ([]byte, error) {
	content := make([]byte, 0, min(max(expected, 0)+1, max(most, 0))) // one more shows the end without growing
	for int64(len(content)) < most {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		end := min(int64(cap(content)), most, int64(len(content))+readAtOnce)
		n, err := r.Read(content[len(content):end])
		content = content[:len(content)+n]
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return content, nil
}
