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

// newStores makes stores that belong together, and what commits turns to them.
func newStores() (*memory.ConversationStore, func(context.Context, domain.Turn) error) {
	s, ledger := memory.NewConversationStore(), memory.NewLedger()
	s.Parts = memory.TurnParts{
		Ledger: ledger, Budgets: memory.NewBudgetStore(ledger), Answers: &memory.AnswerStore{}, Outbox: &memory.Outbox{},
	}
	return s, func(ctx context.Context, turn domain.Turn) error {
		_, err := s.CommitTurn(ctx, turn)
		return err
	}
}

func TestBudgetStore(t *testing.T) {
	t.Parallel()
	portstest.BudgetStore(t, func(*testing.T) portstest.BudgetSetup {
		s, commit := newStores()
		return portstest.BudgetSetup{A: s.Parts.Budgets, B: s.Parts.Budgets, Ledger: s.Parts.Ledger, Commit: commit, Elapse: s.Parts.Budgets.Elapse}
	})
}

func TestAnswerStore(t *testing.T) {
	t.Parallel()
	portstest.AnswerStore(t, func(*testing.T) portstest.AnswerSetup {
		s, commit := newStores()
		return portstest.AnswerSetup{A: s.Parts.Answers, B: s.Parts.Answers, Commit: commit}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(*testing.T) portstest.OutboxSetup {
		s, commit := newStores()
		return portstest.OutboxSetup{A: s.Parts.Outbox, B: s.Parts.Outbox, Commit: commit}
	})
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	portstest.AuditLog(t, func(*testing.T) portstest.AuditSetup {
		log := &memory.AuditLog{Outbox: &memory.Outbox{}}
		return portstest.AuditSetup{A: log, B: log, Outbox: log.Outbox}
	})
}

func TestTurns(t *testing.T) {
	t.Parallel()
	portstest.Turns(t, func(*testing.T) portstest.TurnSetup {
		s, _ := newStores()
		return portstest.TurnSetup{
			Conversations: s, Ledger: s.Parts.Ledger, Budgets: s.Parts.Budgets, Answers: s.Parts.Answers, Outbox: s.Parts.Outbox,
		}
	})
}

func TestConversationDirectory(t *testing.T) {
	t.Parallel()
	portstest.ConversationDirectory(t, func(*testing.T) (ports.ConversationDirectory, ports.ConversationStore) {
		s := memory.NewConversationStore()
		return s, s
	})
}

func accounts(*testing.T) portstest.AccountSetup {
	a := memory.NewAccountStore()
	s := memory.NewSessionStore(a)
	return portstest.AccountSetup{A: a, B: a, SessionsA: s, SessionsB: s}
}

func TestAccountStore(t *testing.T) {
	t.Parallel()
	portstest.AccountStore(t, accounts)
}

func TestSessionStore(t *testing.T) {
	t.Parallel()
	portstest.SessionStore(t, accounts)
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

func TestAPIKeyStore(t *testing.T) {
	t.Parallel()
	portstest.APIKeyStore(t, func(*testing.T) portstest.APIKeySetup {
		outbox := &memory.Outbox{}
		s := &memory.APIKeyStore{Audit: &memory.AuditLog{Outbox: outbox}}
		return portstest.APIKeySetup{A: s, B: s, Audit: s.Audit, Outbox: outbox}
	})
}

func TestWorkflowStore(t *testing.T) {
	t.Parallel()
	portstest.WorkflowStore(t, func(*testing.T) portstest.WorkflowSetup {
		s := &memory.WorkflowStore{Outbox: &memory.Outbox{}}
		return portstest.WorkflowSetup{A: s, B: s, Outbox: s.Outbox}
	})
}

func TestBlobStore(t *testing.T) {
	t.Parallel()
	portstest.BlobStore(t, func(*testing.T) ports.BlobStore { return &memory.BlobStore{} })
}

func TestGenerationStore(t *testing.T) {
	t.Parallel()
	portstest.GenerationStore(t, func(*testing.T) portstest.GenerationSetup {
		assets, ledger := &memory.AssetStore{}, memory.NewLedger()
		s := &memory.GenerationStore{Parts: memory.GenerationParts{
			Assets: assets, Ledger: ledger, Budgets: memory.NewBudgetStore(ledger), Outbox: &memory.Outbox{},
		}}
		return portstest.GenerationSetup{
			A: s, B: s, Assets: assets, Leases: assets, Ledger: ledger, Budgets: s.Parts.Budgets, Outbox: s.Parts.Outbox,
			Elapse: s.Parts.Budgets.Elapse,
		}
	})
}

func TestAssetStore(t *testing.T) {
	t.Parallel()
	portstest.AssetStore(t, func(*testing.T) portstest.AssetSetup {
		s := &memory.AssetStore{}
		return portstest.AssetSetup{A: s, B: s, LeasesA: s, LeasesB: s}
	})
}

func TestToldChanges(t *testing.T) {
	t.Parallel()
	portstest.ToldChanges(t, func(*testing.T) portstest.ToldSetup {
		conversations, _ := newStores()
		outbox := conversations.Parts.Outbox
		personas, assets := memory.NewPersonaStore(), &memory.AssetStore{Outbox: outbox}
		personas.Outbox = outbox
		all := portstest.ToldStores{
			Personas: personas, Preferences: personas, Conversations: conversations, Directory: conversations, Assets: assets, Leases: assets,
			Keys: &memory.APIKeyStore{Audit: &memory.AuditLog{Outbox: outbox}},
		}
		return portstest.ToldSetup{A: all, B: all, Outbox: outbox}
	})
}
