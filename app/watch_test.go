package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// workWatcher takes down which work begins and ends, and of what traces stores are called meanwhile.
type workWatcher struct {
	mu   sync.Mutex
	seen []string
}

func (w *workWatcher) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, fmt.Sprintf(format, args...))
}

func (w *workWatcher) watch(ctx context.Context, trace, kind string) (context.Context, func(error)) {
	w.note("%s of %s", kind, trace)
	return domain.WithTrace(ctx, "within "+trace), func(err error) { w.note("end: %v", err) }
}

func (w *workWatcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// tracedGenerations notes the traces of calls.
type tracedGenerations struct {
	ports.GenerationStore
	w *workWatcher
}

func (s tracedGenerations) Commit(ctx context.Context, c domain.GenerationChange) (int, error) {
	if c.Generation.Status.Ended() {
		s.w.note("stored %s", domain.TraceOf(ctx))
	}
	return s.GenerationStore.Commit(ctx, c)
}

func (s tracedGenerations) Renew(ctx context.Context, id, runner string, until time.Time) error {
	if trace := domain.TraceOf(ctx); trace != "" { // it would drown what is done
		s.w.note("renewed %s", trace)
	}
	return s.GenerationStore.Renew(ctx, id, runner, until)
}

// Work is done in the trace of who asked for it, whichever process does it and whenever; what keeps the claim is no part of it.
func TestGenerationsAreOfTheTraceThatAskedForThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails bool
		end   string
	}{"it is made": {false, "<nil>"}, "it fails": {true, "the work has failed"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, one := &workWatcher{}, newOutside("make")
				one.checks = 10 // longer than a claim
				if c.fails {
					one.begin = func(domain.GenerationOrder) error { return domain.NewError(domain.BadRequest, "No") }
				}
				b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) {
					d.Watch, d.Store = w.watch, tracedGenerations{d.Store, w}
				})
				defer b.work(t.Context())()
				result, err := b.Generate(domain.WithTrace(t.Context(), "a"), ada, "", noWait(), "req-1")
				if err != nil {
					t.Fatal(err)
				}
				b.ended(t, result.Generation.ID)
				synctest.Wait()
				if got, want := w.take(), []string{"generation of a", "stored within a", "end: " + c.end}; !slices.Equal(got, want) {
					t.Errorf("seen was %q, want %q", got, want)
				}
			})
		})
	}
}

// A process that stops gives work back: the next one goes on in the same trace.
func TestGenerationsThatGoOnElsewhereStayInTheirTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, one := &workWatcher{}, newOutside("make")
		one.checks = 10
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Watch = w.watch })
		stop := b.work(t.Context())
		result, err := b.Generate(domain.WithTrace(t.Context(), "a"), ada, "", noWait(), "req-1")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // in the bubble
		stop()
		b.Close()
		if got, want := w.take(), []string{"generation of a", "end: The server stops"}; !slices.Equal(got, want) {
			t.Errorf("seen was %q, want %q", got, want)
		}
		b.begin()
		defer b.work(t.Context())()
		b.ended(t, result.Generation.ID)
		synctest.Wait()
		if got, want := w.take(), []string{"generation of a", "end: <nil>"}; !slices.Equal(got, want) {
			t.Errorf("then seen was %q, want %q", got, want)
		}
	})
}

func TestWorkflowsAreOfTheTraceThatAskedForThem(t *testing.T) {
	t.Parallel()
	w := &workWatcher{}
	b := newFlows(t, func(ctx context.Context, _ app.ChatRequest) (domain.Answer, error) {
		w.note("chat %s", domain.TraceOf(ctx))
		return domain.Answer{Content: "done"}, nil
	}, func(d *app.WorkflowDeps) { d.Watch = w.watch })
	draft := domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "Do it"}
	flow, err := b.Start(domain.WithTrace(t.Context(), "a"), ada, draft, "")
	if err != nil {
		t.Fatal(err)
	}
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	if got, want := w.take(), []string{"workflow of a", "chat within a", "end: <nil>"}; !slices.Equal(got, want) {
		t.Errorf("seen was %q, want %q", got, want)
	}
	b.play(t, draft)
	if got, want := w.take(), []string{"workflow of ", "chat within ", "end: <nil>"}; !slices.Equal(got, want) {
		t.Errorf("of nobody's trace: seen was %q, want %q", got, want)
	}
}
