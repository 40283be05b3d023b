package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// testGenerators are one that takes two paid steps, two that take one, one that costs nothing and a collection. "spare" stands in.
const testGenerators = `{"generators": [
	{"id": "two", "setting": "TWO_KEY", "pricing": "meshy", "source": "generated", "operations": {"prop": "3d_generation"},
	 "stages": {"preview": "text_to_3d", "refine": "refinement"}, "formats": {"prop": ["glb", "obj"]},
	 "qualities": {"low": "low", "medium": "standard", "high": "hd", "ultra": "ultra"},
	 "scores": {"low": 0.6, "medium": 0.9, "high": 0.9, "ultra": 0.9}, "license": "commercial"},
	{"id": "one", "setting": "ONE_KEY", "pricing": "stability", "model": "m-1", "source": "generated", "adapts": ["prop"],
	 "operations": {"prop": "image_generation", "image": "image_generation"}, "formats": {"prop": ["glb", "fbx"], "image": ["png", "jpg"]},
	 "qualities": {"low": "standard", "medium": "standard", "high": "hd", "ultra": "ultra"},
	 "scores": {"low": 0.6, "medium": 0.9, "high": 0.9, "ultra": 0.9}, "license": "commercial"},
	{"id": "dear", "setting": "DEAR_KEY", "pricing": "midjourney", "source": "generated",
	 "operations": {"prop": "image_generation"}, "formats": {"prop": ["glb"]},
	 "qualities": {"low": "standard", "medium": "standard", "high": "hd", "ultra": "ultra"},
	 "scores": {"low": 0.6, "medium": 0.9, "high": 0.9, "ultra": 0.9}, "license": "commercial"},
	{"id": "sounds", "setting": "SOUNDS_KEY", "pricing": "freesound", "source": "external", "repeatable": true,
	 "operations": {"audio": "audio_search"}, "formats": {"audio": ["mp3"]},
	 "qualities": {"low": "low", "medium": "standard", "high": "hd", "ultra": "ultra"},
	 "scores": {"low": 0.8, "medium": 0.8, "high": 0.8, "ultra": 0.8}, "license": "creative_commons"},
	{"id": "spare", "setting": "SPARE", "pricing": "procedural", "source": "generated", "adapts": ["prop"], "repeatable": true, "stands_in": true,
	 "operations": {"prop": "3d_generation", "audio": "audio_generation"}, "formats": {"prop": ["glb"], "audio": ["wav"]},
	 "qualities": {"low": "low", "medium": "standard", "high": "hd", "ultra": "ultra"},
	 "scores": {"low": 0.6, "medium": 0.8, "high": 0.8, "ultra": 0.8}, "license": "public_domain"}]}`

// outside is an outside service. It counts what it was paid for, by the token of the order.
type outside struct {
	stages  []string
	inline  bool // results come with the answer to the order
	forgets bool // tasks are not found by their token
	byURL   bool // results have to be fetched
	checks  int  // how often a task is still running when it is looked at
	begin   func(o domain.GenerationOrder) error
	end     func(o domain.GenerationOrder) *domain.GeneratorTask // of a task that is over; nil: as usual
	file    string
	preview string
	wait    time.Duration // an order takes so long

	mu        sync.Mutex
	paid      map[string]int // by token
	tasks     map[string]string
	left      map[string]int // checks, by task
	orders    []domain.GenerationOrder
	checked   []time.Time
	cancelled []string
	busy      map[string]int // by what an order says that it is for
	worst     int            // how many calls there were at once for the same thing
}

func newOutside(stages ...string) *outside {
	return &outside{
		stages: stages, file: "glb 100", checks: 1, paid: map[string]int{}, tasks: map[string]string{}, left: map[string]int{}, busy: map[string]int{},
	}
}

func (o *outside) Stages(domain.GenerationOrder) []string { return o.stages }

