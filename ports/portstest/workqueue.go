package portstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gaia/ports"
)

// WorkQueue checks everything that ports.WorkQueue demands of a bus that is there. setup makes processes on one bus, whose items come back
// soon when they are given back; it runs once for each test.
func WorkQueue(t *testing.T, setup func(t *testing.T, processes int) []ports.WorkQueue) {
	t.Helper()
	tests := map[string]func(*testing.T, func(*testing.T, int) []ports.WorkQueue){
		"each item is done once, by one of three processes":     queueShares,
		"a process does no more at a time than it may":          queueAtOnce,
		"an item that is given back is offered again":           queueAgain,
		"an item stays with a process while that is at it":      queueKeeps,
		"a process that stops leaves its items to others":       queueStops,
		"what was offered while nobody worked is there later":   queueWaits,
		"every process hears a signal, until it stops to watch": queueSignals,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup)
		})
	}
}

// workers run Work on processes until they are stopped, and count what is done.
type workers struct {
	t     *testing.T
	stops []context.CancelFunc
	all   sync.WaitGroup

	mu    sync.Mutex
	done  map[string]int // how often each item was done
	by    map[int]int    // how many each process did
	now   map[int]int    // how many each process is at
	most  int            // that one process was at
	given map[string]int // how often each item was given out
}

func work(t *testing.T, queues []ports.WorkQueue, atOnce int, do func(ctx context.Context, process int, id string) bool) *workers {
	t.Helper()
	w := &workers{t: t, done: map[string]int{}, by: map[int]int{}, now: map[int]int{}, given: map[string]int{}}
	for i, q := range queues {
		ctx, cancel := context.WithCancel(t.Context())
		w.stops = append(w.stops, cancel)
		w.all.Go(func() {
			_ = q.Work(ctx, atOnce, func(ctx context.Context, id string) bool {
				w.enter(i, id)
				done := do(ctx, i, id)
				w.leave(i, id, done)
				return done
			})
		})
	}
	t.Cleanup(w.stop)
	return w
}

func (w *workers) enter(process int, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.given[id]++
	w.now[process]++
	w.most = max(w.most, w.now[process])
}

func (w *workers) leave(process int, id string, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now[process]--
	if done {
		w.done[id]++
		w.by[process]++
	}
}

func (w *workers) stop() {
	for _, stop := range w.stops {
		stop()
	}
	w.all.Wait()
}

// wantDone waits until so many items are done, and checks that none was done twice.
func (w *workers) wantDone(items int) {
	w.t.Helper()
	Within(w.t, Patience, fmt.Sprintf("%d items are done", items), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.done) >= items
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range w.done {
		if n != 1 {
			w.t.Errorf("item %s was done %d times", id, n)
		}
	}
}

// offered waits until an item has been given out so often.
func (w *workers) offered(id string, times int) {
	w.t.Helper()
	Within(w.t, Patience, fmt.Sprintf("%s is given out %d times", id, times), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.given[id] >= times
	})
}

func offer(t *testing.T, q ports.WorkQueue, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := q.Enqueue(t.Context(), id); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

func items(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = newID()
	}
	return ids
}

func queueShares(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	const count = 200
	queues := setup(t, 3)
	w := work(t, queues, 4, func(context.Context, int, string) bool {
		time.Sleep(time.Millisecond) // it takes a moment, else one process could do all
		return true
	})
	for i, id := range items(count) {
		offer(t, queues[i%len(queues)], id)
	}
	w.wantDone(count)
	w.stop()
	for i := range queues {
		if w.by[i] == 0 {
			t.Errorf("process %d did nothing: %v", i, w.by)
		}
	}
}

func queueAtOnce(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 1)
	release := make(chan struct{})
	w := work(t, queues, 3, func(ctx context.Context, _ int, _ string) bool {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return true
	})
	offer(t, queues[0], items(7)...)
	Within(t, Patience, "three are at work", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.now[0] == 3 })
	close(release)
	w.wantDone(7)
	if w.most > 3 {
		t.Errorf("%d at a time", w.most)
	}
}

func queueAgain(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 2)
	var tries sync.Map
	w := work(t, queues, 2, func(_ context.Context, _ int, id string) bool {
		_, again := tries.LoadOrStore(id, true)
		return again
	})
	offer(t, queues[0], items(4)...)
	w.wantDone(4)
}

func queueKeeps(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 2)
	slow, fast := newID(), newID()
	release := make(chan struct{})
	w := work(t, queues, 1, func(ctx context.Context, _ int, id string) bool {
		if id == slow {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return true
	})
	offer(t, queues[0], slow)
	w.offered(slow, 1)
	const others = 14
	for range others { // the other one goes on meanwhile, for twice as long as a process without a sign of life has
		time.Sleep(500 * time.Millisecond)
		offer(t, queues[0], fast)
	}
	close(release)
	w.offered(fast, others)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.given[slow] != 1 {
		t.Errorf("it was given out %d times", w.given[slow])
	}
}

func queueStops(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 2)
	id := newID()
	first := work(t, queues[:1], 1, func(ctx context.Context, _ int, _ string) bool {
		<-ctx.Done()
		return false
	})
	offer(t, queues[1], id)
	first.offered(id, 1)
	second := work(t, queues[1:], 1, func(context.Context, int, string) bool { return true })
	first.stop()
	second.wantDone(1)
}

func queueWaits(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 2)
	offer(t, queues[0], items(5)...)
	work(t, queues[1:], 2, func(context.Context, int, string) bool { return true }).wantDone(5)
}

func queueSignals(t *testing.T, setup func(*testing.T, int) []ports.WorkQueue) {
	queues := setup(t, 3)
	heard := make([]chan string, len(queues))
	stops := make([]func(), len(queues))
	for i, q := range queues {
		heard[i] = make(chan string, 1000)
		stops[i] = q.Watch(func(id string) { heard[i] <- id })
	}
	t.Cleanup(func() {
		for _, stop := range stops {
			stop()
		}
	})
	next := func(i int) string {
		select {
		case id := <-heard[i]:
			return id
		case <-time.After(Patience):
			t.Fatal("no signal")
			return ""
		}
	}
	// A subscription reaches the server a moment after it is made.
	sync := newID()
	for i := range queues {
		Within(t, Patience, "signals are heard", func() bool {
			queues[0].Signal(t.Context(), sync)
			select {
			case <-heard[i]:
				return true
			case <-time.After(50 * time.Millisecond):
				return false
			}
		})
	}
	id := newID()
	queues[1].Signal(t.Context(), id)
	for i := range queues {
		for next(i) != id { // what came before are those from above
		}
	}
	stops[0]()
	last := newID()
	queues[1].Signal(t.Context(), last)
	for next(2) != last {
	}
	for range len(heard[0]) { // one of those from above may have been on its way still
		if next(0) == last {
			t.Error("a signal after the end")
		}
	}
}
