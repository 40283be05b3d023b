package mcpfiles

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
	"gaia/ports"
)

// Config is what a server needs. Zero values get defaults.
type Config struct {
	Files ports.FileTree
	// Root is how callers may name the root: absolute paths below it are understood. Empty: they are not told where it is, and name
	// everything relative to it.
	Root    string
	MaxRead int64  // bytes of files in one answer
	Version string // of this program
}

// Bounds of one answer.
const (
	defaultMaxRead = 10 << 20
	maxListed      = 5000    // entries of a list or a tree
	maxFound       = 1000    // results of a search
	maxVisited     = 100_000 // entries that a search or a tree looks at
	maxDepth       = 64
	maxPaths       = 100 // files in one call
	maxPatterns    = 100
	maxPattern     = 1024 // bytes
)

// files is what the tools work on.
type files struct{ Config }

// NewServer makes an MCP server.
func NewServer(c Config) *mcp.Server {
	if c.MaxRead <= 0 {
		c.MaxRead = defaultMaxRead
	}
	f := &files{c}
	s := mcp.NewServer(&mcp.Implementation{Name: "gaia-files", Title: "Files of Gaia", Version: c.Version}, nil)
	add(s, "read_text_file", "Read Text File", "Reads a file as text. head and tail give its first or last lines only.", f.readText)
	add(s, "read_file", "Read File (Deprecated)", "Does what read_text_file does, which is the name to use.", f.readText)
	add(s, "read_media_file", "Read Media File", "Reads an image, a sound or any other file that is no text, in Base64 with its MIME type.", f.readMedia)
	add(s, "read_multiple_files", "Read Multiple Files", "Reads several files as text. One that can't be read does not keep the others from being read.", f.readMany)
	add(s, "list_directory", "List Directory", "Lists what a directory contains, each name after [FILE] or [DIR].", f.list)
	add(s, "list_directory_with_sizes", "List Directory with Sizes", "Lists what a directory contains, with sizes, in the order of names or sizes.", f.listSizes)
	add(s, "directory_tree", "Directory Tree", "Shows everything below a directory as JSON: name, type and, for directories, children.", f.tree)
	add(s, "search_files", "Search Files", "Finds files and directories below a directory by a pattern of their relative path: *.md beside it, **/*.md at any depth.", f.search)
	add(s, "get_file_info", "Get File Info", "Tells the size of a file or directory, when it was changed and what it is.", f.info)
	add(s, "list_allowed_directories", "List Allowed Directories", "Names the directory that can be read, with everything below it.", f.allowed)
	return s
}

// add registers a tool that changes nothing and answers with text.
func add[In any](s *mcp.Server, name, title, description string, do func(context.Context, In) (*mcp.CallToolResult, error)) {
	mcp.AddTool(s, &mcp.Tool{
		Name: name, Title: title, Description: description,
		Annotations: &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: new(bool), DestructiveHint: new(bool)},
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, any, error) {
		result, err := do(ctx, in)
		return result, nil, err
	})
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

// below is a path that a caller named, relative to the root. Only names count here: where links lead is for the filesystem to see.
func (f *files) below(named string) string {
	if f.Root == "" {
		return named
	}
	if clean := path.Clean(named); clean == f.Root {
		return ""
	} else if rest, ok := strings.CutPrefix(clean, strings.TrimSuffix(f.Root, "/")+"/"); ok {
		return rest
	}
	return named
}

// shown is how a caller can name something again.
func (f *files) shown(below string) string {
	if f.Root == "" {
		return below
	}
	return path.Join(f.Root, below)
}

// oneLine keeps names from looking like several, or like what stands beside them.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, name)
}

// refusal says an error in the words that callers of the npm package know. What is not meant for clients stays out.
func refusal(err error, named string) error {
	named = oneLine(named)
	var e *domain.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case domain.Forbidden:
		return fmt.Errorf("Access denied - %s: %s", e.Message, named) //nolint:staticcheck // it is a text for models, in known words
	case domain.NotFound:
		return fmt.Errorf("ENOENT: no such file or directory: %s", named)
	case domain.BadRequest, domain.TooLarge:
		return fmt.Errorf("%s: %s", e.Message, named)
	default:
		return errors.New(e.Message)
	}
}
