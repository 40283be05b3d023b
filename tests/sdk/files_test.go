package sdk

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gaia/tests/gaiatest"
)

// TestTheNpmPackageServesFiles puts the npm package in the place of the built-in filesystem: the routes answer the same.
func TestTheNpmPackageServesFiles(t *testing.T) {
	t.Parallel()
	install(t)
	program, err := filepath.Abs("node_modules/@modelcontextprotocol/server-filesystem/dist/index.js")
	if err != nil {
		t.Fatal(err)
	}
	root := npmRoot(t)
	client := gaiatest.Start(t, gaiatest.Settings{
		"MCP_FILESYSTEM_ROOT": root, "MCP_FILESYSTEM_COMMAND": `node "` + program + `"`, "RATE_LIMIT_REQUESTS": "0",
	}).As("reader")
	for end := time.Now().Add(time.Minute); client.Get("/api/v1/filesystem").Status == http.StatusServiceUnavailable; {
		if time.Now().After(end) {
			t.Fatal("the server does not come up")
		}
	}
	kinds := map[string]string{}
	list := client.Get("/api/v1/filesystem").Want(http.StatusOK).JSON()
	for i := range int(list.Number("total")) {
		name := list.Text("entries", i, "name")
		kinds[name] = list.Text("entries", i, "type")
		if name == "a.txt" && (list.Number("entries", i, "size") != 7 || list.Text("entries", i, "modified_at") != "2024-05-06T07:08:09Z") {
			t.Errorf("a.txt is %v", list.At("entries", i))
		}
	}
	for name, want := range map[string]string{"a.txt": "file", "sub": "directory", "empty": "directory", "here": "directory", "out": "unknown", "nowhere": "unknown"} {
		if kinds[name] != want {
			t.Errorf("%s is %q, want %q", name, kinds[name], want)
		}
	}
	for name, want := range map[string]string{"a.txt": "gr\u00fc\u00dfe", "sub/blob": "\x00\xff", "here/blob": "\x00\xff", "nothing": ""} {
		file := client.Post("/api/v1/filesystem/read", map[string]any{"path": name}).Want(http.StatusOK).JSON()
		content := file.Text("content")
		if file.Text("encoding") == "base64" {
			data, err := base64.StdEncoding.DecodeString(content)
			if err != nil {
				t.Error(err)
			}
			content = string(data)
		}
		if content != want {
			t.Errorf("%s is %q, want %q", name, content, want)
		}
	}
	for path, want := range map[string][2]int{
		"..": {403, 403}, "../secret": {403, 403}, "/etc/passwd": {403, 403}, "out": {403, 403}, "out/x": {403, 403}, "missing": {404, 404}, "a.txt/x": {404, 404},
		"nowhere": {404, 404}, "circle": {404, 404}, "a.txt": {400, 200}, "sub": {200, 400}, "empty": {200, 400}, "%2e%2e/secret": {404, 404}, "large": {400, 413},
	} {
		listed := client.Get("/api/v1/filesystem?path=" + url.QueryEscape(path)).Status
		read := client.Post("/api/v1/filesystem/read", map[string]any{"path": path}).Status
		if listed != want[0] || read != want[1] {
			t.Errorf("%s: list %d, read %d; want %v", path, listed, read, want)
		}
	}
}

func npmRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(root, "sub"), 0o700))
	check(os.Mkdir(filepath.Join(root, "empty"), 0o700))
	check(os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600))
	for name, content := range map[string][]byte{"a.txt": []byte("gr\u00fc\u00dfe"), "nothing": nil, "sub/blob": {0, 255}, "large": make([]byte, 11<<20)} {
		name = filepath.Join(root, filepath.FromSlash(name))
		check(os.WriteFile(name, content, 0o600))
		at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
		check(os.Chtimes(name, at, at))
	}
	for name, target := range map[string]string{"here": "sub", "out": "..", "nowhere": "missing", "circle": "circle"} {
		check(os.Symlink(target, filepath.Join(root, name)))
	}
	return root
}
