package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// PersonaStore keeps personas.
//
// Names are unique among active personas: a write that would break this must fail with domain.Conflict,
// code domain.CodeNameTaken, and save nothing.
// Ids that do not exist, malformed ones included, must be domain.NotFound. A store that is away must be domain.Unavailable.
// Events must go to the outbox in the transaction of the change that they tell about, after it has locked what they are about, so that their
// order is that of the changes; they must not be stored without it.
// Times must come back in UTC with microseconds, maps never nil and with the JSON types they went in with.
type PersonaStore interface {
	// Create saves a new persona.
	Create(ctx context.Context, p domain.Persona, events ...domain.Event) error
	// Get returns a persona, deleted ones too.
	Get(ctx context.Context, id string) (domain.Persona, error)
	// Default returns the active default persona; when there is only a deleted one, that; else domain.NotFound.
	Default(ctx context.Context) (domain.Persona, error)
	// List returns personas, newest first, of equal age by id descending.
	List(ctx context.Context, activeOnly bool) ([]domain.Persona, error)
	// Update lets edit change the persona and saves the result. Concurrent edits must not be lost. An error from edit must
	// save nothing and come back unchanged (errors.Is). ID, CreatedBy and CreatedAt never change. edit must not call the store.
	// Each tell returns an event about what is saved; it may be asked again when the transaction has to be.
	Update(ctx context.Context, id string, edit func(*domain.Persona) error,
		tell ...func(domain.Persona) domain.Event) (domain.Persona, error)
}

// PreferenceStore remembers which persona each caller chose.
type PreferenceStore interface {
	// ChosenPersona returns the id that the owner chose last, or domain.NotFound.
	ChosenPersona(ctx context.Context, owner string) (string, error)
	// ChoosePersona remembers a choice; a later one replaces it. A persona that does not exist must be domain.NotFound.
	// Events are stored as PersonaStore says; those of one owner have the order of the choices.
	ChoosePersona(ctx context.Context, owner, personaID string, at time.Time, events ...domain.Event) error
}
