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
	"gaia/ports"
)

const holdLease = time.Minute

// heldBudgets is the database as a process sees it that may stand still.
type heldBudgets struct {
	*memory.BudgetStore
	freeze time.Duration // after something was set aside, once
	away   atomic.Int32  // so many times nothing can be given back

	mu       sync.Mutex
	still    bool // renewals come through no more
	lost     bool // answers of renewals, which are carried out
	hangs    bool // renewals take for ever
	renewals int
	most     int    // held by one renewal
	between  func() // called once, while something is renewed
}

func (b *heldBudgets) Reserve(ctx context.Context, r domain.Reservation) error {
	err := b.BudgetStore.Reserve(ctx, r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	freeze := b.freeze
	b.freeze = 0
	b.mu.Unlock()
	if freeze > 0 {
		time.Sleep(freeze)
	}
	return nil
}

func (b *heldBudgets) Renew(ctx context.Context, held []domain.Reservation) ([]string, error) {
	b.mu.Lock()
	still, between, lost, hangs := b.still, b.between, b.lost, b.hangs
	b.renewals++
	b.most = max(b.most, len(held))
	b.between = nil
	b.mu.Unlock()
	if still {
		return nil, domain.MissingPart("The database is away", nil)
	}
	if between != nil {
		between()
	}
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	gone, err := b.BudgetStore.Renew(context.WithoutCancel(ctx), held)
	if lost {
		return nil, domain.MissingPart("The database is away", nil)
	}
	return gone, err
}

func (b *heldBudgets) Release(ctx context.Context, id string) error {
	if b.away.Add(-1) >= 0 {
		return domain.MissingPart("The database is away", nil)
	}
	return b.BudgetStore.Release(ctx, id)
}

func (b *heldBudgets) standStill(still bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.still = still
}

func (b *heldBudgets) renewed() (times, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.renewals, b.most
}

// holdBed is a chat with a budget in the database of its turns.
type holdBed struct {
	*chatBed
	budgets *heldBudgets
	ledger  *memory.Ledger

	mu     sync.Mutex
	lapsed []domain.Reservation
	told   int // how often
}

// newHolding makes a chat whose callers may spend so much in a day: what some answers can cost.
func newHolding(t *testing.T, p *provider, answers float64) *holdBed {
	t.Helper()
	b := &holdBed{chatBed: newChat(t, p), ledger: memory.NewLedger()}
	b.budgets = &heldBudgets{BudgetStore: memory.NewBudgetStore(b.ledger)}
	b.turns.Parts = memory.TurnParts{Ledger: b.ledger, Budgets: b.budgets.BudgetStore}
	deps := b.chat.ChatDeps
	deps.Budgets, deps.Config.BudgetLease, deps.Config.DailyBudget = b.budgets, holdLease, domain.Money(answers*float64(mostOfAnswer(t)))
	deps.Lapsed = func(held []domain.Reservation) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lapsed = append(b.lapsed, held...)
		b.told++
	}
	b.chat = app.NewChat(deps)
	return b
}

// mostOfAnswer is what is set aside for one answer to "hi".
func mostOfAnswer(t *testing.T) domain.Money {
	t.Helper()
	recorder := &recordingBudgets{BudgetStore: memory.NewBudgetStore(memory.NewLedger())}
	deps := newChat(t, says("hello")).chat.ChatDeps
	deps.Budgets, deps.Config.DailyBudget = recorder, domain.FromDollars(1)
	chat := app.NewChat(deps)
	if _, _, err := chat.Complete(t.Context(), ada, message("hi")); err != nil {
		t.Fatal(err)
	}
	chat.Close(t.Context())
	return recorder.amounts[0]
}

// other sets aside in another process.
func (b *holdBed) other(t *testing.T, amount domain.Money) (string, error) {
	t.Helper()
	r := domain.Reservation{
		ID: b.chat.NewID(), Owner: ada.OwnerID(), At: time.Now(), Amount: amount, Limit: b.chat.Config.DailyBudget, Lease: time.Hour,
	}
	return r.ID, b.budgets.BudgetStore.Reserve(t.Context(), r)
}

