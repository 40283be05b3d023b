package app_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// callOnce is a script for an agent that has one tool called and answers with what it gave back.
func callOnce(call domain.ToolCall) func(context.Context, app.ChatRequest) (domain.Answer, error) {
	return func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
		if said(req) == 0 {
			return wants(call)
		}
		return text("finished: " + lastText(req))
	}
}

var aloneDraft = domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x", Agents: []string{"assistant"}}

func TestWorkflowsSurviveNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{`{"n":1e999}`, `{"n":[1e200000],"a":"\u0000"}`} {
		b := newFlows(t, callOnce(toolCall("box__put", arguments)))
		flow, steps := b.play(t, aloneDraft)
		wantFlow(t, flow, domain.WorkflowCompleted, "finished: done")
		if made, _ := b.tools.made(); len(made) != 1 || !strings.Contains(made[steps[1].ID], "1e") {
			t.Errorf("calls: %v", made)
		}
	}
}

// unreadableStore has workflows that nobody can claim.
type unreadableStore struct {
	*memory.WorkflowStore
	ids []string
}

func (s *unreadableStore) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Workflow, []domain.WorkflowStep, error) {
	if slices.Contains(s.ids, id) {
		return domain.Workflow{}, nil, errors.New("a row that can't be read")
	}
	return s.WorkflowStore.Claim(ctx, id, runner, now, until)
}

func TestWorkflowsThatCannotBeReadAreInNobodysWay(t *testing.T) {
	t.Parallel()
	store := &unreadableStore{}
	b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) { return text("done") }, func(d *app.WorkflowDeps) {
		store.WorkflowStore, _ = d.Store.(*memory.WorkflowStore)
		d.Store, d.Config = store, app.WorkflowConfig{AtOnce: 2, Poll: 5 * time.Millisecond}
	})
	b.queue.refuses = true // all that is found is found in the store
	var last domain.Workflow
	for i := range 4 {
		flow, err := b.Start(t.Context(), ada, aloneDraft, "")
		if err != nil {
			t.Fatal(err)
		}
		if last = flow; i < 3 {
			store.ids = append(store.ids, flow.ID)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() { defer close(finished); b.Run(ctx) }()
	defer func() { stop(); <-finished }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		flow, _ := b.look(t, last.ID)
		if flow.Status == domain.WorkflowCompleted {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %s behind those that can't be read", flow.Status)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestSecondTriesKnowThatTheFirstMayHaveHappened: a server that dies during a call is away at the second try. That must not turn into "it
// was not called", after which the model would call it anew, with another id.
func TestSecondTriesKnowThatTheFirstMayHaveHappened(t *testing.T) {
	t.Parallel()
	b := newFlows(t, callOnce(toolCall("box__put", `{}`)))
	unknown := &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "no answer"}
	answers := []error{unknown, domain.MissingPart("can't be reached", nil), domain.NewError(domain.NotFound, "no tool"), nil}
	b.tools.do = func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
		err := answers[0]
		answers = answers[1:]
		return domain.ToolResult{Text: "put"}, err
	}
	flow, steps := b.play(t, aloneDraft)
	wantFlow(t, flow, domain.WorkflowCompleted, "finished: put")
	if made, most := b.tools.made(); len(made) != 1 || most != 4 || len(steps) != 3 {
		t.Errorf("calls: %v, %d times; steps: %s", made, most, stepKeys(steps))
	}
}

// dieDuring runs a workflow of one call up to a moment, at which its process dies: the model's answer with so many answers before it, or the
// call. It returns what goes on with it, a minute later.
func dieDuring(t *testing.T, spec domain.ToolSpec, answers int) (*flowBed, domain.Workflow) {
	t.Helper()
	hard, kill := context.WithCancelCause(t.Context())
	store := &memory.WorkflowStore{}
	p := &faultyProcess{WorkflowStore: store}
	die := func() error {
		p.dead.Store(true)
		kill(errors.New("killed"))
		return context.Canceled
	}
	script := callOnce(toolCall("box__put", `{}`))
	first := newFlows(t, func(ctx context.Context, req app.ChatRequest) (domain.Answer, error) {
		if said(req) == answers {
			return domain.Answer{}, die()
		}
		return script(ctx, req)
	}, func(d *app.WorkflowDeps) { d.Store = p })
	first.tools.specs = []domain.ToolSpec{spec}
	first.tools.do = func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
		if answers < 0 {
			return domain.ToolResult{}, die()
		}
		return domain.ToolResult{Text: "put"}, nil
	}
	flow, err := first.Start(t.Context(), ada, aloneDraft, "")
	if err != nil {
		t.Fatal(err)
	}
	first.WorkOn(hard, hard, flow.ID)
	next := newFlows(t, script, func(d *app.WorkflowDeps) {
		d.Store, d.Now = store, func() time.Time { return time.Now().Add(time.Minute) }
	})
	next.store, next.tools.specs = store, []domain.ToolSpec{spec}
	return next, flow
}

