package tiercache

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"gaia/ports"
)

// Config sets up a Cache. The zero value is a cache for a process that is alone with its data.
type Config struct {
	Bytes       int64                 // of memory for entries, as near as can be told; 64 MiB when zero
	Remote      ports.RemoteCache     // nil: none
	Bus         ports.InvalidationBus // nil: none
	Spaces      []string              // that there may be, besides those that were asked for here: of others nothing is heard
	Shared      bool                  // other processes may change the data even though there is neither Remote nor Bus
	MaxAge      time.Duration         // of entries in memory that nobody would invalidate; 5 s when zero
	LoadTimeout time.Duration         // of a load, whose first caller may have left; 30 s when zero
	Now         ports.Clock           // time.Now when nil
	Logger      *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Bytes <= 0 {
		c.Bytes = 64 << 20
	}
	if c.MaxAge <= 0 {
		c.MaxAge = 5 * time.Second
	}
	if c.LoadTimeout <= 0 {
		c.LoadTimeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Shared = c.Shared || c.Remote != nil || c.Bus != nil
	return c
}

// Cache implements ports.Cache.
type Cache struct {
	cfg     Config
	local   *otter.Cache[ports.CacheKey, *entry]
	missing *otter.Cache[ports.CacheKey, *entry] // what is not there; apart from local, so that made-up names push out nothing useful
	spaces  spaces

	// mu orders what goes into local and missing against what is dropped from them. Reads don't take it.
	mu      sync.Mutex
	flights map[ports.CacheKey]*flight
	closed  bool

	owedRemote, owedBus debt // invalidations that have not arrived yet
	wake                chan struct{}
	ctx                 context.Context // ends with Close
	stop                context.CancelFunc
	running             sync.WaitGroup
}

// What is not there is remembered for a short time, whatever the ttl of values is: who puts it there without an Invalidate is noticed
// as soon as after an outage of the bus.
const (
	missingFor  = 5 * time.Second
	missingRoom = 2000
)

// entry is a decoded value, or the error of a load that found nothing. It is never changed.
type entry struct {
	value   any
	err     error
	loaded  time.Time // when the load began, or when the remote cache vouched for the value
	expires time.Time
	space   *space
	version uint64 // of the space when the value was stored; another one now means that the space was dropped
	bytes   uint32
}

// New makes a cache. Close it after the last Fetch and before the remote cache and the bus.
func New(cfg Config) (*Cache, error) {
	cfg = cfg.withDefaults()
	local, err := otter.New(&otter.Options[ports.CacheKey, *entry]{
		MaximumWeight: uint64(cfg.Bytes), // #nosec G115 -- above 0
		Weigher:       func(_ ports.CacheKey, e *entry) uint32 { return e.bytes },
		// In the order of what happens to a key, so that the figures of a space are right.
		OnAtomicDeletion: func(d otter.DeletionEvent[ports.CacheKey, *entry]) { d.Value.space.left(d.Value, d.WasEvicted()) },
	})
	if err != nil {
		return nil, fmt.Errorf("new cache: %w", err)
	}
	missing, err := otter.New(&otter.Options[ports.CacheKey, *entry]{MaximumSize: missingRoom})
	if err != nil {
		return nil, fmt.Errorf("new cache of what is missing: %w", err)
	}
	c := &Cache{cfg: cfg, local: local, missing: missing, wake: make(chan struct{}, 1), flights: map[ports.CacheKey]*flight{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if cfg.Bus != nil {
		cfg.Bus.Listen(c.heard, c.dropAll)
	}
	if cfg.Remote != nil || cfg.Bus != nil {
		c.running.Go(c.deliver)
	}
	return c, nil
}

// Fetch implements ports.Cache.
func (c *Cache) Fetch(ctx context.Context, key ports.CacheKey, ttl time.Duration, load func(context.Context) (any, error),
	decode func([]byte) (any, error)) (value any, hit bool, err error) {
	if ttl <= 0 {
		value, err = load(ctx)
		c.spaces.get(key.Space).loaded(err)
		return value, false, err
	}
	if e := c.have(key); e != nil {
		return e.value, true, e.err
	}
	f, e := c.join(ctx, key, fetch{ttl: ttl, load: load, decode: decode})
	if e != nil {
		return e.value, true, e.err
	}
	if f == nil {
		value, err = load(ctx)
		return value, false, err
	}
	select {
	case <-f.done:
		return f.value, f.hit, f.err
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// Peek implements ports.Cache.
func (c *Cache) Peek(key ports.CacheKey) (value any, ok bool) {
	held, ok := c.local.GetEntryQuietly(key)
	if !ok || !c.fresh(held.Value) {
		return nil, false
	}
	return held.Value.value, true
}

// have returns the entry that may be served, if there is one, and counts it.
func (c *Cache) have(key ports.CacheKey) *entry {
	if e, ok := c.local.GetIfPresent(key); ok && c.fresh(e) {
		e.space.localHits.Add(1)
		return e
	}
	if e, ok := c.missing.GetIfPresent(key); ok && c.fresh(e) {
		e.space.negativeHits.Add(1)
		return e
	}
	return nil
}

// Len implements ports.Cache. It looks at every entry, of which there are at most Config.Bytes / overhead.
func (c *Cache) Len(space string) int {
	n := 0
	for key, e := range c.local.All() {
		if key.Space == space && c.fresh(e) {
			n++
		}
	}
	return n
}

// fresh tells whether an entry may be served. While invalidations may not arrive, only for a short time.
func (c *Cache) fresh(e *entry) bool {
	now := c.cfg.Now()
	if !now.Before(e.expires) || e.version != e.space.version.Load() {
		return false
	}
	return c.told() || now.Sub(e.loaded) < c.cfg.MaxAge
}

// told says whether this process hears of every change.
func (c *Cache) told() bool {
	if c.cfg.Bus == nil {
		return !c.cfg.Shared
	}
	return c.cfg.Bus.Connected()
}

// Invalidate implements ports.Cache.
func (c *Cache) Invalidate(ctx context.Context, keys ...ports.CacheKey) {
	if len(keys) == 0 {
		return
	}
	// The data has changed already: a caller that leaves must not stop the news of it.
	ctx = context.WithoutCancel(ctx)
	if c.cfg.Remote != nil {
		if err := c.cfg.Remote.Drop(ctx, keys...); err != nil {
			c.owedRemote.add(keys)
		}
	}
	// After the remote cache: a load in between could bring the old value back from there.
	c.drop(keys)
	if c.cfg.Bus != nil {
		c.owedBus.add(keys)
	}
	c.hurry()
}

// Forget drops a space in this process alone: somebody else has dropped it everywhere, and the news has yet to come.
func (c *Cache) Forget(space string) { c.drop([]ports.CacheKey{{Space: space}}) }

// heard takes the invalidation of another process, or of anybody else on the bus: what is made of it must be bounded, and it must not reach
// what is no cache.
func (c *Cache) heard(i ports.Invalidation) {
	keys := make([]ports.CacheKey, 0, len(i.Keys))
	for _, key := range i.Keys {
		if len(key.Name) > maxName {
			key.Name = ""
		}
		if c.spaces.has(key.Space) || slices.Contains(c.cfg.Spaces, key.Space) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return
	}
	if i.RemoteOwed && c.cfg.Remote != nil {
		c.owedRemote.add(keys)
		c.hurry()
	}
	c.drop(keys)
}

// maxName is how long the name of a key may be that others tell of, in bytes; above it the whole space is meant.
const maxName = 1 << 10

// drop forgets keys in this process, and what is being loaded for them.
func (c *Cache) drop(keys []ports.CacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		s := c.spaces.get(key.Space)
		s.invalidations.Add(1)
		if key.Name != "" {
			c.local.Invalidate(key)
			c.missing.Invalidate(key)
			c.abandon(key)
			continue
		}
		s.version.Add(1)
		for inFlight := range c.flights {
			if inFlight.Space == key.Space {
				c.abandon(inFlight)
			}
		}
	}
}

// dropAll forgets everything in this process: invalidations have been missed.
func (c *Cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spaces.all() {
		s.version.Add(1)
		s.invalidations.Add(1)
	}
	for key := range c.flights {
		c.abandon(key)
	}
	c.local.InvalidateAll()
	c.missing.InvalidateAll()
}

// Close stops deliveries and waits for loads, which it cancels. A Fetch that comes later loads.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
}
