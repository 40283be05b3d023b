package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gaia/adapters/sqlite"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestPersonaStore(t *testing.T) {
	t.Parallel()
	portstest.PersonaStore(t, func(t *testing.T) ports.PersonaStore { return open(t, newFile(t)).Personas() })
}

func TestPreferenceStore(t *testing.T) {
	t.Parallel()
	portstest.PreferenceStore(t, func(t *testing.T) (ports.PreferenceStore, ports.PersonaStore) {
		s := open(t, newFile(t)).Personas()
		return s, s
	})
}

func TestConversationStore(t *testing.T) {
	t.Parallel()
	portstest.ConversationStore(t, func(t *testing.T) ports.ConversationStore { return open(t, newFile(t)).Conversations() })
}

func TestTurns(t *testing.T) {
	t.Parallel()
	portstest.Turns(t, func(t *testing.T) portstest.TurnSetup {
		s := open(t, newFile(t))
		return portstest.TurnSetup{
			Conversations: s.Conversations(), Ledger: s.Ledger(), Budgets: s.Budgets(), Answers: s.Answers(), Outbox: s.Outbox(),
		}
	})
}

func TestConversationDirectory(t *testing.T) {
	t.Parallel()
	portstest.ConversationDirectory(t, func(t *testing.T) (ports.ConversationDirectory, ports.ConversationStore) {
		s := open(t, newFile(t)).Conversations()
		return s, s
	})
}

func TestLedger(t *testing.T) {
	t.Parallel()
	portstest.Ledger(t, func(t *testing.T) ports.Ledger { return open(t, newFile(t)).Ledger() })
}

func TestMarks(t *testing.T) {
	t.Parallel()
	portstest.Marks(t, func(t *testing.T) ports.Marks { return open(t, newFile(t)).Marks() })
}

// elapses makes all reservations of a file older.
func elapses(t *testing.T, file string) func(time.Duration) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return func(d time.Duration) {
		if _, err := pool.ExecContext(t.Context(), `UPDATE budget_reservations SET expires_at = expires_at - ?`, d.Microseconds()); err != nil {
			t.Fatal(err)
		}
	}
}

// twoProcesses opens one file twice.
func twoProcesses(t *testing.T) (a, b *sqlite.Store, commit func(context.Context, domain.Turn) error) {
	t.Helper()
	file := newFile(t)
	a, b = open(t, file), open(t, file)
	return a, b, func(ctx context.Context, turn domain.Turn) error {
		_, err := a.Conversations().CommitTurn(ctx, turn)
		return err
	}
}

func TestConversationReplicas(t *testing.T) {
	t.Parallel()
	portstest.ConversationReplicas(t, func(t *testing.T) (_, _ portstest.Replica) {
		a, b, _ := twoProcesses(t)
		return a.Conversations(), b.Conversations()
	})
}

func TestBudgetStore(t *testing.T) {
	t.Parallel()
	portstest.BudgetStore(t, func(t *testing.T) portstest.BudgetSetup {
		file := newFile(t)
		a, b := open(t, file), open(t, file)
		commit := func(ctx context.Context, turn domain.Turn) error {
			_, err := a.Conversations().CommitTurn(ctx, turn)
			return err
		}
		return portstest.BudgetSetup{A: a.Budgets(), B: b.Budgets(), Ledger: b.Ledger(), Commit: commit, Elapse: elapses(t, file)}
	})
}

