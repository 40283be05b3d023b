package mcpserver

import (
	"context"
	"errors"
	"io"
	"time"

	"gaia/domain"
)

// maxWait is how long a client may have waited for a workflow in one call.
const maxWait = time.Hour

// maxStepText bounds what is shown of what one step came to, in bytes: the output of the workflow is what counts.
const maxStepText = 2 << 10

type workflowDraft struct {
	Kind    string         `json:"kind"`
	Task    string         `json:"task"`
	Agents  []string       `json:"agents"`
	Input   map[string]any `json:"input"`
	Model   string         `json:"model"`
	Persona string         `json:"persona"`
	Key     string         `json:"idempotency_key"`
}

type workflowRef struct {
	ID string `json:"workflow_id"`
}

type workflowWait struct {
	ID      string `json:"workflow_id"`
	Seconds int    `json:"timeout_seconds"`
}

type workflowQuery struct {
	Status string `json:"status"`
	page
}

type workflowSummary struct {
	ID        string        `json:"id"`
	Kind      string        `json:"kind"`
	Status    string        `json:"status" jsonschema:"pending, running, completed, failed, cancelled or outcome_unknown"`
	Task      string        `json:"task"`
	Output    string        `json:"output,omitempty" jsonschema:"the result, once it is completed"`
	Error     string        `json:"error,omitempty" jsonschema:"why it did not end well"`
	Usage     workflowUsage `json:"usage"`
	CreatedAt string        `json:"created_at"`
	UpdatedAt string        `json:"updated_at"`
}

type workflowUsage struct {
	Input  int     `json:"input_tokens"`
	Output int     `json:"output_tokens"`
	Cost   float64 `json:"cost_usd"`
}

type workflowDetails struct {
	workflowSummary
	Steps []workflowStep `json:"steps"`
}

