package tiercache

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// fetch is what a caller of Fetch asked for.
type fetch struct {
	ttl    time.Duration
	load   func(context.Context) (any, error)
	decode func([]byte) (any, error)
}

// flight is one load that many callers wait for. An invalidation abandons it: those who wait get its value, because they asked
// before, but later callers start their own and nothing keeps it.
//
// This is not x/sync/singleflight because that can't abandon a whole space, and because a panic of a load would end the process.
type flight struct {
	done      chan struct{}
	abandoned bool // guarded by Cache.mu

	// Set before done is closed.
	value any
	hit   bool
	err   error
}

// abandon cuts a flight off. The caller holds mu.
func (c *Cache) abandon(key ports.CacheKey) {
	if f, ok := c.flights[key]; ok {
		f.abandoned = true
		delete(c.flights, key)
	}
}

// join returns the flight for key and starts one when there is none, or the entry that a flight has just left, or
// nothing after Close.
func (c *Cache) join(ctx context.Context, key ports.CacheKey, ask fetch) (*flight, *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.have(key); e != nil {
		return nil, e
	}
	if f, ok := c.flights[key]; ok {
		c.spaces.get(key.Space).shared.Add(1)
		return f, nil
	}
	if c.closed {
		return nil, nil
	}
	f := &flight{done: make(chan struct{})}
	c.spaces.get(key.Space) // before the load, which what is heard from now on cuts off
	c.flights[key] = f
	// The callers that join later must not lose the load when the first one leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.LoadTimeout)
	detach := context.AfterFunc(c.ctx, cancel)
	c.running.Go(func() {
		defer cancel()
		defer detach()
		c.fly(ctx, key, f, ask)
	})
	return f, nil
}

func (c *Cache) fly(ctx context.Context, key ports.CacheKey, f *flight, ask fetch) {
	began := c.cfg.Now()
	e := &entry{space: c.spaces.get(key.Space), loaded: began, expires: began.Add(ask.ttl)}
	ticket := c.obtain(ctx, key, f, ask, e)
	e.value, e.err = f.value, f.err
	kept := c.land(key, f, e)
	close(f.done)
	if kept && !f.hit && f.err == nil {
		c.toRemote(ctx, key, ticket, e)
	}
}

// land keeps the entry unless an invalidation has overtaken it, and unless it is an error that says nothing about what there is.
func (c *Cache) land(key ports.CacheKey, f *flight, e *entry) (kept bool) {
	nothing := domain.KindOf(e.err) == domain.NotFound
	if e.err == nil {
		e.bytes = weigh(key, e.value)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.abandoned {
		return false
	}
	delete(c.flights, key)
	e.version = e.space.version.Load()
	switch {
	case nothing:
		e.value = nil
		e.expires = earlier(e.expires, e.loaded.Add(missingFor))
		c.missing.Set(key, e)
	case e.err != nil:
		return false
	case int64(e.bytes) <= c.cfg.Bytes/largestPart:
		e.space.entered(e)
		c.local.Set(key, e)
	default: // it would push out too much that is asked for as often
		e.space.evictions.Add(1)
	}
	return true
}

// largestPart is the part of the memory that one entry may have at the most.
const largestPart = 4

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// obtain gets the value from the remote cache or loads it. A panic becomes an error: it happens in a goroutine of the cache, where
// nobody else would catch it.
func (c *Cache) obtain(ctx context.Context, key ports.CacheKey, f *flight, ask fetch, e *entry) (ticket ports.RemoteTicket) {
	defer func() {
		if p := recover(); p != nil {
			f.err = fmt.Errorf("fetch %s: panic: %v\n%s", key.Space, p, debug.Stack())
			e.space.loaded(f.err)
		}
	}()
	ticket = c.fromRemote(ctx, key, f, ask, e)
	if f.hit {
		e.space.remoteHits.Add(1)
		return ticket
	}
	if ticket == "" && c.cfg.Remote != nil {
		e.space.bypasses.Add(1)
	}
	f.value, f.err = ask.load(ctx)
	e.space.loaded(f.err)
	return ticket
}

// remoteUsable tells whether the remote cache knows of every invalidation that this process knows of.
func (c *Cache) remoteUsable() bool { return c.cfg.Remote != nil && c.owedRemote.empty() }

// fromRemote fills the flight and its entry from the remote cache, or returns the ticket for storing what will be loaded.
func (c *Cache) fromRemote(ctx context.Context, key ports.CacheKey, f *flight, ask fetch, e *entry) ports.RemoteTicket {
	if !c.remoteUsable() {
		return ""
	}
	data, ticket, found := c.cfg.Remote.Get(ctx, key)
	if !found {
		return ticket
	}
	expires, value, err := unpack(data, ask.decode)
	if err != nil {
		// Written by another release, most likely: load it and replace it.
		c.cfg.Logger.Debug("cached value can't be read", "space", key.Space, "error", err)
		return ticket
	}
	if !expires.After(e.loaded) {
		return ticket
	}
	e.expires = earlier(e.expires, expires)
	f.value, f.hit = value, true
	return ticket
}

// remoteBytes is the size of the largest value that is stored remotely. A larger one takes so long on its way that the remote cache looks
// as if it were slow, and then nobody uses it.
const remoteBytes = 512 << 10

func (c *Cache) toRemote(ctx context.Context, key ports.CacheKey, ticket ports.RemoteTicket, e *entry) {
	if ticket == "" || !c.remoteUsable() {
		return
	}
	if e.bytes > remoteBytes {
		return
	}
	data, err := pack(e.expires, e.value)
	if err != nil {
		c.cfg.Logger.Warn("value can't be cached remotely", "space", key.Space, "error", err)
		return
	}
	c.cfg.Remote.Put(ctx, key, ticket, data, e.expires.Sub(c.cfg.Now()))
}

// pack puts the time of expiry before the JSON, so that a reader does not keep the value for another full ttl.
func pack(expires time.Time, value any) ([]byte, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(expires.UnixMilli())), encoded...), nil
}

func unpack(data []byte, decode func([]byte) (any, error)) (expires time.Time, value any, err error) {
	if len(data) < 8 {
		return time.Time{}, nil, fmt.Errorf("unpack: %d bytes", len(data))
	}
	value, err = decode(data[8:])
	// #nosec G115 -- the way back of what pack did
	return time.UnixMilli(int64(binary.BigEndian.Uint64(data))), value, err
}
