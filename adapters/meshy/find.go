package meshy

import "time"

// The list of tasks, newest first.
const (
	pageSize = 50 // the most that Meshy gives
	maxPages = 4
)

// clockSkew is how far Meshy's clock and ours may differ.
const clockSkew = time.Minute

// search looks for the one task of an order in lists of tasks.
type search struct {
	kind   string // of the task
	prompt string
	seed   *int64 // of the preview that is refined; nil: unknown
	since  time.Time
	found  map[string]wireTask // by id: pages shift while they are read
}

// add takes a page, and reports whether older pages may have more.
func (s *search) add(page []wireTask) (more bool) {
	for _, w := range page {
		if time.UnixMilli(w.CreatedAt).Before(s.since) {
			return false
		}
		if w.ID != "" && w.Type == s.kind && w.Prompt == s.prompt && s.seedFits(w) {
			s.found[w.ID] = w
		}
	}
	return len(page) == pageSize
}

// seedFits reports whether the seeds can be the same: a preview and what it is refined to share theirs, where Meshy shows it.
func (s *search) seedFits(w wireTask) bool {
	return s.seed == nil || w.Seed == nil || *s.seed == *w.Seed
}

// only is the task, when there is no doubt which it is.
func (s *search) only() (wireTask, bool) {
	if len(s.found) == 1 {
		for _, w := range s.found {
			return w, true
		}
	}
	return wireTask{}, false
}
