package app_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

type generators = map[string]ports.AssetGenerator

func refine() *outside { return newOutside("preview", "refine") }

func TestAnAssetIsMadeInTwoSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two := refine()
		two.checks, two.preview = 3, "photo"
		b := newMaking(t, generators{"two": two})
		defer b.work(t.Context())()
		began := time.Now()
		r, err := b.Generate(t.Context(), ada, "", sword(), "req-1")
		if err != nil {
			t.Fatal(err)
		}
		a := r.Asset
		if r.Generation.Status != domain.GenerationCompleted || a == nil || a.ID != r.Generation.ID || r.Waited != time.Since(began) {
			t.Fatalf("got %+v", r)
		}
		price := domain.FromDollars(0.28)
		if a.Owner != "ada" || a.Public || a.Source != domain.AssetFromGenerator || a.SourceName != "two" || a.Title != "A glowing sword" ||
			a.Quality != 0.9 || a.License != domain.LicenseCommercial || a.Cost != price || r.Generation.Cost != price ||
			a.GenerationID != a.ID || a.ResponseTime.Round(time.Millisecond) != time.Since(began).Round(time.Millisecond) {
			t.Errorf("the asset is %+v", *a)
		}
		if a.File.Format != "glb" || a.File.Size != 7 || a.File.ContentType != "model/gltf-binary" || a.File.SHA256 != sha256Of("glb 100") ||
			!strings.HasPrefix(a.File.Key, "generated/prop/"+a.ID+"-") || !strings.HasSuffix(a.File.Key, ".glb") {
			t.Errorf("the file is %+v", a.File)
		}
		if a.Metadata["generator"] != "two" || a.Metadata["made_by"] != "outside" || a.Metadata["polygon_count"] != float64(100) || a.Metadata["style"] != "fantasy" {
			t.Errorf("the facts are %v", a.Metadata)
		}
		if got := attempts(r.Generation); got != "two/preview=done$ two/refine=done$" {
			t.Errorf("the attempts are %s", got)
		}
		if len(two.orders) != 2 || two.orders[1].Previous != "task-1" || two.orders[0].Token == two.orders[1].Token || two.orders[0].Request.Format != "glb" ||
			two.orders[0].Seed != two.orders[1].Seed {
			t.Errorf("ordered was %+v", two.orders)
		}
		if keys := b.blobs.Keys(); len(keys) != 2 || keys[1] != a.PreviewKey {
			t.Errorf("there are %v", keys)
		}
		if got := b.eventTypes(t, a.ID); got != "started progress completed" {
			t.Errorf("the events are %s", got)
		}
		checkRecords(t, b, a.ID)
	})
}

func checkRecords(t *testing.T, b *makingBed, id string) {
	t.Helper()
	records, err := b.ledger.Recent(t.Context(), "ada", time.Now().Add(-time.Hour), 10)
	if err != nil || len(records) != 2 {
		t.Fatalf("the ledger has %+v, %v", records, err)
	}
	models := 0
	for _, u := range records {
		models += u.Models3D
		if u.RequestID != id || u.HTTPRequestID != "req-1" || u.Operation != "3d_generation" || u.Provider != "meshy" || u.Outcome != domain.OutcomeCompleted ||
			u.Credits == 0 || u.PriceVersion == "" || u.Timings.Provider <= 0 {
			t.Errorf("the ledger has %+v", u)
		}
	}
	if models != 1 || b.spent(t) != domain.FromDollars(0.28) {
		t.Errorf("%d models for %v", models, b.spent(t))
	}
}

func TestResultsComeInSeveralWays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*outside){
		"with the answer":            func(o *outside) { o.inline = true },
		"after a while":              func(o *outside) { o.checks = 20 },
		"by a link":                  func(o *outside) { o.byURL = true },
		"by a link, with the answer": func(o *outside) { o.byURL, o.inline = true, true },
		"after a long call":          func(o *outside) { o.inline, o.wait = true, time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				change(one)
				b := newMaking(t, generators{"one": one})
				defer b.work(t.Context())()
				work := b.ended(t, b.order(t, noWait()).ID)
				wantWork(t, work, domain.GenerationCompleted, "")
				if n, most := one.bill(); n != 1 || most != 1 || work.Cost != domain.FromDollars(0.02) {
					t.Errorf("%d orders, %d times, cost %v", n, most, work.Cost)
				}
			})
		})
	}
}

func TestTheCatalogueComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		b := newMaking(t, generators{"one": one})
		want := b.put(t)
		r, err := b.Generate(t.Context(), ada, "", sword(), "")
		if err != nil || r.Asset == nil || r.Asset.ID != want.ID || r.Generation.Source != domain.AssetFromDatabase || r.Generation.Cost != 0 ||
			r.Generation.Status != domain.GenerationCompleted {
			t.Fatalf("got %+v, %v", r, err)
		}
		if _, err := b.store.Get(t.Context(), "ada", want.ID); domain.KindOf(err) != domain.NotFound {
			t.Errorf("there is work on it: %v", err)
		}
		kept, err := b.Generate(t.Context(), ada, "key", sword(), "")
		if err != nil || kept.Asset == nil || kept.Asset.ID != want.ID || kept.Generation.AssetID != want.ID || kept.Generation.ID == want.ID {
			t.Fatalf("with a key: got %+v, %v", kept, err)
		}
		b.put(t, func(a *domain.Asset) { a.Quality = 1 })
		again, err := b.Generate(t.Context(), ada, "key", sword(), "")
		if err != nil || again.Asset.ID != want.ID || again.Generation.ID != kept.Generation.ID {
			t.Errorf("the same key found something else: %+v, %v", again, err)
		}
		if len(one.orders) != 0 {
			t.Errorf("ordered was %+v", one.orders)
		}
	})
}

