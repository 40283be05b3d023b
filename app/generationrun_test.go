package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

func TestGeneratorsThatTakeNoOrdersNow(t *testing.T) {
	t.Parallel()
	limited := &domain.Error{Kind: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: 40 * time.Second, Message: "Too often"}
	away := domain.NewError(domain.Unavailable, "It is away")
	for name, c := range map[string]struct {
		fails int // how often the first one says: not now
		err   error
		more  bool // there is another generator
		want  string
		took  time.Duration // at least
		most  time.Duration
	}{
		"once":                          {1, away, false, "one/make=done$", time.Second / 2, 7 * time.Second},
		"with a time to come back":      {1, limited, false, "one/make=done$", 40 * time.Second, 45 * time.Second},
		"often":                         {8, away, false, "one/make=done$", time.Minute, 5 * time.Minute},
		"until the end":                 {1000, away, false, "one/make=failed", 12 * time.Minute, 15 * time.Minute},
		"with another one":              {1000, away, true, "one/make=failed dear/make=done$", time.Second, 15 * time.Second},
		"without Gaia's money":          {1, &domain.Error{Kind: domain.Unavailable, Code: domain.CodeQuota, Message: "No credit"}, true, "one/make=failed dear/make=done$", 0, 5 * time.Second},
		"without credentials":           {1, &domain.Error{Kind: domain.Unavailable, Code: domain.CodeCredentials, Message: "Who?"}, true, "one/make=failed dear/make=done$", 0, 5 * time.Second},
		"for longer than there is time": {1, &domain.Error{Kind: domain.Limited, RetryAfter: time.Hour, Message: "In an hour"}, false, "one/make=failed", 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				asked := 0
				one.begin = func(domain.GenerationOrder) error {
					if asked++; asked <= c.fails {
						return c.err
					}
					return nil
				}
				all := generators{"one": one}
				if c.more {
					all["dear"] = newOutside("make")
				}
				b := newMaking(t, all)
				defer b.work(t.Context())()
				work := b.ended(t, b.order(t, noWait()).ID)
				if got := attempts(work); got != c.want {
					t.Errorf("the attempts are %s", got)
				}
				if took := work.CompletedAt.Sub(work.CreatedAt); took < c.took || took > c.most {
					t.Errorf("it took %s", took)
				}
				for i, o := range one.orders {
					if i > 0 && o.Begun.Sub(one.orders[i-1].Begun) < time.Second/2 {
						t.Errorf("order %d says that it was placed at %s, the one before at %s", i, o.Begun, one.orders[i-1].Begun)
					}
					if o.Token != one.orders[0].Token || o.Seed != one.orders[0].Seed {
						t.Errorf("the orders differ: %+v, %+v", one.orders[0], o)
					}
				}
				if n, most := one.bill(); most > 1 || n > 1 || b.spent(t) != work.Cost {
					t.Errorf("%d orders, %d times, spent %v of %v", n, most, b.spent(t), work.Cost)
				}
			})
		})
	}
}

