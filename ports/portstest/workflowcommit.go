package portstest

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
)

func workflowCommit(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	plan, work := aStep("plan-1", domain.WorkflowRunning), aStep("worker-1/tool-1", domain.WorkflowRunning)
	begun := aWorkflowEvent(domain.WorkflowEventStepStarted)
	begun.StepID, begun.Details = plan.ID, map[string]any{domain.DetailAgent: "worker", domain.DetailIteration: 2.0}
	c := aChange(w, plan, work)
	c.Events = []domain.WorkflowEvent{begun}
	commitFlow(t, s.A, c)
	_, steps := getFlow(t, s.B, w)
	wantSteps(t, steps, false, plan, work)

	plan.Status, plan.Output, plan.Result, plan.CompletedAt = domain.WorkflowCompleted, "a plan", []byte("\x00\xff anything"), flowTime.Add(time.Minute)
	plan.Usage, plan.Name, plan.Agent = domain.WorkflowUsage{Input: 1 << 40, Output: 2, Cost: 1 << 50}, "gpt-4o", ""
	work.Status, work.Error, work.CompletedAt = domain.WorkflowFailed, "no such file", flowTime.Add(time.Minute)
	last := aStep("plan-2", domain.WorkflowCompleted)
	w.Usage, w.Output, w.Error = domain.WorkflowUsage{Input: 10, Output: 20, Cost: 30}, "so far", "none"
	c = aChange(w, work, plan, last)
	c.Workflow.Task, c.Workflow.Key, c.Workflow.Kind = "another", "another", domain.WorkflowAgent // which are not taken over
	done := aWorkflowEvent(domain.WorkflowEventStepCompleted)
	c.Events = []domain.WorkflowEvent{done, aWorkflowEvent(domain.WorkflowEventStepFailed)}
	commitFlow(t, s.B, c)
	got, steps := getFlow(t, s.A, w)
	w.UpdatedAt = c.Workflow.UpdatedAt
	wantFlow(t, got, w)
	wantSteps(t, steps, false, plan, work, last)
	_, steps = claimFlow(t, s.A, w.ID, "runner")
	wantSteps(t, steps, true, plan, work, last)

	if steps, events := wantWhole(t, s.B, w); steps != 3 || events != 4 {
		t.Errorf("%d steps and %d events", steps, events)
	}
	begun.WorkflowID, begun.Sequence, begun.At = w.ID, 2, begun.At.UTC()
	if got := flowEvents(t, s.B, w)[1]; !reflect.DeepEqual(got, begun) {
		t.Errorf("got  %+v\nwant %+v", got, begun)
	}
	commitFlow(t, s.A, domain.WorkflowChange{Workflow: w, Runner: "runner"}) // nothing is fine too
}

func workflowStepEnded(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	for _, status := range []domain.WorkflowStatus{
		domain.WorkflowCompleted, domain.WorkflowFailed, domain.WorkflowCancelled, domain.WorkflowOutcomeUnknown,
	} {
		first := aStep(string(status), status)
		commitFlow(t, s.A, aChange(w, first))
		for _, then := range []domain.WorkflowStatus{domain.WorkflowRunning, domain.WorkflowCompleted, status} {
			again := first
			again.Status, again.Output, again.Result = then, "another", []byte("another")
			c := aChange(w, aStep("new", domain.WorkflowRunning), again)
			c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepCompleted)}
			wantFlowTaken(t, s.B.Commit(t.Context(), c), string("Commit of "+status+" as "+then))
		}
		_, steps := claimFlow(t, s.A, w.ID, "runner")
		last := steps[len(steps)-1]
		last.Sequence = 1
		wantSteps(t, []domain.WorkflowStep{last}, true, first)
	}
	twice := aStep("twice", domain.WorkflowCompleted)
	wantFlowTaken(t, s.A.Commit(t.Context(), aChange(w, twice, twice)), "Commit of one end twice")
	if steps, events := wantWhole(t, s.B, w); steps != 4 || events != 1 {
		t.Errorf("%d steps and %d events", steps, events)
	}
}

