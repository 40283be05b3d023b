package app_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

const unknownID = "ffffffff-0000-7000-8000-000000000000"

// eachCache runs a test without a cache and with one that keeps everything: clients must not notice which.
func eachCache(t *testing.T, test func(*testing.T, *app.Personas, *memory.PersonaStore)) {
	t.Helper()
	for name, cache := range map[string]func() ports.Cache{
		"no cache":      func() ports.Cache { return noCache{} },
		"keeping cache": func() ports.Cache { return newKeepingCache() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewPersonaStore()
			p := newPersonas(store, cache())
			if _, _, err := p.EnsureDefault(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, p, store)
		})
	}
}

func create(t *testing.T, p *app.Personas, who domain.Principal, name string) domain.Persona {
	t.Helper()
	persona, err := p.Create(t.Context(), who, domain.PersonaDraft{Name: name, SystemPrompt: "You are " + name})
	if err != nil {
		t.Fatal(err)
	}
	return persona
}

func names(t *testing.T, p *app.Personas, activeOnly bool) string {
	t.Helper()
	list, err := p.List(t.Context(), activeOnly)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, persona := range list {
		all = append(all, persona.Name)
	}
	return strings.Join(all, " ")
}

func TestPersonaLifeIsVisibleAtOnce(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, p *app.Personas, _ *memory.PersonaStore) {
		wantNames := func(when, active, all string) {
			t.Helper()
			if got := names(t, p, true); got != active {
				t.Errorf("%s, active: %q, want %q", when, got, active)
			}
			if got := names(t, p, false); got != all {
				t.Errorf("%s, all: %q, want %q", when, got, all)
			}
		}
		wantNames("at first", "Mu", "Mu")
		eve := create(t, p, ada, "Eve")
		wantNames("created", "Eve Mu", "Eve Mu")
		if got, err := p.Get(t.Context(), eve.ID); err != nil || !reflect.DeepEqual(got, eve) {
			t.Errorf("got %+v, %v, want %+v", got, err, eve)
		}
		renamed, err := p.Update(t.Context(), ada, eve.ID, domain.PersonaPatch{Name: new("Eva")})
		if err != nil || renamed.Name != "Eva" || renamed.CreatedBy != "ada" || !renamed.UpdatedAt.After(eve.UpdatedAt) {
			t.Errorf("renamed to %+v, %v", renamed, err)
		}
		wantNames("renamed", "Eva Mu", "Eva Mu")
		if got, err := p.Get(t.Context(), eve.ID); err != nil || got.Name != "Eva" {
			t.Errorf("after the change got %+v, %v", got, err)
		}
		if err := p.Delete(t.Context(), ada, eve.ID); err != nil {
			t.Fatal(err)
		}
		wantNames("deleted", "Mu", "Eva Mu")
		_, err = p.Get(t.Context(), eve.ID)
		wantKind(t, err, domain.NotFound)
	})
}

// An id may be written in capitals; a change under one form must show under the other.
func TestPersonaIDsOfAnyCaseAreOnePersona(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, p *app.Personas, _ *memory.PersonaStore) {
		eve := createWithLetters(t, p)
		upper := strings.ToUpper(eve.ID)
		if got, err := p.Get(t.Context(), upper); err != nil || got.ID != eve.ID {
			t.Fatalf("got %+v, %v", got, err)
		}
		if _, err := p.Update(t.Context(), ada, eve.ID, domain.PersonaPatch{Description: new("new")}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Get(t.Context(), upper); err != nil || got.Description != "new" {
			t.Errorf("under capitals still %q, %v", got.Description, err)
		}
		if _, err := p.Update(t.Context(), ada, upper, domain.PersonaPatch{Description: new("newer")}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Get(t.Context(), eve.ID); err != nil || got.Description != "newer" {
			t.Errorf("still %q, %v", got.Description, err)
		}
		if err := p.Delete(t.Context(), ada, upper); err != nil {
			t.Fatal(err)
		}
		_, err := p.Get(t.Context(), eve.ID)
		wantKind(t, err, domain.NotFound)
	})
}

