package mcpserver

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// maxCompletions is what the protocol allows in one answer.
const maxCompletions = 100

// complete proposes values for the parameters of addresses. Whoever may not read a thing is proposed none.
func (s *Server) complete(ctx context.Context, who domain.Principal, p *mcp.CompleteParams) (*mcp.CompleteResult, error) {
	result := &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}
	if p.Ref == nil || p.Ref.Type != "ref/resource" {
		return result, nil
	}
	for _, r := range s.resources() {
		if p.Ref.URI != r.prefix+r.variable || r.complete == nil || !who.HasScope(r.scope) {
			continue
		}
		values, err := r.complete(ctx, who, p.Argument.Value)
		if err != nil {
			return nil, s.protocolError(ctx, "completion/complete", err)
		}
		result.Completion.Total = len(values)
		result.Completion.HasMore = len(values) > maxCompletions
		result.Completion.Values = append(result.Completion.Values, values[:min(len(values), maxCompletions)]...)
	}
	return result, nil
}

// personaIDs are those of personas whose id or name begins like this.
func (s *Server) personaIDs(ctx context.Context, _ domain.Principal, begin string) ([]string, error) {
	all, err := s.Personas.List(ctx, true)
	var ids []string
	for _, p := range all {
		if begins(p.ID, begin) || begins(p.Name, begin) {
			ids = append(ids, p.ID)
		}
	}
	return ids, err
}

// conversationIDs are those of the latest conversations whose id or title begins like this.
func (s *Server) conversationIDs(ctx context.Context, who domain.Principal, begin string) ([]string, error) {
	latest, _, err := s.Conversations.List(ctx, who, maxPage, 0)
	var ids []string
	for _, c := range latest {
		if begins(c.ID, begin) || begins(c.Title, begin) {
			ids = append(ids, c.ID)
		}
	}
	return ids, err
}

func begins(text, with string) bool {
	return len(text) >= len(with) && strings.EqualFold(text[:len(with)], with)
}
