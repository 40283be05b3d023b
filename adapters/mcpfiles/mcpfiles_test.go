package mcpfiles_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/adapters/filesystem"
	"gaia/adapters/mcpfiles"
	"gaia/adapters/mcptools"
	"gaia/ports"
	"gaia/ports/portstest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRemote reads through a server of this package, as it would through any other.
func TestRemote(t *testing.T) {
	t.Parallel()
	portstest.Filesystem(t, func(t *testing.T, root string) ports.Filesystem {
		server := mcpfiles.NewServer(mcpfiles.Config{Files: filesystem.New(filesystem.Config{Root: root}), Root: root})
		servers, err := mcptools.Open(mcptools.Config{Servers: []mcptools.Server{{Name: "files", InProcess: server}}})
		must(t, err)
		t.Cleanup(servers.Close)
		ready, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		servers.Ready(ready)
		return mcpfiles.NewRemote(mcpfiles.RemoteConfig{Servers: servers, Server: "files", Root: root, NewID: uuid.NewString})
	})
}

// client is connected with a server over a root.
type client struct {
	t       *testing.T
	session *mcp.ClientSession
}

func connect(t *testing.T, c mcpfiles.Config, root string) client {
	t.Helper()
	if c.Files == nil {
		c.Files = filesystem.New(filesystem.Config{Root: root})
	}
	near, far := mcp.NewInMemoryTransports()
	served, err := mcpfiles.NewServer(c).Connect(t.Context(), far, nil)
	must(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), near, nil)
	must(t, err)
	t.Cleanup(func() { _ = session.Close(); _ = served.Wait() })
	return client{t, session}
}

