package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.GenerationStore = (*GenerationStore)(nil)

// GenerationStore keeps the work on assets. The zero value is empty and ready.
type GenerationStore struct {
	failures
	Parts GenerationParts // must not change once the store is in use

	mu    sync.Mutex
	byID  map[string]*generation
	tasks map[generationTask]string // ids of the work that they belong to
}

// GenerationParts is where goes what the work on an asset leaves behind beside itself. Parts that are nil forget it.
type GenerationParts struct {
	Assets  *AssetStore
	Ledger  *Ledger
	Budgets *BudgetStore
	Outbox  *Outbox
}

// generation is never changed: a new one takes its place, so that what fails half-way leaves nothing. What others could change later is kept
// as JSON.
type generation struct {
	domain.Generation                               // without what follows
	principal, request, generators, attempts []byte // JSON
	events                                   []generationEvent
	runner                                   string
	until                                    time.Time
}

type generationTask struct{ generator, id string }

type generationEvent struct {
	domain.GenerationEvent
	details []byte
}

// Create implements ports.GenerationStore.
func (s *GenerationStore) Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error) {
	if err := s.enter(ctx, "Create"); err != nil {
		return domain.Generation{}, err
	}
	made, err := newGeneration(g)
	if err != nil {
		return domain.Generation{}, err
	}
	told, err := made.tell(events)
	if err != nil {
		return domain.Generation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.byID {
		if g.Key == "" || other.Key != g.Key || other.Principal.OwnerID() != g.Principal.OwnerID() {
			continue
		}
		if other.Fingerprint != g.Fingerprint {
			return domain.Generation{}, domain.GenerationKeyReused()
		}
		return other.load()
	}
	if s.byID[made.ID] != nil {
		return domain.Generation{}, errIDTaken()
	}
	if s.Parts.Budgets != nil && g.ReservationID != "" && !made.Status.Ended() {
		if err := s.Parts.Budgets.holdFor(made.Generation); err != nil {
			return domain.Generation{}, err
		}
	}
	s.put(ctx, made, g.Tasks(), told)
	return made.load()
}

func newGeneration(g domain.Generation) (*generation, error) {
	id, ok := domain.ParseID(g.ID)
	if !ok {
		return nil, fmt.Errorf("memory create generation: %q is no id", g.ID)
	}
	if !g.Status.Ended() {
		g.Status = domain.GenerationPending
	}
	g, err := g.Tidy()
	if err != nil {
		return nil, err
	}
	g.ID, g.Version, g.Deadline, g.CreatedAt = id, 1, asStored(g.Deadline), asStored(g.CreatedAt)
	made := &generation{}
	if made.principal, err = domain.StoredPrincipal(g.Principal); err != nil {
		return nil, err
	}
	if made.request, err = domain.StoredAssetRequest(g.Request); err != nil {
		return nil, err
	}
	return made, made.take(g)
}

// take takes over what a change may change, and what is the same in it.
func (w *generation) take(g domain.Generation) (err error) {
	if w.generators, err = domain.StoredOffers(g.Generators); err != nil {
		return err
	}
	if w.attempts, err = domain.StoredAttempts(g.Attempts); err != nil {
		return err
	}
	w.Generation = g
	w.Request, w.Generators, w.Attempts = domain.AssetRequest{}, nil, nil
	w.UpdatedAt, w.CompletedAt = asStored(g.UpdatedAt), asStored(g.CompletedAt)
	if w.Status.Ended() {
		w.runner, w.until = "", time.Time{}
	}
	return nil
}

// tell adds events, and returns what goes to the outbox.
func (w *generation) tell(events []domain.GenerationEvent) ([]domain.StoredEvent, error) {
	request, err := domain.AssetRequestFromStored(w.request)
	if err != nil {
		return nil, err
	}
	w.events = slices.Clone(w.events)
	told := make([]domain.Event, len(events))
	for i, e := range events {
		e = e.Tidy()
		e.GenerationID, e.Sequence, e.At = w.ID, len(w.events)+1, asStored(e.At)
		details, err := domain.StoredJSON(e.Details)
		if err != nil {
			return nil, err
		}
		told[i] = e.Event(w.Principal.OwnerID(), request.Category, w.AssetID)
		e.ID, _ = domain.ParseID(e.ID)
		e.Details = nil
		w.events = append(w.events, generationEvent{e, details})
	}
	return stored(told)
}

// put stores work, and sends events on their way. It needs the lock.
func (s *GenerationStore) put(ctx context.Context, w *generation, tasks []domain.GenerationAttempt, told []domain.StoredEvent) {
	if s.byID == nil {
		s.byID, s.tasks = map[string]*generation{}, map[generationTask]string{}
	}
	s.byID[w.ID] = w
	for _, task := range tasks {
		s.tasks[generationTask{task.Generator, task.TaskID}] = w.ID
	}
	if s.Parts.Outbox != nil {
		s.Parts.Outbox.add(ctx, told)
	}
}

// Get implements ports.GenerationStore.
func (s *GenerationStore) Get(ctx context.Context, owner, id string) (domain.Generation, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.Generation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(owner, id)
	if err != nil {
		return domain.Generation{}, err
	}
	return w.load()
}

// ByKey implements ports.GenerationStore.
func (s *GenerationStore) ByKey(ctx context.Context, owner, key string) (domain.Generation, error) {
	if err := s.enter(ctx, "ByKey"); err != nil {
		return domain.Generation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.byID {
		if key != "" && w.Key == key && w.Principal.OwnerID() == owner {
			return w.load()
		}
	}
	return domain.Generation{}, domain.GenerationNotFound()
}

// Open implements ports.GenerationStore.
func (s *GenerationStore) Open(ctx context.Context, owner string) (int, error) {
	if err := s.enter(ctx, "Open"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	open := 0
	for _, w := range s.byID {
		if !w.Status.Ended() && w.Principal.OwnerID() == owner {
			open++
		}
	}
	return open, nil
}

// Events implements ports.GenerationStore.
func (s *GenerationStore) Events(
	ctx context.Context, owner, id string, after, limit int,
) ([]domain.GenerationEvent, domain.Generation, error) {
	if err := s.enter(ctx, "Events"); err != nil {
		return nil, domain.Generation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(owner, id)
	if err != nil {
		return nil, domain.Generation{}, err
	}
	list := []domain.GenerationEvent{}
	for _, e := range page(w.events, limit, after) {
		event := e.GenerationEvent
		if event.Details, err = domain.MapFromStored(e.details); err != nil {
			return nil, domain.Generation{}, err
		}
		list = append(list, event)
	}
	g, err := w.load()
	return list, g, err
}

// Claim implements ports.GenerationStore.
func (s *GenerationStore) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	if err := s.enter(ctx, "Claim"); err != nil {
		return domain.Generation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.any(id)
	switch {
	case err != nil:
		return domain.Generation{}, err
	case w.Status.Ended():
		return domain.Generation{}, domain.GenerationEnded()
	case w.runner != runner && !w.freeAt(now):
		return domain.Generation{}, domain.GenerationClaimed()
	}
	claimed := *w
	claimed.runner, claimed.until = runner, asStored(until)
	claimed.Status, claimed.UpdatedAt = domain.GenerationProcessing, asStored(now)
	claimed.Version++
	s.byID[w.ID] = &claimed
	return claimed.load()
}

func (w *generation) freeAt(now time.Time) bool {
	return w.runner == "" || !w.until.After(asStored(now))
}

// Renew implements ports.GenerationStore.
func (s *GenerationStore) Renew(ctx context.Context, id, runner string, until time.Time) error {
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

// Abandon implements ports.GenerationStore.
func (s *GenerationStore) Abandon(ctx context.Context, id, runner string) error {
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

// Commit implements ports.GenerationStore.
func (s *GenerationStore) Commit(ctx context.Context, c domain.GenerationChange) (int, error) {
	if err := s.enter(ctx, "Commit"); err != nil {
		return 0, err
	}
	c, err := c.Tidy()
	if err != nil {
		return 0, err
	}
	if err := validUsage(c.Usage); err != nil {
		return 0, err
	}
	if id := c.Generation.ReservationID; id != "" && c.Generation.Status.Ended() {
		if _, ok := domain.ParseID(id); !ok {
			return 0, fmt.Errorf("memory commit generation: reservation: %q is no id", id)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.changeable(c)
	if err != nil {
		return 0, err
	}
	next := *w
	g := c.Generation
	g.ID, g.Principal, g.Key, g.Fingerprint, g.Trace, g.Deadline, g.CreatedAt = w.ID, w.Principal, w.Key, w.Fingerprint, w.Trace, w.Deadline, w.CreatedAt
	g.Version = w.Version + 1
	if err := next.take(g); err != nil {
		return 0, err
	}
	told, err := next.tell(c.Events)
	if err != nil {
		return 0, err
	}
	if err := s.Parts.Assets.change(c.Asset, c.Abandoned, g.UpdatedAt); err != nil {
		return 0, err
	}
	s.put(ctx, &next, g.Tasks(), told)
	s.settle(ctx, next.Generation, c.Usage)
	return next.Version, nil
}

// changeable finds the work that a change is for, if that may change it. It needs the lock.
func (s *GenerationStore) changeable(c domain.GenerationChange) (*generation, error) {
	w, err := s.any(c.Generation.ID)
	switch {
	case err != nil:
		return nil, domain.GenerationClaimed()
	case w.Status.Ended():
		return nil, domain.GenerationEnded()
	case w.Version != c.Generation.Version, c.Runner != "" && w.runner != c.Runner:
		return nil, domain.GenerationClaimed()
	}
	return w, nil
}

// settle writes usage down and tells about it, and ends the reservation of work that has ended. Nothing of it can fail.
func (s *GenerationStore) settle(ctx context.Context, g domain.Generation, usage []domain.UsageRecord) {
	if s.Parts.Ledger != nil {
		usage = s.Parts.Ledger.write(usage...)
	}
	if s.Parts.Outbox != nil {
		events := make([]domain.Event, len(usage))
		for i, r := range usage {
			events[i] = r.Recorded()
		}
		if told, err := stored(events); err == nil { // their ids are well-formed
			s.Parts.Outbox.add(ctx, told)
		}
	}
	if s.Parts.Budgets == nil {
		return
	}
	s.Parts.Budgets.spend(g.Principal.OwnerID(), g.CreatedAt, usage...)
	if g.Status.Ended() {
		s.Parts.Budgets.end(g.ReservationID)
	}
}

// ByTask implements ports.GenerationStore.
func (s *GenerationStore) ByTask(ctx context.Context, generator, taskID string) (string, error) {
	if err := s.enter(ctx, "ByTask"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.byID[s.tasks[generationTask{generator, taskID}]]; w != nil && !w.Status.Ended() {
		return w.ID, nil
	}
	return "", domain.GenerationNotFound()
}

// waiting is what nobody has claimed, the oldest first. It needs the lock.
func (s *GenerationStore) waiting(now time.Time) (waiting []*generation) {
	for _, w := range s.byID {
		if !w.Status.Ended() && w.freeAt(now) {
			waiting = append(waiting, w)
		}
	}
	slices.SortFunc(waiting, func(a, b *generation) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return waiting
}

// Waiting implements ports.GenerationStore.
func (s *GenerationStore) Waiting(ctx context.Context, now time.Time, limit int) ([]string, error) {
	if err := s.enter(ctx, "Waiting"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.waiting(now)
	place, seen := map[string]int{}, map[string]int{}
	for _, w := range s.byID {
		if !w.Status.Ended() && !w.freeAt(now) {
			seen[w.Principal.OwnerID()]++
		}
	}
	for _, w := range waiting {
		seen[w.Principal.OwnerID()]++
		place[w.ID] = seen[w.Principal.OwnerID()]
	}
	slices.SortStableFunc(waiting, func(a, b *generation) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	ids := []string{}
	for _, w := range page(waiting, limit, 0) {
		ids = append(ids, w.ID)
	}
	return ids, nil
}

// Expire implements ports.GenerationStore.
func (s *GenerationStore) Expire(ctx context.Context, before time.Time) (int, error) {
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
	maps.DeleteFunc(s.tasks, func(_ generationTask, id string) bool { return s.byID[id] == nil })
	return forgotten, nil
}

// find finds an owner's work. It needs the lock.
func (s *GenerationStore) find(owner, id string) (*generation, error) {
	w, err := s.any(id)
	if err != nil || w.Principal.OwnerID() != owner {
		return nil, domain.GenerationNotFound()
	}
	return w, nil
}

// any finds work, whoever's it is. It needs the lock.
func (s *GenerationStore) any(id string) (*generation, error) {
	key, _ := domain.ParseID(id)
	if w := s.byID[key]; w != nil {
		return w, nil
	}
	return nil, domain.GenerationNotFound()
}

// held finds work that a runner has claimed. It needs the lock.
func (s *GenerationStore) held(id, runner string) (*generation, error) {
	w, err := s.any(id)
	switch {
	case err != nil || !w.Status.Ended() && (runner == "" || w.runner != runner):
		return nil, domain.GenerationClaimed()
	case w.Status.Ended():
		return nil, domain.GenerationEnded()
	}
	return w, nil
}

func (w *generation) load() (domain.Generation, error) {
	g := w.Generation
	var err error
	if g.Principal, err = domain.PrincipalFromStored(w.principal); err != nil {
		return domain.Generation{}, err
	}
	if g.Request, err = domain.AssetRequestFromStored(w.request); err != nil {
		return domain.Generation{}, err
	}
	if g.Generators, err = domain.OffersFromStored(w.generators); err != nil {
		return domain.Generation{}, err
	}
	g.Attempts, err = domain.AttemptsFromStored(w.attempts)
	return g, err
}
