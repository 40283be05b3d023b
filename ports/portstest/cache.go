package portstest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// CacheSetup is two caches as two processes have them.
type CacheSetup struct {
	A, B    ports.Cache         // what stands behind them is shared; the same one twice when only one process can have it
	Advance func(time.Duration) // moves the clock of both
	// Staleness is how long, by that clock, B may serve what A has invalidated; zero when A can tell B.
	Staleness time.Duration
}

var cacheKeys = struct{ one, two, other ports.CacheKey }{
	one: ports.CacheKey{Space: "things", Name: "one"}, two: ports.CacheKey{Space: "things", Name: "two"},
	other: ports.CacheKey{Space: "others", Name: "one"},
}

// Cache checks everything that ports.Cache demands. setup runs once for each test.
func Cache(t *testing.T, setup func(t *testing.T) CacheSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, CacheSetup){
		"loads once and then hits":                          cacheHits,
		"concurrent fetches load once":                      cacheLoadsOnce,
		"late fetches do not load again":                    cacheLoadsOnceAtTheSeam,
		"errors come back unchanged and are not cached":     cacheErrors,
		"what is not there is not looked for again":         cacheMissing,
		"what is not there is asked for again after 5 s":    cacheMissingTTL,
		"what was created is found at once":                 cacheCreated(cacheKeys.one),
		"what was created with its space is found at once":  cacheCreated(ports.CacheKey{Space: cacheKeys.one.Space}),
		"what is created while it is looked for is found":   cacheCreatedMeanwhile,
		"another process hears of what was created":         cacheCreatedElsewhere,
		"made-up names push out nothing":                    cacheMadeUp,
		"a ttl of zero caches nothing":                      cacheZeroTTL,
		"the ttl ends an entry":                             cacheTTL,
		"a caller that leaves gets its own error":           cacheCallerLeaves,
		"invalidating a key drops it and nothing else":      cacheInvalidateKey,
		"invalidating a space drops all of it":              cacheInvalidateSpace,
		"a load overtaken by its key is not served":         cacheOvertaken(cacheKeys.one),
		"a load overtaken by its space is not served":       cacheOvertaken(ports.CacheKey{Space: cacheKeys.one.Space}),
		"a fetch after an invalidation does not join":       cacheDoesNotJoin,
		"Peek and Len see what would be served":             cachePeek,
		"Peek and Len see no entry whose time is over":      cachePeekTTL,
		"Peek and Len see nothing that was dropped":         cachePeekInvalid,
		"another process hears of a key":                    cacheTellsOthers(cacheKeys.one),
		"another process hears of a space":                  cacheTellsOthers(ports.CacheKey{Space: cacheKeys.one.Space}),
		"a load overtaken in another process is not served": cacheOvertakenElsewhere,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

func decodeString(data []byte) (any, error) {
	var s string
	err := json.Unmarshal(data, &s)
	return s, err
}

// constant loads the same value always.
func constant(value string) func(context.Context) (any, error) {
	return loading(func() any { return value })
}

// loading makes a load that can't fail.
func loading(value func() any) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return value(), nil }
}

func fetchString(t *testing.T, c ports.Cache, key ports.CacheKey, load func(context.Context) (any, error)) (string, bool) {
	t.Helper()
	value, hit, err := c.Fetch(t.Context(), key, time.Hour, load, decodeString)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	s, ok := value.(string)
	if !ok {
		t.Fatalf("Fetch returned %T, want string", value)
	}
	return s, hit
}

func wantFetch(t *testing.T, c ports.Cache, key ports.CacheKey, load, want string, wantHit bool) {
	t.Helper()
	got, hit := fetchString(t, c, key, constant(load))
	if got != want || hit != wantHit {
		t.Errorf("Fetch of %v = %q, hit %v; want %q, hit %v", key, got, hit, want, wantHit)
	}
}

