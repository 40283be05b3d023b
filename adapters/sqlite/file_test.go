package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/sqlite"
	"gaia/domain"
)

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open(t, path)
	create(t, s, "Private")
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(file), mode)
		}
	}
}

func TestOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space.db", "100%.db", "a?b#c&d.db", "ü日本.db", "semi;colon'quote.db"} {
		path := filepath.Join(t.TempDir(), name)
		if err := sqlite.MigrateUp(t.Context(), path); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		create(t, open(t, path), "Anyone")
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: the data is elsewhere: %v", name, err)
		}
	}
}

func TestDataSurvivesReopening(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	first, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	p := create(t, first, "Lasting")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, path).Personas().Get(t.Context(), p.ID); err != nil || got.Name != p.Name {
		t.Errorf("got %v, %v", got, err)
	}
}

// A process that is killed closes nothing: what it had saved must be in the files as they are then.
func TestDataSurvivesWithoutClosing(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	p := create(t, open(t, path), "Crash")
	crashed := filepath.Join(t.TempDir(), "gaia.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open(t, crashed).Personas().Get(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
}

func TestAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := openWith(t, sqlite.Config{Path: path, Timeout: time.Second})
	other := open(t, path)
	if err := other.ExecWriter(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wantUnavailable(t, s.Personas().Create(t.Context(), aPersona("Busy")))
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("waited %v", took)
	}
	if list, err := s.Personas().List(t.Context(), true); err != nil || len(list) != 0 {
		t.Errorf("reading beside a writer: got %v, %v", list, err)
	}
	if err := other.ExecWriter(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	create(t, s, "Busy")
}

func TestFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end string }{
		"full":      {"PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"}, // SQLite makes it the present size
		"read-only": {"PRAGMA query_only = 1", "PRAGMA query_only = 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, newFile(t))
			p := create(t, s, "Before")
			if err := s.ExecWriter(t.Context(), fault.begin); err != nil {
				t.Fatal(err)
			}
			turn := aTurn(strings.Repeat("a long answer ", 50_000))
			_, err := s.Conversations().CommitTurn(t.Context(), turn)
			wantUnavailable(t, err)
			if n, err := s.Conversations().Count(t.Context(), turn.Owner, ""); err != nil || n != 0 {
				t.Errorf("%d messages of a turn that failed, %v", n, err)
			}
			if _, err := s.Personas().Get(t.Context(), p.ID); err != nil {
				t.Errorf("reading: %v", err)
			}
			if err := s.ExecWriter(t.Context(), fault.end); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Conversations().CommitTurn(t.Context(), turn); err != nil {
				t.Errorf("after the fault was gone: %v", err)
			}
		})
	}
}

func TestFileIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gaia.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	wantUnavailable(t, err)
	if err := sqlite.MigrateUp(t.Context(), path); err == nil {
		t.Error("migrated something that is no database")
	}
}

func TestCallerLeavesWhileWaiting(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	p := create(t, s, "Held")
	_, err := s.Personas().Update(t.Context(), p.ID, func(*domain.Persona) error {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := s.Personas().Create(ctx, aPersona("Waiting")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	if got := s.Check(t.Context()); got.Status != domain.Healthy || got.Detail != "" || got.ResponseTime <= 0 {
		t.Errorf("got %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.Check(ctx); got.Status != domain.Unhealthy || got.Detail == "" {
		t.Errorf("without time to ask: got %+v", got)
	}
}

func TestListsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	for index, query := range map[string]string{
		"idx_personas_active_created_at":     "SELECT * FROM personas WHERE is_active = TRUE ORDER BY created_at DESC, id DESC",
		"idx_chat_messages_conversation_seq": "SELECT * FROM chat_messages WHERE conversation_id = 'x' ORDER BY seq DESC LIMIT 50",
		"conversations_default_key":          "SELECT id FROM conversations WHERE principal = 'x' AND is_default",
		"idx_conversations_principal":        "SELECT * FROM conversations WHERE principal = 'x' AND is_active ORDER BY updated_at DESC, id DESC LIMIT 20",
	} {
		if plan, err := s.ExplainRead(t.Context(), query); err != nil || !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s: the plan does not use %s: %s %v", query, index, plan, err)
		}
	}
}

// Pages of conversations need no sorting at all: there may be many of one time.
func TestConversationsComeInOrder(t *testing.T) {
	t.Parallel()
	const query = "SELECT * FROM conversations WHERE principal = 'x' AND is_active ORDER BY updated_at DESC, id DESC LIMIT 20"
	if plan, err := open(t, newFile(t)).ExplainRead(t.Context(), query); err != nil || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("%s %v", plan, err)
	}
}

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gaia.db")
	const migrations = 8
	wantApplied := func(n int) {
		t.Helper()
		list, err := sqlite.MigrationStatus(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != migrations {
			t.Errorf("got %d migrations, want %d", len(list), migrations)
		}
		for i, m := range list {
			if m.AppliedAt.IsZero() == (i < n) {
				t.Errorf("got %+v, with %d to be applied", m, n)
			}
		}
	}
	wantApplied(0)
	for range 2 {
		for range 2 {
			if err := sqlite.MigrateUp(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			wantApplied(migrations)
		}
		create(t, open(t, path), "Between")
		for left := migrations - 1; left >= -1; left-- { // the last time nothing is left to do
			if err := sqlite.MigrateDown(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			wantApplied(max(left, 0))
		}
	}
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gaia.db")
	errs := make([]error, 3)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { errs[i] = sqlite.MigrateUp(t.Context(), path) })
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	create(t, open(t, path), "After")
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Message != "The database is not available" {
		t.Errorf("got %v, want Unavailable", err)
	}
}

func create(t *testing.T, s *sqlite.Store, name string) domain.Persona {
	t.Helper()
	p := aPersona(name)
	if err := s.Personas().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func aPersona(name string) domain.Persona {
	now := time.Now()
	return domain.Persona{ID: uuid.NewString(), Name: name, Active: true, CreatedAt: now, UpdatedAt: now}
}

func aTurn(answer string) domain.Turn {
	now := time.Now()
	return domain.Turn{
		Owner: "owner", NewID: uuid.NewString(), At: now,
		User:      domain.Message{ID: uuid.NewString(), Role: domain.RoleUser, Content: "question", CreatedAt: now},
		Assistant: domain.Message{ID: uuid.NewString(), Role: domain.RoleAssistant, Content: answer, CreatedAt: now},
	}
}

// TestCallersWhoLeaveLeaveNoTransaction: however early somebody leaves, others can write.
func TestCallersWhoLeaveLeaveNoTransaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gaia.db")
	if err := sqlite.MigrateUp(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	for i := range 400 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		_ = s.Marks().SetMark(ctx, "mark", time.Now()) // may or may not get through
		cancel()
	}
	if err := s.Marks().SetMark(t.Context(), "mark", time.Now()); err != nil {
		t.Errorf("after callers who left: %v", err)
	}
}
