package app

import (
	"context"
	"fmt"

	"gaia/domain"
	"gaia/ports"
)

const (
	// smallFile is what may be read without a slot, in bytes: as much as many requests hold anyway.
	smallFile = 256 << 10
	// maxWholeList is how many entries are listed for a client who asks for no part.
	maxWholeList = 10_000
)

// FilesDeps is what Files needs.
type FilesDeps struct {
	Filesystem ports.Filesystem
	MaxRead    int64  // of a file, in bytes
	Large      *Slots // of files that are not small and wait in memory until they are sent
}

// Files is what callers can see of the filesystem. All who may see it see the same: files belong to nobody.
type Files struct{ FilesDeps }

// NewFiles makes the use cases.
func NewFiles(d FilesDeps) *Files { return &Files{d} }

// Listing is a part of a directory.
type Listing struct {
	Path    string // in its one form
	Entries []domain.FileEntry
	Total   int
}

// List returns a part of what a directory contains, and all of it when limit is 0, unless that is too much for one answer.
func (f *Files) List(ctx context.Context, path string, limit, offset int) (Listing, error) {
	clean, err := domain.CleanFilePath(path)
	if err != nil {
		return Listing{}, err
	}
	most := limit
	if limit == 0 {
		most = maxWholeList
	}
	entries, total, err := f.Filesystem.List(ctx, clean, most, offset)
	if err != nil {
		return Listing{}, err
	}
	if limit == 0 && total > maxWholeList {
		return Listing{}, domain.NewError(domain.TooLarge, fmt.Sprintf("The directory has %d entries: ask for parts of it with limit and offset", total))
	}
	return Listing{Path: clean, Entries: entries, Total: total}, nil
}

// Read returns a file. A large one takes a slot until ctx ends, which must be when its content is not needed any more; without a free one
// it is domain.Unavailable.
func (f *Files) Read(ctx context.Context, who domain.Principal, path string) (domain.File, error) {
	return f.ReadUpTo(ctx, who, path, f.MaxRead)
}

// ReadUpTo does what Read does for who has no use for a file of more than so many bytes: that is domain.TooLarge.
func (f *Files) ReadUpTo(ctx context.Context, who domain.Principal, path string, most int64) (domain.File, error) {
	most = min(most, f.MaxRead)
	clean, err := domain.CleanFilePath(path)
	if err != nil {
		return domain.File{}, err
	}
	file, err := f.Filesystem.Read(ctx, clean, min(smallFile, most))
	if domain.KindOf(err) != domain.TooLarge || most <= smallFile {
		return file, err
	}
	caller := who.OwnerID()
	if err := f.Large.Take(caller); err != nil {
		return domain.File{}, err
	}
	context.AfterFunc(ctx, func() { f.Large.Release(caller) })
	return f.Filesystem.Read(ctx, clean, most)
}
