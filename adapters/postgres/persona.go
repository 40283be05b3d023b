package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var (
	_ ports.PersonaStore    = (*PersonaStore)(nil)
	_ ports.PreferenceStore = (*PersonaStore)(nil)
)

// PersonaStore keeps personas and who chose which.
type PersonaStore struct{ db *Store }

// Create implements ports.PersonaStore.
func (s *PersonaStore) Create(ctx context.Context, p domain.Persona, events ...domain.Event) error {
	row, err := personaToRow(p)
	if err != nil {
		return fmt.Errorf("postgres create persona: %w", err)
	}
	return s.db.write(ctx, "create persona", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.InsertPersona(ctx, sqlcgen.InsertPersonaParams(row)); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
}

// Get implements ports.PersonaStore.
func (s *PersonaStore) Get(ctx context.Context, id string) (domain.Persona, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Persona{}, errNoPersona(err)
	}
	return s.one(ctx, "get persona", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.Persona, error) {
		return q.GetPersona(ctx, key)
	})
}

// Default implements ports.PersonaStore.
func (s *PersonaStore) Default(ctx context.Context) (domain.Persona, error) {
	want := domain.NewDefaultPersona("", time.Time{})
	return s.one(ctx, "get default persona", func(ctx context.Context, q *sqlcgen.Queries) (sqlcgen.Persona, error) {
		return q.GetPersonaOf(ctx, sqlcgen.GetPersonaOfParams{Name: want.Name, CreatedBy: &want.CreatedBy})
	})
}

func (s *PersonaStore) one(
	ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) (sqlcgen.Persona, error),
) (domain.Persona, error) {
	var p domain.Persona
	err := s.db.read(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := query(ctx, q)
		if err != nil {
			return err
		}
		p, err = personaFromRow(row)
		return err
	})
	if domain.KindOf(err) == domain.NotFound {
		err = errNoPersona(err)
	}
	return p, err
}

// List implements ports.PersonaStore.
func (s *PersonaStore) List(ctx context.Context, activeOnly bool) ([]domain.Persona, error) {
	var rows []sqlcgen.Persona
	err := s.db.read(ctx, "list personas", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if activeOnly {
			rows, err = allActive(ctx, q)
		} else {
			rows, err = q.ListPersonas(ctx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]domain.Persona, len(rows))
	for i, row := range rows {
		if list[i], err = personaFromRow(row); err != nil {
			return nil, fmt.Errorf("postgres list personas: %w", err)
		}
	}
	return list, nil
}

// activePage is how many rows ListActivePersonas returns while there are more.
const activePage = 500

// allActive reads page after page. Nearly always the first is the only one.
func allActive(ctx context.Context, q *sqlcgen.Queries) ([]sqlcgen.Persona, error) {
	var all []sqlcgen.Persona
	next := sqlcgen.ListActivePersonasParams{
		BeforeCreatedAt: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), BeforeID: uuid.Max,
	}
	for {
		page, err := q.ListActivePersonas(ctx, next)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < activePage {
			return all, nil
		}
		last := page[len(page)-1]
		next.BeforeCreatedAt, next.BeforeID = last.CreatedAt, last.ID
	}
}

// Update implements ports.PersonaStore. The row is locked from the first read on, so concurrent edits come one after the other.
func (s *PersonaStore) Update(
	ctx context.Context, id string, edit func(*domain.Persona) error, tell ...func(domain.Persona) domain.Event,
) (domain.Persona, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Persona{}, errNoPersona(err)
	}
	var (
		p       domain.Persona
		editErr error
	)
	err = s.db.write(ctx, "update persona", func(ctx context.Context, q *sqlcgen.Queries) error {
		old, err := q.LockPersona(ctx, key)
		if err != nil {
			return err
		}
		if p, err = personaFromRow(old); err != nil {
			return err
		}
		if editErr = edit(&p); editErr != nil {
			return editErr
		}
		row, err := personaToRow(p)
		if err != nil {
			return err
		}
		row.ID, row.CreatedBy, row.CreatedAt = old.ID, old.CreatedBy, old.CreatedAt
		if err := q.UpdatePersona(ctx, updateParams(row)); err != nil {
			return err
		}
		if p, err = personaFromRow(row); err != nil {
			return err
		}
		return storeEvents(ctx, q, toldOf(p, tell))
	})
	switch {
	case editErr != nil:
		return domain.Persona{}, editErr
	case domain.KindOf(err) == domain.NotFound:
		return domain.Persona{}, errNoPersona(err)
	case err != nil:
		return domain.Persona{}, err
	}
	return p, nil
}

