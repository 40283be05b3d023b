package domain

import (
	"encoding/json"
	"slices"
	"strings"
)

// StoredTools is a key's list of tools as stores keep it: JSON, or nil when it has no list.
func (k APIKey) StoredTools() []byte {
	if k.Tools == nil {
		return nil
	}
	data, err := json.Marshal(k.Tools)
	if err != nil { // texts are always JSON
		return []byte("[]")
	}
	return data
}

// ToolsFromStored reads a list of tools that a store has kept. What can't be read allows nothing.
func ToolsFromStored(stored []byte) []string {
	if text := strings.TrimSpace(string(stored)); text == "" || text == "null" {
		return nil
	}
	tools := []string{}
	if json.Unmarshal(stored, &tools) != nil {
		return []string{}
	}
	return tools
}

// MayGrantTools reports whether a key with these scopes and this list of tools may use no more tools than the caller. Patterns are compared with
// care: what is not plainly within the caller's own list is refused.
func (p Principal) MayGrantTools(scopes, tools []string) bool {
	if p.Tools == nil && len(p.Scopes) == 0 {
		return true
	}
	if tools == nil {
		if len(scopes) > 0 {
			return true // such a key may use none
		}
		tools = []string{"*"}
	}
	for _, wanted := range tools {
		if !slices.ContainsFunc(p.Tools, func(own string) bool { return coversPattern(own, wanted) }) {
			return false
		}
	}
	return true
}

// coversPattern reports whether everything that a pattern matches is matched by another. Where both consist of letters and "*" that is so when
// the one matches the other as a text: only its own "*" can match the "*" of the other. About the rest of path.Match it says no, unless both
// are the same.
func coversPattern(own, wanted string) bool {
	if own == "*" || own == wanted {
		return true
	}
	const special = `?[\`
	return !strings.ContainsAny(own, special) && !strings.ContainsAny(wanted, special) && MatchesTool([]string{own}, wanted)
}
