package tiercache

import (
	"context"
	"maps"
	"sync"
	"time"

	"gaia/ports"
)

const (
	debtLimit    = 1000 // names of a debt; above it whole spaces are owed instead
	retryAfter   = 100 * time.Millisecond
	announceWait = time.Second
)

// debt is a set of invalidations that still have to arrive somewhere.
type debt struct {
	mu   sync.Mutex
	last uint64
	keys map[ports.CacheKey]uint64 // to the number of the latest add
}

func (d *debt) add(keys []ports.CacheKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		d.keys = map[ports.CacheKey]uint64{}
	}
	d.last++
	for _, key := range keys {
		if space := (ports.CacheKey{Space: key.Space}); d.keys[space] != 0 {
			key = space
		}
		d.keys[key] = d.last
	}
	if len(d.keys) <= debtLimit {
		return
	}
	spaces := map[ports.CacheKey]uint64{}
	for key := range d.keys {
		spaces[ports.CacheKey{Space: key.Space}] = d.last
	}
	d.keys = spaces
}

func (d *debt) empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.keys) == 0
}

// owed returns what to deliver, to be passed to settle when that is done.
func (d *debt) owed() map[ports.CacheKey]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.keys)
}

// settle strikes what was delivered, except what was added again meanwhile.
func (d *debt) settle(delivered map[ports.CacheKey]uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.keys, func(key ports.CacheKey, n uint64) bool { return delivered[key] == n })
}

func keysOf(owed map[ports.CacheKey]uint64) []ports.CacheKey {
	keys := make([]ports.CacheKey, 0, len(owed))
	for key := range owed {
		keys = append(keys, key)
	}
	return keys
}

// hurry starts a delivery.
func (c *Cache) hurry() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// deliver pays the debts, again and again until they have arrived.
func (c *Cache) deliver() {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-retry.C:
		}
		announced, dropped := c.announce(), c.payRemote()
		if !announced || !dropped {
			retry.Reset(retryAfter)
		}
	}
}

// announce tells the other processes. It comes before payRemote: those that can reach the remote cache drop the keys for us.
func (c *Cache) announce() (done bool) {
	owed := c.owedBus.owed()
	if len(owed) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(c.ctx, announceWait)
	defer cancel()
	news := ports.Invalidation{Keys: keysOf(owed), RemoteOwed: !c.owedRemote.empty()}
	if err := c.cfg.Bus.Announce(ctx, news); err != nil {
		c.cfg.Logger.Debug("invalidation not announced yet", "keys", len(owed), "error", err)
		return false
	}
	c.owedBus.settle(owed)
	return true
}

func (c *Cache) payRemote() (done bool) {
	owed := c.owedRemote.owed()
	if len(owed) == 0 {
		return true
	}
	if err := c.cfg.Remote.Drop(c.ctx, keysOf(owed)...); err != nil {
		c.cfg.Logger.Debug("invalidation not delivered yet", "keys", len(owed), "error", err)
		return false
	}
	c.owedRemote.settle(owed)
	return true
}
