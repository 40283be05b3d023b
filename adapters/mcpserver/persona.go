package mcpserver

import (
	"context"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// Pages of lists.
const (
	defaultPage = 50
	maxPage     = 100
)

// page is what every list takes.
type page struct {
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

const pageProperties = `"limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50, "description": "How many to list at most."},
	"offset": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 0, "description": "How many to leave out before."}`

const pageSchema = `{"type": "object", "additionalProperties": false, "properties": {` + pageProperties + `}}`

// cut is the part of a list that a page shows.
func cut[T any](list []T, p page) []T {
	from := min(max(p.Offset, 0), len(list))
	return list[from:min(from+pageSize(p.Limit), len(list))]
}

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

type personaSummary struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type personaList struct {
	Personas []personaSummary `json:"personas"`
	Total    int              `json:"total"`
}

type personaRef struct {
	Persona string `json:"persona"`
}

type personaDetails struct {
	personaSummary
	SystemPrompt string         `json:"system_prompt"`
	Traits       map[string]any `json:"personality_traits"`
	Capabilities map[string]any `json:"capabilities"`
	CreatedAt    string         `json:"created_at"`
	UpdatedAt    string         `json:"updated_at"`
}

func (s *Server) addPersonaTools() {
	addTool(s, tool[page, personaList]{
		name: "list_personas", title: "List personas", scope: "personas:read", input: pageSchema,
		description: "Lists the characters that can answer in chats, the newest first.",
		do: func(ctx context.Context, _ call, p page) (personaList, error) {
			all, err := s.Personas.List(ctx, true)
			list := personaList{Personas: []personaSummary{}, Total: len(all)}
			for _, persona := range cut(all, p) {
				list.Personas = append(list.Personas, summaryOf(persona))
			}
			return list, err
		},
	})
	addTool(s, tool[personaRef, personaDetails]{
		name: "get_persona", title: "Show a persona", scope: "personas:read",
		description: "Shows one persona with its system prompt.",
		input: `{"type": "object", "required": ["persona"], "additionalProperties": false, "properties": {
			"persona": {"type": "string", "minLength": 1, "maxLength": 255, "description": "Its id or name."}}}`,
		do: func(ctx context.Context, _ call, ref personaRef) (personaDetails, error) {
			persona, err := s.persona(ctx, ref.Persona)
			return detailsOf(persona), err
		},
	})
}

func summaryOf(p domain.Persona) personaSummary {
	return personaSummary{p.ID, p.Name, p.Description}
}

func detailsOf(p domain.Persona) personaDetails {
	return personaDetails{
		personaSummary: summaryOf(p), SystemPrompt: p.SystemPrompt, Traits: p.Traits, Capabilities: p.Capabilities,
		CreatedAt: timestamp(p.CreatedAt), UpdatedAt: timestamp(p.UpdatedAt),
	}
}

// persona finds a persona by its id or its name, which is unique.
func (s *Server) persona(ctx context.Context, named string) (domain.Persona, error) {
	if id, ok := domain.ParseID(named); ok {
		return s.Personas.Get(ctx, id)
	}
	all, err := s.Personas.List(ctx, true)
	if err != nil {
		return domain.Persona{}, err
	}
	i := slices.IndexFunc(all, func(p domain.Persona) bool { return p.Name == named })
	if i < 0 {
		i = slices.IndexFunc(all, func(p domain.Persona) bool { return strings.EqualFold(p.Name, named) })
	}
	if i < 0 {
		return domain.Persona{}, domain.NewError(domain.NotFound, "Persona not found: "+named)
	}
	return all[i], nil
}

// personaID is the id of a persona that a client names; empty for the caller's current one.
func (s *Server) personaID(ctx context.Context, named string) (string, error) {
	if named == "" || named == "default" {
		return "", nil
	}
	persona, err := s.persona(ctx, named)
	return persona.ID, err
}

// personaPrompt is a persona as a prompt, of its name.
func personaPrompt(p domain.Persona) *mcp.Prompt {
	return &mcp.Prompt{
		Name: p.Name, Title: p.Name, Description: p.Description,
		Arguments: []*mcp.PromptArgument{{Name: "message", Title: "Message", Description: "What to say to the persona."}},
	}
}

// playPersona is a persona's system prompt, for a model of the client's to play. The protocol knows no system messages in prompts.
func (s *Server) playPersona(ctx context.Context, who domain.Principal, p *mcp.GetPromptParams) (*mcp.GetPromptResult, error) {
	if !who.HasScope("personas:read") {
		return nil, s.protocolError(ctx, "prompts/get", lacks("personas:read"))
	}
	persona, err := s.persona(ctx, p.Name)
	if err != nil {
		return nil, s.protocolError(ctx, "prompts/get", err)
	}
	result := &mcp.GetPromptResult{Description: persona.Description, Messages: []*mcp.PromptMessage{said(persona.Prompt(""))}}
	if text := p.Arguments["message"]; text != "" {
		result.Messages = append(result.Messages, said(text))
	}
	return result, nil
}
