package app_test

import (
	"context"
	"errors"
	"fmt"
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

var (
	errAway    = domain.MissingPart("The provider is not available at the moment", nil)
	errBusy    = &domain.Error{Kind: domain.Limited, Code: domain.CodeRateLimit, Message: "not so fast", RetryAfter: 7 * time.Second}
	errNoKey   = &domain.Error{Kind: domain.Unavailable, Code: domain.CodeCredentials, Message: "rejected"}
	errTooLong = &domain.Error{Kind: domain.BadRequest, Code: domain.CodeContextLength, Message: "too long"}
)

// script is a provider that behaves differently each time it is asked; the last one of the list stays.
type script struct {
	mu    sync.Mutex
	acts  []*provider
	asked int
	times []time.Time
}

func plays(acts ...*provider) *script { return &script{acts: acts} }

func fails(err error) *provider { return &provider{openErr: err} }

// breaksAfter says some pieces and then breaks off.
func breaksAfter(err error, pieces ...string) *provider {
	p := says(pieces...)
	p.steps = append(p.steps[:len(pieces):len(pieces)], step{err: err})
	return p
}

func (s *script) Open(ctx context.Context, p domain.Prompt) (ports.CompletionStream, error) {
	s.mu.Lock()
	act := s.acts[min(s.asked, len(s.acts)-1)]
	s.asked++
	s.times = append(s.times, time.Now())
	s.mu.Unlock()
	return act.Open(ctx, p)
}

// newRoute makes a Chat whose default provider is claude, with openai to fall back on. It repeats twice.
func newRoute(t *testing.T, first, second ports.Completer) *chatBed {
	t.Helper()
	b := newChat(t, says("unused"))
	deps := b.chat.ChatDeps
	deps.Completers = map[string]ports.Completer{domain.ProviderClaude: first, domain.ProviderOpenAI: second}
	deps.Selector.Configured = map[string]string{domain.ProviderClaude: "claude-3-haiku-20240307", domain.ProviderOpenAI: "gpt-4o-mini"}
	deps.Selector.Default = domain.Choice{Provider: domain.ProviderClaude, Model: "claude-3-haiku-20240307"}
	deps.Config.Retries = 2
	b.chat = app.NewChat(deps)
	return b
}

// rows shows the ledger as "provider outcome source failure" words.
func (b *chatBed) rows() []string {
	list := []string{}
	for _, r := range b.turns.usage() {
		list = append(list, r.Provider+" "+string(r.Outcome)+" "+string(r.Usage.Source)+" "+r.Failure)
	}
	return list
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	const claude, openai = "claude", "openai"
	usage := step{delta: domain.Delta{Usage: &domain.Usage{Input: 3, Output: 2}}}
	for name, test := range map[string]struct {
		first, second *script
		fallback      bool
		want          string // provider that answers, or ""
		kind          domain.Kind
		asked         [2]int
		rows          []string
	}{
		"answers at once": {plays(says("a").then(usage)), plays(says("b")), true, claude, 0, [2]int{1, 0}, []string{"claude completed provider "}},
		"is away for a moment": {plays(fails(errAway), says("a")), plays(says("b")), true, claude, 0, [2]int{2, 0},
			[]string{"claude failed partial unavailable", "claude completed estimated "}},
		"stays away, another answers": {plays(fails(errAway)), plays(says("b")), true, openai, 0, [2]int{3, 1},
			[]string{"claude failed partial unavailable", "claude failed partial unavailable", "claude failed partial unavailable", "openai completed estimated "}},
		"stays away, no fallback": {plays(fails(errAway)), plays(says("b")), false, "", domain.Unavailable, [2]int{3, 0},
			[]string{"claude failed partial unavailable", "claude failed partial unavailable", "claude failed partial unavailable"}},
		"both are away": {plays(fails(errAway)), plays(fails(errAway)), true, "", domain.Unavailable, [2]int{3, 3}, nil},
		"allows no more": {plays(fails(errBusy)), plays(says("b")), true, openai, 0, [2]int{1, 1},
			[]string{"claude failed partial rate_limit_exceeded", "openai completed estimated "}},
		"allows no more, no fallback": {plays(fails(errBusy)), plays(says("b")), false, "", domain.Limited, [2]int{1, 0},
			[]string{"claude failed partial rate_limit_exceeded"}},
		"rejects the key": {plays(fails(errNoKey)), plays(says("b")), true, openai, 0, [2]int{1, 1},
			[]string{"claude failed partial provider_credentials", "openai completed estimated "}},
		"the prompt is at fault": {plays(fails(errTooLong)), plays(says("b")), true, "", domain.BadRequest, [2]int{1, 0},
			[]string{"claude failed partial context_length_exceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, ask way) {
				synctest.Test(t, func(t *testing.T) {
					first, second := plays(test.first.acts...), plays(test.second.acts...)
					b := newRoute(t, first, second)
					r := message("hi")
					r.Fallback = test.fallback
					_, result, err := ask(b.chat, t.Context(), ada, r)
					if test.want == "" {
						wantKind(t, err, test.kind)
						wantWords(t, "history", b.history(t, ada, ""), []string{})
					} else if err != nil || result.FallbackUsed != (test.want == openai) {
						t.Errorf("got %+v, %v", result, err)
					}
					if got := [2]int{first.asked, second.asked}; got != test.asked {
						t.Errorf("asked %v times, want %v", got, test.asked)
					}
					if test.rows != nil {
						wantWords(t, "ledger", b.rows(), test.rows)
					}
					messages, _, err := b.turns.History(t.Context(), "ada", "", 0)
					if test.want != "" && (err != nil || messages[1].Provider != test.want) {
						t.Errorf("stored %+v, %v", messages, err)
					}
				})
			})
		})
	}
}

