package portstest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// PersonaStore checks everything that ports.PersonaStore demands, except how a store that is away behaves: only its adapter can
// bring that about. empty makes a store without personas and runs once for each test.
func PersonaStore(t *testing.T, empty func(*testing.T) ports.PersonaStore) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.PersonaStore){
		"gives back what was created":                     personaRoundTrip,
		"times come back in UTC with microseconds":        personaTimes,
		"maps are never nil":                              personaMapsNeverNil,
		"maps keep their JSON types":                      personaJSONTypes,
		"callers share nothing with the store":            personaNotShared,
		"names may be anything":                           personaNames,
		"unknown and malformed ids are NotFound":          personaUnknownIDs,
		"ids are read in any case":                        personaIDCase,
		"a taken name is a Conflict and saves nothing":    personaTakenName,
		"a taken id is a Conflict and saves nothing":      personaTakenID,
		"the name of a deleted persona is free":           personaNameOfDeleted,
		"renaming to a taken name is a Conflict":          personaRenameConflict,
		"reviving onto a taken name is a Conflict":        personaReviveConflict,
		"of racing creations with one name one wins":      personaRacingNames,
		"List is newest first, of equal age by id":        personaListOrder,
		"List of active leaves out deleted":               personaListActive,
		"List of nothing is empty":                        personaListEmpty,
		"Get returns deleted personas":                    personaGetDeleted,
		"Default without a default persona is NotFound":   personaNoDefault,
		"Default is the system's":                         personaDefaultIsSystems,
		"Default prefers the active one":                  personaDefaultPrefersActive,
		"Update saves and returns the result":             personaUpdate,
		"Update keeps id, creator and time of creation":   personaUpdateKeeps,
		"concurrent edits are not lost":                   personaConcurrentEdits,
		"an error from edit saves nothing and comes back": personaEditError,
		"text is saved as it is or refused":               personaOddText,
		"a caller who left is told so":                    personaCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func personaRoundTrip(t *testing.T, s ports.PersonaStore) {
	want := aPersona("Round Trip")
	want.Description, want.SystemPrompt, want.CreatedBy = "says\nmuch \"quoted\"", "You are {tools_section} $1 ' ; --", "user-1"
	createPersona(t, s, want)
	got := getPersona(t, s, want.ID)
	wantSame(t, got, want)

	anonymous := aPersona("Nobody's")
	anonymous.CreatedBy, anonymous.Description, anonymous.SystemPrompt, anonymous.Active = "", "", "", false
	createPersona(t, s, anonymous)
	wantSame(t, getPersona(t, s, anonymous.ID), anonymous)
}

func personaTimes(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Times")
	local := time.FixedZone("away", 7*3600)
	p.CreatedAt = time.Date(2024, 2, 29, 23, 59, 59, 999999999, local)
	p.UpdatedAt = time.Date(2031, 7, 1, 3, 0, 0, 1999, local)
	createPersona(t, s, p)
	for _, got := range []domain.Persona{getPersona(t, s, p.ID), listPersonas(t, s, true)[0]} {
		for _, c := range []struct{ got, want time.Time }{
			{got.CreatedAt, time.Date(2024, 2, 29, 16, 59, 59, 999999000, time.UTC)},
			{got.UpdatedAt, time.Date(2031, 6, 30, 20, 0, 0, 1000, time.UTC)},
		} {
			if c.got != c.want { // the zone too, which Equal would not look at
				t.Errorf("got %v, want %v", c.got, c.want)
			}
		}
	}
}

func personaMapsNeverNil(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Nil Maps")
	p.Traits, p.Capabilities = nil, nil
	createPersona(t, s, p)
	edited, err := s.Update(t.Context(), p.ID, func(p *domain.Persona) error {
		p.Traits, p.Capabilities = nil, nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []domain.Persona{getPersona(t, s, p.ID), listPersonas(t, s, true)[0], edited} {
		if got.Traits == nil || got.Capabilities == nil {
			t.Errorf("got nil maps: %#v", got)
		}
	}
}

func personaJSONTypes(t *testing.T, s ports.PersonaStore) {
	p := aPersona("JSON")
	p.Traits = map[string]any{
		"whole": 1.0, "half": 1.5, "negative": -2.25, "big": 1e21, "small": 1e-9, "zero": 0.0,
		"true": true, "false": false, "null": nil, "text": "1", "empty": "",
		"list": []any{1.0, "two", nil, false, []any{}, map[string]any{}},
		"deep": map[string]any{"a": map[string]any{"b": []any{map[string]any{"c": "d"}}}},
		"":     "no key", "日本語 🎭": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u2028 <&> \\u0041 \t", "ü": "combining u\u0308",
	}
	p.Capabilities = map[string]any{"only": []any{1.0}}
	createPersona(t, s, p)
	for _, got := range []domain.Persona{getPersona(t, s, p.ID), listPersonas(t, s, false)[0]} {
		if !reflect.DeepEqual(got.Traits, p.Traits) || !reflect.DeepEqual(got.Capabilities, p.Capabilities) {
			t.Errorf("got  %#v\nwant %#v", got.Traits, p.Traits)
		}
	}
}

func personaNotShared(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Shared")
	p.Traits = map[string]any{"inner": map[string]any{"n": 1.0}}
	createPersona(t, s, p)
	p.Traits["inner"].(map[string]any)["n"] = 2.0
	first := getPersona(t, s, p.ID)
	first.Traits["inner"].(map[string]any)["n"] = 3.0
	first.Capabilities["new"] = true
	got := getPersona(t, s, p.ID)
	if got.Traits["inner"].(map[string]any)["n"] != 1.0 || len(got.Capabilities) != 1 {
		t.Errorf("changes of a caller reached the store: %v %v", got.Traits, got.Capabilities)
	}
}

func personaNames(t *testing.T, s ports.PersonaStore) {
	names := []string{
		"Mü", "mü", "MÜ", "Mu\u0308", "日本語", "👩‍🚀", "a'b", `a"b`, "a\\b", "a%b_", " a", "a ", "a\nb", "\u202etxet", "ß", "ss", "null",
		strings.Repeat("漢", domain.MaxPersonaName),
	}
	for _, name := range names {
		createPersona(t, s, aPersona(name))
	}
	var got []string
	for _, p := range listPersonas(t, s, true) {
		got = append(got, p.Name)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("got  %q\nwant %q", got, names)
	}
}

// malformedIDs look like ids to lenient parsers, or break careless ones.
var malformedIDs = []string{
	"", "x", "1", "null", "not-a-uuid", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
	"g0000000-0000-0000-0000-000000000000", "{6ba7b810-9dad-41d1-80b4-00c04fd430c8}", "6ba7b8109dad41d180b400c04fd430c8",
	"urn:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8", "' OR 1=1 --", "\x00", "\xff\xfe", strings.Repeat("a", 100_000), "日本語",
}

func personaUnknownIDs(t *testing.T, s ports.PersonaStore) {
	createPersona(t, s, aPersona("Someone"))
	for _, id := range append([]string{newID()}, malformedIDs...) {
		_, err := s.Get(t.Context(), id)
		wantKind(t, err, domain.NotFound, "Get of %.40q", id)
		_, err = s.Update(t.Context(), id, func(*domain.Persona) error {
			t.Errorf("edit was called for %.40q", id)
			return nil
		})
		wantKind(t, err, domain.NotFound, "Update of %.40q", id)
	}
}

func personaIDCase(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Case")
	p.ID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	createPersona(t, s, p)
	if got := getPersona(t, s, strings.ToUpper(p.ID)); got.ID != p.ID {
		t.Errorf("got id %s, want %s", got.ID, p.ID)
	}
}

func personaTakenName(t *testing.T, s ports.PersonaStore) {
	createPersona(t, s, aPersona("Taken"))
	second := aPersona("Taken")
	wantNameTaken(t, s.Create(t.Context(), second))
	_, err := s.Get(t.Context(), second.ID)
	wantKind(t, err, domain.NotFound, "the refused persona")
	inactive := aPersona("Taken")
	inactive.Active = false
	createPersona(t, s, inactive)
}

func personaTakenID(t *testing.T, s ports.PersonaStore) {
	first := aPersona("First")
	createPersona(t, s, first)
	second := aPersona("Second")
	second.ID = first.ID
	wantKind(t, s.Create(t.Context(), second), domain.Conflict, "Create with a taken id")
	if got := getPersona(t, s, first.ID); got.Name != "First" {
		t.Errorf("the first persona is now called %q", got.Name)
	}
}

func personaNameOfDeleted(t *testing.T, s ports.PersonaStore) {
	for range 3 {
		p := aPersona("Phoenix")
		createPersona(t, s, p)
		deletePersona(t, s, p.ID)
	}
	createPersona(t, s, aPersona("Phoenix"))
	wantNameTaken(t, s.Create(t.Context(), aPersona("Phoenix")))
}

func personaRenameConflict(t *testing.T, s ports.PersonaStore) {
	createPersona(t, s, aPersona("Taken"))
	p := aPersona("Free")
	createPersona(t, s, p)
	_, err := s.Update(t.Context(), p.ID, func(p *domain.Persona) error {
		p.Name, p.Description = "Taken", "changed"
		return nil
	})
	wantNameTaken(t, err)
	wantSame(t, getPersona(t, s, p.ID), p)
}

func personaReviveConflict(t *testing.T, s ports.PersonaStore) {
	old := aPersona("Twice")
	createPersona(t, s, old)
	deletePersona(t, s, old.ID)
	createPersona(t, s, aPersona("Twice"))
	_, err := s.Update(t.Context(), old.ID, func(p *domain.Persona) error {
		p.Active = true
		return nil
	})
	wantNameTaken(t, err)
	if getPersona(t, s, old.ID).Active {
		t.Error("the deleted persona is active")
	}
}

func personaRacingNames(t *testing.T, s ports.PersonaStore) {
	const racers = 8
	errs := inParallel(racers, func(int) error { return s.Create(t.Context(), aPersona("Race")) })
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantNameTaken(t, err)
	}
	if stored := len(listPersonas(t, s, false)); won != 1 || stored != 1 {
		t.Errorf("%d of %d creations won, %d are stored", won, racers, stored)
	}
}

func personaListOrder(t *testing.T, s ports.PersonaStore) {
	var want []domain.Persona
	for i := range 12 {
		p := aPersona(fmt.Sprintf("Order %d", i))
		p.CreatedAt = someTime.Add(time.Duration(i/4) * time.Microsecond) // three ages, four of each
		want = append(want, p)
		createPersona(t, s, p)
	}
	slices.SortFunc(want, func(a, b domain.Persona) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	for _, activeOnly := range []bool{true, false} {
		if got := listPersonas(t, s, activeOnly); !slices.Equal(personaIDs(got), personaIDs(want)) {
			t.Errorf("active only %t: got  %v\nwant %v", activeOnly, personaIDs(got), personaIDs(want))
		}
	}
}

func personaListActive(t *testing.T, s ports.PersonaStore) {
	kept, deleted := aPersona("Kept"), aPersona("Deleted")
	deleted.CreatedAt = kept.CreatedAt.Add(time.Hour)
	createPersona(t, s, kept)
	createPersona(t, s, deleted)
	deletePersona(t, s, deleted.ID)
	if got := personaIDs(listPersonas(t, s, true)); !slices.Equal(got, []string{kept.ID}) {
		t.Errorf("active: got %v", got)
	}
	if got := personaIDs(listPersonas(t, s, false)); !slices.Equal(got, []string{deleted.ID, kept.ID}) {
		t.Errorf("all: got %v", got)
	}
}

func personaListEmpty(t *testing.T, s ports.PersonaStore) {
	for _, activeOnly := range []bool{true, false} {
		if got := listPersonas(t, s, activeOnly); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	}
}

func personaGetDeleted(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Gone")
	createPersona(t, s, p)
	deletePersona(t, s, p.ID)
	if got := getPersona(t, s, p.ID); got.Active || got.Name != "Gone" {
		t.Errorf("got %+v", got)
	}
}

func personaNoDefault(t *testing.T, s ports.PersonaStore) {
	createPersona(t, s, aPersona("Other"))
	usersOwn := aPersona(domain.DefaultPersona)
	usersOwn.CreatedBy = "user-1"
	createPersona(t, s, usersOwn)
	_, err := s.Default(t.Context())
	wantKind(t, err, domain.NotFound, "Default")
}

func personaDefaultIsSystems(t *testing.T, s ports.PersonaStore) {
	want := domain.NewDefaultPersona(newID(), someTime)
	createPersona(t, s, want)
	got, err := s.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, want)
	if !got.IsDefault() {
		t.Error("the default persona does not know that it is one")
	}
}

func personaDefaultPrefersActive(t *testing.T, s ports.PersonaStore) {
	deleted := domain.NewDefaultPersona(newID(), someTime.Add(time.Hour))
	deleted.Active = false
	createPersona(t, s, deleted)
	if got, err := s.Default(t.Context()); err != nil || got.ID != deleted.ID {
		t.Errorf("with a deleted one only: got %v, %v", got.ID, err)
	}
	active := domain.NewDefaultPersona(newID(), someTime)
	createPersona(t, s, active)
	if got, err := s.Default(t.Context()); err != nil || got.ID != active.ID {
		t.Errorf("with an active one: got %v, %v", got.ID, err)
	}
}

func personaUpdate(t *testing.T, s ports.PersonaStore) {
	p, untouched := aPersona("Before"), aPersona("Untouched")
	createPersona(t, s, p)
	createPersona(t, s, untouched)
	want := p
	want.Name, want.Description, want.SystemPrompt = "After", "new", "new prompt"
	want.Traits, want.Capabilities = map[string]any{"new": 1.0}, map[string]any{}
	want.Active, want.UpdatedAt = false, someTime.Add(time.Hour)
	got, err := s.Update(t.Context(), p.ID, func(stored *domain.Persona) error {
		wantSame(t, *stored, p)
		*stored = want
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, want)
	wantSame(t, getPersona(t, s, p.ID), want)
	wantSame(t, getPersona(t, s, untouched.ID), untouched)
}

func personaUpdateKeeps(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Mine")
	createPersona(t, s, p)
	got, err := s.Update(t.Context(), p.ID, func(stored *domain.Persona) error {
		stored.CreatedBy, stored.CreatedAt, stored.ID = "thief", someTime.Add(-time.Hour), newID()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, p)
	wantSame(t, getPersona(t, s, p.ID), p)
}

func personaConcurrentEdits(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Counter")
	p.Traits = map[string]any{}
	createPersona(t, s, p)
	const editors, each = 4, 5
	for _, err := range inParallel(editors, func(editor int) error {
		for i := range each {
			_, err := s.Update(t.Context(), p.ID, func(p *domain.Persona) error {
				p.Traits[fmt.Sprintf("%d-%d", editor, i)] = true
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := len(getPersona(t, s, p.ID).Traits); got != editors*each {
		t.Errorf("%d edits are left of %d", got, editors*each)
	}
}

func personaEditError(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Steady")
	createPersona(t, s, p)
	for _, want := range []error{errors.New("no"), domain.NewError(domain.Forbidden, "no"), domain.NewError(domain.NotFound, "no")} {
		_, err := s.Update(t.Context(), p.ID, func(p *domain.Persona) error {
			p.Name = "Changed"
			return want
		})
		if !errors.Is(err, want) || domain.KindOf(err) != domain.KindOf(want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	wantSame(t, getPersona(t, s, p.ID), p)
}

func personaOddText(t *testing.T, s ports.PersonaStore) {
	for i, text := range oddTexts {
		p := aPersona(fmt.Sprintf("Odd %d", i))
		p.SystemPrompt = text
		if err := s.Create(t.Context(), p); err == nil {
			wantSame(t, getPersona(t, s, p.ID), p)
		} else {
			wantRefused(t, err, text)
		}
		q := aPersona(fmt.Sprintf("Odd map %d", i))
		q.Traits = map[string]any{"text": text}
		if err := s.Create(t.Context(), q); err == nil {
			getPersona(t, s, q.ID)
		} else {
			wantRefused(t, err, text)
		}
	}
	if got := listPersonas(t, s, true); len(got) == 0 {
		t.Error("nothing was saved")
	}
}

func personaCanceled(t *testing.T, s ports.PersonaStore) {
	p := aPersona("Left")
	createPersona(t, s, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Create":  func() error { return s.Create(ctx, aPersona("Never")) },
		"Get":     func() error { _, err := s.Get(ctx, p.ID); return err },
		"Default": func() error { _, err := s.Default(ctx); return err },
		"List":    func() error { _, err := s.List(ctx, true); return err },
		"Update": func() error {
			_, err := s.Update(ctx, p.ID, func(p *domain.Persona) error { p.Name = "Never"; return nil })
			return err
		},
	}
	for name, call := range calls {
		wantCanceled(t, name, call())
	}
	midway, leave := context.WithCancel(t.Context())
	defer leave()
	_, err := s.Update(midway, p.ID, func(p *domain.Persona) error {
		p.Name = "Never"
		leave()
		return nil
	})
	wantCanceled(t, "Update left midway", err)
	if got := listPersonas(t, s, false); len(got) != 1 || got[0].Name != "Left" {
		t.Errorf("a call of someone who had left was carried out: %v", got)
	}
}

// PreferenceStore checks everything that ports.PreferenceStore demands. setup makes empty stores on the same data and runs once
// for each test.
func PreferenceStore(t *testing.T, setup func(*testing.T) (ports.PreferenceStore, ports.PersonaStore)) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.PreferenceStore, ports.PersonaStore){
		"without a choice NotFound":                            preferenceNone,
		"each owner has the last choice":                       preferenceLast,
		"owners may be any text":                               preferenceOwners,
		"a persona that does not exist is NotFound":            preferenceUnknownPersona,
		"a choice survives the persona's deletion":             preferenceOfDeleted,
		"racing choices leave one of them":                     preferenceRace,
		"a caller who left is told so and nothing is replaced": preferenceCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			preferences, personas := setup(t)
			test(t, preferences, personas)
		})
	}
}

func preferenceNone(t *testing.T, s ports.PreferenceStore, _ ports.PersonaStore) {
	_, err := s.ChosenPersona(t.Context(), "nobody")
	wantKind(t, err, domain.NotFound, "ChosenPersona")
}

func preferenceLast(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	a, b := aPersona("A"), aPersona("B")
	createPersona(t, personas, a)
	createPersona(t, personas, b)
	choose(t, s, "one", a.ID)
	choose(t, s, "two", a.ID)
	choose(t, s, "one", strings.ToUpper(b.ID))
	wantChosen(t, s, "one", b.ID)
	wantChosen(t, s, "two", a.ID)
	choose(t, s, "one", a.ID)
	wantChosen(t, s, "one", a.ID)
}

func preferenceOwners(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	owners := []string{"service", "key:1", "a@b.c", "ü", "日本語", "' OR 1=1 --", strings.Repeat("x", 1000)}
	var ids []string
	for i, owner := range owners {
		p := aPersona(fmt.Sprintf("Of %d", i))
		createPersona(t, personas, p)
		choose(t, s, owner, p.ID)
		ids = append(ids, p.ID)
	}
	for i, owner := range owners {
		wantChosen(t, s, owner, ids[i])
	}
}

func preferenceUnknownPersona(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	p := aPersona("Known")
	createPersona(t, personas, p)
	choose(t, s, "owner", p.ID)
	for _, id := range append([]string{newID()}, malformedIDs...) {
		wantKind(t, s.ChoosePersona(t.Context(), "owner", id, someTime), domain.NotFound, "ChoosePersona %.40q", id)
	}
	wantChosen(t, s, "owner", p.ID)
}

func preferenceOfDeleted(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	p := aPersona("Chosen")
	createPersona(t, personas, p)
	choose(t, s, "owner", p.ID)
	deletePersona(t, personas, p.ID)
	wantChosen(t, s, "owner", p.ID)
}

func preferenceRace(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	var ids []string
	for i := range 6 {
		p := aPersona(fmt.Sprintf("Racer %d", i))
		createPersona(t, personas, p)
		ids = append(ids, p.ID)
	}
	for _, err := range inParallel(len(ids), func(i int) error {
		return s.ChoosePersona(t.Context(), "owner", ids[i], someTime)
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.ChosenPersona(t.Context(), "owner"); err != nil || !slices.Contains(ids, got) {
		t.Errorf("got %q, %v", got, err)
	}
}

func preferenceCanceled(t *testing.T, s ports.PreferenceStore, personas ports.PersonaStore) {
	a, b := aPersona("A"), aPersona("B")
	createPersona(t, personas, a)
	createPersona(t, personas, b)
	choose(t, s, "owner", a.ID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.ChosenPersona(ctx, "owner")
	wantCanceled(t, "ChosenPersona", err)
	wantCanceled(t, "ChoosePersona", s.ChoosePersona(ctx, "owner", b.ID, someTime))
	wantChosen(t, s, "owner", a.ID)
}

// someTime is a time that every store can keep as it is.
var someTime = time.Date(2025, 3, 4, 5, 6, 7, 891011000, time.UTC)

func aPersona(name string) domain.Persona {
	return domain.Persona{
		ID: newID(), Name: name, Description: "about " + name, SystemPrompt: "You are " + name + ".",
		Traits: map[string]any{"kind": true}, Capabilities: map[string]any{"chat": 1.0},
		Active: true, CreatedBy: "owner", CreatedAt: someTime, UpdatedAt: someTime,
	}
}

func createPersona(t *testing.T, s ports.PersonaStore, p domain.Persona) {
	t.Helper()
	if err := s.Create(t.Context(), p); err != nil {
		t.Fatalf("create %q: %v", p.Name, err)
	}
}

func getPersona(t *testing.T, s ports.PersonaStore, id string) domain.Persona {
	t.Helper()
	p, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return p
}

func listPersonas(t *testing.T, s ports.PersonaStore, activeOnly bool) []domain.Persona {
	t.Helper()
	list, err := s.List(t.Context(), activeOnly)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return list
}

func deletePersona(t *testing.T, s ports.PersonaStore, id string) {
	t.Helper()
	if _, err := s.Update(t.Context(), id, func(p *domain.Persona) error { return p.Delete(someTime) }); err != nil {
		t.Fatalf("delete %s: %v", id, err)
	}
}

func choose(t *testing.T, s ports.PreferenceStore, owner, id string) {
	t.Helper()
	if err := s.ChoosePersona(t.Context(), owner, id, someTime); err != nil {
		t.Fatalf("choose for %.40q: %v", owner, err)
	}
}

func wantChosen(t *testing.T, s ports.PreferenceStore, owner, want string) {
	t.Helper()
	if got, err := s.ChosenPersona(t.Context(), owner); err != nil || got != want {
		t.Errorf("chosen by %.40q: got %q, %v, want %q", owner, got, err, want)
	}
}

func personaIDs(list []domain.Persona) []string {
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	return ids
}

func wantSame(t *testing.T, got, want domain.Persona) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

func wantNameTaken(t *testing.T, err error) {
	t.Helper()
	wantKind(t, err, domain.Conflict, "a taken name")
	var e *domain.Error
	if errors.As(err, &e) && e.Code != domain.CodeNameTaken {
		t.Errorf("got code %q, want %q", e.Code, domain.CodeNameTaken)
	}
}

// inParallel starts n calls as nearly at the same moment as goroutines can, and returns their errors.
func inParallel(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	done.Wait()
	return errs
}
