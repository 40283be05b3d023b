package app_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"gaia/app"
	"gaia/domain"
)

func TestAgentHasToolsCalled(t *testing.T) {
	t.Parallel()
	b := newFlows(t, func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
		if said(req) == 0 {
			return wants(toolCall("box__put", `{"n":1,"secret":"hush"}`), toolCall("box__put", `{"n":2}`), toolCall("no__tool", `{}`))
		}
		return text("I put both")
	})
	flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "Put", Input: map[string]any{"box": "red"}})
	wantFlow(t, flow, domain.WorkflowCompleted, "I put both")
	if calls, most := b.tools.made(); len(calls) != 2 || most != 1 || calls[domain.StepID(flow.ID, "agent/tool-1.2")] != `put{"n":2}` {
		t.Errorf("calls %v, at most %d times", calls, most)
	}
	if want := (domain.WorkflowUsage{Input: 20, Output: 10, Cost: 2000}); flow.Usage != want {
		t.Errorf("usage %+v, want %+v", flow.Usage, want)
	}
	last := b.chat.requests()[1]
	if len(last.Messages) != 6 || !strings.HasPrefix(last.Messages[3].Content, "done ") || !strings.Contains(last.Messages[5].Content, "There is no tool") {
		t.Errorf("the model was told %+v", last.Messages)
	}
	if !last.NoTools || len(last.Options.Tools) != 1 || !strings.Contains(last.Messages[1].Content, `{"box":"red"}`) {
		t.Errorf("the model was asked %+v", last)
	}
	for _, s := range steps {
		if shown := toJSON(s.Input); strings.Contains(shown, "hush") || s.Key == "agent/tool-1.1" && !strings.Contains(shown, "[redacted]") {
			t.Errorf("step %s shows %s", s.Key, shown)
		}
	}
	events, _, err := b.store.Events(t.Context(), "ada", flow.ID, 0, 100)
	if err != nil || len(events) != 2+2*len(steps) || events[len(events)-1].Type != domain.WorkflowEventCompleted {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestRouterFollowsTheModel(t *testing.T) {
	t.Parallel()
	route := func(routes ...string) func(context.Context, app.ChatRequest) (domain.Answer, error) {
		return func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
			if strings.HasPrefix(system(req), "You hand tasks") {
				return text(routes[said(req)])
			}
			return text(system(req) + " with " + req.Model.Model)
		}
	}
	good := `{"agent":"poet","confidence":"high","reasoning":"it rhymes"}`
	for name, c := range map[string]struct {
		routes []string
		status domain.WorkflowStatus
		want   string
		keys   string
	}{
		"plain":  {[]string{good}, domain.WorkflowCompleted, "I am poet with poem-model", "route=completed agent/model-1=completed"},
		"fenced": {[]string{"Sure:\n```json\n" + good + "\n```\nfine"}, domain.WorkflowCompleted, "I am poet", "route=completed agent/model-1=completed"},
		"repaired": {
			[]string{`{"agent":"nobody"}`, good}, domain.WorkflowCompleted, "I am poet", "route=completed route-again=completed agent/model-1=completed",
		},
		"hopeless": {[]string{"The poet!", "Really, the poet!"}, domain.WorkflowFailed, "can't be used", "route=completed route-again=completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFlows(t, route(c.routes...))
			// The words of the task are those of another agent: a list of words would send it there.
			flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowRouter, Task: "critic writer texts judges"})
			wantFlow(t, flow, c.status, c.want)
			if got := stepKeys(steps); got != c.keys {
				t.Errorf("steps %s, want %s", got, c.keys)
			}
		})
	}
}

func TestParallelCombines(t *testing.T) {
	t.Parallel()
	answer := func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
		if strings.HasPrefix(system(req), "Several agents") {
			return text("both: " + lastText(req))
		}
		return text("by " + system(req))
	}
	b := newFlows(t, answer)
	flow, _ := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowParallel, Task: "/say x", Agents: []string{"poet", "writer"}})
	wantFlow(t, flow, domain.WorkflowCompleted, "by I am writer")
	if !strings.Contains(flow.Output, "by I am poet") || !strings.Contains(flow.Output, "\n> /say x") {
		t.Errorf("output %q", flow.Output)
	}
	flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowParallel, Task: "x", Agents: []string{"poet"}})
	wantFlow(t, flow, domain.WorkflowCompleted, "by I am poet")
	if len(steps) != 1 {
		t.Errorf("one agent needs no one to combine: %s", stepKeys(steps))
	}
}