func (o *outside) Begin(ctx context.Context, order domain.GenerationOrder) (domain.GeneratorTask, error) {
	defer o.at(order)()
	if o.wait > 0 {
		select {
		case <-time.After(o.wait):
		case <-ctx.Done():
			return domain.GeneratorTask{}, ctx.Err()
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orders = append(o.orders, order)
	if o.begin != nil {
		if err := o.begin(order); err != nil {
			return domain.GeneratorTask{}, err
		}
	}
	o.paid[order.Token]++
	id := fmt.Sprintf("task-%d", len(o.tasks)+1)
	o.tasks[order.Token], o.left[id] = id, o.checks
	if o.inline {
		t := o.done(order, id)
		t.ID = ""
		return t, nil
	}
	return domain.GeneratorTask{ID: id, Status: domain.TaskRunning, Message: "Begun"}, nil
}

// at counts calls at once.
func (o *outside) at(order domain.GenerationOrder) (left func()) {
	what := order.Request.Description
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy[what]++
	o.worst = max(o.worst, o.busy[what])
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy[what]--
	}
}

// done needs the lock.
func (o *outside) done(order domain.GenerationOrder, id string) domain.GeneratorTask {
	if o.end != nil {
		if t := o.end(order); t != nil {
			t.ID = id
			return *t
		}
	}
	t := domain.GeneratorTask{ID: id, Status: domain.TaskDone, Progress: 100}
	if order.Stage != o.stages[len(o.stages)-1] {
		return t
	}
	f := domain.GeneratedFile{Format: strings.Fields(o.file + " ")[0], Attributes: map[string]any{"made_by": "outside"}}
	if o.byURL {
		f.URL = "https://files.example/" + id
	} else {
		f.Data = []byte(o.file)
	}
	t.Files = []domain.GeneratedFile{f}
	if o.preview != "" {
		t.Files = append([]domain.GeneratedFile{{Format: "png", Preview: true, Data: []byte(o.preview)}}, t.Files...)
	}
	return t
}

func (o *outside) Find(_ context.Context, order domain.GenerationOrder) (domain.GeneratorTask, error) {
	defer o.at(order)()
	o.mu.Lock()
	defer o.mu.Unlock()
	id, ok := o.tasks[order.Token]
	switch {
	case o.forgets:
		return domain.GeneratorTask{}, unclearOrder()
	case !ok:
		return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "No such task")
	case o.inline:
		t := o.done(order, id)
		t.ID = ""
		return t, nil
	}
	return o.look(order, id), nil
}

func unclearOrder() error {
	return &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "Nobody can tell"}
}

func (o *outside) Check(_ context.Context, order domain.GenerationOrder, id string) (domain.GeneratorTask, error) {
	defer o.at(order)()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.checked = append(o.checked, time.Now())
	if o.left[id]--; o.left[id] < -1000 {
		return domain.GeneratorTask{}, errors.New("asked without end")
	}
	return o.look(order, id), nil
}

// look needs the lock.
func (o *outside) look(order domain.GenerationOrder, id string) domain.GeneratorTask {
	if o.left[id] >= 0 {
		return domain.GeneratorTask{ID: id, Status: domain.TaskRunning, Progress: 100 - 100/(2+max(o.checks-o.left[id], 0))}
	}
	return o.done(order, id)
}

func (o *outside) Fetch(_ context.Context, _ domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	if int64(len(o.file)) > limit {
		return nil, domain.FileTooLarge(limit)
	}
	return io.NopCloser(strings.NewReader(o.file)), nil
}

func (o *outside) Cancel(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancelled = append(o.cancelled, id)
	return nil
}

// given are the tasks that were given up.
func (o *outside) given() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.cancelled)
}

// bill is how many orders were taken, and how often the one most often.
func (o *outside) bill() (orders, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.paid {
		most = max(most, n)
	}
	return len(o.paid), most
}

// inspector reads files that say themselves what they are: "glb 100" is a model of 100 polygons.
type inspector struct{}