func TestAnswerStore(t *testing.T) {
	t.Parallel()
	portstest.AnswerStore(t, func(t *testing.T) portstest.AnswerSetup {
		a, b, commit := twoProcesses(t)
		return portstest.AnswerSetup{A: a.Answers(), B: b.Answers(), Commit: commit}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(t *testing.T) portstest.OutboxSetup {
		file := newFile(t)
		a := open(t, file)
		commit := func(ctx context.Context, turn domain.Turn) error {
			_, err := a.Conversations().CommitTurn(ctx, turn)
			return err
		}
		// One process alone sends.
		return portstest.OutboxSetup{A: a.Outbox(), B: a.Outbox(), Commit: commit, Lose: func(t *testing.T) { execIn(t, file, `DELETE FROM outbox`) }}
	})
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	portstest.AuditLog(t, func(t *testing.T) portstest.AuditSetup {
		a, b, _ := twoProcesses(t)
		return portstest.AuditSetup{A: a.Audit(), B: b.Audit(), Outbox: a.Outbox()}
	})
}

func TestAccountStore(t *testing.T) {
	t.Parallel()
	portstest.AccountStore(t, func(t *testing.T) portstest.AccountSetup { return accounts(t) })
}

func TestSessionStore(t *testing.T) {
	t.Parallel()
	portstest.SessionStore(t, func(t *testing.T) portstest.AccountSetup { return accounts(t) })
}

func accounts(t *testing.T) portstest.AccountSetup {
	t.Helper()
	a, b, _ := twoProcesses(t)
	return portstest.AccountSetup{A: a.Accounts(), B: b.Accounts(), SessionsA: a.Sessions(), SessionsB: b.Sessions()}
}

// newFile returns the path of a migrated database.
func newFile(t *testing.T) string {
	t.Helper()
	data, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gaia.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// migrated is a new database as a file. Making it takes a second with the race detector, and hundreds of tests need one.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gaia-sqlite")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of a test
	path := filepath.Join(dir, "gaia.db")
	if err := sqlite.MigrateUp(context.Background(), path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	return openWith(t, sqlite.Config{Path: path})
}

func openWith(t *testing.T, c sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAPIKeyStore(t *testing.T) {
	t.Parallel()
	portstest.APIKeyStore(t, func(t *testing.T) portstest.APIKeySetup {
		a, b, _ := twoProcesses(t)
		return portstest.APIKeySetup{A: a.APIKeys(), B: b.APIKeys(), Audit: a.Audit(), Outbox: a.Outbox()}
	})
}

func TestWorkflowStore(t *testing.T) {
	t.Parallel()
	portstest.WorkflowStore(t, func(t *testing.T) portstest.WorkflowSetup {
		a, b, _ := twoProcesses(t)
		return portstest.WorkflowSetup{A: a.Workflows(), B: b.Workflows(), Outbox: a.Outbox()}
	})
}

func TestGenerationStore(t *testing.T) {
	t.Parallel()
	portstest.GenerationStore(t, func(t *testing.T) portstest.GenerationSetup {
		file := newFile(t)
		a, b := open(t, file), open(t, file)
		return portstest.GenerationSetup{
			A: a.Generations(), B: b.Generations(), Assets: a.Assets(), Leases: b.FileLeases(), Ledger: a.Ledger(), Budgets: b.Budgets(),
			Outbox: a.Outbox(), Elapse: elapses(t, file),
		}
	})
}

func TestAssetStore(t *testing.T) {
	t.Parallel()
	portstest.AssetStore(t, func(t *testing.T) portstest.AssetSetup {
		a, b, _ := twoProcesses(t)
		return portstest.AssetSetup{A: a.Assets(), B: b.Assets(), LeasesA: a.FileLeases(), LeasesB: b.FileLeases()}
	})
}

// execIn runs a statement as another program does.
func execIn(t *testing.T, file, statement string) {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestToldChanges(t *testing.T) {
	t.Parallel()
	portstest.ToldChanges(t, func(t *testing.T) portstest.ToldSetup {
		a, b, _ := twoProcesses(t)
		return portstest.ToldSetup{A: told(a), B: told(b), Outbox: a.Outbox()}
	})
}

func told(s *sqlite.Store) portstest.ToldStores {
	return portstest.ToldStores{
		Personas: s.Personas(), Preferences: s.Personas(), Conversations: s.Conversations(), Directory: s.Conversations(), Assets: s.Assets(),
		Leases: s.FileLeases(), Keys: s.APIKeys(),
	}
}
