package postgres_test

import (
	"context"
	"testing"
	"time"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestPersonaStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.PersonaStore(t, func(t *testing.T) ports.PersonaStore { return open(t, newSchema(t, database)).Personas() })
}

func TestPreferenceStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.PreferenceStore(t, func(t *testing.T) (ports.PreferenceStore, ports.PersonaStore) {
		s := open(t, newSchema(t, database)).Personas()
		return s, s
	})
}

func TestConversationStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.ConversationStore(t, func(t *testing.T) ports.ConversationStore {
		return open(t, newSchema(t, database)).Conversations()
	})
}

func TestTurns(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.Turns(t, func(t *testing.T) portstest.TurnSetup {
		s := open(t, newSchema(t, database))
		return portstest.TurnSetup{
			Conversations: s.Conversations(), Ledger: s.Ledger(), Budgets: s.Budgets(), Answers: s.Answers(), Outbox: s.Outbox(),
		}
	})
}

func TestConversationDirectory(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.ConversationDirectory(t, func(t *testing.T) (ports.ConversationDirectory, ports.ConversationStore) {
		s := open(t, newSchema(t, database)).Conversations()
		return s, s
	})
}

func TestLedger(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.Ledger(t, func(t *testing.T) ports.Ledger { return open(t, newSchema(t, database)).Ledger() })
}

func TestMarks(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.Marks(t, func(t *testing.T) ports.Marks { return open(t, newSchema(t, database)).Marks() })
}

// twoProcesses opens one database twice.
func twoProcesses(t *testing.T, database string) (a, b *postgres.Store, commit func(context.Context, domain.Turn) error) {
	t.Helper()
	schema := newSchema(t, database)
	a, b = open(t, schema), open(t, schema)
	return a, b, commits(a)
}

// elapses makes all reservations of a database older.
func elapses(t *testing.T, url string) func(time.Duration) {
	t.Helper()
	conn := connect(t, url)
	return func(d time.Duration) {
		exec(t, conn, `UPDATE budget_reservations SET expires_at = expires_at - $1::bigint * interval '1 microsecond'`, d.Microseconds())
	}
}

func commits(s *postgres.Store) func(context.Context, domain.Turn) error {
	return func(ctx context.Context, turn domain.Turn) error {
		_, err := s.Conversations().CommitTurn(ctx, turn)
		return err
	}
}

func TestConversationReplicas(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.ConversationReplicas(t, func(t *testing.T) (_, _ portstest.Replica) {
		a, b, _ := twoProcesses(t, database)
		return a.Conversations(), b.Conversations()
	})
}

func TestBudgetStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.BudgetStore(t, func(t *testing.T) portstest.BudgetSetup {
		schema := newSchema(t, database)
		a, b := open(t, schema), open(t, schema)
		return portstest.BudgetSetup{A: a.Budgets(), B: b.Budgets(), Ledger: b.Ledger(), Commit: commits(a), Elapse: elapses(t, schema)}
	})
}

func TestAnswerStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.AnswerStore(t, func(t *testing.T) portstest.AnswerSetup {
		a, b, commit := twoProcesses(t, database)
		return portstest.AnswerSetup{A: a.Answers(), B: b.Answers(), Commit: commit}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.Outbox(t, func(t *testing.T) portstest.OutboxSetup {
		schema := newSchema(t, database)
		a, b := open(t, schema), open(t, schema)
		return portstest.OutboxSetup{A: a.Outbox(), B: b.Outbox(), Commit: commits(a), Lose: func(t *testing.T) {
			exec(t, connect(t, schema), `DELETE FROM outbox`)
		}}
	})
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.AuditLog(t, func(t *testing.T) portstest.AuditSetup {
		a, b, _ := twoProcesses(t, database)
		return portstest.AuditSetup{A: a.Audit(), B: b.Audit(), Outbox: b.Outbox()}
	})
}

func TestAccountStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.AccountStore(t, func(t *testing.T) portstest.AccountSetup { return accounts(t, database) })
}

func TestSessionStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.SessionStore(t, func(t *testing.T) portstest.AccountSetup { return accounts(t, database) })
}

func accounts(t *testing.T, database string) portstest.AccountSetup {
	t.Helper()
	a, b, _ := twoProcesses(t, database)
	return portstest.AccountSetup{A: a.Accounts(), B: b.Accounts(), SessionsA: a.Sessions(), SessionsB: b.Sessions()}
}

func TestAPIKeyStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.APIKeyStore(t, func(t *testing.T) portstest.APIKeySetup {
		a, b, _ := twoProcesses(t, database)
		return portstest.APIKeySetup{A: a.APIKeys(), B: b.APIKeys(), Audit: a.Audit(), Outbox: a.Outbox()}
	})
}

func TestWorkflowStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.WorkflowStore(t, func(t *testing.T) portstest.WorkflowSetup {
		a, b, _ := twoProcesses(t, database)
		return portstest.WorkflowSetup{A: a.Workflows(), B: b.Workflows(), Outbox: a.Outbox()}
	})
}

func TestGenerationStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.GenerationStore(t, func(t *testing.T) portstest.GenerationSetup {
		schema := newSchema(t, database)
		a, b := open(t, schema), open(t, schema)
		return portstest.GenerationSetup{
			A: a.Generations(), B: b.Generations(), Assets: a.Assets(), Leases: b.FileLeases(), Ledger: a.Ledger(), Budgets: b.Budgets(),
			Outbox: a.Outbox(), Elapse: elapses(t, schema),
		}
	})
}

func TestAssetStore(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.AssetStore(t, func(t *testing.T) portstest.AssetSetup {
		a, b, _ := twoProcesses(t, database)
		return portstest.AssetSetup{A: a.Assets(), B: b.Assets(), LeasesA: a.FileLeases(), LeasesB: b.FileLeases()}
	})
}

func TestToldChanges(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	portstest.ToldChanges(t, func(t *testing.T) portstest.ToldSetup {
		a, b, _ := twoProcesses(t, database)
		return portstest.ToldSetup{A: told(a), B: told(b), Outbox: a.Outbox()}
	})
}

func told(s *postgres.Store) portstest.ToldStores {
	return portstest.ToldStores{
		Personas: s.Personas(), Preferences: s.Personas(), Conversations: s.Conversations(), Directory: s.Conversations(), Assets: s.Assets(),
		Leases: s.FileLeases(), Keys: s.APIKeys(),
	}
}
