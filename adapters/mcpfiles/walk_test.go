package mcpfiles

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"gaia/domain"
	"gaia/ports"
)

// wide is a tree with nothing but a directory of so many names.
type wide struct {
	ports.FileTree
	entries int
}

func (w wide) List(context.Context, string, int, int) ([]domain.FileEntry, int, error) {
	entries := make([]domain.FileEntry, w.entries)
	for i := range entries {
		entries[i] = domain.FileEntry{Name: strconv.Itoa(i), Kind: domain.FileRegular}
	}
	return entries, len(entries), nil
}

// Whoever gives up must not leave a search behind that goes through a large directory with many patterns.
func TestAWalkEndsWithItsCall(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	looked := 0
	w := &walk{files: &files{Config{Files: wide{entries: maxVisited}}}, exclude: func(string) bool {
		if looked++; looked == 10 {
			leave()
		}
		return true
	}}
	_, err := w.below(ctx, "", "", 1, func(string, domain.FileEntry) error { return nil })
	if !errors.Is(err, context.Canceled) || looked != 10 {
		t.Errorf("%d entries were looked at, %v", looked, err)
	}
}
