package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"gaia/adapters/tiercache"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

// personas is a list whose prompts are as long as prompts may be.
func personas(n int) []domain.Persona {
	list := make([]domain.Persona, n)
	for i := range list {
		list[i] = domain.Persona{
			ID: fmt.Sprint(i), Name: fmt.Sprint("Persona ", i), SystemPrompt: strings.Clone(strings.Repeat("x", 32<<10)), Active: true,
			Traits: map[string]any{"tone": "calm", "list": []any{"a", "b"}}, CreatedAt: noon,
		}
	}
	return list
}

func decodeNothing([]byte) (any, error) { return nil, errors.New("nothing was stored") }

func fetchAs(t *testing.T, c *tiercache.Cache, space, name string, load func() any) (hit bool) {
	t.Helper()
	_, hit, err := c.Fetch(t.Context(), ports.CacheKey{Space: space, Name: name}, time.Hour, func(context.Context) (any, error) { return load(), nil }, decodeNothing)
	if err != nil {
		t.Fatal(err)
	}
	return hit
}

func TestMemoryIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const limit = 8 << 20
	c := newCache(t, tiercache.Config{Bytes: limit})
	for n := range 200 { // of 640 kB each, 128 MB in all
		fetchAs(t, c, "lists", fmt.Sprint(n), func() any { return personas(20) })
	}
	portstest.Within(t, portstest.Patience, "what is too much was let go", func() bool { return c.Stats()["lists"].Bytes <= limit })
	got := c.Stats()["lists"]
	if got.Entries == 0 || got.Bytes < got.Entries*20*(32<<10) {
		t.Errorf("%d entries in %d bytes", got.Entries, got.Bytes)
	}
	if got.Evictions+uint64(got.Entries) != 200 {
		t.Errorf("%d entries are there and %d were evicted of 200", got.Entries, got.Evictions)
	}
}

func TestMemoryIsBoundedForManySmallEntries(t *testing.T) {
	t.Parallel()
	const limit, asked = 64 << 10, 10_000
	c := newCache(t, tiercache.Config{Bytes: limit})
	for n := range asked {
		fetchAs(t, c, "s", fmt.Sprint(n), func() any { return "" })
	}
	portstest.Within(t, portstest.Patience, "what is too much was let go", func() bool { return c.Stats()["s"].Bytes <= limit })
	if n := c.Len("s"); n == 0 || n > limit/200 {
		t.Errorf("%d entries kept of %d in %d bytes", n, asked, limit)
	}
}

func TestOneLargeValueDoesNotPushOutTheOthers(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiercache.Config{Bytes: 4 << 20})
	for n := range 50 {
		fetchAs(t, c, "small", fmt.Sprint(n), func() any { return personas(1) })
	}
	for range 3 {
		if fetchAs(t, c, "large", "all", func() any { return personas(100) }) {
			t.Error("a value of most of the memory was kept")
		}
	}
	if n := c.Len("small"); n != 50 {
		t.Errorf("%d of 50 small values are left", n)
	}
	if got := c.Stats()["large"]; got.Evictions != 3 || got.Loads != 3 || got.Bytes != 0 {
		t.Errorf("of the large value: %+v", got)
	}
}

// TestWhatIsWeighedIsThere compares the estimate with what the runtime says.
func TestWhatIsWeighedIsThere(t *testing.T) {
	before := heap()
	c := newCache(t, tiercache.Config{Bytes: 512 << 20})
	for n := range 20 {
		fetchAs(t, c, "lists", fmt.Sprint(n), func() any { return personas(50) })
	}
	for n := range 20_000 {
		fetchAs(t, c, "ids", fmt.Sprint(n), func() any { return fmt.Sprintf("%036d", n) })
	}
	used, told := heap()-before, c.Stats()["lists"].Bytes+c.Stats()["ids"].Bytes
	t.Logf("the runtime says %d bytes, the cache %d", used, told)
	if told < used*3/4 || told > used*3/2 {
		t.Errorf("the cache says that it holds %d bytes, the runtime says %d", told, used)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestStats(t *testing.T) {
	t.Parallel()
	var clock clock
	c := newCache(t, tiercache.Config{Now: clock.now})
	fetch := func(name string, err error) {
		_, _, _ = c.Fetch(t.Context(), ports.CacheKey{Space: "s", Name: name}, time.Hour, func(context.Context) (any, error) { return "value", err }, decode)
	}
	fetch("a", nil)
	fetch("a", nil)
	fetch("a", nil)
	fetch("none", domain.NewError(domain.NotFound, "none"))
	fetch("none", domain.NewError(domain.NotFound, "none"))
	fetch("broken", errors.New("broken"))
	c.Invalidate(t.Context(), ports.CacheKey{Space: "s", Name: "none"})
	got := c.Stats()["s"]
	if got.Bytes <= 0 {
		t.Errorf("an entry takes %d bytes", got.Bytes)
	}
	got.Bytes = 0
	if want := (domain.CacheCounts{LocalHits: 2, NegativeHits: 1, Loads: 3, NotFound: 1, LoadErrors: 1, Invalidations: 1, Entries: 1}); got != want {
		t.Errorf("stats are %+v, want %+v", got, want)
	}
	c.Invalidate(t.Context(), ports.CacheKey{Space: "s", Name: "a"})
	if got := c.Stats()["s"]; got.Entries != 0 || got.Bytes != 0 {
		t.Errorf("after the end of the only entry: %+v", got)
	}
}