// What a provider said before it broke off was paid for, though nobody may get to see it.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	long := "twelve chars"
	t.Run("in one piece another answers", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newRoute(t, plays(breaksAfter(errAway, long), says("whole")), plays(says("b")))
			_, result, err := b.chat.Complete(t.Context(), ada, message("hi"))
			if err != nil || result.Content != "whole" || result.FallbackUsed {
				t.Errorf("got %+v, %v", result, err)
			}
			rows := b.turns.usage()
			if len(rows) != 2 || rows[0].Usage.Output != 3 || rows[0].Usage.Source != domain.UsagePartial || rows[0].Cost <= 0 || rows[1].Attempt != 2 {
				t.Errorf("ledger: %+v", rows)
			}
		})
	})
	t.Run("streamed it is an error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			second := plays(says("b"))
			b := newRoute(t, plays(breaksAfter(errAway, long)), second)
			r := message("hi")
			r.Fallback = true
			_, _, err := streamed(b.chat, t.Context(), ada, r)
			wantKind(t, err, domain.Unavailable)
			wantWords(t, "ledger", b.rows(), []string{"claude failed partial unavailable"})
			if rows := b.turns.usage(); rows[0].Usage.Output != 3 || second.asked != 0 {
				t.Errorf("ledger: %+v; the other was asked %d times", rows, second.asked)
			}
			wantWords(t, "history", b.history(t, ada, ""), []string{})
		})
	})
}

// What a broken attempt has cost is set aside before the next one, so that both together can't be more than the budget allows.
func TestRepeatedAttemptsStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 2000)
	for name, test := range map[string]struct {
		budget func(most, broken domain.Money) domain.Money
		asked  int
	}{
		"there is enough for both": {func(most, broken domain.Money) domain.Money { return most + broken }, 2},
		"there is not":             {func(most, broken domain.Money) domain.Money { return most + broken - 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newRoute(t, plays(breaksAfter(errAway, long)), nil)
				_, _, err := b.chat.Complete(t.Context(), ada, message("hi")) // without a budget, to see what it costs
				wantKind(t, err, domain.Unavailable)
				broken := b.turns.usage()[0].Cost
				recorder := &recordingBudgets{BudgetStore: memory.NewBudgetStore(memory.NewLedger())}
				deps := b.chat.ChatDeps
				deps.Budgets, deps.Config.DailyBudget = recorder, domain.FromDollars(1)
				deps.Measurements = app.NewMeasurements(time.Now)
				chat := app.NewChat(deps)
				_, _, _ = chat.Complete(t.Context(), bob, message("hi"))
				most := recorder.amounts[0]
				chat.Close(t.Context())

				provider := plays(breaksAfter(errAway, long), says("whole"))
				recorder = &recordingBudgets{BudgetStore: memory.NewBudgetStore(memory.NewLedger())}
				deps.Completers = map[string]ports.Completer{domain.ProviderClaude: provider}
				deps.Budgets, deps.Config.DailyBudget = recorder, test.budget(most, broken)
				deps.Measurements = app.NewMeasurements(time.Now)
				chat = app.NewChat(deps)
				_, result, err := chat.Complete(t.Context(), ada, message("hi"))
				chat.Close(t.Context())
				if test.asked == 2 && (err != nil || result.Content != "whole") || test.asked == 1 && domain.KindOf(err) != domain.Unavailable {
					t.Errorf("got %q, %v", result.Content, err)
				}
				if provider.asked != test.asked || test.asked == 2 && recorder.released != 1 {
					t.Errorf("asked %d times, want %d; %d reservations were released", provider.asked, test.asked, recorder.released)
				}
			})
		})
	}
}

