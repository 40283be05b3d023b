package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ToolsDeps is what Tools needs.
type ToolsDeps struct {
	Servers ports.ToolServers // nil: there are no tools
	Policy  domain.ToolPolicy // what chats are offered
	Audit   *Audit            // records every call
	Now     ports.Clock
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
//
// A call is recorded before it is made and when it has ended. One that can't be recorded is not made: it is domain.Unavailable.
func (t *Tools) Call(ctx context.Context, who domain.Principal, call domain.ToolInvocation) (domain.ToolResult, error) {
	if t.Audit == nil || t.Now == nil {
		return domain.ToolResult{}, errors.New("app.Tools is made without Audit or Now: no tool may be called")
	}
	if _, ok := domain.ParseID(call.CallID); !ok {
		return domain.ToolResult{}, fmt.Errorf("a call of %s/%s has the id %q", call.Server, call.Tool, call.CallID)
	}
	call.Owner = who.OwnerID()
	spec, err := t.find(who, call.Server, call.Tool)
	size := len(call.Arguments)
	if err == nil {
		call.Arguments, err = domain.ToolArguments(call.Arguments)
	}
	entry := auditOfTool(who, call, size)
	if err != nil {
		t.Audit.Record(ctx, returned(entry, domain.ToolResult{}, err, 0))
		return domain.ToolResult{}, err
	}
	entry.Details[domain.DetailArguments] = domain.AuditArguments(spec, call.Arguments)
	end, err := t.Audit.Begin(ctx, entry)
	if err != nil {
		return domain.ToolResult{}, err
	}
	return t.call(ctx, call, func(result domain.ToolResult, err error, took time.Duration) {
		end(ctx, returned(entry, result, err, took))
	})
}

// call makes a call and tells ended how it has ended, also when it panics.
func (t *Tools) call(
	ctx context.Context, call domain.ToolInvocation, ended func(domain.ToolResult, error, time.Duration),
) (result domain.ToolResult, err error) {
	began := t.Now()
	err = errNoEnd
	defer func() { ended(result, err, t.Now().Sub(began)) }()
	return t.Servers.Call(ctx, call)
}

// errNoEnd is the end of a call that has none.
var errNoEnd = errors.New("the call did not end")

// auditOfTool is what an entry about a call says first.
func auditOfTool(who domain.Principal, call domain.ToolInvocation, size int) domain.AuditEntry {
	return domain.AuditEntry{
		Action: domain.AuditToolCalled, Principal: call.Owner, Subject: domain.ToolSpec{Server: call.Server, Name: call.Tool}.ID(),
		Details: map[string]string{
			domain.DetailCallID: call.CallID, domain.DetailAuthType: string(who.Type), domain.DetailKeyID: who.KeyID,
			domain.DetailArgumentBytes: strconv.Itoa(size),
		},
	}
}

// returned is the entry about the end of a call.
func returned(e domain.AuditEntry, result domain.ToolResult, err error, took time.Duration) domain.AuditEntry {
	e.Action, e.Details = domain.AuditToolReturned, maps.Clone(e.Details) // the entry before may still wait
	delete(e.Details, domain.DetailArguments)                             // it has them
	e.Details[domain.DetailOutcome] = string(domain.OutcomeOf(result, err))
	e.Details[domain.DetailDurationMS] = strconv.FormatInt(max(took, 0).Milliseconds(), 10)
	e.Details[domain.DetailResultBytes] = strconv.Itoa(len(result.Text))
	e.Details[domain.DetailTruncated] = strconv.FormatBool(result.Truncated)
	return e
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
