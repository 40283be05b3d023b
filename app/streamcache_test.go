package app_test

import (
	"slices"
	"testing"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

func TestStreamCacheOfTheCaller(t *testing.T) {
	t.Parallel()
	store, cache := memory.NewPersonaStore(), newKeepingCache()
	p := newPersonas(store, cache)
	if _, _, err := p.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := func(when string, who domain.Principal, entries int, keys ...string) {
		t.Helper()
		if got := p.StreamCache(who); got.Personas != entries || !slices.Equal(got.PersonaKeys, keys) {
			t.Errorf("%s: got %+v, want %d entries and keys %v", when, got, entries, keys)
		}
	}
	current := func(who domain.Principal) {
		t.Helper()
		if _, err := p.Current(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", ada, 0)
	current(ada)
	want("after a chat", ada, 1, ada.OwnerID()+":default")
	want("after a chat of somebody else", bob, 1)

	mine, err := p.Create(t.Context(), ada, domain.PersonaDraft{Name: "Mine"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Choose(t.Context(), ada, mine.ID); err != nil {
		t.Fatal(err)
	}
	want("after a choice", ada, 2)
	current(ada)
	want("after a chat with the chosen one", ada, 2, ada.OwnerID()+":default")

	drop := func(who domain.Principal, d app.StreamCacheDrop) error { return p.DropStreamCache(t.Context(), who, d) }
	current(bob)
	for name, d := range map[string]app.StreamCacheDrop{
		"everybody's": {Personas: true}, "bob's": {Personas: true, Owner: bob.OwnerID()}, "tools": {},
		"tools under her name": {Owner: ada.OwnerID()},
	} {
		if err := drop(ada, d); domain.KindOf(err) != domain.Forbidden {
			t.Errorf("ada drops %s: %v", name, err)
		}
	}
	want("after refusals", ada, 2, ada.OwnerID()+":default")
	if err := drop(ada, app.StreamCacheDrop{Personas: true, Owner: ada.OwnerID()}); err != nil {
		t.Fatal(err)
	}
	want("after her own drop", ada, 0)
	current(ada)
	current(bob)
	if err := drop(service, app.StreamCacheDrop{}); err != nil {
		t.Fatal(err)
	}
	want("after the tools", ada, 2, ada.OwnerID()+":default")
	if err := drop(service, app.StreamCacheDrop{Personas: true}); err != nil {
		t.Fatal(err)
	}
	want("after everything", ada, 0)
	want("after everything", bob, 0)

	store.FailNext("ChosenPersona", domain.MissingPart("away", nil))
	if err := drop(service, app.StreamCacheDrop{Personas: true, Owner: ada.OwnerID()}); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("without a store: %v", err)
	}
	if err := drop(service, app.StreamCacheDrop{Personas: true, Owner: "nobody"}); err != nil {
		t.Errorf("of somebody without a choice: %v", err)
	}
}
