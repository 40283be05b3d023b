package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/tiercache"
	"gaia/ports"
	"gaia/ports/portstest"
)

// remote is a remote cache that a test can break, or look into.
type remote struct {
	mu      sync.Mutex
	away    bool
	values  map[ports.CacheKey][]byte
	dropped []ports.CacheKey
	asked   int
	// dropping is called before keys are gone, as if the call were on its way.
	dropping func()
}

func (r *remote) Get(_ context.Context, key ports.CacheKey) ([]byte, ports.RemoteTicket, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	data, ok := r.values[key]
	return data, "ticket", ok
}

func (r *remote) Put(_ context.Context, key ports.CacheKey, _ ports.RemoteTicket, data []byte, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[ports.CacheKey][]byte{}
	}
	r.values[key] = data
}

func (r *remote) Drop(_ context.Context, keys ...ports.CacheKey) error {
	if r.dropping != nil {
		r.dropping()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return errors.New("away")
	}
	r.dropped = append(r.dropped, keys...)
	for _, key := range keys {
		delete(r.values, key)
	}
	return nil
}

func (r *remote) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

func (r *remote) has(key ports.CacheKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.values[key]
	return ok
}

func (r *remote) drops() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.dropped)
}

// bus is a bus that a test can break, and on which it is everybody else.
type bus struct {
	mu     sync.Mutex
	away   bool
	said   []ports.Invalidation
	heard  func(ports.Invalidation)
	missed func()
}

func (b *bus) Announce(_ context.Context, i ports.Invalidation) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errors.New("away")
	}
	b.said = append(b.said, i)
	return nil
}

func (b *bus) Listen(heard func(ports.Invalidation), missed func()) {
	b.heard, b.missed = heard, missed
}

func (b *bus) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.away
}

func (b *bus) setAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

func (b *bus) announcements() []ports.Invalidation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said
}

func TestValueOfAnotherProcessIsAHitForTheRestOfItsTTL(t *testing.T) {
	t.Parallel()
	var clock clock
	var truth store
	truth.set("old")
	shared := &remote{}
	a := newCache(t, tiercache.Config{Remote: shared, Bus: &bus{}, Now: clock.now})
	b := newCache(t, tiercache.Config{Remote: shared, Bus: &bus{}, Now: clock.now})
	truth.want(t, a, "old", false)
	portstest.Within(t, portstest.Patience, "the value is shared", func() bool { return shared.has(list) })
	clock.advance(50 * time.Minute)
	truth.set("new")
	truth.want(t, b, "old", true)
	clock.advance(10 * time.Minute)
	truth.want(t, b, "new", false)
}

func TestValueThatCannotBeDecodedIsReplaced(t *testing.T) {
	t.Parallel()
	var truth store
	truth.set("value")
	for _, stored := range []string{"", "short", "12345678{not json"} {
		shared := &remote{values: map[ports.CacheKey][]byte{list: []byte(stored)}}
		c := newCache(t, tiercache.Config{Remote: shared})
		truth.want(t, c, "value", false)
		c.Close()
		if got := string(shared.values[list]); !strings.HasSuffix(got, `"value"`) {
			t.Errorf("stored %q instead of %q", got, stored)
		}
	}
}

func TestPanicOfALoadIsAnError(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiercache.Config{})
	_, _, err := c.Fetch(t.Context(), list, time.Hour, func(context.Context) (any, error) { panic("of a load") }, decode)
	if err == nil || !strings.Contains(err.Error(), "of a load") {
		t.Errorf("Fetch: %v", err)
	}
	var truth store
	truth.want(t, c, "", false)
}

func TestFetchWhileADropIsOnItsWayDoesNotKeepTheOldValue(t *testing.T) {
	t.Parallel()
	var truth store
	truth.set("old")
	shared := &remote{}
	other := newCache(t, tiercache.Config{Remote: shared})
	truth.want(t, other, "old", false)
	portstest.Within(t, portstest.Patience, "the value is shared", func() bool { return shared.has(list) })
	c := newCache(t, tiercache.Config{Remote: shared})
	shared.dropping = func() { truth.want(t, c, "old", true) }
	truth.set("new")
	c.Invalidate(t.Context(), list)
	truth.want(t, c, "new", false)
}

func TestDropThatDidNotArriveKeepsTheRemoteUnusedAndIsRepeated(t *testing.T) {
	t.Parallel()
	var truth store
	truth.set("old")
	shared := &remote{}
	c := newCache(t, tiercache.Config{Remote: shared})
	truth.want(t, c, "old", false)
	portstest.Within(t, portstest.Patience, "the value is shared", func() bool { return shared.has(list) })
	shared.setAway(true)
	truth.set("new")
	c.Invalidate(t.Context(), list)
	truth.want(t, c, "new", false)
	if shared.asked != 1 {
		t.Errorf("the remote cache was asked %d times, want once, before the drop that it missed", shared.asked)
	}
	shared.setAway(false)
	portstest.Within(t, portstest.Patience, "the drop is repeated", func() bool { return shared.drops() == 1 && !shared.has(list) })
}

