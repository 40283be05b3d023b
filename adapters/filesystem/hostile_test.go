//go:build linux

package filesystem_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gaia/adapters/filesystem"
	"gaia/domain"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kindOf(t *testing.T, entries []domain.FileEntry, name string) domain.FileKind {
	t.Helper()
	for _, e := range entries {
		if e.Name == name {
			return e.Kind
		}
	}
	t.Fatalf("no %q in %v", name, entries)
	return ""
}

// What is neither file nor directory is shown and never opened: opening a pipe would wait for its other end, which never comes.
func TestSpecialFilesAreSeenAndNotOpened(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	listener, err := net.Listen("unix", filepath.Join(root, "socket"))
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	must(t, os.Symlink("pipe", filepath.Join(root, "link")))
	names := []string{"pipe", "socket", "link"}
	if err := syscall.Mknod(filepath.Join(root, "null"), syscall.S_IFCHR|0o600, 1<<8|3); err == nil { // root alone may
		names = append(names, "null")
	}
	files := filesystem.New(filesystem.Config{Root: root})
	entries, _, err := files.List(t.Context(), "", 0, 0)
	must(t, err)
	opened := watch(t, filepath.Join(root, "pipe"))
	for _, name := range names {
		if kind := kindOf(t, entries, name); kind != domain.FileUnknown {
			t.Errorf("%s is %q in the list", name, kind)
		}
		if _, err := files.Read(t.Context(), name, 10); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("read %s: %v", name, err)
		}
		if _, _, err := files.ReadPart(t.Context(), name, 0, 10); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("read a part of %s: %v", name, err)
		}
		if _, _, err := files.List(t.Context(), name, 0, 0); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("list %s: %v", name, err)
		}
	}
	if got := opened.seen(t); len(got) > 0 {
		t.Errorf("the pipe was opened: %v", got)
	}
}

// A pipe that takes the place of a file or a directory between two looks keeps nobody waiting.
func TestPipesInThePlaceOfFilesKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "x")
	stop := swapping(t, func() {
		_ = os.Remove(name)
		_ = syscall.Mkfifo(name, 0o600)
		_ = os.Remove(name)
		_ = os.WriteFile(name, []byte("file"), 0o600)
		_ = os.Remove(name)
		_ = os.Mkdir(name, 0o700)
	})
	defer stop()
	files := filesystem.New(filesystem.Config{Root: root})
	kinds := map[domain.Kind]int{}
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		f, err := files.Read(t.Context(), "x", 10)
		if err == nil && string(f.Content) != "file" && len(f.Content) > 0 {
			t.Fatalf("read %q", f.Content)
		}
		if err != nil {
			kinds[domain.KindOf(err)]++
		}
		if _, _, err = files.List(t.Context(), "x", 0, 0); err != nil {
			kinds[domain.KindOf(err)]++
		}
	}
	for kind := range kinds {
		if kind != domain.BadRequest && kind != domain.NotFound {
			t.Errorf("errors by kind: %v", kinds)
		}
	}
	if len(kinds) < 2 {
		t.Errorf("nothing was swapped: %v", kinds)
	}
}

func TestNamesOfAnyBytes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"bad\xff\xfename", "line\nbreak", "bell\x07", "\u202etxt.exe", strings.Repeat("\u00fc", 127), "-rf", "*"} {
		must(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o600))
	}
	files := filesystem.New(filesystem.Config{Root: root})
	entries, total, err := files.List(t.Context(), "", 0, 0)
	if err != nil || total != 7 {
		t.Fatalf("%d entries, %v", total, err)
	}
	for _, e := range entries {
		if e.Kind != domain.FileRegular || e.Size == 0 {
			t.Errorf("%+v", e)
		}
		f, err := files.Read(t.Context(), e.Path, 1000)
		if strings.Contains(e.Name, "\ufffd") {
			if domain.KindOf(err) != domain.NotFound {
				t.Errorf("a name that is no UTF-8 can be named: %q, %v", f.Content, err)
			}
		} else if err != nil || string(f.Content) != e.Name {
			t.Errorf("read %q: %q, %v", e.Path, f.Content, err)
		}
	}
}

func TestTimesThatNobodyCanWrite(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "future")
	must(t, os.WriteFile(name, nil, 0o600))
	if err := os.Chtimes(name, time.Time{}, time.Unix(1<<40, 0)); err != nil {
		t.Skip("this file system does not keep such times:", err)
	}
	entries, _, err := filesystem.New(filesystem.Config{Root: root}).List(t.Context(), "", 0, 0)
	must(t, err)
	if _, err := entries[0].ModifiedAt.MarshalJSON(); err != nil {
		t.Error(err)
	}
}

func TestLargeDirectories(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for i := range 50 {
		must(t, os.WriteFile(filepath.Join(root, fmt.Sprint(i)), nil, 0o600))
	}
	if _, total, err := filesystem.New(filesystem.Config{Root: root, MaxEntries: 50}).List(t.Context(), "", 10, 0); err != nil || total != 50 {
		t.Errorf("as many as there may be: %d, %v", total, err)
	}
	if _, _, err := filesystem.New(filesystem.Config{Root: root, MaxEntries: 49}).List(t.Context(), "", 10, 0); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("one more than there may be: %v", err)
	}
}

