package domain_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

var (
	born  = time.Date(2026, 3, 1, 13, 0, 0, 123456789, time.FixedZone("CET", 3600))
	later = born.Add(time.Hour)
)

func newPersona(t *testing.T, name string) domain.Persona {
	t.Helper()
	p, err := domain.NewPersona(domain.PersonaDraft{Name: name, SystemPrompt: "Be " + name}, "id", "u1", born)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewPersonaFillsIn(t *testing.T) {
	t.Parallel()
	p := newPersona(t, "Ada")
	want := domain.Persona{
		ID: "id", Name: "Ada", SystemPrompt: "Be Ada", Traits: map[string]any{}, Capabilities: map[string]any{}, Active: true, CreatedBy: "u1",
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), UpdatedAt: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC),
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	inactive, err := domain.NewPersona(domain.PersonaDraft{Name: "Ada", Active: new(false)}, "id", "u1", born)
	if err != nil || inactive.Active {
		t.Errorf("a draft that is not active gave %+v, %v", inactive, err)
	}
}

func TestPersonaRules(t *testing.T) {
	t.Parallel()
	at := func(n int) string { return strings.Repeat("é", n) } // two bytes each: limits count characters
	nested := map[string]any{"a": []any{1.5, map[string]any{"b": "x\x00"}}}
	tests := map[string]struct {
		draft domain.PersonaDraft
		want  []string // type and last part of loc
	}{
		"longest name":         {domain.PersonaDraft{Name: at(domain.MaxPersonaName)}, nil},
		"longest description":  {domain.PersonaDraft{Name: "a", Description: at(domain.MaxPersonaText)}, nil},
		"longest prompt":       {domain.PersonaDraft{Name: "a", SystemPrompt: at(domain.MaxSystemPrompt)}, nil},
		"empty name":           {domain.PersonaDraft{}, []string{"string_too_short name"}},
		"blank name":           {domain.PersonaDraft{Name: " \t\n\u2003"}, []string{"string_too_short name"}},
		"name too long":        {domain.PersonaDraft{Name: at(domain.MaxPersonaName + 1)}, []string{"string_too_long name"}},
		"description too long": {domain.PersonaDraft{Name: "a", Description: at(domain.MaxPersonaText + 1)}, []string{"string_too_long description"}},
		"prompt too long":      {domain.PersonaDraft{Name: "a", SystemPrompt: at(domain.MaxSystemPrompt + 1)}, []string{"string_too_long system_prompt"}},
		"NUL in texts": {
			domain.PersonaDraft{Name: "a\x00", Description: "\x00", SystemPrompt: "\x00b"},
			[]string{"value_error name", "value_error description", "value_error system_prompt"},
		},
		"NUL in a value":            {domain.PersonaDraft{Name: "a", Traits: nested}, []string{"value_error personality_traits"}},
		"NUL in a key":              {domain.PersonaDraft{Name: "a", Capabilities: map[string]any{"\x00": true}}, []string{"value_error capabilities"}},
		"maps of every type":        {domain.PersonaDraft{Name: "a", Traits: map[string]any{"a": nil, "b": []any{true, "c", 1.0}, "d": map[string]any{}}}, nil},
		"all faults at once":        {domain.PersonaDraft{Description: at(5000)}, []string{"string_too_short name", "string_too_long description"}},
		"blank and too long a name": {domain.PersonaDraft{Name: strings.Repeat(" ", 101)}, []string{"string_too_short name", "string_too_long name"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.NewPersona(test.draft, "id", "u1", born)
			if got := faultsOf(t, err); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got faults %v, want %v", got, test.want)
			}
		})
	}
}

// faultsOf lists type and field of each fault, and checks what clients rely on in all of them.
func faultsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Invalid {
		t.Fatalf("got %v, want an Invalid error", err)
	}
	var list []string
	for _, f := range e.Faults {
		if len(f.Loc) != 2 || f.Loc[0] != "body" || f.Msg == "" || f.Input == nil {
			t.Errorf("incomplete fault %+v", f)
		}
		list = append(list, f.Type+" "+f.Loc[1].(string))
	}
	return list
}

func TestPersonaApply(t *testing.T) {
	t.Parallel()
	p := newPersona(t, "Ada")
	p.Description = "old"
	err := p.Apply(domain.PersonaPatch{
		Name: new("Eve"), SystemPrompt: new(""), Traits: map[string]any{"a": 1.0}, Capabilities: map[string]any{}, Active: new(false),
	}, later)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "Eve" || p.SystemPrompt != "" || p.Description != "old" || p.Active || p.Traits["a"] != 1.0 || p.Capabilities == nil {
		t.Errorf("got %+v", p)
	}
	if want := later.UTC().Truncate(time.Microsecond); p.UpdatedAt != want || p.CreatedAt.After(born) || p.CreatedBy != "u1" || p.ID != "id" {
		t.Errorf("got %+v, want updated at %v and the rest kept", p, want)
	}
	if got := faultsOf(t, p.Apply(domain.PersonaPatch{Name: new(" ")}, later)); !reflect.DeepEqual(got, []string{"string_too_short name"}) {
		t.Errorf("a patch with a blank name gave %v", got)
	}
}

