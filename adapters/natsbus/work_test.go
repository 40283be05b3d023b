package natsbus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

// soon makes work of a process that died come back within a test.
const soon = 600 * time.Millisecond

func TestWorkQueue(t *testing.T) {
	t.Parallel()
	portstest.WorkQueue(t, func(t *testing.T, processes int) []ports.WorkQueue {
		url, prefix := testenv.NATS(t)
		queues := make([]ports.WorkQueue, processes)
		for i := range queues {
			queues[i] = connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}))
		}
		return queues
	})
}

func TestWorkQueueEmbedded(t *testing.T) {
	t.Parallel()
	portstest.WorkQueue(t, func(t *testing.T, processes int) []ports.WorkQueue {
		b := connected(t, start(t, natsbus.Config{DataDir: t.TempDir(), WorkWait: soon}))
		queues := make([]ports.WorkQueue, processes) // which it is to itself
		for i := range queues {
			queues[i] = b
		}
		return queues
	})
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

func workOn(t *testing.T, b *natsbus.Bus, atOnce int, do func(context.Context, string) bool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() { defer close(finished); _ = b.Work(ctx, atOnce, do) }()
	stop = func() { cancel(); <-finished }
	t.Cleanup(stop)
	return stop
}

func enqueue(t *testing.T, b *natsbus.Bus, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := b.Enqueue(t.Context(), fmt.Sprintf("0195935f-5fa5-7000-8000-%012d", i)); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

func TestWorkOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	const count = 60
	url, prefix := testenv.NATS(t)
	cfg := natsbus.Config{URL: url, SubjectPrefix: prefix, WorkWait: soon}
	dying, living := connected(t, start(t, cfg)), connected(t, start(t, cfg))
	var taken atomic.Int32
	dead := make(chan struct{})
	t.Cleanup(func() { close(dead) })
	stuck := func(_ context.Context, _ string) bool { taken.Add(1); <-dead; return false }
	go func() { _ = dying.Work(context.Background(), 5, stuck) }()
	enqueue(t, living, 0, count)
	portstest.Within(t, portstest.Patience, "it has taken what it can", func() bool { return taken.Load() == 5 })
	_ = dying.Close() // nothing is heard of it any more
	var c counted
	workOn(t, living, 4, c.do)
	portstest.Within(t, portstest.Patience, "the other does everything", func() bool { return c.count() == count })
}

func TestWorkGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL(), WorkWait: soon}))
	var c counted
	workOn(t, b, 3, c.do)
	stopWatching := b.Watch(func(string) {})
	defer stopWatching()
	enqueue(t, b, 0, 10)
	portstest.Within(t, portstest.Patience, "work is done", func() bool { return c.count() == 10 })
	server.Stop()
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	portstest.Quick(t, "Enqueue", func() {
		if err := b.Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000000"); err == nil {
			t.Error("Enqueue without a server succeeded")
		}
	})
	portstest.Quick(t, "Signal", func() { b.Signal(t.Context(), "x") })
	server.Start()
	connected(t, b)
	portstest.Within(t, portstest.Patience, "work is offered again", func() bool {
		return b.Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000099") == nil
	})
	portstest.Within(t, portstest.Patience, "work is done again", func() bool { return c.count() >= 11 })
}

func TestEnqueueAtAServerThatHangs(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	enqueue(t, b, 0, 1)
	server.Pause()
	defer server.Resume()
	began := time.Now()
	if err := b.Enqueue(t.Context(), "0195935f-5fa5-7000-8000-000000000001"); err == nil {
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
	a, b := connected(t, start(t, natsbus.Config{URL: url})), connected(t, start(t, natsbus.Config{URL: url}))
	var c counted
	workOn(t, a, 4, c.do)
	workOn(t, b, 4, c.do)
	n := 0
	portstest.Within(t, portstest.Patience, "items are done", func() bool { // those that nobody had time for are lost
		enqueue(t, a, n, n+1)
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
	if err := b.Work(t.Context(), 2, func(context.Context, string) bool { return true }); err == nil {
		t.Error("Work on a closed bus succeeded")
	}
	if err := b.Enqueue(t.Context(), "x"); err == nil {
		t.Error("Enqueue on a closed bus succeeded")
	}
	b.Watch(func(string) {})()
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
		_ = bus.Work(ctx, 4, func(context.Context, string) bool { begun <- struct{}{}; return true })
	}()
	for b.Loop() {
		if err := bus.Enqueue(ctx, "0195935f-5fa5-7000-8000-000000000001"); err != nil {
			b.Fatal(err)
		}
		<-begun
	}
	cancel()
	<-finished
}
