package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

// No call may take longer than this, whatever the server does: 3 s for a connection, 5 s for the work on it, 2 s for a commit to end, and
// what a busy machine adds.
const bound = 12 * time.Second

// noWait sets limits that a call which is refused at once stays far below, on a busy machine too.
func noWait(url string) postgres.Config {
	return postgres.Config{URL: url, AcquireTimeout: 10 * bound, StatementTimeout: 10 * bound}
}

func TestServerAway(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		begin, end func(*testenv.Server)
		config     func(url string) postgres.Config
	}{
		"killed": {(*testenv.Server).Stop, (*testenv.Server).Start, noWait},
		"frozen": {(*testenv.Server).Pause, (*testenv.Server).Resume, func(url string) postgres.Config { return postgres.Config{URL: url} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.StartPostgres(t)
			migrateUp(t, server.URL())
			s := openWith(t, fault.config(server.URL()))
			p := aPersona("Survivor")
			if err := s.Personas().Create(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			wantHealth(t, s, domain.Healthy)

			fault.begin(server)
			wantAllUnavailable(t, s, p)
			wantHealth(t, s, domain.Unhealthy)

			fault.end(server)
			eventually(t, func() error { _, err := s.Personas().Get(t.Context(), p.ID); return err })
			wantHealth(t, s, domain.Healthy)
			if all, err := s.Personas().List(t.Context(), false); err != nil || len(all) != 1 || all[0].Name != p.Name {
				t.Errorf("after the outage: got %v, %v", all, err)
			}
			if n, err := s.Conversations().Count(t.Context(), "owner", ""); err != nil || n != 0 {
				t.Errorf("after the outage: got %d messages, %v", n, err)
			}
		})
	}
}

func TestServerAwayFromTheStart(t *testing.T) {
	t.Parallel()
	server := testenv.StartPostgres(t)
	migrateUp(t, server.URL())
	server.Stop()
	s := openWith(t, noWait(server.URL()))
	wantAllUnavailable(t, s, aPersona("Early"))
	if err := postgres.MigrateUp(t.Context(), server.URL()); err == nil {
		t.Error("migrated without a server")
	}
	server.Start()
	eventually(t, func() error { return s.Personas().Create(t.Context(), aPersona("Late")) })
}

