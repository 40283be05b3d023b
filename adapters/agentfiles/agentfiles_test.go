package agentfiles_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gaia/adapters/agentfiles"
	"gaia/domain"
)

const pirate = "---\nname: pirate\ndescription: Talks like a pirate\nmodel: gpt-4o\ntools:\n  - files/read_*\n  - weather/*\n---\n\nYou are a pirate.\n\n---\nArr.\n"

func TestParse(t *testing.T) {
	t.Parallel()
	want := domain.Agent{
		Name: "pirate", Description: "Talks like a pirate", Model: "gpt-4o", Tools: []string{"files/read_*", "weather/*"},
		Instruction: "You are a pirate.\n\n---\nArr.",
	}
	for _, text := range []string{pirate, strings.ReplaceAll(pirate, "\n", "\r\n"), "\ufeff" + pirate} {
		got, err := agentfiles.Parse("pirate.md", []byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestFaultsNameFileAndLine(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string][]string{
		"":                                    {"a.md:1: it does not begin"},
		"You are a pirate.":                   {"a.md:1: it does not begin"},
		"---\nname: a\n":                      {"a.md:1: it does not begin"},
		"---\n---\nx":                         {"a.md:1: name:", "a.md:1: description: there is none"},
		"---\nname: a\ndescription: d\n---\n": {"a.md:5: instruction: there is none"},
		"---\nname: Ab C\ndescription: d\n---\nx":            {`a.md:2: name: "Ab C" is no name`},
		"---\ndescription: d\nname: a\n\ntools: [x]\n---\nx": {`a.md:5: tools: "x" is no pattern`},
		"---\nname: a\ntool: [x]\n---\nx":                    {"a.md:3: field tool not found"},
		"---\nname: a\ntools: 7\n---\nx":                     {"a.md:3: cannot unmarshal"},
		"---\nname: [\n---\nx":                               {"a.md:"},
		"---\nname: a\ndescription: d\n---\n\x00":            {"a.md:5: instruction: it is no text"},
	} {
		_, err := agentfiles.Parse("a.md", []byte(text))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", text, err, want)
			}
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := agentfiles.Read(dir); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("an empty folder: %v", err)
	}
	write("b.md", pirate)
	write("a.md", strings.Replace(pirate, "name: pirate", "name: cook", 1))
	write("README", "nothing")
	write(".hidden.md", "nothing")
	agents, err := agentfiles.Read(dir)
	if err != nil || len(agents) != 2 || agents[0].Name != "cook" {
		t.Fatalf("%+v, %v", agents, err)
	}
	write("c.md", pirate)
	write("d.md", "nothing")
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "e.md")); err != nil {
		t.Fatal(err)
	}
	_, err = agentfiles.Read(dir)
	for _, want := range []string{"c.md: the agent pirate is in b.md already", "d.md:1:", "e.md"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := agentfiles.Read(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestBuiltInAgentsAreGood(t *testing.T) {
	t.Parallel()
	for _, a := range domain.BuiltInAgents() {
		if faults := a.Check(); len(faults) > 0 {
			t.Errorf("%s: %v", a.Name, faults)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(pirate))
	f.Add([]byte("---\nname: [&a [*a\n---\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		agent, err := agentfiles.Parse("a.md", data)
		if err == nil && len(agent.Check()) > 0 {
			t.Errorf("it was taken: %+v", agent)
		}
	})
}
