package check

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages reads the Dockerfile as BuildKit does; its linter's warnings are faults.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	warn := func(rule, description, _, message string, at []parser.Range) {
		t.Errorf("Dockerfile, %v: %s: %s (%s)", at, rule, message, description)
	}
	all, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// of returns the commands of one sort in a stage.
func of[T instructions.Command](s instructions.Stage) []T {
	var found []T
	for _, c := range s.Commands {
		if is, ok := c.(T); ok {
			found = append(found, is)
		}
	}
	return found
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	all := stages(t)
	var names []string
	for _, s := range all {
		if s.Name == "" {
			t.Errorf("the stage from %s has no name", s.BaseName)
		}
		if s.BaseName != "scratch" && !slices.Contains(names, s.BaseName) && !exactTag.MatchString(s.BaseName) {
			t.Errorf("%s is not one image for ever", s.BaseName)
		}
		names = append(names, s.Name)
		for _, c := range of[*instructions.CopyCommand](s) {
			if from := c.From; from != "" && !slices.Contains(names, from) && !exactTag.MatchString(from) {
				t.Errorf("%s: copied from %s, which is not one image for ever", s.Name, from)
			}
		}
		if add := of[*instructions.AddCommand](s); len(add) > 0 {
			t.Errorf("%s: ADD fetches and unpacks: COPY", s.Name)
		}
		for _, c := range of[*instructions.CmdCommand](s) {
			if c.PrependShell {
				t.Errorf("%s: CMD in a shell, which keeps signals to itself", s.Name)
			}
		}
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))[1]
	for _, s := range all[:2] {
		if !strings.HasPrefix(s.BaseName, "golang:"+version+"-") {
			t.Errorf("%s is built with %s, go.mod says %s", s.Name, s.BaseName, version)
		}
	}
}

// The last stage is what runs: one program, as nobody, that knows how it is.
func TestImage(t *testing.T) {
	t.Parallel()
	all := stages(t)
	last := all[len(all)-1]
	if last.BaseName != "scratch" {
		t.Errorf("it is made from %s", last.BaseName)
	}
	if run := of[*instructions.RunCommand](last); len(run) > 0 {
		t.Error("nothing can run in it: it has no shell")
	}
	if users := of[*instructions.UserCommand](last); len(users) != 1 || users[0].User != "65532:65532" {
		t.Errorf("it runs as %v: Kubernetes knows by a number alone that it is not root", users)
	}
	health := of[*instructions.HealthCheckCommand](last)
	if len(health) != 1 || !slices.Equal(health[0].Health.Test, []string{"CMD", "gaia", "health"}) || health[0].Health.Timeout > health[0].Health.Interval {
		t.Errorf("its health check: %v", health)
	}
	entry := of[*instructions.EntrypointCommand](last)
	if len(entry) != 1 || entry[0].PrependShell || !slices.Equal(entry[0].CmdLine, []string{"gaia"}) {
		t.Errorf("its entry point: %v", entry)
	}
	if len(of[*instructions.LabelCommand](last)) == 0 || len(of[*instructions.ExposeCommand](last)) != 1 {
		t.Error("it has no labels, or exposes more than one port")
	}
}

// Whatever the program is built from has to reach the build.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	is := func(path string) bool {
		found, err := ignored.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, path := range []string{".env", ".git/config", "bin/gaia", "data/api_key", "deploy/check/go.mod", "tests/e2e/chat_test.go", "app/chat_test.go"} {
		if !is(path) {
			t.Errorf("%s is sent to the build, which does not need it", path)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Module", "./cmd/gaia")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Module              *struct{ Main bool }
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		dir, err := filepath.Rel(base, p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append(p.GoFiles, p.EmbedFiles...) {
			seen++
			if path := filepath.Join(dir, file); is(path) {
				t.Errorf("%s does not reach the build", path)
			}
		}
	}
	if seen < 100 || is("go.mod") || is("go.sum") {
		t.Errorf("%d files, go.mod ignored: %v", seen, is("go.mod"))
	}
}
