package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what starts a workflow.
const (
	MaxTaskCharacters = MaxWorkflowTask / utf8.UTFMax
	MaxWorkflowAgents = 16  // how many
	MaxWorkflowKey    = 255 // bytes of an Idempotency-Key
	maxWorkflowModel  = 200 // bytes
)

// Agents that stand in where a request names none.
const (
	AgentAssistant = "assistant"
	AgentWriter    = "writer"
	AgentCritic    = "critic"
)

// WorkflowKinds returns the kinds, in the order of the contract.
func WorkflowKinds() []WorkflowKind {
	return []WorkflowKind{WorkflowAgent, WorkflowRouter, WorkflowParallel, WorkflowOrchestrator, WorkflowEvaluator}
}

// WorkflowDraft is what somebody wants a workflow to be.
type WorkflowDraft struct {
	Kind      WorkflowKind
	Task      string
	Agents    []string       // names; empty: those that the kind takes by itself
	Input     map[string]any // what the task is about; shown to the agents as JSON
	Model     string         // for agents that prefer none; empty: the default
	PersonaID string         // whose voice results have; empty: nobody's
	Limits    WorkflowLimits // zero values: the server's
}

// WorkflowBounds are limits that the operator sets: what holds where a request says nothing, and the most that it may say.
type WorkflowBounds struct{ Default, Max WorkflowLimits }

// Check returns the draft with everything filled in that it leaves open, or everything that is wrong with it.
func (d WorkflowDraft) Check(known []Agent, bounds WorkflowBounds) (WorkflowDraft, error) {
	var faults []Fault
	add := func(f ...Fault) { faults = append(faults, f...) }
	if !slices.Contains(WorkflowKinds(), d.Kind) {
		add(workflowFault(string(d.Kind), "Value error, there is no such kind of workflow", "kind"))
	}
	add(d.textFaults()...)
	var agentFaults, limitFaults []Fault
	d.Agents, agentFaults = d.chooseAgents(known)
	d.Limits, limitFaults = d.Limits.within(bounds)
	add(agentFaults...)
	add(limitFaults...)
	if len(faults) > 0 {
		return WorkflowDraft{}, InvalidInput(faults...)
	}
	for _, name := range d.Agents {
		if !slices.ContainsFunc(known, func(a Agent) bool { return a.Name == name }) {
			return WorkflowDraft{}, NewError(NotFound, fmt.Sprintf("There is no agent called %q", name))
		}
	}
	return d, nil
}

func (d WorkflowDraft) textFaults() []Fault {
	var faults []Fault
	switch {
	case strings.TrimSpace(d.Task) == "":
		faults = append(faults, Fault{
			Type: "string_too_short", Loc: []any{"body", "task"}, Msg: "String should have at least 1 character", Input: d.Task,
			Ctx: map[string]any{"min_length": 1},
		})
	case utf8.RuneCountInString(d.Task) > MaxTaskCharacters:
		faults = append(faults, TooLong(MaxTaskCharacters, d.Task, "body", "task"))
	case holdsNUL(d.Task) || !utf8.ValidString(d.Task):
		faults = append(faults, workflowFault(d.Task, "Value error, null characters are not allowed", "task"))
	}
	if input, err := json.Marshal(d.Input); err != nil || len(input) > MaxWorkflowInput {
		faults = append(faults, workflowFault(nil, fmt.Sprintf("Value error, the input has more than %d bytes", MaxWorkflowInput), "input"))
	} else if holdsNUL(d.Input) {
		faults = append(faults, workflowFault(nil, "Value error, null characters are not allowed", "input"))
	}
	if len(d.Model) > maxWorkflowModel || holdsNUL(d.Model) {
		faults = append(faults, workflowFault(d.Model, "Value error, this is no name of a model", "model"))
	}
	return faults
}

