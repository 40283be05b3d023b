package natsbus_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gaia/adapters/natsbus"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// soon makes work of a process that died come back within a test, and not that of one that had no processor for a moment.
const soon = 3 * time.Second

// queuesOf are the queues of a bus, by their kinds.
func queuesOf(b *natsbus.Bus) map[string]ports.WorkQueue {
	return map[string]ports.WorkQueue{"workflows": b.Workflows(), "generations": b.Generations()}
}

func TestWorkQueue(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"workflows", "generations"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			portstest.WorkQueue(t, func(t *testing.T, processes int) []ports.WorkQueue {
				url, prefix := testenv.NATS(t)
				queues := make([]ports.WorkQueue, processes)
				for i := range queues {
					queues[i] = queuesOf(connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}.Patient())))[kind]
				}
				return queues
			})
		})
	}
}

func TestWorkQueueEmbedded(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"workflows", "generations"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			portstest.WorkQueue(t, func(t *testing.T, processes int) []ports.WorkQueue {
				b := connected(t, start(t, natsbus.Config{DataDir: t.TempDir(), WorkWait: soon}.Patient()))
				queues := make([]ports.WorkQueue, processes) // which it is to itself
				for i := range queues {
					queues[i] = queuesOf(b)[kind]
				}
				return queues
			})
		})
	}
}

// Items and signals of one kind never reach those who wait for the other, with a stream and without.
func TestWorkQueuesAreApart(t *testing.T) {
	t.Parallel()
	servers := map[string]func(t *testing.T) natsbus.Config{
		"stream": func(t *testing.T) natsbus.Config {
			url, prefix := testenv.NATS(t)
			return natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}.Patient()
		},
		"embedded": func(t *testing.T) natsbus.Config {
			return natsbus.Config{DataDir: t.TempDir(), WorkWait: soon}.Patient()
		},
		"streamless": func(t *testing.T) natsbus.Config { return natsbus.Config{URL: coreServer(t)}.Patient() },
	}
	for name, config := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queues := queuesOf(connected(t, start(t, config(t))))
			done, heard := map[string]*counted{}, map[string]*counted{}
			for kind, q := range queues {
				done[kind], heard[kind] = &counted{}, &counted{}
				workOn(t, q, 3, done[kind].do)
				t.Cleanup(q.Watch(func(id string) { heard[kind].do(t.Context(), id) }))
			}
			n := 0
			portstest.Within(t, portstest.Patience, "items and signals arrive", func() bool { // without a stream some find nobody
				for kind, q := range queues {
					id := fmt.Sprintf("%s-%d", kind, n)
					if err := q.Enqueue(t.Context(), id); err != nil {
						t.Fatalf("Enqueue: %v", err)
					}
					q.Signal(t.Context(), id)
				}
				n++
				return done["workflows"].count() >= 20 && done["generations"].count() >= 20 &&
					heard["workflows"].count() >= 20 && heard["generations"].count() >= 20
			})
			for kind := range queues {
				for what, c := range map[string]*counted{"item": done[kind], "signal": heard[kind]} {
					c.mu.Lock()
					for id := range c.done {
						if !strings.HasPrefix(id, kind) {
							t.Errorf("%s got %s %s", kind, what, id)
						}
					}
					c.mu.Unlock()
				}
			}
		})
	}
}

// A stream that an older Gaia made stays as it is, with what it holds, beside the one for generations.
func TestWorkStreamOfAnOlderGaia(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	js, err := jetstream.New(connectTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	name := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix})).WorkStream()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: name, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, MaxAge: 24 * time.Hour, MaxBytes: 16 << 20,
		Subjects: []string{prefix + "gaia.work.offered"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: soon, MaxDeliver: -1, MaxAckPending: 10_000,
		FilterSubject: prefix + "gaia.work.offered",
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), prefix+"gaia.work.offered", []byte(`{"workflow_id":"old"}`)); err != nil {
		t.Fatal(err)
	}
	before, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}.Patient()))
	var flows, generations counted
	workOn(t, b.Generations(), 2, generations.do)
	enqueue(t, b.Generations(), 0, 5)
	workOn(t, b.Workflows(), 2, flows.do)
	enqueue(t, b.Workflows(), 5, 9)
	portstest.Within(t, portstest.Patience, "work is done", func() bool { return flows.count() == 5 && generations.count() == 5 })
	if flows.done["old"] != 1 {
		t.Errorf("done are %v", flows.done)
	}
	after, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before.Config, after.Config) {
		t.Errorf("the stream was %+v and is %+v", before.Config, after.Config)
	}
}

// counted does items and remembers how often.
type counted struct {
	mu   sync.Mutex
	done map[string]int
}

func (c *counted) do(_ context.Context, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = map[string]int{}
	}
	c.done[id]++
	return true
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.done)
}

