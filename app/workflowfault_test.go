package app_test

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// fault is what goes wrong, once.
type fault string

const (
	errorBefore fault = "error before a write" // nothing is written
	errorAfter  fault = "error after a write"  // it is written, and seems not to be
	crashBefore fault = "crash before a write"
	crashAfter  fault = "crash after a write"
	panicBefore fault = "panic before a step" // of a model or a tool
	panicAfter  fault = "panic after a step"
	killDuring  fault = "kill after a step" // all that runs is given up, and nothing is written any more
)

// faultyProcess is a process whose n-th write or step goes wrong. From a crash on it writes nothing.
type faultyProcess struct {
	*memory.WorkflowStore
	what     fault
	at       int64
	writes   atomic.Int64
	steps    atomic.Int64
	dead     atomic.Bool
	happened atomic.Bool
	kill     context.CancelCauseFunc
}

func (p *faultyProcess) Commit(ctx context.Context, c domain.WorkflowChange) error {
	if p.dead.Load() {
		return domain.WorkflowClaimed() // as nobody hears a process that is dead
	}
	n := p.writes.Add(1)
	if n != p.at || p.what != errorBefore && p.what != errorAfter && p.what != crashBefore && p.what != crashAfter {
		return p.WorkflowStore.Commit(ctx, c)
	}
	p.happened.Store(true)
	p.dead.Store(p.what == crashBefore || p.what == crashAfter)
	if p.what == errorAfter || p.what == crashAfter {
		if err := p.WorkflowStore.Commit(ctx, c); err != nil {
			return err
		}
	}
	if p.dead.Load() {
		return domain.WorkflowClaimed()
	}
	return domain.MissingPart("The database is not available", nil)
}

func (p *faultyProcess) Renew(ctx context.Context, id, runner string, until time.Time) error {
	if p.dead.Load() {
		return domain.WorkflowClaimed()
	}
	return p.WorkflowStore.Renew(ctx, id, runner, until)
}

// around does something that a model or a tool does, and lets it go wrong.
func (p *faultyProcess) around(do func()) {
	n := p.steps.Add(1)
	hit := n == p.at && !p.dead.Load()
	if hit && p.what == panicBefore {
		p.happened.Store(true)
		panic("planned")
	}
	do()
	if hit && p.what == panicAfter {
		p.happened.Store(true)
		panic("planned")
	}
	if hit && p.what == killDuring {
		p.happened.Store(true)
		p.dead.Store(true)
		p.kill(fmt.Errorf("killed"))
	}
}

// faultyRun runs a workflow with one fault, and once more from its journal until it has ended.
type faultyRun struct {
	flow     domain.Workflow
	calls    map[string]string
	most     int
	happened bool
}

func runWithFault(t *testing.T, what fault, at int64, spec domain.ToolSpec) faultyRun {
	t.Helper()
	store, tools := &memory.WorkflowStore{}, newFakeTools(spec)
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	process := func(p *faultyProcess) *app.Workflows {
		chat := &scriptedChat{answer: func(ctx context.Context, req app.ChatRequest) (a domain.Answer, err error) {
			p.around(func() { a, err = teamwork(ctx, req) })
			return a, err
		}}
		return app.NewWorkflows(app.WorkflowDeps{
			Store: p, Queue: newFakeQueue(), Chat: chat, Tools: faultyTools{tools, p}, Agents: fourAgents(), Now: now, NewID: ids2(),
			Config: app.WorkflowConfig{Lease: time.Minute},
		})
	}
	hard, kill := context.WithCancelCause(t.Context())
	p := &faultyProcess{WorkflowStore: store, what: what, at: at, kill: kill}
	w := process(p)
	flow, err := w.Start(t.Context(), ada, domain.WorkflowDraft{
		Kind: domain.WorkflowOrchestrator, Task: "x", Limits: domain.WorkflowLimits{Duration: time.Hour},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	w.WorkOn(hard, hard, flow.ID)
	w.Close()
	kill(nil)
	for range 3 {
		later.Add(int64(2 * time.Minute)) // the claim of the dead has run out
		next := process(&faultyProcess{WorkflowStore: store})
		next.WorkOn(t.Context(), t.Context(), flow.ID)
		next.Close()
	}
	flow, steps, err := store.Get(t.Context(), "ada", flow.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !flow.Status.Ended() {
		t.Errorf("it has not ended: %s", stepKeys(steps))
	}
	r := faultyRun{flow: flow, happened: p.happened.Load()}
	r.calls, r.most = tools.made()
	return r
}

type faultyTools struct {
	*fakeTools
	p *faultyProcess
}

func (f faultyTools) Call(ctx context.Context, who domain.Principal, call domain.ToolInvocation) (r domain.ToolResult, err error) {
	f.p.around(func() { r, err = f.fakeTools.Call(ctx, who, call) })
	return r, err
}

// TestFaultsChangeNothing: whatever goes wrong, wherever, a workflow comes to the same end, and the same calls are made with the same ids.
// Where the tool can't be told a second time, that end may be that its outcome is unknown, but no call is made twice.
func TestFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	once := putTool
	once.Repeatable = false
	for name, spec := range map[string]domain.ToolSpec{"repeatable": putTool, "not repeatable": once} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := runWithFault(t, "", 0, spec)
			wantFlow(t, want.flow, domain.WorkflowCompleted, "All done")
			for _, what := range []fault{errorBefore, errorAfter, crashBefore, crashAfter, panicBefore, panicAfter, killDuring} {
				every := int64(1)
				if !spec.Repeatable {
					every = 3
				}
				for at := int64(1); at <= 2*22+1; at += every {
					t.Run(fmt.Sprintf("%s %d", what, at), func(t *testing.T) {
						t.Parallel()
						got := runWithFault(t, what, at, spec)
						checkFaulty(t, got, want, spec.Repeatable)
						if isWrite := what == errorBefore || what == errorAfter || what == crashBefore || what == crashAfter; !got.happened && (isWrite || at <= 22) {
							t.Error("nothing went wrong")
						}
					})
				}
			}
		})
	}
}

func checkFaulty(t *testing.T, got, want faultyRun, repeatable bool) {
	t.Helper()
	if !repeatable && got.most > 1 {
		t.Errorf("a call was made %d times", got.most)
	}
	if !repeatable && got.flow.Status == domain.WorkflowOutcomeUnknown {
		return
	}
	if got.flow.Status != want.flow.Status || got.flow.Output != want.flow.Output || got.flow.Usage != want.flow.Usage || !maps.Equal(got.calls, want.calls) {
		t.Errorf("got %s %q %+v %v\nwant %s %q %+v %v", got.flow.Status, got.flow.Output, got.flow.Usage, got.calls,
			want.flow.Status, want.flow.Output, want.flow.Usage, want.calls)
	}
}
