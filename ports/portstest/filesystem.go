package portstest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Filesystem runs the contract of ports.Filesystem. open shows a directory, which has whatever the machine allows to be made.
func Filesystem(t *testing.T, open func(t *testing.T, root string) ports.Filesystem) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	furnish(t, dir, root)
	files := open(t, root)
	t.Run("List", func(t *testing.T) { listsWhatIsThere(t, files) })
	t.Run("ListsPages", func(t *testing.T) { listsPages(t, files) })
	t.Run("Read", func(t *testing.T) { readsWholeFiles(t, files) })
	t.Run("Refuses", func(t *testing.T) { refusesPaths(t, files) })
	t.Run("Canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := files.Read(ctx, "plain.txt", 100); !errors.Is(err, context.Canceled) {
			t.Errorf("read for a caller who has left: %v", err)
		}
	})
	t.Run("RootGoesAway", func(t *testing.T) {
		if err := os.Rename(root, root+".moved"); err != nil {
			t.Fatal(err)
		}
		_, _, err := files.List(t.Context(), "", 0, 0)
		if kind := domain.KindOf(err); kind != domain.Unavailable && kind != domain.NotFound && kind != domain.Forbidden {
			t.Errorf("list without a root: %v", err)
		}
	})
}

const fileText = "gr\u00fc\u00dfe\nand more\n"

var fileTime = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// furnish makes a root and a secret beside it.
func furnish(t *testing.T, dir, root string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(root, "sub", "deep"), 0o700))
	check(os.Mkdir(filepath.Join(root, "empty"), 0o700))
	check(os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("secret"), 0o600))
	for name, content := range map[string]string{
		"plain.txt": fileText, "nothing": "", "sub/inner.txt": "inner", "sub/deep/file": "deep", "big": strings.Repeat("0123456789", 2000),
		"name with spaces": "x", `back\slash`: "y", "%2e%2e": "z", "...": "dots",
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		check(os.WriteFile(name, []byte(content), 0o600))
		check(os.Chtimes(name, fileTime, fileTime))
	}
	for name, target := range map[string]string{
		"link.txt": "plain.txt", "linkdir": "sub", "sub/up.txt": "../plain.txt", "out.txt": "../secret.txt", "outdir": "..",
		"absolute": filepath.Join(dir, "secret.txt"), "nowhere": "missing", "circle": "circle",
	} {
		check(os.Symlink(target, filepath.Join(root, filepath.FromSlash(name))))
	}
}

func listsWhatIsThere(t *testing.T, files ports.Filesystem) {
	want := map[string]struct {
		kind domain.FileKind
		size int64
	}{
		"plain.txt": {domain.FileRegular, int64(len(fileText))}, "nothing": {domain.FileRegular, 0}, "sub": {domain.FileDirectory, 0},
		"empty": {domain.FileDirectory, 0}, "big": {domain.FileRegular, 20000}, "name with spaces": {domain.FileRegular, 1},
		`back\slash`: {domain.FileRegular, 1}, "%2e%2e": {domain.FileRegular, 1}, "...": {domain.FileRegular, 4},
		"link.txt": {domain.FileRegular, int64(len(fileText))}, "linkdir": {domain.FileDirectory, 0},
		"out.txt": {domain.FileUnknown, 0}, "outdir": {domain.FileUnknown, 0}, "absolute": {domain.FileUnknown, 0},
		"nowhere": {domain.FileUnknown, 0}, "circle": {domain.FileUnknown, 0},
	}
	for _, path := range []string{"", ".", "./", "sub/.."} {
		entries, total, err := files.List(t.Context(), path, 0, 0)
		if err != nil || total != len(want) || len(entries) != len(want) {
			t.Fatalf("list %q: %d of %d, %v; want %d", path, len(entries), total, err, len(want))
		}
		for _, e := range entries {
			if w := want[e.Name]; e.Kind != w.kind || e.Size != w.size || e.Path != e.Name {
				t.Errorf("list %q: %+v, want %v", path, e, w)
			}
			if e.Name == "plain.txt" && !e.ModifiedAt.Equal(fileTime) {
				t.Errorf("%s was modified at %v, want %v", e.Name, e.ModifiedAt, fileTime)
			}
		}
		if !slices.IsSortedFunc(entries, func(a, b domain.FileEntry) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("list %q is not in order: %v", path, entries)
		}
	}
	entries, _, err := files.List(t.Context(), "linkdir/deep/", 0, 0)
	if err != nil || len(entries) != 1 || entries[0].Path != "linkdir/deep/file" {
		t.Errorf("below a link to a directory: %v, %v", entries, err)
	}
	if entries, total, err := files.List(t.Context(), "empty", 0, 0); err != nil || len(entries) != 0 || total != 0 {
		t.Errorf("an empty directory: %v, %d, %v", entries, total, err)
	}
}

