package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// GenerationConfig tunes the making of assets. Zero values mean the defaults, where one is named.
type GenerationConfig struct {
	AtOnce      int           // works that this process does at the same time, without those that only wait; 5
	PerOwner    int           // works of one caller that have not ended, about; 50
	Lease       time.Duration // a runner that shows no sign of life for so long is dead; 15 s
	Poll        time.Duration // how often it is looked for work that the queue lost; 5 s
	Patience    time.Duration // how long calls of generators may take when the process stops; 20 s
	SaveTimeout time.Duration // of one attempt to write; 5 s
	MaxWait     time.Duration // the longest that an answer is held back; 60 s
	Timeout     time.Duration // after which no generator is asked any more; 15 min
	Ask         time.Duration // between questions about a task; 0: as the generator suggests
	FileLease   time.Duration // how long the file of a process that has died is kept for an asset; 1 min
	MaxCost     domain.Money  // of one asset, as it stands: 0 allows only what costs nothing
	DailyBudget domain.Money  // of each caller; 0: no limit
	BudgetLease time.Duration // after which money of a process that has died is free again, unless the work is stored by then; 90 s
	MaxBytes    int64         // of a file; 100 MiB
	OwnerBytes  int64         // of all files of one owner; 0: as many as there is room for
	MaxPreview  int64         // bytes of a preview; 10 MiB
	Public      bool          // everybody finds what was made for one caller
	OnlyOwn     bool          // this process works on nothing but what was asked for in it
}

func (c GenerationConfig) withDefaults() GenerationConfig {
	for value, otherwise := range map[*int]int{&c.AtOnce: 5, &c.PerOwner: 50} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	for value, otherwise := range map[*time.Duration]time.Duration{
		&c.Lease: 15 * time.Second, &c.Poll: 5 * time.Second, &c.Patience: 20 * time.Second, &c.SaveTimeout: 5 * time.Second,
		&c.MaxWait: time.Minute, &c.Timeout: 15 * time.Minute, &c.FileLease: max(time.Minute, 4*c.Lease),
		&c.BudgetLease: defaultBudgetLease,
	} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	for value, otherwise := range map[*int64]int64{&c.MaxBytes: 100 << 20, &c.MaxPreview: 10 << 20} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	return c
}

// GenerationDeps is what Generations need.
type GenerationDeps struct {
	Store      ports.GenerationStore
	Assets     ports.AssetStore
	Leases     ports.FileLeases
	Blobs      ports.BlobStore
	Inspector  ports.MediaInspector
	Queue      ports.WorkQueue
	Budgets    ports.BudgetStore // needed with a DailyBudget
	Table      domain.GeneratorTable
	Generators map[string]ports.AssetGenerator // that are configured, by their id in Table
	Prices     func() *domain.PriceTable       // the table in force; work costs what it says when it is ordered
	// NewsURL, which may be nil, is where a generator sends news of its tasks; empty: nowhere.
	NewsURL func(generator string) string
	// Watch, which may be nil, is told when work begins here: with the trace of who asked for it (domain.TraceOf), and what kind it is. It returns
	// the context of the work, and what is called when it comes to an end here.
	Watch func(ctx context.Context, trace, kind string) (context.Context, func(error))
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	// Troubled, which may be nil, is told what went wrong with work that goes on later.
	Troubled func(id string, err error)
	// Unknown, which may be nil, is told of news about a task that no work waits for.
	Unknown func(generator string)
	// Stopping is closed when no answer is to be held back any more; nil: never.
	Stopping <-chan struct{}
	Now      ports.Clock
	NewID    ports.IDs
	Config   GenerationConfig
}

// Generations gets assets: from the catalogue, or by having them made. What is to be made is made by processes in which Run runs. Close it.
type Generations struct {
	GenerationDeps
	stopWatching func()
	slots        chan struct{} // of work that is done here
	places       chan struct{} // of that, and of work that waits for a generator
	listeners    listeners
	unreadable   unreadableWork
	releases     *releases

	begun chan struct{} // something was ordered here that this process itself has to work on

	mu      sync.Mutex
	running map[string]*generationRun // by the id of the work
	own     map[string]bool           // work that was asked for here and may not have ended, where nothing else is worked on
}

