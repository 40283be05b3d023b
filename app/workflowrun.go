package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"gaia/domain"
)

// maxWorkflowSteps bounds the journal of one workflow.
const maxWorkflowSteps = 2000

// How steps and writes that fail are repeated.
const (
	credentialsFor = 10 * time.Second      // how long credentials that work are not looked at again
	maxBegun       = 5                     // how often a step is begun that does not come to an end
	unknownTries   = 3                     // of a repeatable tool call whose outcome is unknown
	commitPause    = 20 * time.Millisecond // before the first repetition of a write; doubled for each one after it
	lookPause      = time.Second           // between two looks at the claim because of signals
)

// workflowRun is one process at work on a workflow. It is a function of the task and the journal: each step has a key that is the same
// each time, and a step that has ended is read from the journal and not done again. So it gets to where it was before a crash by running
// from the beginning.
type workflowRun struct {
	workflows *Workflows
	runner    string
	about     domain.Workflow // as it was claimed: what was asked for
	ctx       context.Context //nolint:containedctx // of running steps; it outlives each of them
	beside    context.Context //nolint:containedctx // of what is no part of the work; it ends with ctx
	cancel    context.CancelCauseFunc
	watched   func(error)
	stopping  <-chan struct{} // closed when no more steps are to begin
	news      chan struct{}
	room      chan struct{} // a token for each running step
	takenOver bool          // another process, or another run of this one, has begun it

	mu      sync.Mutex // serialises writes
	flow    domain.Workflow
	journal map[string]domain.WorkflowStep
	began   time.Time // when the first step began, whichever process ran it
	since   time.Time // when this process began
	checked time.Time // when the credentials were last found to work
	halted  error     // why no more steps are to begin
}

func newWorkflowRun(w *Workflows, soft, hard context.Context, runner string, flow domain.Workflow, steps []domain.WorkflowStep) *workflowRun {
	r := &workflowRun{
		workflows: w, runner: runner, about: flow, stopping: soft.Done(), news: make(chan struct{}, 1),
		room: make(chan struct{}, w.Config.StepsAtOnce), flow: flow, journal: make(map[string]domain.WorkflowStep, len(steps)), began: w.Now(),
	}
	r.since, r.takenOver = r.began, len(steps) > 0
	r.beside, r.cancel = context.WithCancelCause(hard)
	r.ctx, r.watched = w.Watch(r.beside, flow.Trace, workWorkflow)
	for _, s := range steps {
		r.journal[s.Key] = s
		if s.StartedAt.Before(r.began) {
			r.began = s.StartedAt
		}
		if err := endedBy(s); err != nil { // then nothing more begins, in whichever order branches get there
			_ = r.halt(err)
		}
	}
	return r
}

// ended tells whoever watches how the workflow went here.
func (r *workflowRun) ended(err error) {
	r.mu.Lock()
	failed := r.flow.Status == domain.WorkflowFailed || r.flow.Status == domain.WorkflowOutcomeUnknown
	r.mu.Unlock()
	if err == nil && failed {
		err = errWorkFailed
	}
	r.watched(err)
}

// workflowEnd is an error that ends the workflow, and is no fault of this process.
type workflowEnd struct {
	status  domain.WorkflowStatus
	message string
}

func (e *workflowEnd) Error() string { return string(e.status) + ": " + e.message }

func workflowFailed(format string, args ...any) error {
	return &workflowEnd{domain.WorkflowFailed, fmt.Sprintf(format, args...)}
}

// execute runs the workflow to its end and stores that. Any error means that it has not ended.
func (r *workflowRun) execute() error {
	renewing := make(chan struct{})
	go func() { defer close(renewing); r.keepClaim() }()
	defer func() { r.cancel(nil); <-renewing }()
	output, err := r.play()
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	var end *workflowEnd
	switch halted := r.isHalted(); {
	case halted != nil && errors.As(halted, &end): // whatever came to light first, or weighs most
	case halted != nil:
		return halted
	case err == nil:
		end = &workflowEnd{status: domain.WorkflowCompleted}
	case !errors.As(err, &end):
		return err
	}
	return r.end(end, output)
}

