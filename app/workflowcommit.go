package app

import (
	"context"
	"errors"
	"time"

	"gaia/domain"
)

// commit stores a step that has begun or ended, with its event, and what the workflow has used by then.
func (r *workflowRun) commit(s domain.WorkflowStep) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.workflows.Now()
	flow := r.flow
	flow.UpdatedAt = now.UTC().Truncate(time.Microsecond)
	flow.Usage = flow.Usage.Plus(s.Usage)
	return r.write(domain.WorkflowChange{
		Workflow: flow, Runner: r.runner, Steps: []domain.WorkflowStep{s},
		Events: []domain.WorkflowEvent{flow.StepEvent(r.workflows.NewID(), s, now)},
	})
}

// write stores a change and takes it over. What a step has done must not be lost because the store is away for a moment, or because this
// process stops: it is tried again for as long as the claim lasts.
func (r *workflowRun) write(change domain.WorkflowChange) error {
	w := r.workflows
	ctx := context.WithoutCancel(r.ctx)
	until := w.Now().Add(w.Config.Lease)
	for wait := commitPause; ; wait *= 2 {
		err := r.try(ctx, change)
		if domain.KindOf(err) == domain.Conflict && wait > commitPause && r.stored(ctx, change) { // the write before it was none that failed
			err = nil
		}
		switch {
		case err == nil:
			r.taken(ctx, change)
			return nil
		case domain.KindOf(err) == domain.Conflict && err != nil:
			r.cancel(errWorkflowLost)
			return errWorkflowLost
		case domain.KindOf(err) == domain.TooLarge: // it will not get smaller
			return err
		case w.Now().Add(wait).After(until) || r.ctx.Err() != nil && wait > 16*commitPause:
			return err
		}
		pause(ctx, wait)
	}
}

func (r *workflowRun) try(ctx context.Context, change domain.WorkflowChange) error {
	ctx, cancel := context.WithTimeout(ctx, r.workflows.Config.SaveTimeout)
	defer cancel()
	return r.workflows.Store.Commit(ctx, change)
}

// taken takes a change over that is stored, and tells others.
func (r *workflowRun) taken(ctx context.Context, change domain.WorkflowChange) {
	r.flow = change.Workflow
	for _, s := range change.Steps {
		r.journal[s.Key] = s
	}
	r.workflows.Stored()
	r.workflows.Queue.Signal(ctx, r.flow.ID)
	r.workflows.listeners.wake(r.flow.ID)
}

// stored reports whether a change is there already, although writing it seemed to fail. The runner must still have the claim, unless the
// change has ended that.
func (r *workflowRun) stored(ctx context.Context, change domain.WorkflowChange) bool {
	w := r.workflows
	ctx, cancel := context.WithTimeout(ctx, w.Config.SaveTimeout)
	defer cancel()
	flow, steps, err := w.Store.Get(ctx, r.flow.Principal.OwnerID(), r.flow.ID)
	if err != nil || flow.Status != change.Workflow.Status {
		return false
	}
	if flow.Status.Ended() {
		return flow.CompletedAt.Equal(change.Workflow.CompletedAt)
	}
	if w.Store.Renew(ctx, r.flow.ID, r.runner, w.Now().Add(w.Config.Lease)) != nil {
		return false
	}
	there := map[string]domain.WorkflowStatus{}
	for _, s := range steps {
		there[s.Key] = s.Status
	}
	for _, s := range change.Steps {
		if there[s.Key] != s.Status {
			return false
		}
	}
	return true
}

// keepClaim renews the claim while the run lasts. Without it nothing more may be done: another process may be at work by then.
func (r *workflowRun) keepClaim() {
	w := r.workflows
	every := w.Config.Lease / 3
	last := w.Now()
	for r.nap(every) {
		now := w.Now()
		ctx, cancel := context.WithTimeout(r.beside, min(every, w.Config.SaveTimeout))
		err := w.Store.Renew(ctx, r.about.ID, r.runner, now.Add(w.Config.Lease)) // flow is the writers'
		cancel()
		switch {
		case err == nil:
			last = now
		case domain.KindOf(err) == domain.Conflict:
			r.cancel(errWorkflowLost)
			return
		case w.Now().Sub(last) >= w.Config.Lease && r.beside.Err() == nil:
			r.cancel(errors.Join(errWorkflowLost, err))
			return
		}
	}
}

// nap waits until the claim is to be renewed: after a while, or soon after a signal, which may mean that the workflow was cancelled.
func (r *workflowRun) nap(every time.Duration) bool {
	if !pause(r.beside, min(lookPause, every)) {
		return false
	}
	timer := time.NewTimer(max(every-lookPause, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.news:
	case <-r.beside.Done():
		return false
	}
	return true
}

// look has the claim looked at soon.
func (r *workflowRun) look() {
	select {
	case r.news <- struct{}{}:
	default: // it will look anyway
	}
}