func TestWhatIsNotGoodEnoughIsNotFound(t *testing.T) {
	t.Parallel()
	limited := func(change func(*domain.AssetRequest)) domain.AssetRequest {
		r := sword()
		r.AllowMade, r.AllowAdapted = false, false
		change(&r)
		return r
	}
	same := func(*domain.AssetRequest) {}
	seed := int64(7)
	for name, c := range map[string]struct {
		there func(*domain.Asset)
		r     domain.AssetRequest
		found bool
	}{
		"as it is":         {func(*domain.Asset) {}, limited(same), true},
		"poor":             {func(a *domain.Asset) { a.Quality = 0.79 }, limited(same), false},
		"something else":   {func(a *domain.Asset) { a.Title = "A rusty shield" }, limited(same), false},
		"of somebody else": {func(a *domain.Asset) { a.Public, a.Owner = false, "bob" }, limited(same), false},
		"one's own":        {func(a *domain.Asset) { a.Public, a.Owner = false, "ada" }, limited(same), true},
		"another category": {func(a *domain.Asset) { a.Category = domain.AssetCharacter }, limited(same), false},
		"another format":   {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.Format = "obj" }), false},
		"the format":       {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.Format = "GLB" }), true},
		"a JPEG by its old name": {
			func(a *domain.Asset) { a.Category, a.File.Format = domain.AssetImage, "jpeg" },
			limited(func(r *domain.AssetRequest) { r.Category, r.Format = domain.AssetImage, "jpg" }), true,
		},
		"too large":        {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.MaxBytes = 6 }), false},
		"of unknown size":  {func(a *domain.Asset) { a.File.Size = 0 }, limited(func(r *domain.AssetRequest) { r.MaxBytes = 6 }), false},
		"small enough":     {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.MaxBytes = 7 }), true},
		"unknown polygons": {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.MaxPolygons = 5 }), false},
		"few polygons": {
			func(a *domain.Asset) { a.Metadata["polygon_count"] = 5 }, limited(func(r *domain.AssetRequest) { r.MaxPolygons = 5 }), true,
		},
		"too many polygons": {
			func(a *domain.Asset) { a.Metadata["polygon_count"] = 6 }, limited(func(r *domain.AssetRequest) { r.MaxPolygons = 5 }), false,
		},
		"another platform": {
			func(a *domain.Asset) { a.Metadata["platform"] = "ar" }, limited(func(r *domain.AssetRequest) { r.Platform = "mobile_vr" }), false,
		},
		"the platform": {
			func(a *domain.Asset) { a.Metadata["platform"] = "ar" }, limited(func(r *domain.AssetRequest) { r.Platform = "ar" }), true,
		},
		"another seed": {func(a *domain.Asset) { a.Metadata["seed"] = 8 }, limited(func(r *domain.AssetRequest) { r.Seed = &seed }), false},
		"the seed":     {func(a *domain.Asset) { a.Metadata["seed"] = 7 }, limited(func(r *domain.AssetRequest) { r.Seed = &seed }), true},
		"no seed":      {func(*domain.Asset) {}, limited(func(r *domain.AssetRequest) { r.Seed = &seed }), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMaking(t, generators{"one": newOutside("make")})
			b.put(t, c.there)
			r, err := b.Generate(t.Context(), ada, "", c.r, "")
			if !c.found {
				wantFailure(t, err, domain.NotFound, "catalogue has no such asset")
			} else if err != nil || r.Asset == nil {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestAnAssetOfTheCatalogueIsAdapted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two, one := refine(), newOutside("make")
		b := newMaking(t, generators{"two": two, "one": one})
		defer b.work(t.Context())()
		base := b.put(t, func(a *domain.Asset) { a.Quality, a.AttributionRequired = 0.7, true })
		r, err := b.Generate(t.Context(), ada, "", sword(), "")
		if err != nil {
			t.Fatal(err)
		}
		if len(one.orders) != 1 || one.orders[0].Base == nil || string(one.orders[0].Base.Data) != "glb 500" || one.orders[0].Base.AssetID != base.ID || len(two.orders) != 0 {
			t.Errorf("ordered was %+v, %+v", one.orders, two.orders)
		}
		a := r.Asset
		if a.Source != domain.AssetFromHybrid || r.Generation.Source != domain.AssetFromHybrid || a.License != domain.LicenseCreativeCommons ||
			!a.AttributionRequired || a.Metadata["base_asset_id"] != base.ID {
			t.Errorf("the asset is %+v", a)
		}
	})
}

