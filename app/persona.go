package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// PersonaTTLs says how long what was read about personas may be kept.
type PersonaTTLs struct {
	Persona    time.Duration
	ListActive time.Duration
	ListAll    time.Duration
	Preference time.Duration
}

// PersonaDeps is what Personas needs.
type PersonaDeps struct {
	Store       ports.PersonaStore
	Preferences ports.PreferenceStore
	Cache       ports.Cache
	// Stored, which may be nil, is called after an event was stored, which can be sent now.
	Stored func()
	TTLs   PersonaTTLs
	Now    ports.Clock
	NewID  ports.IDs
}

// Personas is what clients can do with personas. Everyone may read them; the owner and the global key may change them.
type Personas struct{ PersonaDeps }

// NewPersonas makes the use cases.
func NewPersonas(d PersonaDeps) *Personas {
	if d.Stored == nil {
		d.Stored = func() {}
	}
	return &Personas{d}
}

// Cache spaces. Keys in one space become invalid together.
const (
	spacePersona     = "persona"
	spacePersonaList = "personas:list"
	spacePreference  = "user:persona:preference"
	nameDefault      = "default"
)

// CacheSpaces are all that use cases keep anything in.
func CacheSpaces() []string {
	return []string{spacePersona, spacePersonaList, spacePreference, SpaceAPIKey}
}

// List returns personas, newest first. The slice is shared: do not change it.
func (p *Personas) List(ctx context.Context, activeOnly bool) ([]domain.Persona, error) {
	name, ttl := "all", p.TTLs.ListAll
	if activeOnly {
		name, ttl = "active", p.TTLs.ListActive
	}
	list, _, err := fetch(ctx, p.Cache, ports.CacheKey{Space: spacePersonaList, Name: name}, ttl,
		func(ctx context.Context) ([]domain.Persona, error) { return p.Store.List(ctx, activeOnly) })
	return list, err
}

// Get returns an active persona.
func (p *Personas) Get(ctx context.Context, id string) (domain.Persona, error) {
	persona, _, err := p.get(ctx, id)
	return persona, err
}

// Current returns the persona that answers the caller: the chosen one, else the default.
func (p *Personas) Current(ctx context.Context, who domain.Principal) (domain.Persona, error) {
	persona, _, err := p.current(ctx, who)
	return persona, err
}

// Create adds a persona that belongs to the caller.
func (p *Personas) Create(ctx context.Context, who domain.Principal, draft domain.PersonaDraft) (domain.Persona, error) {
	persona, err := domain.NewPersona(draft, p.NewID(), who.OwnerID(), p.Now())
	if err != nil {
		return domain.Persona{}, err
	}
	if err := p.Store.Create(ctx, persona, p.told(domain.SubjectPersonaCreated, who.OwnerID())(persona)); err != nil {
		return domain.Persona{}, explainPersona(err, persona.ID, persona.Name)
	}
	p.Stored()
	// Nobody can know the id yet; who guessed it made the cache remember that there is no such persona.
	p.Cache.Invalidate(ctx, ports.CacheKey{Space: spacePersona, Name: persona.ID}, ports.CacheKey{Space: spacePersonaList})
	return persona, nil
}

// Update changes a persona. A deleted one is not found, unless the change brings it back.
func (p *Personas) Update(ctx context.Context, who domain.Principal, id string, patch domain.PersonaPatch) (domain.Persona, error) {
	return p.edit(ctx, who, id, domain.SubjectPersonaUpdated, func(persona *domain.Persona) error {
		revive := patch.Active != nil && *patch.Active
		if !persona.Active && !revive {
			return personaNotFound(id)
		}
		return persona.Apply(patch, p.Now())
	})
}

// Delete takes a persona out of use. Its row stays.
func (p *Personas) Delete(ctx context.Context, who domain.Principal, id string) error {
	_, err := p.edit(ctx, who, id, domain.SubjectPersonaDeleted, func(persona *domain.Persona) error {
		if !persona.Active {
			return personaNotFound(id)
		}
		return persona.Delete(p.Now())
	})
	return err
}

