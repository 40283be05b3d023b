package mcpfiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

type walkIn struct {
	Path            string   `json:"path"`
	ExcludePatterns []string `json:"excludePatterns,omitempty" jsonschema:"what to leave out, as patterns of relative paths"`
}

type searchIn struct {
	Path            string   `json:"path"`
	Pattern         string   `json:"pattern" jsonschema:"what to find, such as *.md or **/*.md"`
	ExcludePatterns []string `json:"excludePatterns,omitempty" jsonschema:"what to leave out, as patterns of relative paths"`
}

var errEnough = errors.New("enough")

// walk goes through what is below a directory, each directory before what is in it. It follows no links, which could lead in circles, and
// leaves out directories that can't be listed, but not the first one.
type walk struct {
	files   *files
	exclude func(relative string) bool
	visited int
}

// node is a directory entry as JSON, and as visit gets it.
type node struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Children *[]*node `json:"children,omitempty"`
}

// below lists a directory and everything below it. visit may end the walk with errEnough.
func (w *walk) below(ctx context.Context, dir, relative string, depth int, visit func(relative string, e domain.FileEntry) error) ([]*node, error) {
	entries, total, err := w.files.Files.List(ctx, dir, maxVisited, 0)
	if err != nil {
		return nil, err
	}
	if w.visited += total; w.visited > maxVisited {
		return nil, errEnough
	}
	nodes := []*node{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil { // the patterns may take their time
			return nodes, err
		}
		name := path.Join(relative, e.Name)
		if w.exclude(name) {
			continue
		}
		if err := visit(name, e); err != nil {
			return nodes, err
		}
		n := &node{Name: oneLine(e.Name), Type: "file"}
		nodes = append(nodes, n)
		if e.Kind != domain.FileDirectory || e.Link {
			continue
		}
		n.Type, n.Children = "directory", &[]*node{}
		if depth == maxDepth {
			continue
		}
		children, err := w.below(ctx, path.Join(dir, e.Name), name, depth+1, visit)
		if children != nil {
			n.Children = &children
		}
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			return nodes, err
		}
	}
	return nodes, nil
}

func (f *files) tree(ctx context.Context, in walkIn) (*mcp.CallToolResult, error) {
	exclude, err := compile(in.ExcludePatterns, true)
	if err != nil {
		return nil, err
	}
	shown := 0
	w := &walk{files: f, exclude: exclude}
	nodes, err := w.below(ctx, f.below(in.Path), "", 1, func(string, domain.FileEntry) error {
		if shown++; shown > maxListed {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough): // half a tree would look like a whole one
		return nil, fmt.Errorf("there are more than %d entries below it: ask for a directory further down, or exclude some", maxListed)
	case err != nil:
		return nil, refusal(err, in.Path)
	}
	out, err := json.MarshalIndent(nodes, "", "  ")
	if err != nil {
		return nil, err
	}
	return text(string(out)), nil
}

func (f *files) search(ctx context.Context, in searchIn) (*mcp.CallToolResult, error) {
	exclude, err := compile(in.ExcludePatterns, false)
	if err != nil {
		return nil, err
	}
	wanted, err := compile([]string{in.Pattern}, false)
	if err != nil {
		return nil, err
	}
	var found []string
	dir := f.below(in.Path)
	w := &walk{files: f, exclude: exclude}
	_, err = w.below(ctx, dir, "", 1, func(relative string, e domain.FileEntry) error {
		if !wanted(relative) {
			return nil
		}
		if len(found) == maxFound {
			return errEnough
		}
		found = append(found, oneLine(f.shown(e.Path)))
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		found = append(found, "(there may be more: the search has ended early)")
	case err != nil:
		return nil, refusal(err, in.Path)
	}
	if len(found) == 0 {
		return text("No matches found"), nil
	}
	return text(strings.Join(found, "\n")), nil
}
