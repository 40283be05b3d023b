package mcpfiles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

func marker(e domain.FileEntry) string {
	if e.Kind == domain.FileDirectory {
		return "[DIR]"
	}
	return "[FILE]"
}

func (f *files) list(ctx context.Context, in pathIn) (*mcp.CallToolResult, error) {
	entries, total, err := f.Files.List(ctx, f.below(in.Path), maxListed, 0)
	if err != nil {
		return nil, refusal(err, in.Path)
	}
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = marker(e) + " " + oneLine(e.Name)
	}
	return text(strings.Join(withRest(lines, total-len(entries)), "\n")), nil
}

// withRest says how many entries are left out.
func withRest(lines []string, rest int) []string {
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("(and %d more)", rest))
	}
	return lines
}

type listSizesIn struct {
	Path   string `json:"path"`
	SortBy string `json:"sortBy,omitempty" jsonschema:"name, which is the default, or size, the largest first"`
}

func (f *files) listSizes(ctx context.Context, in listSizesIn) (*mcp.CallToolResult, error) {
	if !slices.Contains([]string{"", "name", "size"}, in.SortBy) {
		return nil, errors.New("sortBy is name or size")
	}
	entries, total, err := f.Files.List(ctx, f.below(in.Path), maxListed, 0)
	if err != nil {
		return nil, refusal(err, in.Path)
	}
	if in.SortBy == "size" {
		slices.SortStableFunc(entries, func(a, b domain.FileEntry) int { return cmp.Compare(b.Size, a.Size) })
	}
	var lines []string
	var directories int
	var size int64
	for _, e := range entries {
		shown := ""
		if e.Kind == domain.FileDirectory {
			directories++
		} else {
			shown = sizeText(e.Size)
		}
		size += e.Size
		lines = append(lines, fmt.Sprintf("%s %-30s %10s", marker(e), oneLine(e.Name), shown))
	}
	lines = withRest(lines, total-len(entries))
	lines = append(lines, "", fmt.Sprintf("Total: %d files, %d directories", len(entries)-directories, directories), "Combined size: "+sizeText(size))
	return text(strings.Join(lines, "\n")), nil
}

// sizeText writes a size as the npm package does: 512 B, 1.50 KB.
func sizeText(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.2f %s", math.Abs(value), units[unit])
}

// timeLayout is how JavaScript writes a time, and so the npm package.
const timeLayout = "Mon Jan 02 2006 15:04:05 GMT-0700"

func (f *files) info(ctx context.Context, in pathIn) (*mcp.CallToolResult, error) {
	e, err := f.Files.Stat(ctx, f.below(in.Path))
	if err != nil {
		return nil, refusal(err, in.Path)
	}
	return text(fmt.Sprintf("size: %d\nmodified: %s (Coordinated Universal Time)\nisDirectory: %t\nisFile: %t",
		e.Size, e.ModifiedAt.UTC().Format(timeLayout), e.Kind == domain.FileDirectory, e.Kind == domain.FileRegular)), nil
}

func (f *files) allowed(context.Context, struct{}) (*mcp.CallToolResult, error) {
	return text("Allowed directories:\n" + cmp.Or(f.Root, ".")), nil
}
