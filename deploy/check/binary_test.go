package check

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	largestProgram = 55_000_000
	largestImage   = 60_000_000
	certificates   = 300_000 // of Debian, and some lines that name a user
)

// methodByName is a function of the linker's report that calls methods by names that are not known when it links.
var methodByName = regexp.MustCompile(`(?m)^(\S+) -> (\S+) <ReflectMethod>$`)

// The program is built as in the image.
func TestProgramIsSmallAndStatic(t *testing.T) {
	t.Parallel()
	flags := regexp.MustCompile(`go build -trimpath -ldflags "(-s -w) `).FindStringSubmatch(read(t, "Dockerfile"))
	if flags == nil || !strings.Contains(read(t, "Makefile"), `CGO_ENABLED=0 $(GO) build -trimpath -ldflags "`+flags[1]+` `) {
		t.Fatal("Dockerfile and Makefile build different programs")
	}
	path := filepath.Join(t.TempDir(), "gaia")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", flags[1]+" -dumpdep", "-o", path, "./cmd/gaia")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	var report bytes.Buffer
	build.Stderr = &report
	if err := build.Run(); err != nil {
		t.Fatalf("%v\n%s", err, report.Bytes()[max(0, report.Len()-2000):])
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.2f MB, the image about %.2f MB", float64(info.Size())/1e6, float64(info.Size()+certificates)/1e6)
	if info.Size() > largestProgram || info.Size()+certificates > largestImage {
		t.Errorf("the program has %d bytes, and may have %d", info.Size(), largestProgram)
	}
	for _, call := range methodByName.FindAllStringSubmatch(report.String(), -1) {
		if !strings.HasPrefix(call[1], "type:") && !strings.HasPrefix(call[1], "reflect.") {
			t.Errorf("%s uses %s, which calls methods by name: the linker then keeps all methods of everything, some 13 MB. text/template does that", call[1], call[2])
		}
	}

	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if file.Section(".interp") != nil || file.Section(".dynamic") != nil {
		t.Error("it needs libraries that the image has not")
	}
	runInEmptyFolder(t, path)
}

// runInEmptyFolder runs what the image's health check and its start rely on.
func runInEmptyFolder(t *testing.T, path string) {
	t.Helper()
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"SERVICE_HOST=0.0.0.0", "SERVICE_PORT=1"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("health"); err == nil || !strings.Contains(out, "127.0.0.1:1/readyz") {
		t.Errorf("the health of a process that is not there: %v\n%s", err, out)
	}
	if out, err := run("help"); err != nil || !strings.Contains(out, "gaia health") {
		t.Errorf("%v\n%s", err, out)
	}
}
