package folder_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gaia/adapters/folder"
	"gaia/domain"
)

// Users on the same machine get links that lead to the files, and no others get any.
func TestLinksOnThisMachine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my assets")
	f, err := folder.OpenForThisMachine(dir)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	_, err = f.Put(t.Context(), "ab/sword.glb", "", strings.NewReader("glTF"), 10)
	must(t, err)
	link, err := f.Link(t.Context(), "ab/sword.glb", "sword.glb", time.Now())
	must(t, err)
	u, err := url.Parse(link)
	must(t, err)
	data, err := os.ReadFile(filepath.FromSlash(u.Path))
	if err != nil || string(data) != "glTF" || u.Scheme != "file" || strings.Contains(link, " ") {
		t.Errorf("%s leads to %q, %v", link, data, err)
	}
	if _, err := f.Link(t.Context(), "../secret", "x", time.Now()); domain.KindOf(err) != domain.BadRequest {
		t.Errorf("a path out of the folder: %v", err)
	}
	if link, err = open(t, dir).Link(t.Context(), "ab/sword.glb", "sword.glb", time.Now()); err != nil || link != "" {
		t.Errorf("others get %q, %v", link, err)
	}
}
