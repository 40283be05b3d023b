package compat

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gaia/tests/gaiatest"
)

func TestDefaultsAreThoseOnThePage(t *testing.T) {
	t.Parallel()
	inForce := defaults(t)
	for _, row := range table(t, "variable", "LLM Platform", "Gaia", "why") {
		name := code(row[0])
		value, known := inForce[name]
		switch {
		case !known:
			t.Errorf("there is no setting %s", row[0])
		case value != code(row[2]):
			t.Errorf("%s is %q, the page says %s", name, value, row[2])
		case row[2] == row[1]:
			t.Errorf("%s does not differ", name)
		case row[3] == "":
			t.Errorf("%s differs, and the page does not say why", name)
		}
	}
}

// defaults are the settings of a program that was told nothing.
func defaults(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gaiatest.Program(t), "config")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gaia config: %v", err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		settings[name] = value
	}
	return settings
}
