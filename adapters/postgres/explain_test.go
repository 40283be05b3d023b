package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/ports"
)

const listIndex = "idx_personas_active_created_at"

// The list of active personas has no LIMIT, so that a plan through the index is right only while it reads a part of the table:
// where nearly everything is active, reading the table once and sorting costs less. The shares here are those at which the index is
// worth it, and a page of a list where it nearly always is. Planner settings are the server's own.
func TestListUsesItsIndexOn100000Personas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		activePercent int
		suffix        string
	}{
		"most are deleted":      {activePercent: 2},
		"a fifth is active":     {activePercent: 20},
		"a page of few active":  {activePercent: 2, suffix: " LIMIT 50"},
		"a page of most active": {activePercent: 90, suffix: " LIMIT 50"},
		"WHOLE90": {activePercent: 90}, "WHOLE99": {activePercent: 99}, "WHOLE50": {activePercent: 50},
		"a far page":            {activePercent: 90, suffix: " LIMIT 50 OFFSET 5000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			conn := connect(t, url)
			fillPersonas(t, conn, 100_000, c.activePercent)
			plan := explain(t, conn, listStatement(t, url)+c.suffix)
			if !strings.Contains(plan, listIndex) {
				t.Errorf("the plan does not use %s:\n%s", listIndex, plan)
			}
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("the plan reads the whole table:\n%s", plan)
			}
			t.Log(plan)
		})
	}
}

func TestHistoryUsesItsIndex(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	conn := connect(t, url)
	exec(t, conn, `INSERT INTO conversations (id, principal)
		SELECT ('c0000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'owner ' || n FROM generate_series(1, 1000) AS n`)
	exec(t, conn, `INSERT INTO chat_messages (principal, conversation_id, role, content)
		SELECT c.principal, c.id, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('word ', 40)
		FROM generate_series(1, 100) AS n, conversations AS c`)
	exec(t, conn, `VACUUM ANALYZE`)
	statement := traced(t, url, "FROM chat_messages", func(s *postgres.Store) {
		if _, err := s.Conversations().History(t.Context(), "owner 7", "", 50); err != nil {
			t.Fatal(err)
		}
	})
	plan := explain(t, conn, statement, "c0000000-0000-4000-8000-000000000007", 50)
	if !strings.Contains(plan, "chat_messages_conversation_seq_key") || strings.Contains(plan, "Sort") {
		t.Errorf("history does not come in order from its index:\n%s", plan)
	}
}

func fillPersonas(t *testing.T, conn *pgx.Conn, n, activePercent int) {
	t.Helper()
	exec(t, conn, `INSERT INTO personas (id, name, description, system_prompt, is_active, created_by, created_at)
		SELECT gen_random_uuid(), 'Persona ' || n, repeat('about ', 10), repeat('You are someone. ', 30),
			hashint4(n) & 1023 < 1024 * $2 / 100, 'owner ' || n % 1000, timestamptz '2024-01-01' + n * interval '1 minute'
		FROM generate_series(1, $1::int) AS n`, n, activePercent)
	exec(t, conn, `VACUUM ANALYZE personas`)
}

// listStatement returns the very statement that the store sends.
func listStatement(t *testing.T, url string) string {
	t.Helper()
	return traced(t, url, "FROM personas", func(s *postgres.Store) {
		var personas ports.PersonaStore = s.Personas()
		if _, err := personas.List(t.Context(), true); err != nil {
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
	lines, err := pgx.CollectRows(must(conn.Query(t.Context(), "EXPLAIN (ANALYZE, COSTS, TIMING OFF) "+statement, args...)), pgx.RowTo[string])
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
