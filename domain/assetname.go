package domain

import (
	"strings"
	"time"
)

// maxMadeTitle bounds titles that are made from descriptions, in characters.
const maxMadeTitle = 100

// Title is what an asset is called that is made for the request.
func (r AssetRequest) Title() string { return shorten(r.Description, maxMadeTitle) }

// Tags are those of an asset that is made for the request: its style, which may name several, separated by commas.
func (r AssetRequest) Tags() []string { return tidyTags(strings.Split(r.Style, ",")) }

// Took is how long the work took, or has taken until now.
func (g Generation) Took(now time.Time) time.Duration {
	if g.Status.Ended() {
		now = g.CompletedAt
	}
	return max(now.Sub(g.CreatedAt), 0)
}
