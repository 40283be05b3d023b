package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gaia/tests/gaiatest"
)

// docBlock is a block of code on a page: commands, or what they have to print, a line for each piece.
var docBlock = regexp.MustCompile("(?s)```(sh|text)\n(.*?)```")

// offerOnPage is the file of tools that the page begins with.
var offerOnPage = regexp.MustCompile(`(?m)^    \{"offer".*$`)

// TestAgentsPage runs the commands of docs/agents.md as a reader would, one block after the other, against the embedded default.
func TestAgentsPage(t *testing.T) {
	t.Parallel()
	tools := filepath.Join(t.TempDir(), "tools.json")
	if err := os.WriteFile(tools, []byte(offerOnPage.FindString(readPage(t, "agents.md"))), 0o600); err != nil {
		t.Fatal(err)
	}
	runPage(t, "agents.md", gaiatest.Settings{"TOOLS_FILE": tools}, 7)
}

// TestAssetsPage does the same with docs/assets.md.
func TestAssetsPage(t *testing.T) {
	t.Parallel()
	runPage(t, "assets.md", gaiatest.Settings{}, 5)
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// runPage runs the blocks of a page and compares what they print. At least so many have to say what that is.
func runPage(t *testing.T, name string, settings gaiatest.Settings, least int) {
	t.Helper()
	server, dir := gaiatest.Start(t, settings), t.TempDir()
	var setUp, out string
	checked := 0
	for i, block := range docBlock.FindAllStringSubmatch(readPage(t, name), -1) {
		kind, text := block[1], block[2]
		if kind == "text" {
			checked++
			for line := range strings.Lines(text) {
				if want := strings.TrimSpace(line); !strings.Contains(out, want) {
					t.Errorf("block %d: nothing reads %s in\n%s", i+1, want, out)
				}
			}
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", setUp+text)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GAIA="+server.URL(), "KEY="+gaiatest.APIKey)
		printed, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("block %d: %v\n%s\n%s", i+1, err, text, printed)
		}
		if out = string(printed); setUp == "" {
			setUp = text
		}
	}
	if checked < least {
		t.Errorf("only %d examples say what they print", checked)
	}
}