// recordingBudgets remembers what was reserved and released.
type recordingBudgets struct {
	ports.BudgetStore
	amounts  []domain.Money
	released int
}

func (b *recordingBudgets) Reserve(ctx context.Context, r domain.Reservation) error {
	err := b.BudgetStore.Reserve(ctx, r)
	if err == nil {
		b.amounts = append(b.amounts, r.Amount)
	}
	return err
}

func (b *recordingBudgets) Release(ctx context.Context, id string) error {
	b.released++
	return b.BudgetStore.Release(ctx, id)
}

// TestLateFallback: a client that has heard of the first model hears of the change, too.
func TestLateFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := live()
		b := newRoute(t, slow, plays(says("b")))
		r := message("hi")
		r.Fallback = true
		s := stream(t.Context(), t, b, r) // after the wait for the first event
		if s.Info.Choice.Provider != domain.ProviderClaude {
			t.Errorf("announced %+v", s.Info.Choice)
		}
		time.Sleep(10 * time.Second) // too slow to be asked again
		slow.live <- step{err: errAway}
		st := <-s.Steps()
		if st.Fallback == nil || !st.Fallback.Late || st.Fallback.From.Provider != domain.ProviderClaude || st.Fallback.To.Provider != domain.ProviderOpenAI {
			t.Fatalf("got %+v", st)
		}
		wantContent(t, s, "b")
	})
}

func TestRetriesWaitLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := plays(fails(errAway), fails(errAway), says("a"))
		b := newRoute(t, first, plays(says("b")))
		if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
			t.Fatal(err)
		}
		one, two := first.times[1].Sub(first.times[0]), first.times[2].Sub(first.times[1])
		if one < 100*time.Millisecond || one > 200*time.Millisecond || two < 200*time.Millisecond || two > 400*time.Millisecond {
			t.Errorf("waited %v and %v", one, two)
		}
	})
}

func TestClientLeavesDuringAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := plays(fails(errAway))
		b := newRoute(t, first, plays(says("b")))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _, err := b.chat.Complete(ctx, ada, message("hi"))
		if err == nil || first.asked != 1 {
			t.Errorf("got %v after %d attempts", err, first.asked)
		}
	})
}

func TestCircuitBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := plays(fails(errAway))
		b := newRoute(t, first, plays(says("b")))
		ask := func() error {
			_, _, err := b.chat.Complete(t.Context(), ada, message("hi"))
			return err
		}
		wantKind(t, ask(), domain.Unavailable) // three attempts
		wantKind(t, ask(), domain.Unavailable) // two more open the circuit
		if first.asked != 5 {
			t.Fatalf("asked %d times, want 5", first.asked)
		}
		var refusal *domain.Error
		if err := ask(); !errors.As(err, &refusal) || refusal.RetryAfter < 30*time.Second || first.asked != 5 {
			t.Errorf("got %v, asked %d times", err, first.asked)
		}
		time.Sleep(time.Minute)
		first.acts = []*provider{says("back")}
		if err := ask(); err != nil {
			t.Errorf("after the pause: %v", err)
		}
		if err := ask(); err != nil || first.asked != 7 {
			t.Errorf("closed again: %v, asked %d times", err, first.asked)
		}
	})
}

func TestCircuitBreakerTriesOnce(t *testing.T) {
	t.Parallel()
	now := noon
	m := app.NewMeasurements(func() time.Time { return now })
	choice := domain.Choice{Provider: "openai", Model: "m"}
	failure := domain.Attempt{Choice: choice, Failure: domain.Unavailable}
	for range 5 {
		if err := m.Allow(choice); err != nil {
			t.Fatal(err)
		}
		m.Record(failure)
	}
	wantKind(t, m.Allow(choice), domain.Unavailable)
	now = now.Add(time.Minute)
	if err := m.Allow(choice); err != nil {
		t.Errorf("the one that tries: %v", err)
	}
	wantKind(t, m.Allow(choice), domain.Unavailable)
	m.Record(failure)
	wantKind(t, m.Allow(choice), domain.Unavailable)
	now = now.Add(time.Minute)
	_ = m.Allow(choice)
	m.Record(domain.Attempt{Choice: choice, Canceled: true}) // proves nothing
	if err := m.Allow(choice); err != nil {
		t.Errorf("after one who left: %v", err)
	}
	m.Record(domain.Attempt{Choice: choice, Failure: domain.BadRequest}) // a provider that refuses a prompt works
	for range 2 {
		if err := m.Allow(choice); err != nil {
			t.Errorf("closed: %v", err)
		}
	}
}

