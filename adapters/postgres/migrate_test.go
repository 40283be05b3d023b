package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

const (
	ada          = "11111111-1111-4111-8111-111111111111"
	bob          = "22222222-2222-4222-8222-222222222222"
	adasChat     = "c0000000-0000-4000-8000-000000000001"
	legacyMu     = "b0000000-0000-4000-8000-000000000001"
	legacySage   = "b0000000-0000-4000-8000-000000000002"
	gaiaBaseline = 9 // migrations
)

func TestMigrateTakesOverTheOldPlatform(t *testing.T) {
	t.Parallel()
	for name, variant := range map[string]string{"plain": "", "hosted": "variant_hosted.sql", "core only": "variant_core.sql"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := legacyDatabase(t, variant)
			before := snapshot(t, url)
			migrateUp(t, url)
			wantRowsKept(t, before, snapshot(t, url))
			wantLegacyPersonasWork(t, url)
			if _, ok := before["chat_messages"]; ok {
				wantLegacyCounts(t, url)
				wantLegacyChatsWork(t, url)
			}
		})
	}
}

func TestMigrateOldPlatformDownAndUpLosesNothing(t *testing.T) {
	t.Parallel()
	url := legacyDatabase(t, "")
	migrateUp(t, url)
	turn := aTurn("service", "")
	if _, err := open(t, url).Conversations().CommitTurn(t.Context(), turn); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, url)
	for _, table := range []string{
		"usage_ledger", "outbox", "budgets", "budget_reservations", "kept_answers", "marks",
		"accounts", "account_sessions", "refresh_tokens", "audit_log", "workflows", "workflow_steps", "workflow_events",
		"file_leases", "generations", "generation_tasks", "generation_events", "asset_words", "outbox_state",
	} {
		delete(before, table) // the old platform has no place for these
	}
	for _, key := range before["api_keys"] { // Gaia's own columns
		delete(key, "prefix")
		delete(key, "tools")
	}
	for _, asset := range before["assets"] {
		for _, column := range []string{
			"owner", "public", "source", "source_name", "file_key", "preview_key", "content_type", "file_size", "sha256", "cost",
			"response_time_ms", "generation_id", "words", "tags",
		} {
			delete(asset, column)
		}
	}
	for range gaiaBaseline + 1 { // one more than there are: nothing is left to do then
		if err := postgres.MigrateDown(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
	counts := make([]any, len(before["conversations"]))
	for i, c := range before["conversations"] {
		counts[i] = c["message_count"]
		delete(c, "message_count") // and this it counts itself
	}
	wantRowsKept(t, before, snapshot(t, url))
	migrateUp(t, url)
	for i, c := range before["conversations"] {
		c["message_count"] = counts[i]
	}
	wantRowsKept(t, before, snapshot(t, url))
	messages, _, err := open(t, url).Conversations().History(t.Context(), "service", "", 0)
	if err != nil || len(messages) != 2 || messages[0].ID != turn.User.ID {
		t.Errorf("got %v, %v", messages, err)
	}
	wantLegacyChatsWork(t, url)
}

func TestMigrateEmptyDatabaseUpDownUp(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrateUp(t, url)
	if err := open(t, url).Personas().Create(t.Context(), domain.NewDefaultPersona(newID(), time.Now())); err != nil {
		t.Fatal(err)
	}
	wantApplied(t, url, gaiaBaseline)
	for left := gaiaBaseline - 1; left >= -1; left-- { // the last time nothing is left to do
		if err := postgres.MigrateDown(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		wantApplied(t, url, max(left, 0))
	}
	if left := slices.Collect(maps.Keys(snapshot(t, url))); len(left) > 0 {
		t.Errorf("tables are left: %v", left)
	}
	migrateUp(t, url)
	wantApplied(t, url, gaiaBaseline)
	if _, err := open(t, url).Personas().Default(t.Context()); domain.KindOf(err) != domain.NotFound {
		t.Errorf("got %v from an empty store", err)
	}
}

func TestMigrateReplicasAtOnce(t *testing.T) {
	t.Parallel()
	// goose's own lock would make the losers wait for at least 5 s each time; a busy machine is slow only now and then.
	const tries, limit = 5, 4 * time.Second
	var took time.Duration
	for range tries {
		if took = migrateAtOnce(t, testenv.Postgres(t)); took <= limit {
			return
		}
	}
	t.Errorf("replicas that start at once took %v", took)
}

func migrateAtOnce(t *testing.T, url string) (took time.Duration) {
	t.Helper()
	start, errs := time.Now(), make([]error, 3)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { errs[i] = postgres.MigrateUp(t.Context(), url) })
	}
	done.Wait()
	took = time.Since(start)
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	wantApplied(t, url, gaiaBaseline)
	return took
}

