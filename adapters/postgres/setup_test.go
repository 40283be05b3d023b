package postgres_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/internal/testenv"
)

// newDatabase returns the URL of a migrated database of the test's own.
func newDatabase(t *testing.T) string {
	t.Helper()
	url := testenv.Postgres(t)
	migrateUp(t, url)
	return url
}

// newSchema returns the URL of a new migrated schema in a database: cheaper than a database where a suite needs many.
func newSchema(t *testing.T, database string) string {
	t.Helper()
	name := "Schema_" + uuid.NewString() // a name that has to be quoted
	exec(t, connect(t, database), `CREATE SCHEMA `+pgx.Identifier{name}.Sanitize())
	u := must(url.Parse(database))
	q := u.Query()
	q.Set("search_path", pgx.Identifier{name}.Sanitize())
	u.RawQuery = q.Encode()
	migrateUp(t, u.String())
	return u.String()
}

func open(t *testing.T, url string) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Config{URL: url, PoolSize: 4})
}

func openWith(t *testing.T, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newID() string { return uuid.NewString() }

func aPersona(name string) domain.Persona {
	now := time.Now()
	return domain.Persona{ID: newID(), Name: name, Active: true, CreatedBy: "service", CreatedAt: now, UpdatedAt: now}
}

func aTurn(owner, conversationID string) domain.Turn {
	now := time.Now()
	return domain.Turn{
		Owner: owner, ConversationID: conversationID, NewID: newID(), At: now,
		User:      domain.Message{ID: newID(), Role: domain.RoleUser, Content: "question", CreatedAt: now},
		Assistant: domain.Message{ID: newID(), Role: domain.RoleAssistant, Content: "answer", CreatedAt: now},
	}
}