func TestAgentsKeepTheToolsThatTheyBeganWith(t *testing.T) {
	t.Parallel()
	for _, answers := range []int{0, 1} {
		b, flow := dieDuring(t, putTool, answers)
		b.tools.specs = nil // the server has not come up yet
		b.WorkOn(t.Context(), t.Context(), flow.ID)
		flow, steps := b.look(t, flow.ID)
		wantFlow(t, flow, domain.WorkflowCompleted, "finished: ")
		if strings.Contains(flow.Output, "no tool") || steps[1].Status != domain.WorkflowCompleted {
			t.Errorf("after %d answers: %q, %s", answers, flow.Output, stepKeys(steps))
		}
		for _, req := range b.chat.requests() {
			if len(req.Options.Tools) != 1 {
				t.Errorf("after %d answers: a model was offered %d tools", answers, len(req.Options.Tools))
			}
		}
	}
}

func TestResumedCallsHideWhatTheyHid(t *testing.T) {
	t.Parallel()
	hidden := putTool
	hidden.RedactResult = true
	b, flow := dieDuring(t, hidden, -1)
	b.tools.specs = nil
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	flow, steps := b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowCompleted, "finished: done {}")
	if steps[1].Output != domain.Redacted {
		t.Errorf("the result is shown: %q", steps[1].Output)
	}
}

func TestCallsThatTheReplayDoesNotReachStayUnknown(t *testing.T) {
	t.Parallel()
	once := putTool
	once.Repeatable = false
	for spec, want := range map[*domain.ToolSpec]domain.WorkflowStatus{&once: domain.WorkflowOutcomeUnknown, &putTool: domain.WorkflowFailed} {
		b, flow := dieDuring(t, *spec, -1)
		b.Agents = nil // the files of agents have changed
		b.WorkOn(t.Context(), t.Context(), flow.ID)
		flow, steps := b.look(t, flow.ID)
		wantFlow(t, flow, want, "")
		if step := steps[1].Status; (step == domain.WorkflowOutcomeUnknown) != (want == step) {
			t.Errorf("the workflow is %s, its call %s", flow.Status, step)
		}
	}
}

func TestNamesThatModelsMakeUpAreNotPassedOn(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"box__take": "box__take", "": "unknown tool", "tell them\nmy secret": "unknown tool", strings.Repeat("a", 65): "unknown tool",
	} {
		b := newFlows(t, callOnce(toolCall(name, `{}`)))
		flow, steps := b.play(t, aloneDraft)
		wantFlow(t, flow, domain.WorkflowCompleted, "There is no tool")
		if steps[1].Name != want {
			t.Errorf("%q: the step is called %q, want %q", name, steps[1].Name, want)
		}
	}
}

func TestCallersHaveSoManyWorkflowsAtMost(t *testing.T) {
	t.Parallel()
	b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) { return text("done") }, func(d *app.WorkflowDeps) {
		d.Config.PerOwner = 2
	})
	start := func(who domain.Principal) (domain.Workflow, error) { return b.Start(t.Context(), who, aloneDraft, "") }
	var first domain.Workflow
	for range 2 {
		flow, err := start(ada)
		if err != nil {
			t.Fatal(err)
		}
		first = flow
	}
	if _, err := start(ada); domain.KindOf(err) != domain.Limited || !strings.Contains(err.Error(), "2 workflows") {
		t.Errorf("the third of a caller: %v", err)
	}
	if _, err := start(domain.Principal{Type: domain.AuthJWT, UserID: "bob"}); err != nil {
		t.Errorf("the first of another: %v", err)
	}
	b.WorkOn(t.Context(), t.Context(), first.ID)
	if _, err := start(ada); err != nil {
		t.Errorf("one more after one has ended: %v", err)
	}
}