// play is the pattern of the workflow. A panic is a failure of this process: another one tries again, until the time is over.
func (r *workflowRun) play() (output string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.halt(panicked("workflow", p))
		}
	}()
	switch r.about.Kind {
	case domain.WorkflowAgent:
		return r.playAgent(r.ctx)
	case domain.WorkflowRouter:
		return r.playRouter(r.ctx)
	case domain.WorkflowParallel:
		return r.playParallel(r.ctx)
	case domain.WorkflowOrchestrator:
		return r.playOrchestrator(r.ctx)
	case domain.WorkflowEvaluator:
		return r.playEvaluator(r.ctx)
	default:
		return "", workflowFailed("There is no kind of workflow called %q", r.about.Kind)
	}
}

func panicked(where string, p any) error {
	return fmt.Errorf("%s: panic: %v\n%s", where, p, debug.Stack())
}

// end stores how the workflow ended, and with it that steps which a crash has left open are not done again.
func (r *workflowRun) end(end *workflowEnd, output string) error {
	now := r.workflows.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var left []domain.WorkflowStep
	for _, s := range r.journal {
		switch {
		case s.Status.Ended():
			continue
		case s.Kind == domain.StepTool && !begun(s).Repeatable: // it may have happened, and the workflow did not get to it again
			errors.As(outcomeUnknown(s), &end)
			s.Error = unknownCall
			s = s.End(domain.WorkflowOutcomeUnknown, now)
		default:
			s.Error = "It was interrupted, and the workflow ended before it was done again"
			s = s.End(domain.WorkflowCancelled, now)
		}
		s.Result = nil
		left = append(left, s)
	}
	flow := r.flow
	flow.Error = validText(end.message)
	if end.status == domain.WorkflowCompleted {
		flow.Output = validText(output)
	}
	flow = flow.End(end.status, now)
	change := domain.WorkflowChange{Workflow: flow, Runner: r.runner, Steps: left}
	for _, s := range left {
		change.Events = append(change.Events, flow.StepEvent(r.workflows.NewID(), s, now))
	}
	change.Events = append(change.Events, flow.EndEvent(r.workflows.NewID(), now))
	return r.write(change)
}

// unknownCall is the error of a step that is not repeated although it may not have been done.
const unknownCall = "It is not known whether this call has happened"

// stepPlan is what a step is going to do.
type stepPlan struct {
	key        string
	kind       domain.WorkflowStepKind
	name       string
	agent      string
	input      map[string]any
	repeatable bool // it may be done again when it is not known whether it was done

	server, tool string // of a call
	hidden       bool   // nobody but the model may see its result

	offered []domain.ToolSpec // to the model of a step whose tools later ones have too
}

// stepOutcome is what a step has come to.
type stepOutcome struct {
	output string // for clients
	failed string // why it failed although the workflow goes on; safe for clients
	result any    // from which the workflow goes on
	usage  domain.WorkflowUsage
}

