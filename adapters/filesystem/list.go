package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gaia/domain"
)

// namesAtOnce is how many names are read between two looks at whether somebody still waits for them.
const namesAtOnce = 4096

// List returns a part of what a directory contains. Only the entries of that part are looked at; of the others, the names are read.
func (f *Filesystem) List(ctx context.Context, path string, limit, offset int) (entries []domain.FileEntry, total int, err error) {
	err = f.within(ctx, path, func(root *os.Root, clean, local string) error {
		names, err := f.names(ctx, root, local)
		if err != nil {
			return err
		}
		total = len(names)
		names = names[min(max(offset, 0), total):]
		if limit > 0 {
			names = names[:min(limit, len(names))]
		}
		entries = make([]domain.FileEntry, 0, len(names))
		for i, name := range names {
			if i%namesAtOnce == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			entry, err := entryOf(root, clean, filepath.Join(local, name))
			if errors.Is(err, fs.ErrNotExist) {
				total-- // it went away since its name was read
				continue
			}
			entries = append(entries, entry)
		}
		return nil
	})
	return entries, total, err
}

// names reads the names in a directory, in their order.
func (f *Filesystem) names(ctx context.Context, root *os.Root, local string) ([]string, error) {
	info, err := root.Stat(local)
	if err == nil && !info.IsDir() {
		err = errNoDirectory
	}
	if err != nil {
		return nil, err
	}
	// The flag has the system refuse whatever took the place of the directory since.
	dir, err := root.OpenFile(local, os.O_RDONLY|onlyDirectory, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		err = errNoDirectory
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	var names []string
	for err == nil {
		var more []string
		if more, err = dir.Readdirnames(namesAtOnce); err == nil {
			err = ctx.Err()
		}
		if names = append(names, more...); len(names) > f.MaxEntries {
			return nil, domain.NewError(domain.TooLarge, fmt.Sprintf("The directory has more than %d entries", f.MaxEntries))
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

var errNoDirectory = domain.NewError(domain.BadRequest, "This is no directory")

// Stat tells about one file or directory.
func (f *Filesystem) Stat(ctx context.Context, path string) (entry domain.FileEntry, err error) {
	err = f.within(ctx, path, func(root *os.Root, clean, local string) error {
		if _, err := root.Stat(local); err != nil { // unlike a list this names what is asked for, and says why it can't be seen
			return err
		}
		entry, err = entryOf(root, parentOf(clean), local)
		return err
	})
	return entry, err
}

func parentOf(clean string) string {
	if dir := path.Dir(clean); dir != "." {
		return dir
	}
	return ""
}

// entryOf tells about a name in a directory. The only error that stops anybody is that it is not there: what else is wrong with an entry
// makes it unknown.
func entryOf(root *os.Root, dir, local string) (domain.FileEntry, error) {
	name := strings.ToValidUTF8(filepath.Base(local), "\uFFFD")
	entry := domain.FileEntry{Name: name, Path: path.Join(dir, name), Kind: domain.FileUnknown, ModifiedAt: time.Unix(0, 0).UTC()}
	if local == "." {
		entry.Path = ""
	}
	info, err := root.Lstat(local)
	if err != nil {
		return entry, err
	}
	entry.ModifiedAt = modified(info)
	if info.Mode()&fs.ModeSymlink != 0 {
		entry.Link = true
		if info, err = root.Stat(local); err != nil {
			return entry, nil // out of the root, or nowhere
		}
		entry.ModifiedAt = modified(info)
	}
	switch {
	case info.IsDir():
		entry.Kind = domain.FileDirectory
	case info.Mode().IsRegular():
		entry.Kind, entry.Size = domain.FileRegular, max(info.Size(), 0)
	}
	return entry, nil
}

// modified is when something was changed last, if the form in which times are written has that year.
func modified(info fs.FileInfo) time.Time {
	at := info.ModTime().UTC()
	if year := at.Year(); year < 1 || year > 9999 {
		return time.Unix(0, 0).UTC()
	}
	return at
}