func TestWhatIsNotAdapted(t *testing.T) {
	t.Parallel()
	seed := int64(7)
	for name, c := range map[string]struct {
		there func(*domain.Asset)
		r     func(*domain.AssetRequest)
	}{
		"too poor":             {func(a *domain.Asset) { a.Quality = 0.59 }, func(*domain.AssetRequest) {}},
		"not allowed":          {func(*domain.Asset) {}, func(r *domain.AssetRequest) { r.AllowAdapted = false }},
		"a seed":               {func(*domain.Asset) {}, func(r *domain.AssetRequest) { r.Seed = &seed }},
		"another's by licence": {func(a *domain.Asset) { a.License = domain.LicenseCommercial }, func(*domain.AssetRequest) {}},
		"no file":              {func(a *domain.Asset) { a.File.Key, a.URL = "", "https://files.example/x" }, func(*domain.AssetRequest) {}},
		"deleted meanwhile":    {func(*domain.Asset) {}, func(*domain.AssetRequest) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				b := newMaking(t, generators{"one": one})
				base := b.put(t, func(a *domain.Asset) { a.Quality = 0.7; c.there(a) })
				r := noWait()
				c.r(&r)
				work := b.order(t, r)
				if name == "deleted meanwhile" {
					if err := b.assets.Delete(t.Context(), "", "", base.ID, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				defer b.work(t.Context())()
				work = b.ended(t, work.ID)
				wantWork(t, work, domain.GenerationCompleted, "")
				if one.orders[0].Base != nil || work.Source != domain.AssetFromGenerator {
					t.Errorf("%s: %+v", work.Source, one.orders[0])
				}
			})
		})
	}
}

func TestABaseThatIsGoneEndsWorkThatMayMakeNothingNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")})
		base := b.put(t, func(a *domain.Asset) { a.Quality = 0.7 })
		r := noWait()
		r.AllowMade = false
		work := b.order(t, r)
		if err := b.assets.Delete(t.Context(), "", "", base.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		defer b.work(t.Context())()
		wantWork(t, b.ended(t, work.ID), domain.GenerationFailed, "not_found")
	})
}

func TestNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	all := generators{"one": newOutside("make"), "sounds": newOutside("search")}
	for name, c := range map[string]struct {
		generators generators
		r          func(*domain.AssetRequest)
		kind       domain.Kind
		text       string
	}{
		"nothing is configured":                     {nil, func(*domain.AssetRequest) {}, domain.Unavailable, "No generator for prop is configured; set TWO_KEY or ONE_KEY or DEAR_KEY or SPARE"},
		"nobody who makes the format is configured": {generators{"two": refine()}, func(r *domain.AssetRequest) { r.Format = "fbx" }, domain.Unavailable, "set ONE_KEY"},
		"nobody makes the format":                   {all, func(r *domain.AssetRequest) { r.Format = "docx" }, domain.Invalid, "Invalid input"},
		"nobody makes such things":                  {all, func(r *domain.AssetRequest) { r.Category = domain.AssetAnimation }, domain.Unavailable, "No generator makes a animation"},
		"the catalogue alone":                       {all, func(r *domain.AssetRequest) { r.AllowMade = false }, domain.NotFound, "catalogue"},
		"nothing at all":                            {all, func(r *domain.AssetRequest) { r.AllowMade, r.AllowAdapted, r.AllowDatabase = false, false, false }, domain.Invalid, "Invalid input"},
		"new sounds, from a collection": {
			all, func(r *domain.AssetRequest) { r.Category, r.AllowDatabase = domain.AssetAudio, false }, domain.Unavailable, "set SPARE",
		},
		"too dear":        {all, func(r *domain.AssetRequest) { r.MaxCost = domain.FromDollars(0.0199) }, domain.PaymentRequired, "costs $0.02 or more; the request allows $0.0199"},
		"nothing to give": {all, func(r *domain.AssetRequest) { r.MaxCost = 0 }, domain.PaymentRequired, "the request allows $0.00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMaking(t, c.generators)
			r := sword()
			c.r(&r)
			_, err := b.Generate(t.Context(), ada, "", r, "")
			wantFailure(t, err, c.kind, c.text)
			_, err = b.Estimate(t.Context(), ada, r)
			wantFailure(t, err, c.kind, c.text)
			if n, err := b.store.Open(t.Context(), "ada"); n != 0 || err != nil {
				t.Errorf("%d works were begun, %v", n, err)
			}
		})
	}
}

func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	all := generators{"two": refine(), "one": newOutside("make"), "dear": newOutside("make"), "sounds": newOutside("search"), "spare": newOutside("make")}
	only := func(ids ...string) generators {
		some := generators{}
		for _, id := range ids {
			some[id] = all[id]
		}
		return some
	}
	for name, c := range map[string]struct {
		generators generators
		r          func(*domain.AssetRequest)
		want       string
		most       float64
	}{
		"all, in order":              {all, func(*domain.AssetRequest) {}, "two one dear", 0.3},
		"those that are affordable":  {all, func(r *domain.AssetRequest) { r.MaxCost = domain.FromDollars(0.28) }, "two one", 0.28},
		"those that make the format": {all, func(r *domain.AssetRequest) { r.Format = "obj" }, "two", 0.28},
		"who stands in":              {only("spare"), func(r *domain.AssetRequest) { r.MaxCost = 0 }, "spare", 0},
		"collections, then who stands in": {
			only("sounds", "spare"), func(r *domain.AssetRequest) { r.Category = domain.AssetAudio }, "sounds spare", 0,
		},
		"no collections, for something new": {
			only("sounds", "spare"), func(r *domain.AssetRequest) { r.Category, r.AllowDatabase = domain.AssetAudio, false }, "spare", 0,
		},
		"collections, for something that is there": {
			only("sounds", "spare"), func(r *domain.AssetRequest) { r.Category, r.AllowMade = domain.AssetAudio, false }, "sounds", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMaking(t, c.generators)
			r := noWait()
			c.r(&r)
			work := b.order(t, r)
			if got := asked(work); got != c.want || work.Reserved != domain.FromDollars(c.most) {
				t.Errorf("asked are %s for %v, want %s for %v", got, work.Reserved.Dollars(), c.want, c.most)
			}
		})
	}
}

