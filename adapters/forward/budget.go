package forward

import "sync"

const (
	// budgetSize is how many requests may be tried again in a burst, budgetShare how many of those that come after it. More would multiply
	// the load of services just when they can't carry it.
	budgetSize  = 20
	budgetShare = 0.2
)

// budget allows a share of requests to be tried again.
type budget struct {
	mu     sync.Mutex
	tokens float64
}

// earn is called for every request.
func (b *budget) earn() {
	b.mu.Lock()
	b.tokens = min(b.tokens+budgetShare, budgetSize)
	b.mu.Unlock()
}

// spend reports whether one more attempt is allowed.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