// NewGenerations makes the use cases.
func NewGenerations(d GenerationDeps) *Generations {
	d.Config = d.Config.withDefaults()
	if d.NewsURL == nil {
		d.NewsURL = func(string) string { return "" }
	}
	if d.Watch == nil {
		d.Watch = unwatched
	}
	if d.Stored == nil {
		d.Stored = func() {}
	}
	if d.Troubled == nil {
		d.Troubled = func(string, error) {}
	}
	if d.Unknown == nil {
		d.Unknown = func(string) {}
	}
	g := &Generations{
		GenerationDeps: d, slots: make(chan struct{}, d.Config.AtOnce), places: make(chan struct{}, d.Config.AtOnce*waitEach),
		listeners: newListeners(), running: map[string]*generationRun{}, releases: newReleases(d.Config.SaveTimeout, d.Now),
		begun: make(chan struct{}, 1), own: map[string]bool{},
	}
	g.stopWatching = d.Queue.Watch(g.heard)
	return g
}

// Close ends what listens to other replicas. Run must have returned before.
func (g *Generations) Close() {
	g.stopWatching()
	g.releases.close()
}

// Running is how many pieces of work this process does.
func (g *Generations) Running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.running)
}

// GenerationResult is an asset, or how far the work on it is.
type GenerationResult struct {
	Generation domain.Generation // of an asset that was found without work: what there is to say, with the asset's ID
	Asset      *domain.Asset     // when it is completed
	Waited     time.Duration     // how long the answer took
}

// maxGenerationKey bounds an Idempotency-Key, in bytes.
const maxGenerationKey = 255

// Generate gets an asset. What is not ready after the time that the request allows is returned as it is then; work that has failed by then
// is an error. Requests of one caller with the same key, unless it is empty, get the same asset.
func (g *Generations) Generate(
	ctx context.Context, who domain.Principal, key string, req domain.AssetRequest, httpRequestID string,
) (GenerationResult, error) {
	w := generationWish{who: who, key: key, req: req.Normal(), httpRequestID: httpRequestID, trace: domain.TraceOf(ctx), started: g.Now()}
	if len(key) > maxGenerationKey {
		return GenerationResult{}, domain.InvalidInput(domain.TooLong(maxGenerationKey, key, "header", "Idempotency-Key"))
	}
	if err := mayBeMet(req); err != nil {
		return GenerationResult{}, err
	}
	if key != "" {
		var err error
		if w.fingerprint, err = fingerprintOf(w.req); err != nil {
			return GenerationResult{}, fmt.Errorf("generate: %w", err)
		}
		if known, err := g.byKey(ctx, w); err != nil || known.ID != "" {
			return g.known(ctx, w, known, err)
		}
	}
	choice, err := g.choose(ctx, w)
	switch {
	case err != nil:
		return GenerationResult{}, err
	case choice.found != nil && key == "":
		return GenerationResult{Generation: workOf(who, *choice.found, domain.AssetFromDatabase), Asset: choice.found, Waited: g.Now().Sub(w.started)}, nil
	case choice.found != nil:
		return g.keepFound(ctx, w, *choice.found)
	}
	result, err := g.start(ctx, w, choice)
	if kind := domain.KindOf(err); key != "" && err != nil && (kind == domain.PaymentRequired || kind == domain.Limited) {
		if twin := g.twin(ctx, w); twin.ID != "" {
			return g.await(ctx, w, twin, false)
		}
	}
	return result, err
}

// twin looks for the work of the same request, sent at the same moment, that has taken what was left. Work without an id: there is none.
func (g *Generations) twin(ctx context.Context, w generationWish) (work domain.Generation) {
	for try := range twinLooks { // it is stored a moment after its money was set aside
		if try > 0 && !pause(ctx, twinPause) {
			break
		}
		if work, err := g.byKey(ctx, w); err == nil && work.ID != "" {
			return work
		}
	}
	return domain.Generation{}
}

