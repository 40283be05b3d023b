package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"gaia/domain"
	"gaia/ports"
)

const invalidations = domain.SubjectCacheInvalid

var (
	errClosed    = errors.New("the bus is closed")
	errQueueFull = errors.New("too many events are waiting")
	errAway      = errors.New("the bus is not connected")
)

// announcement is an invalidation on the wire.
type announcement struct {
	Origin     string     `json:"origin"`
	Keys       []cacheKey `json:"keys"`
	RemoteOwed bool       `json:"remote_owed"`
}

type cacheKey struct {
	Space string `json:"space"`
	Name  string `json:"name"` // empty: the whole space
}

// Announce implements ports.InvalidationBus. It returns when the server has confirmed the message.
func (b *Bus) Announce(ctx context.Context, i ports.Invalidation) error {
	// Not into the library's buffer for outages: the caller repeats it, and listeners forget everything when they are back.
	if !b.Connected() {
		return errAway
	}
	a := announcement{Origin: b.origin, RemoteOwed: i.RemoteOwed, Keys: make([]cacheKey, len(i.Keys))}
	for n, key := range i.Keys {
		a.Keys[n] = cacheKey{Space: key.Space, Name: key.Name}
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	if err := b.conn.Publish(b.subject(invalidations), data); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWait)
	defer cancel()
	if err := b.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// Listen implements ports.InvalidationBus.
func (b *Bus) Listen(heard func(ports.Invalidation), missed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard, b.missed = heard, missed
}

// hear takes the announcement of another process. One that can't be read, torn or of a release that writes it otherwise, stands for
// changes that nobody here knows of: it counts as one that was missed.
func (b *Bus) hear(m *nats.Msg) {
	a, ok := readAnnouncement(m.Data)
	if !ok {
		if !b.garbled.Swap(true) { // without what it says, and once for a series
			b.cfg.Logger.Warn("an invalidation can't be read: everything is forgotten", "bytes", len(m.Data))
		}
		b.signalChange()
		return
	}
	b.mu.Lock()
	heard := b.heard
	b.mu.Unlock()
	if a.Origin == b.origin || heard == nil {
		return
	}
	b.garbled.Store(false)
	i := ports.Invalidation{RemoteOwed: a.RemoteOwed, Keys: make([]ports.CacheKey, len(a.Keys))}
	for n, key := range a.Keys {
		i.Keys[n] = ports.CacheKey{Space: key.Space, Name: key.Name}
	}
	heard(i)
}

func readAnnouncement(data []byte) (a announcement, ok bool) {
	if json.Unmarshal(data, &a) != nil || a.Origin == "" {
		return a, false
	}
	nameless := func(key cacheKey) bool { return key.Space == "" }
	return a, !slices.ContainsFunc(a.Keys, nameless)
}
