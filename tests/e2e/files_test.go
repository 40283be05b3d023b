package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
)

// TestFilesOnStdio talks to gaia files as any MCP client does.
func TestFilesOnStdio(t *testing.T) {
	t.Parallel()
	root := filesRoot(t)
	cmd := exec.CommandContext(t.Context(), gaiatest.Program(t), "files")
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "MCP_FILESYSTEM_ROOT="+root, "GAIA_DATA_DIR="+t.TempDir())
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tools, err := session.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) != 10 {
		t.Fatalf("%d tools, %v", len(tools.Tools), err)
	}
	for path, want := range map[string]string{root + "/notes/puzzles.md": "# Puzzles", "notes/puzzles.md": "# Puzzles", root + "/../secret": "Access denied", "secret": "Access denied", "pipe": "no regular file"} {
		r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_text_file", Arguments: map[string]any{"path": path}})
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := r.Content[0].(*mcp.TextContent); !ok || !strings.Contains(text.Text, want) || strings.Contains(text.Text, secret) {
			t.Errorf("%s: %v", path, r.Content[0])
		}
	}
	if err := session.Close(); err != nil { // which waits for the program to end
		t.Errorf("the end: %v", err)
	}
}
