package ports

import (
	"context"

	"gaia/domain"
)

// Filesystem shows files below one root. Paths are relative to it, in any form that domain.CleanFilePath takes; "" and "." are the root.
// Whatever leads out of the root, also through symbolic links, must be domain.Forbidden and must never be opened. What is not there must be
// domain.NotFound, what may not be read because the system says so domain.Forbidden, and domain.Unavailable when the root itself is away.
type Filesystem interface {
	// List returns what a directory contains, in the order of the names' bytes, and how many entries there are in all: the first offset
	// entries are left out, and not more than limit returned, unless that is 0. What is no directory must be domain.BadRequest, a directory
	// that is too large to be gone through domain.TooLarge.
	List(ctx context.Context, path string, limit, offset int) ([]domain.FileEntry, int, error)
	// Read returns a whole file. What is no regular file must be domain.BadRequest and must not be read; a file of more than limit bytes
	// must be domain.TooLarge without being read as a whole.
	Read(ctx context.Context, path string, limit int64) (domain.File, error)
}

// FileTree is a filesystem at hand, which tools look into.
type FileTree interface {
	Filesystem
	// Stat tells about one file or directory. What a path names through a link is told about as in a list.
	Stat(ctx context.Context, path string) (domain.FileEntry, error)
	// ReadPart returns at most so many bytes of a file from an offset on, and how large the file is. An offset below 0 counts from the end.
	ReadPart(ctx context.Context, path string, offset, length int64) (part []byte, size int64, err error)
}
