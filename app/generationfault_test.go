package app_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// points counts everything that a process does outside of itself, and lets one of it go wrong. From a crash on the process does nothing more.
type points struct {
	what fault
	at   int

	mu       sync.Mutex
	n        int
	dead     bool
	happened string // what went wrong
}

func storeAway() error { return domain.StoreAway("The database is away", nil) }

// around does something, or lets it go wrong. lost is what the caller hears when nobody knows whether it was done.
func (p *points) around(name string, lost error, do func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return storeAway()
	}
	p.n++
	ofGenerator := slices.Contains([]string{"Begin", "Find", "Check", "Fetch", "Cancel"}, name)
	hit := p.n == p.at && p.what != "" && (ofGenerator || p.what != panicBefore && p.what != panicAfter)
	if hit {
		p.happened = name
		p.dead = p.what == crashBefore
	}
	p.mu.Unlock()
	if !hit {
		return do()
	}
	switch p.what {
	case errorBefore, crashBefore:
		return storeAway()
	case panicBefore:
		panic("planned")
	}
	err := do()
	switch p.what {
	case panicAfter:
		panic("planned")
	case crashAfter:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.dead = true
	}
	if err != nil {
		return err
	}
	return lost
}

func (p *points) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// result is around for what returns something.
func result[T any](p *points, name string, lost error, do func() (T, error)) (T, error) {
	var value T
	err := p.around(name, lost, func() (err error) { value, err = do(); return err })
	if err != nil {
		var none T
		return none, err
	}
	return value, nil
}

type faultyGenerations struct {
	*memory.GenerationStore
	p *points
}

func (f faultyGenerations) Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error) {
	return result(f.p, "Create", storeAway(), func() (domain.Generation, error) { return f.GenerationStore.Create(ctx, g, events...) })
}

func (f faultyGenerations) ByKey(ctx context.Context, owner, key string) (domain.Generation, error) {
	return result(f.p, "ByKey", storeAway(), func() (domain.Generation, error) { return f.GenerationStore.ByKey(ctx, owner, key) })
}

func (f faultyGenerations) Open(ctx context.Context, owner string) (int, error) {
	return result(f.p, "Open", storeAway(), func() (int, error) { return f.GenerationStore.Open(ctx, owner) })
}

func (f faultyGenerations) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	return result(f.p, "Claim", storeAway(), func() (domain.Generation, error) { return f.GenerationStore.Claim(ctx, id, runner, now, until) })
}

func (f faultyGenerations) Commit(ctx context.Context, c domain.GenerationChange) (int, error) {
	return result(f.p, "Commit", storeAway(), func() (int, error) { return f.GenerationStore.Commit(ctx, c) })
}

func (f faultyGenerations) Renew(ctx context.Context, id, runner string, until time.Time) error {
	if f.p.isDead() {
		return storeAway()
	}
	return f.GenerationStore.Renew(ctx, id, runner, until)
}

func (f faultyGenerations) Abandon(ctx context.Context, id, runner string) error {
	if f.p.isDead() {
		return storeAway()
	}
	return f.GenerationStore.Abandon(ctx, id, runner)
}

func (f faultyGenerations) Waiting(ctx context.Context, now time.Time, limit int) ([]string, error) {
	if f.p.isDead() {
		return nil, storeAway()
	}
	return f.GenerationStore.Waiting(ctx, now, limit)
}

type faultyAssets struct {
	*memory.AssetStore
	p *points
}

func (f faultyAssets) Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error) {
	return result(f.p, "Search", storeAway(), func() (domain.AssetPage, error) { return f.AssetStore.Search(ctx, q) })
}

func (f faultyAssets) Lease(ctx context.Context, l domain.FileLease) error {
	return f.p.around("Lease", storeAway(), func() error { return f.AssetStore.Lease(ctx, l) })
}

func (f faultyAssets) EndLeases(ctx context.Context, keys []string, at time.Time) error {
	return f.p.around("EndLeases", storeAway(), func() error { return f.AssetStore.EndLeases(ctx, keys, at) })
}

type faultyBlobs struct {
	*memory.BlobStore
	p *points
}

func (f faultyBlobs) Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) (int64, error) {
	return result(f.p, "Put", storeAway(), func() (int64, error) { return f.BlobStore.Put(ctx, key, contentType, r, limit) })
}

func (f faultyBlobs) Open(ctx context.Context, key string) (file io.ReadSeekCloser, b domain.Blob, err error) {
	err = f.p.around("Open", storeAway(), func() (err error) { file, b, err = f.BlobStore.Open(ctx, key); return err })
	return file, b, err
}

type faultyBudgets struct {
	*memory.BudgetStore
	p *points
}

func (f faultyBudgets) Reserve(ctx context.Context, r domain.Reservation) error {
	return f.p.around("Reserve", storeAway(), func() error { return f.BudgetStore.Reserve(ctx, r) })
}

