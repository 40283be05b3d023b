package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
)

// Claim implements ports.WorkflowStore.
func (s *WorkflowStore) Claim(
	ctx context.Context, id, runner string, now, until time.Time,
) (domain.Workflow, []domain.WorkflowStep, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Workflow{}, nil, domain.WorkflowNotFound()
	}
	var (
		row  sqlcgen.Workflow
		rows []sqlcgen.WorkflowStep
	)
	err = s.db.write(ctx, "claim workflow", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.ClaimWorkflow(ctx, sqlcgen.ClaimWorkflowParams{ID: key, Runner: runner, Now: asStored(now), Until: asStored(until)})
		if noRow(err) {
			return workflowRefusal(ctx, q, key, domain.WorkflowNotFound())
		}
		if err == nil {
			rows, err = q.ListWorkflowSteps(ctx, key)
		}
		return err
	})
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	w, err := workflowFromRow(row)
	steps := make([]domain.WorkflowStep, len(rows))
	for i := 0; i < len(rows) && err == nil; i++ {
		steps[i], err = workflowStepFromRow(rows[i])
	}
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return w, steps, nil
}

// workflowRefusal tells why a workflow was not to be had.
func workflowRefusal(ctx context.Context, q *sqlcgen.Queries, id uuid.UUID, missing error) error {
	row, err := q.GetWorkflowStatus(ctx, id)
	switch {
	case noRow(err):
		return missing
	case err != nil:
		return err
	case domain.WorkflowStatus(row.Status).Ended():
		return domain.WorkflowEnded()
	default:
		return domain.WorkflowClaimed()
	}
}

// Renew implements ports.WorkflowStore.
func (s *WorkflowStore) Renew(ctx context.Context, id, runner string, until time.Time) error {
	key, err := parseID(id)
	if err != nil {
		return domain.WorkflowClaimed()
	}
	return s.db.once(ctx, "renew workflow", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.RenewWorkflow(ctx, sqlcgen.RenewWorkflowParams{ID: key, Runner: runner, Until: asStored(until)})
		if err == nil && n == 0 {
			err = workflowRefusal(ctx, q, key, domain.WorkflowClaimed())
		}
		return err
	})
}

// Abandon implements ports.WorkflowStore.
func (s *WorkflowStore) Abandon(ctx context.Context, id, runner string) error {
	key, err := parseID(id)
	if err != nil {
		return ctx.Err()
	}
	return s.db.once(ctx, "abandon workflow", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.AbandonWorkflow(ctx, sqlcgen.AbandonWorkflowParams{ID: key, Runner: runner})
	})
}

// Commit implements ports.WorkflowStore.
func (s *WorkflowStore) Commit(ctx context.Context, change domain.WorkflowChange) error {
	rows, err := workflowChangeToRows(change)
	if err != nil {
		return fmt.Errorf("postgres commit workflow: %w", err)
	}
	return s.db.use(ctx, "commit workflow", func(ctx context.Context, conn *pgx.Conn) error {
		return transaction(ctx, conn, func(tx pgx.Tx) error { return rows.write(ctx, tx) })
	})
}

// workflowRows is everything that a change writes.
type workflowRows struct {
	workflow sqlcgen.CommitWorkflowParams
	steps    []sqlcgen.PutWorkflowStepParams
	events   []domain.WorkflowEvent
}

func workflowChangeToRows(change domain.WorkflowChange) (*workflowRows, error) {
	c, err := change.Tidy()
	if err != nil {
		return nil, err
	}
	w, rows := c.Workflow, &workflowRows{}
	id, err := parseID(w.ID)
	if err != nil {
		return nil, domain.WorkflowClaimed()
	}
	rows.workflow = sqlcgen.CommitWorkflowParams{
		ID: id, Runner: c.Runner, Status: string(w.Status), Output: w.Output, Error: w.Error, InputTokens: int64(w.Usage.Input),
		OutputTokens: int64(w.Usage.Output), Cost: int64(w.Usage.Cost), UpdatedAt: asStored(w.UpdatedAt),
		CompletedAt: timeOrNull(w.CompletedAt), Events: atMost(len(c.Events)),
	}
	for _, step := range c.Steps {
		row, err := workflowStepToRow(id, step)
		if err != nil {
			return nil, err
		}
		rows.steps = append(rows.steps, row)
	}
	rows.events, err = workflowEventsToRows(c.Events)
	return rows, err
}

// write locks the workflow first, so that changes come one after the other. All else goes to the server in one piece.
func (r *workflowRows) write(ctx context.Context, tx pgx.Tx) error {
	q := sqlcgen.New(tx)
	w, err := q.CommitWorkflow(ctx, r.workflow)
	if noRow(err) {
		return workflowRefusal(ctx, q, r.workflow.ID, domain.WorkflowClaimed())
	}
	if err != nil {
		return err
	}
	rest := &batch{}
	q = sqlcgen.New(rest)
	for _, step := range r.steps {
		_, _ = q.PutWorkflowStep(ctx, step)
		rest.changes(domain.StepTaken())
	}
	if ended := r.workflow.CompletedAt; ended != nil {
		_ = q.EndWorkflowSteps(ctx, sqlcgen.EndWorkflowStepsParams{WorkflowID: r.workflow.ID, At: *ended})
	}
	if err := putWorkflowEvents(ctx, q, r.workflow.ID, w.Owner, w.Kind, int(w.LastEvent), r.events); err != nil {
		return err
	}
	if rest.queued.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &rest.queued).Close()
}