func TestTheServerLimitsWhatOneAssetCosts(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"dear": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.MaxCost = domain.FromDollars(0.25) })
	r := sword()
	r.MaxCost = domain.FromDollars(100)
	_, err := b.Generate(t.Context(), ada, "", r, "")
	wantFailure(t, err, domain.PaymentRequired, "this server $0.25")
}

func TestAServerThatAllowsOnlyWhatIsFree(t *testing.T) {
	t.Parallel()
	none := func(d *app.GenerationDeps) { d.Config.MaxCost = 0 }
	b := newMaking(t, generators{"one": newOutside("make")}, none)
	_, err := b.Generate(t.Context(), ada, "", sword(), "")
	wantFailure(t, err, domain.PaymentRequired, "this server $0.00")
	b = newMaking(t, generators{"spare": newOutside("make")}, none)
	if work := b.order(t, noWait()); asked(work) != "spare" || work.Reserved != 0 {
		t.Errorf("asked are %v for %v", asked(work), work.Reserved.Dollars())
	}
}

func TestWorkOverMidnightIsPaidFromTheDayOfItsBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		midnight := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
		one := newOutside("make")
		one.checks = 3
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.02) })
		time.Sleep(time.Until(midnight.Add(-time.Second)))
		defer b.work(t.Context())()
		wish := noWait()
		wish.AllowDatabase = false
		work := b.ended(t, b.order(t, wish).ID)
		records, err := b.ledger.Recent(t.Context(), "ada", midnight.Add(-time.Hour), 10)
		if err != nil || len(records) != 1 || !records[0].At.Equal(work.CreatedAt) || !work.CompletedAt.After(midnight) {
			t.Fatalf("work of %s, ended at %s: the ledger has %+v, %v", work.CreatedAt, work.CompletedAt, records, err)
		}
		wantWork(t, b.ended(t, b.order(t, wish).ID), domain.GenerationCompleted, "") // with the money of the new day
	})
}

func TestTheBudgetOfADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		b := newMaking(t, generators{"one": one, "spare": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.05) })
		wish := noWait()
		wish.AllowDatabase = false
		first, second := b.order(t, wish), b.order(t, wish)
		_, err := b.Generate(t.Context(), ada, "", wish, "")
		wantFailure(t, err, domain.PaymentRequired, "budget")
		if first.ReservationID == "" || first.Reserved != domain.FromDollars(0.02) {
			t.Errorf("reserved was %+v", first)
		}
		if _, err := b.Cancel(t.Context(), ada, second.ID); err != nil { // what was not spent is there again
			t.Fatal(err)
		}
		stop := b.work(t.Context())
		b.ended(t, first.ID)
		third := b.ended(t, b.order(t, wish).ID)
		wantWork(t, third, domain.GenerationCompleted, "")
		_, err = b.Generate(t.Context(), ada, "", wish, "")
		wantFailure(t, err, domain.PaymentRequired, "budget")
		stop()
		if got := b.spent(t); got != domain.FromDollars(0.04) {
			t.Errorf("spent was %v", got.Dollars())
		}
	})
}

// stalledBudgets is of a process that stands still after it has set something aside.
type stalledBudgets struct {
	*memory.BudgetStore
	stalls int
}

func (b *stalledBudgets) Reserve(ctx context.Context, r domain.Reservation) error {
	err := b.BudgetStore.Reserve(ctx, r)
	if err == nil && b.stalls > 0 {
		b.stalls--
		time.Sleep(2 * r.Lease)
		other := domain.Reservation{ID: "00000000-0000-4000-8000-00000000beef", Owner: r.Owner, At: r.At, Amount: 1, Limit: r.Limit, Lease: time.Second}
		if err := b.BudgetStore.Reserve(ctx, other); err != nil { // by which the first is gone
			return err
		}
		return b.BudgetStore.Release(ctx, other.ID)
	}
	return err
}

// Work is stored only with money that nobody else was given.
func TestWorkWhoseMoneyLapsedGetsItAgain(t *testing.T) {
	t.Parallel()
	for stalls, want := range []domain.Kind{0, 0, domain.Unavailable} {
		synctest.Test(t, func(t *testing.T) {
			var budgets *stalledBudgets
			b := newMaking(t, generators{"one": newOutside("make"), "spare": newOutside("make")}, func(d *app.GenerationDeps) {
				budgets = &stalledBudgets{d.Budgets.(*memory.BudgetStore), stalls}
				d.Budgets, d.Config.DailyBudget = budgets, domain.FromDollars(0.03)
			})
			wish := noWait()
			wish.AllowDatabase = false
			result, err := b.Generate(t.Context(), ada, "", wish, "")
			if want != 0 {
				wantKind(t, err, want)
				if n, err := b.store.Open(t.Context(), "ada"); n != 0 || err != nil {
					t.Errorf("%d works are stored, %v", n, err)
				}
				return
			}
			if err != nil || result.Generation.ReservationID == "" {
				t.Fatalf("got %+v, %v", result.Generation, err)
			}
			time.Sleep(10 * time.Minute)
			_, err = b.Generate(t.Context(), ada, "", wish, "") // the work holds its money without a process
			wantFailure(t, err, domain.PaymentRequired, "budget")
		})
	}
}