// createWithLetters makes a persona whose id has letters in it.
func createWithLetters(t *testing.T, p *app.Personas) domain.Persona {
	t.Helper()
	for i := range 40 {
		if eve := create(t, p, ada, strings.Repeat("x", i+1)); eve.ID != strings.ToUpper(eve.ID) {
			return eve
		}
	}
	t.Fatal("no id has letters")
	return domain.Persona{}
}

func TestUnknownPersonas(t *testing.T) {
	t.Parallel()
	for _, id := range []string{unknownID, "", "default", "42", "'; DROP TABLE personas", strings.Repeat("x", 1000)} {
		p := newPersonas(memory.NewPersonaStore(), newKeepingCache())
		_, getErr := p.Get(t.Context(), id)
		_, updateErr := p.Update(t.Context(), service, id, domain.PersonaPatch{Name: new("x")})
		_, chooseErr := p.Choose(t.Context(), ada, id)
		for op, err := range map[string]error{"get": getErr, "update": updateErr, "delete": p.Delete(t.Context(), service, id), "choose": chooseErr} {
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != domain.NotFound || e.Message != "Persona not found: "+id {
				t.Errorf("%s %.20q: got %v", op, id, err)
			}
		}
	}
}

func TestPersonaOwnership(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		owner, caller domain.Principal
		deleted       bool
		want          domain.Kind // 255: may do it
	}{
		"owner":                        {ada, ada, false, 255},
		"global key":                   {ada, service, false, 255},
		"stranger":                     {ada, bob, false, domain.Forbidden},
		"user, service's persona":      {service, ada, false, domain.Forbidden},
		"stranger, deleted persona":    {ada, bob, true, domain.NotFound},
		"owner, deleted persona":       {ada, ada, true, domain.NotFound},
		"global key, deleted persona":  {ada, service, true, domain.NotFound},
		"owner with a key of their's":  {ada, domain.Principal{Type: domain.AuthUserAPIKey, UserID: "ada", KeyID: "k"}, false, 255},
		"another user's key":           {ada, domain.Principal{Type: domain.AuthUserAPIKey, UserID: "bob", KeyID: "ada"}, false, domain.Forbidden},
		"service's persona and global": {service, service, false, 255},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPersonas(memory.NewPersonaStore(), newKeepingCache())
			eve := create(t, p, test.owner, "Eve")
			if test.deleted {
				if err := p.Delete(t.Context(), test.owner, eve.ID); err != nil {
					t.Fatal(err)
				}
			}
			_, updateErr := p.Update(t.Context(), test.caller, eve.ID, domain.PersonaPatch{Description: new("changed")})
			deleteErr := p.Delete(t.Context(), test.caller, eve.ID)
			for op, err := range map[string]error{"update": updateErr, "delete": deleteErr} {
				if test.want == 255 {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				wantKind(t, err, test.want)
			}
			if test.want == domain.Forbidden {
				if got, err := p.Get(t.Context(), eve.ID); err != nil || !reflect.DeepEqual(got, eve) {
					t.Errorf("a refused change left %+v, %v", got, err)
				}
			}
		})
	}
}