func TestOthersDropWhatTheSenderCouldNot(t *testing.T) {
	t.Parallel()
	var truth store
	truth.set("old")
	between, shared := &bus{}, &remote{}
	c := newCache(t, tiercache.Config{Remote: shared, Bus: between, Spaces: []string{"persona"}})
	truth.want(t, c, "old", false)
	portstest.Within(t, portstest.Patience, "the value is shared", func() bool { return shared.has(list) })
	truth.set("new")
	between.heard(ports.Invalidation{Keys: []ports.CacheKey{list}, RemoteOwed: true})
	truth.want(t, c, "new", false)
	portstest.Within(t, portstest.Patience, "the drop is made", func() bool { return shared.drops() == 1 })
	other := ports.CacheKey{Space: "persona", Name: "p1"}
	between.heard(ports.Invalidation{Keys: []ports.CacheKey{list}})
	between.heard(ports.Invalidation{Keys: []ports.CacheKey{other}, RemoteOwed: true})
	portstest.Within(t, portstest.Patience, "the next drop is made", func() bool { return shared.drops() > 1 })
	if got, want := fmt.Sprint(shared.dropped), fmt.Sprint([]ports.CacheKey{list, other}); got != want {
		t.Errorf("dropped %v, want only what the senders could not drop, %v", got, want)
	}
}

func TestAnnouncementSaysThatTheDropIsOwedAndIsRepeated(t *testing.T) {
	t.Parallel()
	between := &bus{away: true}
	c := newCache(t, tiercache.Config{Remote: &remote{away: true}, Bus: between})
	c.Invalidate(t.Context(), list)
	between.setAway(false)
	portstest.Within(t, portstest.Patience, "the announcement is repeated", func() bool { return len(between.announcements()) == 1 })
	got := fmt.Sprint(between.announcements()[0])
	if want := fmt.Sprint(ports.Invalidation{Keys: []ports.CacheKey{list}, RemoteOwed: true}); got != want {
		t.Errorf("announced %v, want %v", got, want)
	}
}

func TestManyOwedKeysBecomeTheirSpaces(t *testing.T) {
	t.Parallel()
	between := &bus{away: true}
	c := newCache(t, tiercache.Config{Bus: between})
	for n := range 3000 {
		c.Invalidate(t.Context(), ports.CacheKey{Space: "persona", Name: fmt.Sprint(n)})
	}
	c.Invalidate(t.Context(), list)
	between.setAway(false)
	portstest.Within(t, portstest.Patience, "the announcement is repeated", func() bool { return len(between.announcements()) > 0 })
	var whole, one bool
	keys := between.announcements()[0].Keys
	for _, key := range keys {
		whole = whole || key == ports.CacheKey{Space: "persona"}
		one = one || key == list
	}
	if len(keys) > 1001 || !whole || !one {
		t.Errorf("%d keys announced, whole space %v, the other key %v", len(keys), whole, one)
	}
}

func TestWithoutTheBusEntriesLiveForFiveSeconds(t *testing.T) {
	t.Parallel()
	var clock clock
	var truth store
	truth.set("old")
	between := &bus{}
	c := newCache(t, tiercache.Config{Bus: between, Now: clock.now})
	truth.want(t, c, "old", false)
	truth.set("new")
	clock.advance(time.Minute)
	truth.want(t, c, "old", true)
	between.setAway(true)
	truth.want(t, c, "new", false)
	truth.set("newer")
	clock.advance(4 * time.Second)
	truth.want(t, c, "new", true)
	clock.advance(time.Second)
	truth.want(t, c, "newer", false)
}

func TestMissedAnnouncementsDropEverythingAndWhatIsBeingLoaded(t *testing.T) {
	t.Parallel()
	var truth store
	truth.set("old")
	between := &bus{}
	c := newCache(t, tiercache.Config{Bus: between})
	truth.want(t, c, "old", false)
	truth.set("new")
	between.missed()
	truth.want(t, c, "new", false)

	c.Invalidate(t.Context(), lists)
	_, _, err := c.Fetch(t.Context(), list, time.Hour, func(context.Context) (any, error) {
		between.missed()
		return "old", nil
	}, decode)
	if err != nil {
		t.Fatal(err)
	}
	truth.want(t, c, "new", false)
}

func TestCloseEndsLoads(t *testing.T) {
	t.Parallel()
	c := newCache(t, tiercache.Config{})
	loading := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		_, _, err := c.Fetch(t.Context(), list, time.Hour, func(ctx context.Context) (any, error) {
			close(loading)
			<-ctx.Done()
			return nil, ctx.Err()
		}, decode)
		failed <- err
	}()
	<-loading
	c.Close()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch: %v", err)
	}
	var truth store
	truth.set("value")
	truth.want(t, c, "value", false)
}

// Anybody on the bus can name keys: what is made up takes no room, is no figure, and is dropped nowhere else.
func TestMadeUpKeysOfOthers(t *testing.T) {
	t.Parallel()
	between, shared := &bus{}, &remote{}
	var truth store
	truth.set("value")
	c := newCache(t, tiercache.Config{Remote: shared, Bus: between, Spaces: []string{"persona"}})
	truth.want(t, c, "value", false)
	shared.setAway(true)
	for n := range 5_000 {
		between.heard(ports.Invalidation{RemoteOwed: true, Keys: []ports.CacheKey{
			{Space: fmt.Sprint("made up ", n)}, {Space: "persona", Name: fmt.Sprint(strings.Repeat("x", 1<<10), n)},
		}})
		between.heard(ports.Invalidation{RemoteOwed: true})
	}
	truth.want(t, c, "value", true)
	if stats := c.Stats(); len(stats) != 2 {
		t.Errorf("%d spaces have figures, want the one that was asked for and the one that may be", len(stats))
	}
	shared.setAway(false)
	portstest.Within(t, portstest.Patience, "what is owed is dropped", func() bool { return shared.drops() > 0 })
	if got, want := fmt.Sprint(shared.dropped), fmt.Sprint([]ports.CacheKey{{Space: "persona"}}); got != want {
		t.Errorf("dropped %.300s, want %s", got, want)
	}
}
