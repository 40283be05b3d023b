package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeTools(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tools.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFaultOfToolsFileIsSaidAtStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, says string }{
		"absent":   {filepath.Join(t.TempDir(), "none.json"), "TOOLS_FILE"},
		"misspelt": {writeTools(t, `{"mcpServers":{"a":{"comand":"x"}}}`), `mcpServers.a: unknown key "comand"`},
		"variable": {writeTools(t, `{"mcpServers":{"a":{"command":"x","env":{"T":"${NOBODY_HAS_SET_THIS}"}}}}`), "NOBODY_HAS_SET_THIS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings, err := loadConfig("absent", []string{"TOOLS_FILE=" + c.path})
			if err != nil {
				t.Fatal(err)
			}
			if err := listTools(t.Context(), settings, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an error that says %q", err, c.says)
			}
			if err := new(system).startTools(t.Context(), settings, nil, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("a process that serves: %v, want an error that says %q", err, c.says)
			}
		})
	}
}

func TestListTools(t *testing.T) {
	t.Parallel()
	settings, err := loadConfig("absent", []string{"GAIA_DATA_DIR=" + t.TempDir(), "TOOLS_FILE=" + writeTools(t, `{"mcpServers":{
		"absent": {"command": "/nowhere/at/all", "args": ["--token=hunter2"]}, "off": {"command": "x", "disabled": true}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := listTools(t.Context(), settings, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SERVER", "absent", "down", "can't be started", "off", "disabled", "REPEATABLE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\ndoes not show %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("%s\nshows an argument", out.String())
	}
}
