package app

import (
	"context"

	"gaia/domain"
	"gaia/ports"
)

// StreamCache is what this process keeps for streaming chats. Of tools nothing is kept.
type StreamCache struct {
	Personas    int
	PersonaKeys []string // of the caller
}

// StreamCacheDrop says what streaming chats shall read anew.
type StreamCacheDrop struct {
	Personas bool   // else only tools, of which nothing is kept
	Owner    string // whose persona; empty for everybody's
}

// StreamCache tells how much is kept of personas, and whether the one that answers the caller is.
func (p *Personas) StreamCache(who domain.Principal) StreamCache {
	kept := StreamCache{Personas: p.Cache.Len(spacePersona)}
	chosen, ok := p.Cache.Peek(ports.CacheKey{Space: spacePreference, Name: who.OwnerID()})
	if !ok {
		return kept
	}
	name, _ := chosen.(string)
	if name == "" {
		name = nameDefault
	}
	if _, ok := p.Cache.Peek(ports.CacheKey{Space: spacePersona, Name: name}); ok {
		kept.PersonaKeys = []string{who.OwnerID() + ":" + nameDefault}
	}
	return kept
}

// DropStreamCache makes the next chats read anew. Callers may drop what is kept of their own persona; everything else takes the global
// key.
func (p *Personas) DropStreamCache(ctx context.Context, who domain.Principal, drop StreamCacheDrop) error {
	own := drop.Personas && drop.Owner == who.OwnerID()
	if !own && !who.IsService() {
		return domain.NewError(domain.Forbidden, "Only the global key may drop what is kept for others: name yourself as user_id")
	}
	if !drop.Personas {
		return nil
	}
	if drop.Owner == "" {
		p.Cache.Invalidate(ctx, ports.CacheKey{Space: spacePersona}, ports.CacheKey{Space: spacePersonaList}, ports.CacheKey{Space: spacePreference})
		return nil
	}
	chosen, err := p.Preferences.ChosenPersona(ctx, drop.Owner)
	if err != nil && domain.KindOf(err) != domain.NotFound {
		return err
	}
	keys := []ports.CacheKey{{Space: spacePreference, Name: drop.Owner}, {Space: spacePersona, Name: nameDefault}}
	if chosen != "" {
		keys = append(keys, ports.CacheKey{Space: spacePersona, Name: chosen})
	}
	p.Cache.Invalidate(ctx, keys...)
	return nil
}
