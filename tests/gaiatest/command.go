package gaiatest

import (
	"bytes"
	"maps"
	"os/exec"
	"testing"
)

// Output is what a command of the program printed, and how it ended.
type Output struct {
	Out, Info string // standard output and standard error
	Code      int
}

// Run runs a command of the program on this backend, with more settings, and waits for its end.
func (b Backend) Run(t testing.TB, more Settings, args ...string) Output {
	t.Helper()
	settings := maps.Clone(b.Settings)
	maps.Copy(settings, more)
	cmd := exec.CommandContext(t.Context(), Program(t), args...)
	cmd.Dir = t.TempDir() // no .env of the developer is read
	cmd.Env = environ(settings)
	var out, info bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &info
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("gaiatest: gaia %q: %v", args, err)
	}
	return Output{Out: out.String(), Info: info.String(), Code: cmd.ProcessState.ExitCode()}
}
