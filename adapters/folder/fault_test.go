package folder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/folder"
	"gaia/domain"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	must(t, os.Symlink(secret, filepath.Join(dir, "file")))
	f := open(t, dir)
	for _, key := range []string{"out/secret", "file"} {
		if _, _, err := f.Open(t.Context(), key); err == nil {
			t.Errorf("%s was opened", key)
		}
		_ = f.Delete(t.Context(), key)
	}
	if _, err := f.Put(t.Context(), "out/new", "", strings.NewReader("x"), 10); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("Put through a link: %v", err)
	}
	if _, err := f.Put(t.Context(), "file", "", strings.NewReader("x"), 10); err != nil { // takes the place of the link
		t.Errorf("Put in the place of a link: %v", err)
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "secret" { //nolint:gosec // a path of the test
		t.Errorf("the secret is %q, %v", data, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

func TestADirectoryThatHasGoneIsAway(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "assets")
	f := open(t, dir)
	if _, err := f.Put(t.Context(), "a/b", "", strings.NewReader("x"), 10); err != nil {
		t.Fatal(err)
	}
	must(t, os.RemoveAll(dir))
	_, put := f.Put(t.Context(), "a/b", "", strings.NewReader("x"), 10)
	_, _, opened := f.Open(t.Context(), "a/b")
	list := f.List(t.Context(), "", func(string) error { return nil })
	for op, err := range map[string]error{"Put": put, "Open": opened, "List": list, "Delete": f.Delete(t.Context(), "a/b")} {
		if domain.KindOf(err) != domain.Unavailable || strings.Contains(messageOf(err), dir) {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func messageOf(err error) string {
	var e *domain.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if f, err := folder.Open(dir); err == nil {
			t.Errorf("%s was opened: %v", dir, f.Close())
		}
	}
}

// What processes that died have left is removed; what others may be writing is not.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	incoming := filepath.Join(dir, ".incoming")
	must(t, os.Mkdir(incoming, 0o700))
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute} {
		must(t, os.WriteFile(filepath.Join(incoming, name), []byte("x"), 0o600))
		at := time.Now().Add(-age)
		must(t, os.Chtimes(filepath.Join(incoming, name), at, at))
	}
	f := open(t, dir)
	entries, err := os.ReadDir(incoming)
	if err != nil || len(entries) != 1 || entries[0].Name() != "new" {
		t.Errorf("left are %v, %v", entries, err)
	}
	must(t, f.List(t.Context(), "", func(key string) error { return errors.New(key) }))
}

// Leftovers are removed while the folder is in use, too: a process may run for months after another has died.
func TestLeftoversOfOthersAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leftover := filepath.Join(dir, ".incoming", "old")
	synctest.Test(t, func(t *testing.T) {
		f := open(t, dir)
		must(t, os.WriteFile(leftover, []byte("x"), 0o600))
		at := time.Now()
		must(t, os.Chtimes(leftover, at, at))
		for _, there := range []bool{true, true, false} { // after 6, 12, … minutes
			time.Sleep(6 * time.Minute)
			if _, err := f.Put(t.Context(), "a", "", strings.NewReader("x"), 1); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(leftover); (err == nil) != there {
				t.Errorf("after %s: %v", time.Since(at), err)
			}
		}
	})
}

// A Put that fails leaves nothing of what it was writing either.
func TestNothingIsLeftOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := open(t, dir)
	if _, err := f.Put(t.Context(), "a", "", strings.NewReader("xx"), 1); domain.KindOf(err) != domain.TooLarge {
		t.Errorf("Put: %v", err)
	}
	if _, err := f.Put(t.Context(), "a", "", strings.NewReader("x"), 1); err != nil {
		t.Errorf("Put: %v", err)
	}
	// There is a file where a directory would have to be.
	if _, err := f.Put(t.Context(), "a/b", "", strings.NewReader("x"), 1); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("Put: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Put(ctx, "b", "", strings.NewReader("x"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, ".incoming")); err != nil || len(entries) != 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}