// TestMigrateBesideTransactionsInTheirOrder: processes that work meanwhile change work first and tell of it after, in one transaction.
func TestMigrateBesideTransactionsInTheirOrder(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	migrateUp(t, url)
	if err := postgres.MigrateDown(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	working, watching := connect(t, url), connect(t, url)
	tx, err := working.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // it is committed when all is well
	lock := func(table string) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table+" IN ROW EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
	}
	lock("generations")
	migrated := make(chan error, 1)
	go func() { migrated <- postgres.MigrateUp(t.Context(), url) }()
	portstest.Within(t, portstest.Patience, "the migration waits for that transaction", func() bool {
		var waits bool
		err := watching.QueryRow(t.Context(), "SELECT exists(SELECT FROM pg_locks WHERE NOT granted AND relation = 'generations'::regclass)").Scan(&waits)
		return err == nil && waits
	})
	lock("outbox")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-migrated:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the migration hangs")
	}
	wantApplied(t, url, gaiaBaseline)
}

func TestMigrateStopsWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := postgres.MigrateUp(ctx, url); err == nil {
		t.Error("migrated for someone who had left")
	}
}

func TestUpdatedAtTrigger(t *testing.T) {
	t.Parallel()
	conn := connect(t, newDatabase(t))
	exec(t, conn, `INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, 'a@example.org', '2024-01-01', '2024-01-01')`, ada)
	exec(t, conn, `UPDATE users SET name = 'Ada'`)
	var recent bool
	if err := conn.QueryRow(t.Context(), `SELECT updated_at > now() - interval '1 minute' FROM users`).Scan(&recent); err != nil || !recent {
		t.Errorf("updated_at did not follow a change: %v", err)
	}
	exec(t, conn, `UPDATE users SET updated_at = '2025-05-05 05:05:05+00'`)
	var at time.Time
	if err := conn.QueryRow(t.Context(), `SELECT updated_at FROM users`).Scan(&at); err != nil || at.UTC().Year() != 2025 {
		t.Errorf("a time that the statement set was replaced: %v, %v", at, err)
	}
}

// wantLegacyPersonasWork uses rows of the old platform through the store.
func wantLegacyPersonasWork(t *testing.T, url string) {
	t.Helper()
	s := open(t, url).Personas()
	if mu, err := s.Default(t.Context()); err != nil || mu.ID != legacyMu || !mu.IsDefault() {
		t.Errorf("default persona: got %+v, %v", mu, err)
	}
	active, err := s.List(t.Context(), true)
	if err != nil || len(active) != 2 || active[0].ID != legacySage || active[0].CreatedBy != ada {
		t.Errorf("active personas: got %+v, %v", active, err)
	}
	if all, err := s.List(t.Context(), false); err != nil || len(all) != 4 {
		t.Errorf("all personas: got %+v, %v", all, err)
	}
	if chosen, err := s.ChosenPersona(t.Context(), ada); err != nil || chosen != legacySage {
		t.Errorf("preference: got %q, %v", chosen, err)
	}
	if err := s.ChoosePersona(t.Context(), "key:1", legacyMu, time.Now()); err != nil {
		t.Errorf("preference of a key: %v", err)
	}
	again := domain.Persona{ID: newID(), Name: "Deleted", Active: true, CreatedBy: "key:1"}
	if err := s.Create(t.Context(), again); err != nil {
		t.Errorf("the name of a deleted persona is still taken: %v", err)
	}
}