// receive takes from a channel, or fails the test.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func cacheHits(t *testing.T, s CacheSetup) {
	wantFetch(t, s.A, cacheKeys.one, "first", "first", false)
	wantFetch(t, s.A, cacheKeys.one, "second", "first", true)
	wantFetch(t, s.A, cacheKeys.two, "second", "second", false)
}

func cacheLoadsOnce(t *testing.T, s CacheSetup) {
	const callers = 100
	var loads, misses, started atomic.Int32
	allStarted := make(chan struct{})
	load := loading(func() any {
		loads.Add(1)
		<-allStarted
		return "value"
	})
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if started.Add(1) == callers {
				close(allStarted)
			}
			value, hit, err := s.A.Fetch(t.Context(), cacheKeys.one, time.Hour, load, decodeString)
			if value != "value" || err != nil {
				t.Errorf("Fetch = %v, %v", value, err)
			}
			if !hit {
				misses.Add(1)
			}
		})
	}
	all.Wait()
	if loads.Load() != 1 || misses.Load() == 0 {
		t.Errorf("%d loads and %d misses for %d callers, want one load", loads.Load(), misses.Load(), callers)
	}
}

// cacheLoadsOnceAtTheSeam lets callers come just when a load ends, neither in time to wait for it nor late enough for an entry.
func cacheLoadsOnceAtTheSeam(t *testing.T, s CacheSetup) {
	const rounds, callers = 500, 8
	var loads atomic.Int32
	load := loading(func() any { return loads.Add(1) })
	for round := range rounds {
		key := ports.CacheKey{Space: cacheKeys.one.Space, Name: strconv.Itoa(round)}
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				if _, _, err := s.A.Fetch(t.Context(), key, time.Hour, load, decodeString); err != nil {
					t.Errorf("Fetch: %v", err)
				}
			})
		}
		all.Wait()
	}
	if loads.Load() != rounds {
		t.Errorf("%d loads of %d keys", loads.Load(), rounds)
	}
}

func cacheErrors(t *testing.T, s CacheSetup) {
	broken := errors.New("broken")
	_, hit, err := s.A.Fetch(t.Context(), cacheKeys.one, time.Hour, func(context.Context) (any, error) { return nil, broken }, decodeString)
	if err != broken || hit { //nolint:errorlint // unchanged means the same, not wrapped
		t.Errorf("Fetch: hit %v, error %v; want the error of load", hit, err)
	}
	wantFetch(t, s.A, cacheKeys.one, "value", "value", false)
}

var errNotThere = domain.NewError(domain.NotFound, "not there")

// nothing is a load that finds nothing.
func nothing(context.Context) (any, error) { return nil, errNotThere }

// wantMissing checks one Fetch of what the cache shall know to be missing, or shall look for and not find.
func wantMissing(t *testing.T, c ports.Cache, ttl time.Duration, wantHit bool) {
	t.Helper()
	_, hit, err := c.Fetch(t.Context(), cacheKeys.one, ttl, nothing, decodeString)
	if err != errNotThere || hit != wantHit { //nolint:errorlint // unchanged means the same, not wrapped
		t.Errorf("Fetch of what is not there: hit %v, error %v; want hit %v and the error of the load", hit, err, wantHit)
	}
}

func cacheMissing(t *testing.T, s CacheSetup) {
	wantMissing(t, s.A, time.Hour, false)
	wantMissing(t, s.A, time.Hour, true)
	wantPeek(t, s.A, cacheKeys.one, nil)
	wantLen(t, s.A, cacheKeys.one.Space, 0)
	wantMissing(t, s.A, 0, false)
}

func cacheMissingTTL(t *testing.T, s CacheSetup) {
	wantMissing(t, s.A, time.Hour, false)
	s.Advance(5*time.Second - time.Millisecond)
	if s.Staleness == 0 || s.Staleness >= 5*time.Second {
		wantMissing(t, s.A, time.Hour, true)
	}
	s.Advance(time.Millisecond)
	wantFetch(t, s.A, cacheKeys.one, "there", "there", false)
}

