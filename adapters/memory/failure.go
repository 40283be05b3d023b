package memory

import (
	"context"
	"sync"
)

// failures holds the errors that coming calls have to return.
type failures struct {
	mu   sync.Mutex
	next map[string][]error
}

// FailNext makes the next call of a method, named as in its port ("Create"), return err and do nothing else. Several failures of
// one method come in the order in which they were asked for.
func (f *failures) FailNext(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = map[string][]error{}
	}
	f.next[method] = append(f.next[method], err)
}

// enter is called first by every method: it reports a planned failure or a caller who already left.
func (f *failures) enter(ctx context.Context, method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if planned := f.next[method]; len(planned) > 0 {
		f.next[method] = planned[1:]
		return planned[0]
	}
	return ctx.Err()
}
