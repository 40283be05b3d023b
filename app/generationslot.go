package app

import "context"

// waitEach is how many works a process has for each that it does: most wait for generators nearly all of the time.
const waitEach = 20

// heldSlot is a slot of one owner, who may give it back for a while. It belongs to one goroutine.
type heldSlot struct {
	slots chan struct{}
	held  bool
}

// takeSlot takes one of some slots, and reports whether it was free at once. It is nil when there is none, and either nobody wants to wait
// or ctx has ended.
func takeSlot(ctx context.Context, slots chan struct{}, wait bool) (atOnce bool, s *heldSlot) {
	s = &heldSlot{slots: slots}
	select {
	case slots <- struct{}{}:
		s.held = true
		return true, s
	default:
	}
	if !wait || !s.take(ctx, nil) {
		return false, nil
	}
	return false, s
}

// take waits for a slot, unless it has one, and reports whether it has one then.
func (s *heldSlot) take(ctx context.Context, stopping <-chan struct{}) bool {
	if s.held {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		s.held = true
	case <-stopping:
	case <-ctx.Done():
	}
	return s.held
}

// giveBack makes room for others.
func (s *heldSlot) giveBack() {
	if s.held {
		s.held = false
		<-s.slots
	}
}
