package domain

import (
	"strings"
	"time"
	"unicode/utf8"
)

// lastYear is the last one that JSON can say: a key that expires later could be stored and never be shown.
const lastYear = 9999

// APIKeyDraft is what somebody wants a new key to be.
type APIKeyDraft struct {
	Name      string
	Scopes    []string  // empty means everything
	ExpiresAt time.Time // zero: never
}

// Check returns the draft as it can be stored, or everything that is wrong with it.
func (d APIKeyDraft) Check(now time.Time) (APIKeyDraft, error) {
	var faults []Fault
	name := strings.TrimSpace(d.Name)
	switch {
	case name == "":
		faults = append(faults, Fault{
			Type: "string_too_short", Loc: []any{"body", "name"}, Msg: "String should have at least 1 character", Input: d.Name,
			Ctx: map[string]any{"min_length": 1},
		})
	case utf8.RuneCountInString(name) > MaxKeyName:
		faults = append(faults, TooLong(MaxKeyName, d.Name, "body", "name"))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		faults = append(faults, keyFault(d.Name, "Value error, a name must not have control characters", "name"))
	}
	scopes := make([]string, 0, len(d.Scopes))
	known := map[string]bool{}
	for i, scope := range d.Scopes {
		if !IsKeyScope(scope) {
			faults = append(faults, keyFault(scope, "Value error, there is no such scope", "scopes", i))
		}
		if !known[scope] {
			known[scope] = true
			scopes = append(scopes, scope)
		}
	}
	expires := d.ExpiresAt.Format(time.RFC3339Nano)
	switch {
	case d.ExpiresAt.IsZero():
	case !d.ExpiresAt.After(now):
		faults = append(faults, Fault{
			Type: "datetime_future", Loc: []any{"body", "expires_at"}, Msg: "Input should be in the future", Input: expires,
		})
	case d.ExpiresAt.UTC().Year() > lastYear:
		faults = append(faults, keyFault(expires, "Value error, the last year is 9999 in UTC", "expires_at"))
	}
	if len(faults) > 0 {
		return APIKeyDraft{}, InvalidInput(faults...)
	}
	return APIKeyDraft{Name: name, Scopes: scopes, ExpiresAt: d.ExpiresAt}, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func keyFault(input any, msg string, loc ...any) Fault {
	return Fault{Type: "value_error", Loc: append([]any{"body"}, loc...), Msg: msg, Input: input}
}
