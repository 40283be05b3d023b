package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"gaia/domain"
)

// BenchmarkCommitWorkflow writes what a workflow leaves behind each time something happens in it: a step and an event.
func BenchmarkCommitWorkflow(b *testing.B) {
	s := openBench(b).Workflows()
	now := time.Now()
	w := domain.Workflow{
		ID: newID(), Principal: domain.Principal{Type: domain.AuthJWT, UserID: "owner"}, Kind: domain.WorkflowOrchestrator,
		Task: "Find out", CreatedAt: now, UpdatedAt: now,
	}
	if _, err := s.Create(b.Context(), w, benchEvent(domain.WorkflowEventStarted, now)); err != nil {
		b.Fatal(err)
	}
	if _, _, err := s.Claim(b.Context(), w.ID, "runner", now, now.Add(time.Hour)); err != nil {
		b.Fatal(err)
	}
	w.Status = domain.WorkflowRunning
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		e := benchEvent(domain.WorkflowEventStepCompleted, now)
		e.Details = map[string]any{domain.DetailAgent: "worker", domain.DetailTool: "files/read", domain.DetailDurationMS: 12}
		err := s.Commit(b.Context(), domain.WorkflowChange{
			Workflow: w, Runner: "runner", Events: []domain.WorkflowEvent{e}, Steps: []domain.WorkflowStep{{
				ID: newID(), Key: fmt.Sprint("worker-1/tool-", n), Kind: domain.StepTool, Name: "files/read", Agent: "worker",
				Status: domain.WorkflowCompleted, Input: map[string]any{"path": "notes.md"}, Output: "The mirror shows the way.",
				Result: []byte(`{"text":"The mirror shows the way."}`), StartedAt: now, CompletedAt: now,
			}},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchEvent(of domain.WorkflowEventType, at time.Time) domain.WorkflowEvent {
	return domain.WorkflowEvent{ID: newID(), Type: of, Status: domain.WorkflowRunning, At: at}
}