func (c *counted) times(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done[id]
}

func workOn(t *testing.T, q ports.WorkQueue, atOnce int, do func(context.Context, string) bool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() { defer close(finished); _ = q.Work(ctx, atOnce, do) }()
	stop = func() { cancel(); <-finished }
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, q ports.WorkQueue, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := q.Enqueue(t.Context(), fmt.Sprintf("0195935f-5fa5-7000-8000-%012d", i)); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

func TestWorkOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	const count = 60
	url, prefix := testenv.NATS(t)
	cfg := natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}.Patient()
	dying, living := connected(t, start(t, cfg)), connected(t, start(t, cfg))
	var taken atomic.Int32
	dead := make(chan struct{})
	t.Cleanup(func() { close(dead) })
	stuck := func(_ context.Context, _ string) bool { taken.Add(1); <-dead; return false }
	go func() { _ = dying.Workflows().Work(context.Background(), 5, stuck) }()
	enqueue(t, living.Workflows(), 0, count)
	portstest.Within(t, portstest.Patience, "it has taken what it can", func() bool { return taken.Load() == 5 })
	_ = dying.Close() // nothing is heard of it any more
	var c counted
	workOn(t, living.Workflows(), 4, c.do)
	portstest.Within(t, portstest.Patience, "the other does everything", func() bool { return c.count() == count })
}

func TestWorkGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL(), WorkWait: soon}.Patient()))
	var c counted
	workOn(t, b.Workflows(), 3, c.do)
	stopWatching := b.Workflows().Watch(func(string) {})
	defer stopWatching()
	enqueue(t, b.Workflows(), 0, 10)
	portstest.Within(t, portstest.Patience, "work is done", func() bool { return c.count() == 10 })
	server.Stop()
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	portstest.Quick(t, "Enqueue", func() {
		if err := b.Workflows().Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000000"); err == nil {
			t.Error("Enqueue without a server succeeded")
		}
	})
	portstest.Quick(t, "Signal", func() { b.Workflows().Signal(t.Context(), "x") })
	server.Start()
	connected(t, b)
	portstest.Within(t, portstest.Patience, "work is offered again", func() bool {
		return b.Workflows().Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000099") == nil
	})
	portstest.Within(t, portstest.Patience, "work is done again", func() bool { return c.count() >= 11 })
}

func TestEnqueueAtAServerThatHangs(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	portstest.Within(t, portstest.Patience, "work is offered", func() bool { // in the half second that this may take
		return b.Workflows().Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000000") == nil
	})
	server.Pause()
	defer server.Resume()
	began := time.Now()
	if err := b.Workflows().Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000001"); err == nil {
		t.Error("Enqueue at a server that hangs succeeded")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Enqueue took %v", took)
	}
}

// Without JetStream items reach who has time at the moment, once.
func TestWorkWithoutJetStream(t *testing.T) {
	t.Parallel()
	url := coreServer(t)
	cfg := natsbus.Config{URL: url}.Patient()
	a, b := connected(t, start(t, cfg)), connected(t, start(t, cfg))
	var c counted
	workOn(t, a.Workflows(), 4, c.do)
	workOn(t, b.Workflows(), 4, c.do)
	n := 0
	portstest.Within(t, portstest.Patience, "items are done", func() bool { // those that nobody had time for are lost
		enqueue(t, a.Workflows(), n, n+1)
		n++
		return c.count() >= 20
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, times := range c.done {
		if times != 1 {
			t.Errorf("%s was done %d times", id, times)
		}
	}
}

func TestWorkEndsWithTheBus(t *testing.T) {
	t.Parallel()
	b := connected(t, start(t, natsbus.Config{DataDir: t.TempDir()}))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Workflows().Work(t.Context(), 2, func(context.Context, string) bool { return true }); err == nil {
		t.Error("Work on a closed bus succeeded")
	}
	if err := b.Workflows().Enqueue(t.Context(), "x"); err == nil {
		t.Error("Enqueue on a closed bus succeeded")
	}
	b.Workflows().Watch(func(string) {})()
}

// BenchmarkWork is the time from Enqueue to the moment at which somebody does the item.
func BenchmarkWork(b *testing.B) {
	bus, err := natsbus.Start(b.Context(), natsbus.Config{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	portstest.Within(b, portstest.Patience, "the bus is connected", bus.Connected)
	ctx, cancel := context.WithCancel(b.Context())
	begun, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		_ = bus.Workflows().Work(ctx, 4, func(context.Context, string) bool { begun <- struct{}{}; return true })
	}()
	for b.Loop() {
		if err := bus.Workflows().Enqueue(ctx, "0195935f-5fa5-7000-8000-000000000001"); err != nil {
			b.Fatal(err)
		}
		<-begun
	}
	cancel()
	<-finished
}
