package ports

import (
	"context"

	"gaia/domain"
)

// Filesystem shows files below one root. Paths are relative to it, with "/" between names; "" and "." are the root. Whatever leads out of
// the root, also through symbolic links, must be domain.Forbidden and must never be opened.
type Filesystem interface {
	// List returns what a directory contains, by name. What is no directory must be domain.BadRequest, what is not there domain.NotFound.
	List(ctx context.Context, path string) ([]domain.FileEntry, error)
	// Read returns a whole file. What is no regular file must be domain.BadRequest and must never be opened for reading; a file above the
	// limit domain.TooLarge.
	Read(ctx context.Context, path string) (domain.File, error)
}
