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
