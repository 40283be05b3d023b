package domain

import "time"

// WorkflowKind says how agents work together.
type WorkflowKind string

// The kinds.
const (
	WorkflowAgent        WorkflowKind = "agent"               // one agent alone
	WorkflowRouter       WorkflowKind = "router"              // a model picks one
	WorkflowParallel     WorkflowKind = "parallel"            // all at once, their results brought together
	WorkflowOrchestrator WorkflowKind = "orchestrator"        // a planner and its workers
	WorkflowEvaluator    WorkflowKind = "evaluator_optimizer" // a writer and a critic
)

// WorkflowStatus is the state of a workflow or of one of its steps.
type WorkflowStatus string

// The states.
const (
	WorkflowPending        WorkflowStatus = "pending"
	WorkflowRunning        WorkflowStatus = "running"
	WorkflowCompleted      WorkflowStatus = "completed"
	WorkflowFailed         WorkflowStatus = "failed"
	WorkflowCancelled      WorkflowStatus = "cancelled"
	WorkflowOutcomeUnknown WorkflowStatus = "outcome_unknown" // a call may or may not have happened, and is not repeated
)

// Ended reports whether nothing more will happen.
func (s WorkflowStatus) Ended() bool { return s != WorkflowPending && s != WorkflowRunning }

// WorkflowLimits says where a workflow stops. Zero values: the server's.
type WorkflowLimits struct {
	Iterations int
	Tokens     int
	Cost       Money
	Duration   time.Duration
}

// WorkflowUsage is what a workflow or a step consumed.
type WorkflowUsage struct {
	Input, Output int // tokens
	Cost          Money
}

// Workflow is agents at work on a task. It belongs to one owner.
type Workflow struct {
	ID          string // UUID of version 7
	Principal   Principal
	Kind        WorkflowKind
	Status      WorkflowStatus
	Task        string
	Agents      []string // names; empty: all
	Input       map[string]any
	Model       string // for agents that prefer none; empty: the default
	PersonaID   string // whose voice results have; empty: nobody's
	Limits      WorkflowLimits
	Output      string
	Error       string // why it did not end well; safe for clients
	Usage       WorkflowUsage
	Key         string // Idempotency-Key; may be empty
	Fingerprint string // of the request, where Key is set
	Trace       string // of the request, see TraceOf; it stays as it was at first
	CreatedAt   time.Time
	UpdatedAt   time.Time
	CompletedAt time.Time // zero until it has ended
}

// WorkflowStepKind says what a step does.
type WorkflowStepKind string

// The kinds of steps.
const (
	StepRoute    WorkflowStepKind = "route"
	StepPlan     WorkflowStepKind = "plan"
	StepGenerate WorkflowStepKind = "generate"
	StepTool     WorkflowStepKind = "tool"
	StepEvaluate WorkflowStepKind = "evaluate"
	StepCombine  WorkflowStepKind = "combine"
)

// WorkflowStep is one entry of a workflow's journal. It is written when the step begins and once more when it has ended, and never after.
type WorkflowStep struct {
	ID          string // UUID; of a tool step the id of the call too
	WorkflowID  string
	Key         string // place in the workflow, the same each time it is run, such as "plan-1" or "worker-2/tool-1"; unique within it
	Sequence    int    // from 1, in the order in which steps began; the store gives it
	Kind        WorkflowStepKind
	Name        string // what was called, such as a tool or a model
	Agent       string // empty for the workflow itself
	Status      WorkflowStatus
	Input       map[string]any // redacted where a tool says so
	Output      string         // as clients see it, redacted where a tool says so
	Result      []byte         // JSON from which the workflow goes on after a crash; never shown
	Error       string         // safe for clients
	Usage       WorkflowUsage
	StartedAt   time.Time
	CompletedAt time.Time // zero until it has ended
}

// WorkflowEventType says what happened.
type WorkflowEventType string

// The types.
const (
	WorkflowEventStarted        WorkflowEventType = "started"
	WorkflowEventStepStarted    WorkflowEventType = "step_started"
	WorkflowEventStepCompleted  WorkflowEventType = "step_completed"
	WorkflowEventStepFailed     WorkflowEventType = "step_failed"
	WorkflowEventCompleted      WorkflowEventType = "completed"
	WorkflowEventFailed         WorkflowEventType = "failed"
	WorkflowEventCancelled      WorkflowEventType = "cancelled"
	WorkflowEventOutcomeUnknown WorkflowEventType = "outcome_unknown"
)

// WorkflowEvent is something that happened in a workflow. It is kept with it for those who follow it.
type WorkflowEvent struct {
	ID         string // UUID; of the event on the bus too
	WorkflowID string
	Sequence   int // from 1, without gaps; the store gives it
	Type       WorkflowEventType
	Status     WorkflowStatus // of the workflow then
	StepID     string         // empty when it belongs to none
	At         time.Time
	Details    map[string]any // those that Tidy knows; none of them is text of a prompt, an answer, an argument or a result
}

// WorkflowChange is everything that a store writes in one transaction.
type WorkflowChange struct {
	Workflow Workflow       // Status, Output, Error, Usage, UpdatedAt and CompletedAt are taken over
	Runner   string         // who works on it: refused when another does, or nobody
	Steps    []WorkflowStep // made, or ended
	Events   []WorkflowEvent
}
