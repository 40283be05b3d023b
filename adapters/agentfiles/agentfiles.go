// Package agentfiles reads agents from Markdown files: what stands between two lines of three dashes describes the agent in YAML, and the
// rest of the file is its instruction.
//
// It must not decide which agents take part in what, nor read anything after the start.
package agentfiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gaia/domain"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 256 << 10

// front is the description of an agent.
type front struct {
	Name        string   `yaml:"name"`
	Description string   `yaml:"description"`
	Model       string   `yaml:"model"`
	Tools       []string `yaml:"tools"`
}

// Read reads all files of a folder whose names end in .md, in the order of their names. The error names every fault with file and line.
func Read(dir string) ([]domain.Agent, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	names, err := agentFiles(dir)
	if err != nil {
		return nil, err
	}
	var (
		agents []domain.Agent
		faults []error
		where  = map[string]string{}
	)
	for _, name := range names {
		agent, err := readFile(root, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if other := where[agent.Name]; other != "" {
			faults = append(faults, fmt.Errorf("%s: the agent %s is in %s already", name, agent.Name, other))
		}
		where[agent.Name] = name
		agents = append(agents, agent)
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(agents) == 0:
		return nil, fmt.Errorf("there is no file whose name ends in .md in %s", dir)
	case len(agents) > domain.MaxAgents:
		return nil, fmt.Errorf("there are %d agents in %s: more than %d", len(agents), dir, domain.MaxAgents)
	}
	return agents, nil
}

func agentFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && filepath.Ext(name) == ".md" && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, nil
}

func readFile(root *os.Root, name string) (domain.Agent, error) {
	file, err := root.Open(name)
	if err != nil {
		return domain.Agent{}, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return domain.Agent{}, errors.Join(err, fmt.Errorf("%s: not a file", name))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return domain.Agent{}, fmt.Errorf("%s: %w", name, err)
	case len(data) > maxFile:
		return domain.Agent{}, fmt.Errorf("%s: it has more than %d bytes", name, maxFile)
	}
	return Parse(name, data)
}

// Parse reads one file. Its name is for errors, which also say the line.
func Parse(name string, data []byte) (domain.Agent, error) {
	data = bytes.ReplaceAll(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	head, body, bodyLine, ok := split(string(data))
	if !ok {
		return domain.Agent{}, fmt.Errorf("%s:1: it does not begin with a description between two lines of ---", name)
	}
	var f front
	decoder := yaml.NewDecoder(strings.NewReader("\n" + head)) // the line of --- counts
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return domain.Agent{}, explain(name, err)
	}
	agent := domain.Agent{
		Name: f.Name, Description: strings.TrimSpace(f.Description), Instruction: strings.TrimSpace(body), Model: strings.TrimSpace(f.Model), Tools: f.Tools,
	}
	lines := fieldLines("\n" + head)
	lines["instruction"] = bodyLine
	var faults []error
	wrong := agent.Check()
	for _, field := range slices.Sorted(maps.Keys(wrong)) {
		faults = append(faults, fmt.Errorf("%s:%d: %s: %w", name, max(lines[field], 1), field, wrong[field]))
	}
	return agent, errors.Join(faults...)
}

// split cuts a file in two and tells in which line the second part begins.
func split(text string) (head, body string, bodyLine int, ok bool) {
	lines := strings.SplitAfter(text, "\n")
	isRule := func(s string) bool { return strings.TrimRight(s, " \t\n") == "---" }
	if len(lines) == 0 || !isRule(lines[0]) {
		return "", "", 0, false
	}
	for i := 1; i < len(lines); i++ {
		if isRule(lines[i]) {
			return strings.Join(lines[1:i], ""), strings.Join(lines[i+1:], ""), i + 2, true
		}
	}
	return "", "", 0, false
}

// fieldLines tells in which line each field of a description stands.
func fieldLines(head string) map[string]int {
	lines := map[string]int{}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(head), &doc) != nil || len(doc.Content) == 0 {
		return lines
	}
	fields := doc.Content[0].Content
	for i := 0; i+1 < len(fields); i += 2 {
		lines[fields[i].Value] = fields[i].Line
	}
	return lines
}

// explain puts the name of the file where the library has "yaml: line 3:".
func explain(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	var faults []error
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if at, rest, ok := strings.Cut(strings.TrimPrefix(line, "line "), ": "); ok && strings.HasPrefix(line, "line ") {
			faults = append(faults, fmt.Errorf("%s:%s: %s", name, at, strings.ReplaceAll(rest, " in type agentfiles.front", "")))
			continue
		}
		faults = append(faults, fmt.Errorf("%s: %s", name, line))
	}
	return errors.Join(faults...)
}