// A turn whose answer was reported as saved is there after a crash, and no turn is there by half.
func TestServerKilledWhileTurnsAreSaved(t *testing.T) {
	t.Parallel()
	server := testenv.StartPostgres(t)
	migrateUp(t, server.URL())
	s := open(t, server.URL())
	const writers = 4
	var (
		mu    sync.Mutex
		saved []domain.Turn
		done  sync.WaitGroup
		begun = make(chan struct{}, writers)
	)
	for writer := range writers {
		done.Go(func() {
			for i := 0; ; i++ {
				turn := aTurn(fmt.Sprintf("owner %d", writer%2), "")
				if _, err := s.Conversations().CommitTurn(t.Context(), turn); err != nil {
					wantUnavailable(t, "CommitTurn", err)
					return
				}
				mu.Lock()
				saved = append(saved, turn)
				mu.Unlock()
				if i == 20 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-begun
	}
	server.Stop()
	done.Wait()
	server.Start()

	there := map[string]bool{}
	for _, owner := range []string{"owner 0", "owner 1"} {
		var messages []domain.Message
		eventually(t, func() (err error) {
			messages, _, err = s.Conversations().History(t.Context(), owner, "", 0)
			return err
		})
		for i, m := range messages {
			there[m.ID] = true
			if wantRole := []domain.Role{domain.RoleUser, domain.RoleAssistant}[i%2]; m.Role != wantRole {
				t.Fatalf("message %d of %s is half of a turn", i, owner)
			}
		}
		if len(messages)%2 != 0 {
			t.Errorf("%s has %d messages", owner, len(messages))
		}
	}
	for _, turn := range saved {
		if !there[turn.User.ID] || !there[turn.Assistant.ID] {
			t.Fatal("a saved turn is gone")
		}
	}
}

func TestDeadConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := open(t, url)
	p := aPersona("Reconnect")
	if err := s.Personas().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, url), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	eventually(t, func() error { _, err := s.Personas().Get(t.Context(), p.ID); return err })
	eventually(t, func() error { return s.Personas().Create(t.Context(), aPersona("After")) })
}

func TestAllConnectionsBusy(t *testing.T) {
	t.Parallel()
	s := openWith(t, postgres.Config{URL: newDatabase(t), PoolSize: 1, AcquireTimeout: 2 * time.Second})
	p := aPersona("Busy")
	if err := s.Personas().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	_, err := s.Personas().Update(t.Context(), p.ID, func(*domain.Persona) error {
		start := time.Now()
		_, err := s.Personas().Get(t.Context(), p.ID)
		wantUnavailable(t, "Get", err)
		if took := time.Since(start); took > bound {
			t.Errorf("waited %v for a connection", took)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLockHeldByOthers(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := openWith(t, postgres.Config{URL: url, StatementTimeout: 2 * time.Second})
	p := aPersona("Locked")
	if err := s.Personas().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	other := connect(t, url)
	exec(t, other, `BEGIN`)
	exec(t, other, `SELECT FROM personas FOR UPDATE`)
	rename := func() error {
		_, err := s.Personas().Update(t.Context(), p.ID, func(p *domain.Persona) error { p.Name = "Free"; return nil })
		return err
	}
	wantUnavailable(t, "Update", rename())
	exec(t, other, `ROLLBACK`)
	if err := rename(); err != nil {
		t.Errorf("after the lock was gone: %v", err)
	}
}

func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	exec(t, connect(t, url), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
	s := open(t, url)
	wantUnavailable(t, "Create", s.Personas().Create(t.Context(), aPersona("Refused")))
	_, err := s.Conversations().CommitTurn(t.Context(), aTurn("owner", ""))
	wantUnavailable(t, "CommitTurn", err)
	if list, err := s.Personas().List(t.Context(), false); err != nil || len(list) != 0 {
		t.Errorf("List: got %v, %v", list, err)
	}
}

func TestMissingDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openWith(t, postgres.Config{URL: strings.Replace(testenv.Postgres(t), "/t_", "/missing_", 1)})
	_, err := s.Personas().List(t.Context(), true)
	wantUnavailable(t, "List", err)
}

func TestBadURLIsAnErrorWithoutIt(t *testing.T) {
	t.Parallel()
	const url = "postgres://user:s3cret@host:not-a-port/db"
	_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Open: got %v", err)
	}
	if err := postgres.MigrateUp(t.Context(), url); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("MigrateUp: got %v", err)
	}
}

func TestCallerLeavesWhileWaiting(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := openWith(t, noWait(url))
	p := aPersona("Waiting")
	if err := s.Personas().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	other := connect(t, url)
	exec(t, other, `BEGIN`)
	exec(t, other, `SELECT FROM personas FOR UPDATE`)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	_, err := s.Personas().Update(ctx, p.ID, func(*domain.Persona) error { return nil })
	if !errors.Is(err, context.Canceled) || domain.KindOf(err) != domain.Canceled {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > bound {
		t.Errorf("noticed after %v that the caller had left", took)
	}
}

func TestDeeplyNestedJSONIsNoFault(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t)).Personas()
	for _, depth := range []int{100, 5_000, 100_000} {
		p := aPersona(fmt.Sprintf("Deep %d", depth))
		for range depth {
			p.Traits = map[string]any{"d": p.Traits}
		}
		err := s.Create(t.Context(), p)
		if kind := domain.KindOf(err); err != nil && kind != domain.BadRequest {
			t.Errorf("depth %d: got kind %d: %v", depth, kind, err)
		}
		if err == nil {
			if _, err := s.Get(t.Context(), p.ID); err != nil {
				t.Errorf("depth %d was stored and can't be read: %v", depth, err)
			}
		}
	}
}

// wantAllUnavailable makes every call that there is, all at once.
func wantAllUnavailable(t *testing.T, s *postgres.Store, p domain.Persona) {
	t.Helper()
	personas, conversations, workflows, ctx := s.Personas(), s.Conversations(), s.Workflows(), t.Context()
	generations := s.Generations()
	started := domain.WorkflowEvent{ID: newID(), Type: domain.WorkflowEventStarted, At: time.Now()}
	var done sync.WaitGroup
	for name, call := range map[string]func() error{
		"Create":        func() error { return personas.Create(ctx, aPersona("Never")) },
		"Get":           func() error { _, err := personas.Get(ctx, p.ID); return err },
		"Default":       func() error { _, err := personas.Default(ctx); return err },
		"List":          func() error { _, err := personas.List(ctx, true); return err },
		"ChosenPersona": func() error { _, err := personas.ChosenPersona(ctx, "owner"); return err },
		"ChoosePersona": func() error { return personas.ChoosePersona(ctx, "owner", p.ID, time.Now()) },
		"History":       func() error { _, _, err := conversations.History(ctx, "owner", "", 0); return err },
		"Count":         func() error { _, err := conversations.Count(ctx, "owner", ""); return err },
		"CommitTurn":    func() error { _, err := conversations.CommitTurn(ctx, aTurn("owner", "")); return err },
		"Create workflow": func() error {
			_, err := workflows.Create(ctx, domain.Workflow{ID: newID(), Kind: domain.WorkflowAgent, Task: "never"}, started)
			return err
		},
		"Claim":   func() error { _, _, err := workflows.Claim(ctx, newID(), "runner", time.Now(), time.Now()); return err },
		"Renew":   func() error { return workflows.Renew(ctx, newID(), "runner", time.Now()) },
		"Abandon": func() error { return workflows.Abandon(ctx, newID(), "runner") },
		"Commit": func() error {
			return workflows.Commit(ctx, domain.WorkflowChange{Workflow: domain.Workflow{ID: newID()}, Runner: "runner"})
		},
		"Cancel":            func() error { _, _, err := workflows.Cancel(ctx, "owner", newID(), started); return err },
		"Waiting":           func() error { _, err := workflows.Waiting(ctx, time.Now(), 10); return err },
		"Events":            func() error { _, _, err := workflows.Events(ctx, "owner", newID(), 0, 10); return err },
		"Create generation": func() error { _, err := generations.Create(ctx, domain.Generation{ID: newID()}); return err },
		"Get generation":    func() error { _, err := generations.Get(ctx, "owner", newID()); return err },
		"ByKey":             func() error { _, err := generations.ByKey(ctx, "owner", "k"); return err },
		"Open":              func() error { _, err := generations.Open(ctx, "owner"); return err },
		"Claim generation": func() error {
			_, err := generations.Claim(ctx, newID(), "runner", time.Now(), time.Now())
			return err
		},
		"Renew generation":   func() error { return generations.Renew(ctx, newID(), "runner", time.Now()) },
		"Abandon generation": func() error { return generations.Abandon(ctx, newID(), "runner") },
		"Commit generation": func() error {
			_, err := generations.Commit(ctx, domain.GenerationChange{Generation: domain.Generation{ID: newID()}})
			return err
		},
		"ByTask":              func() error { _, err := generations.ByTask(ctx, "meshy", "task"); return err },
		"Waiting generations": func() error { _, err := generations.Waiting(ctx, time.Now(), 10); return err },
		"Generation events":   func() error { _, _, err := generations.Events(ctx, "owner", newID(), 0, 10); return err },
		"Expire generations":  func() error { _, err := generations.Expire(ctx, time.Now()); return err },
		"Clear":               func() error { return conversations.Clear(ctx, "owner", newID()) },
		"Update": func() error {
			_, err := personas.Update(ctx, p.ID, func(p *domain.Persona) error { p.Name = "Never"; return nil })
			return err
		},
	} {
		done.Go(func() {
			start := time.Now()
			wantUnavailable(t, name, call())
			if took := time.Since(start); took > bound {
				t.Errorf("%s took %v, want at most %v", name, took, bound)
			}
		})
	}
	done.Wait()
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || !strings.HasPrefix(e.Message, "The database is not available") {
		t.Errorf("%s: got %v, want Unavailable", what, err)
	}
}

// wantHealth wants a status. A machine that stands still lets a deadline pass by, so what is well may be looked at again, as what is slow may be
// timed again: a store that never sees that its server is back, and a check that does not keep its deadline, are found all the same.
func wantHealth(t *testing.T, s *postgres.Store, want domain.Status) {
	t.Helper()
	if want == domain.Healthy {
		portstest.Within(t, portstest.Patience, "the store is healthy", func() bool {
			got, _ := health(t, s)
			return got.Status == domain.Healthy && got.Detail == ""
		})
		return
	}
	const limit = 3 * time.Second
	took := 2 * limit
	for n := 0; n < 3 && took > limit; n++ {
		var got domain.PartHealth
		if got, took = health(t, s); got.Status != want || got.Detail == "" {
			t.Errorf("health: got %+v, want %s", got, want)
		}
	}
	if took > limit {
		t.Errorf("the check took %v, its deadline was 2 s", took)
	}
}

func health(t *testing.T, s *postgres.Store) (domain.PartHealth, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	start := time.Now()
	return s.Check(ctx), time.Since(start)
}

// eventually calls until it works: after an outage the first calls may meet connections that died in it.
func eventually(t *testing.T, call func() error) {
	t.Helper()
	deadline, poll := time.After(portstest.Patience), time.NewTicker(50*time.Millisecond)
	defer poll.Stop()
	for {
		err := call()
		if err == nil {
			return
		}
		wantUnavailable(t, "on the way back", err)
		select {
		case <-deadline:
			t.Fatalf("not back after %v: %v", portstest.Patience, err)
		case <-poll.C:
		}
	}
}

// A database of the version before must say so too: /readyz would be too kind otherwise.
func TestDatabaseOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrateUp(t, url)
	s := open(t, url)
	wantHealth(t, s, domain.Healthy)
	if err := postgres.MigrateDown(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	wantHealth(t, s, domain.Unhealthy)
}

// A database that nobody migrated must say what to do, and not look like a fault of the program.
func TestUnmigratedDatabase(t *testing.T) {
	t.Parallel()
	s := open(t, testenv.Postgres(t))
	const want = "The database schema is not up to date: run gaia migrate up"
	if h := s.Check(t.Context()); h.Status != domain.Unhealthy || h.Detail != want {
		t.Errorf("the probe says %s, %q", h.Status, h.Detail)
	}
	_, err := s.Personas().List(t.Context(), true)
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Message != want {
		t.Errorf("List: %v", err)
	}
	_, err = s.Conversations().Count(t.Context(), "owner", "")
	if domain.KindOf(err) != domain.Unavailable {
		t.Errorf("Count: %v", err)
	}
}
