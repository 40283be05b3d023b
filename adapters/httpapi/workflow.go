package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// workflowsPage is a page of the list, when the client names no size. The contract bounds what it may name.
const workflowsPage = 20

// workflowsPath is where workflows are.
const workflowsPath = "/api/v1/workflows/"

// V1ListWorkflows lists the caller's workflows.
func (s *server) V1ListWorkflows(ctx context.Context, r oapi.V1ListWorkflowsRequestObject) (oapi.V1ListWorkflowsResponseObject, error) {
	list, total, err := s.workflows.List(
		ctx, principalFrom(ctx), domain.WorkflowStatus(deref(r.Params.Status)), valueOr(r.Params.Limit, workflowsPage),
		valueOr(r.Params.Offset, 0),
	)
	if err != nil {
		return nil, err
	}
	page := oapi.V1ListWorkflows200JSONResponse{Workflows: make([]oapi.WorkflowSummary, len(list)), Total: total}
	for i, w := range list {
		page.Workflows[i] = oapi.WorkflowSummary{
			Id: w.ID, Kind: oapi.WorkflowKind(w.Kind), Status: oapi.WorkflowStatus(w.Status), Task: w.Task, Usage: workflowUsageToAPI(w.Usage),
			CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, CompletedAt: timeToAPI(w.CompletedAt),
		}
	}
	return page, nil
}

// V1StartWorkflow starts agents on a task.
func (s *server) V1StartWorkflow(ctx context.Context, r oapi.V1StartWorkflowRequestObject) (oapi.V1StartWorkflowResponseObject, error) {
	w, err := s.workflows.Start(ctx, principalFrom(ctx), workflowDraftFromAPI(*r.Body), deref(r.Params.IdempotencyKey))
	if err != nil {
		return nil, err
	}
	location := workflowsPath + w.ID
	return oapi.V1StartWorkflow200JSONResponse{
		Body: workflowToAPI(w, nil), Headers: oapi.V1StartWorkflow200ResponseHeaders{Location: &location},
	}, nil
}

// V1GetWorkflow shows a workflow with its steps.
func (s *server) V1GetWorkflow(ctx context.Context, r oapi.V1GetWorkflowRequestObject) (oapi.V1GetWorkflowResponseObject, error) {
	w, steps, err := s.workflows.Get(ctx, principalFrom(ctx), r.WorkflowId)
	if err != nil {
		return nil, err
	}
	return oapi.V1GetWorkflow200JSONResponse(workflowToAPI(w, steps)), nil
}

// V1CancelWorkflow ends a workflow.
func (s *server) V1CancelWorkflow(ctx context.Context, r oapi.V1CancelWorkflowRequestObject) (oapi.V1CancelWorkflowResponseObject, error) {
	w, steps, err := s.workflows.Cancel(ctx, principalFrom(ctx), r.WorkflowId)
	if err != nil {
		return nil, err
	}
	return oapi.V1CancelWorkflow200JSONResponse(workflowToAPI(w, steps)), nil
}

// V1StreamWorkflowEvents streams what happens in a workflow. The number of an event is its id.
func (s *server) V1StreamWorkflowEvents(ctx context.Context, r oapi.V1StreamWorkflowEventsRequestObject) (oapi.V1StreamWorkflowEventsResponseObject, error) {
	after, err := lastEventFromAPI(r.Params.LastEventID)
	if err != nil {
		return nil, err
	}
	follower, err := s.workflows.Follow(ctx, principalFrom(ctx), r.WorkflowId, after)
	if err != nil {
		return nil, err
	}
	return &workflowStream{follower, s.eventFeed(ctx)}, nil
}

// lastEventFromAPI is the number of the last event that a client has.
func lastEventFromAPI(last *string) (int, error) {
	if last == nil || *last == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(*last)
	if err != nil || n < 0 {
		return 0, domain.InvalidInput(domain.Fault{
			Type: "int_parsing", Loc: []any{"header", "Last-Event-ID"}, Input: *last,
			Msg: "Input should be a valid integer, unable to parse string as an integer",
		})
	}
	return n, nil
}