func listsPages(t *testing.T, files ports.Filesystem) {
	all, total, err := files.List(t.Context(), "", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var joined []domain.FileEntry
	for offset := 0; offset < total+3; offset += 3 {
		page, n, err := files.List(t.Context(), "", 3, offset)
		if err != nil || n != total || len(page) > 3 {
			t.Fatalf("page at %d: %d of %d, %v", offset, len(page), n, err)
		}
		joined = append(joined, page...)
	}
	if !slices.Equal(all, joined) {
		t.Errorf("pages are %v, the whole is %v", joined, all)
	}
	if page, n, err := files.List(t.Context(), "", 3, 1_000_000); err != nil || n != total || len(page) != 0 {
		t.Errorf("beyond the end: %v of %d, %v", page, n, err)
	}
}

func readsWholeFiles(t *testing.T, files ports.Filesystem) {
	for path, want := range map[string]string{
		"plain.txt": fileText, "nothing": "", "./sub//inner.txt": "inner", "link.txt": fileText, "linkdir/deep/file": "deep", "sub/up.txt": fileText,
		"name with spaces": "x", `back\slash`: "y", "%2e%2e": "z", "...": "dots", "sub/../plain.txt": fileText,
	} {
		f, err := files.Read(t.Context(), path, 1000)
		if err != nil || string(f.Content) != want {
			t.Errorf("read %q: %q, %v; want %q", path, f.Content, err, want)
		}
		if clean, _ := domain.CleanFilePath(path); f.Path != clean {
			t.Errorf("read %q says it is %q", path, f.Path)
		}
	}
	if f, err := files.Read(t.Context(), "big", 20000); err != nil || len(f.Content) != 20000 {
		t.Errorf("a file of the largest size: %d, %v", len(f.Content), err)
	}
	if _, err := files.Read(t.Context(), "big", 19999); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("a file that is one byte too large: %v", err)
	}
}

func refusesPaths(t *testing.T, files ports.Filesystem) {
	for path, want := range map[string]domain.Kind{
		"missing": domain.NotFound, "sub/missing/x": domain.NotFound, "plain.txt/x": domain.NotFound, strings.Repeat("n", 300): domain.NotFound,
		"nowhere": domain.NotFound, "circle": domain.NotFound,
		strings.Repeat("d/", 2000) + "x": domain.NotFound, "..": domain.Forbidden, "../secret.txt": domain.Forbidden,
		"sub/../../secret.txt": domain.Forbidden, "/etc/passwd": domain.Forbidden, "/": domain.Forbidden, "out.txt": domain.Forbidden,
		"outdir": domain.Forbidden, "outdir/secret.txt": domain.Forbidden, "absolute": domain.Forbidden, "linkdir/../../secret.txt": domain.Forbidden,
		"a\x00b": domain.BadRequest, "a\xff": domain.BadRequest, strings.Repeat("a", domain.MaxFilePath+1): domain.BadRequest,
		"%2e%2e/secret.txt": domain.NotFound, `..\secret.txt`: domain.NotFound, `C:\secret.txt`: domain.NotFound, "~": domain.NotFound, "~/x": domain.NotFound,
	} {
		if f, err := files.Read(t.Context(), path, 1000); err == nil || domain.KindOf(err) != want {
			t.Errorf("read %.40q: %q, %v; want kind %d", path, f.Content, err, want)
		}
		if entries, _, err := files.List(t.Context(), path, 0, 0); err == nil || domain.KindOf(err) != want {
			t.Errorf("list %.40q: %v, %v; want kind %d", path, entries, err, want)
		}
	}
	for _, path := range []string{"", ".", "sub", "linkdir"} {
		if _, err := files.Read(t.Context(), path, 1000); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("read the directory %q: %v", path, err)
		}
	}
	for _, path := range []string{"plain.txt", "link.txt"} {
		if _, _, err := files.List(t.Context(), path, 0, 0); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("list the file %q: %v", path, err)
		}
	}
	if _, err := files.Read(t.Context(), "plain.txt/", 1000); err != nil {
		t.Errorf("slashes at the end mean nothing: %v", err)
	}
}
