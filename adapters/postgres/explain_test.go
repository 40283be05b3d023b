package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
)

const listIndex = "idx_personas_active_created_at"

// The list of active personas is read by pages, so that its index is the right plan whether few or nearly all personas are active,
// and whether rows are small or large. Planner settings are the server's own.
func TestListUsesItsIndexOn100000Personas(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	statement := listStatement(t, url)
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	middle := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ activePercent, words int }{{1, 30}, {50, 1}, {90, 30}} {
		fillPersonas(t, conn, 100_000, c.activePercent, c.words)
		for _, before := range []time.Time{last, middle} {
			plan := explain(t, conn, statement, before, uuid.Max)
			if !strings.Contains(plan, "Index Scan using "+listIndex) || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%d %% active, %d words: the plan does not use %s:\n%s", c.activePercent, c.words, listIndex, plan)
			}
		}
	}
}

func TestListReadsAllPages(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	fillPersonas(t, conn, 2_300, 100, 1)
	exec(t, conn, `UPDATE personas SET created_at = date_trunc('hour', created_at)`) // pages end within an age
	want, err := pgx.CollectRows(must(conn.Query(t.Context(), `SELECT id::text FROM personas ORDER BY created_at DESC, id DESC`)), pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	list, err := open(t, url).Personas().List(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d personas, want %d in their order", len(got), len(want))
	}
}

func TestHistoryUsesItsIndex(t *testing.T) {
	t.Parallel()
	const conversation = "c0000000-0000-4000-8000-000000000007"
	url := newDatabase(t)
	conn := connect(t, url)
	exec(t, conn, `INSERT INTO conversations (id, principal, is_default)
		SELECT ('c0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'owner ' || n, true FROM generate_series(1, 1000) AS n`)
	exec(t, conn, `INSERT INTO chat_messages (principal, conversation_id, role, content)
		SELECT c.principal, c.id, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('word ', 40)
		FROM generate_series(1, 100) AS n, conversations AS c`)
	exec(t, conn, `VACUUM ANALYZE`)
	for name, c := range map[string]struct {
		named string
		args  []any
	}{
		"named":   {conversation, []any{conversation, "owner 7", 0, 50}},
		"default": {"", []any{"owner 7", 0, 50}},
	} {
		statement := traced(t, url, "FROM chat_messages", func(s *postgres.Store) {
			if _, _, err := s.Conversations().History(t.Context(), "owner 7", c.named, 50); err != nil {
				t.Fatal(err)
			}
		})
		plan := explain(t, conn, statement, c.args...)
		if !strings.Contains(plan, "chat_messages_conversation_seq_key") || strings.Contains(plan, "Sort") {
			t.Errorf("%s: history does not come in order from its index:\n%s", name, plan)
		}
	}
}

// Pages of the list of conversations come in order from their index, also for who has a hundred thousand.
func TestConversationsUseTheirIndex(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	exec(t, conn, `INSERT INTO conversations (id, principal, updated_at)
		SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'owner 0' ELSE 'owner ' || n END, timestamptz '2024-01-01' + n % 1000 * interval '1 minute'
		FROM generate_series(1, 100000) AS n`)
	exec(t, conn, `VACUUM ANALYZE conversations`)
	statement := traced(t, url, "ORDER BY updated_at DESC", func(s *postgres.Store) {
		if _, _, err := s.Conversations().List(t.Context(), "owner 0", 20, 0); err != nil {
			t.Fatal(err)
		}
	})
	plan := explain(t, conn, statement, "owner 0", 0, 20)
	if !strings.Contains(plan, "idx_conversations_principal") || strings.Contains(plan, "Sort") {
		t.Errorf("conversations do not come in order from their index:\n%s", plan)
	}
}

func fillPersonas(t *testing.T, conn *pgx.Conn, n, activePercent, words int) {
	t.Helper()
	exec(t, conn, `TRUNCATE personas CASCADE`)
	exec(t, conn, `INSERT INTO personas (id, name, description, system_prompt, is_active, created_by, created_at)
		SELECT gen_random_uuid(), 'Persona ' || n, repeat('about ', $3), repeat('You are someone. ', $3),
			abs(hashint4(n) % 100) < $2, 'owner ' || n % 1000, timestamptz '2024-01-01' + n * interval '1 minute'
		FROM generate_series(1, $1::int) AS n`, n, activePercent, words)
	exec(t, conn, `VACUUM ANALYZE personas`)
}

// listStatement returns the very statement that the store sends.
func listStatement(t *testing.T, url string) string {
	t.Helper()
	return traced(t, url, "FROM personas", func(s *postgres.Store) {
		if _, err := s.Personas().List(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	})
}

func traced(t *testing.T, url, mark string, use func(*postgres.Store)) string {
	t.Helper()
	var seen statements
	s, err := postgres.OpenTraced(t.Context(), postgres.Config{URL: url, PoolSize: 1}, &seen)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	use(s)
	i := slices.IndexFunc(seen.list, func(sql string) bool { return strings.Contains(sql, mark) })
	if i < 0 {
		t.Fatalf("no statement has %q: %q", mark, seen.list)
	}
	return strings.TrimRight(seen.list[i], "; \n")
}

func explain(t *testing.T, conn *pgx.Conn, statement string, args ...any) string {
	t.Helper()
	lines, err := pgx.CollectRows(must(conn.Query(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+statement, args...)), pgx.RowTo[string])
	if err != nil {
		t.Fatal(fmt.Errorf("explain: %w", err))
	}
	return strings.Join(lines, "\n")
}

// statements writes down what goes to the server.
type statements struct {
	mu   sync.Mutex
	list []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, data.SQL)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
