package mcpserver

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// listPrompts offers the one about assets, and every persona as a prompt of its name.
func (s *Server) listPrompts(ctx context.Context, who domain.Principal, cursor string) (*mcp.ListPromptsResult, error) {
	offset, err := offsetOf(cursor)
	if err != nil {
		return nil, err
	}
	var all []*mcp.Prompt
	if s.offersAssetPrompt(who) {
		all = append(all, assetPrompt())
	}
	if who.HasScope("personas:read") {
		personas, err := s.Personas.List(ctx, true)
		if err != nil {
			return nil, s.protocolError(ctx, "prompts/list", err)
		}
		for _, p := range personas {
			if s.Assets == nil || p.Name != assetPromptName {
				all = append(all, personaPrompt(p))
			}
		}
	}
	return &mcp.ListPromptsResult{
		Prompts: append([]*mcp.Prompt{}, cut(all, page{maxPage, offset})...), NextCursor: cursorAfter(offset, len(all)), Cacheable: private,
	}, nil
}

// getPrompt is the prompt of a name, with what the client has filled in.
func (s *Server) getPrompt(ctx context.Context, who domain.Principal, p *mcp.GetPromptParams) (*mcp.GetPromptResult, error) {
	if s.Assets != nil && p.Name == assetPromptName {
		return s.askForAsset(ctx, who, p.Arguments)
	}
	return s.playPersona(ctx, who, p)
}

func said(text string) *mcp.PromptMessage {
	return &mcp.PromptMessage{Role: "user", Content: &mcp.TextContent{Text: text}}
}
