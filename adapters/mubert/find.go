package mubert

import (
	"errors"
	"time"
)

// The list of tracks, newest first.
const (
	pageSize = 50
	maxPages = 4
)

// clockSkew is how far Mubert's clock and ours may differ.
const clockSkew = time.Minute

// errNoTime says that a track can't be told from those from before the order.
var errNoTime = errors.New("a track without a time that can be read")

// search looks for the one track of an order in lists of tracks.
type search struct {
	order wireOrder
	since time.Time
	found map[string]wireTrack // by id: pages shift while they are read
}

// add takes a page, and reports whether older pages may have more.
func (s *search) add(page []wireTrack) (more bool, err error) {
	for _, w := range page {
		created, err := time.Parse(time.RFC3339, w.CreatedAt)
		if err != nil {
			return false, errNoTime
		}
		if created.Before(s.since) {
			return false, nil
		}
		if w.ID != "" && w.Prompt == s.order.Prompt && w.Duration == s.order.Duration && w.Mode == s.order.Mode {
			s.found[w.ID] = w
		}
	}
	return len(page) == pageSize, nil
}

// only is the track, when there is no doubt which it is.
func (s *search) only() (wireTrack, bool) {
	if len(s.found) == 1 {
		for _, w := range s.found {
			return w, true
		}
	}
	return wireTrack{}, false
}
