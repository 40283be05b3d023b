package app

import (
	"context"
	"io"
	"time"

	"gaia/domain"
)

// How followers look for news.
const (
	followPage = 100
	followPoll = 2 * time.Second // where no signal comes, because the bus is away
)

// WorkflowFollower reads the events of one workflow as they come. It is for one goroutine. Close it.
type WorkflowFollower struct {
	workflows *Workflows
	owner, id string
	after     int
	waiting   []domain.WorkflowEvent
	news      chan struct{}
}

// Follow returns the events of a workflow of the caller after a sequence number: 0 for all of them.
func (w *Workflows) Follow(ctx context.Context, who domain.Principal, id string, after int) (*WorkflowFollower, error) {
	id, err := workflowID(id)
	if err != nil {
		return nil, err
	}
	f := &WorkflowFollower{workflows: w, owner: who.OwnerID(), id: id, after: max(after, 0), news: w.listeners.add(id)}
	if _, err := f.fetch(ctx); err != nil { // tells at once whether there is such a workflow
		f.Close()
		return nil, err
	}
	return f, nil
}

// Next waits for the next event. After the last one of a workflow that has ended comes io.EOF.
func (f *WorkflowFollower) Next(ctx context.Context) (domain.WorkflowEvent, error) {
	for len(f.waiting) == 0 {
		ended, err := f.fetch(ctx)
		switch {
		case err != nil:
			return domain.WorkflowEvent{}, err
		case len(f.waiting) > 0:
			continue
		case ended:
			return domain.WorkflowEvent{}, io.EOF
		}
		if err := f.wait(ctx); err != nil {
			return domain.WorkflowEvent{}, err
		}
	}
	e := f.waiting[0]
	f.waiting = f.waiting[1:]
	return e, nil
}

// Close ends the following.
func (f *WorkflowFollower) Close() { f.workflows.listeners.remove(f.id, f.news) }

// fetch reads what is new, and whether nothing more will come: the store tells both as of one moment.
func (f *WorkflowFollower) fetch(ctx context.Context) (ended bool, err error) {
	events, status, err := f.workflows.Store.Events(ctx, f.owner, f.id, f.after, followPage)
	if err != nil {
		return false, err
	}
	if n := len(events); n > 0 {
		f.waiting, f.after = events, events[n-1].Sequence
	}
	return status.Ended(), nil
}

func (f *WorkflowFollower) wait(ctx context.Context) error {
	timer := time.NewTimer(backoffAround(followPoll))
	defer timer.Stop()
	select {
	case <-f.news:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