// chooseAgents is who takes part: those that are named, or those that the kind has by itself.
func (d WorkflowDraft) chooseAgents(known []Agent) ([]string, []Fault) {
	if len(d.Agents) == 0 {
		return d.defaultAgents(known)
	}
	var faults []Fault
	fault := func(input any, msg string, loc ...any) { faults = append(faults, workflowFault(input, msg, loc...)) }
	for i, name := range d.Agents {
		if slices.Index(d.Agents, name) < i && d.Kind != WorkflowEvaluator { // who writes may judge as well
			fault(name, "Value error, this agent is named twice", "agents", i)
		}
	}
	switch n := len(d.Agents); {
	case n > MaxWorkflowAgents:
		fault(n, fmt.Sprintf("Value error, at most %d agents can take part", MaxWorkflowAgents), "agents")
	case d.Kind == WorkflowAgent && n != 1:
		fault(d.Agents, "Value error, this kind takes one agent", "agents")
	case d.Kind == WorkflowEvaluator && n != 2:
		fault(d.Agents, "Value error, this kind takes two agents: who writes, and who judges", "agents")
	}
	return d.Agents, faults
}

func (d WorkflowDraft) defaultAgents(known []Agent) ([]string, []Fault) {
	var names []string
	for _, a := range known {
		names = append(names, a.Name)
	}
	want := names[:min(len(names), MaxWorkflowAgents)]
	switch d.Kind {
	case WorkflowAgent:
		want = []string{AgentAssistant}
	case WorkflowEvaluator:
		want = []string{AgentWriter, AgentCritic}
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			return nil, []Fault{workflowFault(nil, "Value error, name the agents: there is none called "+name, "agents")}
		}
	}
	if len(want) == 0 {
		return nil, []Fault{workflowFault(nil, "Value error, there are no agents", "agents")}
	}
	return want, nil
}

// within fills in the defaults and finds what is above the maxima, or below zero.
func (l WorkflowLimits) within(b WorkflowBounds) (WorkflowLimits, []Fault) {
	var faults []Fault
	check := func(field string, value, otherwise, most int64, unit float64) int64 {
		switch {
		case value == 0:
			return otherwise
		case value < 0 || value > most:
			faults = append(faults, Fault{
				Type: "less_than_equal", Loc: []any{"body", "limits", field}, Input: float64(value) / unit,
				Msg: fmt.Sprintf("Input should be above 0 and at most %v", float64(most)/unit), Ctx: map[string]any{"le": float64(most) / unit},
			})
		}
		return value
	}
	return WorkflowLimits{
		Iterations: int(check("max_iterations", int64(l.Iterations), int64(b.Default.Iterations), int64(b.Max.Iterations), 1)),
		Tokens:     int(check("max_tokens", int64(l.Tokens), int64(b.Default.Tokens), int64(b.Max.Tokens), 1)),
		Cost:       Money(check("max_cost_usd", int64(l.Cost), int64(b.Default.Cost), int64(b.Max.Cost), dollar)),
		Duration: time.Duration(check("max_duration_seconds", int64(l.Duration), int64(b.Default.Duration), int64(b.Max.Duration),
			float64(time.Second))),
	}, faults
}

func workflowFault(input any, msg string, loc ...any) Fault {
	return Fault{Type: "value_error", Loc: append([]any{"body"}, loc...), Msg: msg, Input: input}
}

// NewWorkflow makes a pending workflow from a draft that was checked, and the event that tells of it.
func NewWorkflow(d WorkflowDraft, id, eventID string, who Principal, now time.Time) (Workflow, WorkflowEvent) {
	now = now.UTC().Truncate(time.Microsecond)
	w := Workflow{
		ID: id, Principal: who, Kind: d.Kind, Status: WorkflowPending, Task: d.Task, Agents: d.Agents, Input: orEmpty(d.Input), Model: d.Model,
		PersonaID: d.PersonaID, Limits: d.Limits, CreatedAt: now, UpdatedAt: now,
	}
	return w, w.Event(eventID, WorkflowEventStarted, now)
}

// Within reports whether no limit is above that of others.
func (l WorkflowLimits) Within(m WorkflowLimits) bool {
	return l.Iterations <= m.Iterations && l.Tokens <= m.Tokens && l.Cost <= m.Cost && l.Duration <= m.Duration
}
