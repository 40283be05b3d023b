package tiercache_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gaia/adapters/natsbus"
	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// replica is what one process has, on servers that may fail. Its limits are those of production, except that entries age faster.
type replica struct {
	*tiercache.Cache
	redis *rediskv.Client
	bus   *natsbus.Bus
}

func newReplica(t *testing.T, redis, nats *testenv.Server) replica {
	t.Helper()
	r := replica{redis: openRedis(t, rediskv.Config{URL: redis.URL()})}
	cfg := tiercache.Config{Remote: r.redis, MaxAge: maxAge}
	if nats != nil {
		r.bus = openBus(t, nats.URL(), "")
		cfg.Bus = r.bus
	}
	r.Cache = newCache(t, cfg)
	r.recovered(t)
	return r
}

// recovered waits until all parts are there.
func (r replica) recovered(t *testing.T) {
	t.Helper()
	healthy(t, r.redis)
	if r.bus != nil {
		healthy(t, r.bus)
	}
}

// change is a write: the truth first, the caches afterwards.
func (s *store) change(t *testing.T, c ports.Cache, value string) {
	t.Helper()
	s.set(value)
	portstest.Quick(t, "Invalidate", func() { c.Invalidate(t.Context(), list, lists) })
	portstest.Quick(t, "Fetch", func() {
		if got, _ := s.fetch(t, c); got != value {
			t.Errorf("after a change to %q: %q", value, got)
		}
	})
}

// soon waits until a replica has the value, for as long as the contract allows, and then for it to stay.
func (s *store) soon(t *testing.T, limit time.Duration, c ports.Cache, want string) {
	t.Helper()
	portstest.Within(t, limit, "the value is "+want, func() bool {
		var got string
		portstest.Quick(t, "Fetch", func() { got, _ = s.fetch(t, c) })
		return got == want
	})
	for range 10 {
		if got, _ := s.fetch(t, c); got != want {
			t.Errorf("the value went from %q back to %q", want, got)
		}
	}
}

// fault is a way in which a server fails and comes back.
type fault struct {
	name       string
	away, back func(*testenv.Server)
}

var faults = []fault{
	{"stops", (*testenv.Server).Stop, (*testenv.Server).Start},
	{"hangs", (*testenv.Server).Pause, (*testenv.Server).Resume},
}

func eachFault(t *testing.T, test func(t *testing.T, f fault)) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

const (
	maxAge = time.Second
	// The port gives a change one second to reach another process, and five while the bus is away. The rest is for a busy machine, which
	// may be late with some of many changes.
	prompt  = time.Second
	told    = 4 * time.Second
	untold  = 10 * time.Second
	changes = 20
	late    = changes / 4
)

// spread makes many changes at one replica. Another must see each of them, and most of them promptly.
func (s *store) spread(t *testing.T, from, to replica, what string) {
	t.Helper()
	slow := 0
	for n := range changes {
		value := fmt.Sprint(what, " ", n)
		began := time.Now()
		s.change(t, from, value)
		s.soon(t, told, to, value)
		if time.Since(began) > prompt {
			slow++
		}
	}
	if slow > late {
		t.Errorf("%s: %d of %d changes took longer than %v", what, slow, changes, prompt)
	}
}

func TestRedisFails(t *testing.T) {
	t.Parallel()
	eachFault(t, func(t *testing.T, f fault) {
		redis, nats := testenv.StartRedis(t), testenv.StartNATS(t)
		a, b := newReplica(t, redis, nats), newReplica(t, redis, nats)
		var truth store
		truth.change(t, a, "0")
		truth.soon(t, told, b, "0")
		f.away(redis)
		truth.spread(t, a, b, "while away")
		f.back(redis)
		truth.spread(t, b, a, "after return")
		a.recovered(t)
		b.recovered(t)
		truth.sharesAgain(t, redis, nats, a)
	})
}

// sharesAgain checks that a new process finds in Redis what another has loaded.
func (s *store) sharesAgain(t *testing.T, redis, nats *testenv.Server, a replica) {
	t.Helper()
	n := 0
	portstest.Within(t, portstest.Patience, "a new process finds the value in Redis", func() bool {
		n++
		value := fmt.Sprint("shared ", n)
		s.change(t, a, value)
		got, hit := s.fetch(t, newReplica(t, redis, nats))
		if got != value {
			t.Errorf("a new process got %q, want %q", got, value)
		}
		return hit
	})
}

func TestChangeWhileRedisIsAwayIsDeliveredBeforeItIsUsedAgain(t *testing.T) {
	t.Parallel()
	eachFault(t, func(t *testing.T, f fault) {
		// Without a bus nobody else helps: the replica that made the change has to deliver it.
		redis := testenv.StartRedis(t)
		a, b := newReplica(t, redis, nil), newReplica(t, redis, nil)
		var truth store
		truth.change(t, a, "old")
		truth.soon(t, untold, b, "old")
		f.away(redis)
		truth.change(t, a, "new")
		truth.soon(t, untold, b, "new")
		f.back(redis)
		// Long enough for b to ask Redis again when its own entry has aged.
		for end := time.Now().Add(2*maxAge + time.Second); time.Now().Before(end); {
			for _, c := range []replica{a, b} {
				if got, _ := truth.fetch(t, c); got != "new" {
					t.Fatalf("after the return of Redis: %q", got)
				}
			}
		}
	})
}

