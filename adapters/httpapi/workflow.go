package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
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
	return &workflowStream{ctx: ctx, follower: follower, after: after, ping: s.pingInterval, stopping: s.stopping, log: s.log}, nil
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

// workflowStream is the events of a workflow as an event stream. Visit may not return an error: after the first byte the generated code
// could only print it into the stream.
type workflowStream struct {
	ctx      context.Context //nolint:containedctx // the generated code has no place for it
	follower *app.WorkflowFollower
	after    int
	ping     time.Duration
	stopping <-chan struct{}
	log      *slog.Logger
}

// news is what a follower hears.
type news struct {
	event domain.WorkflowEvent
	err   error
}

// VisitV1StreamWorkflowEventsResponse writes events until the workflow has ended or the client leaves. A stream that ends for another reason
// breaks off, so that it does not look whole: the client asks again and names the last event that it has.
func (r *workflowStream) VisitV1StreamWorkflowEventsResponse(w http.ResponseWriter) error {
	ctx, cancel := context.WithCancel(r.ctx)
	heard := make(chan news)
	var reading sync.WaitGroup
	reading.Go(func() { r.read(ctx, heard) })
	defer r.follower.Close()
	defer reading.Wait()
	defer cancel()
	out := newSSE(w, true, 0)
	out.n = r.after // the next one has the next number
	out.ping()      // so that the client knows at once that it follows
	ticker := time.NewTicker(r.ping)
	defer ticker.Stop()
	for !out.gone {
		select {
		case n := <-heard:
			if n.err != nil {
				r.end(out, n.err)
				return nil
			}
			out.event(workflowEventToAPI(n.event))
			ticker.Reset(r.ping)
		case <-ticker.C:
			out.ping()
		case <-r.stopping: // another process goes on with the workflow, and with this stream
			panic(http.ErrAbortHandler)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// read passes on what the follower hears until it has ended.
func (r *workflowStream) read(ctx context.Context, heard chan<- news) {
	for {
		event, err := r.follower.Next(ctx)
		select {
		case heard <- news{event, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (r *workflowStream) end(out *sse, err error) {
	if errors.Is(err, io.EOF) {
		out.ids = false // else a client that reconnects would name an event that never was
		out.done()
		return
	}
	if r.ctx.Err() == nil { // else the client left
		logLate(r.ctx, r.log, err)
		panic(http.ErrAbortHandler)
	}
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
