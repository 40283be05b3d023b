package ports

import (
	"context"
	"time"
)

// RemoteTicket is what a RemoteCache knew about a key when it was asked for it. A value that was loaded afterwards is stored under
// it, so that the cache can refuse what an invalidation has overtaken. The empty ticket stores nothing.
type RemoteTicket string

// RemoteCache keeps encoded values where other processes find them. It may be away at any time: no call may wait longer than
// 20 ms, and while it is known to be away no call may wait at all.
type RemoteCache interface {
	// Get returns what is stored under key, and the ticket for a load that starts after it.
	Get(ctx context.Context, key CacheKey) (data []byte, ticket RemoteTicket, found bool)
	// Put stores data for ttl. It must store nothing when the key or its space was dropped since the ticket was handed out.
	Put(ctx context.Context, key CacheKey, ticket RemoteTicket, data []byte, ttl time.Duration)
	// Drop forgets keys; an empty Name is the whole space. After an error the cache may still hold them: the caller must not use
	// Get or Put before a Drop of them has succeeded.
	Drop(ctx context.Context, keys ...CacheKey) error
}

// Invalidation tells other processes that values have changed.
type Invalidation struct {
	Keys []CacheKey // an empty Name is the whole space
	// RemoteOwed says that the sender could not drop the keys from the remote cache. Who hears it must do so before using that.
	RemoteOwed bool
}

// InvalidationBus carries invalidations between processes.
type InvalidationBus interface {
	// Announce tells all other processes. No error means that the bus has taken it; after an error it may or may not have.
	Announce(ctx context.Context, i Invalidation) error
	// Listen sets who hears the announcements of others. missed must be called each time the bus is back after it was away and
	// before Connected is true again, and whenever announcements were lost.
	Listen(heard func(Invalidation), missed func())
	// Connected tells whether announcements arrive now. It must be cheap enough for every read of a cache.
	Connected() bool
}