func TestDeletedPersonaComesBack(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, p *app.Personas, _ *memory.PersonaStore) {
		eve := create(t, p, ada, "Eve")
		if err := p.Delete(t.Context(), ada, eve.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, p.Delete(t.Context(), ada, eve.ID), domain.NotFound)
		for name, patch := range map[string]domain.PersonaPatch{"another field": {Name: new("Eva")}, "once more inactive": {Active: new(false)}} {
			if _, err := p.Update(t.Context(), ada, eve.ID, patch); domain.KindOf(err) != domain.NotFound {
				t.Errorf("%s: got %v", name, err)
			}
		}
		_, err := p.Update(t.Context(), bob, eve.ID, domain.PersonaPatch{Active: new(true)})
		wantKind(t, err, domain.NotFound) // a stranger does not even see it

		other := create(t, p, bob, "Eve") // the name was free
		_, err = p.Update(t.Context(), ada, eve.ID, domain.PersonaPatch{Active: new(true)})
		wantNameTaken(t, err, "Eve")
		if err := p.Delete(t.Context(), bob, other.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Update(t.Context(), ada, eve.ID, domain.PersonaPatch{Active: new(true)}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Get(t.Context(), eve.ID); err != nil || !got.Active {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func wantNameTaken(t *testing.T, err error, name string) {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Conflict || !strings.Contains(e.Message, `"`+name+`"`) {
		t.Errorf("got %v, want a conflict about %q", err, name)
	}
}

func TestPersonaNamesAreUnique(t *testing.T) {
	t.Parallel()
	p := newPersonas(memory.NewPersonaStore(), noCache{})
	create(t, p, ada, "Eve")
	_, err := p.Create(t.Context(), bob, domain.PersonaDraft{Name: "Eve"})
	wantNameTaken(t, err, "Eve")
	max := create(t, p, bob, "Max")
	_, err = p.Update(t.Context(), bob, max.ID, domain.PersonaPatch{Name: new("Eve")})
	wantNameTaken(t, err, "Eve")
	if got := names(t, p, true); got != "Max Eve" {
		t.Errorf("left are %q", got)
	}
}

func TestInvalidPersonaIsNotSaved(t *testing.T) {
	t.Parallel()
	p := newPersonas(memory.NewPersonaStore(), noCache{})
	_, err := p.Create(t.Context(), ada, domain.PersonaDraft{Name: "  "})
	wantKind(t, err, domain.Invalid)
	eve := create(t, p, ada, "Eve")
	_, err = p.Update(t.Context(), ada, eve.ID, domain.PersonaPatch{Name: new("")})
	wantKind(t, err, domain.Invalid)
	if got := names(t, p, false); got != "Eve" {
		t.Errorf("left are %q", got)
	}
}

func TestDefaultPersonaStays(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, p *app.Personas, store *memory.PersonaStore) {
		mu, err := store.Default(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, p.Delete(t.Context(), ada, mu.ID), domain.Forbidden)
		wantKind(t, p.Delete(t.Context(), service, mu.ID), domain.Conflict)
		_, err = p.Update(t.Context(), service, mu.ID, domain.PersonaPatch{Active: new(false)})
		wantKind(t, err, domain.Conflict)
		if got, err := p.Current(t.Context(), ada); err != nil || got.ID != mu.ID {
			t.Fatalf("the default persona is %+v, %v", got, err)
		}
		if _, err = p.Update(t.Context(), service, mu.ID, domain.PersonaPatch{SystemPrompt: new("Beep")}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Current(t.Context(), ada); err != nil || got.SystemPrompt != "Beep" {
			t.Errorf("the default persona is %+v, %v", got, err)
		}
	})
}

func TestStoreTroubleReachesTheCaller(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	calls := map[string]struct {
		method string
		call   func(context.Context, *app.Personas, string) error
	}{
		"list": {"List", func(ctx context.Context, p *app.Personas, _ string) error { _, err := p.List(ctx, true); return err }},
		"get":  {"Get", func(ctx context.Context, p *app.Personas, id string) error { _, err := p.Get(ctx, id); return err }},
		"create": {"Create", func(ctx context.Context, p *app.Personas, _ string) error {
			_, err := p.Create(ctx, ada, domain.PersonaDraft{Name: "x"})
			return err
		}},
		"update": {"Update", func(ctx context.Context, p *app.Personas, id string) error {
			_, err := p.Update(ctx, ada, id, domain.PersonaPatch{})
			return err
		}},
		"delete": {"Update", func(ctx context.Context, p *app.Personas, id string) error { return p.Delete(ctx, ada, id) }},
		"choose": {"ChoosePersona", func(ctx context.Context, p *app.Personas, id string) error {
			_, err := p.Choose(ctx, ada, id)
			return err
		}},
		"current":     {"ChosenPersona", func(ctx context.Context, p *app.Personas, _ string) error { _, err := p.Current(ctx, ada); return err }},
		"current, Mu": {"Default", func(ctx context.Context, p *app.Personas, _ string) error { _, err := p.Current(ctx, ada); return err }},
		"reload":      {"ChosenPersona", func(ctx context.Context, p *app.Personas, _ string) error { return p.Reload(ctx, ada) }},
		"ensure default": {"Default", func(ctx context.Context, p *app.Personas, _ string) error {
			_, _, err := p.EnsureDefault(ctx)
			return err
		}},
	}
	for name, test := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewPersonaStore()
			p := newPersonas(store, newKeepingCache())
			if _, _, err := p.EnsureDefault(t.Context()); err != nil {
				t.Fatal(err)
			}
			eve := create(t, p, ada, "Eve")
			store.FailNext(test.method, away)
			if err := test.call(t.Context(), p, eve.ID); !errors.Is(err, away) || domain.KindOf(err) != domain.Unavailable {
				t.Errorf("got %v", err)
			}
			if err := test.call(t.Context(), p, eve.ID); err != nil {
				t.Errorf("and afterwards %v: the trouble was remembered", err)
			}
		})
	}
}

