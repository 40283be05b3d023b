package domain

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is kept of a workflow, in bytes.
const (
	MaxWorkflowTask   = 400_000   // more is TooLarge
	MaxWorkflowInput  = 256 << 10 // as JSON; more is TooLarge
	MaxWorkflowOutput = 1 << 20   // more is cut
	MaxStepInput      = 64 << 10  // as JSON; more is left out
	MaxStepOutput     = 256 << 10 // more is cut
	MaxStepResult     = 2 << 20   // more is TooLarge: a workflow can't go on from a part
	maxStepKey        = 512       // more is TooLarge
	maxStepName       = 200       // more is cut
	maxAgentName      = 64        // more is cut
	maxWorkflowError  = 4 << 10   // more is cut
)

// Names of details of workflow events. Others are not kept, so that neither followers nor the bus get to know more than the contract says.
const (
	DetailKind         = "kind"          // of the workflow or of the step
	DetailStepName     = "name"          // what was called
	DetailAgent        = "agent"         // who did it
	DetailTool         = "tool"          // by its ID
	DetailModel        = "model"         // who answered
	DetailProvider     = "provider"      // whose model it is
	DetailIteration    = "iteration"     // from 1
	DetailSteps        = "steps"         // how many there were
	DetailDurationMS   = "duration_ms"   // of the step or of the workflow
	DetailInputTokens  = "input_tokens"  //nolint:gosec // a count
	DetailOutputTokens = "output_tokens" //nolint:gosec // a count
	DetailCostUSD      = "cost_usd"
	// DetailReason, in one word, is there too.
)

// Tidy makes a workflow fit to be stored. Stores call it. Too large a task or input is TooLarge.
func (w Workflow) Tidy() (Workflow, error) {
	if w.Task = storable(w.Task, math.MaxInt); len(w.Task) > MaxWorkflowTask {
		return w, NewError(TooLarge, "The task is too long")
	}
	w.Output, w.Error = storable(w.Output, MaxWorkflowOutput), storable(w.Error, maxWorkflowError)
	w.Input = orEmptyMap(w.Input)
	raw, err := StoredJSON(w.Input)
	if err == nil && len(raw) > MaxWorkflowInput {
		err = NewError(TooLarge, "The input is too large")
	}
	return w, err
}

// Tidy makes a change fit to be stored. Stores call it. A workflow that has ended ends when it changed last, unless it says when.
func (c WorkflowChange) Tidy() (_ WorkflowChange, err error) {
	w := &c.Workflow
	w.Output, w.Error = storable(w.Output, MaxWorkflowOutput), storable(w.Error, maxWorkflowError)
	switch {
	case !w.Status.Ended():
		w.CompletedAt = time.Time{}
	case w.CompletedAt.IsZero():
		w.CompletedAt = w.UpdatedAt
	}
	c.Steps, c.Events = slices.Clone(c.Steps), slices.Clone(c.Events)
	for i, s := range c.Steps {
		if c.Steps[i], err = s.Tidy(); err != nil {
			return c, err
		}
	}
	for i, e := range c.Events {
		c.Events[i] = e.Tidy()
	}
	return c, nil
}

// Tidy makes a step fit to be stored. Stores call it. Too large a result is TooLarge.
func (s WorkflowStep) Tidy() (WorkflowStep, error) {
	switch {
	case s.Key == "":
		return s, fmt.Errorf("step %s has no key", s.ID)
	case len(s.Key) > maxStepKey || len(s.Result) > MaxStepResult:
		return s, NewError(TooLarge, "A step of the workflow came to more than can be kept")
	}
	s.Name, s.Agent = storable(s.Name, maxStepName), storable(s.Agent, maxAgentName)
	s.Output, s.Error = storable(s.Output, MaxStepOutput), storable(s.Error, maxWorkflowError)
	s.Input = orEmptyMap(s.Input)
	raw, err := StoredJSON(s.Input)
	if err == nil && len(raw) > MaxStepInput {
		s.Input = map[string]any{"omitted_bytes": len(raw)}
	}
	return s, err
}

