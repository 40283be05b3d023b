package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
)

// TestEstimates: what would be done is told, with what it costs at the most, and nothing is done.
func TestEstimates(t *testing.T) {
	t.Parallel()
	one, two := newOutside("make"), refine()
	b := newMaking(t, generators{"one": one, "two": two})
	e, err := b.Estimate(t.Context(), ada, sword())
	if err != nil || e.Found != nil || e.BaseID != "" || len(e.Generators) != 2 || e.Generators[0].Generator != "two" || e.Generators[1].Generator != "one" ||
		e.Most != max(e.Generators[0].Cost(), e.Generators[1].Cost()) || e.Most == 0 {
		t.Errorf("to be made: %+v, %v", e, err)
	}
	base := b.put(t, func(a *domain.Asset) { a.Quality = 0.7 })
	if e, err = b.Estimate(t.Context(), ada, sword()); err != nil || e.Found != nil || e.BaseID != base.ID || e.Generators[0].Generator != "one" {
		t.Errorf("to be adapted: %+v, %v", e, err)
	}
	there := b.put(t)
	if e, err = b.Estimate(t.Context(), ada, sword()); err != nil || e.Found == nil || e.Found.ID != there.ID || e.Most != 0 || len(e.Generators) != 0 {
		t.Errorf("what is there: %+v, %v", e, err)
	}
	if n, err := b.store.Open(t.Context(), "ada"); n != 0 || err != nil {
		t.Errorf("%d works were begun, %v", n, err)
	}
	if len(one.orders)+len(two.orders) != 0 {
		t.Errorf("ordered was %+v, %+v", one.orders, two.orders)
	}
}

// TestVisitorsLeaveOthersAssetsAlone: such a process makes what was ordered in it, and nothing else.
func TestVisitorsLeaveOthersAssetsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline = true
		b := newMaking(t, generators{"one": one})
		others := b.order(t, noWait())
		b.Close()
		b.deps.NewID, b.deps.Config.OnlyOwn = ids2(), true
		b.begin()
		defer b.work(t.Context())()
		for range 3 {
			began := time.Now()
			wish := sword()
			wish.AllowDatabase, wish.AllowAdapted = false, false
			own := b.order(t, wish)
			wantWork(t, own, domain.GenerationCompleted, "")
			if took := time.Since(began); took > time.Second { // it is not looked for: it is begun at once
				t.Errorf("it took %s", took)
			}
		}
		time.Sleep(time.Minute) // of the bubble: it looks again many times
		if work, err := b.store.Get(t.Context(), "ada", others.ID); err != nil || work.Status != domain.GenerationPending {
			t.Errorf("the work of another process is %s, %v", work.Status, err)
		}
		if queued := len(b.queue.items); queued != 0 {
			t.Errorf("others are offered %d", queued)
		}
	})
}

// TestWhyThereIsNoAsset: failed and cancelled work says why, other work does not.
func TestWhyThereIsNoAsset(t *testing.T) {
	t.Parallel()
	for status, kind := range map[domain.GenerationStatus]domain.Kind{
		domain.GenerationFailed: domain.BadRequest, domain.GenerationCancelled: domain.Conflict,
	} {
		r := app.GenerationResult{Generation: domain.Generation{Status: status, Error: "It was refused", ErrorCode: domain.CodeContentFilter}}
		if err := r.Err(); domain.KindOf(err) != kind {
			t.Errorf("%s: %v", status, err)
		}
	}
	for _, status := range []domain.GenerationStatus{domain.GenerationPending, domain.GenerationProcessing, domain.GenerationCompleted} {
		if err := (app.GenerationResult{Generation: domain.Generation{Status: status}}).Err(); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
}