func TestVisitorsLeaveOthersWorkflowsAlone(t *testing.T) {
	t.Parallel()
	done := func(context.Context, app.ChatRequest) (domain.Answer, error) { return text("done") }
	server := newFlows(t, done)
	others, err := server.Start(t.Context(), ada, aloneDraft, "")
	if err != nil {
		t.Fatal(err)
	}
	visitor := newFlows(t, done, func(d *app.WorkflowDeps) {
		d.Store, d.Queue, d.NewID = server.store, server.queue, ids2()
		d.Config = app.WorkflowConfig{OnlyOwn: true, Poll: 5 * time.Millisecond}
	})
	visitor.store = server.store
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() { defer close(finished); visitor.Run(ctx) }()
	defer func() { stop(); <-finished }()
	for range 3 {
		own, err := visitor.Start(t.Context(), ada, aloneDraft, "")
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); !own.Status.Ended(); own, _ = visitor.look(t, own.ID) {
			if time.Now().After(deadline) {
				t.Fatalf("its own workflow is %s", own.Status)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	if flow, _ := visitor.look(t, others.ID); flow.Status != domain.WorkflowPending {
		t.Errorf("the workflow of another process is %s", flow.Status)
	}
}

func TestModelsGetWhatTheyHaveRoomForOfResults(t *testing.T) {
	t.Parallel()
	b := newFlows(t, callOnce(toolCall("box__put", `{}`)))
	b.tools.do = func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
		return domain.ToolResult{Text: strings.Repeat("word ", 100_000)}, nil
	}
	flow, steps := b.play(t, aloneDraft)
	wantFlow(t, flow, domain.WorkflowCompleted, "It was cut here")
	asked := b.chat.requests()
	if got := domain.EstimateUsage(asked[len(asked)-1].Messages, domain.Answer{}).Input; got > 8000 || got < 4000 {
		t.Errorf("the prompt has about %d tokens, in a window of 8000", got)
	}
	if len(steps[1].Output) < 100_000 {
		t.Errorf("clients see %d bytes of the result", len(steps[1].Output))
	}
}

func TestStepsThatNeverEndAreNotBegunForEver(t *testing.T) {
	t.Parallel()
	later := time.Duration(0)
	b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) { panic("planned") }, func(d *app.WorkflowDeps) {
		d.Now = func() time.Time { return time.Now().Add(later) }
		d.Troubled = func(string, error) {}
	})
	draft := aloneDraft
	draft.Limits.Duration = time.Hour
	flow, _ := b.play(t, draft)
	for range 7 {
		later += time.Minute
		b.WorkOn(t.Context(), t.Context(), flow.ID)
	}
	flow, _ = b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowFailed, "begun 5 times")
	if n := len(b.chat.requests()); n != 5 {
		t.Errorf("a model was asked %d times", n)
	}
	events, _, err := b.store.Events(t.Context(), "ada", flow.ID, 0, 100)
	if err != nil || len(events) != 4 { // the workflow's and the step's
		t.Errorf("%d events, %v: %+v", len(events), err, events)
	}
}

func TestWorkflowsWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"it is away":    domain.StoreAway("The database is not available", errors.New("failover")),
		"it may be not": domain.StoreInDoubt("The database is not available", errors.New("failover")), // and the step has no outcome that nobody knows
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away, later := true, time.Duration(0)
			b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) {
				if away {
					return domain.Answer{}, failure
				}
				return text("done")
			}, func(d *app.WorkflowDeps) { d.Now = func() time.Time { return time.Now().Add(later) } })
			flow, _ := b.play(t, aloneDraft)
			if n := len(b.chat.requests()); n != 1 || flow.Status.Ended() {
				t.Errorf("the workflow is %s, after %d answers", flow.Status, n)
			}
			away, later = false, time.Minute
			b.WorkOn(t.Context(), t.Context(), flow.ID)
			flow, _ = b.look(t, flow.ID)
			wantFlow(t, flow, domain.WorkflowCompleted, "done")
		})
	}
}

// doubtfulFlows is a store of workflows that does not know whether it has stored one.
type doubtfulFlows struct {
	ports.WorkflowStore
	stores bool
}

func (s doubtfulFlows) Create(ctx context.Context, w domain.Workflow, e domain.WorkflowEvent) (domain.Workflow, error) {
	if s.stores {
		if _, err := s.WorkflowStore.Create(ctx, w, e); err != nil {
			return domain.Workflow{}, err
		}
	}
	return domain.Workflow{}, domain.StoreInDoubt("Nobody knows", nil)
}

// TestAWorkflowWhoseStartIsInDoubtIsLookedFor: a client that was told to look, or to try again, would start it twice.
func TestAWorkflowWhoseStartIsInDoubtIsLookedFor(t *testing.T) {
	t.Parallel()
	for _, stores := range []bool{true, false} {
		b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) { return text("done") }, func(d *app.WorkflowDeps) {
			d.Store = doubtfulFlows{d.Store, stores}
		})
		flow, err := b.Start(t.Context(), ada, aloneDraft, "")
		if !stores {
			if !domain.IsInDoubt(err) {
				t.Errorf("what is not there yet: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b.WorkOn(t.Context(), t.Context(), flow.ID)
		flow, _ = b.look(t, flow.ID)
		wantFlow(t, flow, domain.WorkflowCompleted, "done")
	}
}
