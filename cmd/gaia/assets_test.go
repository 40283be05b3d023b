package main

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
)

// handingOut is a queue that says how long it hands out work.
type handingOut struct {
	mu     sync.Mutex
	atWork bool
}

func (q *handingOut) set(atWork bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.atWork = atWork
}

func (q *handingOut) is() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.atWork
}

func (*handingOut) Enqueue(context.Context, string) error { return nil }
func (*handingOut) Signal(context.Context, string)        {}
func (*handingOut) Watch(func(string)) (stop func())      { return func() {} }

func (q *handingOut) Work(ctx context.Context, _ int, _ func(context.Context, string) bool) error {
	q.set(true)
	<-ctx.Done()
	q.set(false)
	return nil
}

// While requests are drained no work on assets is taken any more.
func TestNoAssetsAreBegunWhileTheProcessStops(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*system){
		"told to stop":  func(s *system) { close(s.stopping) },
		"without drain": func(s *system) { s.close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stored, queue := &memory.AssetStore{}, &handingOut{}
				assets, err := app.NewAssets(app.AssetDeps{
					Store: stored, Leases: stored, Blobs: &memory.BlobStore{}, Now: time.Now, NewID: newID, Config: app.AssetConfig{LinkSecret: []byte("secret")},
				})
				if err != nil {
					t.Fatal(err)
				}
				generations := app.NewGenerations(app.GenerationDeps{Store: &memory.GenerationStore{}, Queue: queue, Now: time.Now, NewID: newID})
				s := &system{stopping: make(chan struct{})}
				s.runAssets(config{MaxGenerations: 1}, false, assetUses{assets, generations})
				if synctest.Wait(); !queue.is() {
					t.Error("nothing is taken at the start")
				}
				end(s)
				if synctest.Wait(); queue.is() {
					t.Error("work is taken all the same")
				}
				if name != "without drain" {
					s.close()
				}
			})
		})
	}
}

func TestWorkInTheBackgroundEndsBeforeAnythingIsWaitedFor(t *testing.T) {
	t.Parallel()
	var order []string
	note := func(what string) func() { return func() { order = append(order, what) } }
	var s system
	s.onClose(note("database"))
	for _, name := range []string{"workflows", "assets"} {
		s.onEnd(note("end " + name))
		s.onClose(note(name))
	}
	s.close()
	if want := []string{"end workflows", "end assets", "assets", "workflows", "database"}; !slices.Equal(order, want) {
		t.Errorf("got %q, want %q", order, want)
	}
}
