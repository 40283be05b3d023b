package memory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestPersonaStore(t *testing.T) {
	t.Parallel()
	portstest.PersonaStore(t, func(*testing.T) ports.PersonaStore { return memory.NewPersonaStore() })
}

func TestPreferenceStore(t *testing.T) {
	t.Parallel()
	portstest.PreferenceStore(t, func(*testing.T) (ports.PreferenceStore, ports.PersonaStore) {
		s := memory.NewPersonaStore()
		return s, s
	})
}

func TestConversationStore(t *testing.T) {
	t.Parallel()
	portstest.ConversationStore(t, func(*testing.T) ports.ConversationStore { return memory.NewConversationStore() })
}

func TestLedger(t *testing.T) {
	t.Parallel()
	portstest.Ledger(t, func(*testing.T) ports.Ledger { return memory.NewLedger() })
}

func TestMarks(t *testing.T) {
	t.Parallel()
	portstest.Marks(t, func(*testing.T) ports.Marks { return memory.NewMarks() })
}

func TestBudgetStore(t *testing.T) {
	t.Parallel()
	portstest.BudgetStore(t, func(*testing.T) portstest.BudgetSetup {
		ledger := memory.NewLedger()
		budgets := memory.NewBudgetStore(ledger)
		commit := func(ctx context.Context, turn domain.Turn) error {
			if err := ledger.Append(ctx, turn.Usage...); err != nil {
				return err
			}
			budgets.Settle(turn)
			return nil
		}
		return portstest.BudgetSetup{A: budgets, B: budgets, Ledger: ledger, Commit: commit}
	})
}

func TestAnswerStore(t *testing.T) {
	t.Parallel()
	portstest.AnswerStore(t, func(*testing.T) portstest.AnswerSetup {
		answers := &memory.AnswerStore{}
		commit := func(_ context.Context, turn domain.Turn) error { return answers.Keep(turn.Owner, *turn.Kept) }
		return portstest.AnswerSetup{A: answers, B: answers, Commit: commit}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(*testing.T) portstest.OutboxSetup {
		outbox := &memory.Outbox{}
		commit := func(_ context.Context, turn domain.Turn) error { return outbox.Add(turn.Events...) }
		return portstest.OutboxSetup{A: outbox, B: outbox, Commit: commit}
	})
}

func TestFailNextFailsOneCallAndDoesNothing(t *testing.T) {
	t.Parallel()
	s := memory.NewPersonaStore()
	away := domain.MissingPart("away", nil)
	s.FailNext("Create", away)
	p := domain.NewDefaultPersona("6ba7b810-9dad-41d1-80b4-00c04fd430c8", time.Now())
	if err := s.Create(t.Context(), p); !errors.Is(err, away) {
		t.Errorf("got %v, want the planned failure", err)
	}
	if _, err := s.Get(t.Context(), p.ID); domain.KindOf(err) != domain.NotFound {
		t.Errorf("the failed call saved something: %v", err)
	}
	if err := s.Create(t.Context(), p); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}