const (
	twinLooks = 4
	twinPause = 50 * time.Millisecond
)

// generationWish is one call of Generate.
type generationWish struct {
	who           domain.Principal
	key           string
	fingerprint   string
	req           domain.AssetRequest
	httpRequestID string
	trace         string
	started       time.Time
}

// mayBeMet refuses requests that allow nothing.
func mayBeMet(req domain.AssetRequest) error {
	if req.AllowDatabase || req.AllowAdapted || req.AllowMade {
		return nil
	}
	return domain.InvalidInput(domain.Fault{
		Type: "value_error", Loc: []any{"body", "preferences"},
		Msg: "Value error, one of allow_database, allow_modifications and allow_generation must be true",
	})
}

// fingerprintOf is the same for requests of the same asset, however long their clients want to wait for it.
func fingerprintOf(req domain.AssetRequest) (string, error) {
	req.MaxWait = 0
	data, err := domain.StoredAssetRequest(req)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// orders reports whether work is on what is wished. Earlier builds stored fingerprints with the time to wait in them: there the request tells.
func (w generationWish) orders(known domain.Generation) bool {
	if known.Fingerprint == w.fingerprint {
		return true
	}
	other, err := fingerprintOf(known.Request)
	return err == nil && other == w.fingerprint
}

// byKey looks for the work that a key began. Work without an id: there is none.
func (g *Generations) byKey(ctx context.Context, w generationWish) (domain.Generation, error) {
	known, err := g.Store.ByKey(ctx, w.who.OwnerID(), w.key)
	switch {
	case err == nil && !w.orders(known):
		return domain.Generation{}, domain.GenerationKeyReused()
	case domain.KindOf(err) == domain.NotFound && err != nil:
		return domain.Generation{}, nil
	}
	return known, err
}

func (g *Generations) known(ctx context.Context, w generationWish, known domain.Generation, err error) (GenerationResult, error) {
	if err != nil {
		return GenerationResult{}, err
	}
	return g.await(ctx, w, known, false)
}

// keepFound remembers which asset a key has found, so that the same request finds the same one.
func (g *Generations) keepFound(ctx context.Context, w generationWish, found domain.Asset) (GenerationResult, error) {
	work := g.newWork(w)
	work.Status, work.Progress, work.CompletedAt = domain.GenerationCompleted, 100, work.CreatedAt
	work.AssetID, work.Source, work.Message = found.ID, domain.AssetFromDatabase, "Found in the catalogue"
	stored, err := g.create(ctx, work, g.event(work, domain.GenerationEventCompleted, map[string]any{domain.DetailSource: string(work.Source)}))
	if err != nil {
		return GenerationResult{}, err
	}
	return g.await(ctx, w, stored, false)
}

// start sets the money aside, stores the work and has it begun.
func (g *Generations) start(ctx context.Context, w generationWish, c generationChoice) (GenerationResult, error) {
	owner := w.who.OwnerID()
	quota := assetQuota{g.Assets, g.Config.OwnerBytes}
	if left, limited, err := quota.left(ctx, w.who); err != nil {
		return GenerationResult{}, err
	} else if limited && left == 0 {
		return GenerationResult{}, quota.full(domain.PaymentRequired)
	}
	open, err := g.Store.Open(ctx, owner)
	switch {
	case err != nil:
		return GenerationResult{}, err
	case open >= g.Config.PerOwner:
		return GenerationResult{}, &domain.Error{
			Kind: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: g.Config.Lease,
			Message: fmt.Sprintf("%d of your assets are being made, and no more than %d may be; wait for one, or cancel one", open, g.Config.PerOwner),
		}
	}
	work := g.newWork(w)
	work.Generators, work.BaseID, work.Reserved, work.Message = c.generators, c.base, c.most, "Waiting for its turn"
	for try := 0; ; try++ {
		if work.ReservationID, err = g.reserve(ctx, work); err != nil {
			return GenerationResult{}, err
		}
		stored, err := g.create(ctx, work, g.event(work, domain.GenerationEventStarted, nil))
		switch {
		case err == nil:
			return g.await(ctx, w, stored, stored.ID == work.ID)
		case codeOf(err) != domain.CodeLapsed || try > 0: // else this process stood still in between, and others may have been given the money
			return GenerationResult{}, err
		}
	}
}

func (g *Generations) newWork(w generationWish) domain.Generation {
	now := w.started.UTC().Truncate(time.Microsecond)
	return domain.Generation{
		ID: g.NewID(), Principal: w.who, Status: domain.GenerationPending, Request: w.req, Version: 1, HTTPRequestID: w.httpRequestID,
		Key: w.key, Fingerprint: w.fingerprint, Trace: w.trace, Deadline: now.Add(g.Config.Timeout), CreatedAt: now, UpdatedAt: now,
	}
}

// reserve sets aside the most that the work can cost, so that work that is done at once can't spend the same money. It is the work's own
// once that is stored: nobody has to renew it.
func (g *Generations) reserve(ctx context.Context, work domain.Generation) (id string, err error) {
	if g.Config.DailyBudget == 0 || work.Reserved == 0 {
		return "", nil
	}
	r := domain.Reservation{
		ID: g.NewID(), Owner: work.Principal.OwnerID(), At: work.CreatedAt, Amount: work.Reserved, Limit: g.Config.DailyBudget,
		Lease: g.Config.BudgetLease,
	}
	if err := g.Budgets.Reserve(ctx, r); err != nil {
		if domain.KindOf(err) != domain.PaymentRequired { // it may be there all the same: the answer was lost
			g.releases.later(func(ctx context.Context) error { return g.Budgets.Release(ctx, r.ID) })
		}
		return "", err
	}
	return r.ID, nil
}

func (g *Generations) release(ctx context.Context, reservation string) {
	if reservation == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.Config.SaveTimeout)
	defer cancel()
	if g.Budgets.Release(ctx, reservation) != nil {
		g.releases.later(func(ctx context.Context) error { return g.Budgets.Release(ctx, reservation) })
	}
}