func cacheCreated(invalid ports.CacheKey) func(*testing.T, CacheSetup) {
	return func(t *testing.T, s CacheSetup) {
		wantMissing(t, s.A, time.Hour, false)
		s.A.Invalidate(t.Context(), invalid)
		wantFetch(t, s.A, cacheKeys.one, "there", "there", false)
		wantFetch(t, s.A, cacheKeys.one, "again", "there", true)
	}
}

// cacheCreatedMeanwhile: a look-up that began before the creation ends after it.
func cacheCreatedMeanwhile(t *testing.T, s CacheSetup) {
	looking, created, looked := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, _, err := s.A.Fetch(t.Context(), cacheKeys.one, time.Hour, func(context.Context) (any, error) {
			close(looking)
			<-created
			return nil, errNotThere
		}, decodeString)
		looked <- err
	}()
	receive(t, looking, "the look-up")
	s.A.Invalidate(t.Context(), cacheKeys.one)
	close(created)
	if err := receive(t, looked, "the end of the look-up"); domain.KindOf(err) != domain.NotFound {
		t.Errorf("who asked before the creation got %v", err)
	}
	wantFetch(t, s.A, cacheKeys.one, "there", "there", false)
}

func cacheCreatedElsewhere(t *testing.T, s CacheSetup) {
	wantMissing(t, s.B, time.Hour, false)
	s.A.Invalidate(t.Context(), cacheKeys.one)
	s.Advance(s.Staleness)
	Within(t, Patience, "what another process has created is found", func() bool {
		value, _, err := s.B.Fetch(t.Context(), cacheKeys.one, time.Hour, constant("there"), decodeString)
		return value == "there" && err == nil
	})
}

func cacheMadeUp(t *testing.T, s CacheSetup) {
	const madeUp = 20_000
	wantFetch(t, s.A, cacheKeys.one, "useful", "useful", false)
	for n := range madeUp {
		key := ports.CacheKey{Space: cacheKeys.one.Space, Name: "made up " + strconv.Itoa(n)}
		if _, _, err := s.A.Fetch(t.Context(), key, time.Hour, nothing, decodeString); domain.KindOf(err) != domain.NotFound {
			t.Fatalf("Fetch of what is not there: %v", err)
		}
	}
	wantPeek(t, s.A, cacheKeys.one, "useful")
}

func cacheZeroTTL(t *testing.T, s CacheSetup) {
	for _, want := range []string{"first", "second"} {
		got, hit, err := s.A.Fetch(t.Context(), cacheKeys.one, 0, constant(want), decodeString)
		if got != want || hit || err != nil {
			t.Errorf("Fetch = %v, hit %v, %v; want %q loaded", got, hit, err, want)
		}
	}
}

func cacheTTL(t *testing.T, s CacheSetup) {
	const ttl = 3 * time.Second
	fetch := func(load, want string, wantHit bool) {
		t.Helper()
		got, hit, err := s.A.Fetch(t.Context(), cacheKeys.one, ttl, constant(load), decodeString)
		if got != want || hit != wantHit || err != nil {
			t.Errorf("Fetch = %v, hit %v, %v; want %q, hit %v", got, hit, err, want, wantHit)
		}
	}
	fetch("first", "first", false)
	s.Advance(ttl - time.Millisecond)
	fetch("second", "first", true)
	s.Advance(time.Millisecond)
	fetch("second", "second", false)
}

