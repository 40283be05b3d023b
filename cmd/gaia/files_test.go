package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/adapters/mcptools"
	"gaia/domain"
)

func TestTheDefaultRootHasSomethingToSee(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := config{MCPMaxReadMB: 1}
	for range 2 { // the second time it is there
		files, _, err := wireFiles(c, dir, &system{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if l, err := files.List(t.Context(), "", 0, 0); err != nil || len(l.Entries) != 1 || l.Entries[0].Path != filesReadme {
			t.Fatalf("%+v, %v", l, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, filesDir, filesReadme)); err != nil {
		t.Fatal(err)
	}
	files, _, err := wireFiles(c, dir, &system{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := files.List(t.Context(), "", 0, 0); err != nil || len(l.Entries) != 0 {
		t.Errorf("what somebody deleted came back: %+v, %v", l, err)
	}
}

func TestTheRootMustNotHoldTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	for root, fine := range map[string]bool{
		data: false, dir: false, "/": false, filepath.Join(dir, "alias"): false, data + "/../data/.": false,
		filepath.Join(data, "deep"): true, filepath.Join(dir, "elsewhere"): true, filepath.Join(dir, "dat"): true,
	} {
		for _, dataDir := range []string{data, filepath.Join(dir, "alias")} {
			_, err := config{MCPRoot: root}.filesRoot(dataDir)
			if fine && err != nil || !fine && (err == nil || !strings.Contains(err.Error(), "MCP_FILESYSTEM_ROOT")) {
				t.Errorf("root %s, data in %s: %v", root, dataDir, err)
			}
		}
	}
}

// Old deployments name a root that may not be there. They start, and the filesystem comes when its root does.
func TestARootMayComeLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "later")
	var log strings.Builder
	files, _, err := wireFiles(config{MCPRoot: root, MCPMaxReadMB: 1}, dir, &system{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || !strings.Contains(log.String(), "MCP_FILESYSTEM_ROOT") {
		t.Fatalf("%v; log: %s", err, &log)
	}
	if _, err := files.List(t.Context(), "", 0, 0); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("before: %v", err)
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := files.List(t.Context(), "", 0, 0); err != nil {
		t.Errorf("after: %v", err)
	}
}

// However large the files are that clients may read: what tools read is held by this process several times over, and then cut.
func TestToolsReadNoMoreThanAResultHolds(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, size := range map[string]int{"fits": mcptools.MaxResultBytes, "large": mcptools.MaxResultBytes + 1} {
		if err := os.WriteFile(filepath.Join(root, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := config{MCPRoot: root, MCPMaxReadMB: 1024}.openFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	near, far := mcp.NewInMemoryTransports()
	served, err := source.tools().InProcess.Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), near, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(); _ = served.Wait() })
	for name, failed := range map[string]bool{"fits": false, "large": true} {
		r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_media_file", Arguments: map[string]any{"path": name}})
		if err != nil || r.IsError != failed {
			t.Errorf("%s: %+.100v, %v", name, r, err)
		}
	}
}

func TestWhatServesFilesInstead(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"": nil, "npx": nil, " npx ": nil, "npx -y @scope/name": {"npx", "-y", "@scope/name"}, "serve": {"serve"},
		`"/opt/my tools/serve" --name 'a "b"' ""`: {"/opt/my tools/serve", "--name", `a "b"`, ""}, `C:\\tools\\serve.exe`: {`C:\\tools\\serve.exe`},
	} {
		got, err := config{MCPCommand: line}.filesCommand()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := (config{MCPCommand: `npx "x`}).filesCommand(); err == nil {
		t.Error("a quote that does not end is no fault")
	}
}