func workflowStepAgain(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	first := aStep("tool-1", domain.WorkflowRunning)
	commitFlow(t, s.A, aChange(w, first))
	again := first
	again.StartedAt, again.Input, again.Name = flowTime.Add(time.Hour), map[string]any{"another": true}, "another"
	commitFlow(t, s.A, aChange(w, again))
	again.StartedAt = first.StartedAt
	_, steps := getFlow(t, s.B, w)
	wantSteps(t, steps, false, again)
	other := again
	other.ID = newID()
	wantFlowTaken(t, s.A.Commit(t.Context(), aChange(w, other)), "Commit of the key with another id")
	end := again
	end.Status, end.CompletedAt = domain.WorkflowCompleted, flowTime
	commitFlow(t, s.B, aChange(w, end))
	both := aStep("tool-2", domain.WorkflowRunning)
	bothEnd := both
	bothEnd.Status, bothEnd.Output, bothEnd.CompletedAt = domain.WorkflowCompleted, "out", flowTime
	commitFlow(t, s.B, aChange(w, both, bothEnd)) // begun and ended at once
	_, steps = getFlow(t, s.A, w)
	wantSteps(t, steps, false, end, bothEnd)
}

func workflowSequences(t *testing.T, s WorkflowSetup) {
	const racers, each = 8, 6
	w := claimed(t, s)
	for _, err := range inParallel(racers, func(racer int) error { // branches of one runner
		for i := range each {
			step := aStep(fmt.Sprintf("worker-%d/%d", racer, i), domain.WorkflowRunning)
			c := aChange(w, step)
			c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted)}
			if err := s.either(racer).Commit(t.Context(), c); err != nil {
				return err
			}
			step.Status = domain.WorkflowCompleted
			c = aChange(w, step)
			c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepCompleted)}
			if err := s.either(racer+1).Commit(t.Context(), c); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if steps, events := wantWhole(t, s.A, w); steps != racers*each || events != 1+2*racers*each {
		t.Errorf("%d steps and %d events", steps, events)
	}
	wantPending(t, s.Outbox, 1+2*racers*each)
	wantInOrder(t, s.Outbox, 1+2*racers*each)
}

func workflowFence(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	other := aChange(w, aStep("1", domain.WorkflowRunning))
	other.Runner = "other"
	other.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted)}
	wantFlowTaken(t, s.A.Commit(t.Context(), other), "Commit of another")
	other.Runner = ""
	wantFlowTaken(t, s.A.Commit(t.Context(), other), "Commit of nobody")
	unclaimed := createFlow(t, s.A, aWorkflow("owner"))
	other.Workflow = unclaimed
	wantFlowTaken(t, s.A.Commit(t.Context(), other), "Commit of nobody to what nobody has")
	if _, _, err := s.B.Claim(t.Context(), w.ID, "other", lease, lease.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	mine := aChange(w, aStep("1", domain.WorkflowRunning))
	mine.Workflow.Status, mine.Workflow.Output = domain.WorkflowCompleted, "never"
	mine.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventCompleted)}
	wantFlowTaken(t, s.A.Commit(t.Context(), mine), "Commit of who had it")
	if steps, events := wantWhole(t, s.B, w); steps != 0 || events != 1 {
		t.Errorf("%d steps and %d events", steps, events)
	}
	if got, _ := getFlow(t, s.B, w); got.Status != domain.WorkflowRunning || got.Output != "" {
		t.Errorf("got %+v", got)
	}
	wantPending(t, s.Outbox, 2)
}