func (f faultyBudgets) Release(ctx context.Context, id string) error {
	return f.p.around("Release", storeAway(), func() error { return f.BudgetStore.Release(ctx, id) })
}

type faultyOutside struct {
	*outside
	p *points
}

func (f faultyOutside) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	return result(f.p, "Begin", unclearOrder(), func() (domain.GeneratorTask, error) { return f.outside.Begin(ctx, o) })
}

func (f faultyOutside) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	return result(f.p, "Find", storeAway(), func() (domain.GeneratorTask, error) { return f.outside.Find(ctx, o) })
}

func (f faultyOutside) Check(ctx context.Context, o domain.GenerationOrder, id string) (domain.GeneratorTask, error) {
	return result(f.p, "Check", storeAway(), func() (domain.GeneratorTask, error) { return f.outside.Check(ctx, o, id) })
}

func (f faultyOutside) Fetch(ctx context.Context, file domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	return result(f.p, "Fetch", storeAway(), func() (io.ReadCloser, error) { return f.outside.Fetch(ctx, file, limit) })
}

func (f faultyOutside) Cancel(ctx context.Context, id string) error {
	return f.p.around("Cancel", storeAway(), func() error { return f.outside.Cancel(ctx, id) })
}

// life is a way that work goes when nothing goes wrong.
type life struct {
	outsides map[string]func() *outside
	pays     int  // orders
	unclear  bool // what was interrupted may end with an unknown outcome
	free     bool // orders may be placed twice
}

func lives() map[string]life {
	one := func(change func(*outside)) func() *outside {
		return func() *outside { o := newOutside("make"); change(o); return o }
	}
	type outsides = map[string]func() *outside
	return map[string]life{
		"two stages": {outsides: outsides{"two": refine}, pays: 2},
		"two stages, forgotten": {
			outsides: outsides{"two": func() *outside { o := refine(); o.forgets = true; return o }}, pays: 2, unclear: true,
		},
		"an inline result":            {outsides: outsides{"one": one(func(o *outside) { o.inline = true })}, pays: 1},
		"an inline result, forgotten": {outsides: outsides{"one": one(func(o *outside) { o.inline, o.forgets = true, true })}, pays: 1, unclear: true},
		"a result by a link":          {outsides: outsides{"one": one(func(o *outside) { o.byURL = true })}, pays: 1},
		"a refusal first": {outsides: outsides{
			"two": func() *outside {
				o := refine()
				o.begin = func(domain.GenerationOrder) error { return domain.NewError(domain.BadRequest, "Not such a thing") }
				return o
			},
			"one": one(func(*outside) {}),
		}, pays: 1},
		"a failure that costs money first": {outsides: outsides{
			"two": func() *outside {
				o := refine()
				o.end = func(domain.GenerationOrder) *domain.GeneratorTask {
					return &domain.GeneratorTask{Status: domain.TaskFailed, Charged: true, Failure: domain.NewError(domain.Unavailable, "It went wrong")}
				}
				return o
			},
			"one": one(func(*outside) {}),
		}, pays: 2},
		"nothing to pay": {outsides: outsides{"spare": one(func(o *outside) { o.inline, o.forgets = true, true })}, free: true},
	}
}

// lived is what has become of work.
type lived struct {
	n        int
	happened string
	work     domain.Generation
}

const dayBudget = 10

// liveThrough has an asset made while one thing goes wrong, by as many processes as it takes, and checks that money and files are in order.
func liveThrough(t *testing.T, l life, what fault, at int) (result lived) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		outsides := map[string]*outside{}
		for id, make := range l.outsides {
			outsides[id] = make()
		}
		b := newMaking(t, nil, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(dayBudget) })
		first := &points{what: what, at: at}
		stop := b.process(t, outsides, first)
		stopSecond := func() {}
		next := func() {
			if first.isDead() {
				stopSecond = b.process(t, outsides, &points{})
				first = &points{}
			}
		}
		p := first
		work, err := b.Generate(t.Context(), ada, "key", noWait(), "")
		for try := 0; err != nil && try < 5; try++ { // as clients do
			time.Sleep(time.Second)
			next()
			work, err = b.Generate(t.Context(), ada, "key", noWait(), "")
		}
		if err != nil {
			t.Fatal(err)
		}
		for !result.work.Status.Ended() || result.work.ID == "" {
			next()
			time.Sleep(time.Second)
			if result.work, err = b.store.Get(context.WithoutCancel(t.Context()), "ada", work.Generation.ID); err != nil {
				t.Fatal(err)
			}
			if time.Since(result.work.CreatedAt) > time.Hour {
				t.Fatalf("it does not end: %+v", result.work)
			}
		}
		time.Sleep(time.Minute) // who is dead may still try
		stop()
		stopSecond()
		result.n, result.happened = p.n, p.happened
		checkLife(t, b, l, outsides, result.work)
	})
	return result
}