// Tidy makes an event fit to be stored. Stores call it.
func (e WorkflowEvent) Tidy() WorkflowEvent {
	details := map[string]any{}
	for name, value := range e.Details {
		switch name {
		case DetailKind, DetailStepName, DetailAgent, DetailTool, DetailModel, DetailProvider:
			if s, ok := value.(string); ok && s != "" {
				details[name] = storable(s, maxStepName)
			}
		case DetailReason:
			if s, ok := value.(string); ok && isWord(s) {
				details[name] = s
			}
		case DetailIteration, DetailSteps, DetailDurationMS, DetailInputTokens, DetailOutputTokens:
			if n, ok := wholeNumber(value); ok {
				details[name] = n
			}
		case DetailCostUSD:
			if n, ok := value.(float64); ok && n >= 0 && !math.IsInf(n, 0) {
				details[name] = n
			}
		}
	}
	e.Details = details
	return e
}

func isWord(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func wholeNumber(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), n >= 0
	case int64:
		return n, n >= 0
	case float64: // as JSON has it
		return int64(n), n >= 0 && n < 1<<53 && n == math.Trunc(n)
	default:
		return 0, false
	}
}

// subjectWorkflow stands before the type of an event.
const subjectWorkflow = "gaia.workflow."

// WorkflowProgressEvent tells about one event of a workflow, and has its id. It never holds text of a task, an answer or an argument.
type WorkflowProgressEvent struct {
	WorkflowID string         `json:"workflow_id"`
	UserID     string         `json:"user_id"` // Principal.OwnerID
	Kind       WorkflowKind   `json:"kind"`
	Sequence   int            `json:"sequence"` // from 1, without gaps
	Status     WorkflowStatus `json:"status"`   // of the workflow then
	StepID     *string        `json:"step_id"`
	Timestamp  time.Time      `json:"timestamp"`
	Details    map[string]any `json:"details"`
}

// Event tells other services about an event of a workflow. It must have its sequence number.
func (e WorkflowEvent) Event(owner string, kind WorkflowKind) Event {
	return Event{ID: e.ID, Subject: subjectWorkflow + string(e.Type), Payload: WorkflowProgressEvent{
		WorkflowID: e.WorkflowID, UserID: owner, Kind: kind, Sequence: e.Sequence, Status: e.Status, StepID: orNil(e.StepID),
		Timestamp: e.At, Details: e.Details,
	}}
}

// storedPrincipal is a Principal as stores keep it.
type storedPrincipal struct {
	Type    AuthType  `json:"type"`
	UserID  string    `json:"user_id"`
	KeyID   string    `json:"key_id"`
	Scopes  []string  `json:"scopes"` // null and [] differ
	Tools   []string  `json:"tools"`  // null and [] differ
	Expires time.Time `json:"expires"`
}

// StoredPrincipal is a caller as stores keep it: JSON. No list and an empty list stay different.
func StoredPrincipal(p Principal) ([]byte, error) {
	p.Expires = p.Expires.UTC().Truncate(time.Microsecond)
	return json.Marshal(storedPrincipal(p))
}

// PrincipalFromStored reads what StoredPrincipal made.
func PrincipalFromStored(raw []byte) (Principal, error) {
	var p storedPrincipal
	err := json.Unmarshal(raw, &p)
	return Principal(p), err
}

// storable replaces what PostgreSQL does not keep, and cuts what is longer than limit bytes.
func storable(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= limit {
		return s
	}
	end := limit
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func orEmptyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// WorkflowNotFound says that there is no such workflow of this owner.
func WorkflowNotFound() *Error { return NewError(NotFound, "Workflow not found") }

// WorkflowEnded says that nothing can happen to a workflow any more.
func WorkflowEnded() *Error {
	return &Error{Kind: Conflict, Code: CodeEnded, Message: "The workflow has ended already"}
}

// WorkflowClaimed says that a workflow belongs to another runner.
func WorkflowClaimed() *Error { return NewError(Conflict, "Another process works on this workflow") }

// StepTaken says that a step has ended before, or is another one.
func StepTaken() *Error { return NewError(Conflict, "This step of the workflow is there already") }

// WorkflowKeyReused says that an Idempotency-Key came with another workflow than the first one.
func WorkflowKeyReused() *Error {
	return NewError(Conflict, "This Idempotency-Key was used for another workflow; take a new one")
}