func TestOrchestratorPlansAgain(t *testing.T) {
	t.Parallel()
	b := newFlows(t, teamwork)
	flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowOrchestrator, Task: "Everything"})
	wantFlow(t, flow, domain.WorkflowCompleted, "All done")
	if !strings.Contains(flow.Output, "result of four") {
		t.Errorf("output %q", flow.Output)
	}
	if calls, most := b.tools.made(); len(calls) != 9 || most != 1 {
		t.Errorf("%d calls, at most %d times", len(calls), most)
	}
	if len(steps) != 3+4+2*3+9 {
		t.Errorf("%d steps: %s", len(steps), stepKeys(steps))
	}
}

func TestEvaluatorKeepsTheBest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ratings []string
		want    string
		judged  int
	}{
		"at once": {[]string{"good"}, "draft 1", 1},
		"better":  {[]string{"poor", "excellent"}, "draft 2", 2},
		"best":    {[]string{"poor", "fair", "poor"}, "draft 2", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFlows(t, func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
				if strings.HasPrefix(system(req), "I am critic") {
					return text(toJSON(map[string]string{"rating": c.ratings[said(req)], "feedback": "shorter"}))
				}
				return text("draft " + string(rune('1'+said(req))))
			})
			flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowEvaluator, Task: "Write", Limits: domain.WorkflowLimits{Iterations: 3}})
			wantFlow(t, flow, domain.WorkflowCompleted, c.want)
			if len(steps) != 2*c.judged {
				t.Errorf("steps %s", stepKeys(steps))
			}
		})
	}
}

func TestLimitsEndWorkflows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits domain.WorkflowLimits
		want   string
	}{
		"iterations": {domain.WorkflowLimits{Iterations: 3}, "within 3 rounds"},
		"tokens":     {domain.WorkflowLimits{Tokens: 40}, "45 tokens; its limit is 40"},
		"cost":       {domain.WorkflowLimits{Cost: 2000}, "has cost"},
		"time":       {domain.WorkflowLimits{Duration: time.Nanosecond}, "used up its time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) {
				return wants(toolCall("box__put", `{}`))
			})
			flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "For ever", Limits: c.limits})
			wantFlow(t, flow, domain.WorkflowFailed, c.want)
			if name != "time" && len(steps) == 0 {
				t.Error("what was done is gone")
			}
		})
	}
}

// TestTimeIsNotResetByACrash: what counts is when the first step began, whichever process that was.
func TestTimeIsNotResetByACrash(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) { panic("planned") },
		func(d *app.WorkflowDeps) { d.Now = func() time.Time { return now } })
	flow, _ := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x", Limits: domain.WorkflowLimits{Duration: time.Minute}})
	wantFlow(t, flow, domain.WorkflowRunning, "")
	now = now.Add(2 * time.Minute)
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	flow, steps := b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowFailed, "used up its time")
	if got := stepKeys(steps); got != "agent/model-1=cancelled" {
		t.Errorf("steps %s", got)
	}
}

func TestFailuresOfModelsAndTools(t *testing.T) {
	t.Parallel()
	t.Run("a model that refuses", func(t *testing.T) {
		t.Parallel()
		b := newFlows(t, func(context.Context, app.ChatRequest) (domain.Answer, error) {
			return domain.Answer{}, domain.NewError(domain.PaymentRequired, "The budget is spent")
		})
		flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"})
		wantFlow(t, flow, domain.WorkflowFailed, "The budget is spent")
		if got := stepKeys(steps); got != "agent/model-1=failed" {
			t.Errorf("steps %s", got)
		}
	})
	for name, c := range map[string]struct {
		result domain.ToolResult
		err    error
		status domain.WorkflowStatus
		want   string
		calls  int
	}{
		"a tool that fails":     {domain.ToolResult{Text: "no room", Failed: true}, nil, domain.WorkflowCompleted, "The tool failed: no room", 1},
		"a server that is away": {domain.ToolResult{}, domain.MissingPart("box is away", nil), domain.WorkflowCompleted, "box is away", 1},
		"bad arguments":         {domain.ToolResult{}, domain.NewError(domain.BadRequest, "n is missing"), domain.WorkflowCompleted, "n is missing", 1},
		"an unknown outcome":    {domain.ToolResult{}, &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown}, domain.WorkflowOutcomeUnknown, "not known", 3},
		"an error of no kind":   {domain.ToolResult{}, errAny, domain.WorkflowOutcomeUnknown, "not known", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFlows(t, func(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
				if said(req) == 0 {
					return wants(toolCall("box__put", `{}`))
				}
				return text(lastText(req))
			})
			b.tools.do = func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) { return c.result, c.err }
			flow, _ := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"})
			wantFlow(t, flow, c.status, c.want)
			if calls, most := b.tools.made(); len(calls) != 1 || most != c.calls {
				t.Errorf("%d calls, at most %d times, want %d", len(calls), most, c.calls)
			}
		})
	}
}