func cacheCallerLeaves(t *testing.T, s CacheSetup) {
	loading, release := make(chan struct{}), make(chan struct{})
	loadErr := make(chan error, 1)
	load := func(ctx context.Context) (any, error) {
		close(loading)
		<-release
		err := ctx.Err()
		loadErr <- err
		return "value", err
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := s.A.Fetch(ctx, cacheKeys.one, time.Hour, load, decodeString)
		left <- err
	}()
	receive(t, loading, "the load")
	leave()
	if err := receive(t, left, "the caller that left"); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch of a caller that left: %v", err)
	}
	close(release)
	if err := receive(t, loadErr, "the end of the load"); err != nil {
		t.Errorf("the load was cancelled with its first caller: %v", err)
	}
	// The load has ended before its value is kept.
	Within(t, Patience, "the value is kept", func() bool {
		_, kept := s.A.Peek(cacheKeys.one)
		return kept
	})
	wantFetch(t, s.A, cacheKeys.one, "again", "value", true)
}

func cacheInvalidateKey(t *testing.T, s CacheSetup) {
	for _, key := range []ports.CacheKey{cacheKeys.one, cacheKeys.two, cacheKeys.other} {
		wantFetch(t, s.A, key, "old", "old", false)
	}
	s.A.Invalidate(t.Context(), cacheKeys.one)
	wantFetch(t, s.A, cacheKeys.one, "new", "new", false)
	wantFetch(t, s.A, cacheKeys.two, "new", "old", true)
	wantFetch(t, s.A, cacheKeys.other, "new", "old", true)
}

func cacheInvalidateSpace(t *testing.T, s CacheSetup) {
	for _, key := range []ports.CacheKey{cacheKeys.one, cacheKeys.two, cacheKeys.other} {
		wantFetch(t, s.A, key, "old", "old", false)
	}
	s.A.Invalidate(t.Context(), ports.CacheKey{Space: cacheKeys.one.Space})
	wantFetch(t, s.A, cacheKeys.one, "new", "new", false)
	wantFetch(t, s.A, cacheKeys.two, "new", "new", false)
	wantFetch(t, s.A, cacheKeys.other, "new", "old", true)
}

func wantPeek(t *testing.T, c ports.Cache, key ports.CacheKey, want any) {
	t.Helper()
	if got, ok := c.Peek(key); got != want || ok != (want != nil) {
		t.Errorf("Peek of %v = %v, %v; want %v", key, got, ok, want)
	}
}

func wantLen(t *testing.T, c ports.Cache, space string, want int) {
	t.Helper()
	if got := c.Len(space); got != want {
		t.Errorf("Len of %q = %d, want %d", space, got, want)
	}
}

func cachePeek(t *testing.T, s CacheSetup) {
	wantPeek(t, s.A, cacheKeys.one, nil)
	wantLen(t, s.A, cacheKeys.one.Space, 0)
	wantFetch(t, s.A, cacheKeys.one, "1", "1", false)
	wantFetch(t, s.A, cacheKeys.two, "2", "2", false)
	wantFetch(t, s.A, cacheKeys.other, "3", "3", false)
	wantPeek(t, s.A, cacheKeys.one, "1")
	wantPeek(t, s.A, cacheKeys.other, "3")
	wantLen(t, s.A, cacheKeys.one.Space, 2)
	wantLen(t, s.A, cacheKeys.other.Space, 1)
	wantLen(t, s.A, "nothing", 0)
}

func cachePeekTTL(t *testing.T, s CacheSetup) {
	wantFetch(t, s.A, cacheKeys.one, "1", "1", false)
	s.Advance(time.Hour + time.Second)
	wantPeek(t, s.A, cacheKeys.one, nil)
	wantLen(t, s.A, cacheKeys.one.Space, 0)
}

func cachePeekInvalid(t *testing.T, s CacheSetup) {
	wantFetch(t, s.A, cacheKeys.one, "1", "1", false)
	wantFetch(t, s.A, cacheKeys.two, "2", "2", false)
	s.A.Invalidate(t.Context(), cacheKeys.one)
	wantPeek(t, s.A, cacheKeys.one, nil)
	wantPeek(t, s.A, cacheKeys.two, "2")
	wantLen(t, s.A, cacheKeys.one.Space, 1)
	s.A.Invalidate(t.Context(), ports.CacheKey{Space: cacheKeys.two.Space})
	wantPeek(t, s.A, cacheKeys.two, nil)
	wantLen(t, s.A, cacheKeys.two.Space, 0)
}