func TestNATSFails(t *testing.T) {
	t.Parallel()
	eachFault(t, func(t *testing.T, f fault) {
		redis, nats := testenv.StartRedis(t), testenv.StartNATS(t)
		a, b := newReplica(t, redis, nats), newReplica(t, redis, nats)
		var truth store
		truth.change(t, a, "0")
		truth.soon(t, told, b, "0")
		f.away(nats)
		truth.change(t, a, "while away")
		truth.soon(t, untold, b, "while away")
		truth.change(t, b, "while away, second")
		truth.soon(t, untold, a, "while away, second")
		truth.change(t, a, "just before the return")
		f.back(nats)
		truth.soon(t, untold, b, "just before the return")
		a.recovered(t)
		b.recovered(t)
		truth.change(t, b, "after the return")
		truth.soon(t, told, a, "after the return")
	})
}

func TestBothFail(t *testing.T) {
	t.Parallel()
	eachFault(t, func(t *testing.T, f fault) {
		redis, nats := testenv.StartRedis(t), testenv.StartNATS(t)
		a, b := newReplica(t, redis, nats), newReplica(t, redis, nats)
		var truth store
		truth.change(t, a, "0")
		truth.soon(t, told, b, "0")
		f.away(redis)
		f.away(nats)
		truth.change(t, a, "while away")
		truth.soon(t, untold, b, "while away")
		truth.change(t, b, "just before the return")
		f.back(redis)
		f.back(nats)
		truth.soon(t, untold, a, "just before the return")
		truth.soon(t, untold, b, "just before the return")
		a.recovered(t)
		b.recovered(t)
		truth.change(t, b, "after the return")
		truth.soon(t, told, a, "after the return")
	})
}

// TestNeverGoesBack lets replicas read and change one key while Redis comes and goes. A replica that changes a value and reads it
// must not get an older one.
func TestNeverGoesBack(t *testing.T) {
	t.Parallel()
	redis, nats := testenv.StartRedis(t), testenv.StartNATS(t)
	replicas := []replica{newReplica(t, redis, nats), newReplica(t, redis, nats), newReplica(t, redis, nats)}
	var truth numbers
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, r := range replicas {
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						truth.check(t, r)
					}
				}
			})
		}
	}
	for range 3 {
		for _, f := range faults {
			f.away(redis)
			truth.goOn(t, 500)
			f.back(redis)
			replicas[0].recovered(t)
			truth.goOn(t, 5000) // beyond the moment when Redis is used again
		}
	}
	close(stop)
	all.Wait()
}

// numbers is a truth that only grows.
type numbers struct {
	store
	last int
}

// goOn waits for some more changes.
func (n *numbers) goOn(t *testing.T, changes int) {
	t.Helper()
	count := func() int {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.last
	}
	before := count()
	portstest.Within(t, time.Minute, "the replicas go on", func() bool { return count() >= before+changes })
}

func (n *numbers) check(t *testing.T, c ports.Cache) {
	n.mu.Lock()
	n.last++
	mine := n.last
	n.value = fmt.Sprintf("%09d", mine)
	n.mu.Unlock()
	c.Invalidate(t.Context(), list)
	if got, _ := n.fetch(t, c); got < fmt.Sprintf("%09d", mine) {
		t.Errorf("wrote %d, then read %s", mine, got)
	}
}

// What was announced once is announced again and again, late and in any order, by somebody who listens and has nothing to do with the data. The
// replicas drop more than they need, and never go back.
func TestNeverGoesBackAtAnEcho(t *testing.T) {
	t.Parallel()
	redis, nats := testenv.StartRedis(t), testenv.StartNATS(t)
	replicas := []replica{newReplica(t, redis, nats), newReplica(t, redis, nats)}
	echo(t, nats.URL())
	var truth numbers
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, r := range replicas {
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						truth.check(t, r)
					}
				}
			})
		}
	}
	truth.goOn(t, 2000)
	nats.Stop()
	truth.goOn(t, 500)
	nats.Start()
	truth.goOn(t, 2000)
	close(stop)
	all.Wait()
	for _, r := range replicas { // an echo of before must not bring back what was before
		truth.soon(t, told, r, truth.value)
	}
}

// echo repeats announcements of others, those of a while ago among those of now.
func echo(t *testing.T, url string) {
	t.Helper()
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	var heard [][]byte
	_, err = conn.Subscribe("gaia.cache.invalidate", func(m *nats.Msg) {
		if m.Header.Get("Echo") != "" {
			return
		}
		if heard = append(heard, m.Data); len(heard) > 1000 {
			heard[rand.IntN(len(heard)-1)] = m.Data
			heard = heard[:1000]
		}
		for range 3 {
			_ = conn.PublishMsg(&nats.Msg{Subject: m.Subject, Header: nats.Header{"Echo": {"1"}}, Data: heard[rand.IntN(len(heard))]})
		}
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}