// Choice is a caller's chosen persona.
type Choice struct {
	Persona domain.Persona
	Owner   string
	At      time.Time
}

// Choose makes a persona the one that answers the caller from now on.
func (p *Personas) Choose(ctx context.Context, who domain.Principal, id string) (Choice, error) {
	persona, err := p.Get(ctx, id)
	if err != nil {
		return Choice{}, err
	}
	c := Choice{Persona: persona, Owner: who.OwnerID(), At: p.Now().UTC().Truncate(time.Microsecond)}
	if err := p.Preferences.ChoosePersona(ctx, c.Owner, persona.ID, c.At, p.told(domain.SubjectPersonaChosen, c.Owner)(persona)); err != nil {
		return Choice{}, explainPersona(err, id, "")
	}
	p.Stored()
	p.Cache.Invalidate(ctx, ports.CacheKey{Space: spacePreference, Name: c.Owner})
	return c, nil
}

// EnsureDefault makes sure that the default persona exists and is active. created reports whether it was missing or deleted. Of
// several callers at once, one creates it and all get it.
func (p *Personas) EnsureDefault(ctx context.Context) (persona domain.Persona, created bool, err error) {
	persona, err = p.Store.Default(ctx)
	switch {
	case err == nil && persona.Active:
		return persona, false, nil
	case err == nil:
		persona, err = p.Store.Update(ctx, persona.ID, func(d *domain.Persona) error {
			created = !d.Active // another caller may have been faster
			return d.Apply(domain.PersonaPatch{Active: new(true)}, p.Now())
		}, p.told(domain.SubjectPersonaUpdated, persona.CreatedBy))
	case domain.KindOf(err) == domain.NotFound:
		created = true
		persona = domain.NewDefaultPersona(p.NewID(), p.Now())
		err = p.Store.Create(ctx, persona, p.told(domain.SubjectPersonaCreated, persona.CreatedBy)(persona))
	}
	if domain.KindOf(err) == domain.Conflict {
		return p.defaultAfterConflict(ctx, err)
	}
	if err != nil {
		return domain.Persona{}, false, err
	}
	p.Stored()
	p.invalidate(ctx, persona.ID)
	return persona, created, nil
}

// Reload forgets what is kept about the caller's persona, so that the next chat reads it anew.
func (p *Personas) Reload(ctx context.Context, who domain.Principal) error {
	owner := ports.CacheKey{Space: spacePreference, Name: who.OwnerID()}
	p.Cache.Invalidate(ctx, owner)
	persona, err := p.Current(ctx, who)
	if err != nil {
		return err
	}
	p.Cache.Invalidate(ctx, ports.CacheKey{Space: spacePersona, Name: persona.ID}, ports.CacheKey{Space: spacePersona, Name: nameDefault})
	return nil
}

// defaultAfterConflict: another caller made the default persona first, or a persona of somebody has its name.
func (p *Personas) defaultAfterConflict(ctx context.Context, conflict error) (domain.Persona, bool, error) {
	persona, err := p.Store.Default(ctx)
	if err == nil && persona.Active {
		return persona, false, nil
	}
	if err != nil && domain.KindOf(err) != domain.NotFound {
		return domain.Persona{}, false, err
	}
	return domain.Persona{}, false, explainPersona(conflict, "", domain.DefaultPersona)
}

func (p *Personas) edit(
	ctx context.Context, who domain.Principal, id, subject string, change func(*domain.Persona) error,
) (domain.Persona, error) {
	name := ""
	persona, err := p.Store.Update(ctx, id, func(d *domain.Persona) error {
		if !d.Active && !d.EditableBy(who) {
			return personaNotFound(id)
		}
		if !d.EditableBy(who) {
			return domain.NewError(domain.Forbidden, "Only the owner of a persona may change it")
		}
		err := change(d)
		name = d.Name
		return err
	}, p.told(subject, who.OwnerID()))
	if err != nil {
		return domain.Persona{}, explainPersona(err, id, name)
	}
	p.Stored()
	p.invalidate(ctx, persona.ID)
	return persona, nil
}

