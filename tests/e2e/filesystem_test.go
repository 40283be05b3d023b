package e2e

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gaia/tests/gaiatest"
)

// secret is what stands outside of the root.
const secret = "nobody may read this"

// filesRoot makes a root with a secret beside it.
func filesRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(root, "notes", "sketches"), 0o700))
	check(os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600))
	for name, content := range map[string]string{
		"notes/puzzles.md": "# Puzzles\n\nThe mirror shows the w\u00e4y.\n", "empty": "", "nul": "a\x00b", "latin": "gr\xfc\xdfe", "\ufeffbom": "\ufeff{}",
		"escapes": "<&>\u2028 \"quoted\" \\ \x01\x1b \U0001F600", "large": strings.Repeat("0123456789abcde\n", 1<<16), "larger": strings.Repeat("x", 1<<20+1),
		"binary": string(bytes.Repeat([]byte{0, 255, 7}, 200_000)), "umlauts": strings.Repeat("\u00e4\u20ac", 100_000), "line\nbreak": "x", "bad\xff": "y",
	} {
		check(os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(content), 0o600))
	}
	for name, target := range map[string]string{"out": "..", "secret": "../secret", "etc": "/etc", "here": "notes", "circle": "circle"} {
		check(os.Symlink(target, filepath.Join(root, name)))
	}
	check(syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	return root
}

func listPath(path string) string { return "/api/v1/filesystem?path=" + url.QueryEscape(path) }