func TestCurrentPersona(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, p *app.Personas, _ *memory.PersonaStore) {
		wantCurrent := func(when string, who domain.Principal, name string) {
			t.Helper()
			if got, err := p.Current(t.Context(), who); err != nil || got.Name != name {
				t.Errorf("%s: %s gets %q, %v, want %s", when, who.OwnerID(), got.Name, err, name)
			}
		}
		wantCurrent("nobody chose", ada, "Mu")
		eve, max := create(t, p, ada, "Eve"), create(t, p, bob, "Max")
		choice, err := p.Choose(t.Context(), ada, strings.ToUpper(eve.ID))
		if err != nil || choice.Persona.ID != eve.ID || choice.Owner != "ada" || choice.At.IsZero() {
			t.Errorf("chose %+v, %v", choice, err)
		}
		wantCurrent("ada chose", ada, "Eve")
		wantCurrent("ada chose", bob, "Mu")
		wantCurrent("ada chose", service, "Mu")
		if _, err := p.Choose(t.Context(), ada, max.ID); err != nil { // everyone may use every persona
			t.Fatal(err)
		}
		wantCurrent("ada chose anew", ada, "Max")
		if err := p.Delete(t.Context(), bob, max.ID); err != nil {
			t.Fatal(err)
		}
		wantCurrent("the chosen one was deleted", ada, "Mu")
		_, err = p.Choose(t.Context(), ada, max.ID)
		wantKind(t, err, domain.NotFound)
		if _, err := p.Update(t.Context(), bob, max.ID, domain.PersonaPatch{Active: new(true)}); err != nil {
			t.Fatal(err)
		}
		wantCurrent("the chosen one came back", ada, "Max")
		if _, err := p.Choose(t.Context(), service, eve.ID); err != nil {
			t.Fatal(err)
		}
		wantCurrent("the global key chose", service, "Eve")
	})
}

func TestNoDefaultPersona(t *testing.T) {
	t.Parallel()
	p := newPersonas(memory.NewPersonaStore(), newKeepingCache())
	_, err := p.Current(t.Context(), ada)
	wantKind(t, err, domain.Unavailable)
	if _, _, err := p.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Current(t.Context(), ada); err != nil || got.Name != domain.DefaultPersona {
		t.Errorf("then got %+v, %v", got, err)
	}
}