func TestFailuresAtAGenerator(t *testing.T) {
	t.Parallel()
	wrong := domain.NewError(domain.Unavailable, "It went wrong")
	for name, c := range map[string]struct {
		task *domain.GeneratorTask
		file string
		r    func(*domain.AssetRequest)
		want string // attempts
		code string
	}{
		"that cost nothing":                 {&domain.GeneratorTask{Status: domain.TaskFailed, Failure: wrong}, "", nil, "one/make=failed dear/make=done$", ""},
		"that cost something":               {&domain.GeneratorTask{Status: domain.TaskFailed, Failure: wrong, Charged: true}, "", nil, "one/make=failed$", "unavailable"},
		"without a reason":                  {&domain.GeneratorTask{Status: domain.TaskFailed, Charged: true}, "", nil, "one/make=failed$", "unavailable"},
		"without a file":                    {&domain.GeneratorTask{Status: domain.TaskDone}, "", nil, "one/make=failed$", "bad_request"},
		"a broken file":                     {nil, "broken", nil, "one/make=failed$", "bad_request"},
		"another format":                    {nil, "fbx 5", func(r *domain.AssetRequest) { r.Format = "glb" }, "one/make=failed$", "limits_broken"},
		"what is no model at all":           {nil, "html 5", nil, "one/make=failed$", "limits_broken"},
		"too many polygons":                 {nil, "glb 101", func(r *domain.AssetRequest) { r.MaxPolygons = 100 }, "one/make=failed$", "limits_broken"},
		"too many bytes":                    {nil, "glb 1000000000", func(r *domain.AssetRequest) { r.MaxBytes = 10 }, "one/make=failed$", "limits_broken"},
		"more bytes than the server allows": {nil, "glb 100000000000", nil, "one/make=failed$", "limits_broken"},
	} {
		for _, byURL := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, by a link: %v", name, byURL), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					one := newOutside("make")
					one.byURL = byURL
					if c.file != "" {
						one.file = c.file
					}
					one.end = func(domain.GenerationOrder) *domain.GeneratorTask {
						if c.task == nil {
							return nil
						}
						task := *c.task
						return &task
					}
					b := newMaking(t, generators{"one": one, "dear": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.MaxBytes = 15 })
					r := noWait()
					if c.r != nil {
						c.r(&r)
					}
					r.MaxCost = domain.FromDollars(0.3)
					defer b.work(t.Context())()
					work := b.ended(t, b.order(t, r).ID)
					if got := attempts(work); got != c.want || work.ErrorCode != c.code || (c.code != "" && work.Error == "") {
						t.Errorf("the attempts are %s: %s %q", got, work.ErrorCode, work.Error)
					}
					if len(b.sweep(t, time.Now())) > 2 || work.Status == domain.GenerationFailed && len(b.blobs.Keys()) > 0 || b.spent(t) != work.Cost {
						t.Errorf("left are %v; spent was %v of %v", b.blobs.Keys(), b.spent(t), work.Cost)
					}
				})
			})
		}
	}
}

func TestAFileIsWhatItsBytesSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.file, one.preview = "fbx 7", "photo"
		one.end = func(domain.GenerationOrder) *domain.GeneratorTask {
			return &domain.GeneratorTask{Status: domain.TaskDone, Files: []domain.GeneratedFile{
				{Format: "png", Preview: true, Data: []byte("photo")}, {Format: "glb", Data: []byte("fbx 7"), Title: "Excalibur", License: domain.LicenseCustom},
			}}
		}
		b := newMaking(t, generators{"one": one})
		defer b.work(t.Context())()
		work := b.ended(t, b.order(t, noWait()).ID)
		wantWork(t, work, domain.GenerationCompleted, "")
		a, err := b.assets.Get(t.Context(), "ada", work.AssetID)
		if err != nil || a.File.Format != "fbx" || !strings.HasSuffix(a.File.Key, ".fbx") || a.Title != "Excalibur" || a.License != domain.LicenseCustom {
			t.Errorf("got %+v, %v", a, err)
		}
		if left := b.sweep(t, time.Now()); len(left) != 2 { // the asset and its preview, and not what was called a glb
			t.Errorf("the files are %v", left)
		}
	})
}

func TestAPreviewThatFailsCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two := refine()
		two.file = "obj 5"
		b := newMaking(t, generators{"two": two})
		defer b.work(t.Context())()
		r := noWait()
		r.Format = "obj"
		work := b.ended(t, b.order(t, r).ID)
		wantWork(t, work, domain.GenerationCompleted, "")
		if a, err := b.assets.Get(t.Context(), "ada", work.AssetID); err != nil || a.PreviewKey != "" {
			t.Errorf("got %+v, %v", a, err)
		}
	})
}

func TestTheDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*outside)
		late   time.Duration // before anybody works on it
		want   string
		code   string
	}{
		"a task that does not end":      {func(o *outside) { o.checks = 900 }, 0, "one/make=failed$", "timeout"},
		"work that nobody had time for": {func(*outside) {}, 16 * time.Minute, "", "timeout"},
		"an order without an answer":    {func(o *outside) { o.wait, o.forgets = time.Hour, true }, 0, "one/make=unknown$", "outcome_unknown"},
		"an order that was not taken":   {func(o *outside) { o.wait = time.Hour }, 0, "one/make=failed", "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				c.change(one)
				b := newMaking(t, generators{"one": one})
				work := b.order(t, noWait())
				time.Sleep(c.late)
				defer b.work(t.Context())()
				work = b.ended(t, work.ID)
				if got := attempts(work); got != c.want || work.ErrorCode != c.code || work.Error == "" || b.spent(t) != work.Cost {
					t.Errorf("the attempts are %s: %s %q, %v", got, work.ErrorCode, work.Error, b.spent(t))
				}
				if took := work.CompletedAt.Sub(work.CreatedAt); took < 15*time.Minute || took > 15*time.Minute+time.Minute+c.late {
					t.Errorf("it took %s", took)
				}
				if tasks := one.given(); strings.HasPrefix(name, "a task") && len(tasks) != 1 {
					t.Errorf("cancelled was %v", tasks)
				}
			})
		})
	}
}

func TestTasksThatAreLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		b := newMaking(t, generators{"one": losing{one}})
		defer b.work(t.Context())()
		work := b.ended(t, b.order(t, noWait()).ID)
		wantWork(t, work, domain.GenerationFailed, "task_lost")
		if work.Cost != domain.FromDollars(0.02) || b.spent(t) != work.Cost {
			t.Errorf("it cost %v", work.Cost)
		}
	})
}

// losing forgets its tasks.
type losing struct{ *outside }

func (losing) Check(context.Context, domain.GenerationOrder, string) (domain.GeneratorTask, error) {
	return domain.GeneratorTask{}, domain.NewError(domain.NotFound, "No such task")
}

func TestWorkGoesOverWhenAProcessStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*outside)
		after  time.Duration
		want   string
	}{
		"a task is waited for":                         {func(o *outside) { o.checks = 10 }, 10 * time.Second, "one/make=done$"},
		"an order is being sent":                       {func(o *outside) { o.wait = 10 * time.Second }, time.Second, "one/make=done$"},
		"an order takes too long, and can be found":    {func(o *outside) { o.wait = time.Minute }, time.Second, "one/make=done$"},
		"an order takes too long, and nobody can tell": {func(o *outside) { o.wait, o.forgets = time.Minute, true }, time.Second, "one/make=unknown$"},
		"a generator takes no orders now": {func(o *outside) {
			n := 0
			o.begin = func(domain.GenerationOrder) error {
				if n++; n < 3 {
					return domain.NewError(domain.Unavailable, "Away")
				}
				return nil
			}
		}, time.Second, "one/make=done$"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				c.change(one)
				b := newMaking(t, generators{"one": one})
				stop := b.work(t.Context())
				work := b.order(t, noWait())
				time.Sleep(c.after)
				began := time.Now()
				stop()
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("stopping took %s", took)
				}
				b.Close()
				b.begin()
				defer b.work(t.Context())()
				work = b.ended(t, work.ID)
				if got := attempts(work); got != c.want {
					t.Errorf("the attempts are %s: %s", got, work.Error)
				}
				if _, most := one.bill(); most > 1 {
					t.Errorf("paid %d times", most)
				}
			})
		})
	}
}

func TestTwoProcessesDoWorkOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two := refine()
		two.wait = 20 * time.Second
		b := newMaking(t, generators{"two": two})
		other := app.NewGenerations(b.deps) // over the same stores and the same queue
		ctx, cancel := context.WithCancel(t.Context())
		stop := b.work(ctx)
		done := make(chan struct{})
		go func() { defer close(done); other.Run(ctx) }()
		defer func() { cancel(); stop(); <-done; other.Close() }()
		var ids []string
		for i := range 30 {
			r := noWait()
			r.Description = fmt.Sprintf("sword %d", i)
			id := b.order(t, r).ID
			ids = append(ids, id)
			if err := b.queue.Enqueue(ctx, id); err != nil { // the queue may offer it again
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			wantWork(t, b.ended(t, id), domain.GenerationCompleted, "")
		}
		if n, most := two.bill(); n != 60 || most != 1 || two.worst != 1 {
			t.Errorf("%d orders, %d times, %d at once for one", n, most, two.worst)
		}
		if b.spent(t) != 30*domain.FromDollars(0.28) {
			t.Errorf("spent was %v", b.spent(t).Dollars())
		}
	})
}

func TestSoMuchIsDoneAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline, one.wait = true, time.Minute
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.AtOnce = 3 })
		defer b.work(t.Context())()
		var last string
		for i := range 9 {
			r := noWait()
			r.Description = fmt.Sprintf("sword %d", i)
			last = b.order(t, r).ID
		}
		time.Sleep(30 * time.Second)
		if n := len(one.inHand()); n != 3 {
			t.Errorf("%d are made at once", n)
		}
		b.ended(t, last)
	})
}

// inHand is what is being asked for at the moment.
func (o *outside) inHand() (list []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for what, n := range o.busy {
		if n > 0 {
			list = append(list, what)
		}
	}
	return list
}

func TestAStoreThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 2
		b := newMaking(t, generators{"one": one})
		gate := &gatedStore{GenerationStore: b.store}
		b.deps.Store = gate
		b.Close()
		b.begin()
		defer b.work(t.Context())()
		work := b.order(t, noWait())
		time.Sleep(time.Second)
		gate.away.Store(true)
		time.Sleep(3 * time.Minute)
		gate.away.Store(false)
		work = b.ended(t, work.ID)
		wantWork(t, work, domain.GenerationCompleted, "")
		if n, most := one.bill(); n != 1 || most != 1 {
			t.Errorf("%d orders, %d times", n, most)
		}
		if left := b.sweep(t, time.Now().Add(time.Hour)); len(left) != 2 {
			t.Errorf("the files are %v", left)
		}
	})
}

func TestAPanicOfAGeneratorIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": bursting{newOutside("make")}})
		defer b.work(t.Context())()
		work := b.ended(t, b.order(t, noWait()).ID)
		wantWork(t, work, domain.GenerationFailed, "")
		if strings.Contains(work.Error, "planned") || len(b.trouble.list) == 0 {
			t.Errorf("clients read %q, operators %v", work.Error, b.trouble.list)
		}
	})
}

// bursting panics whenever it is asked for something.
type bursting struct{ *outside }

func (bursting) Begin(context.Context, domain.GenerationOrder) (domain.GeneratorTask, error) {
	panic("planned text")
}

func TestAGeneratorThatIsNoLongerConfigured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 10
		b := newMaking(t, generators{"one": one})
		stop := b.work(t.Context())
		work := b.order(t, noWait())
		time.Sleep(5 * time.Second)
		stop()
		b.Close()
		b.deps.Generators = nil
		b.begin()
		defer b.work(t.Context())()
		work = b.ended(t, work.ID)
		wantWork(t, work, domain.GenerationFailed, "timeout")
		if work.Cost != domain.FromDollars(0.02) || len(b.trouble.list) == 0 {
			t.Errorf("it cost %v; operators know %v", work.Cost, b.trouble.list)
		}
	})
}

func TestSeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		b := newMaking(t, generators{"one": one})
		defer b.work(t.Context())()
		seed := int64(42)
		r := noWait()
		r.Seed = &seed
		first := b.ended(t, b.order(t, r).ID)
		result, err := b.Generate(t.Context(), ada, "", r, "")
		if err != nil || result.Asset == nil || result.Asset.ID != first.ID || one.orders[0].Seed != 42 {
			t.Errorf("got %+v, %v", result, err)
		}
		other := int64(43)
		r.Seed = &other
		second := b.ended(t, b.order(t, r).ID)
		if second.ID == first.ID || one.orders[1].Seed != 43 || one.orders[1].Base != nil {
			t.Errorf("another seed got %+v", second)
		}
	})
}

var _ ports.AssetGenerator = (*outside)(nil)

// lateBlobs take the first file, but seem not to: it arrives a minute later.
type lateBlobs struct {
	*memory.BlobStore
	late *sync.WaitGroup
	once *sync.Once
}

func (b lateBlobs) Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) (size int64, err error) {
	late := false
	b.once.Do(func() { late = true })
	if !late {
		return b.BlobStore.Put(ctx, key, contentType, r, limit)
	}
	data, err := io.ReadAll(r)
	b.late.Go(func() {
		time.Sleep(time.Minute)
		_, _ = b.BlobStore.Put(context.WithoutCancel(ctx), key, contentType, bytes.NewReader(data), limit)
	})
	return 0, errors.Join(domain.StoreAway("The connection broke", nil), err)
}

func TestAFileThatArrivesLateIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline = true
		var late sync.WaitGroup
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) {
			d.Blobs = lateBlobs{d.Blobs.(*memory.BlobStore), &late, &sync.Once{}}
		})
		defer b.work(t.Context())()
		wantWork(t, b.ended(t, b.order(t, noWait()).ID), domain.GenerationCompleted, "")
		b.sweep(t, time.Now())
		late.Wait()
		b.sweep(t, time.Now())
		if n := len(b.blobs.Keys()); n != 3 {
			t.Fatalf("%d files, and none late", n)
		}
		if left := b.sweep(t, time.Now().Add(time.Hour)); len(left) != 2 {
			t.Errorf("the files are %v", left)
		}
	})
}

// mistaken loses the answers to its orders, and finds the same task for each.
type mistaken struct{ *outside }

func (m mistaken) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	task, err := m.outside.Begin(ctx, o)
	if err == nil {
		err = unclearOrder()
	}
	return task, err
}

func (m mistaken) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	return m.Check(ctx, o, "task-1")
}

func TestATaskThatOtherWorkHasIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 10
		b := newMaking(t, generators{"one": mistaken{one}})
		defer b.work(t.Context())()
		first := b.order(t, noWait())
		time.Sleep(10 * time.Second)
		second := b.ended(t, b.order(t, noWait()).ID)
		wantWork(t, second, domain.GenerationFailed, domain.CodeOutcomeUnknown)
		wantWork(t, b.ended(t, first.ID), domain.GenerationCompleted, "")
		if got := attempts(second); got != "one/make=unknown$" || b.spent(t) != 2*domain.FromDollars(0.02) {
			t.Errorf("the attempts are %s for %v", got, b.spent(t))
		}
	})
}

func TestStagesMakeOneAsset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("imagine", "upscale")
		one.file = "png"
		b := newMaking(t, generators{"one": one})
		defer b.work(t.Context())()
		r := noWait()
		r.Category = domain.AssetImage
		wantWork(t, b.ended(t, b.order(t, r).ID), domain.GenerationCompleted, "")
		records, err := b.ledger.Recent(t.Context(), "ada", time.Now().Add(-time.Hour), 10)
		images := 0
		for _, u := range records {
			images += u.Images
		}
		if err != nil || len(records) != 2 || images != 1 {
			t.Errorf("the ledger has %+v, %v", records, err)
		}
	})
}

func TestWhyWorkFails(t *testing.T) {
	t.Parallel()
	refusal := domain.NewError(domain.BadRequest, "It makes no such thing")
	away := &domain.Error{Kind: domain.Unavailable, Code: domain.CodeQuota, Message: "It has no credit"}
	filtered := &domain.Error{Kind: domain.BadRequest, Code: domain.CodeContentFilter, Message: "Not such a thing"}
	for name, c := range map[string]struct {
		one, dear error
		kind      domain.Kind
		text      string
	}{
		"everybody refuses":                        {refusal, refusal, domain.BadRequest, "It makes no such thing"},
		"one refuses and the other is away":        {refusal, away, domain.Unavailable, "It has no credit"},
		"one is away and the other refuses":        {away, refusal, domain.Unavailable, "It has no credit"},
		"nobody may make it, and somebody is away": {filtered, away, domain.BadRequest, "Not such a thing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one, dear := newOutside("make"), newOutside("make")
				one.begin, dear.begin = func(domain.GenerationOrder) error { return c.one }, func(domain.GenerationOrder) error { return c.dear }
				b := newMaking(t, generators{"one": one, "dear": dear})
				defer b.work(t.Context())()
				_, err := b.Generate(t.Context(), ada, "", sword(), "")
				wantFailure(t, err, c.kind, c.text)
			})
		})
	}
}

func TestAnOrderIsFoundThatAppearsLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		want  string
	}{
		"after some seconds": {10 * time.Second, "one/make=done$"},
		"never":              {time.Hour, "one/make=unknown$"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newMaking(t, generators{"one": &shy{mistaken: mistaken{newOutside("make")}, after: c.after}})
				defer b.work(t.Context())()
				work := b.ended(t, b.order(t, noWait()).ID)
				if got := attempts(work); got != c.want || work.CompletedAt.Sub(work.CreatedAt) > time.Minute {
					t.Errorf("the attempts are %s after %s", got, work.CompletedAt.Sub(work.CreatedAt))
				}
			})
		})
	}
}

