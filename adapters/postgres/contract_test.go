package postgres_test

import (
	"testing"

	"gaia/adapters/postgres"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestPersonaStore(t *testing.T) {
	t.Parallel()
	portstest.PersonaStore(t, func(t *testing.T) ports.PersonaStore { return open(t, newDatabase(t)).Personas() })
}

func TestPreferenceStore(t *testing.T) {
	t.Parallel()
	portstest.PreferenceStore(t, func(t *testing.T) (ports.PreferenceStore, ports.PersonaStore) {
		s := open(t, newDatabase(t)).Personas()
		return s, s
	})
}

func TestConversationStore(t *testing.T) {
	t.Parallel()
	portstest.ConversationStore(t, func(t *testing.T) ports.ConversationStore { return open(t, newDatabase(t)).Conversations() })
}

// newDatabase returns the URL of a migrated database of the test's own.
func newDatabase(t *testing.T) string {
	t.Helper()
	url := testenv.Postgres(t)
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, PoolSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
