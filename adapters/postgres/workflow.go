package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.WorkflowStore = (*WorkflowStore)(nil)

// WorkflowStore keeps workflows with their journals and events.
type WorkflowStore struct{ db *Store }

// Workflows returns the store of workflows.
func (s *Store) Workflows() *WorkflowStore { return &WorkflowStore{db: s} }

// Create implements ports.WorkflowStore.
func (s *WorkflowStore) Create(ctx context.Context, w domain.Workflow, e domain.WorkflowEvent) (domain.Workflow, error) {
	row, err := workflowToRow(w)
	if err != nil {
		return domain.Workflow{}, fmt.Errorf("postgres create workflow: %w", err)
	}
	events, err := workflowEventsToRows([]domain.WorkflowEvent{e.Tidy()})
	if err != nil {
		return domain.Workflow{}, fmt.Errorf("postgres create workflow: %w", err)
	}
	var made sqlcgen.Workflow
	err = s.db.write(ctx, "create workflow", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		made, err = createWorkflow(ctx, q, row, events)
		return err
	})
	if err != nil {
		return domain.Workflow{}, err
	}
	return workflowFromRow(made)
}

func createWorkflow(
	ctx context.Context, q *sqlcgen.Queries, row sqlcgen.InsertWorkflowParams, events []domain.WorkflowEvent,
) (sqlcgen.Workflow, error) {
	n, err := q.InsertWorkflow(ctx, row)
	if err != nil {
		return sqlcgen.Workflow{}, err
	}
	if n == 0 {
		made, err := q.GetWorkflowByKey(ctx, sqlcgen.GetWorkflowByKeyParams{Owner: row.Owner, IdempotencyKey: row.IdempotencyKey})
		if err == nil && made.Fingerprint != row.Fingerprint {
			err = domain.WorkflowKeyReused()
		}
		return made, err
	}
	if err := putWorkflowEvents(ctx, q, row.ID, row.Owner, row.Kind, len(events), events); err != nil {
		return sqlcgen.Workflow{}, err
	}
	return q.GetWorkflow(ctx, row.ID)
}

// Get implements ports.WorkflowStore.
func (s *WorkflowStore) Get(ctx context.Context, owner, id string) (domain.Workflow, []domain.WorkflowStep, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Workflow{}, nil, domain.WorkflowNotFound()
	}
	var (
		row   sqlcgen.Workflow
		steps []sqlcgen.ShowWorkflowStepsRow
	)
	err = s.db.read(ctx, "get workflow", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		// The workflow first: what has ended has all its steps.
		row, err = q.GetWorkflow(ctx, key)
		if noRow(err) || err == nil && row.Owner != owner {
			return domain.WorkflowNotFound()
		}
		if err == nil {
			steps, err = q.ShowWorkflowSteps(ctx, key)
		}
		return err
	})
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return shownWorkflow(row, steps)
}

func shownWorkflow(row sqlcgen.Workflow, rows []sqlcgen.ShowWorkflowStepsRow) (domain.Workflow, []domain.WorkflowStep, error) {
	w, err := workflowFromRow(row)
	steps := make([]domain.WorkflowStep, len(rows))
	for i := 0; i < len(rows) && err == nil; i++ {
		steps[i], err = workflowStepFromRow(sqlcgen.WorkflowStep{
			WorkflowID: rows[i].WorkflowID, Sequence: rows[i].Sequence, ID: rows[i].ID, Place: rows[i].Place, Kind: rows[i].Kind,
			Name: rows[i].Name, Agent: rows[i].Agent, Status: rows[i].Status, Input: rows[i].Input, Output: rows[i].Output,
			Error: rows[i].Error, InputTokens: rows[i].InputTokens, OutputTokens: rows[i].OutputTokens, Cost: rows[i].Cost,
			StartedAt: rows[i].StartedAt, CompletedAt: rows[i].CompletedAt,
		})
	}
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return w, steps, nil
}

