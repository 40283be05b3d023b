package mcpserver

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// maxCompletions is what the protocol allows in one answer.
const maxCompletions = 100

// complete proposes values for the parameters of addresses, and for the arguments of the prompt that is no persona. Whoever may not read a
// thing is proposed none.
func (s *Server) complete(ctx context.Context, who domain.Principal, p *mcp.CompleteParams) (*mcp.CompleteResult, error) {
	var values []string
	var err error
	switch {
	case p.Ref == nil:
	case p.Ref.Type == "ref/resource":
		values, err = s.completeAddress(ctx, who, p.Ref.URI, p.Argument.Value)
	case p.Ref.Type == "ref/prompt" && s.offersAssetPrompt(who) && p.Ref.Name == assetPromptName:
		values, err = s.completeAssetPrompt(ctx, who, p.Argument.Name, p.Argument.Value)
	}
	if err != nil {
		return nil, s.protocolError(ctx, "completion/complete", err)
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{
		Values: append([]string{}, values[:min(len(values), maxCompletions)]...), Total: len(values), HasMore: len(values) > maxCompletions,
	}}, nil
}

func (s *Server) completeAddress(ctx context.Context, who domain.Principal, template, begin string) ([]string, error) {
	for _, r := range s.resources() {
		if template == r.template() && r.complete != nil && who.HasScope(r.scope) {
			return r.complete(ctx, who, begin)
		}
	}
	return nil, nil
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