// commitUntilRefused commits steps on many goroutines until one is refused, and returns how many were written.
func commitUntilRefused(t *testing.T, s WorkflowSetup, w domain.Workflow, begun chan<- struct{}) (wait func() (written int, refusals []error)) {
	t.Helper()
	const writers, enough = 6, 400
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		written  int
		refusals []error
	)
	for writer := range writers {
		all.Go(func() {
			for i := range enough {
				c := aChange(w, aStep(fmt.Sprintf("%d/%d", writer, i), domain.WorkflowCompleted))
				c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepCompleted)}
				err := s.either(writer).Commit(t.Context(), c)
				mu.Lock()
				if err == nil {
					written++
				} else {
					refusals = append(refusals, err)
				}
				first := written == writers
				mu.Unlock()
				if err != nil {
					return
				}
				if first {
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	return func() (int, []error) { all.Wait(); return written, refusals }
}

func workflowFenceRace(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	begun := make(chan struct{}, 1)
	wait := commitUntilRefused(t, s, w, begun)
	<-begun
	_, journal, err := s.B.Claim(t.Context(), w.ID, "other", lease, lease.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	written, refusals := wait()
	for _, err := range refusals {
		wantFlowTaken(t, err, "Commit")
	}
	if len(refusals) == 0 {
		t.Error("nobody was refused")
	}
	steps, events := wantWhole(t, s.A, w)
	if len(journal) != written || steps != written || events != 1+written {
		t.Errorf("%d were written; the next runner saw %d; there are %d steps and %d events", written, len(journal), steps, events)
	}
	wantPending(t, s.Outbox, 1+written)
}

func workflowCancelRace(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	begun := make(chan struct{}, 1)
	wait := commitUntilRefused(t, s, w, begun)
	<-begun
	_, journal, err := s.B.Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled))
	if err != nil {
		t.Fatal(err)
	}
	written, refusals := wait()
	for _, err := range refusals {
		wantFlowEnded(t, err, "Commit")
	}
	if len(refusals) == 0 {
		t.Error("nobody was refused")
	}
	steps, events := wantWhole(t, s.A, w)
	if len(journal) != written || steps != written || events != 2+written {
		t.Errorf("%d were written; Cancel saw %d; there are %d steps and %d events", written, len(journal), steps, events)
	}
	list := flowEvents(t, s.A, w)
	if last := list[len(list)-1]; last.Type != domain.WorkflowEventCancelled {
		t.Errorf("the last event is %s", last.Type)
	}
	if got, _ := getFlow(t, s.A, w); got.Status != domain.WorkflowCancelled {
		t.Errorf("it is %s", got.Status)
	}
}

func workflowAtomic(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	ended := aStep("ended", domain.WorkflowCompleted)
	commitFlow(t, s.A, aChange(w, ended))
	before, _ := getFlow(t, s.A, w)
	good := aStep("good", domain.WorkflowRunning)
	for about, fault := range map[string]func(*domain.WorkflowChange){
		"a malformed step": func(c *domain.WorkflowChange) {
			bad := aStep("bad", domain.WorkflowRunning)
			bad.ID = "nope"
			c.Steps = append(c.Steps, bad)
		},
		"a step without a key": func(c *domain.WorkflowChange) { c.Steps = append(c.Steps, aStep("", domain.WorkflowRunning)) },
		"a step that has ended": func(c *domain.WorkflowChange) {
			again := ended
			again.Output = "another"
			c.Steps = append(c.Steps, again)
		},
		"a step with the id of none": func(c *domain.WorkflowChange) {
			c.Steps = append(c.Steps, aStep("good", domain.WorkflowCompleted)) // the key is there since a moment
		},
		"a malformed event": func(c *domain.WorkflowChange) {
			bad := aWorkflowEvent(domain.WorkflowEventStepStarted)
			bad.ID = "nope"
			c.Events = append(c.Events, bad)
		},
		"a step that can't be encoded": func(c *domain.WorkflowChange) {
			bad := aStep("bad", domain.WorkflowRunning)
			bad.Input = map[string]any{"a": func() {}}
			c.Steps = append(c.Steps, bad)
		},
		"a huge result": func(c *domain.WorkflowChange) {
			bad := aStep("bad", domain.WorkflowRunning)
			bad.Result = make([]byte, domain.MaxStepResult+1)
			c.Steps = append(c.Steps, bad)
		},
	} {
		c := aChange(w, good)
		c.Workflow.Status, c.Workflow.Output = domain.WorkflowCompleted, "never"
		c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted)}
		fault(&c)
		if err := s.B.Commit(t.Context(), c); err == nil {
			t.Errorf("Commit of %s: no error", about)
		}
		got, _ := getFlow(t, s.A, w)
		wantFlow(t, got, before)
		if steps, events := wantWhole(t, s.A, w); steps != 1 || events != 1 {
			t.Errorf("%s left %d steps and %d events", about, steps, events)
		}
		wantPending(t, s.Outbox, 1)
	}
	bad := aWorkflowEvent(domain.WorkflowEventCancelled)
	bad.ID = "nope"
	if _, _, err := s.A.Cancel(t.Context(), "owner", w.ID, bad); err == nil {
		t.Error("Cancel with a malformed event: no error")
	}
	if _, err := s.A.Create(t.Context(), aWorkflow("somebody"), bad); err == nil {
		t.Error("Create with a malformed event: no error")
	}
	if _, total, err := s.A.List(t.Context(), "somebody", "", 10, 0); total != 0 || err != nil {
		t.Errorf("it left %d workflows, %v", total, err)
	}
	commitFlow(t, s.A, aChange(w, good)) // the claim is still there
}