// workflowStream is the events of a workflow. Visit may not return an error: after the first byte the generated code could only print it
// into the stream.
type workflowStream struct {
	follower *app.WorkflowFollower
	feed     eventFeed
}

// VisitV1StreamWorkflowEventsResponse writes events until the workflow has ended or the client leaves.
func (r *workflowStream) VisitV1StreamWorkflowEventsResponse(w http.ResponseWriter) error {
	defer r.follower.Close()
	r.feed.listen = func(ctx context.Context, hear func(number int, event any) error) error {
		for {
			event, err := r.follower.Next(ctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = hear(event.Sequence, workflowEventToAPI(event))
			}
			if err != nil {
				return err
			}
		}
	}
	r.feed.write(w)
	return nil
}

func workflowDraftFromAPI(b oapi.WorkflowDraft) domain.WorkflowDraft {
	d := domain.WorkflowDraft{
		Kind: domain.WorkflowKind(b.Kind), Task: b.Task, Agents: b.Agents, Model: deref(b.Model), PersonaID: deref(b.PersonaId),
	}
	if b.Input != nil {
		d.Input = *b.Input
	}
	if l := b.Limits; l != nil {
		d.Limits = domain.WorkflowLimits{
			Iterations: deref(l.MaxIterations), Tokens: deref(l.MaxTokens), Cost: domain.FromDollars(deref(l.MaxCostUsd)),
			Duration: time.Duration(deref(l.MaxDurationSeconds)) * time.Second,
		}
	}
	return d
}

func workflowToAPI(w domain.Workflow, steps []domain.WorkflowStep) oapi.Workflow {
	out := oapi.Workflow{
		Id: w.ID, Kind: oapi.WorkflowKind(w.Kind), Status: oapi.WorkflowStatus(w.Status), Task: w.Task, Agents: append([]string{}, w.Agents...),
		Input: oapi.WorkflowInput(w.Input), Error: nilIfEmpty(w.Error), Steps: make([]oapi.WorkflowStep, len(steps)),
		Usage: workflowUsageToAPI(w.Usage), CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, CompletedAt: timeToAPI(w.CompletedAt),
	}
	if out.Input == nil {
		out.Input = oapi.WorkflowInput{}
	}
	if w.Status == domain.WorkflowCompleted || w.Output != "" {
		out.Output = &w.Output
	}
	for i, s := range steps {
		out.Steps[i] = workflowStepToAPI(s)
	}
	return out
}

func workflowStepToAPI(s domain.WorkflowStep) oapi.WorkflowStep {
	out := oapi.WorkflowStep{
		Id: s.ID, Sequence: s.Sequence, Kind: oapi.WorkflowStepKind(s.Kind), Name: cmp.Or(s.Name, string(s.Kind)), Agent: s.Agent, Status: oapi.WorkflowStatus(s.Status),
		Input: oapi.WorkflowInput(s.Input), Error: nilIfEmpty(s.Error), StartedAt: s.StartedAt, CompletedAt: timeToAPI(s.CompletedAt),
		Usage: workflowUsageToAPI(s.Usage),
	}
	if out.Input == nil {
		out.Input = oapi.WorkflowInput{}
	}
	if s.Status == domain.WorkflowCompleted || s.Output != "" {
		out.Output = &s.Output
	}
	return out
}

func workflowEventToAPI(e domain.WorkflowEvent) oapi.WorkflowEvent {
	out := oapi.WorkflowEvent{
		Type: oapi.WorkflowEventType(e.Type), WorkflowId: e.WorkflowID, Sequence: e.Sequence, Status: oapi.WorkflowStatus(e.Status),
		StepId: nilIfEmpty(e.StepID), Timestamp: timestamp(e.At), Details: oapi.EventDetails(e.Details),
	}
	if out.Details == nil {
		out.Details = oapi.EventDetails{}
	}
	return out
}

func workflowUsageToAPI(u domain.WorkflowUsage) oapi.WorkflowUsage {
	return oapi.WorkflowUsage{InputTokens: u.Input, OutputTokens: u.Output, TotalTokens: u.Input + u.Output, CostUsd: u.Cost.Dollars()}
}
