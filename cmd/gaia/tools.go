package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gaia/adapters/mcptools"
	"gaia/app"
	"gaia/domain"
)

// toolsWait is how long a start waits for the tools, so that the first chat has them. What takes longer comes later.
const toolsWait = 2 * time.Second

// openTools starts the servers of tools: those that TOOLS_FILE names, and the built-in ones, which it may replace.
func openTools(c config, builtIn []mcptools.Server, log *slog.Logger) (*mcptools.Servers, mcptools.File, error) {
	lookup, err := toolsEnvironment(".env")
	if err != nil {
		return nil, mcptools.File{}, err
	}
	file, err := loadTools(c.ToolsFile, lookup)
	if err != nil {
		return nil, mcptools.File{}, err
	}
	all := slices.Clone(file.Servers)
	for _, server := range builtIn {
		if !slices.ContainsFunc(all, func(s mcptools.Server) bool { return s.Name == server.Name }) {
			all = append(all, server)
		}
	}
	servers, err := mcptools.Open(mcptools.Config{Servers: all, Environment: os.LookupEnv, Version: build, Log: log})
	if err != nil {
		return nil, mcptools.File{}, fmt.Errorf("TOOLS_FILE %s: %w", c.ToolsFile, err)
	}
	return servers, file, nil
}

func loadTools(path string, lookup func(string) (string, bool)) (mcptools.File, error) {
	if path == "" {
		return mcptools.File{}, nil
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the operator has named it
	if err != nil {
		return mcptools.File{}, fmt.Errorf("TOOLS_FILE: %w", err)
	}
	file, err := mcptools.ParseFile(data, lookup)
	if err != nil {
		return mcptools.File{}, fmt.Errorf("TOOLS_FILE %s: %w", path, err)
	}
	return file, nil
}

// toolsEnvironment is where ${VAR} of the file of tools is looked up: in the environment, then in .env, as with settings.
func toolsEnvironment(dotenv string) (func(string) (string, bool), error) {
	values, err := readFile(dotenv)
	if err != nil {
		return nil, err
	}
	return func(name string) (string, bool) {
		if value, ok := os.LookupEnv(name); ok {
			return value, true
		}
		value, ok := values[name]
		return value, ok
	}, nil
}

// startTools gives chats, workflows and clients their tools. Servers that are away don't keep the process from starting.
func (s *system) startTools(ctx context.Context, c config, builtIn []mcptools.Server, audit *app.Audit, log *slog.Logger) error {
	servers, file, err := openTools(c, builtIn, log)
	if err != nil {
		return err
	}
	s.onClose(servers.Close)
	ready, cancel := context.WithTimeout(ctx, toolsWait)
	defer cancel()
	servers.Ready(ready)
	s.need(domain.ServiceChat, app.PartTools, app.ToolsProbe(func() (wanted, away int) { return countTools(servers) }))
	s.tools = app.NewTools(app.ToolsDeps{Servers: servers, Policy: file.Offer, Audit: audit, Now: time.Now})
	return nil
}

// listToolsWait is how long gaia tools waits for servers to start: a program may have to be downloaded first.
const listToolsWait = 20 * time.Second

// listTools starts every server, shows how it is and which tools are taken, and stops all of them again.
func listTools(ctx context.Context, c config, out io.Writer) error {
	dataDir, err := filepath.Abs(c.DataDir) // which need not be there
	if err != nil {
		return err
	}
	files, err := c.openFiles(dataDir)
	if err != nil {
		return err
	}
	servers, _, err := openTools(c, []mcptools.Server{files.tools()}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer servers.Close()
	ready, cancel := context.WithTimeout(ctx, listToolsWait)
	defer cancel()
	servers.Ready(ready)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tKIND\tSTATE\tTOOLS\tLEFT OUT\tPROTOCOL\tFAULT")
	for _, s := range servers.States() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.Name, s.Kind, s.Status, s.Tools, s.LeftOut, s.Protocol, s.Fault)
	}
	fmt.Fprintln(w, "\nTOOL\tREPEATABLE\tREDACTED\tDESCRIPTION")
	for _, t := range servers.Tools() {
		redacted := strings.Join(t.Redact, ",")
		if t.RedactResult {
			redacted = strings.TrimPrefix(redacted+",result", ",")
		}
		fmt.Fprintf(w, "%s\t%t\t%s\t%s\n", t.ID(), t.Repeatable, redacted, brief(t.Description))
	}
	return w.Flush()
}

// brief is what fits beside other columns of what a server wrote, without anything that a terminal would obey.
func brief(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text))
	if len(runes) > 60 {
		runes = append(runes[:59], '…')
	}
	return string(runes)
}