// wantNothingHeld has somebody else set aside all that was not spent of the budget.
func (b *holdBed) wantNothingHeld(t *testing.T) {
	t.Helper()
	left := b.chat.Config.DailyBudget
	for _, row := range b.turns.usage() {
		left -= row.Cost
	}
	if _, err := b.other(t, left); err != nil {
		t.Errorf("something is set aside still: %v", err)
	}
}

func (b *holdBed) lapses() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lapsed)
}

// Answers that take longer than a lease hold what is set aside for them, all with one renewal for each part of it.
func TestMoneyOfLongAnswersIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many, leases = 20, 10
		b := newHolding(t, live(), many)
		var answers sync.WaitGroup
		for range many {
			answers.Go(func() {
				if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(leases * holdLease)
		if _, err := b.other(t, mostOfAnswer(t)); domain.KindOf(err) != domain.PaymentRequired {
			t.Errorf("the money of running answers was given away: %v", err)
		}
		close(b.provider.live)
		answers.Wait()
		times, most := b.budgets.renewed()
		if most != many || times > 8*leases {
			t.Errorf("%d renewals in %d leases, of up to %d reservations", times, leases, most)
		}
		time.Sleep(10 * holdLease)
		if after, _ := b.budgets.renewed(); after != times {
			t.Errorf("%d renewals while nothing was held", after-times)
		}
		if n := b.lapses(); n != 0 {
			t.Errorf("%d lapsed", n)
		}
		if _, err := b.other(t, b.chat.Config.DailyBudget/2); err != nil {
			t.Errorf("what was set aside is not free: %v", err)
		}
		b.chat.Close(t.Context())
	})
}

// Answers that are there in a moment cost no renewal.
func TestShortAnswersAreNotRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newHolding(t, says("hello"), 1000)
		for range 100 {
			if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
		}
		if times, _ := b.budgets.renewed(); times != 0 {
			t.Errorf("%d renewals", times)
		}
		b.chat.Close(t.Context())
	})
}

// A process that stood still while it was answered comes back when others have spent what it had set aside: what it used is in the ledger
// and counts, the operator hears of it, and nobody gets anything more.
func TestAnAnswerThatLapsedIsSettledAndNoticed(t *testing.T) {
	t.Parallel()
	for name, comesBack := range map[string]bool{"it renews before it ends": true, "it ends at once": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newHolding(t, live(), 1.5)
				done := make(chan error)
				go func() {
					_, _, err := b.chat.Complete(t.Context(), ada, message("hi"))
					done <- err
				}()
				b.provider.live <- step{delta: domain.Delta{Content: "hello"}}
				b.budgets.standStill(true)
				time.Sleep(2 * holdLease)
				taken, err := b.other(t, b.chat.Config.DailyBudget)
				if err != nil {
					t.Fatalf("a process that stands still keeps others from their money: %v", err)
				}
				if comesBack {
					b.budgets.standStill(false)
					time.Sleep(holdLease)
					if b.lapses() != 1 {
						t.Errorf("%d lapses were noticed", b.lapses())
					}
				}
				b.provider.live <- step{delta: domain.Delta{Content: " world", Finish: domain.FinishStop}}
				close(b.provider.live)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if b.lapses() != 1 {
					t.Errorf("%d lapses were noticed", b.lapses())
				}
				rows := b.turns.usage()
				if len(rows) != 1 || rows[0].Cost == 0 {
					t.Fatalf("ledger: %+v", rows)
				}
				if err := b.budgets.BudgetStore.Release(t.Context(), taken); err != nil {
					t.Fatal(err)
				}
				limit := b.chat.Config.DailyBudget
				if _, err := b.other(t, limit-rows[0].Cost+1); domain.KindOf(err) != domain.PaymentRequired {
					t.Errorf("the budget does not know what was spent: %v", err)
				}
				if _, err := b.other(t, limit-rows[0].Cost); err != nil {
					t.Errorf("the budget counts more than was spent: %v", err)
				}
				b.chat.Close(t.Context())
			})
		})
	}
}