func TestMoneyIsGivenBackWhereNoWorkIsMade(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is away", nil)
	for name, fail := range map[string]func(b *makingBed){
		"nothing is stored":       func(b *makingBed) { b.store.FailNext("Create", away) },
		"nobody knows":            func(b *makingBed) { b.store.FailNext("Create", away); b.store.FailNext("Get", away) },
		"reserving seems to fail": func(b *makingBed) { b.budgets.FailNext("Reserve", away) },
		"giving it back fails":    func(b *makingBed) { b.store.FailNext("Create", away); b.budgets.FailNext("Release", away) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.02) })
				fail(b)
				_, err := b.Generate(t.Context(), ada, "", noWait(), "")
				wantFailure(t, err, domain.Unavailable, "away")
				time.Sleep(10 * time.Second) // in the bubble
				if _, err := b.Generate(t.Context(), ada, "", noWait(), ""); err != nil {
					t.Errorf("the next one: %v", err)
				}
			})
		})
	}
}

// What is stored although nobody knew keeps what is set aside for it.
func TestWorkThatIsStoredKeepsItsMoney(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is away", nil)
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.02) })
		b.deps.Store = forgetfulStore{b.store}
		b.Close()
		b.begin()
		b.store.FailNext("Get", away)
		_, err := b.Generate(t.Context(), ada, "", noWait(), "")
		wantFailure(t, err, domain.Unavailable, "away")
		time.Sleep(10 * time.Second) // in the bubble
		_, err = b.Generate(t.Context(), ada, "", noWait(), "")
		wantFailure(t, err, domain.PaymentRequired, "budget")
	})
}

func TestWorkThatSeemedNotToBeStoredIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")})
		b.deps.Store = forgetfulStore{b.store}
		b.Close()
		b.begin()
		defer b.work(t.Context())()
		r, err := b.Generate(t.Context(), ada, "", sword(), "")
		if err != nil || r.Generation.Status != domain.GenerationCompleted {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// forgetfulStore stores new work and says that it has not.
type forgetfulStore struct{ ports.GenerationStore }

func (l forgetfulStore) Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error) {
	if _, err := l.GenerationStore.Create(ctx, g, events...); err != nil {
		return domain.Generation{}, err
	}
	return domain.Generation{}, domain.MissingPart("The database is away", nil)
}

func TestTheSameKeyGetsTheSameAsset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.03) })
		defer b.work(t.Context())()
		var all sync.WaitGroup
		results := make([]app.GenerationResult, 5)
		for i := range results {
			all.Go(func() {
				var err error
				if results[i], err = b.Generate(t.Context(), ada, "k", sword(), ""); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Duration(i) * time.Millisecond)
		}
		all.Wait()
		for _, r := range results {
			if r.Asset == nil || r.Asset.ID != results[0].Generation.ID {
				t.Errorf("got %+v", r)
			}
		}
		if n, most := one.bill(); n != 1 || most != 1 {
			t.Errorf("%d orders, %d times", n, most)
		}
		other := sword()
		other.Description = "A shield"
		_, err := b.Generate(t.Context(), ada, "k", other, "")
		wantFailure(t, err, domain.Conflict, "Idempotency-Key")
		if _, err := b.Generate(t.Context(), bob, "k", other, ""); err != nil {
			t.Errorf("the key of somebody else: %v", err)
		}
		_, err = b.Generate(t.Context(), ada, strings.Repeat("x", 256), sword(), "")
		wantFailure(t, err, domain.Invalid, "")
	})
}

func TestRacingWithOneKeyPaysOnce(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.2) })
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 8 {
		all.Go(func() {
			r, err := b.Generate(t.Context(), ada, "k", noWait(), "")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[r.Generation.ID] = true
		})
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("%d works", len(seen))
	}
	for i := range 9 { // one reservation is left of those that raced
		if _, err := b.Generate(t.Context(), ada, "", noWait(), ""); err != nil {
			t.Errorf("number %d: %v", i, err)
		}
	}
	_, err := b.Generate(t.Context(), ada, "", noWait(), "")
	wantFailure(t, err, domain.PaymentRequired, "")
}

func TestRacingWithOneKeyForTheLastMoney(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(0.02) })
		b.deps.Store = slowStore{b.store}
		b.Close()
		b.begin()
		ids := make([]string, 4)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				r, err := b.Generate(t.Context(), ada, "k", noWait(), "")
				if err != nil {
					t.Error(err)
				}
				ids[i] = r.Generation.ID
			})
		}
		all.Wait()
		if ids = slices.Compact(ids); len(ids) != 1 {
			t.Errorf("%d works", len(ids))
		}
		_, err := b.Generate(t.Context(), ada, "other", noWait(), "")
		wantFailure(t, err, domain.PaymentRequired, "")
	})
}

// slowStore takes a moment to store new work.
type slowStore struct{ *memory.GenerationStore }

