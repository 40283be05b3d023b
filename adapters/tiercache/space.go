package tiercache

import (
	"maps"
	"sync"
	"sync/atomic"

	"gaia/domain"
)

// space is what the keys of one space share.
type space struct {
	version atomic.Uint64 // raised to drop all of it

	localHits, remoteHits, negativeHits, shared atomic.Uint64
	loads, notFound, loadErrors, bypasses       atomic.Uint64
	evictions, invalidations                    atomic.Uint64
	entries, bytes                              atomic.Int64
}

// loaded counts a load.
func (s *space) loaded(err error) {
	s.loads.Add(1)
	switch {
	case err == nil:
	case domain.KindOf(err) == domain.NotFound:
		s.notFound.Add(1)
	default:
		s.loadErrors.Add(1)
	}
}

func (s *space) entered(e *entry) {
	s.entries.Add(1)
	s.bytes.Add(int64(e.bytes))
}

func (s *space) left(e *entry, evicted bool) {
	s.entries.Add(-1)
	s.bytes.Add(-int64(e.bytes))
	if evicted {
		s.evictions.Add(1)
	}
}

func (s *space) counts() domain.CacheCounts {
	return domain.CacheCounts{
		LocalHits: s.localHits.Load(), RemoteHits: s.remoteHits.Load(), NegativeHits: s.negativeHits.Load(), Shared: s.shared.Load(),
		Loads: s.loads.Load(), NotFound: s.notFound.Load(), LoadErrors: s.loadErrors.Load(), Bypasses: s.bypasses.Load(),
		Evictions: s.evictions.Load(), Invalidations: s.invalidations.Load(), Entries: s.entries.Load(), Bytes: s.bytes.Load(),
	}
}

// spaces are all that were ever asked for: a small fixed set, which is replaced as a whole so that nobody waits for it.
type spaces struct {
	mu    sync.Mutex
	known atomic.Pointer[map[string]*space]
}

func (s *spaces) all() map[string]*space {
	if known := s.known.Load(); known != nil {
		return *known
	}
	return nil
}

func (s *spaces) has(name string) bool {
	_, ok := s.all()[name]
	return ok
}

func (s *spaces) get(name string) *space {
	if found, ok := s.all()[name]; ok {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.all()[name]; ok {
		return found
	}
	grown := maps.Clone(s.all())
	if grown == nil {
		grown = map[string]*space{}
	}
	grown[name] = new(space)
	s.known.Store(&grown)
	return grown[name]
}

// Stats returns what the cache has done since it was made, by space. It is cheap enough for every scrape, and is read for metrics.
func (c *Cache) Stats() map[string]domain.CacheCounts {
	all := c.spaces.all()
	stats := make(map[string]domain.CacheCounts, len(all))
	for name, s := range all {
		stats[name] = s.counts()
	}
	return stats
}
