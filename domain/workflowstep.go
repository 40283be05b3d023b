package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// StepID is the id of a step of a workflow: a UUID (version 8, of a SHA-256) that is the same each time the workflow is run, so that a tool
// server that remembers ids of calls knows a call that it has served before.
func StepID(workflowID, key string) string {
	sum := sha256.Sum256([]byte(workflowID + "\x00" + key))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// NewStep makes a step that begins.
func (w Workflow) NewStep(key string, kind WorkflowStepKind, name, agent string, input map[string]any, now time.Time) WorkflowStep {
	return WorkflowStep{
		ID: StepID(w.ID, key), WorkflowID: w.ID, Key: key, Kind: kind, Name: name, Agent: agent, Status: WorkflowRunning, Input: orEmpty(input),
		StartedAt: now.UTC().Truncate(time.Microsecond),
	}
}

// End makes the step one that has ended.
func (s WorkflowStep) End(status WorkflowStatus, now time.Time) WorkflowStep {
	s.Status, s.CompletedAt = status, now.UTC().Truncate(time.Microsecond)
	return s
}

// End makes the workflow one that has ended.
func (w Workflow) End(status WorkflowStatus, now time.Time) Workflow {
	w.Status, w.UpdatedAt = status, now.UTC().Truncate(time.Microsecond)
	w.CompletedAt = w.UpdatedAt
	return w
}

// Event tells that something happened to the workflow as a whole.
func (w Workflow) Event(id string, what WorkflowEventType, now time.Time) WorkflowEvent {
	e := WorkflowEvent{
		ID: id, WorkflowID: w.ID, Type: what, Status: w.Status, At: now.UTC().Truncate(time.Microsecond),
		Details: map[string]any{DetailKind: string(w.Kind)},
	}
	if w.Status.Ended() {
		e.Details[DetailDurationMS] = max(w.CompletedAt.Sub(w.CreatedAt).Milliseconds(), 0)
		w.Usage.describe(e.Details)
	}
	return e
}

// StepEvent tells that a step began or ended.
func (w Workflow) StepEvent(id string, s WorkflowStep, now time.Time) WorkflowEvent {
	e := w.Event(id, WorkflowEventStepStarted, now)
	e.StepID = s.ID
	e.Details = map[string]any{DetailKind: string(s.Kind), DetailStepName: s.Name, DetailAgent: s.Agent}
	switch {
	case !s.Status.Ended():
		return e
	case s.Status == WorkflowCompleted:
		e.Type = WorkflowEventStepCompleted
	default:
		e.Type = WorkflowEventStepFailed
		e.Details[DetailReason] = string(s.Status)
	}
	e.Details[DetailDurationMS] = max(s.CompletedAt.Sub(s.StartedAt).Milliseconds(), 0)
	s.Usage.describe(e.Details)
	return e
}

func (u WorkflowUsage) describe(details map[string]any) {
	details[DetailInputTokens], details[DetailOutputTokens], details[DetailCostUSD] = u.Input, u.Output, u.Cost.Dollars()
}

// Plus adds what was consumed.
func (u WorkflowUsage) Plus(v WorkflowUsage) WorkflowUsage {
	return WorkflowUsage{Input: u.Input + v.Input, Output: u.Output + v.Output, Cost: u.Cost.Plus(v.Cost)}
}

// endEvents are the events that tell how a workflow ended.
var endEvents = map[WorkflowStatus]WorkflowEventType{
	WorkflowCompleted: WorkflowEventCompleted, WorkflowFailed: WorkflowEventFailed, WorkflowCancelled: WorkflowEventCancelled,
	WorkflowOutcomeUnknown: WorkflowEventOutcomeUnknown,
}

// EndEvent is the event that tells how the workflow ended.
func (w Workflow) EndEvent(id string, now time.Time) WorkflowEvent {
	return w.Event(id, endEvents[w.Status], now)
}