func (s slowStore) Create(ctx context.Context, g domain.Generation, events ...domain.GenerationEvent) (domain.Generation, error) {
	time.Sleep(100 * time.Millisecond)
	return s.GenerationStore.Create(ctx, g, events...)
}

func TestACallerHasSoMuchOpenWorkAtMost(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.PerOwner = 2 })
	first := b.order(t, noWait())
	b.order(t, noWait())
	_, err := b.Generate(t.Context(), ada, "", noWait(), "")
	wantFailure(t, err, domain.Limited, "2 of your assets are being made")
	if _, err := b.Generate(t.Context(), bob, "", noWait(), ""); err != nil {
		t.Error(err)
	}
	if _, err := b.Cancel(t.Context(), ada, first.ID); err != nil {
		t.Fatal(err)
	}
	b.order(t, noWait())
}

func TestNothingIsMadeWithoutRoom(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Config.OwnerBytes = 10 })
	b.order(t, noWait()) // what is there counts, and nothing is yet
	b.put(t, func(a *domain.Asset) {
		a.Title, a.Description, a.Owner, a.File.Size = "Another thing", "of another kind", ada.OwnerID(), 10
	})
	_, err := b.Generate(t.Context(), ada, "", noWait(), "")
	wantFailure(t, err, domain.PaymentRequired, "delete some of them")
	for _, who := range []domain.Principal{bob, domain.ServicePrincipal()} {
		if _, err := b.Generate(t.Context(), who, "", noWait(), ""); err != nil {
			t.Error(err)
		}
	}
}

func TestAnswersAreHeldBackForSoLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline, one.wait = true, 30*time.Second
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.MaxWait = 20 * time.Second })
		defer b.work(t.Context())()
		for wait, want := range map[time.Duration]time.Duration{0: 0, 5 * time.Second: 5 * time.Second, time.Hour: 20 * time.Second} {
			r := sword()
			r.MaxWait, r.AllowDatabase = wait, false
			began := time.Now()
			result, err := b.Generate(t.Context(), ada, "", r, "")
			if err != nil || result.Asset != nil || result.Generation.Status.Ended() {
				t.Errorf("got %+v, %v", result, err)
			}
			if took := time.Since(began); took != want || result.Waited != took {
				t.Errorf("it took %s, want %s", took, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r, err := b.Generate(ctx, ada, "", sword(), ""); err != nil || r.Generation.ID == "" {
			t.Errorf("who leaves gets %+v, %v", r, err)
		}
		time.Sleep(3 * time.Minute)
		if n, _ := one.bill(); n != 4 {
			t.Errorf("%d were made, also for who has left", n)
		}
	})
}

// TestWhatIsOrderedIsAnsweredAtAStop: a client without a key that was told to send the request again would order, and pay, once more.
func TestWhatIsOrderedIsAnsweredAtAStop(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(begins, cuts func()){
		"it begins":          func(begins, _ func()) { begins() },
		"requests are ended": func(_, cuts func()) { cuts() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stopping := make(chan struct{})
				b := newMaking(t, generators{"one": newOutside("make")}, func(d *app.GenerationDeps) { d.Stopping = stopping })
				ctx, cut := context.WithCancelCause(t.Context())
				defer cut(nil)
				began := time.Now()
				time.AfterFunc(time.Second, func() { stop(func() { close(stopping) }, func() { cut(domain.ErrStopping) }) })
				r, err := b.Generate(ctx, ada, "", sword(), "")
				if err != nil || r.Generation.Status != domain.GenerationPending {
					t.Fatalf("got %+v, %v", r, err)
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("answered after %s", took)
				}
				if _, err := b.store.Get(t.Context(), ada.OwnerID(), r.Generation.ID); err != nil {
					t.Errorf("what was answered is not stored: %v", err)
				}
			})
		})
	}
}