// TestOneBranchFails: the others begin nothing more, their models are given up, and the cause is told.
func TestOneBranchFails(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{})
	b := newFlows(t, func(ctx context.Context, req app.ChatRequest) (domain.Answer, error) {
		if system(req) == "I am poet" {
			<-waits
			return domain.Answer{}, domain.NewError(domain.BadRequest, "No verses today")
		}
		close(waits)
		<-ctx.Done()
		return domain.Answer{}, ctx.Err()
	})
	flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowParallel, Task: "x", Agents: []string{"writer", "poet"}})
	wantFlow(t, flow, domain.WorkflowFailed, "No verses today")
	if got := stepKeys(steps); !strings.Contains(got, "branch-writer/model-1=cancelled") || !strings.Contains(got, "branch-poet/model-1=failed") {
		t.Errorf("steps %s", got)
	}
}

func TestKeysThatNoLongerWorkStopWorkflows(t *testing.T) {
	t.Parallel()
	b := newFlows(t, teamwork, func(d *app.WorkflowDeps) {
		d.Works = func(context.Context, domain.Principal) error { return domain.NewError(domain.Forbidden, "revoked") }
	})
	flow, steps := b.play(t, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"})
	wantFlow(t, flow, domain.WorkflowFailed, "key")
	if len(steps) != 0 {
		t.Errorf("steps %s", stepKeys(steps))
	}
}

func TestCancelStopsWhatRuns(t *testing.T) {
	t.Parallel()
	for name, sameProcess := range map[string]bool{"here": true, "on another replica": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, gone := make(chan struct{}), make(chan struct{})
			b := newFlows(t, func(ctx context.Context, _ app.ChatRequest) (domain.Answer, error) {
				close(asked)
				<-ctx.Done()
				close(gone)
				return domain.Answer{}, ctx.Err()
			})
			other := app.NewWorkflows(app.WorkflowDeps{Store: b.store, Queue: b.queue, Chat: b.chat, Agents: fourAgents(), Now: time.Now, NewID: ids2()})
			defer other.Close()
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); b.Run(ctx) }()
			flow, err := b.Start(t.Context(), ada, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"}, "")
			if err != nil {
				t.Fatal(err)
			}
			<-asked
			canceller := other
			if sameProcess {
				canceller = b.Workflows
			}
			if _, _, err := canceller.Cancel(t.Context(), bob, flow.ID); domain.KindOf(err) != domain.NotFound {
				t.Errorf("somebody else's: %v", err)
			}
			flow, steps, err := canceller.Cancel(t.Context(), ada, flow.ID)
			if err != nil || flow.Status != domain.WorkflowCancelled || stepKeys(steps) != "agent/model-1=cancelled" {
				t.Errorf("%v, %s, %v", flow.Status, stepKeys(steps), err)
			}
			<-gone
			stop()
			<-done
			_, _, err = canceller.Cancel(t.Context(), ada, flow.ID)
			wantKind(t, err, domain.Conflict)
			flow, _ = b.look(t, flow.ID)
			wantFlow(t, flow, domain.WorkflowCancelled, "")
		})
	}
}

