package memory_test

import (
	"errors"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/domain"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestPersonaStore(t *testing.T) {
	t.Parallel()
	portstest.PersonaStore(t, func(*testing.T) ports.PersonaStore { return memory.NewPersonaStore() })
}

func TestPreferenceStore(t *testing.T) {
	t.Parallel()
	portstest.PreferenceStore(t, func(*testing.T) (ports.PreferenceStore, ports.PersonaStore) {
		s := memory.NewPersonaStore()
		return s, s
	})
}

func TestConversationStore(t *testing.T) {
	t.Parallel()
	portstest.ConversationStore(t, func(*testing.T) ports.ConversationStore { return memory.NewConversationStore() })
}

func TestLedger(t *testing.T) {
	t.Parallel()
	portstest.Ledger(t, func(*testing.T) ports.Ledger { return memory.NewLedger() })
}

func TestMarks(t *testing.T) {
	t.Parallel()
	portstest.Marks(t, func(*testing.T) ports.Marks { return memory.NewMarks() })
}

func TestFailNextFailsOneCallAndDoesNothing(t *testing.T) {
	t.Parallel()
	s := memory.NewPersonaStore()
	away := domain.MissingPart("away", nil)
	s.FailNext("Create", away)
	p := domain.NewDefaultPersona("6ba7b810-9dad-41d1-80b4-00c04fd430c8", time.Now())
	if err := s.Create(t.Context(), p); !errors.Is(err, away) {
		t.Errorf("got %v, want the planned failure", err)
	}
	if _, err := s.Get(t.Context(), p.ID); domain.KindOf(err) != domain.NotFound {
		t.Errorf("the failed call saved something: %v", err)
	}
	if err := s.Create(t.Context(), p); err != nil {
		t.Errorf("the call after it: %v", err)
	}
}