// slowFetch starts a Fetch of a value that was read and is about to be changed. It returns when the load has begun; finish lets the
// load return "old".
func slowFetch(t *testing.T, c ports.Cache) (finish func() string) {
	t.Helper()
	loading, release, result := make(chan struct{}), make(chan struct{}), make(chan any, 1)
	go func() {
		value, _, err := c.Fetch(t.Context(), cacheKeys.one, time.Hour, func(context.Context) (any, error) {
			close(loading)
			<-release
			return "old", nil
		}, decodeString)
		if err != nil {
			t.Errorf("slow Fetch: %v", err)
		}
		result <- value
	}()
	receive(t, loading, "the slow load")
	return func() string {
		close(release)
		value, _ := receive(t, result, "the slow fetch").(string)
		return value
	}
}

func cacheOvertaken(invalid ports.CacheKey) func(*testing.T, CacheSetup) {
	return func(t *testing.T, s CacheSetup) {
		finish := slowFetch(t, s.A)
		s.A.Invalidate(t.Context(), invalid)
		if got := finish(); got != "old" {
			t.Errorf("the slow fetch got %q", got)
		}
		wantFetch(t, s.A, cacheKeys.one, "new", "new", false)
		wantFetch(t, s.A, cacheKeys.one, "newer", "new", true)
	}
}

func cacheDoesNotJoin(t *testing.T, s CacheSetup) {
	finish := slowFetch(t, s.A)
	s.A.Invalidate(t.Context(), cacheKeys.one)
	wantFetch(t, s.A, cacheKeys.one, "new", "new", false)
	finish()
	wantFetch(t, s.A, cacheKeys.one, "newer", "new", true)
}

// The port gives a change one second to reach another process, in real time. A busy machine gets several tries for that, not more time.
const (
	heardLimit = time.Second
	heardTries = 5
)

// wantSoon fetches until the value is the given one.
func wantSoon(t *testing.T, c ports.Cache, fresh string) {
	t.Helper()
	Within(t, Patience, "the value "+fresh+" is served", func() bool {
		got, _ := fetchString(t, c, cacheKeys.one, constant(fresh))
		return got == fresh
	})
}

func cacheTellsOthers(invalid ports.CacheKey) func(*testing.T, CacheSetup) {
	return func(t *testing.T, s CacheSetup) {
		for _, c := range []ports.Cache{s.A, s.B} {
			if got, _ := fetchString(t, c, cacheKeys.one, constant("old")); got != "old" {
				t.Fatalf("Fetch = %q", got)
			}
		}
		var took time.Duration
		for try := range heardTries {
			fresh := "new " + strconv.Itoa(try)
			began := time.Now()
			s.A.Invalidate(t.Context(), invalid)
			s.Advance(s.Staleness)
			wantSoon(t, s.B, fresh)
			wantSoon(t, s.A, fresh)
			if took = time.Since(began); took <= heardLimit {
				return
			}
		}
		t.Errorf("a change takes %v to be heard of", took)
	}
}

func cacheOvertakenElsewhere(t *testing.T, s CacheSetup) {
	finish := slowFetch(t, s.B)
	s.A.Invalidate(t.Context(), cacheKeys.one)
	finish()
	wantFetch(t, s.A, cacheKeys.one, "new", "new", false)
	s.Advance(s.Staleness)
	wantSoon(t, s.B, "new")
	wantSoon(t, s.A, "new")
}

