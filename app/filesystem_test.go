package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gaia/adapters/filesystem"
	"gaia/app"
	"gaia/domain"
)

func newFiles(t *testing.T, root string, slots int) *app.Files {
	t.Helper()
	return app.NewFiles(app.FilesDeps{
		Filesystem: filesystem.New(filesystem.Config{Root: root}), MaxRead: 1 << 20, Large: app.NewSlots(slots),
	})
}

func writeFile(t *testing.T, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLargeFilesTakeSlots(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeFile(t, root, "small", strings.Repeat("s", 256<<10))
	writeFile(t, root, "large", strings.Repeat("l", 1<<20))
	writeFile(t, root, "huge", strings.Repeat("h", 1<<20+1))
	files, who := newFiles(t, root, 1), domain.Principal{UserID: "u"}
	held, letGo := context.WithCancel(t.Context())
	if f, err := files.Read(held, who, "large"); err != nil || len(f.Content) != 1<<20 {
		t.Fatalf("the first large file: %d bytes, %v", len(f.Content), err)
	}
	if _, err := files.Read(t.Context(), who, "large"); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("a second large file at once: %v", err)
	}
	for range 3 {
		if _, err := files.Read(t.Context(), who, "small"); err != nil {
			t.Errorf("small files need no slot: %v", err)
		}
	}
	letGo()
	for end := time.Now().Add(5 * time.Second); ; {
		once, done := context.WithCancel(t.Context())
		_, err := files.Read(once, who, "huge")
		done()
		if domain.KindOf(err) == domain.TooLarge {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the slot is never free again: %v", err)
		}
	}
}

func TestFilesAreReadAsFarAsTheyAreOfUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, most, asked int64 }{
		{1 << 20, 1 << 20, 1 << 20}, {1<<20 + 1, 1 << 20, 0}, {100 << 20, 200 << 20, 100 << 20}, {10, 5, 0}, {10, 20, 10},
	} {
		size := sizedFile(c.size)
		files := app.NewFiles(app.FilesDeps{Filesystem: &size, MaxRead: 100 << 20, Large: app.NewSlots(1)})
		ctx, done := context.WithCancel(t.Context())
		f, err := files.ReadUpTo(ctx, domain.Principal{UserID: "u"}, "f", c.most)
		done()
		if c.asked == 0 && domain.KindOf(err) != domain.TooLarge || c.asked > 0 && (err != nil || f.Path != fmt.Sprint(c.asked)) {
			t.Errorf("%d bytes of at most %d: %+v, %v", c.size, c.most, f, err)
		}
	}
}

// sizedFile is a file of so many bytes, which nobody has to have in memory.
type sizedFile int64

func (*sizedFile) List(context.Context, string, int, int) ([]domain.FileEntry, int, error) {
	return nil, 0, nil
}

func (s *sizedFile) Read(_ context.Context, _ string, limit int64) (domain.File, error) {
	if int64(*s) > limit {
		return domain.File{}, domain.NewError(domain.TooLarge, "The file is too large")
	}
	return domain.File{Path: fmt.Sprint(int64(*s))}, nil
}

func TestListsThatAreTooLongForOneAnswer(t *testing.T) {
	t.Parallel()
	files := app.NewFiles(app.FilesDeps{Filesystem: longList(10_001)})
	if _, err := files.List(t.Context(), "", 0, 0); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("all of 10001: %v", err)
	}
	if l, err := files.List(t.Context(), "a/../b", 100, 9_950); err != nil || len(l.Entries) != 51 || l.Total != 10_001 || l.Path != "b" {
		t.Errorf("a part: %q, %d of %d, %v", l.Path, len(l.Entries), l.Total, err)
	}
	files = app.NewFiles(app.FilesDeps{Filesystem: longList(10_000)})
	if l, err := files.List(t.Context(), "", 0, 0); err != nil || len(l.Entries) != 10_000 {
		t.Errorf("all of 10000: %d, %v", len(l.Entries), err)
	}
	if _, err := files.List(t.Context(), "../x", 1, 0); domain.KindOf(err) != domain.Forbidden {
		t.Errorf("out of the root: %v", err)
	}
}

// longList is a directory of so many entries.
type longList int

func (n longList) List(_ context.Context, _ string, limit, offset int) ([]domain.FileEntry, int, error) {
	var entries []domain.FileEntry
	for i := offset; i < int(n) && i < offset+limit; i++ {
		entries = append(entries, domain.FileEntry{Name: fmt.Sprint(i)})
	}
	return entries, int(n), nil
}

func (longList) Read(context.Context, string, int64) (domain.File, error) { return domain.File{}, nil }