// ChosenPersona implements ports.PreferenceStore.
func (s *PersonaStore) ChosenPersona(ctx context.Context, owner string) (string, error) {
	var id uuid.UUID
	err := s.db.read(ctx, "get preference", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		id, err = q.GetPreference(ctx, owner)
		return err
	})
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// ChoosePersona implements ports.PreferenceStore.
func (s *PersonaStore) ChoosePersona(ctx context.Context, owner, personaID string, at time.Time, events ...domain.Event) error {
	key, err := parseID(personaID)
	if err != nil {
		return errNoPersona(err)
	}
	return s.db.write(ctx, "set preference", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.SetPreference(ctx, sqlcgen.SetPreferenceParams{UserID: owner, PersonaID: key, UpdatedAt: asStored(at)}); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
}

func personaToRow(p domain.Persona) (sqlcgen.Persona, error) {
	id, err := parseID(p.ID)
	if err != nil {
		return sqlcgen.Persona{}, err
	}
	traits, err := encodeMap(p.Traits)
	if err != nil {
		return sqlcgen.Persona{}, fmt.Errorf("traits: %w", err)
	}
	capabilities, err := encodeMap(p.Capabilities)
	if err != nil {
		return sqlcgen.Persona{}, fmt.Errorf("capabilities: %w", err)
	}
	return sqlcgen.Persona{
		ID: id, Name: p.Name, Description: p.Description, SystemPrompt: p.SystemPrompt,
		PersonalityTraits: traits, Capabilities: capabilities, IsActive: p.Active, CreatedBy: orNull(p.CreatedBy),
		CreatedAt: asStored(p.CreatedAt), UpdatedAt: asStored(p.UpdatedAt),
	}, nil
}

func personaFromRow(r sqlcgen.Persona) (domain.Persona, error) {
	traits, err := decodeMap(r.PersonalityTraits)
	if err != nil {
		return domain.Persona{}, fmt.Errorf("traits of persona %s: %w", r.ID, err)
	}
	capabilities, err := decodeMap(r.Capabilities)
	if err != nil {
		return domain.Persona{}, fmt.Errorf("capabilities of persona %s: %w", r.ID, err)
	}
	return domain.Persona{
		ID: r.ID.String(), Name: r.Name, Description: r.Description, SystemPrompt: r.SystemPrompt,
		Traits: traits, Capabilities: capabilities, Active: r.IsActive, CreatedBy: orEmpty(r.CreatedBy),
		CreatedAt: asStored(r.CreatedAt), UpdatedAt: asStored(r.UpdatedAt),
	}, nil
}

func updateParams(r sqlcgen.Persona) sqlcgen.UpdatePersonaParams {
	return sqlcgen.UpdatePersonaParams{
		ID: r.ID, Name: r.Name, Description: r.Description, SystemPrompt: r.SystemPrompt,
		PersonalityTraits: r.PersonalityTraits, Capabilities: r.Capabilities, IsActive: r.IsActive, UpdatedAt: r.UpdatedAt,
	}
}

func errNoPersona(cause error) error {
	return &domain.Error{Kind: domain.NotFound, Message: "Persona not found", Cause: cause}
}

func encodeMap(m map[string]any) (json.RawMessage, error) {
	if m == nil {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(m)
}

// decodeMap reads anything but an object as an empty one: rows of the old platform may hold null or a list.
func decodeMap(raw json.RawMessage) (map[string]any, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return map[string]any{}, nil
}
