package compat

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/compatibility.md"

// table returns the rows below the header of a table on the page, cell by cell.
func table(t *testing.T, header ...string) [][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	inside := false
	for line := range strings.Lines(string(text)) {
		row := cells(line)
		switch {
		case slices.Equal(row, header):
			inside = true
		case row == nil:
			inside = false
		case inside && !strings.HasPrefix(row[0], "---"):
			if len(row) != len(header) {
				t.Fatalf("a row of %d cells, want %d: %s", len(row), len(header), line)
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table %q", page, header)
	}
	return rows
}

// cells splits a line of a table; other lines give nil.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") || line == "|" {
		return nil
	}
	parts := strings.Split(line[1:len(line)-1], "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// code is what stands between backquotes, or nothing when that is not all that stands there.
func code(cell string) string {
	if inner, ok := strings.CutPrefix(cell, "`"); ok {
		if inner, ok = strings.CutSuffix(inner, "`"); ok && !strings.Contains(inner, "`") {
			return inner
		}
	}
	return ""
}
