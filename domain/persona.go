package domain

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a persona, in characters.
const (
	MaxPersonaName   = 100
	MaxPersonaText   = 4000
	MaxSystemPrompt  = 32768
	DefaultPersona   = "Mu"
	defaultCreatedBy = "system"
)

// Persona is a character that answers in chats: its system prompt goes to the model before everything else. Values that a cache
// hands out are shared: treat them as read-only.
type Persona struct {
	ID           string // UUID in canonical form
	Name         string
	Description  string
	SystemPrompt string
	Traits       map[string]any // never nil
	Capabilities map[string]any // never nil
	Active       bool           // false after deletion
	CreatedBy    string         // a user id, "service" or "system"; empty when unknown
	CreatedAt    time.Time      // UTC, microseconds
	UpdatedAt    time.Time
}

// PersonaDraft is what a client says about a new persona.
type PersonaDraft struct {
	Name         string
	Description  string
	SystemPrompt string
	Traits       map[string]any
	Capabilities map[string]any
	Active       *bool // nil means active
}

// PersonaPatch changes the fields that are not nil.
type PersonaPatch struct {
	Name         *string
	Description  *string
	SystemPrompt *string
	Traits       map[string]any
	Capabilities map[string]any
	Active       *bool
}

// NewPersona makes a persona from a draft, or reports every rule that the draft breaks.
func NewPersona(d PersonaDraft, id, createdBy string, now time.Time) (Persona, error) {
	now = now.UTC().Truncate(time.Microsecond)
	p := Persona{
		ID: id, Name: d.Name, Description: d.Description, SystemPrompt: d.SystemPrompt,
		Traits: orEmpty(d.Traits), Capabilities: orEmpty(d.Capabilities),
		Active: d.Active == nil || *d.Active, CreatedBy: createdBy, CreatedAt: now, UpdatedAt: now,
	}
	return p, p.validate()
}

// NewDefaultPersona is Mu, who answers when nobody chose a persona.
func NewDefaultPersona(id string, now time.Time) Persona {
	now = now.UTC().Truncate(time.Microsecond)
	return Persona{
		ID: id, Name: DefaultPersona, Active: true, CreatedBy: defaultCreatedBy, CreatedAt: now, UpdatedAt: now,
		Description: "A cheerful robot companion who helps with everyday questions and keeps you calm.",
		SystemPrompt: "You are Mu, a cheerful robot companion. Be warm, brief and useful; an occasional beep is fine. " +
			"Offer a breathing exercise or a short meditation when someone sounds stressed. Say so when you do not know something.",
		Traits: allTrue("cheerful", "helpful", "robotic_charm", "supportive", "meditation_capable", "optimistic", "encouraging"),
		Capabilities: allTrue("general_conversation", "meditation_guidance", "breathing_exercises", "emotional_support",
			"tool_usage", "mindfulness_coaching", "positive_reinforcement"),
	}
}

// Apply changes the persona, or reports why it may not change that way. After an error the persona must be dropped.
func (p *Persona) Apply(patch PersonaPatch, now time.Time) error {
	if p.IsDefault() {
		if patch.Name != nil && *patch.Name != p.Name || patch.Active != nil && !*patch.Active {
			return NewError(Conflict, "The default persona can't be renamed or deactivated")
		}
	}
	setIf(&p.Name, patch.Name)
	setIf(&p.Description, patch.Description)
	setIf(&p.SystemPrompt, patch.SystemPrompt)
	setIf(&p.Active, patch.Active)
	if patch.Traits != nil {
		p.Traits = patch.Traits
	}
	if patch.Capabilities != nil {
		p.Capabilities = patch.Capabilities
	}
	p.UpdatedAt = now.UTC().Truncate(time.Microsecond)
	return p.validate()
}

// Delete marks the persona as deleted.
func (p *Persona) Delete(now time.Time) error {
	if p.IsDefault() {
		return NewError(Conflict, "The default persona can't be deleted")
	}
	p.Active = false
	p.UpdatedAt = now.UTC().Truncate(time.Microsecond)
	return nil
}

// IsDefault reports whether this is the persona that answers when nobody chose one.
func (p *Persona) IsDefault() bool {
	return p.Name == DefaultPersona && p.CreatedBy == defaultCreatedBy
}

// EditableBy reports whether a caller may change or delete the persona: its owner and the global key may.
func (p *Persona) EditableBy(who Principal) bool {
	return who.IsService() || p.CreatedBy != "" && p.CreatedBy == who.OwnerID()
}

// Prompt is the system prompt as a model gets it. Prompts written for the old platform may hold a place for a list of tools.
func (p *Persona) Prompt(toolsSection string) string {
	return strings.TrimSpace(strings.ReplaceAll(p.SystemPrompt, "{tools_section}", toolsSection))
}

func (p *Persona) validate() error {
	var faults []Fault
	if strings.TrimSpace(p.Name) == "" {
		faults = append(faults, Fault{
			Type: "string_too_short", Loc: []any{"body", "name"}, Msg: "String should have at least 1 character", Input: p.Name,
			Ctx: map[string]any{"min_length": 1},
		})
	}
	faults = appendTooLong(faults, "name", p.Name, MaxPersonaName)
	faults = appendTooLong(faults, "description", p.Description, MaxPersonaText)
	faults = appendTooLong(faults, "system_prompt", p.SystemPrompt, MaxSystemPrompt)
	for _, f := range []struct {
		field string
		value any
	}{
		{"name", p.Name}, {"description", p.Description}, {"system_prompt", p.SystemPrompt},
		{"personality_traits", p.Traits}, {"capabilities", p.Capabilities},
	} {
		if holdsNUL(f.value) { // PostgreSQL can't store it, neither in text nor in JSON
			faults = append(faults, Fault{
				Type: "value_error", Loc: []any{"body", f.field}, Msg: "Value error, null characters are not allowed", Input: f.value,
			})
		}
	}
	if len(faults) > 0 {
		return InvalidInput(faults...)
	}
	return nil
}

func appendTooLong(faults []Fault, field, s string, limit int) []Fault {
	if utf8.RuneCountInString(s) <= limit {
		return faults
	}
	return append(faults, TooLong(limit, s, "body", field))
}

// holdsNUL looks for null characters in a value of JSON.
func holdsNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, holdsNUL)
	case map[string]any:
		for key, inner := range v {
			if holdsNUL(key) || holdsNUL(inner) {
				return true
			}
		}
	}
	return false
}

func allTrue(names ...string) map[string]any {
	m := make(map[string]any, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func setIf[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}