// List implements ports.WorkflowStore.
func (s *WorkflowStore) List(
	ctx context.Context, owner string, status domain.WorkflowStatus, limit, offset int,
) ([]domain.Workflow, int, error) {
	var (
		rows  []sqlcgen.ListWorkflowsRow
		total int64
	)
	err := s.db.read(ctx, "list workflows", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListWorkflows(ctx, sqlcgen.ListWorkflowsParams{
			Owner: owner, Status: string(status), MaxWorkflows: atMost(max(limit, 0)), Skip: atMost(max(offset, 0)),
		})
		if err == nil {
			total, err = q.CountWorkflows(ctx, sqlcgen.CountWorkflowsParams{Owner: owner, Status: string(status)})
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	list := make([]domain.Workflow, len(rows))
	for i, r := range rows {
		list[i] = domain.Workflow{
			ID: r.ID.String(), Kind: domain.WorkflowKind(r.Kind), Status: domain.WorkflowStatus(r.Status), Task: r.Task, Model: r.Model,
			PersonaID: r.PersonaID, Limits: workflowLimits(r.MaxIterations, r.MaxTokens, r.MaxCost, r.MaxDuration), Error: r.Error,
			Usage:     workflowUsage(r.InputTokens, r.OutputTokens, r.Cost),
			CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), CompletedAt: timeOrZero(r.CompletedAt),
		}
	}
	return list, int(total), nil
}

// Events implements ports.WorkflowStore.
func (s *WorkflowStore) Events(
	ctx context.Context, owner, id string, after, limit int,
) ([]domain.WorkflowEvent, domain.WorkflowStatus, error) {
	key, err := parseID(id)
	if err != nil {
		return nil, "", domain.WorkflowNotFound()
	}
	var (
		workflow sqlcgen.GetWorkflowStatusRow
		rows     []sqlcgen.WorkflowEvent
	)
	err = s.db.read(ctx, "list workflow events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		// The status first: what has ended has all its events.
		workflow, err = q.GetWorkflowStatus(ctx, key)
		if noRow(err) || err == nil && workflow.Owner != owner {
			return domain.WorkflowNotFound()
		}
		if err == nil {
			rows, err = q.ListWorkflowEvents(ctx, sqlcgen.ListWorkflowEventsParams{
				WorkflowID: key, After: int64(after), MaxEvents: atMost(max(limit, 0)),
			})
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	list := make([]domain.WorkflowEvent, len(rows))
	for i, r := range rows {
		list[i] = domain.WorkflowEvent{
			ID: r.ID.String(), WorkflowID: r.WorkflowID.String(), Sequence: int(r.Sequence), Type: domain.WorkflowEventType(r.Type),
			Status: domain.WorkflowStatus(r.Status), StepID: r.StepID, At: r.At.UTC(),
		}
		if list[i].Details, err = domain.MapFromStored(r.Details); err != nil {
			return nil, "", fmt.Errorf("postgres list workflow events: %s: %w", r.ID, err)
		}
	}
	return list, domain.WorkflowStatus(workflow.Status), nil
}

// Waiting implements ports.WorkflowStore.
func (s *WorkflowStore) Waiting(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var rows []uuid.UUID
	err := s.db.read(ctx, "list waiting workflows", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.ListWaitingWorkflows(ctx, sqlcgen.ListWaitingWorkflowsParams{Now: asStored(now), MaxWorkflows: atMost(max(limit, 0))})
		return err
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, id := range rows {
		ids[i] = id.String()
	}
	return ids, nil
}

// expireWorkflows bounds what one transaction forgets: a workflow may have many steps.
const expireWorkflows = 50

// Expire implements ports.WorkflowStore.
func (s *WorkflowStore) Expire(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var rows int64
		err := s.db.write(ctx, "expire workflows", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			rows, err = q.ExpireWorkflows(ctx, sqlcgen.ExpireWorkflowsParams{Before: asStored(before), MaxWorkflows: expireWorkflows})
			return err
		})
		if err != nil {
			return total, err
		}
		total += int(rows)
		if rows < expireWorkflows {
			return total, nil
		}
	}
}

func workflowToRow(w domain.Workflow) (row sqlcgen.InsertWorkflowParams, err error) {
	id, err := parseID(w.ID)
	if err != nil {
		return row, err
	}
	if w, err = w.Tidy(); err != nil {
		return row, err
	}
	principal, err := domain.StoredPrincipal(w.Principal)
	if err != nil {
		return row, err
	}
	agents, err := json.Marshal(append([]string{}, w.Agents...))
	if err != nil {
		return row, err
	}
	input, err := domain.StoredJSON(w.Input)
	return sqlcgen.InsertWorkflowParams{
		ID: id, Owner: w.Principal.OwnerID(), Principal: principal, Kind: string(w.Kind), Task: w.Task, Agents: agents,
		Input: input, Model: w.Model, PersonaID: w.PersonaID, MaxIterations: atMost(w.Limits.Iterations),
		MaxTokens: atMost(w.Limits.Tokens), MaxCost: int64(w.Limits.Cost), MaxDuration: int64(w.Limits.Duration),
		IdempotencyKey: orNull(w.Key), Fingerprint: w.Fingerprint, Traceparent: orNull(w.Trace), CreatedAt: asStored(w.CreatedAt), UpdatedAt: asStored(w.UpdatedAt),
	}, err
}

func workflowFromRow(r sqlcgen.Workflow) (domain.Workflow, error) {
	w := domain.Workflow{
		ID: r.ID.String(), Kind: domain.WorkflowKind(r.Kind), Status: domain.WorkflowStatus(r.Status), Task: r.Task, Model: r.Model,
		PersonaID: r.PersonaID, Limits: workflowLimits(r.MaxIterations, r.MaxTokens, r.MaxCost, r.MaxDuration),
		Output: r.Output, Error: r.Error, Usage: workflowUsage(r.InputTokens, r.OutputTokens, r.Cost),
		Key: orEmpty(r.IdempotencyKey), Fingerprint: r.Fingerprint, Trace: orEmpty(r.Traceparent),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), CompletedAt: timeOrZero(r.CompletedAt),
	}
	var err error
	if w.Principal, err = domain.PrincipalFromStored(r.Principal); err == nil {
		w.Input, err = domain.MapFromStored(r.Input)
	}
	if err == nil {
		err = json.Unmarshal(r.Agents, &w.Agents)
	}
	if err != nil {
		return domain.Workflow{}, fmt.Errorf("postgres: workflow %s: %w", r.ID, err)
	}
	if len(w.Agents) == 0 {
		w.Agents = nil
	}
	return w, nil
}

func workflowLimits(iterations, tokens int32, cost, duration int64) domain.WorkflowLimits {
	return domain.WorkflowLimits{
		Iterations: int(iterations), Tokens: int(tokens), Cost: domain.Money(cost), Duration: time.Duration(duration),
	}
}

func workflowUsage(input, output, cost int64) domain.WorkflowUsage {
	return domain.WorkflowUsage{Input: int(input), Output: int(output), Cost: domain.Money(cost)}
}

func workflowStepFromRow(r sqlcgen.WorkflowStep) (domain.WorkflowStep, error) {
	input, err := domain.MapFromStored(r.Input)
	if err != nil {
		return domain.WorkflowStep{}, fmt.Errorf("postgres: step %s: %w", r.ID, err)
	}
	return domain.WorkflowStep{
		ID: r.ID.String(), WorkflowID: r.WorkflowID.String(), Key: r.Place, Sequence: int(r.Sequence), Kind: domain.WorkflowStepKind(r.Kind), Name: r.Name,
		Agent: r.Agent, Status: domain.WorkflowStatus(r.Status), Input: input, Output: r.Output, Result: r.Result, Error: r.Error,
		Usage: workflowUsage(r.InputTokens, r.OutputTokens, r.Cost), StartedAt: r.StartedAt.UTC(), CompletedAt: timeOrZero(r.CompletedAt),
	}, nil
}