// TestGuessedIDIsFoundOnceItExists lets somebody ask for an id before the persona with that id is made.
func TestGuessedIDIsFoundOnceItExists(t *testing.T) {
	t.Parallel()
	store, cache := memory.NewPersonaStore(), newKeepingCache()
	p := app.NewPersonas(app.PersonaDeps{
		Store: store, Preferences: store, Cache: cache, Now: clock(), NewID: func() string { return unknownID }, TTLs: app.PersonaTTLs{Persona: time.Minute},
	})
	for range 10 {
		_, err := p.Get(t.Context(), unknownID)
		wantKind(t, err, domain.NotFound)
	}
	if n := cache.loaded(); n != 1 {
		t.Errorf("a persona that is not there was looked for %d times", n)
	}
	create(t, p, ada, "Eve")
	if got, err := p.Get(t.Context(), unknownID); err != nil || got.Name != "Eve" {
		t.Errorf("once it exists: %+v, %v", got, err)
	}
}

func TestEnsureDefaultTwice(t *testing.T) {
	t.Parallel()
	p := newPersonas(memory.NewPersonaStore(), noCache{})
	first, created, err := p.EnsureDefault(t.Context())
	if err != nil || !created || !first.IsDefault() || !first.Active {
		t.Fatalf("got %+v, %v, %v", first, created, err)
	}
	again, created, err := p.EnsureDefault(t.Context())
	if err != nil || created || again.ID != first.ID {
		t.Errorf("then got %+v, %v, %v", again, created, err)
	}
}

// A database of the old platform may hold a default persona that somebody deleted.
func deletedDefault(t *testing.T, store *memory.PersonaStore) domain.Persona {
	t.Helper()
	mu := domain.NewDefaultPersona("abcdef00-0000-4000-8000-000000000000", noon)
	mu.Active = false
	if err := store.Create(t.Context(), mu); err != nil {
		t.Fatal(err)
	}
	return mu
}

func TestEnsureDefaultBringsBackADeletedOne(t *testing.T) {
	t.Parallel()
	store := memory.NewPersonaStore()
	p := newPersonas(store, newKeepingCache())
	mu := deletedDefault(t, store)
	_, err := p.Current(t.Context(), ada)
	wantKind(t, err, domain.Unavailable)
	got, created, err := p.EnsureDefault(t.Context())
	if err != nil || !created || got.ID != mu.ID || !got.Active {
		t.Errorf("got %+v, %v, %v", got, created, err)
	}
	if current, err := p.Current(t.Context(), ada); err != nil || current.ID != mu.ID {
		t.Errorf("then %+v answers, %v", current, err)
	}
}

func TestEnsureDefaultRaces(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *memory.PersonaStore){
		"none yet": func(*testing.T, *memory.PersonaStore) {},
		"deleted":  func(t *testing.T, s *memory.PersonaStore) { deletedDefault(t, s) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.NewPersonaStore()
			prepare(t, store)
			// All look before any of them writes.
			racing := &togetherStore{PersonaStore: store, n: 8}
			racing.all.Add(racing.n)
			p := app.NewPersonas(app.PersonaDeps{Store: racing, Preferences: store, Cache: newKeepingCache(), Now: clock(), NewID: ids()})
			var wg sync.WaitGroup
			results := make([]domain.Persona, racing.n)
			made := make([]bool, racing.n)
			for i := range racing.n {
				wg.Go(func() {
					var err error
					if results[i], made[i], err = p.EnsureDefault(t.Context()); err != nil {
						t.Errorf("EnsureDefault: %v", err)
					}
				})
			}
			wg.Wait()
			creators := 0
			for i := range racing.n {
				if results[i].ID != results[0].ID || !results[i].Active {
					t.Errorf("caller %d got %+v, caller 0 %+v", i, results[i], results[0])
				}
				if made[i] {
					creators++
				}
			}
			if creators != 1 {
				t.Errorf("%d callers say they made it", creators)
			}
		})
	}
}

// togetherStore lets the first n calls of Default answer only when all of them have asked.
type togetherStore struct {
	*memory.PersonaStore
	n     int
	all   sync.WaitGroup
	mu    sync.Mutex
	calls int
}

func (s *togetherStore) Default(ctx context.Context) (domain.Persona, error) {
	persona, err := s.PersonaStore.Default(ctx)
	s.mu.Lock()
	s.calls++
	early := s.calls <= s.n
	s.mu.Unlock()
	if early {
		s.all.Done()
		s.all.Wait()
	}
	return persona, err
}

