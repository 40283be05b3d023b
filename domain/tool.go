package domain

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// ToolSpec describes a tool of a server.
type ToolSpec struct {
	Server      string // the name that the operator gave the server
	Name        string // as the server calls it
	Title       string // for people; may be empty
	Description string // written by the server: never trusted
	Parameters  map[string]any

	// Repeatable says that a call whose outcome is unknown may be made again with the same id: the tool changes nothing, the same call
	// changes nothing more, or its server remembers ids of calls.
	Repeatable bool
	// Redact names arguments whose values nobody but the tool may see; "*" are all of them.
	Redact []string
	// RedactResult says that nobody but the model and the caller may see results.
	RedactResult bool
}

// ID names a tool among all servers, as in allow-lists: "server/tool".
func (t ToolSpec) ID() string { return t.Server + "/" + t.Name }

// ToolInvocation is one call of a tool.
type ToolInvocation struct {
	CallID    string // UUID; the server gets it in _meta, the same one each time this call is made
	Server    string
	Tool      string
	Arguments json.RawMessage // an object, checked against the tool's parameters before the call
	Owner     string          // Principal.OwnerID
}

// ToolResult is what a tool gave back. Text is bounded.
type ToolResult struct {
	Text      string
	Failed    bool // the tool itself says that it failed: Text says why, for the model to read
	Truncated bool // there was more
}

// MatchesTool reports whether one of the patterns allows a tool by its ID. A pattern is "server/tool"; "*" stands for any run of characters
// within either half.
func MatchesTool(patterns []string, id string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "*" {
			return true
		}
		ok, err := path.Match(p, id)
		return ok && err == nil
	})
}

// MayUseTool reports whether a caller may have a tool called. A key with a list of tools may use those; a key that is limited to scopes and
// has no list may use none, since what a tool does lies outside of all scopes; everybody else may use all that is offered.
func (p Principal) MayUseTool(id string) bool {
	if p.Tools != nil {
		return MatchesTool(p.Tools, id)
	}
	return len(p.Scopes) == 0
}

// IsToolPattern reports whether a text can stand in a list of tools.
func IsToolPattern(s string) bool {
	if s == "*" {
		return true
	}
	server, tool, ok := strings.Cut(s, "/")
	_, err := path.Match(s, "")
	return ok && err == nil && server != "" && tool != "" && !strings.Contains(tool, "/")
}
