package postgres_test

import (
	"testing"

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