func TestEnsureDefaultWhenTheNameIsTaken(t *testing.T) {
	t.Parallel()
	p := newPersonas(memory.NewPersonaStore(), noCache{})
	create(t, p, ada, domain.DefaultPersona)
	_, created, err := p.EnsureDefault(t.Context())
	wantNameTaken(t, err, domain.DefaultPersona)
	if created {
		t.Error("it was made all the same")
	}
}

func TestEnsureDefaultWhenTheStoreGoesAwayInBetween(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	store := memory.NewPersonaStore()
	p := newPersonas(store, noCache{})
	create(t, p, ada, domain.DefaultPersona) // makes the creation of the default a conflict
	store.FailNext("Default", domain.NewError(domain.NotFound, "none"))
	store.FailNext("Default", away)
	if _, created, err := p.EnsureDefault(t.Context()); !errors.Is(err, away) || created {
		t.Errorf("got %v, %v", created, err)
	}
}

func TestWarmReadsLoadOnce(t *testing.T) {
	t.Parallel()
	cache := newKeepingCache()
	p := newPersonas(memory.NewPersonaStore(), cache)
	if _, _, err := p.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	eve := create(t, p, ada, "Eve")
	if _, err := p.Choose(t.Context(), ada, eve.ID); err != nil {
		t.Fatal(err)
	}
	reads := map[string]struct {
		loads int
		read  func() error
	}{
		"list":            {1, func() error { _, err := p.List(t.Context(), true); return err }},
		"list of all":     {1, func() error { _, err := p.List(t.Context(), false); return err }},
		"get":             {0, func() error { _, err := p.Get(t.Context(), eve.ID); return err }}, // Choose has read it
		"current":         {1, func() error { _, err := p.Current(t.Context(), ada); return err }},
		"current default": {2, func() error { _, err := p.Current(t.Context(), bob); return err }}, // that there is no choice, and Mu
	}
	for name, test := range reads {
		before := cache.loaded()
		for range 1000 {
			if err := test.read(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got := cache.loaded() - before; got != test.loads {
			t.Errorf("%s: 1,000 reads loaded %d times, want %d", name, got, test.loads)
		}
	}
	want := map[ports.CacheKey]time.Duration{
		{Space: "personas:list", Name: "active"}: 2 * time.Minute, {Space: "personas:list", Name: "all"}: 3 * time.Minute,
		{Space: "persona", Name: eve.ID}: time.Minute, {Space: "persona", Name: "default"}: time.Minute,
		{Space: "user:persona:preference", Name: "ada"}: 4 * time.Minute, {Space: "user:persona:preference", Name: "bob"}: 4 * time.Minute,
	}
	if !reflect.DeepEqual(cache.ttls, want) {
		t.Errorf("kept are %v, want %v", cache.ttls, want)
	}
}

// A write that somebody refused must not empty the caches: anyone could slow everyone down.
func TestRefusedWritesKeepTheCache(t *testing.T) {
	t.Parallel()
	cache := newKeepingCache()
	p := newPersonas(memory.NewPersonaStore(), cache)
	eve := create(t, p, ada, "Eve")
	names(t, p, true)
	before := cache.loaded()
	wantKind(t, p.Delete(t.Context(), bob, eve.ID), domain.Forbidden)
	names(t, p, true)
	if got := cache.loaded() - before; got != 0 {
		t.Errorf("the list was loaded %d more times", got)
	}
}

// lyingCache returns a value of a type that nobody asked for.
type lyingCache struct{ noCache }

func (lyingCache) Fetch(context.Context, ports.CacheKey, time.Duration, func(context.Context) (any, error), func([]byte) (any, error)) (any, bool, error) {
	return 42, true, nil
}

func TestCacheWithAWrongValueIsAnError(t *testing.T) {
	t.Parallel()
	_, err := newPersonas(memory.NewPersonaStore(), lyingCache{}).List(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), "personas:list:active holds a int") {
		t.Errorf("got %v", err)
	}
}