func workflowEnds(t *testing.T, s WorkflowSetup) {
	for _, status := range []domain.WorkflowStatus{domain.WorkflowCompleted, domain.WorkflowFailed, domain.WorkflowOutcomeUnknown} {
		w := claimed(t, s)
		open, unknown := aStep("open", domain.WorkflowRunning), aStep("unknown", domain.WorkflowRunning)
		commitFlow(t, s.A, aChange(w, open, unknown))
		unknown.Status, unknown.CompletedAt = domain.WorkflowOutcomeUnknown, flowTime
		end := aChange(w, unknown)
		end.Workflow.Status, end.Workflow.Output, end.Workflow.Error = status, "done", "why"
		end.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventCompleted)}
		commitFlow(t, s.A, end)
		got, steps := getFlow(t, s.B, w)
		w = end.Workflow
		w.CompletedAt = w.UpdatedAt // it did not say
		wantFlow(t, got, w)
		open.Status, open.CompletedAt = domain.WorkflowCancelled, w.CompletedAt
		wantSteps(t, steps, false, open, unknown)
		wantFlowEnded(t, s.A.Commit(t.Context(), end), "Commit after the end")
		wantFlowEnded(t, s.A.Renew(t.Context(), w.ID, "runner", lease), "Renew after the end")
		_, _, err := s.A.Claim(t.Context(), w.ID, "runner", flowTime, lease)
		wantFlowEnded(t, err, "Claim after the end")
		if err := s.A.Abandon(t.Context(), w.ID, "runner"); err != nil {
			t.Errorf("Abandon after the end: %v", err)
		}
	}
	w := claimed(t, s)
	w.Status, w.CompletedAt = domain.WorkflowCompleted, flowTime.Add(time.Hour)
	commitFlow(t, s.A, aChange(w))
	if got, _ := getFlow(t, s.B, w); !got.CompletedAt.Equal(w.CompletedAt) {
		t.Errorf("it ended at %v, not %v", got.CompletedAt, w.CompletedAt)
	}
}

func workflowCancel(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	open, done := aStep("open", domain.WorkflowRunning), aStep("done", domain.WorkflowCompleted)
	commitFlow(t, s.A, aChange(w, open, done))
	e := aWorkflowEvent(domain.WorkflowEventCancelled)
	e.At = flowTime.Add(time.Minute)
	got, steps, err := s.B.Cancel(t.Context(), "owner", strings.ToUpper(w.ID), e)
	if err != nil {
		t.Fatal(err)
	}
	w.Status, w.UpdatedAt, w.CompletedAt = domain.WorkflowCancelled, e.At, e.At
	open.Status, open.CompletedAt = domain.WorkflowCancelled, e.At
	wantFlow(t, got, w)
	wantSteps(t, steps, false, open, done)
	got, steps = getFlow(t, s.A, w)
	wantFlow(t, got, w)
	wantSteps(t, steps, false, open, done)
	_, _, err = s.B.Cancel(t.Context(), "owner", w.ID, e)
	wantFlowEnded(t, err, "Cancel again")
	wantFlowEnded(t, s.A.Commit(t.Context(), aChange(w, aStep("new", domain.WorkflowRunning))), "Commit")
	wantFlowEnded(t, s.A.Renew(t.Context(), w.ID, "runner", lease), "Renew")
	if steps, events := wantWhole(t, s.A, w); steps != 2 || events != 2 {
		t.Errorf("%d steps and %d events", steps, events)
	}
	wantPending(t, s.Outbox, 2)
}

func workflowCancelPending(t *testing.T, s WorkflowSetup) {
	w := createFlow(t, s.A, aWorkflow("owner"))
	if _, _, err := s.B.Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled)); err != nil {
		t.Fatal(err)
	}
	wantWaiting(t, s.A, flowTime, 10)
}

func workflowCancelTwice(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	won := 0
	for _, err := range inParallel(8, func(i int) error {
		_, _, err := s.either(i).Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled))
		return err
	}) {
		if err == nil {
			won++
		} else {
			wantFlowEnded(t, err, "Cancel")
		}
	}
	if won != 1 {
		t.Errorf("%d succeeded", won)
	}
	if _, events := wantWhole(t, s.A, w); events != 2 {
		t.Errorf("%d events", events)
	}
}

func workflowEndRace(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	var ended []string
	var mu sync.Mutex
	for _, err := range inParallel(8, func(i int) (err error) {
		how := "cancel"
		if i%4 < 2 {
			_, _, err = s.either(i).Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled))
		} else {
			how = "commit"
			c := aChange(w)
			c.Workflow.Status = domain.WorkflowCompleted
			c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventCompleted)}
			err = s.either(i).Commit(t.Context(), c)
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, how)
		}
		return err
	}) {
		if err != nil {
			wantFlowEnded(t, err, "an end")
		}
	}
	got, _ := getFlow(t, s.A, w)
	want := map[domain.WorkflowStatus]string{domain.WorkflowCancelled: "cancel", domain.WorkflowCompleted: "commit"}[got.Status]
	if len(ended) != 1 || ended[0] != want {
		t.Errorf("ended by %v, and it is %s", ended, got.Status)
	}
	list := flowEvents(t, s.B, w)
	if len(list) != 2 || string(list[1].Type) != string(got.Status) {
		t.Errorf("events %+v of what is %s", list, got.Status)
	}
}
