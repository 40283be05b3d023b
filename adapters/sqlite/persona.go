package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"gaia/adapters/sqlite/internal/sqlcgen"
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
		return fmt.Errorf("sqlite create persona: %w", err)
	}
	err = s.db.write(ctx, "create persona", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.InsertPersona(ctx, sqlcgen.InsertPersonaParams(row)); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
	return inPersonaWords(err)
}

// Get implements ports.PersonaStore.
func (s *PersonaStore) Get(ctx context.Context, id string) (domain.Persona, error) {
	key, ok := domain.ParseID(id)
	if !ok {
		return domain.Persona{}, errNoPersona(nil)
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
	err := s.db.readFew(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := query(ctx, q)
		if err != nil {
			return err
		}
		p, err = personaFromRow(row)
		return err
	})
	return p, inPersonaWords(err)
}

// List implements ports.PersonaStore.
func (s *PersonaStore) List(ctx context.Context, activeOnly bool) ([]domain.Persona, error) {
	var list []domain.Persona
	err := s.db.read(ctx, "list personas", func(ctx context.Context, q *sqlcgen.Queries) error {
		query := q.ListPersonas
		if activeOnly {
			query = q.ListActivePersonas
		}
		rows, err := query(ctx)
		if err != nil {
			return err
		}
		list = make([]domain.Persona, len(rows))
		for i, row := range rows {
			if list[i], err = personaFromRow(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Update implements ports.PersonaStore. The transaction holds the write lock from its start, so concurrent edits come
// one after the other.
func (s *PersonaStore) Update(
	ctx context.Context, id string, edit func(*domain.Persona) error, tell ...func(domain.Persona) domain.Event,
) (domain.Persona, error) {
	key, ok := domain.ParseID(id)
	if !ok {
		return domain.Persona{}, errNoPersona(nil)
	}
	var (
		p       domain.Persona
		editErr error
	)
	err := s.db.write(ctx, "update persona", func(ctx context.Context, q *sqlcgen.Queries) error {
		old, err := q.GetPersona(ctx, key)
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
	case err != nil:
		return domain.Persona{}, inPersonaWords(err)
	}
	return p, nil
}

// ChosenPersona implements ports.PreferenceStore.
func (s *PersonaStore) ChosenPersona(ctx context.Context, owner string) (string, error) {
	var id string
	err := s.db.readFew(ctx, "get preference", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		id, err = q.GetPreference(ctx, owner)
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// ChoosePersona implements ports.PreferenceStore.
func (s *PersonaStore) ChoosePersona(ctx context.Context, owner, personaID string, at time.Time, events ...domain.Event) error {
	key, ok := domain.ParseID(personaID)
	if !ok {
		return errNoPersona(nil)
	}
	err := s.db.write(ctx, "set preference", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.SetPreference(ctx, sqlcgen.SetPreferenceParams{UserID: owner, PersonaID: key, UpdatedAt: asStored(at)}); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
	return inPersonaWords(err)
}

func personaToRow(p domain.Persona) (sqlcgen.Persona, error) {
	id, ok := domain.ParseID(p.ID)
	if !ok {
		return sqlcgen.Persona{}, fmt.Errorf("%q is no id", p.ID)
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
		ID: r.ID, Name: r.Name, Description: r.Description, SystemPrompt: r.SystemPrompt,
		Traits: traits, Capabilities: capabilities, Active: r.IsActive, CreatedBy: orEmpty(r.CreatedBy),
		CreatedAt: timeFrom(r.CreatedAt), UpdatedAt: timeFrom(r.UpdatedAt),
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

// inPersonaWords gives an error the words of personas: SQLite doesn't say which row is missing, and of a constraint only the kind.
// The name is the one thing that is unique here beside the key.
func inPersonaWords(err error) error {
	var failed *sqlite.Error
	switch {
	case domain.KindOf(err) == domain.NotFound:
		return errNoPersona(err)
	case errors.As(err, &failed) && failed.Code() == lib.SQLITE_CONSTRAINT_UNIQUE:
		return &domain.Error{
			Kind: domain.Conflict, Code: domain.CodeNameTaken, Message: "A persona with this name exists already", Cause: err,
		}
	default:
		return err
	}
}
