package domain

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// noScope stands among the scopes of a key that may do nothing. No operation asks for it.
const noScope = "none"

// ScopesFromPermissions reads the scopes of a stored key: nil means everything.
//
// Gaia stores a list of scopes. The old platform stored a list of scopes or an object of flags, and none of its routes asked for any, so
// these follow what was meant: "chat" in either stands for everything about chats, "admin" for everything at all. Nothing, an empty list
// and an object that says nothing about what Gaia can limit leave the key with full access, as it was; a list that says nothing leaves it
// with none. What can't be read opens nothing.
func ScopesFromPermissions(permissions []byte) []string {
	permissions = bytes.TrimSpace(permissions)
	if len(permissions) == 0 || string(permissions) == "null" {
		return nil
	}
	switch permissions[0] {
	case '[':
		var names []string
		if json.Unmarshal(permissions, &names) != nil {
			return []string{noScope}
		}
		scopes, _ := scopesNamed(names)
		return scopes
	case '{':
		var flags map[string]any
		if json.Unmarshal(permissions, &flags) != nil {
			return []string{noScope}
		}
		return scopesFlagged(flags)
	default:
		return []string{noScope}
	}
}

// scopesNamed is what a list of names stands for. known reports whether any of them means something to Gaia.
func scopesNamed(names []string) (scopes []string, known bool) {
	for _, name := range names {
		if name == "admin" || name == "*" {
			return nil, true
		}
		family := len(scopes)
		for _, scope := range keyScopes {
			if strings.HasPrefix(scope, name+":") {
				scopes = append(scopes, scope)
			}
		}
		known = known || IsKeyScope(name) || len(scopes) > family
		if len(scopes) == family { // the next release may know it
			scopes = append(scopes, name)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), known
}

func scopesFlagged(flags map[string]any) []string {
	var set, unset []string
	for name, value := range flags {
		if value == true {
			set = append(set, name)
		} else if name != "admin" && name != "*" { // not to be an administrator is no limit
			unset = append(unset, name)
		}
	}
	if scopes, known := scopesNamed(set); known {
		return scopes
	}
	if _, known := scopesNamed(unset); known { // every flag that means something is off
		return []string{noScope}
	}
	return nil
}
