package mcpserver

import (
	"context"

	"gaia/app"
	"gaia/domain"
)

type modelQuery struct {
	Provider   string `json:"provider"`
	Capability string `json:"capability"`
	All        bool   `json:"all"`
}

type modelSummary struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Provider      string   `json:"provider"`
	Capabilities  []string `json:"capabilities"`
	ContextWindow int      `json:"context_window" jsonschema:"tokens"`
	MaxTokens     int      `json:"max_tokens" jsonschema:"of an answer"`
}

type modelList struct {
	Models []modelSummary `json:"models"`
	Total  int            `json:"total"`
}

func (s *Server) addModelTools() {
	addTool(s, tool[modelQuery, modelList]{
		name: "list_models", title: "List models", scope: "models:read",
		description: "Lists the models that can answer in chats: those whose provider is set up, or all that Gaia knows.",
		input: `{"type": "object", "additionalProperties": false, "properties": {
			"provider": {"type": "string", "maxLength": 64, "description": "Only models of this provider."},
			"capability": {"type": "string", "maxLength": 64, "description": "Only models that can do this, such as tools, vision or streaming."},
			"all": {"type": "boolean", "default": false, "description": "Models whose provider is not set up, too."}}}`,
		do: func(_ context.Context, _ call, q modelQuery) (modelList, error) { return s.listModels(q), nil },
	})
}

// listModels filters what the catalogue holds, which is bounded by the operator.
func (s *Server) listModels(q modelQuery) modelList {
	usable := map[string]bool{}
	for _, m := range s.Models.Usable() {
		usable[m.ID] = true
	}
	list := modelList{Models: []modelSummary{}}
	for _, m := range s.Models.List(app.ModelFilter{Provider: q.Provider, Capability: q.Capability}) {
		if q.All || usable[m.ID] {
			list.Models = append(list.Models, modelOf(m))
		}
	}
	list.Total = len(list.Models)
	return list
}

func modelOf(m domain.Model) modelSummary {
	return modelSummary{
		ID: m.ID, Name: m.Name, Provider: m.Provider, Capabilities: append([]string{}, m.Capabilities...), ContextWindow: m.ContextWindow,
		MaxTokens: m.MaxTokens,
	}
}