func TestEmptyPatchKeepsEverythingButTheTime(t *testing.T) {
	t.Parallel()
	p := newPersona(t, "Ada")
	before := p
	if err := p.Apply(domain.PersonaPatch{}, later); err != nil {
		t.Fatal(err)
	}
	before.UpdatedAt = p.UpdatedAt
	if !reflect.DeepEqual(p, before) {
		t.Errorf("got %+v, want %+v", p, before)
	}
}

func TestDefaultPersonaIsProtected(t *testing.T) {
	t.Parallel()
	patches := map[string]struct {
		patch domain.PersonaPatch
		want  domain.Kind
		ok    bool
	}{
		"rename":          {patch: domain.PersonaPatch{Name: new("Nu")}, want: domain.Conflict},
		"deactivate":      {patch: domain.PersonaPatch{Active: new(false)}, want: domain.Conflict},
		"both":            {patch: domain.PersonaPatch{Name: new(domain.DefaultPersona), Active: new(false)}, want: domain.Conflict},
		"same name":       {patch: domain.PersonaPatch{Name: new(domain.DefaultPersona)}, ok: true},
		"activate":        {patch: domain.PersonaPatch{Active: new(true)}, ok: true},
		"prompt":          {patch: domain.PersonaPatch{SystemPrompt: new("Beep")}, ok: true},
		"prompt too long": {patch: domain.PersonaPatch{SystemPrompt: new(strings.Repeat("x", 40000))}, want: domain.Invalid},
		"NUL in traits":   {patch: domain.PersonaPatch{Traits: map[string]any{"\x00": 1}}, want: domain.Invalid},
	}
	for name, test := range patches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := domain.NewDefaultPersona("id", born)
			err := p.Apply(test.patch, later)
			if test.ok != (err == nil) || !test.ok && domain.KindOf(err) != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
	p := domain.NewDefaultPersona("id", born)
	if err := p.Delete(later); domain.KindOf(err) != domain.Conflict || !p.Active {
		t.Errorf("deleting gave %v and active %v", err, p.Active)
	}
	if p.SystemPrompt == "" || p.Description == "" || len(p.Traits) == 0 || len(p.Capabilities) == 0 || p.CreatedAt.Location() != time.UTC {
		t.Errorf("the default persona lacks something: %+v", p)
	}
}

func TestOnlySystemsMuIsTheDefault(t *testing.T) {
	t.Parallel()
	impostor := newPersona(t, domain.DefaultPersona)
	if impostor.IsDefault() {
		t.Error("a user's persona of that name is protected")
	}
	if err := impostor.Delete(later); err != nil || impostor.Active || impostor.UpdatedAt.Equal(impostor.CreatedAt) {
		t.Errorf("deleting it gave %v and %+v", err, impostor)
	}
}

func TestEditableBy(t *testing.T) {
	t.Parallel()
	user := domain.Principal{Type: domain.AuthJWT, UserID: "u1"}
	tests := map[string]struct {
		owner string
		who   domain.Principal
		want  bool
	}{
		"owner":                        {"u1", user, true},
		"owner with a key":             {"u1", domain.Principal{Type: domain.AuthUserAPIKey, UserID: "u1", KeyID: "k"}, true},
		"key without a user":           {"key:k", domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k"}, true},
		"another key":                  {"key:k", domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "j"}, false},
		"stranger":                     {"u2", user, false},
		"global key":                   {"u2", domain.ServicePrincipal(), true},
		"global key, nobody's persona": {"", domain.ServicePrincipal(), true},
		"user, nobody's persona":       {"", user, false},
		"user, the service's persona":  {"service", user, false},
		"user, the system's persona":   {"system", user, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := domain.Persona{CreatedBy: test.owner}
			if got := p.EditableBy(test.who); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPersonaPrompt(t *testing.T) {
	t.Parallel()
	p := domain.Persona{SystemPrompt: " Be kind.\n{tools_section}\n{tools_section} "}
	if got := p.Prompt(""); got != "Be kind." {
		t.Errorf("without tools got %q", got)
	}
	if got := p.Prompt("T"); got != "Be kind.\nT\nT" {
		t.Errorf("with tools got %q", got)
	}
}
