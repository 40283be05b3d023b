// Package folder implements ports.BlobStore in a directory of the machine.
//
// A file is written beside its place, brought to the disk, and moved there: who reads sees all of it or nothing, also after the machine
// has lost its power. Every path is resolved by os.Root, so that no key and no symbolic link leads out of the directory. The package must
// not touch what has a name that no key has.
package folder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"gaia/adapters/internal/blobsource"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.BlobStore = (*Folder)(nil)

const (
	// incoming holds files that are being written. No key begins with a dot.
	incoming = ".incoming"
	// staleAfter is when nobody can be writing such a file any more: writers that make no progress are given up long before.
	staleAfter = 15 * time.Minute
	// tidyEvery is how often writers look for files that processes that have died were writing.
	tidyEvery = 5 * time.Minute
)

// Folder is a directory of files. Several processes may use it at once.
type Folder struct {
	root   *os.Root
	links  bool         // its files may be told by their paths
	tidied atomic.Int64 // when that was last done or tried, Unix nanoseconds
}

// Open opens a directory, which is made when it is not there, and removes what processes that have died were writing.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open the folder of assets: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of assets: %w", err)
	}
	f := &Folder{root: root}
	if err := f.tidy(); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("open the folder of assets: %w", err)
	}
	return f, nil
}

// OpenForThisMachine is Open for users on the same machine, who get links to the files themselves.
func OpenForThisMachine(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of assets: %w", err)
	}
	f, err := Open(dir)
	if err == nil {
		f.links = true
	}
	return f, err
}

// Close ends the use of the directory.
func (f *Folder) Close() error { return f.root.Close() }

// tidyNowAndThen tidies when that was not done for a while. What can't be removed now is tried again then.
func (f *Folder) tidyNowAndThen() {
	last := f.tidied.Load()
	if time.Since(time.Unix(0, last)) >= tidyEvery && f.tidied.CompareAndSwap(last, time.Now().UnixNano()) {
		_ = f.tidy()
	}
}

// tidy removes what processes that have died were writing.
func (f *Folder) tidy() error {
	f.tidied.Store(time.Now().UnixNano())
	if err := f.root.MkdirAll(incoming, 0o750); err != nil {
		return err
	}
	left, err := fs.ReadDir(f.root.FS(), incoming)
	if err != nil {
		return err
	}
	for _, entry := range left {
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue // it is gone, or somebody may be writing it
		}
		if err := f.root.Remove(path.Join(incoming, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Put implements ports.BlobStore. The content type is not kept.
func (f *Folder) Put(ctx context.Context, key, _ string, r io.Reader, limit int64) (int64, error) {
	if err := enter(ctx, key); err != nil {
		return 0, err
	}
	f.tidyNowAndThen()
	temporary := path.Join(incoming, rand.Text())
	source := blobsource.New(ctx, r, limit)
	err := f.write(temporary, source)
	if err == nil {
		err = f.place(temporary, key)
	}
	if err == nil {
		return source.Size(), nil
	}
	_ = f.root.Remove(temporary) // tidy removes what can't be removed now
	if failure := source.Failure(); failure != nil {
		return 0, failure
	}
	return 0, away("write", err)
}

// write makes a file that is on the disk as a whole.
func (f *Folder) write(name string, source *blobsource.Source) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// place moves a file to its key, and brings to the disk that it is there.
func (f *Folder) place(temporary, key string) error {
	if err := f.makeParents(path.Dir(key)); err != nil {
		return err
	}
	if err := f.root.Rename(temporary, key); err != nil {
		return err
	}
	return f.sync(path.Dir(key))
}

// makeParents makes the directory of a key and those above it, and brings to the disk that they are there.
func (f *Folder) makeParents(dir string) error {
	if dir == "." {
		return nil
	}
	if info, err := f.root.Lstat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := path.Dir(dir)
	if err := f.makeParents(above); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.sync(above)
}

// sync brings to the disk which names a directory has.
func (f *Folder) sync(dir string) error {
	if runtime.GOOS == "windows" { // directories can't be opened for that there
		return nil
	}
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open implements ports.BlobStore.
func (f *Folder) Open(ctx context.Context, key string) (io.ReadSeekCloser, domain.Blob, error) {
	if err := enter(ctx, key); err != nil {
		return nil, domain.Blob{}, err
	}
	info, err := f.root.Lstat(key)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for somebody at its other end
		return nil, domain.Blob{}, f.absent(err)
	}
	file, err := f.root.Open(key)
	if err != nil {
		return nil, domain.Blob{}, f.absent(err)
	}
	if info, err = file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, domain.Blob{}, f.absent(err)
	}
	return &reader{file, ctx}, domain.Blob{Size: info.Size(), ModifiedAt: info.ModTime()}, nil
}

// reader ends with its caller.
type reader struct {
	file *os.File
	ctx  context.Context //nolint:containedctx // a reader has no other place for it
}

func (r *reader) Close() error { return r.file.Close() }

func (r *reader) Seek(offset int64, whence int) (int64, error) { return r.file.Seek(offset, whence) }

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = away("read", err)
	}
	return n, err
}

