package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of the repository.
var root = filepath.Join("..", "..")

func read(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// variables reads lines of NAME=value.
func variables(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(name, "#") {
			found[name] = value
		}
	}
	return found
}

// settings are those of the program, with their defaults.
func settings(t *testing.T) map[string]string {
	t.Helper()
	return variables(read(t, ".env.example"))
}

// setUp runs scripts/setup.sh in an empty folder and returns the .env that it made.
func setUp(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	runSetUp(t, dir)
	made, err := os.ReadFile(filepath.Join(dir, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	return variables(string(made))
}

func runSetUp(t *testing.T, dir string, args ...string) string {
	t.Helper()
	script := filepath.Join(dir, "scripts", "setup.sh")
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(read(t, "scripts", "setup.sh")), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", append([]string{script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

var keptLine = regexp.MustCompile(`(?m)^# ([A-Z0-9_]+): (?:.*; )?kept for: ([a-z, ]+)$`)

// keptFor tells for which services a setting is that holds a secret, or may: "every" or "none" stand for themselves.
func keptFor(t *testing.T) map[string][]string {
	t.Helper()
	kept := map[string][]string{}
	for _, found := range keptLine.FindAllStringSubmatch(read(t, ".env.example"), -1) {
		kept[found[1]] = strings.Split(found[2], ", ")
	}
	return kept
}