// process starts a process that meets faults.
func (b *makingBed) process(t *testing.T, outsides map[string]*outside, p *points) (stop func()) {
	b.deps.Store, b.deps.Assets, b.deps.Leases = faultyGenerations{b.store, p}, faultyAssets{b.assets, p}, faultyAssets{b.assets, p}
	b.deps.Blobs, b.deps.Budgets = faultyBlobs{b.blobs, p}, faultyBudgets{b.budgets, p}
	b.deps.Generators = map[string]ports.AssetGenerator{}
	for id, o := range outsides {
		b.deps.Generators[id] = faultyOutside{o, p}
	}
	b.begin()
	running := b.Generations
	end := b.work(t.Context())
	return func() { end(); running.Close() }
}

func checkLife(t *testing.T, b *makingBed, l life, outsides map[string]*outside, work domain.Generation) {
	t.Helper()
	paid, unclear := 0, work.ErrorCode == domain.CodeOutcomeUnknown
	charged := map[string]bool{}
	for _, a := range work.Attempts {
		charged[a.Token] = a.Charged
	}
	for _, o := range outsides {
		n, most := o.bill()
		paid += n
		if most > 1 && !l.free {
			t.Errorf("an order was paid %d times", most)
		}
		for token := range o.paid {
			if !charged[token] && !l.free {
				t.Errorf("an order was paid and not charged: %s", attempts(work))
			}
		}
		if o.worst > 1 {
			t.Errorf("%d processes asked at once", o.worst)
		}
	}
	switch {
	case work.Status == domain.GenerationCompleted:
		if paid != l.pays && !l.free {
			t.Errorf("%d orders were paid: %s", paid, attempts(work))
		}
	case work.Status != domain.GenerationFailed || work.Error == "" || work.ErrorCode == "":
		t.Errorf("it ended as %s: %q %q", work.Status, work.ErrorCode, work.Error)
	case !unclear || !l.unclear:
		t.Errorf("it failed: %s %s, %s", work.ErrorCode, work.Error, attempts(work))
	}
	if b.spent(t) != work.Cost || work.Cost != work.Charged() {
		t.Errorf("spent was %v, charged %v, the attempts are %s", b.spent(t), work.Cost, attempts(work))
	}
	checkBudget(t, b, work.Cost)
	checkFiles(t, b, work)
}

// checkBudget finds out that nothing is set aside any more, at the latest when reservations have expired.
func checkBudget(t *testing.T, b *makingBed, cost domain.Money) {
	t.Helper()
	time.Sleep(2 * time.Hour)
	limit := domain.FromDollars(dayBudget)
	r := domain.Reservation{ID: b.deps.NewID(), Owner: "ada", At: time.Now(), Amount: limit - cost + 1, Limit: limit, Lease: time.Minute}
	if err := b.budgets.Reserve(context.WithoutCancel(t.Context()), r); err == nil {
		t.Error("the budget does not know what was spent")
	}
	r.Amount--
	if err := b.budgets.Reserve(context.WithoutCancel(t.Context()), r); err != nil {
		t.Errorf("the budget counts more than was spent: %v", err)
	}
}

// checkFiles finds out that the files are those of the asset, once what was left behind is removed.
func checkFiles(t *testing.T, b *makingBed, work domain.Generation) {
	t.Helper()
	var want []string
	if work.Status == domain.GenerationCompleted {
		a, err := b.assets.Get(context.WithoutCancel(t.Context()), "ada", work.AssetID)
		if err != nil {
			t.Fatal(err)
		}
		want = a.FileKeys()
		if len(want) == 0 {
			t.Error("the asset has no file")
		}
	}
	if got := b.sweep(t, time.Now()); !slices.Equal(got, want) {
		t.Errorf("the files are %v, want %v", got, want)
	}
	if left, err := b.assets.Condemn(context.WithoutCancel(t.Context()), time.Now().Add(24*time.Hour), 10); len(left) > 0 || err != nil {
		t.Errorf("leases are left: %v, %v", left, err)
	}
}

// TestFaultsCostNothingTwice: whatever goes wrong, wherever, work ends, nothing is paid twice, what was paid is charged, and no file is left
// behind.
func TestFaultsCostNothingTwice(t *testing.T) {
	t.Parallel()
	for name, l := range lives() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usual := liveThrough(t, l, "", 0) // it may have done a little more than others do, such as trying to claim what it has
			wantWork(t, usual.work, domain.GenerationCompleted, "")
			for _, what := range []fault{errorBefore, errorAfter, crashBefore, crashAfter, panicBefore, panicAfter} {
				for at := 1; at <= usual.n; at++ {
					t.Run(fmt.Sprintf("%s %d", what, at), func(t *testing.T) {
						t.Parallel()
						if got := liveThrough(t, l, what, at); got.happened == "" && at <= usual.n-3 && what != panicBefore && what != panicAfter {
							t.Error("nothing went wrong")
						}
					})
				}
			}
		})
	}
}
