package app_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// visit starts a process that does nothing but what is asked for in it.
func (b *makingBed) visit() {
	b.Close()
	b.deps.NewID, b.deps.Config.OnlyOwn = ids2(), true
	b.begin()
}

// newSword is a sword that has to be made.
func newSword() domain.AssetRequest {
	r := sword()
	r.AllowDatabase, r.AllowAdapted = false, false
	return r
}

// TestVisitorsDoWhatIsAskedForAgain: work whose process has ended goes on in the one where the same key asks for it, at whatever point it ended,
// unless that has nobody to make it.
func TestVisitorsDoWhatIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline = true
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) { d.Config.OnlyOwn = true })
		left := newSword()
		left.MaxWait = 0
		ordered, err := b.Generate(t.Context(), ada, "k", left, "")
		if err != nil || ordered.Generation.Status != domain.GenerationPending {
			t.Fatalf("ordered is %+v, %v", ordered, err)
		}
		if _, err := b.store.Claim(t.Context(), ordered.Generation.ID, "who dies", time.Now(), time.Now().Add(15*time.Second)); err != nil {
			t.Fatal(err)
		}
		b.deps.Generators = generators{"two": refine()}
		b.visit()
		stop := b.work(t.Context())
		wait := newSword()
		again, err := b.Generate(t.Context(), ada, "k", wait, "")
		if err != nil || again.Generation.Status.Ended() {
			t.Fatalf("without its generator it is %+v, %v", again, err)
		}
		stop()
		b.deps.Generators = generators{"one": one}
		b.visit()
		defer b.work(t.Context())()
		again, err = b.Generate(t.Context(), ada, "k", wait, "")
		if err != nil || again.Generation.ID != ordered.Generation.ID || again.Asset == nil {
			t.Errorf("asked for again it is %+v, %v", again, err)
		}
		if n, most := one.bill(); n != 1 || most != 1 {
			t.Errorf("%d orders, %d times", n, most)
		}
	})
}

// countedClaims counts what is tried to be worked on.
type countedClaims struct {
	ports.GenerationStore
	claims *atomic.Int64
}

func (s countedClaims) Claim(ctx context.Context, id, runner string, now, until time.Time) (domain.Generation, error) {
	s.claims.Add(1)
	return s.GenerationStore.Claim(ctx, id, runner, now, until)
}

// TestVisitorsDoNotWaitForOthers: however much others have ordered before, and whatever they do of what is asked for here; what is done is forgotten.
func TestVisitorsDoNotWaitForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := newOutside("make")
		one.inline = true
		var claims atomic.Int64
		b := newMaking(t, generators{"one": one}, func(d *app.GenerationDeps) {
			d.Config.PerOwner, d.Config.AtOnce, d.Config.OnlyOwn = 1000, 2, true
			d.Store = countedClaims{d.Store, &claims}
		})
		theirs := newSword()
		theirs.MaxWait = 0
		for range 150 {
			b.order(t, theirs)
		}
		var taken []string
		for _, key := range []string{"a", "b", "c"} {
			work, err := b.Generate(t.Context(), ada, key, theirs, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.store.Claim(t.Context(), work.Generation.ID, "another", time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			taken = append(taken, key)
		}
		b.visit()
		defer b.work(t.Context())()
		for _, key := range taken {
			if work, err := b.Generate(t.Context(), ada, key, theirs, ""); err != nil || work.Generation.Status != domain.GenerationProcessing {
				t.Fatalf("what another does is %+v, %v", work, err)
			}
		}
		for range 3 {
			wantWork(t, b.order(t, newSword()), domain.GenerationCompleted, "")
		}
		if n, err := b.store.Open(t.Context(), "ada"); err != nil || n != 153 {
			t.Errorf("of what others do %d are left, %v", n, err)
		}
		time.Sleep(2 * time.Hour) // of the bubble: what the other had is taken over, and done
		before := claims.Load()
		time.Sleep(time.Hour)
		if after := claims.Load(); after != before {
			t.Errorf("it goes on claiming, %d times, when all is done", after-before)
		}
		if n, err := b.store.Open(t.Context(), "ada"); err != nil || n != 150 {
			t.Errorf("in the end %d are left, %v", n, err)
		}
	})
}

// TestAKeyIsForAnAssetNotForAWait: how long a client wants to wait makes no other request, also where an earlier build has stored that it does.
func TestAKeyIsForAnAssetNotForAWait(t *testing.T) {
	t.Parallel()
	b := newMaking(t, generators{"one": newOutside("make")})
	first, err := b.Generate(t.Context(), ada, "k", noWait(), "")
	if err != nil {
		t.Fatal(err)
	}
	short := sword()
	short.MaxWait = time.Millisecond
	if again, err := b.Generate(t.Context(), ada, "k", short, ""); err != nil || again.Generation.ID != first.Generation.ID {
		t.Errorf("with another wait it is %+v, %v", again, err)
	}
	old := first.Generation
	old.ID, old.Key, old.Fingerprint, old.Request.MaxWait, old.ReservationID = b.deps.NewID(), "old", "as it was", time.Minute, ""
	event := domain.GenerationEvent{ID: b.deps.NewID(), GenerationID: old.ID, Type: domain.GenerationEventStarted, Status: old.Status, At: old.CreatedAt}
	if _, err := b.store.Create(t.Context(), old, event); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Generate(t.Context(), ada, "old", short, ""); err != nil || again.Generation.ID != old.ID {
		t.Errorf("of an earlier build it is %+v, %v", again, err)
	}
	other := short
	other.Style = "gothic"
	for _, key := range []string{"k", "old"} {
		_, err = b.Generate(t.Context(), ada, key, other, "")
		wantFailure(t, err, domain.Conflict, "Idempotency-Key")
	}
}