// told makes the event of what somebody does to a persona. Its last word is what is done.
func (p *Personas) told(subject, owner string) func(domain.Persona) domain.Event {
	id := p.NewID()
	return func(persona domain.Persona) domain.Event {
		return domain.Event{ID: id, Subject: subject, Payload: domain.PersonaEvent{
			PersonaID: persona.ID, UserID: owner, Status: domain.LastWord(subject), Timestamp: p.Now(),
			Details: domain.PersonaDetails{Active: persona.Active, Default: persona.IsDefault()},
		}}
	}
}

func (p *Personas) get(ctx context.Context, id string) (persona domain.Persona, hit bool, err error) {
	canonical, ok := domain.ParseID(id) // one persona, one cache key: it would survive its invalidation under another spelling
	if !ok {
		return domain.Persona{}, false, personaNotFound(id)
	}
	persona, hit, err = fetch(ctx, p.Cache, ports.CacheKey{Space: spacePersona, Name: canonical}, p.TTLs.Persona,
		func(ctx context.Context) (domain.Persona, error) { return p.Store.Get(ctx, canonical) })
	if err == nil && !persona.Active {
		err = personaNotFound(id)
	}
	return persona, hit, explainPersona(err, id, "")
}

func (p *Personas) current(ctx context.Context, who domain.Principal) (persona domain.Persona, hit bool, err error) {
	id, hit, err := fetch(ctx, p.Cache, ports.CacheKey{Space: spacePreference, Name: who.OwnerID()}, p.TTLs.Preference,
		func(ctx context.Context) (string, error) {
			id, err := p.Preferences.ChosenPersona(ctx, who.OwnerID())
			if domain.KindOf(err) == domain.NotFound {
				return "", nil // no choice is worth remembering too
			}
			return id, err
		})
	if err != nil {
		return domain.Persona{}, false, err
	}
	if id != "" {
		persona, personaHit, err := p.get(ctx, id)
		if err == nil || domain.KindOf(err) != domain.NotFound {
			return persona, hit && personaHit, err
		}
	}
	persona, defaultHit, err := fetch(ctx, p.Cache, ports.CacheKey{Space: spacePersona, Name: nameDefault}, p.TTLs.Persona, p.Store.Default)
	if err == nil && !persona.Active || domain.KindOf(err) == domain.NotFound {
		return domain.Persona{}, false, domain.MissingPart("There is no default persona: POST /api/v0.2/personas/initialize-default makes it", nil)
	}
	return persona, hit && defaultHit, err
}

func (p *Personas) invalidate(ctx context.Context, id string) {
	p.Cache.Invalidate(ctx, ports.CacheKey{Space: spacePersona, Name: id},
		ports.CacheKey{Space: spacePersona, Name: nameDefault}, ports.CacheKey{Space: spacePersonaList})
}

// fetch is Cache.Fetch with a type.
func fetch[T any](ctx context.Context, c ports.Cache, key ports.CacheKey, ttl time.Duration,
	load func(context.Context) (T, error)) (value T, hit bool, err error) {
	v, hit, err := c.Fetch(ctx, key, ttl,
		func(ctx context.Context) (any, error) { return load(ctx) },
		func(data []byte) (any, error) {
			var v T
			err := json.Unmarshal(data, &v)
			return v, err
		})
	if err != nil {
		return value, false, err
	}
	value, ok := v.(T)
	if !ok {
		return value, false, fmt.Errorf("cache %s:%s holds a %T", key.Space, key.Name, v)
	}
	return value, hit, nil
}

func personaNotFound(id string) *domain.Error {
	return domain.NewError(domain.NotFound, "Persona not found: "+id)
}

// explainPersona says in the words of clients what a store reported.
func explainPersona(err error, id, name string) error {
	var e *domain.Error
	switch {
	case domain.KindOf(err) == domain.NotFound:
		e = personaNotFound(id)
	case errors.As(err, &e) && e.Code == domain.CodeNameTaken:
		e = domain.NewError(domain.Conflict, fmt.Sprintf("A persona named %q already exists", name))
	default:
		return err
	}
	e.Cause = err
	return e
}
