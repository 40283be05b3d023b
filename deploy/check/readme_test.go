package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	oldCommands = regexp.MustCompile(`(?s)<!-- old commands.*?-->\n(.*?)<!-- end -->`)
	inBackticks = regexp.MustCompile("`([^`]+)`")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
)

// TestCommandsOfReadme looks for everything that the table of old commands tells to type: targets, scripts, services, profiles, commands
// of the program, packages and tests.
func TestCommandsOfReadme(t *testing.T) {
	t.Parallel()
	table := oldCommands.FindStringSubmatch(read(t, "README.md"))
	if table == nil {
		t.Fatal("no table")
	}
	c := commands{services: map[string]bool{}, targets: map[string]bool{}, usage: read(t, "cmd", "gaia", "main.go")}
	for name, s := range everything(t).Services {
		c.services[name] = true
		c.profiles = append(c.profiles, s.Profiles...)
	}
	c.profiles = append(c.profiles, "infra")
	for _, target := range makeTarget.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		c.targets[target[1]] = true
	}
	rows, checked := 0, 0
	for line := range strings.Lines(table[1]) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.HasPrefix(strings.TrimSpace(cells[0]), "-") || strings.TrimSpace(cells[0]) == "there" {
			continue
		}
		rows++
		for _, command := range inBackticks.FindAllStringSubmatch(cells[1]+cells[2], -1) {
			for part := range strings.SplitSeq(command[1], " && ") {
				checked++
				c.check(t, strings.Fields(part))
			}
		}
	}
	if rows < 20 || checked < 40 {
		t.Errorf("%d rows, %d commands", rows, checked)
	}
}

type commands struct {
	services, targets map[string]bool
	profiles          []string
	usage             string
}

func (c commands) check(t *testing.T, words []string) {
	t.Helper()
	command := strings.Join(words, " ")
	switch words[0] {
	case "docker":
		if words[1] == "compose" {
			c.compose(t, command, words[2:])
		}
	case "make":
		for _, word := range words[1:] {
			if before, _, assigns := strings.Cut(word, "="); assigns && before == "SERVICES" {
				return // the rest are services of scripts/split.sh, which tests/e2e runs
			}
			if !c.targets[word] {
				t.Errorf("%s: make has no such target", command)
			}
		}
	case "scripts/setup.sh":
		if info, err := os.Stat(filepath.Join(root, words[0])); err != nil || info.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s: %v, or not executable", command, err)
		}
	case "bin/gaia":
		if !strings.Contains(c.usage, "  gaia "+words[1]+" ") {
			t.Errorf("%s: the program does not know it", command)
		}
	case "go":
		c.goTest(t, command, words[1:])
	case "curl", "tail", "ps", "rm", "nats-server": // of the system
	default:
		t.Errorf("%s: nobody checks it", command)
	}
}

// compose checks what follows docker compose: profiles, one verb, then options and services, or a command of a container.
func (c commands) compose(t *testing.T, command string, words []string) {
	t.Helper()
	if words[0] == "--profile" {
		if !slices.Contains(c.profiles, words[1]) {
			t.Errorf("%s: no such profile", command)
		}
		words = words[2:]
	}
	verb, rest := words[0], words[1:]
	if !slices.Contains([]string{"up", "build", "logs", "run", "exec", "down"}, verb) {
		t.Errorf("%s: what is %s?", command, verb)
	}
	for i, word := range rest {
		name, _, _ := strings.Cut(word, "=")
		switch {
		case strings.HasPrefix(word, "-"):
		case !c.services[name]:
			t.Errorf("%s: no service %s", command, name)
		case verb == "run" || verb == "exec":
			if then := rest[i+1:]; len(then) > 0 && then[0] != "nats-server" {
				if then[0] == "gaia" {
					then[0] = "bin/gaia"
				}
				c.check(t, then)
			}
			return
		}
	}
}

func (c commands) goTest(t *testing.T, command string, words []string) {
	t.Helper()
	if len(words) != 4 || words[0] != "test" || words[2] != "-run" {
		t.Fatalf("%s: not go test PACKAGE -run TEST", command)
	}
	files, err := filepath.Glob(filepath.Join(root, words[1], "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(file string) bool {
		data, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(data), "func "+words[3]+"(")
	}) {
		t.Errorf("%s: no such test", command)
	}
}