// Delete implements ports.BlobStore.
func (f *Folder) Delete(ctx context.Context, key string) error {
	if err := enter(ctx, key); err != nil {
		return err
	}
	info, err := f.root.Lstat(key)
	if err == nil && info.IsDir() { // files lie below it, and it is none
		return nil
	}
	if err == nil {
		err = f.root.Remove(key)
	}
	if err == nil {
		err = f.sync(path.Dir(key))
	}
	if isAbsent(err) {
		err = f.there()
	}
	if err != nil {
		return away("delete", err)
	}
	return nil
}

// Link implements ports.BlobStore: a directory serves nothing. Users on the same machine get the path, which stays good.
func (f *Folder) Link(ctx context.Context, key, _ string, _ time.Time) (string, error) {
	if err := enter(ctx, key); err != nil || !f.links {
		return "", err
	}
	place := filepath.ToSlash(filepath.Join(f.root.Name(), filepath.FromSlash(key)))
	if !strings.HasPrefix(place, "/") { // a drive of Windows
		place = "/" + place
	}
	return (&url.URL{Scheme: "file", Path: place}).String(), nil
}

// List implements ports.BlobStore.
func (f *Folder) List(ctx context.Context, prefix string, each func(key string) error) error {
	var stopped error
	err := fs.WalkDir(f.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			stopped = ctx.Err()
		case isAbsent(err) && name != ".": // it went away meanwhile
			return nil
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (entry.Name()[0] == '.' || !mayLead(name+"/", prefix)):
			return fs.SkipDir
		case !entry.Type().IsRegular() || !strings.HasPrefix(name, prefix) || domain.CheckFileKey(name) != nil:
			return nil
		default:
			stopped = each(name)
		}
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if err == nil {
		err = f.there()
	}
	if err != nil {
		return away("list", err)
	}
	return nil
}

// mayLead reports whether keys with a prefix may lie in a directory.
func mayLead(dir, prefix string) bool {
	return strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
}

func enter(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return domain.CheckFileKey(key)
}

// isAbsent reports whether there is nothing under a name. A file in the place of a directory above it is nothing, too.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || notDirectory(err) }

// absent says why a file can't be read; a nil error means that what is there is none.
func (f *Folder) absent(err error) error {
	if isAbsent(err) {
		err = f.there()
	}
	if err != nil {
		return away("read", err)
	}
	return domain.FileNotFound()
}

// there fails when the directory itself has gone: then it is not known which files are there.
func (f *Folder) there() error {
	_, err := f.root.Lstat(incoming)
	return err
}

func away(op string, err error) error {
	return domain.MissingPart("The asset storage is not available", fmt.Errorf("folder of assets: %s: %w", op, err))
}
