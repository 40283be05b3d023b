package gaiatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Program returns the path of the gaia program, built once for each run of a test binary. It has the race detector in it when the
// tests have.
func Program(t testing.TB) string {
	t.Helper()
	program.once.Do(func() { program.dir, program.path, program.err = build() })
	if program.err != nil {
		t.Fatalf("gaiatest: %v", program.err)
	}
	return program.path
}

func build() (dir, path string, err error) {
	dir, err = os.MkdirTemp("", "gaiatest-")
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "gaia")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "gaia/cmd/gaia")...).CombinedOutput(); err != nil {
		return dir, "", fmt.Errorf("build gaia: %w\n%s", err, out)
	}
	return dir, path, nil
}

func removeProgram() {
	if program.dir != "" {
		_ = os.RemoveAll(program.dir) // a leftover in the temporary folder is no failure
	}
}