func (inspector) Inspect(_ context.Context, r io.ReadSeeker) (domain.FileFacts, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return domain.FileFacts{}, err
	}
	var f domain.FileFacts
	if n, _ := fmt.Sscanf(string(data), "%s %d", &f.Format, &f.Polygons); n == 0 || f.Format == "broken" {
		return f, domain.NewError(domain.BadRequest, "The file is broken")
	}
	f.ContentType = domain.ContentTypeOf(f.Format)
	return f, nil
}

func (inspector) Preview(_ context.Context, r io.ReadSeeker, _, _ int) ([]byte, error) {
	data, err := io.ReadAll(r)
	if err != nil || bytes.HasPrefix(data, []byte("obj")) {
		return nil, err
	}
	return append([]byte("picture of "), data...), nil
}

// makingBed is everything around Generations, in reach.
type makingBed struct {
	*app.Generations
	deps    app.GenerationDeps
	store   *memory.GenerationStore
	assets  *memory.AssetStore
	blobs   *memory.BlobStore
	ledger  *memory.Ledger
	budgets *memory.BudgetStore
	outbox  *memory.Outbox
	queue   *fakeQueue
	trouble *troubles
}

type troubles struct {
	mu   sync.Mutex
	list []error
}

func (t *troubles) add(_ string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, err)
}

func newMaking(t *testing.T, generators map[string]ports.AssetGenerator, change ...func(*app.GenerationDeps)) *makingBed {
	t.Helper()
	table, err := domain.ParseGenerators([]byte(testGenerators))
	if err != nil {
		t.Fatal(err)
	}
	b := &makingBed{assets: &memory.AssetStore{}, blobs: &memory.BlobStore{}, ledger: memory.NewLedger(), outbox: &memory.Outbox{}, trouble: &troubles{}}
	b.budgets = memory.NewBudgetStore(b.ledger)
	b.store = &memory.GenerationStore{Parts: memory.GenerationParts{Assets: b.assets, Ledger: b.ledger, Budgets: b.budgets, Outbox: b.outbox}}
	b.deps = app.GenerationDeps{
		Store: b.store, Assets: b.assets, Leases: b.assets, Blobs: b.blobs, Inspector: inspector{}, Budgets: b.budgets, Table: table,
		Generators: generators, Prices: domain.BuiltInPrices, Troubled: b.trouble.add, Now: time.Now, NewID: ids(),
		Config: app.GenerationConfig{MaxCost: domain.FromDollars(0.5)},
	}
	for _, c := range change {
		c(&b.deps)
	}
	b.begin()
	t.Cleanup(func() { b.Close() })
	return b
}

// begin starts another process over the same stores.
func (b *makingBed) begin() {
	b.queue = newFakeQueue()
	b.deps.Queue = b.queue
	b.Generations = app.NewGenerations(b.deps)
}

// work runs the process. What is returned ends it, and waits for that.
func (b *makingBed) work(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var alive sync.WaitGroup
	running := b.Generations
	alive.Go(func() { running.Run(ctx) })
	return func() { cancel(); alive.Wait() }
}

func sword() domain.AssetRequest {
	return domain.AssetRequest{
		Category: domain.AssetProp, Style: "fantasy", Description: "A glowing sword", Quality: domain.AssetMedium, AllowDatabase: true, AllowAdapted: true,
		AllowMade: true, MaxCost: domain.FromDollars(0.5), MaxWait: time.Minute,
	}
}

// noWait is a sword for which nobody waits.
func noWait() domain.AssetRequest {
	r := sword()
	r.MaxWait = 0
	return r
}

// order has work begun, and fails the test when that does not work.
func (b *makingBed) order(t *testing.T, r domain.AssetRequest) domain.Generation {
	t.Helper()
	result, err := b.Generate(t.Context(), ada, "", r, "req-1")
	if err != nil {
		t.Fatal(err)
	}
	return result.Generation
}

// ended waits until work has ended.
func (b *makingBed) ended(t *testing.T, id string) domain.Generation {
	t.Helper()
	for range 10_000 {
		work, err := b.store.Get(context.WithoutCancel(t.Context()), "ada", id)
		if err != nil {
			t.Fatal(err)
		}
		if work.Status.Ended() {
			return work
		}
		time.Sleep(time.Second) // of a bubble: it costs nothing
	}
	t.Fatal("it does not end")
	return domain.Generation{}
}

