package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// WorkflowConfig tunes workflows. Zero values mean the defaults named here.
type WorkflowConfig struct {
	AtOnce      int           // workflows that this process runs at the same time; 4
	StepsAtOnce int           // steps of one workflow that run at the same time; 8
	Lease       time.Duration // a runner that shows no sign of life for so long is dead; 30 s
	Poll        time.Duration // how often it is looked for workflows that the queue lost; 5 s
	Patience    time.Duration // how long running steps may take when the process stops; 5 s
	SaveTimeout time.Duration // of one attempt to write; 5 s
	PerOwner    int           // workflows of one caller that have not ended, about; 100
	OnlyOwn     bool          // this process works on nothing but what was started in it
	Bounds      domain.WorkflowBounds
}

// Limits of a workflow that no operator has set.
var (
	defaultWorkflowLimits = domain.WorkflowLimits{Iterations: 10, Tokens: 100_000, Cost: domain.FromDollars(1), Duration: 10 * time.Minute}
	maxWorkflowLimits     = domain.WorkflowLimits{Iterations: 50, Tokens: 2_000_000, Cost: domain.FromDollars(50), Duration: 6 * time.Hour}
)

func (c WorkflowConfig) withDefaults() WorkflowConfig {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{
		{&c.AtOnce, 4}, {&c.StepsAtOnce, 8}, {&c.PerOwner, 100},
	} {
		if *n.value <= 0 {
			*n.value = n.otherwise
		}
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{
		{&c.Lease, 30 * time.Second}, {&c.Poll, 5 * time.Second}, {&c.Patience, 5 * time.Second}, {&c.SaveTimeout, 5 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	c.Bounds.Default = orLimits(c.Bounds.Default, defaultWorkflowLimits)
	c.Bounds.Max = orLimits(c.Bounds.Max, maxWorkflowLimits)
	return c
}

func orLimits(l, otherwise domain.WorkflowLimits) domain.WorkflowLimits {
	if l.Iterations == 0 {
		l.Iterations = otherwise.Iterations
	}
	if l.Tokens == 0 {
		l.Tokens = otherwise.Tokens
	}
	if l.Cost == 0 {
		l.Cost = otherwise.Cost
	}
	if l.Duration == 0 {
		l.Duration = otherwise.Duration
	}
	return l
}

// WorkflowChat is what workflows need of Chat.
type WorkflowChat interface {
	Complete(ctx context.Context, who domain.Principal, req ChatRequest) (ChatInfo, ChatResult, error)
	// ChooseModel returns who would answer a request for a model, or why nobody would.
	ChooseModel(req domain.ModelRequest) (domain.Choice, error)
	// Window is how many tokens the model has room for that would answer; 0 when nobody knows.
	Window(req domain.ModelRequest) int
}

// WorkflowTools is what workflows need of Tools.
type WorkflowTools interface {
	Matching(who domain.Principal, patterns []string) []domain.ToolSpec
	Call(ctx context.Context, who domain.Principal, call domain.ToolInvocation) (domain.ToolResult, error)
}

// WorkflowDeps is what Workflows need.
type WorkflowDeps struct {
	Store    ports.WorkflowStore
	Queue    ports.WorkQueue
	Chat     WorkflowChat
	Tools    WorkflowTools // nil: there are none
	Personas *Personas     // nil: no workflow has one's voice
	Agents   []domain.Agent
	// Works, which may be nil, reports whether the credentials of somebody still work: domain.Forbidden when they do not.
	Works func(ctx context.Context, who domain.Principal) error
	// Watch, which may be nil, is told when work begins here: with the trace of who asked for it (domain.TraceOf), and what kind it is. It returns
	// the context of the work, and what is called when it comes to an end here.
	Watch func(ctx context.Context, trace, kind string) (context.Context, func(error))
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	// Troubled, which may be nil, is told what went wrong with a workflow that goes on later.
	Troubled func(id string, err error)
	Now      ports.Clock
	NewID    ports.IDs
	Config   WorkflowConfig
}

// Workflows lets agents work on tasks. Those that are started are worked on by processes in which Run runs. Close it.
type Workflows struct {
	WorkflowDeps
	stopWatching func()
	slots        chan struct{} // of workflows that run here
	listeners    listeners
	unreadable   unreadableWork
	begun        chan struct{} // tells Run that one was started here

	mu      sync.Mutex
	own     map[string]bool         // those that were started here, where only they are worked on
	running map[string]*workflowRun // by the workflow's id
}

// NewWorkflows makes the use cases.
func NewWorkflows(d WorkflowDeps) *Workflows {
	d.Config = d.Config.withDefaults()
	if d.Watch == nil {
		d.Watch = unwatched
	}
	if d.Stored == nil {
		d.Stored = func() {}
	}
	if d.Troubled == nil {
		d.Troubled = func(string, error) {}
	}
	w := &Workflows{
		WorkflowDeps: d, slots: make(chan struct{}, d.Config.AtOnce), running: map[string]*workflowRun{},
		begun: make(chan struct{}, 1), own: map[string]bool{},
		listeners: newListeners(),
	}
	w.stopWatching = d.Queue.Watch(w.heard)
	return w
}

// Close ends what listens to other replicas. Run must have returned before.
func (w *Workflows) Close() { w.stopWatching() }

// Running is how many workflows this process works on.
func (w *Workflows) Running() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.running)
}

// Offered returns the agents that can take part, in the order in which they were read.
func (w *Workflows) Offered() []domain.Agent { return slices.Clone(w.Agents) }

// Start stores a workflow, which begins as soon as a process has room for it. Requests of one caller with the same key, unless it is empty,
// start one workflow together.
func (w *Workflows) Start(ctx context.Context, who domain.Principal, draft domain.WorkflowDraft, key string) (domain.Workflow, error) {
	checked, err := draft.Check(w.Agents, w.Config.Bounds)
	if err != nil {
		return domain.Workflow{}, err
	}
	if len(key) > domain.MaxWorkflowKey {
		return domain.Workflow{}, domain.InvalidInput(domain.TooLong(domain.MaxWorkflowKey, key, "header", "Idempotency-Key"))
	}
	if checked.Model != "" {
		if _, err := w.Chat.ChooseModel(domain.ModelRequest{Model: checked.Model}); err != nil {
			return domain.Workflow{}, err
		}
	}
	if checked.PersonaID, err = w.voice(ctx, who, checked.PersonaID); err != nil {
		return domain.Workflow{}, err
	}
	if err := w.mayStart(ctx, who); err != nil {
		return domain.Workflow{}, err
	}
	flow, event := domain.NewWorkflow(checked, w.NewID(), w.NewID(), who, w.Now())
	flow.Trace = domain.TraceOf(ctx)
	if key != "" {
		flow.Key, flow.Fingerprint = key, fingerprint(draft)
	}
	stored, err := w.create(ctx, flow, event)
	if err != nil || stored.ID != flow.ID {
		return stored, err
	}
	w.Stored()
	if w.Config.OnlyOwn {
		w.keep(flow.ID)
		return stored, nil
	}
	w.offer(ctx, flow.ID)
	return stored, nil
}

// create stores a workflow. Where the answer of the store was lost, it looks what has become of it.
func (w *Workflows) create(ctx context.Context, flow domain.Workflow, event domain.WorkflowEvent) (domain.Workflow, error) {
	stored, err := w.Store.Create(ctx, flow, event)
	if !domain.IsInDoubt(err) {
		return stored, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Config.SaveTimeout)
	defer cancel()
	if there, _, look := w.Store.Get(ctx, flow.Principal.OwnerID(), flow.ID); look == nil {
		return there, nil
	}
	return domain.Workflow{}, err // also when it is not there: the database may still be about to store it
}

// mayStart refuses callers who have enough workflows. Those who start several at the same moment may get a few more.
func (w *Workflows) mayStart(ctx context.Context, who domain.Principal) error {
	open := 0
	for _, status := range []domain.WorkflowStatus{domain.WorkflowPending, domain.WorkflowRunning} {
		_, n, err := w.Store.List(ctx, who.OwnerID(), status, 1, 0)
		if err != nil {
			return err
		}
		open += n
	}
	if open < w.Config.PerOwner {
		return nil
	}
	return &domain.Error{
		Kind: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: w.Config.Lease,
		Message: fmt.Sprintf("You have %d workflows that have not ended, and may have %d; wait for one, or cancel one", open, w.Config.PerOwner),
	}
}

// voice is the id of the persona that a draft names, if it names one.
func (w *Workflows) voice(ctx context.Context, who domain.Principal, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	if w.Personas == nil {
		return "", domain.MissingPart("Workflows have no personas here", nil)
	}
	if id == nameDefault {
		persona, _, err := w.Personas.current(ctx, who)
		return persona.ID, err
	}
	persona, _, err := w.Personas.get(ctx, id)
	return persona.ID, err
}

// fingerprint is of what a client has asked for, before defaults of this process come into it.
func fingerprint(d domain.WorkflowDraft) string {
	data, err := json.Marshal(d) // keys of maps are sorted
	if err != nil {
		return "" // Check has written the only part that could fail
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Get returns a workflow of the caller with its steps, in the order in which they began.
func (w *Workflows) Get(ctx context.Context, who domain.Principal, id string) (domain.Workflow, []domain.WorkflowStep, error) {
	id, err := workflowID(id)
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return w.Store.Get(ctx, who.OwnerID(), id)
}

// maxWorkflowPage is the longest page of List.
const maxWorkflowPage = 100

// List returns a page of the caller's workflows, the newest first, and how many there are. An empty status is any.
func (w *Workflows) List(ctx context.Context, who domain.Principal, status domain.WorkflowStatus, limit, offset int) ([]domain.Workflow, int, error) {
	return w.Store.List(ctx, who.OwnerID(), status, min(max(limit, 1), maxWorkflowPage), max(offset, 0))
}

// Cancel ends a workflow of the caller. One that has ended is domain.Conflict. What is running is given up at once in this process, and in
// another as soon as that hears of it, a second or so later.
func (w *Workflows) Cancel(ctx context.Context, who domain.Principal, id string) (domain.Workflow, []domain.WorkflowStep, error) {
	id, err := workflowID(id)
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	event := domain.WorkflowEvent{
		ID: w.NewID(), WorkflowID: id, Type: domain.WorkflowEventCancelled, Status: domain.WorkflowCancelled,
		At: w.Now().UTC().Truncate(time.Microsecond), Details: map[string]any{},
	}
	flow, steps, err := w.Store.Cancel(ctx, who.OwnerID(), id, event)
	if err != nil {
		return flow, steps, err
	}
	w.Stored()
	if run := w.runHere(id); run != nil {
		run.cancel(errWorkflowCancelled)
	}
	w.Queue.Signal(context.WithoutCancel(ctx), id)
	w.listeners.wake(id) // whether or not the signal comes back to this process
	return flow, steps, nil
}

// offer puts a workflow into the queue. Should that fail, it is found all the same.
func (w *Workflows) offer(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Config.SaveTimeout)
	defer cancel()
	_ = w.Queue.Enqueue(ctx, id)
}

// workflowID is an id in its usual form. What is none names nothing.
func workflowID(id string) (string, error) {
	parsed, ok := domain.ParseID(id)
	if !ok {
		return "", domain.WorkflowNotFound()
	}
	return parsed, nil
}

// heard is told of every workflow that has something new, in any process.
func (w *Workflows) heard(id string) {
	w.listeners.wake(id)
	if run := w.runHere(id); run != nil {
		run.look()
	}
}

func (w *Workflows) runHere(id string) *workflowRun {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[id]
}