// TestStoppingHandsOver: what runs may finish, nothing new begins, and another process goes on at once.
func TestStoppingHandsOver(t *testing.T) {
	t.Parallel()
	asked, stopped := make(chan struct{}), make(chan struct{})
	first := true
	b := newFlows(t, func(ctx context.Context, req app.ChatRequest) (domain.Answer, error) {
		if first {
			first = false
			close(asked)
			<-stopped
		}
		return teamwork(ctx, req)
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	flow, err := b.Start(t.Context(), ada, domain.WorkflowDraft{Kind: domain.WorkflowOrchestrator, Task: "x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	stop()
	close(stopped)
	<-done
	flow, steps := b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowRunning, "")
	if got := stepKeys(steps); got != "plan-1=completed" {
		t.Errorf("steps %s", got)
	}
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	flow, _ = b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowCompleted, "All done")
	if n := len(b.chat.requests()); n != 3+4+2*3 {
		t.Errorf("models were asked %d times", n)
	}
}

// TestStoppingHasPatience: what takes too long is given up, and done again elsewhere.
func TestStoppingHasPatience(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	hangs := true
	b := newFlows(t, func(ctx context.Context, req app.ChatRequest) (domain.Answer, error) {
		if hangs {
			asked <- struct{}{}
			<-ctx.Done()
			return domain.Answer{}, ctx.Err()
		}
		return text("at last")
	}, func(d *app.WorkflowDeps) { d.Config.Patience = time.Millisecond })
	b.queue.refuses = true // found without the queue
	ctx, stop := context.WithCancel(t.Context())
	flow, err := b.Start(t.Context(), ada, domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	<-asked
	stop()
	<-done
	hangs = false
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	flow, _ = b.look(t, flow.ID)
	wantFlow(t, flow, domain.WorkflowCompleted, "at last")
}

func TestFollowersSeeEverything(t *testing.T) {
	t.Parallel()
	b := newFlows(t, teamwork)
	flow, err := b.Start(t.Context(), ada, domain.WorkflowDraft{Kind: domain.WorkflowOrchestrator, Task: "x"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Follow(t.Context(), bob, flow.ID, 0)
	wantKind(t, err, domain.NotFound)
	_, err = b.Follow(t.Context(), ada, "nonsense", 0)
	wantKind(t, err, domain.NotFound)
	f, err := b.Follow(t.Context(), ada, flow.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	go b.WorkOn(context.WithoutCancel(t.Context()), context.WithoutCancel(t.Context()), flow.ID)
	for want := 1; ; want++ {
		e, err := f.Next(t.Context())
		if errors.Is(err, io.EOF) {
			if want != 2*22+3 {
				t.Errorf("the events ended before %d", want)
			}
			break
		}
		if err != nil || e.Sequence != want {
			t.Fatalf("event %d, want %d: %v", e.Sequence, want, err)
		}
	}
	later, err := b.Follow(t.Context(), ada, flow.ID, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if e, err := later.Next(t.Context()); err != nil || e.Sequence != 41 {
		t.Errorf("event %d, %v", e.Sequence, err)
	}
}

func TestStartingWorkflows(t *testing.T) {
	t.Parallel()
	b := newFlows(t, teamwork)
	good := domain.WorkflowDraft{Kind: domain.WorkflowAgent, Task: "x"}
	first, err := b.Start(t.Context(), ada, good, "key")
	if err != nil || first.Status != domain.WorkflowPending || first.Agents[0] != "assistant" || first.Limits.Iterations != 10 {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := b.Start(t.Context(), ada, good, "key")
	if err != nil || again.ID != first.ID {
		t.Errorf("%v, %v", again.ID, err)
	}
	other := good
	other.Task = "y"
	_, err = b.Start(t.Context(), ada, other, "key")
	wantKind(t, err, domain.Conflict)
	for name, c := range map[string]struct {
		change func(*domain.WorkflowDraft)
		kind   domain.Kind
	}{
		"no task":          {func(d *domain.WorkflowDraft) { d.Task = " " }, domain.Invalid},
		"unknown kind":     {func(d *domain.WorkflowDraft) { d.Kind = "swarm" }, domain.Invalid},
		"unknown agent":    {func(d *domain.WorkflowDraft) { d.Agents = []string{"nobody"} }, domain.NotFound},
		"two agents":       {func(d *domain.WorkflowDraft) { d.Agents = []string{"poet", "writer"} }, domain.Invalid},
		"above the limits": {func(d *domain.WorkflowDraft) { d.Limits.Iterations = 51 }, domain.Invalid},
		"below zero":       {func(d *domain.WorkflowDraft) { d.Limits.Duration = -1 }, domain.Invalid},
		"unknown model":    {func(d *domain.WorkflowDraft) { d.Model = "no-such-model" }, domain.NotFound},
		"no personas":      {func(d *domain.WorkflowDraft) { d.PersonaID = "x" }, domain.Unavailable},
		"critic alone":     {func(d *domain.WorkflowDraft) { d.Kind, d.Agents = domain.WorkflowEvaluator, []string{"critic"} }, domain.Invalid},
	} {
		draft := good
		c.change(&draft)
		if _, err := b.Start(t.Context(), ada, draft, ""); domain.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := b.Get(t.Context(), bob, first.ID); domain.KindOf(err) != domain.NotFound {
		t.Errorf("somebody else's: %v", err)
	}
	list, total, err := b.List(t.Context(), ada, "", 0, -1)
	if err != nil || total != 1 || len(list) != 1 {
		t.Errorf("%d of %d, %v", len(list), total, err)
	}
}