type workflowStep struct {
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"`
	Agent  string `json:"agent,omitempty"`
	Status string `json:"status"`
	Output string `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
}

type workflowList struct {
	Workflows []workflowSummary `json:"workflows"`
	Total     int               `json:"total"`
}

const (
	workflowIDSchema = `"workflow_id": {"type": "string", "minLength": 1, "maxLength": 64}`
	workflowRefOnly  = `{"type": "object", "required": ["workflow_id"], "additionalProperties": false, "properties": {` + workflowIDSchema + `}}`
)

func (s *Server) addWorkflowTools() {
	if s.Workflows == nil {
		return
	}
	addTool(s, tool[workflowDraft, workflowSummary]{
		name: "start_workflow", title: "Start a workflow", scope: "workflows:write", changes: true, outside: true,
		description: "Has agents work on a task, and answers at once with the id by which get_workflow and wait_for_workflow tell what came of it. " +
			"The kinds: agent (one alone), router (a model picks one), parallel (all at once), orchestrator (a planner and its workers), " +
			"evaluator_optimizer (a writer and a critic).",
		input: `{"type": "object", "required": ["kind", "task"], "additionalProperties": false, "properties": {
			"kind": {"type": "string", "enum": ["agent", "router", "parallel", "orchestrator", "evaluator_optimizer"]},
			"task": {"type": "string", "minLength": 1, "maxLength": 100000, "description": "What to do."},
			"agents": {"type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 64}, "description": "Names of who takes part; without them those that the kind takes by itself."},
			"input": {"type": "object", "description": "What the task is about."},
			"model": {"type": "string", "maxLength": 200, "description": "For agents that prefer none."},
			"persona": {"type": "string", "maxLength": 255, "description": "Id or name of whose voice the result has."},
			"idempotency_key": {"type": "string", "maxLength": 255, "description": "The same key starts the same workflow only once."}}}`,
		do: s.startWorkflow,
	})
	addTool(s, tool[workflowRef, workflowDetails]{
		name: "get_workflow", title: "Show a workflow", scope: "workflows:read", input: workflowRefOnly,
		description: "Shows one of the caller's workflows with its steps so far.",
		do: func(ctx context.Context, c call, r workflowRef) (workflowDetails, error) {
			return s.workflow(ctx, c.who, r.ID)
		},
	})
	addTool(s, tool[workflowWait, workflowDetails]{
		name: "wait_for_workflow", title: "Wait for a workflow", scope: "workflows:read",
		description: "Waits until one of the caller's workflows has ended, and shows it. Each step that ends is told as progress.",
		input: `{"type": "object", "required": ["workflow_id"], "additionalProperties": false, "properties": {` + workflowIDSchema + `,
			"timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 600, "description": "After this it is shown as it is then."}}}`,
		do: s.waitForWorkflow,
	})
	addTool(s, tool[workflowQuery, workflowList]{
		name: "list_workflows", title: "List workflows", scope: "workflows:read",
		description: "Lists the caller's workflows without their steps, the newest first.",
		input: `{"type": "object", "additionalProperties": false, "properties": {
			"status": {"type": "string", "enum": ["pending", "running", "completed", "failed", "cancelled", "outcome_unknown"]}, ` + pageProperties + `}}`,
		do: func(ctx context.Context, c call, q workflowQuery) (workflowList, error) {
			all, total, err := s.Workflows.List(ctx, c.who, domain.WorkflowStatus(q.Status), pageSize(q.Limit), max(q.Offset, 0))
			list := workflowList{Workflows: []workflowSummary{}, Total: total}
			for _, w := range all {
				list.Workflows = append(list.Workflows, workflowOf(w, maxStepText))
			}
			return list, err
		},
	})
	addTool(s, tool[workflowRef, workflowSummary]{
		name: "cancel_workflow", title: "Stop a workflow", scope: "workflows:write", input: workflowRefOnly, changes: true, destroys: true,
		description: "Stops one of the caller's workflows, with what it is doing at the moment.",
		do: func(ctx context.Context, c call, r workflowRef) (workflowSummary, error) {
			w, _, err := s.Workflows.Cancel(ctx, c.who, r.ID)
			return workflowOf(w, maxMessageText), err
		},
	})
}

func (s *Server) startWorkflow(ctx context.Context, c call, d workflowDraft) (workflowSummary, error) {
	persona, err := s.personaID(ctx, d.Persona)
	if err != nil {
		return workflowSummary{}, err
	}
	w, err := s.Workflows.Start(ctx, c.who, domain.WorkflowDraft{
		Kind: domain.WorkflowKind(d.Kind), Task: d.Task, Agents: d.Agents, Input: d.Input, Model: d.Model, PersonaID: persona,
	}, d.Key)
	return workflowOf(w, maxStepText), err
}

// waitForWorkflow follows a workflow to its end. Who gives up waiting does not stop it.
func (s *Server) waitForWorkflow(ctx context.Context, c call, r workflowWait) (workflowDetails, error) {
	follower, err := s.Workflows.Follow(ctx, c.who, r.ID, 0)
	if err != nil {
		return workflowDetails{}, err
	}
	defer follower.Close()
	limit := time.Duration(r.Seconds) * time.Second
	if limit <= 0 || limit > maxWait {
		limit = 10 * time.Minute
	}
	waiting, cancel := s.waiting(ctx, limit)
	defer cancel()
	for ended := 0; ; {
		event, err := follower.Next(waiting)
		switch {
		case errors.Is(err, io.EOF), waiting.Err() != nil && ctx.Err() == nil:
			return s.workflow(ctx, c.who, r.ID)
		case err != nil:
			return workflowDetails{}, err
		}
		if event.Type == domain.WorkflowEventStepCompleted || event.Type == domain.WorkflowEventStepFailed {
			ended++
			if c.progress != nil {
				c.progress(float64(ended), 0, "step "+string(event.Type)[len("step_"):], nil)
			}
		}
	}
}

func (s *Server) workflow(ctx context.Context, who domain.Principal, id string) (workflowDetails, error) {
	w, steps, err := s.Workflows.Get(ctx, who, id)
	details := workflowDetails{workflowSummary: workflowOf(w, maxWorkflowText), Steps: []workflowStep{}}
	for _, step := range steps {
		output, _ := shorten(step.Output, maxStepText)
		details.Steps = append(details.Steps, workflowStep{
			Kind: string(step.Kind), Name: step.Name, Agent: step.Agent, Status: string(step.Status), Output: output, Error: step.Error,
		})
	}
	return details, err
}

// maxWorkflowText bounds what is shown of a workflow's task and output, in bytes.
const maxWorkflowText = 256 << 10

func workflowOf(w domain.Workflow, most int) workflowSummary {
	task, _ := shorten(w.Task, most)
	output, _ := shorten(w.Output, most)
	return workflowSummary{
		ID: w.ID, Kind: string(w.Kind), Status: string(w.Status), Task: task, Output: output, Error: w.Error,
		Usage:     workflowUsage{w.Usage.Input, w.Usage.Output, w.Usage.Cost.Dollars()},
		CreatedAt: timestamp(w.CreatedAt), UpdatedAt: timestamp(w.UpdatedAt),
	}
}

// workflowIDs are those of the latest workflows whose id begins like this.
func (s *Server) workflowIDs(ctx context.Context, who domain.Principal, begin string) ([]string, error) {
	latest, _, err := s.Workflows.List(ctx, who, "", maxPage, 0)
	var ids []string
	for _, w := range latest {
		if begins(w.ID, begin) {
			ids = append(ids, w.ID)
		}
	}
	return ids, err
}