// RemoteCache checks everything that ports.RemoteCache demands of one that is there. setup runs once for each test.
func RemoteCache(t *testing.T, setup func(t *testing.T) (a, b ports.RemoteCache)) {
	t.Helper()
	tests := map[string]func(t *testing.T, a, b ports.RemoteCache){
		"another process finds what was put":         remoteShares,
		"the empty ticket stores nothing":            remoteEmptyTicket,
		"dropping a key drops it and nothing else":   remoteDropKey,
		"dropping a space drops all of it":           remoteDropSpace,
		"a put overtaken by a drop of its key":       remoteOvertaken(cacheKeys.one),
		"a put overtaken by a drop of its space":     remoteOvertaken(ports.CacheKey{Space: cacheKeys.one.Space}),
		"a drop of another space turns nothing away": remoteOtherSpace,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := setup(t)
			test(t, a, b)
		})
	}
}

func remotePut(t *testing.T, c ports.RemoteCache, key ports.CacheKey, value string) {
	t.Helper()
	_, ticket, _ := c.Get(t.Context(), key)
	if ticket == "" {
		t.Fatal("Get gave no ticket")
	}
	c.Put(t.Context(), key, ticket, []byte(value), time.Hour)
}

func wantRemote(t *testing.T, c ports.RemoteCache, key ports.CacheKey, want string) {
	t.Helper()
	data, _, found := c.Get(t.Context(), key)
	if string(data) != want || found != (want != "") {
		t.Errorf("Get of %v = %q, found %v; want %q", key, data, found, want)
	}
}

func drop(t *testing.T, c ports.RemoteCache, keys ...ports.CacheKey) {
	t.Helper()
	if err := c.Drop(t.Context(), keys...); err != nil {
		t.Fatalf("Drop: %v", err)
	}
}

func remoteShares(t *testing.T, a, b ports.RemoteCache) {
	wantRemote(t, a, cacheKeys.one, "")
	remotePut(t, a, cacheKeys.one, "value\n with lines\n")
	wantRemote(t, b, cacheKeys.one, "value\n with lines\n")
	wantRemote(t, b, cacheKeys.two, "")
}

func remoteEmptyTicket(t *testing.T, a, b ports.RemoteCache) {
	a.Put(t.Context(), cacheKeys.one, "", []byte("value"), time.Hour)
	wantRemote(t, b, cacheKeys.one, "")
}

func remoteDropKey(t *testing.T, a, b ports.RemoteCache) {
	remotePut(t, a, cacheKeys.one, "value")
	remotePut(t, a, cacheKeys.two, "value")
	drop(t, b, cacheKeys.one)
	wantRemote(t, a, cacheKeys.one, "")
	wantRemote(t, a, cacheKeys.two, "value")
}

func remoteDropSpace(t *testing.T, a, b ports.RemoteCache) {
	for _, key := range []ports.CacheKey{cacheKeys.one, cacheKeys.two, cacheKeys.other} {
		remotePut(t, a, key, "value")
	}
	drop(t, b, ports.CacheKey{Space: cacheKeys.one.Space})
	wantRemote(t, a, cacheKeys.one, "")
	wantRemote(t, a, cacheKeys.two, "")
	wantRemote(t, a, cacheKeys.other, "value")
}

func remoteOvertaken(dropped ports.CacheKey) func(t *testing.T, a, b ports.RemoteCache) {
	return func(t *testing.T, a, b ports.RemoteCache) {
		_, ticket, _ := a.Get(t.Context(), cacheKeys.one)
		drop(t, b, dropped)
		a.Put(t.Context(), cacheKeys.one, ticket, []byte("old"), time.Hour)
		wantRemote(t, a, cacheKeys.one, "")
		remotePut(t, a, cacheKeys.one, "new")
		wantRemote(t, b, cacheKeys.one, "new")
	}
}

func remoteOtherSpace(t *testing.T, a, b ports.RemoteCache) {
	_, ticket, _ := a.Get(t.Context(), cacheKeys.one)
	drop(t, b, cacheKeys.other, ports.CacheKey{Space: cacheKeys.other.Space})
	a.Put(t.Context(), cacheKeys.one, ticket, []byte("value"), time.Hour)
	wantRemote(t, b, cacheKeys.one, "value")
}
