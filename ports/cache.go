package ports

import (
	"context"
	"time"
)

// CacheKey addresses a cached value. Space groups keys that become invalid together; the full key is "<Space>:<Name>".
type CacheKey struct {
	Space string // "personas:list", "persona", "user:persona:preference"
	Name  string // "active", a persona id, an owner id
}

// Cache keeps values near. It is never the truth: when all of it is away, every Fetch loads. What it keeps is bounded, and names that
// somebody makes up must not push out what is there.
//
// No call may wait longer than 50 ms for a cache that is away. A value loaded before an Invalidate of its space or key must not be
// served after it, in this process at once, in other processes within a second (while the bus between them is away: 5 s).
type Cache interface {
	// Fetch returns the value of key, loading it with load when it is not there. Concurrent Fetches of one key in one process must
	// call load once. Errors of load come back unchanged and are not cached, but for those of the kind domain.NotFound: that something
	// is not there is kept for 5 s at the most, so whoever creates it must Invalidate its key. hit reports whether load was not called.
	// The value and the error are shared by all callers and must not be changed. decode turns stored JSON back into what load returned.
	Fetch(ctx context.Context, key CacheKey, ttl time.Duration, load func(context.Context) (any, error),
		decode func([]byte) (any, error)) (value any, hit bool, err error)
	// Invalidate drops keys everywhere; an empty Name drops the whole space.
	Invalidate(ctx context.Context, keys ...CacheKey)
	// Peek returns what this process holds under key and Fetch would return without asking anybody. It must not load.
	Peek(key CacheKey) (value any, ok bool)
	// Len counts what this process holds in a space and Fetch would return without asking anybody.
	Len(space string) int
}
