package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var (
	_ ports.PersonaStore    = (*PersonaStore)(nil)
	_ ports.PreferenceStore = (*PersonaStore)(nil)
)

// PersonaStore keeps personas and who chose which. The zero value is not usable.
type PersonaStore struct {
	failures
	Outbox *Outbox // where events go; nil forgets them. It must not change once the store is in use

	mu     sync.Mutex
	rows   map[string]personaRow
	chosen map[string]string // owner to persona id
}

// personaRow holds the maps as JSON, so that callers share nothing with the store and get the types that JSON has.
type personaRow struct {
	persona              domain.Persona
	traits, capabilities []byte
}

// NewPersonaStore makes an empty store.
func NewPersonaStore() *PersonaStore {
	return &PersonaStore{rows: map[string]personaRow{}, chosen: map[string]string{}}
}

// Create implements ports.PersonaStore.
func (s *PersonaStore) Create(ctx context.Context, p domain.Persona, events ...domain.Event) error {
	if err := s.enter(ctx, "Create"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.rows[p.ID]; taken {
		return domain.NewError(domain.Conflict, "A persona with this id exists already")
	}
	told, err := stored(events)
	if err != nil {
		return err
	}
	if err := s.put(p); err != nil {
		return err
	}
	s.Outbox.add(ctx, told)
	return nil
}

// Get implements ports.PersonaStore.
func (s *PersonaStore) Get(ctx context.Context, id string) (domain.Persona, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return domain.Persona{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(id)
}

// Default implements ports.PersonaStore.
func (s *PersonaStore) Default(ctx context.Context) (domain.Persona, error) {
	if err := s.enter(ctx, "Default"); err != nil {
		return domain.Persona{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *personaRow
	for _, row := range s.rows {
		if !row.persona.IsDefault() {
			continue
		}
		if found == nil || row.persona.Active || !found.persona.Active && newestFirst(row, *found) < 0 {
			found = &row
		}
		if row.persona.Active {
			break
		}
	}
	if found == nil {
		return domain.Persona{}, errNoPersona()
	}
	return found.toPersona()
}

// List implements ports.PersonaStore.
func (s *PersonaStore) List(ctx context.Context, activeOnly bool) ([]domain.Persona, error) {
	if err := s.enter(ctx, "List"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]personaRow, 0, len(s.rows))
	for _, row := range s.rows {
		if row.persona.Active || !activeOnly {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, newestFirst)
	list := make([]domain.Persona, len(rows))
	for i, row := range rows {
		p, err := row.toPersona()
		if err != nil {
			return nil, err
		}
		list[i] = p
	}
	return list, nil
}

// Update implements ports.PersonaStore. The lock is held while edit runs, so edits of one store happen one after the other.
func (s *PersonaStore) Update(
	ctx context.Context, id string, edit func(*domain.Persona) error, tell ...func(domain.Persona) domain.Event,
) (domain.Persona, error) {
	if err := s.enter(ctx, "Update"); err != nil {
		return domain.Persona{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.get(id)
	if err != nil {
		return domain.Persona{}, err
	}
	p := old
	if err := edit(&p); err != nil {
		return domain.Persona{}, err
	}
	if err := ctx.Err(); err != nil {
		return domain.Persona{}, err
	}
	p.ID, p.CreatedBy, p.CreatedAt = old.ID, old.CreatedBy, old.CreatedAt
	told, err := stored(toldOf(p, tell))
	if err != nil {
		return domain.Persona{}, err
	}
	if err := s.put(p); err != nil {
		return domain.Persona{}, err
	}
	s.Outbox.add(ctx, told)
	return s.get(id)
}

// ChosenPersona implements ports.PreferenceStore.
func (s *PersonaStore) ChosenPersona(ctx context.Context, owner string) (string, error) {
	if err := s.enter(ctx, "ChosenPersona"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.chosen[owner]
	if !ok {
		return "", domain.NewError(domain.NotFound, "No persona chosen")
	}
	return id, nil
}

// ChoosePersona implements ports.PreferenceStore.
func (s *PersonaStore) ChoosePersona(ctx context.Context, owner, personaID string, _ time.Time, events ...domain.Event) error {
	if err := s.enter(ctx, "ChoosePersona"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.get(personaID)
	if err != nil {
		return err
	}
	told, err := stored(events)
	if err != nil {
		return err
	}
	s.chosen[owner] = p.ID
	s.Outbox.add(ctx, told)
	return nil
}

func (s *PersonaStore) get(id string) (domain.Persona, error) {
	row, ok := s.rows[strings.ToLower(id)]
	if !ok {
		return domain.Persona{}, errNoPersona()
	}
	return row.toPersona()
}

func (s *PersonaStore) put(p domain.Persona) error {
	if p.Active {
		for id, row := range s.rows {
			if id != p.ID && row.persona.Active && row.persona.Name == p.Name {
				return &domain.Error{
					Kind: domain.Conflict, Code: domain.CodeNameTaken, Message: "A persona with this name exists already",
				}
			}
		}
	}
	traits, err := encodeMap(p.Traits)
	if err != nil {
		return fmt.Errorf("memory persona traits: %w", err)
	}
	capabilities, err := encodeMap(p.Capabilities)
	if err != nil {
		return fmt.Errorf("memory persona capabilities: %w", err)
	}
	p.Traits, p.Capabilities = nil, nil
	p.CreatedAt, p.UpdatedAt = asStored(p.CreatedAt), asStored(p.UpdatedAt)
	s.rows[p.ID] = personaRow{persona: p, traits: traits, capabilities: capabilities}
	return nil
}

func (r personaRow) toPersona() (domain.Persona, error) {
	p := r.persona
	if err := json.Unmarshal(r.traits, &p.Traits); err != nil {
		return domain.Persona{}, fmt.Errorf("memory persona traits: %w", err)
	}
	if err := json.Unmarshal(r.capabilities, &p.Capabilities); err != nil {
		return domain.Persona{}, fmt.Errorf("memory persona capabilities: %w", err)
	}
	return p, nil
}

func newestFirst(a, b personaRow) int {
	return cmp.Or(b.persona.CreatedAt.Compare(a.persona.CreatedAt), cmp.Compare(b.persona.ID, a.persona.ID))
}

func encodeMap(m map[string]any) ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(m)
}

// asStored rounds a time to what a database keeps of it.
func asStored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func errNoPersona() error { return domain.NewError(domain.NotFound, "Persona not found") }
