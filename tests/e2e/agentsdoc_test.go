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
	page, err := os.ReadFile("../../docs/agents.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tools := filepath.Join(dir, "tools.json")
	offer := offerOnPage.FindString(string(page))
	if err := os.WriteFile(tools, []byte(offer), 0o600); err != nil {
		t.Fatal(err)
	}
	server := gaiatest.Start(t, gaiatest.Settings{"TOOLS_FILE": tools})
	var setUp, out string
	checked := 0
	for i, block := range docBlock.FindAllStringSubmatch(string(page), -1) {
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
	if checked < 7 {
		t.Errorf("only %d examples say what they print", checked)
	}
}