// A process that stood still before it asked a provider asks only when there is still money.
func TestNobodyIsAskedForLapsedMoney(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"others have it": true, "it is still there": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newHolding(t, says("hello"), 1.5)
				b.budgets.freeze = 2 * holdLease
				b.budgets.standStill(true)
				done := make(chan error)
				go func() {
					_, _, err := b.chat.Complete(t.Context(), ada, message("hi"))
					done <- err
				}()
				time.Sleep(2*holdLease - time.Second)
				var other string
				if taken {
					var err error
					if other, err = b.other(t, b.chat.Config.DailyBudget); err != nil {
						t.Fatal(err)
					}
				}
				err := <-done
				if taken {
					wantKind(t, err, domain.PaymentRequired)
					if n := b.provider.calls(); n != 0 {
						t.Errorf("the provider was asked %d times", n)
					}
					if err := b.budgets.BudgetStore.Release(t.Context(), other); err != nil {
						t.Fatal(err)
					}
				} else if err != nil || b.provider.calls() != 1 {
					t.Errorf("asked %d times: %v", b.provider.calls(), err)
				}
				if b.lapses() != 0 {
					t.Errorf("%d lapses were noticed, though nothing had been spent", b.lapses())
				}
				b.wantNothingHeld(t)
				b.chat.Close(t.Context())
			})
		})
	}
}

// A renewal that is on its way while an answer ends may set its money aside again: it is given back.
func TestARenewalAfterTheEndIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"answered": false, "with an answer that is lost": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); renewalAfterTheEnd(t, lost) })
	}
}

func renewalAfterTheEnd(t *testing.T, lost bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newHolding(t, live(), 1.5)
		done := make(chan error)
		go func() {
			_, _, err := b.chat.Complete(t.Context(), ada, message("hi"))
			done <- err
		}()
		synctest.Wait()
		begun, ended := make(chan struct{}), make(chan struct{})
		b.budgets.mu.Lock()
		b.budgets.between, b.budgets.lost = func() { close(begun); <-ended }, lost
		b.budgets.mu.Unlock()
		<-begun
		close(b.provider.live)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		close(ended)
		time.Sleep(20 * time.Second) // less than a lease
		b.wantNothingHeld(t)
		b.chat.Close(t.Context())
	})
}

// A database that is away while money is set aside anew is no fault of the provider: the turn ends, and no other model is asked.
func TestNobodyElseIsAskedWhenTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, claude := newHolding(t, says("hello"), 100), says("hello")
		deps := b.chat.ChatDeps
		deps.Completers = map[string]ports.Completer{domain.ProviderOpenAI: b.provider, domain.ProviderClaude: claude}
		deps.Selector.Configured = map[string]string{domain.ProviderOpenAI: "gpt-4o-mini", domain.ProviderClaude: "claude-3-haiku-20240307"}
		b.chat = app.NewChat(deps)
		b.budgets.freeze = 2 * holdLease
		b.budgets.standStill(true)
		b.budgets.away.Store(1)
		req := message("hi")
		req.Fallback = true
		_, result, err := b.chat.Complete(t.Context(), ada, req)
		wantKind(t, err, domain.Unavailable)
		if n, others := b.provider.calls(), claude.calls(); n != 0 || others != 0 || result.FallbackUsed {
			t.Errorf("the provider was asked %d times, another one %d times", n, others)
		}
		time.Sleep(holdLease)
		if _, err := b.other(t, b.chat.Config.DailyBudget); err != nil {
			t.Errorf("something is set aside still: %v", err)
		}
		b.chat.Close(t.Context())
	})
}

// Many answers that have lapsed are told of in one breath, and then no more for a lease.
func TestLapsesAreToldOnceInALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 20
		b := newHolding(t, live(), many)
		var answers sync.WaitGroup
		for range many {
			answers.Go(func() {
				if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		b.budgets.standStill(true)
		time.Sleep(2 * holdLease)
		close(b.provider.live)
		answers.Wait()
		b.chat.Close(t.Context())
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.told > 2 || len(b.lapsed) != many {
			t.Errorf("%d lapses were told of %d times", len(b.lapsed), b.told)
		}
	})
}

// A process that stops waits for no renewal.
func TestStoppingWaitsForNoRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newHolding(t, live(), 1.5)
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, _, err := b.chat.Complete(ctx, ada, message("hi"))
			done <- err
		}()
		synctest.Wait()
		begun := make(chan struct{})
		b.budgets.mu.Lock()
		b.budgets.hangs, b.budgets.between = true, func() { close(begun) }
		b.budgets.mu.Unlock()
		<-begun
		began := time.Now()
		b.chat.Close(t.Context())
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		leave()
		<-done
	})
}