// put puts an asset into the catalogue.
func (b *makingBed) put(t *testing.T, change ...func(*domain.Asset)) domain.Asset {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	a := domain.Asset{
		ID: b.deps.NewID(), Public: true, Source: domain.AssetFromDatabase, Category: domain.AssetProp, Title: "A glowing sword", StyleTags: []string{"fantasy"},
		Quality: 0.9, License: domain.LicenseCreativeCommons, Metadata: map[string]any{}, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	a.File = domain.AssetFile{Key: "community/prop/" + a.ID + ".glb", Format: "glb", ContentType: "model/gltf-binary", Size: 7}
	for _, c := range change {
		c(&a)
	}
	if a.File.Key != "" {
		if err := b.assets.Lease(ctx, domain.FileLease{Key: a.File.Key, Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.blobs.Put(ctx, a.File.Key, a.File.ContentType, strings.NewReader("glb 500"), 100); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.assets.Add(ctx, a); err != nil {
		t.Fatal(err)
	}
	return a
}

// sweep removes what nobody needs, as it is removed in the background, and returns what is left.
func (b *makingBed) sweep(t *testing.T, at time.Time) []string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	keys, err := b.assets.Condemn(ctx, at, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if err := errors.Join(b.blobs.Delete(ctx, key), b.assets.Forget(ctx, key)); err != nil {
			t.Fatal(err)
		}
	}
	return b.blobs.Keys()
}

// spent is what the ledger says.
func (b *makingBed) spent(t *testing.T) domain.Money {
	t.Helper()
	records, err := b.ledger.Recent(context.WithoutCancel(t.Context()), "ada", time.Now().Add(-24*time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	var sum domain.Money
	for _, r := range records {
		sum += r.Cost
	}
	return sum
}

func wantWork(t *testing.T, work domain.Generation, status domain.GenerationStatus, text string) {
	t.Helper()
	if work.Status != status || !strings.Contains(work.ErrorCode+" "+work.Error, text) {
		t.Fatalf("the work is %s: %s %q; want %s with %q\n%+v", work.Status, work.ErrorCode, work.Error, status, text, work.Attempts)
	}
}

func attempts(work domain.Generation) string {
	var list []string
	for _, a := range work.Attempts {
		text := a.Generator + "/" + a.Stage + "=" + string(a.Status)
		if a.Charged {
			text += "$"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func wantFailure(t *testing.T, err error, kind domain.Kind, text string) {
	t.Helper()
	if err == nil || domain.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v (%d), want kind %d with %q", err, domain.KindOf(err), kind, text)
	}
}

// eventTypes are the types of the events of work, those of progress once each time they come.
func (b *makingBed) eventTypes(t *testing.T, id string) string {
	t.Helper()
	events, _, err := b.store.Events(context.WithoutCancel(t.Context()), "ada", id, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range events {
		list = append(list, string(e.Type))
	}
	return strings.Join(slices.Compact(list), " ")
}

// gatedStore can be away.
type gatedStore struct {
	ports.GenerationStore
	away atomic.Bool
}

func (s *gatedStore) Commit(ctx context.Context, c domain.GenerationChange) (int, error) {
	if s.away.Load() {
		return 0, storeAway()
	}
	return s.GenerationStore.Commit(ctx, c)
}

func (s *gatedStore) Renew(ctx context.Context, id, runner string, until time.Time) error {
	if s.away.Load() {
		return storeAway()
	}
	return s.GenerationStore.Renew(ctx, id, runner, until)
}

func (s *gatedStore) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	if s.away.Load() {
		return domain.Generation{}, storeAway()
	}
	return s.GenerationStore.Claim(ctx, id, runner, now, until)
}

// asked are the generators that may be asked.
func asked(work domain.Generation) string {
	var list []string
	for _, o := range work.Generators {
		list = append(list, o.Generator)
	}
	return strings.Join(list, " ")
}