// TestWhatIsMadeIsShownToCallersWhoLeave: it is paid for, and a client that was told to try again would pay once more.
func TestWhatIsMadeIsShownToCallersWhoLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline = true
		ctx, cut := context.WithCancelCause(t.Context())
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) {
			d.Store = cutStore{d.Store, func() { cut(domain.ErrStopping) }}
		})
		defer b.work(t.Context())()
		if r, err := b.Generate(ctx, ada, "", sword(), ""); err != nil || r.Asset == nil {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// cutStore ends the request once it has shown that work is completed.
type cutStore struct {
	ports.GenerationStore
	cut func()
}

func (s cutStore) Get(ctx context.Context, owner, id string) (domain.Generation, error) {
	work, err := s.GenerationStore.Get(ctx, owner, id)
	if work.Status == domain.GenerationCompleted {
		s.cut()
	}
	return work, err
}

func TestFailuresWithinTheWaitAreErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		kind domain.Kind
		text string
	}{
		"a refused description":   {&domain.Error{Kind: domain.BadRequest, Code: domain.CodeContentFilter, Message: "Not such a thing"}, domain.BadRequest, "Not such a thing"},
		"a bad request":           {domain.NewError(domain.BadRequest, "No"), domain.BadRequest, "No"},
		"nothing in a collection": {domain.NewError(domain.NotFound, "No such sound"), domain.NotFound, "No such sound"},
		"no credentials":          {&domain.Error{Kind: domain.Unavailable, Code: domain.CodeCredentials, Message: "It does not know us"}, domain.Unavailable, "It does not know us"},
		"no money":                {&domain.Error{Kind: domain.Unavailable, Code: domain.CodeQuota, Message: "No credit"}, domain.Unavailable, "No credit"},
		"an unclear outcome":      {unclearOrder(), domain.Unavailable, "It is not known whether one has taken the order"},
		"a fault":                 {errors.New("secret text"), domain.Unavailable, "It is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := newOutside("make")
				one.begin, one.forgets = func(domain.GenerationOrder) error { return c.err }, true
				b := newMaking(t, generators{"one": one})
				defer b.work(t.Context())()
				_, err := b.Generate(t.Context(), ada, "k", sword(), "")
				wantFailure(t, err, c.kind, c.text)
				_, again := b.Generate(t.Context(), ada, "k", sword(), "")
				if again == nil || again.Error() != err.Error() || len(one.orders) != 1 || strings.Contains(err.Error(), "secret") {
					t.Errorf("again: %v, %d orders", again, len(one.orders))
				}
			})
		})
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")})
		work := b.order(t, noWait())
		if r, err := b.Get(t.Context(), ada, strings.ToUpper(work.ID)); err != nil || r.Generation.Status != domain.GenerationPending || r.Asset != nil {
			t.Errorf("got %+v, %v", r, err)
		}
		for _, id := range []string{work.ID, "x", "", b.deps.NewID()} {
			if _, err := b.Get(t.Context(), bob, id); domain.KindOf(err) != domain.NotFound {
				t.Errorf("%q of somebody else: %v", id, err)
			}
		}
		there := b.put(t)
		if r, err := b.Get(t.Context(), bob, there.ID); err != nil || r.Asset.ID != there.ID || r.Generation.Status != domain.GenerationCompleted || r.Generation.ID != there.ID {
			t.Errorf("got %+v, %v", r, err)
		}
		defer b.work(t.Context())()
		b.ended(t, work.ID)
		if r, err := b.Get(t.Context(), ada, work.ID); err != nil || r.Asset == nil || r.Asset.ID != work.ID || r.Generation.Cost == 0 {
			t.Errorf("got %+v, %v", r, err)
		}
		if _, err := b.store.Expire(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if r, err := b.Get(t.Context(), ada, work.ID); err != nil || r.Asset == nil || r.Generation.ID != work.ID {
			t.Errorf("without its work: %+v, %v", r, err)
		}
		if err := b.assets.Delete(t.Context(), "ada", "ada", work.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), ada, work.ID); domain.KindOf(err) != domain.NotFound {
			t.Errorf("deleted: %v", err)
		}
		b.store.FailNext("Get", domain.MissingPart("The database is away", nil))
		_, err := b.Get(t.Context(), ada, work.ID)
		wantFailure(t, err, domain.Unavailable, "away")
	})
}

func TestWorkOfADeletedAssetIsNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")})
		defer b.work(t.Context())()
		work := b.ended(t, b.order(t, noWait()).ID)
		if err := b.assets.Delete(t.Context(), "ada", "ada", work.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), ada, work.ID); domain.KindOf(err) != domain.NotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration // 0: before anybody works on it
		want  string
		cost  float64
		stops bool
	}{
		"before it begins":       {0, "", 0, false},
		"while an order is sent": {500 * time.Millisecond, "two/preview=unknown$", 0.2, true},
		"in the first stage":     {2 * time.Second, "two/preview=failed$", 0.2, true},
		"in the second stage":    {85 * time.Second, "two/preview=done$ two/refine=failed$", 0.28, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				two := refine()
				two.checks, two.wait = 10, time.Second
				b := newMaking(t, generators{"two": two}, func(d *app.GenerationDeps) { d.Config.DailyBudget = domain.FromDollars(1) })
				work := b.order(t, noWait())
				if c.after > 0 {
					defer b.work(t.Context())()
					time.Sleep(c.after)
				}
				if _, err := b.Cancel(t.Context(), bob, work.ID); domain.KindOf(err) != domain.NotFound {
					t.Errorf("somebody else: %v", err)
				}
				r, err := b.Cancel(t.Context(), ada, work.ID)
				if err != nil || r.Generation.Status != domain.GenerationCancelled || r.Generation.Cost != domain.FromDollars(c.cost) {
					t.Fatalf("got %+v, %v", r, err)
				}
				if _, err := b.Cancel(t.Context(), ada, work.ID); domain.KindOf(err) != domain.Conflict {
					t.Errorf("again: %v", err)
				}
				time.Sleep(10 * time.Minute)
				stored := b.ended(t, work.ID)
				if got := attempts(stored); got != c.want || b.spent(t) != stored.Cost {
					t.Errorf("the attempts are %s, spent %v", got, b.spent(t))
				}
				if name != "while an order is sent" && c.stops != (len(two.given()) == 1) {
					t.Errorf("cancelled was %v", two.given())
				}
				if !strings.HasSuffix(b.eventTypes(t, work.ID), "cancelled") || len(b.sweep(t, time.Now())) != 0 {
					t.Errorf("the events are %s, the files %v", b.eventTypes(t, work.ID), b.blobs.Keys())
				}
				if records, _ := b.ledger.Recent(t.Context(), "ada", time.Now().Add(-time.Hour), 9); c.cost > 0 && records[0].Outcome != domain.OutcomeCanceled {
					t.Errorf("the ledger has %+v", records)
				}
			})
		})
	}
}

