package portstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

func workflowClaim(t *testing.T, s WorkflowSetup) {
	w := createFlow(t, s.A, aWorkflow("owner"))
	got, steps, err := s.A.Claim(t.Context(), strings.ToUpper(w.ID), "runner", flowTime.Add(time.Second), lease)
	if err != nil {
		t.Fatal(err)
	}
	w.Status, w.UpdatedAt = domain.WorkflowRunning, flowTime.Add(time.Second)
	wantFlow(t, got, w)
	wantSteps(t, steps, true)
	_, _, err = s.B.Claim(t.Context(), w.ID, "other", lease.Add(-time.Microsecond), lease.Add(time.Hour))
	wantFlowTaken(t, err, "Claim of another")
	_, _, err = s.B.Claim(t.Context(), w.ID, "Runner", flowTime, lease.Add(time.Hour))
	wantFlowTaken(t, err, "Claim of another with nearly the same name")
	done := aStep("1", domain.WorkflowCompleted)
	begun := aStep("2", domain.WorkflowRunning)
	commitFlow(t, s.A, aChange(got, done, begun))
	_, steps = claimFlow(t, s.A, w.ID, "runner") // once more: who has it may
	wantSteps(t, steps, true, done, begun)
}

func workflowClaimRace(t *testing.T, s WorkflowSetup) {
	w := createFlow(t, s.A, aWorkflow("owner"))
	wantOneClaim(t, s, w.ID, flowTime)
}

// wantOneClaim lets many claim at once.
func wantOneClaim(t *testing.T, s WorkflowSetup, id string, now time.Time) {
	t.Helper()
	won := 0
	for _, err := range inParallel(16, func(i int) error {
		_, _, err := s.either(i).Claim(t.Context(), id, fmt.Sprint("racer ", i), now, now.Add(time.Minute))
		return err
	}) {
		if err == nil {
			won++
		} else {
			wantFlowTaken(t, err, "Claim")
		}
	}
	if won != 1 {
		t.Errorf("%d have the claim", won)
	}
}

func workflowClaimOver(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	_, _, err := s.B.Claim(t.Context(), w.ID, "other", lease.Add(-time.Microsecond), lease)
	wantFlowTaken(t, err, "Claim before the end")
	wantOneClaim(t, s, w.ID, lease)
	wantFlowTaken(t, s.A.Renew(t.Context(), w.ID, "runner", lease), "Renew of who had it")
}

func workflowClaimEnded(t *testing.T, s WorkflowSetup) {
	w := createFlow(t, s.A, aWorkflow("owner"))
	if _, _, err := s.A.Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.B.Claim(t.Context(), w.ID, "runner", flowTime, lease)
	wantFlowEnded(t, err, "Claim")
}

func workflowRenew(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	for _, not := range []string{"other", "", "RUNNER"} {
		wantFlowTaken(t, s.A.Renew(t.Context(), w.ID, not, lease.Add(time.Hour)), "Renew of "+not)
	}
	if err := s.B.Renew(t.Context(), w.ID, "runner", lease.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.A.Claim(t.Context(), w.ID, "other", lease.Add(time.Minute-1000), lease)
	wantFlowTaken(t, err, "Claim of what was renewed")
	if err := s.A.Renew(t.Context(), w.ID, "runner", flowTime.Add(-time.Hour)); err != nil { // it is over then
		t.Fatal(err)
	}
	if err := s.A.Renew(t.Context(), w.ID, "runner", flowTime.Add(-time.Minute)); err != nil { // and nobody took it
		t.Fatal(err)
	}
	claimFlow(t, s.B, w.ID, "other")
	wantFlowTaken(t, s.A.Renew(t.Context(), w.ID, "runner", lease.Add(time.Hour)), "Renew after another took it")
	if _, _, err := s.A.Cancel(t.Context(), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled)); err != nil {
		t.Fatal(err)
	}
	for _, runner := range []string{"other", "runner", ""} {
		wantFlowEnded(t, s.A.Renew(t.Context(), w.ID, runner, lease.Add(time.Hour)), "Renew after the end")
	}
}

func workflowAbandon(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	for _, not := range []string{"other", ""} {
		if err := s.B.Abandon(t.Context(), w.ID, not); err != nil {
			t.Errorf("Abandon by %q: %v", not, err)
		}
	}
	_, _, err := s.B.Claim(t.Context(), w.ID, "other", flowTime, lease)
	wantFlowTaken(t, err, "Claim of what another gave back")
	if err := s.A.Abandon(t.Context(), w.ID, "runner"); err != nil {
		t.Fatal(err)
	}
	wantFlowTaken(t, s.A.Commit(t.Context(), aChange(w, aStep("1", domain.WorkflowRunning))), "Commit after Abandon")
	claimFlow(t, s.B, w.ID, "other")
	if err := s.A.Abandon(t.Context(), w.ID, "runner"); err != nil {
		t.Fatal(err)
	}
	if err := s.B.Renew(t.Context(), w.ID, "other", lease); err != nil {
		t.Errorf("an old runner gave the new one's claim back: %v", err)
	}
}