// call returns the text of an answer, and whether it says that the tool failed.
func (c client) call(tool string, arguments map[string]any) (string, bool) {
	c.t.Helper()
	r, err := c.session.CallTool(c.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	must(c.t, err)
	if len(r.Content) != 1 {
		c.t.Fatalf("%s: %d parts", tool, len(r.Content))
	}
	text, ok := r.Content[0].(*mcp.TextContent)
	if !ok {
		c.t.Fatalf("%s: %T", tool, r.Content[0])
	}
	return text.Text, r.IsError
}

func furnish(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	must(t, os.MkdirAll(filepath.Join(root, "notes", "old"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600))
	for name, content := range map[string]string{
		"a.txt": "one\ntwo\nthree\n", "notes/b.md": "# B", "notes/old/c.md": strings.Repeat("x", 1536), "pic.png": "\x89PNG", "blob.bin": "\x00\x01",
		"notes/two\nlines": "y", "latin": "gr\xfc\xdfe",
	} {
		name = filepath.Join(root, filepath.FromSlash(name))
		must(t, os.WriteFile(name, []byte(content), 0o600))
		at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
		must(t, os.Chtimes(name, at, at))
	}
	must(t, os.Symlink("../secret", filepath.Join(root, "out")))
	must(t, os.Symlink("..", filepath.Join(root, "notes", "up")))
	return root
}

func TestToolsAnswerAsTheNpmPackageDoes(t *testing.T) {
	t.Parallel()
	root := furnish(t)
	hidden := connect(t, mcpfiles.Config{}, root)
	named := connect(t, mcpfiles.Config{Root: root}, root)
	for _, c := range []struct {
		tool      string
		arguments map[string]any
		want      string
		failed    bool
	}{
		{"list_directory", map[string]any{"path": "."}, "[FILE] a.txt\n[FILE] blob.bin\n[FILE] latin\n[DIR] notes\n[FILE] out\n[FILE] pic.png", false},
		{"list_directory", map[string]any{"path": "notes"}, "[FILE] b.md\n[DIR] old\n[FILE] two\ufffdlines\n[DIR] up", false},
		{"list_directory_with_sizes", map[string]any{"path": "notes/old", "sortBy": "size"}, "[FILE] c.md                              1.50 KB\n\nTotal: 1 files, 0 directories\nCombined size: 1.50 KB", false},
		{"read_text_file", map[string]any{"path": "a.txt"}, "one\ntwo\nthree\n", false},
		{"read_file", map[string]any{"path": "a.txt"}, "one\ntwo\nthree\n", false},
		{"read_text_file", map[string]any{"path": "a.txt", "head": 2}, "one\ntwo", false},
		{"read_text_file", map[string]any{"path": "a.txt", "head": 20}, "one\ntwo\nthree", false},
		{"read_text_file", map[string]any{"path": "a.txt", "tail": 1}, "three", false},
		{"read_text_file", map[string]any{"path": "a.txt", "tail": 9}, "one\ntwo\nthree", false},
		{"read_text_file", map[string]any{"path": "latin"}, "gr\ufffde", false},
		{"read_multiple_files", map[string]any{"paths": []string{"notes/b.md", "missing"}}, "notes/b.md:\n# B\n\n---\nmissing: Error - ENOENT: no such file or directory: missing", false},
		{"get_file_info", map[string]any{"path": "a.txt"}, "size: 14\nmodified: Mon May 06 2024 07:08:09 GMT+0000 (Coordinated Universal Time)\nisDirectory: false\nisFile: true", false},
		{"search_files", map[string]any{"path": ".", "pattern": "**/*.md"}, "notes/b.md\nnotes/old/c.md", false},
		{"search_files", map[string]any{"path": ".", "pattern": "**/*.md", "excludePatterns": []string{"notes/old"}}, "notes/b.md", false},
		{"search_files", map[string]any{"path": "notes", "pattern": "*.md"}, "notes/b.md", false},
		{"search_files", map[string]any{"path": ".", "pattern": "*.go"}, "No matches found", false},
		{"list_allowed_directories", nil, "Allowed directories:\n.", false},
		{"read_text_file", map[string]any{"path": "../secret"}, "Access denied - The path leads out of the root: ../secret", true},
		{"read_text_file", map[string]any{"path": "out"}, "Access denied - The path leads out of the root: out", true},
		{"read_text_file", map[string]any{"path": "/etc/passwd"}, "Access denied - Paths are relative to the root, and this one begins with a slash: /etc/passwd", true},
		{"read_text_file", map[string]any{"path": "notes"}, "This is a directory: notes", true},
		{"read_text_file", map[string]any{"path": "a.txt", "head": 1, "tail": 1}, "head and tail can't be given together", true},
		{"list_directory", map[string]any{"path": "a.txt"}, "This is no directory: a.txt", true},
		{"search_files", map[string]any{"path": ".", "pattern": "[a"}, `the pattern "[a" can't be read`, true},
	} {
		got, failed := hidden.call(c.tool, c.arguments)
		if got != c.want || failed != c.failed {
			t.Errorf("%s %v: failed %t\n%q\nwant\n%q", c.tool, c.arguments, failed, got, c.want)
		}
	}
	for path, want := range map[string]string{root + "/a.txt": "three", root + "/notes/../a.txt": "three", "a.txt": "three"} {
		if got, failed := named.call("read_text_file", map[string]any{"path": path, "tail": 1}); failed || got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	for _, path := range []string{root + "/../secret", root + ".txt", filepath.Dir(root), root + "/out"} {
		if got, failed := named.call("read_text_file", map[string]any{"path": path}); !failed || !strings.HasPrefix(got, "Access denied") {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got, _ := named.call("list_allowed_directories", nil); got != "Allowed directories:\n"+root {
		t.Errorf("allowed: %q", got)
	}
	if got, _ := named.call("search_files", map[string]any{"path": root, "pattern": "*.txt"}); got != root+"/a.txt" {
		t.Errorf("found: %q", got)
	}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	c := connect(t, mcpfiles.Config{}, furnish(t))
	got, failed := c.call("directory_tree", map[string]any{"path": "notes", "excludePatterns": []string{"b.md"}})
	var tree []struct {
		Name, Type string
		Children   *[]struct{ Name string }
	}
	if failed || json.Unmarshal([]byte(got), &tree) != nil || len(tree) != 3 {
		t.Fatalf("%s", got)
	}
	if tree[0].Name != "old" || tree[0].Children == nil || (*tree[0].Children)[0].Name != "c.md" || tree[2].Name != "up" || tree[2].Children != nil {
		t.Errorf("a link is followed, or something is missing: %s", got)
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	c := connect(t, mcpfiles.Config{}, furnish(t))
	r, err := c.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_media_file", Arguments: map[string]any{"path": "pic.png"}})
	must(t, err)
	if image, ok := r.Content[0].(*mcp.ImageContent); !ok || image.MIMEType != "image/png" || string(image.Data) != "\x89PNG" {
		t.Errorf("%#v", r.Content[0])
	}
	r, err = c.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_media_file", Arguments: map[string]any{"path": "blob.bin"}})
	must(t, err)
	if blob, ok := r.Content[0].(*mcp.EmbeddedResource); !ok || blob.Resource.URI != "file:///blob.bin" || string(blob.Resource.Blob) != "\x00\x01" {
		t.Errorf("%#v", r.Content[0])
	}
}

// readings notes how much of files is asked for.
type readings struct {
	ports.FileTree
	most atomic.Int64
}

func (r *readings) ReadPart(ctx context.Context, path string, offset, length int64) ([]byte, int64, error) {
	r.most.Store(max(r.most.Load(), length))
	return r.FileTree.ReadPart(ctx, path, offset, length)
}

// Some lines of a large file cost what these lines are long.
func TestLinesOfALargeFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	line := strings.Repeat("\u20ac", 1000)
	must(t, os.WriteFile(filepath.Join(root, "log"), []byte("first\nsecond\n"+strings.Repeat(line+"\n", 1000)+"last\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "line"), []byte(strings.Repeat("x", 1<<20)), 0o600))
	for _, c := range []struct {
		arguments map[string]any
		want      string
		most      int64
	}{
		{map[string]any{"path": "log", "head": 2}, "first\nsecond", 64 << 10},
		{map[string]any{"path": "log", "tail": 1}, "last", 64 << 10},
		{map[string]any{"path": "log", "tail": 2}, line + "\nlast", 64 << 10},
		{map[string]any{"path": "log", "head": 50}, "first\nsecond" + strings.Repeat("\n"+line, 48), 256 << 10},
		{map[string]any{"path": "log", "tail": 51}, strings.Repeat(line+"\n", 50) + "last", 256 << 10},
		{map[string]any{"path": "log", "head": 2000}, "first\nsecond\n" + strings.Repeat(line+"\n", 1000) + "last", 8 << 20},
		{map[string]any{"path": "line", "tail": 1}, strings.Repeat("x", 1<<20), 8 << 20},
	} {
		files := &readings{FileTree: filesystem.New(filesystem.Config{Root: root})}
		got, failed := connect(t, mcpfiles.Config{Files: files, MaxRead: 8 << 20}, root).call("read_text_file", c.arguments)
		if failed || got != c.want || files.most.Load() > c.most {
			t.Errorf("%v: %d bytes, want %d; %d were asked for", c.arguments, len(got), len(c.want), files.most.Load())
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "log"), []byte(strings.Repeat("0123456789\n", 100)+"end\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(root, "wide"), []byte(strings.Repeat("\u20ac", 100)), 0o600))
	c := connect(t, mcpfiles.Config{MaxRead: 64}, root)
	for _, tool := range []string{"read_text_file", "read_media_file"} {
		if got, failed := c.call(tool, map[string]any{"path": "log"}); !failed || !strings.Contains(got, "64 bytes") {
			t.Errorf("%s: %q", tool, got)
		}
	}
	if got, failed := c.call("read_text_file", map[string]any{"path": "log", "tail": 2}); failed || got != "0123456789\nend" {
		t.Errorf("tail: %q", got)
	}
	if got, failed := c.call("read_text_file", map[string]any{"path": "log", "head": 1}); failed || got != "0123456789" {
		t.Errorf("head: %q", got)
	}
	if got, failed := c.call("read_text_file", map[string]any{"path": "wide", "tail": 1}); failed || got != strings.Repeat("\u20ac", 21) {
		t.Errorf("the tail of one long line: %q", got)
	}
	if _, failed := c.call("read_multiple_files", map[string]any{"paths": make([]string, 101)}); !failed {
		t.Error("101 files at once")
	}
	for i := range 1005 {
		must(t, os.WriteFile(filepath.Join(root, "f"+uuid.NewString()+string(rune('a'+i%26))), nil, 0o600))
	}
	if got, _ := c.call("search_files", map[string]any{"path": ".", "pattern": "f*"}); strings.Count(got, "\n") != 1000 || !strings.Contains(got, "there may be more") {
		t.Errorf("%d lines are found", strings.Count(got, "\n"))
	}
	pattern := strings.Repeat("{a,b}", 200)
	if _, failed := c.call("search_files", map[string]any{"path": ".", "pattern": pattern}); !failed {
		t.Error("a pattern with endless alternatives")
	}
	sixty := "{" + strings.Repeat("a,", 59) + "a}"
	for exclude, want := range map[string]bool{sixty: false, sixty + "\n" + sixty: true} {
		if got, failed := c.call("search_files", map[string]any{"path": ".", "pattern": "x", "excludePatterns": strings.Split(exclude, "\n")}); failed != want {
			t.Errorf("alternatives of several patterns: %s", got)
		}
	}
	start := time.Now()
	c.call("search_files", map[string]any{"path": ".", "pattern": strings.Repeat("**/", 300) + "x"})
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a pattern took %v", took)
	}
}
