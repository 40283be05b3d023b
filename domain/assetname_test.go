package domain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

func TestNamesOfWhatIsMade(t *testing.T) {
	t.Parallel()
	r := domain.AssetRequest{Description: " A glowing\nsword ", Style: "Fantasy, low_poly,, fantasy"}
	if r.Title() != "A glowing sword" || !slices.Equal(r.Tags(), []string{"fantasy", "low_poly"}) {
		t.Errorf("got %q, %q", r.Title(), r.Tags())
	}
	r.Description = strings.Repeat("sword ", 1000)
	if n := len([]rune(r.Title())); n > domain.MaxAssetTitle || n < 90 {
		t.Errorf("a title of %d characters", n)
	}
}

func TestTimeThatAnAssetTook(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	g := domain.Generation{Status: domain.GenerationProcessing, CreatedAt: begun}
	if got := g.Took(begun.Add(time.Minute)); got != time.Minute {
		t.Errorf("until now %s", got)
	}
	if got := g.Took(begun.Add(-time.Minute)); got != 0 {
		t.Errorf("by a clock that is behind %s", got)
	}
	g.Status, g.CompletedAt = domain.GenerationFailed, begun.Add(time.Second)
	if got := g.Took(begun.Add(time.Hour)); got != time.Second {
		t.Errorf("in all %s", got)
	}
}
