package app_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// shakyBudgets is a store that is away at times. What it is asked for then it may carry out all the same, after a while.
type shakyBudgets struct {
	*memory.BudgetStore
	away atomic.Bool
	goes bool          // away, once something is set aside
	late time.Duration // 0: never

	mu   sync.Mutex
	held map[string]bool
}

func newShakyBudgets() *shakyBudgets {
	return &shakyBudgets{BudgetStore: memory.NewBudgetStore(memory.NewLedger()), held: map[string]bool{}}
}

func (b *shakyBudgets) Reserve(ctx context.Context, r domain.Reservation) error {
	if b.away.Load() {
		if b.late > 0 {
			time.AfterFunc(b.late, func() { b.hold(r.ID, b.BudgetStore.Reserve(context.WithoutCancel(ctx), r) == nil) })
		}
		return domain.MissingPart("The database is away", nil)
	}
	err := b.BudgetStore.Reserve(ctx, r)
	b.hold(r.ID, err == nil)
	b.away.Store(b.goes)
	return err
}

func (b *shakyBudgets) Release(ctx context.Context, id string) error {
	if b.away.Load() {
		return domain.MissingPart("The database is away", nil)
	}
	err := b.BudgetStore.Release(ctx, id)
	b.hold(id, false)
	return err
}

func (b *shakyBudgets) hold(id string, held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if held {
		b.held[id] = true
	} else {
		delete(b.held, id)
	}
}

func (b *shakyBudgets) left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// shakyTurns can't save anything while the budgets are away.
type shakyTurns struct {
	*turnStore
	budgets *shakyBudgets
}

func (s shakyTurns) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	if s.budgets.away.Load() {
		return "", domain.MissingPart("The database is away", nil)
	}
	id, err := s.turnStore.CommitTurn(ctx, turn)
	s.budgets.hold(turn.ReservationID, false)
	return id, err
}

// shakyChat makes a chat with such a budget, in the same database as its conversations.
func shakyChat(t *testing.T, budgets *shakyBudgets) *app.Chat {
	t.Helper()
	b := newChat(t, says("hello"))
	deps := b.chat.ChatDeps
	deps.Budgets, deps.Config.DailyBudget = budgets, domain.FromDollars(1)
	deps.Conversations = shakyTurns{b.turns, budgets}
	return app.NewChat(deps)
}

// The budget gets back what was set aside for a turn that could not be saved: when the database is there again, and not an hour later.
func TestMoneyOfATurnThatIsLostIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budgets := newShakyBudgets()
		budgets.goes = true
		chat := shakyChat(t, budgets)
		_, _, err := chat.Complete(t.Context(), ada, message("hi"))
		wantKind(t, err, domain.Unavailable)
		time.Sleep(10 * time.Minute)
		if n := budgets.left(); n != 1 {
			t.Errorf("%d reservations are left while the database is away", n)
		}
		budgets.away.Store(false)
		time.Sleep(10 * time.Second)
		if n := budgets.left(); n != 0 {
			t.Errorf("%d reservations are left", n)
		}
		chat.Close(t.Context())
	})
}

// A reservation of which nobody knew may come late.
func TestMoneyThatIsSetAsideLateIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		budgets := newShakyBudgets()
		budgets.late = 5 * time.Second
		budgets.away.Store(true)
		chat := shakyChat(t, budgets)
		_, _, err := chat.Complete(t.Context(), ada, message("hi"))
		wantKind(t, err, domain.Unavailable)
		time.Sleep(time.Second)
		budgets.away.Store(false)
		time.Sleep(time.Minute)
		if n := budgets.left(); n != 0 {
			t.Errorf("%d reservations are left", n)
		}
		chat.Close(t.Context())
	})
}

// A process that ends tries once more, and does not wait for a database that is away.
func TestMoneyIsGivenBackWhenAProcessEnds(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"the database is back": true, "it is not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				budgets := newShakyBudgets()
				budgets.goes = true
				chat := shakyChat(t, budgets)
				_, _, err := chat.Complete(t.Context(), ada, message("hi"))
				wantKind(t, err, domain.Unavailable)
				time.Sleep(time.Minute)
				budgets.away.Store(!back)
				begun := time.Now()
				chat.Close(t.Context())
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("it took %s", took)
				}
				if n := budgets.left(); (n == 0) != back {
					t.Errorf("%d reservations are left", n)
				}
			})
		})
	}
}