// step does something once. Where the journal says that it is done, result is read from there. do may be called again after a crash.
// again tells it that this may have happened already.
func (r *workflowRun) step(ctx context.Context, p stepPlan, result any, do func(ctx context.Context, again bool) (stepOutcome, error)) error {
	kept, known := r.kept(p.key)
	if known && kept.Status.Ended() {
		return r.recorded(kept, result)
	}
	if known {
		if p.repeatable = begun(kept).Repeatable; !p.repeatable {
			return r.unknown(kept)
		}
	}
	select {
	case r.room <- struct{}{}:
		defer func() { <-r.room }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := r.mayBegin(ctx); err != nil {
		return r.halt(err)
	}
	step := kept
	if !known {
		step = r.about.NewStep(p.key, p.kind, p.name, p.agent, p.input, r.workflows.Now())
		step.Result = mustJSON(openStep{p.repeatable, p.server, p.tool, p.hidden, p.offered, 1})
		if err := r.commit(step); err != nil {
			return r.halt(err)
		}
	} else if err := r.countBegin(kept); err != nil {
		return err
	}
	outcome, err := r.attempt(ctx, p, func(ctx context.Context, again bool) (stepOutcome, error) { return do(ctx, known || again) })
	if err != nil {
		return r.stepFailed(step, err)
	}
	return r.stepDone(step, outcome, result)
}

// openStep is what the journal holds of a step that has not ended: what a process has to know that finds it.
type openStep struct {
	Repeatable bool   `json:"repeatable"`
	Server     string `json:"server,omitempty"`
	Tool       string `json:"tool,omitempty"`
	Hidden     bool   `json:"hidden,omitempty"` // nobody but the model may see its result

	Offered []domain.ToolSpec `json:"offered,omitempty"` // to the model, see converse
	Begun   int               `json:"begun,omitempty"`   // how often
}

// countBegin notes that a step is begun once more. One that never comes to an end may be to blame for what becomes of those who do it.
func (r *workflowRun) countBegin(s domain.WorkflowStep) error {
	open := begun(s)
	switch {
	case open.Begun < maxBegun:
	case s.Kind == domain.StepTool:
		return r.unknown(s)
	default:
		return r.stepFailed(s, workflowFailed("Step %s was begun %d times and has not come to an end", s.Key, open.Begun))
	}
	open.Begun++
	s.Result = mustJSON(open)
	r.mu.Lock()
	err := r.write(domain.WorkflowChange{Workflow: r.flow, Runner: r.runner, Steps: []domain.WorkflowStep{s}})
	r.mu.Unlock()
	if err != nil {
		return r.halt(err)
	}
	return nil
}

// begun reads what was written when a step began. What can't be read is not repeated.
func begun(s domain.WorkflowStep) openStep {
	var open openStep
	if json.Unmarshal(s.Result, &open) != nil {
		return openStep{}
	}
	return open
}

func (r *workflowRun) kept(key string) (domain.WorkflowStep, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.journal[key]
	return s, ok
}

// recorded is the outcome of a step that ended before.
func (r *workflowRun) recorded(s domain.WorkflowStep, result any) error {
	if err := endedBy(s); err != nil {
		return err
	}
	if err := json.Unmarshal(s.Result, result); err != nil {
		return r.halt(fmt.Errorf("workflow %s: step %s in the journal: %w", s.WorkflowID, s.Key, err))
	}
	return nil
}

// endedBy is why the workflow ends with this step, if it does: it failed and has no result to go on from.
func endedBy(s domain.WorkflowStep) error {
	switch {
	case s.Status == domain.WorkflowOutcomeUnknown:
		return outcomeUnknown(s)
	case s.Status == domain.WorkflowCancelled:
		return errStepGivenUp
	case s.Status == domain.WorkflowFailed && len(s.Result) == 0:
		return &workflowEnd{domain.WorkflowFailed, s.Error}
	default:
		return nil
	}
}

func outcomeUnknown(s domain.WorkflowStep) error {
	return &workflowEnd{domain.WorkflowOutcomeUnknown, fmt.Sprintf(
		"It is not known whether the call of %s in step %s has happened. It is not repeated", s.Name, s.Key)}
}

// unknown ends a step that may or may not have been done, and the workflow with it.
func (r *workflowRun) unknown(s domain.WorkflowStep) error {
	end := outcomeUnknown(s)
	s.Result, s.Error = nil, unknownCall
	if err := r.commit(s.End(domain.WorkflowOutcomeUnknown, r.workflows.Now())); err != nil {
		return r.halt(err)
	}
	return r.halt(end)
}

// attempt does what a step does. What may have happened is tried again, and told that it is not the first time. A panic is a failure of this process and leaves the step as it is.
func (r *workflowRun) attempt(ctx context.Context, p stepPlan, do func(ctx context.Context, again bool) (stepOutcome, error)) (outcome stepOutcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked("step "+p.key+" of a workflow", v)
		}
	}()
	if p.kind == domain.StepTool {
		ctx = r.ctx // what has begun outside is waited for, also when another branch has failed
	}
	left := r.about.Limits.Duration - r.workflows.Now().Sub(r.began)
	ctx, cancel := context.WithTimeoutCause(ctx, left, errWorkflowTime)
	defer cancel()
	for try := 1; ; try++ {
		outcome, err = do(ctx, try > 1)
		if err == nil || !isUnknown(err) || !p.repeatable || try == unknownTries || !pause(ctx, backoff(try)) {
			return outcome, err
		}
	}
}

var (
	errWorkflowTime = workflowFailed("The workflow has used up its time")
	errStepGivenUp  = workflowFailed("The step was given up because another one has failed")
)

// stepDone stores a step with what it has come to.
func (r *workflowRun) stepDone(s domain.WorkflowStep, o stepOutcome, result any) error {
	data, err := json.Marshal(o.result)
	if err != nil {
		return fmt.Errorf("workflow %s: result of step %s: %w", s.WorkflowID, s.Key, err)
	}
	s.Output, s.Error, s.Result, s.Usage = validText(o.output), validText(o.failed), data, o.usage
	status := domain.WorkflowCompleted
	if o.failed != "" {
		status = domain.WorkflowFailed
	}
	err = r.commit(s.End(status, r.workflows.Now()))
	if domain.KindOf(err) == domain.TooLarge {
		s.Output = ""
		return r.stepFailed(s, err)
	}
	if err != nil {
		return r.halt(err)
	}
	return json.Unmarshal(data, result) // as after a crash, so that nothing can differ
}

