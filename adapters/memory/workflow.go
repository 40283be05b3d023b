package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.WorkflowStore = (*WorkflowStore)(nil)

// WorkflowStore keeps workflows. The zero value is empty and ready.
type WorkflowStore struct {
	failures
	Outbox *Outbox // where events go; nil forgets them. It must not change once the store is in use

	mu   sync.Mutex
	byID map[string]*workflow
}

// workflow is never changed: a new one takes its place, so that what fails half-way leaves nothing. Maps and lists are kept as JSON, so
// that callers share nothing with the store and get the types that JSON has.
type workflow struct {
	domain.Workflow
	input, principal []byte
	steps            []step
	events           []workflowEvent
	runner           string
	until            time.Time
}

type step struct {
	domain.WorkflowStep
	input []byte
}

type workflowEvent struct {
	domain.WorkflowEvent
	details []byte
}

// Create implements ports.WorkflowStore.
func (s *WorkflowStore) Create(ctx context.Context, w domain.Workflow, e domain.WorkflowEvent) (domain.Workflow, error) {
	if err := s.enter(ctx, "Create"); err != nil {
		return domain.Workflow{}, err
	}
	made, err := newWorkflow(w)
	if err != nil {
		return domain.Workflow{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.byID {
		if w.Key == "" || other.Key != w.Key || other.Principal.OwnerID() != w.Principal.OwnerID() {
			continue
		}
		if other.Fingerprint != w.Fingerprint {
			return domain.Workflow{}, domain.WorkflowKeyReused()
		}
		return other.load()
	}
	if s.byID[made.ID] != nil {
		return domain.Workflow{}, errIDTaken()
	}
	if err := s.put(ctx, made, nil, []domain.WorkflowEvent{e.Tidy()}); err != nil {
		return domain.Workflow{}, err
	}
	return s.byID[made.ID].load()
}

func newWorkflow(w domain.Workflow) (workflow, error) {
	id, ok := domain.ParseID(w.ID)
	if !ok {
		return workflow{}, fmt.Errorf("memory create workflow: %q is no id", w.ID)
	}
	w, err := w.Tidy()
	if err != nil {
		return workflow{}, err
	}
	w.ID, w.Status, w.Agents, w.CompletedAt = id, domain.WorkflowPending, append([]string(nil), w.Agents...), time.Time{}
	w.CreatedAt, w.UpdatedAt = asStored(w.CreatedAt), asStored(w.UpdatedAt)
	made := workflow{Workflow: w}
	if made.principal, err = domain.StoredPrincipal(w.Principal); err == nil {
		made.input, err = domain.StoredJSON(w.Input)
	}
	made.Input = nil
	return made, err
}

// Get implements ports.WorkflowStore.
func (s *WorkflowStore) Get(ctx context.Context, owner, id string) (domain.Workflow, []domain.WorkflowStep, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.Workflow{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(owner, id)
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	return w.show(false)
}

// List implements ports.WorkflowStore.
func (s *WorkflowStore) List(
	ctx context.Context, owner string, status domain.WorkflowStatus, limit, offset int,
) ([]domain.Workflow, int, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []domain.Workflow{}
	for _, w := range s.byID {
		if w.Principal.OwnerID() == owner && (status == "" || w.Status == status) {
			short := w.Workflow
			short.Principal, short.Agents, short.Input, short.Output = domain.Principal{}, nil, nil, ""
			short.Key, short.Fingerprint, short.Trace = "", "", ""
			list = append(list, short)
		}
	}
	slices.SortFunc(list, func(a, b domain.Workflow) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return page(list, limit, offset), len(list), nil
}

// Events implements ports.WorkflowStore.
func (s *WorkflowStore) Events(
	ctx context.Context, owner, id string, after, limit int,
) ([]domain.WorkflowEvent, domain.WorkflowStatus, error) {
	if err := s.enter(ctx, "Events"); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(owner, id)
	if err != nil {
		return nil, "", err
	}
	list := []domain.WorkflowEvent{}
	for _, e := range page(w.events, limit, after) {
		event := e.WorkflowEvent
		if event.Details, err = domain.MapFromStored(e.details); err != nil {
			return nil, "", err
		}
		list = append(list, event)
	}
	return list, w.Status, nil
}

// Claim implements ports.WorkflowStore.
func (s *WorkflowStore) Claim(
	ctx context.Context, id, runner string, now, until time.Time,
) (domain.Workflow, []domain.WorkflowStep, error) {
	if err := s.enter(ctx, "Claim"); err != nil {
		return domain.Workflow{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.any(id)
	switch {
	case err != nil:
		return domain.Workflow{}, nil, err
	case w.Status.Ended():
		return domain.Workflow{}, nil, domain.WorkflowEnded()
	case w.runner != runner && !w.freeAt(now):
		return domain.Workflow{}, nil, domain.WorkflowClaimed()
	}
	claimed := *w
	claimed.runner, claimed.until = runner, asStored(until)
	claimed.Status, claimed.UpdatedAt = domain.WorkflowRunning, asStored(now)
	s.byID[w.ID] = &claimed
	return claimed.show(true)
}

func (w *workflow) freeAt(now time.Time) bool { return w.runner == "" || !w.until.After(asStored(now)) }

// Renew implements ports.WorkflowStore.
func (s *WorkflowStore) Renew(ctx context.Context, id, runner string, until time.Time) error {
	if err := s.enter(ctx, "Renew"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.held(id, runner)
	if err != nil {
		return err
	}
	renewed := *w
	renewed.until = asStored(until)
	s.byID[w.ID] = &renewed
	return nil
}

// Abandon implements ports.WorkflowStore.
func (s *WorkflowStore) Abandon(ctx context.Context, id, runner string) error {
	if err := s.enter(ctx, "Abandon"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, err := s.held(id, runner); err == nil {
		given := *w
		given.runner, given.until = "", time.Time{}
		s.byID[w.ID] = &given
	}
	return nil
}

// Commit implements ports.WorkflowStore.
func (s *WorkflowStore) Commit(ctx context.Context, c domain.WorkflowChange) error {
	if err := s.enter(ctx, "Commit"); err != nil {
		return err
	}
	c, err := c.Tidy()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.held(c.Workflow.ID, c.Runner)
	if err != nil {
		return err
	}
	next, change := *w, c.Workflow
	next.Status, next.Output, next.Error, next.Usage = change.Status, change.Output, change.Error, change.Usage
	next.UpdatedAt, next.CompletedAt = asStored(change.UpdatedAt), asStored(change.CompletedAt)
	return s.put(ctx, next, c.Steps, c.Events)
}

// Cancel implements ports.WorkflowStore.
func (s *WorkflowStore) Cancel(
	ctx context.Context, owner, id string, e domain.WorkflowEvent,
) (domain.Workflow, []domain.WorkflowStep, error) {
	if err := s.enter(ctx, "Cancel"); err != nil {
		return domain.Workflow{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(owner, id)
	switch {
	case err != nil:
		return domain.Workflow{}, nil, err
	case w.Status.Ended():
		return domain.Workflow{}, nil, domain.WorkflowEnded()
	}
	next := *w
	next.Status, next.UpdatedAt, next.CompletedAt = domain.WorkflowCancelled, asStored(e.At), asStored(e.At)
	if err := s.put(ctx, next, nil, []domain.WorkflowEvent{e.Tidy()}); err != nil {
		return domain.Workflow{}, nil, err
	}
	return s.byID[w.ID].show(false)
}

// Waiting implements ports.WorkflowStore.
func (s *WorkflowStore) Waiting(ctx context.Context, now time.Time, limit int) ([]string, error) {
	if err := s.enter(ctx, "Waiting"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var waiting []*workflow
	for _, w := range s.byID {
		if !w.Status.Ended() && w.freeAt(now) {
			waiting = append(waiting, w)
		}
	}
	slices.SortFunc(waiting, func(a, b *workflow) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	ids := []string{}
	for _, w := range page(waiting, limit, 0) {
		ids = append(ids, w.ID)
	}
	return ids, nil
}

// Expire implements ports.WorkflowStore.
func (s *WorkflowStore) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	forgotten := 0
	for id, w := range s.byID {
		if w.Status.Ended() && w.CompletedAt.Before(asStored(before)) {
			delete(s.byID, id)
			forgotten++
		}
	}
	return forgotten, nil
}

// find finds an owner's workflow. It needs the lock.
func (s *WorkflowStore) find(owner, id string) (*workflow, error) {
	w, err := s.any(id)
	if err != nil || w.Principal.OwnerID() != owner {
		return nil, domain.WorkflowNotFound()
	}
	return w, nil
}

// any finds a workflow, whoever's it is. It needs the lock.
func (s *WorkflowStore) any(id string) (*workflow, error) {
	key, _ := domain.ParseID(id)
	if w := s.byID[key]; w != nil {
		return w, nil
	}
	return nil, domain.WorkflowNotFound()
}

// held finds a workflow that a runner has claimed. It needs the lock.
func (s *WorkflowStore) held(id, runner string) (*workflow, error) {
	w, err := s.any(id)
	switch {
	case err != nil || !w.Status.Ended() && (runner == "" || w.runner != runner):
		return nil, domain.WorkflowClaimed()
	case w.Status.Ended():
		return nil, domain.WorkflowEnded()
	}
	return w, nil
}

// put adds steps and events to a workflow and stores all of it, or nothing. It needs the lock.
func (s *WorkflowStore) put(ctx context.Context, w workflow, steps []domain.WorkflowStep, events []domain.WorkflowEvent) error {
	w.steps, w.events = slices.Clone(w.steps), slices.Clone(w.events)
	for _, made := range steps {
		if err := w.putStep(made); err != nil {
			return err
		}
	}
	if w.Status.Ended() {
		w.runner, w.until = "", time.Time{}
		w.endSteps()
	}
	told := make([]domain.Event, len(events))
	for i, e := range events {
		e.WorkflowID, e.Sequence, e.At = w.ID, len(w.events)+1, asStored(e.At)
		details, err := domain.StoredJSON(e.Details)
		if err != nil {
			return err
		}
		told[i] = e.Event(w.Principal.OwnerID(), w.Kind)
		e.ID, _ = domain.ParseID(e.ID)
		e.Details = nil
		w.events = append(w.events, workflowEvent{e, details})
	}
	waiting, err := stored(told)
	if err != nil {
		return err
	}
	if s.byID == nil {
		s.byID = map[string]*workflow{}
	}
	s.byID[w.ID] = &w
	if s.Outbox != nil {
		s.Outbox.add(ctx, waiting)
	}
	return nil
}

func (w *workflow) putStep(made domain.WorkflowStep) error {
	id, ok := domain.ParseID(made.ID)
	if !ok {
		return fmt.Errorf("memory commit workflow: step: %q is no id", made.ID)
	}
	input, err := domain.StoredJSON(made.Input)
	if err != nil {
		return err
	}
	made.ID, made.WorkflowID, made.Sequence, made.Input, made.Result = id, w.ID, len(w.steps)+1, nil, append([]byte(nil), made.Result...)
	made.StartedAt, made.CompletedAt = asStored(made.StartedAt), asStored(made.CompletedAt)
	i := slices.IndexFunc(w.steps, func(s step) bool { return s.Key == made.Key })
	if i < 0 {
		w.steps = append(w.steps, step{made, input})
		return nil
	}
	before := w.steps[i]
	if before.Status.Ended() || before.ID != id {
		return domain.StepTaken()
	}
	made.Sequence, made.StartedAt = before.Sequence, before.StartedAt
	w.steps[i] = step{made, input}
	return nil
}

// endSteps ends what ran when the workflow ended.
func (w *workflow) endSteps() {
	for i := range w.steps {
		if s := &w.steps[i]; !s.Status.Ended() {
			s.Status, s.CompletedAt = domain.WorkflowCancelled, w.CompletedAt
		}
	}
}

func (w *workflow) load() (domain.Workflow, error) {
	out := w.Workflow
	out.Agents = slices.Clone(out.Agents)
	var err error
	if out.Input, err = domain.MapFromStored(w.input); err == nil {
		out.Principal, err = domain.PrincipalFromStored(w.principal)
	}
	return out, err
}

func (w *workflow) show(results bool) (domain.Workflow, []domain.WorkflowStep, error) {
	out, err := w.load()
	if err != nil {
		return domain.Workflow{}, nil, err
	}
	steps := make([]domain.WorkflowStep, len(w.steps))
	for i, s := range w.steps {
		steps[i] = s.WorkflowStep
		steps[i].Result = nil
		if results {
			steps[i].Result = slices.Clone(s.Result)
		}
		if steps[i].Input, err = domain.MapFromStored(s.input); err != nil {
			return domain.Workflow{}, nil, err
		}
	}
	return out, steps, nil
}