func TestLimitsHoldForOneModel(t *testing.T) {
	t.Parallel()
	now := noon
	m := app.NewMeasurements(func() time.Time { return now })
	busy, idle := domain.Choice{Provider: "openai", Model: "busy"}, domain.Choice{Provider: "openai", Model: "idle"}
	m.Record(domain.Attempt{Choice: busy, Started: now, Failure: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: 7 * time.Second})
	var refusal *domain.Error
	if err := m.Allow(busy); !errors.As(err, &refusal) || refusal.Kind != domain.Limited || refusal.RetryAfter != 7*time.Second {
		t.Errorf("got %v", err)
	}
	if err := m.Allow(idle); err != nil {
		t.Errorf("another model: %v", err)
	}
	now = now.Add(7 * time.Second)
	if err := m.Allow(busy); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestMeasurements(t *testing.T) {
	t.Parallel()
	now := noon
	m := app.NewMeasurements(func() time.Time { return now })
	choice := domain.Choice{Provider: "openai", Model: "gpt-4o"}
	for i := range 10 {
		m.Record(domain.Attempt{
			Choice: choice, Started: now, OK: true, FirstToken: 100 * time.Millisecond, Duration: time.Duration(i+1) * 100 * time.Millisecond, OutputTokens: 11,
		})
	}
	m.Record(domain.Attempt{Choice: choice, Started: now, Failure: domain.Unavailable, Code: domain.CodeOverloaded})
	m.Record(domain.Attempt{Choice: choice, Started: now, Canceled: true})
	shot := m.Snapshot()
	p := shot.Providers["openai"]
	if p.Requests != 11 || p.Errors != 1 || p.Average != 550*time.Millisecond || p.P95 != time.Second || p.Fastest != 100*time.Millisecond ||
		p.TokensPerSecond() != 20 || p.Status != domain.ProviderHealthy || p.LastFailure != domain.CodeOverloaded {
		t.Errorf("got %+v", p)
	}
	model, _ := domain.BuiltInCatalogue().Model("gpt-4o")
	if ms, _ := shot.ResponseTimeMS(model); ms != 550 {
		t.Errorf("measured %v ms", ms)
	}
	if ms, measured := shot.FirstTokenMS(model); ms != 100 || !measured {
		t.Errorf("first token %v ms, %v", ms, measured)
	}
	for range 2 {
		m.Record(domain.Attempt{Choice: choice, Started: now, Failure: domain.Unavailable})
	}
	if p := m.Snapshot().Providers["openai"]; p.Status != domain.ProviderUnhealthy {
		t.Errorf("after three failures in a row: %+v", p)
	}
	now = now.Add(time.Hour)
	if p := m.Snapshot().Providers["openai"]; p.Requests != 0 {
		t.Errorf("an hour later: %+v", p)
	}
}

// Names of models come from clients: those that nobody has must not take the room of others.
func TestUnknownModelsAreNotMeasured(t *testing.T) {
	t.Parallel()
	m := app.NewMeasurements(func() time.Time { return noon })
	for i := range 5000 {
		m.Record(domain.Attempt{Choice: domain.Choice{Provider: "openai", Model: fmt.Sprint(i)}, Started: noon, Failure: domain.NotFound})
	}
	m.Record(domain.Attempt{Choice: domain.Choice{Provider: "openai", Model: "real"}, Started: noon, OK: true, Duration: time.Second})
	if models := m.Snapshot().Models; len(models) != 1 {
		t.Errorf("%d models are measured", len(models))
	}
}

// An answer that the store refuses was paid for all the same.
func TestRefusedTurnKeepsItsUsage(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("one"))
		b.turns.FailNext("CommitTurn", domain.NewError(domain.NotFound, "Conversation not found"))
		_, _, err := ask(b.chat, t.Context(), ada, message("hi"))
		wantKind(t, err, domain.NotFound)
		wantWords(t, "ledger", b.rows(), []string{"openai completed estimated "})
		wantWords(t, "history", b.history(t, ada, ""), []string{})
	})
}