// isUnknown reports whether nobody knows what has become of a step. What the store may have kept of it is another matter.
func isUnknown(err error) bool {
	return codeOf(err) == domain.CodeOutcomeUnknown && !domain.IsStoreAway(err)
}

// stepFailed decides what a failure means: it is stored, unless it is this process that fails.
func (r *workflowRun) stepFailed(s domain.WorkflowStep, err error) error {
	var known *domain.Error
	var end *workflowEnd
	status := domain.WorkflowFailed
	switch {
	case r.ctx.Err() != nil: // stopped, lost or cancelled
		return r.halt(context.Cause(r.ctx))
	case isUnknown(err):
		return r.unknown(s)
	case (errors.Is(err, context.DeadlineExceeded) || domain.KindOf(err) == domain.Canceled) && r.isHalted() != nil: // of another branch
		status = domain.WorkflowCancelled
		errors.As(errStepGivenUp, &end)
	case r.workflows.Now().Sub(r.began) >= r.about.Limits.Duration:
		errors.As(errWorkflowTime, &end)
	case errors.As(err, &end):
	case domain.IsStoreAway(err): // it was not the step that failed: it is done again when the claim has run out
		return r.halt(err)
	case errors.As(err, &known) && known.Kind != domain.Internal:
		end = &workflowEnd{domain.WorkflowFailed, known.Message}
	default:
		return r.halt(err)
	}
	s.Result, s.Error = nil, validText(end.message)
	if err := r.commit(s.End(status, r.workflows.Now())); err != nil {
		return r.halt(err)
	}
	return r.halt(end)
}

// halt keeps further steps from beginning, and returns the error. The first one counts, but that an outcome is unknown counts more, and that
// a step was given up because of another one counts less.
func (r *workflowRun) halt(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted == nil || weight(err) > weight(r.halted) {
		r.halted = err
	}
	return err
}

func weight(err error) int {
	var end *workflowEnd
	switch {
	case errors.Is(err, errStepGivenUp):
		return 0
	case errors.As(err, &end) && end.status == domain.WorkflowOutcomeUnknown:
		return 2
	default:
		return 1
	}
}

func (r *workflowRun) isHalted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halted
}

// mayBegin reports whether another step may begin: it is checked before each of them, so those that run at once may go beyond a limit.
func (r *workflowRun) mayBegin(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-r.stopping:
		return errWorkflowStopping
	default:
	}
	now := r.workflows.Now()
	if err := r.credentials(ctx, now); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, used := r.flow.Limits, r.flow.Usage
	switch {
	case r.halted != nil:
		return r.halted
	case now.Sub(r.began) >= l.Duration:
		return errWorkflowTime
	case used.Input+used.Output >= l.Tokens:
		return workflowFailed("The workflow has used %d tokens; its limit is %d", used.Input+used.Output, l.Tokens)
	case used.Cost >= l.Cost && used.Cost > 0:
		return workflowFailed("The workflow has cost $%.4f; its limit is $%.4f", used.Cost.Dollars(), l.Cost.Dollars())
	case len(r.journal) >= maxWorkflowSteps:
		return workflowFailed("The workflow has more than %d steps", maxWorkflowSteps)
	}
	return nil
}

// credentials reports whether whoever started the workflow may still do so.
func (r *workflowRun) credentials(ctx context.Context, now time.Time) error {
	if r.workflows.Works == nil {
		return nil
	}
	r.mu.Lock()
	due := now.Sub(r.checked) >= credentialsFor
	r.mu.Unlock()
	if !due {
		return nil
	}
	err := r.workflows.Works(ctx, r.about.Principal)
	if err != nil && domain.KindOf(err) == domain.Forbidden {
		return workflowFailed("The API key that started the workflow does not work any more")
	}
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.checked = now
	}
	return err
}

// begunAs is what is known of a step that was begun before.
func (r *workflowRun) begunAs(key string) openStep {
	s, _ := r.kept(key)
	return begun(s)
}

// mustJSON writes what can always be written.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