// releaseUnless gives the money back for work of which nobody knows whether it is stored, when it turns out that it is not.
func (g *Generations) releaseUnless(work domain.Generation) {
	if work.ReservationID == "" {
		return
	}
	owner, id, reservation := work.Principal.OwnerID(), work.ID, work.ReservationID
	g.releases.later(func(ctx context.Context) error {
		if _, err := g.Store.Get(ctx, owner, id); domain.KindOf(err) != domain.NotFound {
			return err
		}
		return g.Budgets.Release(ctx, reservation)
	})
}

// create stores new work. Where the answer of the store was lost, it looks what has become of it. The money is given back unless the work
// is there, or may be.
func (g *Generations) create(ctx context.Context, work domain.Generation, event domain.GenerationEvent) (domain.Generation, error) {
	stored, err := g.Store.Create(ctx, work, event)
	if err != nil && domain.KindOf(err) != domain.Conflict {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.Config.SaveTimeout)
		defer cancel()
		there, look := g.Store.Get(bounded, work.Principal.OwnerID(), work.ID)
		switch {
		case look == nil:
			stored, err = there, nil
		case domain.KindOf(look) != domain.NotFound:
			g.releaseUnless(work)
			return domain.Generation{}, err
		}
	}
	if err != nil || stored.ID != work.ID {
		g.release(ctx, work.ReservationID)
		return stored, err
	}
	g.Stored()
	return stored, nil
}

// offer puts work into the queue. Should that fail, it is found all the same.
func (g *Generations) offer(ctx context.Context, id string) {
	if g.Config.OnlyOwn {
		g.keep(id)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.Config.SaveTimeout)
	defer cancel()
	_ = g.Queue.Enqueue(ctx, id)
}