// Files of /proc say that they are empty, and are not.
func TestFilesThatDoNotKnowTheirSize(t *testing.T) {
	t.Parallel()
	files := filesystem.New(filesystem.Config{Root: "/proc/self"})
	f, err := files.Read(t.Context(), "status", 1<<20)
	if err != nil || !strings.Contains(string(f.Content), "VmRSS") {
		t.Errorf("%d bytes, %v", len(f.Content), err)
	}
	if _, err := files.Read(t.Context(), "status", 10); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("more than the limit, while the size is 0: %v", err)
	}
	for _, path := range []string{"root/etc/passwd", "cwd/doc.go", "fd/0", "exe"} { // magic links lead out
		if _, err := files.Read(t.Context(), path, 1<<30); err == nil || domain.KindOf(err) == domain.Internal {
			t.Errorf("read %s: %v", path, err)
		}
	}
}

func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "log")
	must(t, os.WriteFile(name, nil, 0o600))
	stop := swapping(t, func() {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		_, _ = f.WriteString(strings.Repeat("x", 8000))
		_ = f.Close()
		if info, err := os.Stat(name); err == nil && info.Size() > 1<<20 {
			_ = os.Truncate(name, 0)
		}
	})
	defer stop()
	files := filesystem.New(filesystem.Config{Root: root})
	for range 300 {
		f, err := files.Read(t.Context(), "log", 100_000)
		if err != nil && domain.KindOf(err) != domain.TooLarge || len(f.Content) > 100_000 {
			t.Fatalf("%d bytes, %v", len(f.Content), err)
		}
	}
}

func TestPartsOfFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "f"), []byte("0123456789"), 0o600))
	files := filesystem.New(filesystem.Config{Root: root})
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 3, "012"}, {8, 5, "89"}, {-3, 2, "78"}, {-30, 2, "01"}, {20, 5, ""}, {0, 0, ""}, {0, 1 << 40, "0123456789"}} {
		part, size, err := files.ReadPart(t.Context(), "f", c.offset, c.length)
		if err != nil || string(part) != c.want || size != 10 {
			t.Errorf("%+v: %q of %d, %v", c, part, size, err)
		}
	}
}

func TestStat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	must(t, os.MkdirAll(filepath.Join(root, "a", "b"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, "a", "f"), []byte("four"), 0o600))
	must(t, os.Symlink("../..", filepath.Join(root, "a", "out")))
	files := filesystem.New(filesystem.Config{Root: root})
	for path, want := range map[string]domain.FileEntry{
		"":    {Name: ".", Kind: domain.FileDirectory},
		"a/b": {Name: "b", Path: "a/b", Kind: domain.FileDirectory},
		"a/f": {Name: "f", Path: "a/f", Kind: domain.FileRegular, Size: 4},
	} {
		got, err := files.Stat(t.Context(), path)
		if got.ModifiedAt.IsZero() {
			t.Errorf("%q was never modified", path)
		}
		got.ModifiedAt = time.Time{}
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", path, got, err, want)
		}
	}
	for path, want := range map[string]domain.Kind{"a/out": domain.Forbidden, "a/x": domain.NotFound} {
		if _, err := files.Stat(t.Context(), path); domain.KindOf(err) != want {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestARootThatIsAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for _, root := range []string{"missing", "file", "pipe"} {
		files := filesystem.New(filesystem.Config{Root: filepath.Join(dir, root)})
		if err := files.Check(); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("check with %s: %v", root, err)
		}
		if _, _, err := files.List(t.Context(), "", 0, 0); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("list with %s: %v", root, err)
		}
	}
	files := filesystem.New(filesystem.Config{Root: filepath.Join(dir, "missing")})
	must(t, os.Mkdir(filepath.Join(dir, "missing"), 0o700))
	if _, _, err := files.List(t.Context(), "", 0, 0); err != nil {
		t.Errorf("the root has come, and: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := files.List(ctx, "", 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller who has left: %v", err)
	}
}

func TestWhatTheSystemDoesNotAllow(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "f"), nil, 0))
	must(t, os.Mkdir(filepath.Join(root, "d"), 0))
	if os.Geteuid() == 0 { // who may read everything: this thread is somebody else for a while
		must(t, os.Chmod(filepath.Dir(root), 0o755)) //nolint:gosec // an empty folder of this test
		runtime.LockOSThread()
		must(t, syscall.Setfsuid(65534))
		t.Cleanup(func() { must(t, syscall.Setfsuid(0)); runtime.UnlockOSThread() })
	}
	files := filesystem.New(filesystem.Config{Root: root})
	if _, err := files.Read(t.Context(), "f", 10); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("read: %v", err)
	}
	if _, _, err := files.List(t.Context(), "d", 0, 0); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("list: %v", err)
	}
}