// Cancel implements ports.WorkflowStore.
func (s *WorkflowStore) Cancel(
	ctx context.Context, owner, id string, e domain.WorkflowEvent,
) (domain.Workflow, []domain.WorkflowStep, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Workflow{}, nil, domain.WorkflowNotFound()
	}
	events, err := workflowEventsToRows([]domain.WorkflowEvent{e.Tidy()})
	if err != nil {
		return domain.Workflow{}, nil, fmt.Errorf("postgres cancel workflow: %w", err)
	}
	var (
		row   sqlcgen.Workflow
		steps []sqlcgen.ShowWorkflowStepsRow
	)
	err = s.db.write(ctx, "cancel workflow", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, steps, err = cancelWorkflow(ctx, q, sqlcgen.CancelWorkflowParams{ID: key, Owner: owner, At: asStored(e.At)}, events)
		return err
	})
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return shownWorkflow(row, steps)
}

func cancelWorkflow(
	ctx context.Context, q *sqlcgen.Queries, cancel sqlcgen.CancelWorkflowParams, events []domain.WorkflowEvent,
) (sqlcgen.Workflow, []sqlcgen.ShowWorkflowStepsRow, error) {
	row, err := q.CancelWorkflow(ctx, cancel)
	if noRow(err) {
		there, err := q.GetWorkflowStatus(ctx, cancel.ID)
		switch {
		case noRow(err), err == nil && there.Owner != cancel.Owner:
			return row, nil, domain.WorkflowNotFound()
		case err == nil:
			err = domain.WorkflowEnded()
		}
		return row, nil, err
	}
	if err != nil {
		return row, nil, err
	}
	if err := q.EndWorkflowSteps(ctx, sqlcgen.EndWorkflowStepsParams{WorkflowID: row.ID, At: cancel.At}); err != nil {
		return row, nil, err
	}
	if err := putWorkflowEvents(ctx, q, row.ID, row.Owner, row.Kind, int(row.LastEvent), events); err != nil {
		return row, nil, err
	}
	steps, err := q.ShowWorkflowSteps(ctx, row.ID)
	return row, steps, err
}

func workflowStepToRow(workflow uuid.UUID, s domain.WorkflowStep) (row sqlcgen.PutWorkflowStepParams, err error) {
	id, err := parseID(s.ID)
	if err != nil {
		return row, fmt.Errorf("step: %w", err)
	}
	input, err := domain.StoredJSON(s.Input)
	row = sqlcgen.PutWorkflowStepParams{
		WorkflowID: workflow, ID: id, Place: s.Key, Kind: string(s.Kind), Name: s.Name, Agent: s.Agent, Status: string(s.Status),
		Input: input, Output: s.Output, Error: s.Error, InputTokens: int64(s.Usage.Input), OutputTokens: int64(s.Usage.Output),
		Cost: int64(s.Usage.Cost), StartedAt: asStored(s.StartedAt), CompletedAt: timeOrNull(s.CompletedAt),
	}
	if len(s.Result) > 0 {
		row.Result = s.Result
	}
	return row, err
}

// workflowEventsToRows checks what can be checked before a transaction. Numbers come in it.
func workflowEventsToRows(events []domain.WorkflowEvent) ([]domain.WorkflowEvent, error) {
	list := make([]domain.WorkflowEvent, len(events))
	for i, e := range events {
		id, err := parseID(e.ID)
		if err != nil {
			return nil, fmt.Errorf("event: %w", err)
		}
		e.ID = id.String()
		list[i] = e
	}
	return list, nil
}

// putWorkflowEvents writes events of a workflow, the last of which has the number last, and tells about them.
func putWorkflowEvents(
	ctx context.Context, q *sqlcgen.Queries, workflow uuid.UUID, owner, kind string, last int, events []domain.WorkflowEvent,
) error {
	for i, e := range events {
		id, err := parseID(e.ID)
		if err != nil {
			return err
		}
		e.WorkflowID, e.Sequence = workflow.String(), last-len(events)+i+1
		details, err := domain.StoredJSON(e.Details)
		if err != nil {
			return err
		}
		told := e.Event(owner, domain.WorkflowKind(kind))
		payload, err := told.Data()
		if err != nil {
			return err
		}
		err = q.PutWorkflowEvent(ctx, sqlcgen.PutWorkflowEventParams{
			WorkflowID: workflow, Sequence: atMost(e.Sequence), ID: id, Type: string(e.Type), Status: string(e.Status), StepID: e.StepID,
			At: asStored(e.At), Details: details,
		})
		if err == nil {
			err = q.StoreEvent(ctx, sqlcgen.StoreEventParams{ID: id, Subject: told.Subject, Payload: payload, Traceparent: traceOf(ctx)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
