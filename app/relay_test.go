package app_test

import (
	"context"
	"errors"
	"fmt"
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

// bus is an event sender that does what a test says.
type bus struct {
	mu      sync.Mutex
	err     error // while it is set, nothing gets through
	sent    []string
	batches []int
	times   []time.Time
}

func (b *bus) Send(ctx context.Context, batch domain.EventBatch) (int, string, error) {
	events := batch.Events
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times = append(b.times, time.Now())
	if b.err != nil {
		return 0, "", b.err
	}
	b.batches = append(b.batches, len(events))
	for _, e := range events {
		b.sent = append(b.sent, e.ID)
	}
	return len(events), "", ctx.Err()
}

func (b *bus) breaks(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// newOutbox makes a store of turns with an outbox.
func newOutbox() *memory.ConversationStore {
	store := memory.NewConversationStore()
	store.Parts.Outbox = &memory.Outbox{}
	return store
}

// stored commits turns with one event each and returns the ids of the events.
func stored(t *testing.T, store ports.ConversationStore, first, count int) []string {
	t.Helper()
	var ids []string
	for n := first; n < first+count; n++ {
		e := domain.Event{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", n), Subject: domain.SubjectUsageRecorded, Payload: domain.UsageRecordedEvent{}}
		if _, err := store.CommitTurn(t.Context(), domain.Turn{Owner: "ada", At: noon, Unstored: true, Events: []domain.Event{e}}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// relaying runs a relay in a bubble of synctest until stop is called.
func relaying(d app.RelayDeps) (r *app.Relay, stop func()) {
	r = app.NewRelay(d)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	synctest.Wait()
	return r, func() { cancel(); running.Wait() }
}

func TestRelaySendsSoonAfterACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bus
		store := newOutbox()
		r, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: &b})
		defer stop()
		began := time.Now()
		ids := stored(t, r.Watch(store), 0, 3)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if !slices.Equal(b.sent, ids) || len(b.batches) != 1 || b.times[0].Sub(began) > 25*time.Millisecond {
			t.Errorf("sent %q in %d batches, the first after %v", b.sent, len(b.batches), b.times[0].Sub(began))
		}
	})
}

func TestRelayFindsWhatOthersStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bus
		store := newOutbox()
		_, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: &b})
		defer stop()
		ids := stored(t, store, 0, 1)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if !slices.Equal(b.sent, ids) {
			t.Errorf("sent %q, want %q", b.sent, ids)
		}
	})
}

func TestRelayEmptiesALongOutboxWithoutPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bus
		store := newOutbox()
		ids := stored(t, store, 0, 600)
		_, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: &b})
		defer stop()
		if !slices.Equal(b.sent, ids) || !slices.Equal(b.batches, []int{256, 256, 88}) {
			t.Errorf("sent %d in batches of %v", len(b.sent), b.batches)
		}
	})
}

func TestRelayWaitsLongerWhileTheBusIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			b       bus
			changes []error
		)
		store := newOutbox()
		away := errors.New("away")
		b.breaks(away)
		ids := stored(t, store, 0, 1)
		r, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: &b, Changed: func(err error) { changes = append(changes, err) }})
		defer stop()
		for range 600 {
			r.Wake() // who stores events must not make it hurry
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		// 100 ms … 5 s, each half of it to half more: at least 8 looks in a minute, and no more than 30.
		if n := len(b.times); n < 8 || n > 30 {
			t.Errorf("%d attempts within a minute", n)
		}
		if first := b.times[1].Sub(b.times[0]); first > 150*time.Millisecond {
			t.Errorf("the first pause takes %v", first)
		}
		if last := b.times[len(b.times)-1].Sub(b.times[len(b.times)-2]); last < 2500*time.Millisecond || last > 7500*time.Millisecond {
			t.Errorf("the last pause takes %v", last)
		}
		state, err := r.State(t.Context())
		if err != nil || state.Pending != 1 || !errors.Is(state.Err, away) {
			t.Errorf("State = %+v, %v", state, err)
		}
		b.breaks(nil)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if state, err := r.State(t.Context()); err != nil || state != (app.RelayState{}) || !slices.Equal(b.sent, ids) {
			t.Errorf("State = %+v, %v after the bus is back; sent %q", state, err, b.sent)
		}
		if len(changes) != 2 || !errors.Is(changes[0], away) || changes[1] != nil {
			t.Errorf("told %v, want the error and then nil", changes)
		}
	})
}

func TestRelaySendsWhatWaitsWhenItStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bus
		store := newOutbox()
		_, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: &b})
		ids := stored(t, store, 0, 300)
		stop()
		if !slices.Equal(b.sent, ids) {
			t.Errorf("sent %d of %d", len(b.sent), len(ids))
		}
	})
}

// deafBus never answers.
type deafBus struct{}

func (deafBus) Send(ctx context.Context, _ domain.EventBatch) (int, string, error) {
	<-ctx.Done()
	return 0, "", ctx.Err()
}

func TestRelayStopsAlthoughTheBusDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newOutbox()
		stored(t, store, 0, 1)
		_, stop := relaying(app.RelayDeps{Outbox: store.Parts.Outbox, Sender: deafBus{}, Changed: func(err error) {
			t.Errorf("told %v, which only says that it stops", err)
		}})
		began := time.Now()
		stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("stopping took %v", took)
		}
		if n, err := store.Parts.Outbox.Pending(context.Background()); n != 1 || err != nil {
			t.Errorf("%d wait (%v), want the one that was not sent", n, err)
		}
	})
}

func TestJanitorForgetsAfterADay(t *testing.T) {
	t.Parallel()
	var answers memory.AnswerStore
	for n, age := range []time.Duration{25 * time.Hour, 24*time.Hour + time.Second, 23 * time.Hour} {
		at := noon.Add(-age)
		c := domain.Claim{Owner: "ada", Key: fmt.Sprint(n), RunID: "00000000-0000-7000-8000-000000000000", At: at, LeaseUntil: at.Add(time.Minute)}
		if _, err := answers.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	j := app.NewJanitor(func() time.Time { return noon }, app.KeptAnswers(&answers))
	if n, err := j.Clean(t.Context()); n != 2 || err != nil {
		t.Errorf("Clean = %d, %v, want 2", n, err)
	}
	answers.FailNext("Expire", errAny)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		j.Run(ctx) // ends with ctx, and goes on after a failure
	})
	if n, err := j.Clean(t.Context()); n != 0 || err != nil {
		t.Errorf("Clean after Run = %d, %v", n, err)
	}
}