// shy lists its tasks only a while after it has taken them.
type shy struct {
	mistaken
	after time.Duration
	since time.Time
}

func (s *shy) Begin(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	s.since = time.Now()
	return s.mistaken.Begin(ctx, o)
}

func (s *shy) Find(ctx context.Context, o domain.GenerationOrder) (domain.GeneratorTask, error) {
	if time.Since(s.since) < s.after {
		return domain.GeneratorTask{}, unclearOrder()
	}
	return s.mistaken.Find(ctx, o)
}

func TestTasksThatAreWaitedForTakeNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 20
		limited := true
		one.begin = func(domain.GenerationOrder) error {
			if limited {
				limited = false
				return &domain.Error{Kind: domain.Limited, RetryAfter: 5 * time.Minute, Message: "In five minutes"}
			}
			return nil
		}
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.AtOnce = 1 })
		defer b.work(t.Context())()
		var ids []string
		for i := range 10 {
			r := noWait()
			r.Description = fmt.Sprintf("sword %d", i)
			ids = append(ids, b.order(t, r).ID)
		}
		time.Sleep(10 * time.Second)
		if n, _ := one.bill(); n != 9 {
			t.Errorf("%d orders were placed", n)
		}
		for _, id := range ids {
			wantWork(t, b.ended(t, id), domain.GenerationCompleted, "")
		}
		if n, most := one.bill(); n != 10 || most != 1 {
			t.Errorf("%d orders, %d times", n, most)
		}
	})
}

func TestOneCallerDoesNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline, one.wait = true, time.Minute
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.AtOnce = 2 })
		defer b.work(t.Context())()
		for range 20 {
			b.order(t, noWait())
		}
		time.Sleep(time.Second)
		r := noWait()
		r.AllowDatabase, r.MaxWait = false, time.Hour
		result, err := b.Generate(t.Context(), bob, "", r, "")
		if err != nil {
			t.Fatal(err)
		}
		for result.Asset == nil && result.Waited < 3*time.Minute {
			time.Sleep(time.Second)
			if result, err = b.Get(t.Context(), bob, result.Generation.ID); err != nil {
				t.Fatal(err)
			}
			result.Waited = time.Since(result.Generation.CreatedAt)
		}
		if result.Asset == nil {
			t.Error("others still wait")
		}
	})
}

func TestWorkCostsWhatWasSaidWhenItWasOrdered(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../domain/prices.json")
	if err != nil {
		t.Fatal(err)
	}
	dear, err := domain.ParsePrices([]byte(strings.NewReplacer(
		`"credit": 0.04`, `"credit": 0.06`, `"refinement", "credits": 2`, `"refinement", "credits": 3`, `"version": "`, `"version": "later `,
	).Replace(string(file))))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var prices atomic.Pointer[domain.PriceTable]
		prices.Store(domain.BuiltInPrices())
		b := newMaking(t, generators{"two": refine()}, func(d *app.GenerationDeps) {
			d.Prices, d.Config.DailyBudget = prices.Load, domain.FromDollars(0.28)
		})
		work := b.order(t, noWait())
		prices.Store(dear)
		defer b.work(t.Context())()
		work = b.ended(t, work.ID)
		wantWork(t, work, domain.GenerationCompleted, "")
		if cost := domain.FromDollars(0.28); work.Cost != cost || work.Reserved != cost || b.spent(t) != cost {
			t.Errorf("it cost %v of %v, and %v was spent", work.Cost, work.Reserved, b.spent(t))
		}
		records, err := b.ledger.Recent(t.Context(), "ada", time.Now().Add(-time.Hour), 10)
		credits := 0
		for _, u := range records {
			credits += u.Credits
			if u.PriceVersion != domain.BuiltInPrices().Version() {
				t.Errorf("the prices are those of %s", u.PriceVersion)
			}
		}
		if err != nil || credits != 7 {
			t.Errorf("%d credits, %v", credits, err)
		}
	})
}
