package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strconv"
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
	// RedactResult says that nobody but the model may see results. What the model makes of them is its answer.
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
	Data      string // the bytes of an image, a sound or a file that is all there is; bounded as Text, which names it. Models do not get it
	Failed    bool   // the tool itself says that it failed: Text says why, for the model to read
	Truncated bool   // there was more
}

// ToolOutcome is how a call of a tool has ended, in one word.
type ToolOutcome string

// The outcomes.
const (
	ToolOK             ToolOutcome = "ok"
	ToolFailed         ToolOutcome = "tool_failed"     // the tool itself says so
	ToolRefused        ToolOutcome = "refused"         // it was not called: there is none, not for this caller, or not with these arguments
	ToolUnavailable    ToolOutcome = "unavailable"     // it was not called: its server is away, or what calls need
	ToolOutcomeUnknown ToolOutcome = "outcome_unknown" // it may or may not have done what it was asked
	ToolCanceled       ToolOutcome = "canceled"        // who waited for it left
)

// OutcomeOf names how a call has ended that returned a result or an error.
func OutcomeOf(result ToolResult, err error) ToolOutcome {
	var e *Error
	switch {
	case err == nil && result.Failed:
		return ToolFailed
	case err == nil:
		return ToolOK
	case errors.As(err, &e) && e.Code == CodeOutcomeUnknown:
		return ToolOutcomeUnknown
	}
	switch KindOf(err) {
	case Canceled:
		return ToolCanceled
	case Unavailable, Limited:
		return ToolUnavailable
	case Internal: // nobody has decided what it means
		return ToolOutcomeUnknown
	default:
		return ToolRefused
	}
}

// ToolPolicy says which tools are offered in chats. It is the operator's; what a caller may use is another question, see MayUseTool.
type ToolPolicy struct {
	Default    []string            // patterns, see MatchesTool
	Activities map[string][]string // by the activity that a request names, in lower case
	Personas   map[string][]string // by id, or by name in lower case
}

// Offers returns the patterns of the tools that a chat is offered: those of its persona, if that has an entry, else those of its activity,
// else the default. An entry without patterns offers nothing.
func (p ToolPolicy) Offers(personaID, personaName, activity string) []string {
	for _, key := range []string{strings.ToLower(personaID), strings.ToLower(strings.TrimSpace(personaName))} {
		if list, ok := p.Personas[key]; ok && key != "" {
			return list
		}
	}
	if list, ok := p.Activities[strings.ToLower(strings.TrimSpace(activity))]; ok {
		return list
	}
	return p.Default
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

// MaxToolArguments bounds the arguments of a call, in bytes.
const MaxToolArguments = 256 << 10

// ToolArguments checks that the arguments of a call are a JSON object of bounded size, whatever a model made of them. None at all, which
// is how models call a tool without parameters, are an empty object.
func ToolArguments(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) > MaxToolArguments {
		return nil, NewError(BadRequest, "The arguments are too long: at most "+strconv.Itoa(MaxToolArguments)+" bytes")
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage("{}"), nil
	}
	if raw[0] != '{' || !json.Valid(raw) {
		return nil, NewError(BadRequest, "The arguments are no JSON object")
	}
	return raw, nil
}

// ToolNameForPeople makes of a name that anybody may have made up something that can stand in a message.
func ToolNameForPeople(id string) string {
	return strconv.Quote(cutText(plainText(id), 2*maxFunctionName))
}
