package domain

import (
	"fmt"
	"slices"
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
	Tools     []string  // nil: no list; see APIKey
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
	tools, toolFaults := checkTools(d.Tools)
	faults = append(faults, toolFaults...)
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
	return APIKeyDraft{Name: name, Scopes: scopes, Tools: tools, ExpiresAt: d.ExpiresAt}, nil
}

// checkTools returns a list of patterns without repetitions. No list stays none, and an empty one is not the same.
func checkTools(list []string) (tools []string, faults []Fault) {
	if list == nil {
		return nil, nil
	}
	tools = []string{}
	size := 0
	for i, pattern := range list {
		size += len(pattern)
		switch {
		case utf8.RuneCountInString(pattern) > MaxKeyTool:
			faults = append(faults, TooLong(MaxKeyTool, pattern, "body", "tools", i))
		case !IsToolPattern(pattern) || !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, isControl):
			faults = append(faults, keyFault(pattern, "Value error, a pattern of tools is like server/tool, with * for any characters of either", "tools", i))
		case !slices.Contains(tools, pattern):
			tools = append(tools, pattern)
		}
	}
	if len(list) > MaxKeyTools || size > MaxKeyToolText {
		faults = append(faults, keyFault(len(list), fmt.Sprintf("Value error, at most %d patterns of together %d bytes", MaxKeyTools, MaxKeyToolText), "tools"))
	}
	return tools, faults
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func keyFault(input any, msg string, loc ...any) Fault {
	return Fault{Type: "value_error", Loc: append([]any{"body"}, loc...), Msg: msg, Input: input}
}