func TestCancelWhileOthersWrite(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"one": newOutside("make")})
	work := b.order(t, noWait())
	b.store.FailNext("Commit", domain.GenerationClaimed())
	b.store.FailNext("Commit", domain.GenerationClaimed())
	if r, err := b.Cancel(t.Context(), ada, work.ID); err != nil || r.Generation.Status != domain.GenerationCancelled {
		t.Errorf("got %+v, %v", r, err)
	}
	other := b.order(t, noWait())
	for range 30 {
		b.store.FailNext("Commit", domain.GenerationClaimed())
	}
	_, err := b.Cancel(t.Context(), ada, other.ID)
	wantFailure(t, err, domain.Conflict, "")
}

func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		two := refine()
		two.checks = 5
		b := newMaking(t, generators{"two": two})
		work := b.order(t, noWait())
		var list []domain.GenerationEvent
		note := func(e domain.GenerationEvent) error { list = append(list, e); return nil }
		stop := b.work(t.Context())
		if err := b.Follow(t.Context(), ada, work.ID, 0, note); err != nil {
			t.Fatal(err)
		}
		stop()
		first, last := list[0], list[len(list)-1]
		if first.Type != domain.GenerationEventStatus || first.Progress != 0 || last.Type != domain.GenerationEventCompleted || last.Progress != 100 || len(list) < 5 {
			t.Errorf("the events are %+v", list)
		}
		for i, e := range list[1:] {
			if e.Sequence != list[i].Sequence+1 || e.Progress < list[i].Progress || e.Type == domain.GenerationEventProgress && e.Message == "" {
				t.Errorf("event %d after %+v is %+v", i, list[i], e)
			}
		}
		for after := range last.Sequence + 1 {
			list = nil
			if err := b.Follow(t.Context(), ada, work.ID, after, note); err != nil {
				t.Fatal(err)
			}
			want := 1 + last.Sequence - after // the status, and what comes after that
			if after == 0 {                   // the status as it is now, and the end
				want = 2
			}
			if len(list) != want || list[0].Type != domain.GenerationEventStatus || list[0].Status != domain.GenerationCompleted {
				t.Errorf("after %d: %d events, want %d: %+v", after, len(list), want, list)
			}
		}
		if err := b.Follow(t.Context(), bob, work.ID, 0, note); domain.KindOf(err) != domain.NotFound {
			t.Errorf("somebody else: %v", err)
		}
	})
}

func TestFollowEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"one": newOutside("make")})
		work := b.order(t, noWait())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Follow(ctx, ada, work.ID, 0, func(domain.GenerationEvent) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := b.Follow(t.Context(), ada, work.ID, 0, func(domain.GenerationEvent) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
		var list []domain.GenerationEvent
		there := b.put(t)
		err := b.Follow(t.Context(), bob, there.ID, 0, func(e domain.GenerationEvent) error { list = append(list, e); return nil })
		if err != nil || len(list) != 1 || list[0].Type != domain.GenerationEventCompleted || list[0].Status != domain.GenerationCompleted {
			t.Errorf("of an asset without work: %+v, %v", list, err)
		}
	})
}

func TestNewsHaveTasksLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 0
		unknown := 0
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) {
			d.Unknown = func(string) { unknown++ }
			d.NewsURL = func(id string) string { return "https://gaia.example/webhooks/" + id }
		})
		defer b.work(t.Context())()
		began := time.Now()
		work := b.order(t, noWait())
		time.Sleep(1100 * time.Millisecond)
		for range 100 { // many news are no reason to ask more often
			if err := b.News(t.Context(), "one", "task-1"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if stored := b.ended(t, work.ID); stored.CompletedAt.Sub(began) > 1200*time.Millisecond || len(one.checked) != 1 {
			t.Errorf("it took %s and %d looks", stored.CompletedAt.Sub(began), len(one.checked))
		}
		if one.orders[0].Notify != "https://gaia.example/webhooks/one" {
			t.Errorf("news go to %q", one.orders[0].Notify)
		}
		if err := b.News(t.Context(), "one", "task-1"); err != nil || unknown != 1 {
			t.Errorf("news of what has ended: %v, %d", err, unknown)
		}
		b.store.FailNext("ByTask", domain.MissingPart("The database is away", nil))
		wantFailure(t, b.News(t.Context(), "one", "task-1"), domain.Unavailable, "away")
	})
}

func TestTasksAreLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.checks = 15
		b := newMaking(t, generators{"one": one})
		defer b.work(t.Context())()
		b.ended(t, b.order(t, noWait()).ID)
		for i, at := range one.checked[1:] {
			gap := at.Sub(one.checked[i])
			if want := min(time.Duration(i+3)*time.Second, 10*time.Second); gap < want-time.Second || gap > 10*time.Second {
				t.Errorf("look %d came after %s, want about %s", i+1, gap, want)
			}
		}
	})
}

func sha256Of(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func TestEventsTellNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newMaking(t, generators{"two": refine()})
		defer b.work(t.Context())()
		work := b.ended(t, b.order(t, noWait()).ID)
		events, _, err := b.store.Events(t.Context(), "ada", work.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(events, func(e domain.GenerationEvent) bool { return strings.Contains(fmt.Sprint(e), "sword") }); i >= 0 {
			t.Errorf("event %+v", events[i])
		}
	})
}