// Get returns an asset of the catalogue that the caller sees, or work of the caller.
func (g *Generations) Get(ctx context.Context, who domain.Principal, id string) (GenerationResult, error) {
	work, err := g.work(ctx, who, id)
	switch {
	case err == nil && work.Status == domain.GenerationCompleted:
		asset, err := g.Assets.Get(ctx, who.OwnerID(), work.AssetID)
		return GenerationResult{Generation: work, Asset: &asset}, err
	case err == nil:
		return GenerationResult{Generation: work}, nil
	case domain.KindOf(err) != domain.NotFound:
		return GenerationResult{}, err
	}
	asset, err := g.Assets.Get(ctx, who.OwnerID(), id)
	if err != nil {
		return GenerationResult{}, err
	}
	return GenerationResult{Generation: workOf(who, asset, asset.Source), Asset: &asset}, nil
}

// work returns work of the caller.
func (g *Generations) work(ctx context.Context, who domain.Principal, id string) (domain.Generation, error) {
	id, ok := domain.ParseID(id)
	if !ok {
		return domain.Generation{}, domain.GenerationNotFound()
	}
	return g.Store.Get(ctx, who.OwnerID(), id)
}

// workOf is what there is to say about the work on an asset that the caller has none on.
func workOf(who domain.Principal, a domain.Asset, source domain.AssetSource) domain.Generation {
	return domain.Generation{
		ID: a.ID, Principal: who, Status: domain.GenerationCompleted, Request: domain.AssetRequest{Category: a.Category, Description: a.Description},
		Progress: 100, AssetID: a.ID, Source: source, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, CompletedAt: a.CreatedAt,
	}
}

// Cancel ends work of the caller. What has ended is domain.Conflict. A process that is at it gives it up as soon as it hears of that, a second
// or so later.
func (g *Generations) Cancel(ctx context.Context, who domain.Principal, id string) (GenerationResult, error) {
	for try := 0; ; try++ {
		work, err := g.work(ctx, who, id)
		if err != nil {
			return GenerationResult{}, err
		}
		if work.Status.Ended() {
			return GenerationResult{}, domain.GenerationEnded()
		}
		work = work.End(domain.GenerationCancelled, g.Now())
		work.Message = "Cancelled"
		version, err := g.Store.Commit(ctx, domain.GenerationChange{
			Generation: work, Events: []domain.GenerationEvent{g.event(work, domain.GenerationEventCancelled, costOf(work))}, Usage: g.usage(work),
		})
		switch {
		case err == nil:
			work.Version = version
			g.cancelled(ctx, work.ID)
			return GenerationResult{Generation: work}, nil
		case domain.KindOf(err) != domain.Conflict || codeOf(err) == domain.CodeEnded || try == cancelTries:
			return GenerationResult{}, err
		}
	}
}

// cancelTries is how often somebody else may be faster in changing work that is to be cancelled.
const cancelTries = 20

// cancelled tells everybody that work was cancelled.
func (g *Generations) cancelled(ctx context.Context, id string) {
	g.Stored()
	if run := g.runHere(id); run != nil {
		run.cancel(errGenerationCancelled)
	}
	g.Queue.Signal(context.WithoutCancel(ctx), id)
	g.listeners.wake(id) // whether or not the signal comes back to this process
}

// taskNews stands before the id of work in a signal that says that its generator has news.
const taskNews = "task:"

// News has the work looked at that waits for a task at a generator. A task that no work waits for is no error.
func (g *Generations) News(ctx context.Context, generator, taskID string) error {
	id, err := g.Store.ByTask(ctx, generator, taskID)
	switch {
	case domain.KindOf(err) == domain.NotFound && err != nil:
		g.Unknown(generator)
		return nil
	case err != nil:
		return err
	}
	g.Queue.Signal(context.WithoutCancel(ctx), taskNews+id)
	if run := g.runHere(id); run != nil { // whether or not the signal comes back to this process
		run.hear(run.news)
	}
	return nil
}

// heard is told of all work that has something new, in any process.
func (g *Generations) heard(signal string) {
	id, ofTask := strings.CutPrefix(signal, taskNews)
	run := g.runHere(id)
	switch {
	case ofTask && run != nil:
		run.hear(run.news)
	case !ofTask:
		g.listeners.wake(id)
		if run != nil {
			run.hear(run.changed)
		}
	}
}

func (g *Generations) runHere(id string) *generationRun {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running[id]
}
