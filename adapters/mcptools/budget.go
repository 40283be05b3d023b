package mcptools

import (
	"errors"
	"sync"
	"time"
)

// What a server may send without having been asked. Each message costs its bytes and what keeping it costs.
const (
	messageCost    = 4 << 10
	unaskedBurst   = 8 << 20
	unaskedPerSec  = 1 << 20
	leastMessage   = 4 << 20 // bytes of a message that any server may send
	resultOverhead = 8       // bytes of JSON for a byte of text, at worst: \u0000 and what is around
)

var (
	errTooMuch  = errors.New("it sends more than it is asked for")
	errTooLarge = errors.New("it sent a message that is too large")
)

// messageLimit bounds one message of the server, in bytes.
func (s *server) messageLimit() int { return max(leastMessage, resultOverhead*s.MaxResultBytes) }

// budget bounds what a server sends: it may answer what it is asked, and send a little beside that. Each of its requests and notifications
// costs memory until it has been dealt with, and some servers would send them faster than that.
type budget struct {
	mu    sync.Mutex
	left  int
	most  int
	at    time.Time
	clock func() time.Time
}

func newBudget(message, concurrency int) *budget {
	return &budget{left: unaskedBurst, most: unaskedBurst + (concurrency+3)*message, at: time.Now(), clock: time.Now}
}

// grant allows so many bytes more, for an answer.
func (b *budget) grant(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+n, b.most)
}

// spend reports whether the server may have sent so many bytes in so many messages.
func (b *budget) spend(bytes, messages int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	if b.left < unaskedBurst {
		b.left = min(unaskedBurst, b.left+int(now.Sub(b.at).Seconds()*unaskedPerSec))
	}
	b.at = now
	b.left -= bytes + messages*messageCost
	return b.left >= 0
}
