package app

import (
	"context"

	"gaia/domain"
	"gaia/ports"
)

// ToolsDeps is what Tools needs.
type ToolsDeps struct {
	Servers ports.ToolServers // nil: there are no tools
	Policy  domain.ToolPolicy // what chats are offered
}

// Tools decides who may use which tool, and has tools called.
type Tools struct{ ToolsDeps }

// NewTools makes the use case.
func NewTools(d ToolsDeps) *Tools { return &Tools{ToolsDeps: d} }

// Offered returns the tools for a chat: what the operator's policy offers to its persona, or to its activity, or to all chats, as far as the
// caller may use it and its server is well.
func (t *Tools) Offered(who domain.Principal, personaID, personaName, activity string) []domain.ToolSpec {
	return t.Matching(who, t.Policy.Offers(personaID, personaName, activity))
}

// Matching returns the tools that match one of the patterns and that the caller may use.
func (t *Tools) Matching(who domain.Principal, patterns []string) []domain.ToolSpec {
	if t.Servers == nil || len(patterns) == 0 {
		return nil
	}
	var list []domain.ToolSpec
	for _, spec := range t.Servers.Tools() {
		if id := spec.ID(); domain.MatchesTool(patterns, id) && who.MayUseTool(id) {
			list = append(list, spec)
		}
	}
	return list
}

// Call has a tool called for a caller. One that is not there, or that the caller may not use, is domain.NotFound in the same words: who may
// not use a tool need not learn that there is one. Arguments that are no JSON object, or that break the tool's parameters, are
// domain.BadRequest.
func (t *Tools) Call(ctx context.Context, who domain.Principal, call domain.ToolInvocation) (domain.ToolResult, error) {
	if _, err := t.find(who, call.Server, call.Tool); err != nil {
		return domain.ToolResult{}, err
	}
	var err error
	if call.Arguments, err = domain.ToolArguments(call.Arguments); err != nil {
		return domain.ToolResult{}, err
	}
	call.Owner = who.OwnerID()
	return t.Servers.Call(ctx, call)
}

// find returns the tool of a call that is allowed.
func (t *Tools) find(who domain.Principal, server, name string) (domain.ToolSpec, error) {
	id := domain.ToolSpec{Server: server, Name: name}.ID()
	if t.Servers != nil && who.MayUseTool(id) {
		for _, spec := range t.Servers.Tools() {
			if spec.Server == server && spec.Name == name {
				return spec, nil
			}
		}
	}
	return domain.ToolSpec{}, domain.NewError(domain.NotFound, "There is no tool "+domain.ToolNameForPeople(id)+", or you may not use it")
}