// wantLegacyCounts compares what conversations say of their messages with the messages. One of them has a message that is not counted.
func wantLegacyCounts(t *testing.T, url string) {
	t.Helper()
	conn := connect(t, url)
	var wrong, counted int
	err := conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE message_count <> (
			SELECT count(*) FROM chat_messages AS m WHERE m.conversation_id = c.id AND m.role IN ('user', 'assistant')
		)), sum(message_count) FROM conversations AS c`).Scan(&wrong, &counted)
	if err != nil || wrong != 0 || counted != 5 {
		t.Errorf("%d conversations count wrongly, %d messages in all, %v", wrong, counted, err)
	}
	if n, err := open(t, url).Conversations().Count(t.Context(), ada, adasChat); err != nil || n != 4 {
		t.Errorf("counted %d messages, %v", n, err)
	}
}

// wantLegacyChatsWork goes on with a conversation of the old platform.
func wantLegacyChatsWork(t *testing.T, url string) {
	t.Helper()
	s := open(t, url).Conversations()
	turn := aTurn(ada, adasChat)
	if id, err := s.CommitTurn(t.Context(), turn); err != nil || id != adasChat {
		t.Errorf("append: got %q, %v", id, err)
	}
	messages, _, err := s.History(t.Context(), ada, adasChat, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range messages {
		got = append(got, m.Content)
	}
	want := []string{"first question", "first answer", "third question", "third answer", turn.User.Content, turn.Assistant.Content}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, _, err := s.History(t.Context(), bob, adasChat, 0); domain.KindOf(err) != domain.NotFound {
		t.Errorf("Bob reads Ada's conversation: %v", err)
	}
}

func migrateUp(t *testing.T, url string) {
	t.Helper()
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
}

// wantApplied checks that of all migrations the first n are in force.
func wantApplied(t *testing.T, url string, n int) {
	t.Helper()
	list, err := postgres.MigrationStatus(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != gaiaBaseline {
		t.Errorf("got %d migrations, want %d", len(list), gaiaBaseline)
	}
	for i, m := range list {
		if m.Version != int64(i+1) || !strings.HasSuffix(m.Name, ".sql") || m.AppliedAt.IsZero() == (i < n) {
			t.Errorf("got %+v, with %d to be applied", m, n)
		}
	}
}

// legacyDatabase returns the URL of a filled database of the old platform. Its sessions are far from UTC, which must not matter.
func legacyDatabase(t *testing.T, variant string) string {
	t.Helper()
	url := testenv.Postgres(t)
	conn := connect(t, url)
	exec(t, conn, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Tokyo'); END $$`)
	for _, file := range []string{"llm_platform.sql", "llm_platform_rows.sql", variant} {
		if file == "" {
			continue
		}
		script, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().Exec(t.Context(), string(script)).ReadAll(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return url
}

// rows of a table as JSON by column, in a stable order.
type rows []map[string]any

// snapshot reads every table except those that keep track of migrations.
func snapshot(t *testing.T, url string) map[string]rows {
	t.Helper()
	conn := connect(t, url)
	exec(t, conn, `SET TIME ZONE 'UTC'`)
	names, err := pgx.CollectRows(must(conn.Query(t.Context(), `SELECT tablename::text FROM pg_tables
		WHERE schemaname = current_schema() AND tablename NOT IN ('goose_db_version', 'gaia_adopted_tables')`)), pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]rows{}
	for _, name := range names {
		// By the key and not by the whole row: migrations change the other columns.
		key := "to_jsonb(r)->>'id'"
		if name == "user_persona_preferences" {
			key = "user_id::text"
		}
		query := `SELECT to_jsonb(r)::text FROM ` + pgx.Identifier{name}.Sanitize() + ` AS r ORDER BY ` + key
		texts, err := pgx.CollectRows(must(conn.Query(t.Context(), query)), pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		tables[name] = make(rows, len(texts))
		for i, text := range texts {
			if err := json.Unmarshal([]byte(text), &tables[name][i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return tables
}

// wantRowsKept checks that every row is there with every value that it had. Only a null may have become something.
func wantRowsKept(t *testing.T, before, after map[string]rows) {
	t.Helper()
	for table, old := range before {
		if len(after[table]) != len(old) || len(old) == 0 {
			t.Errorf("%s: had %d rows, has %d", table, len(old), len(after[table]))
			continue
		}
		for i, row := range old {
			for column, value := range row {
				if now := after[table][i][column]; value != nil && !sameValue(value, now) {
					t.Errorf("%s.%s: was %v, is %v", table, column, value, now)
				}
			}
		}
	}
}

// sameValue also takes a time without zone and the same one in UTC for equal.
func sameValue(a, b any) bool {
	normal := func(v any) string { return strings.ReplaceAll(string(must(json.Marshal(v))), "+00:00", "") }
	return normal(a) == normal(b)
}