func TestFilesAreListedAndRead(t *testing.T) {
	t.Parallel()
	root := filesRoot(t)
	client := gaiatest.Start(t, gaiatest.Settings{"MCP_FILESYSTEM_ROOT": root, "MCP_FILESYSTEM_MAX_READ_MB": "1"}).As("reader")
	kinds := map[string]string{}
	list := client.Get("/api/v1/filesystem").Want(http.StatusOK).JSON()
	for i := range int(list.Number("total")) {
		kinds[list.Text("entries", i, "name")] = list.Text("entries", i, "type")
	}
	for name, kind := range map[string]string{
		"notes": "directory", "here": "directory", "empty": "file", "line\nbreak": "file", "bad\ufffd": "file",
		"out": "unknown", "secret": "unknown", "etc": "unknown", "circle": "unknown", "pipe": "unknown",
	} {
		if kinds[name] != kind {
			t.Errorf("%q is %q in the list, want %q", name, kinds[name], kind)
		}
	}
	page := client.Get("/api/v1/filesystem?path=./here/&limit=1&offset=1").Want(http.StatusOK).JSON()
	if page.Text("path") != "here" || page.Text("entries", 0, "path") != "here/sketches" || page.Number("total") != 2 {
		t.Errorf("a page: %v", page.Fields)
	}
	for _, name := range []string{"notes/puzzles.md", "./notes//puzzles.md", "here/puzzles.md", "notes/../empty", "empty", "nul", "latin", "\ufeffbom", "escapes", "large", "binary", "umlauts", "line\nbreak"} {
		want, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		file := client.Post("/api/v1/filesystem/read", map[string]any{"path": name}).Want(http.StatusOK).JSON()
		content, encoding := []byte(file.Text("content")), "utf-8"
		if name == "nul" || name == "latin" || name == "binary" {
			encoding = "base64"
			if content, err = base64.StdEncoding.DecodeString(file.Text("content")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !bytes.Equal(content, want) || file.Text("encoding") != encoding || file.Number("size") != float64(len(want)) {
			t.Errorf("%s is %d bytes %s of %v, want %d", name, len(content), file.Text("encoding"), file.Number("size"), len(want))
		}
	}
	client.Post("/api/v1/filesystem/read", map[string]any{"path": "larger"}).Want(http.StatusRequestEntityTooLarge)
}

// TestHostilePaths asks for everything that could lead out of the root or trip somebody up, on both operations.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	root := filesRoot(t)
	client := gaiatest.Start(t, gaiatest.Settings{"MCP_FILESYSTEM_ROOT": root, "RATE_LIMIT_REQUESTS": "0"}).As("intruder")
	const ok, bad, forbidden, missing, invalid = http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity
	for _, c := range []struct {
		path       string
		list, read int
	}{
		{"..", forbidden, forbidden},
		{"../", forbidden, forbidden},
		{"../secret", forbidden, forbidden},
		{"notes/../../secret", forbidden, forbidden},
		{"notes/./.././../secret", forbidden, forbidden},
		{"here/../../secret", forbidden, forbidden},
		{strings.Repeat("../", 50) + "etc/passwd", forbidden, forbidden},
		{"/", forbidden, forbidden},
		{"/etc/passwd", forbidden, forbidden},
		{"//etc/passwd", forbidden, forbidden},
		{filepath.Join(root, "empty"), forbidden, forbidden},
		{"out", forbidden, forbidden},
		{"out/secret", forbidden, forbidden},
		{"out/root/empty", forbidden, forbidden},
		{"secret", forbidden, forbidden},
		{"etc", forbidden, forbidden},
		{"etc/passwd", forbidden, forbidden},
		{"circle", missing, missing},
		{"circle/x", missing, missing},
		{"pipe", bad, bad},
		{"pipe/x", missing, missing},
		{"empty/x", missing, missing},
		{"empty", bad, ok},
		{"empty/", bad, ok},
		{"notes", ok, bad},
		{".", ok, bad},
		{"./", ok, bad},
		{"notes/..", ok, bad},
		{"a\x00b", invalid, bad},
		{"../secret\x00.md", invalid, bad},
		{"%2e%2e/secret", missing, missing},
		{"%2e%2e%2fsecret", missing, missing},
		{"..%2fsecret", missing, missing},
		{"..%c0%afsecret", missing, missing},
		{`..\secret`, missing, missing},
		{`..\..\..\windows\win.ini`, missing, missing},
		{`C:\windows\win.ini`, missing, missing},
		{`\\server\share`, missing, missing},
		{"file:///etc/passwd", missing, missing},
		{"~root/.ssh/id_rsa", missing, missing},
		{"$HOME/x", missing, missing},
		{"\uff0e\uff0e/secret", missing, missing},
		{"\u2024\u2024\u2215secret", missing, missing},
		{"..\u200b/secret", missing, missing},
		{"bad\ufffd", missing, missing},
		{strings.Repeat("d/", 2000), missing, missing},
		{strings.Repeat("notes/../", 400) + "empty", bad, ok},
		{strings.Repeat("n", 256), missing, missing},
		{strings.Repeat("n", 4096), missing, missing},
		{strings.Repeat("n", 4097), invalid, invalid},
	} {
		listed := client.Get(listPath(c.path))
		read := client.Post("/api/v1/filesystem/read", map[string]any{"path": c.path})
		if listed.Status != c.list || read.Status != c.read {
			t.Errorf("%.60q: list %d, read %d; want %d and %d", c.path, listed.Status, read.Status, c.list, c.read)
		}
		if bytes.Contains(append(listed.Body, read.Body...), []byte(secret)) || bytes.Contains(read.Body, []byte("root:")) {
			t.Errorf("%.60q showed what is outside of the root", c.path)
		}
	}
	for _, raw := range []string{"path=%ff%fe", "path=%00", "path=a%00"} { // what JSON has no words for
		client.Get("/api/v1/filesystem?" + raw).Want(invalid)
	}
	for _, raw := range []string{"path=%2e%2e%2fsecret", "path=..%2Fsecret", "path=%2Fetc%2Fpasswd"} {
		client.Get("/api/v1/filesystem?" + raw).Want(forbidden)
	}
	client.Get("/api/v1/filesystem?path=notes&path=../secret").Want(forbidden) // the last one counts
	client.Post("/api/v1/filesystem/read", map[string]any{}).Want(invalid)
	client.Post("/api/v1/filesystem/read", map[string]any{"path": ""}).Want(invalid)
	client.Post("/api/v1/filesystem/read", map[string]any{"path": []string{"empty"}}).Want(invalid)
	client.Post("/api/v1/filesystem/read", "{\"path\": \"\xff\"}").Want(invalid)
}

func TestWhoMayReadFiles(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	read := map[string]any{"path": "README.md"}
	server.Anonymous().Get("/api/v1/filesystem").Want(http.StatusUnauthorized)
	server.Anonymous().Post("/api/v1/filesystem/read", read).Want(http.StatusUnauthorized)
	user := server.As("8d1c2a6e-6d0b-4d53-9a0e-0f6f0d1f7a11")
	for scope, want := range map[string]int{"filesystem:read": http.StatusOK, "chat:read": http.StatusForbidden} {
		key := user.Post("/api/v1/auth/api-keys", map[string]any{"name": scope, "scopes": []string{scope}}).Want(http.StatusOK).JSON().Text("api_key")
		client := server.Anonymous().With("X-API-Key", key)
		client.Get("/api/v1/filesystem").Want(want)
		client.Post("/api/v1/filesystem/read", read).Want(want)
	}
}

func TestARootThatIsNotThere(t *testing.T) {
	t.Parallel()
	client := gaiatest.Start(t, gaiatest.Settings{"MCP_FILESYSTEM_ROOT": "/app/data-that-is-not-there"}).Client()
	if detail := client.Get("/api/v1/filesystem").Want(http.StatusServiceUnavailable).JSON().Text("detail"); strings.Contains(detail, "/app") {
		t.Errorf("the answer tells where the root would be: %s", detail)
	}
	client.Post("/api/v1/filesystem/read", map[string]any{"path": "x"}).Want(http.StatusServiceUnavailable)
}

// Large files at once are refused before they fill the memory, and the others go on.
func TestManyLargeFilesAtOnce(t *testing.T) {
	t.Parallel()
	root := filesRoot(t)
	client := gaiatest.Start(t, gaiatest.Settings{"MCP_FILESYSTEM_ROOT": root, "RATE_LIMIT_REQUESTS": "0"}).As("reader")
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 40 {
		all.Go(func() {
			resp, err := client.Try(gaiatest.Request{Method: http.MethodPost, Path: "/api/v1/filesystem/read", Body: map[string]any{"path": "large"}})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.Status]++
			if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.Status == http.StatusServiceUnavailable && (err != nil || wait < 1) {
				t.Errorf("no time to come back at: %v", resp.Header)
			}
		})
	}
	all.Wait()
	if statuses[http.StatusOK] == 0 || statuses[http.StatusOK]+statuses[http.StatusServiceUnavailable] != 40 {
		t.Errorf("answers by status: %v", statuses)
	}
}
