package domain

import (
	"encoding/json"
	"unicode/utf8"
)

// EstimateUsage counts a call whose provider did not.
func EstimateUsage(prompt []PromptMessage, a Answer) Usage {
	u := Usage{Output: EstimateTokens(utf8.RuneCountInString(a.Content) + utf8.RuneCountInString(a.Refusal)), Source: UsageEstimated}
	for _, m := range prompt {
		u.Input += m.estimate()
	}
	for _, c := range a.ToolCalls {
		u.Output += EstimateTokens(len(c.Name) + len(c.Arguments))
	}
	return u
}

// mostImageTokens is what providers count for a large image at most, except for a few small models to which one costs more tokens of less
// money.
const mostImageTokens = 5000

// MostTokens bounds what a provider can count for a prompt: two tokens for each that is expected of its texts and of the schemas of its
// tools, and the most that images take.
func (p Prompt) MostTokens() int {
	tokens := EstimateUsage(p.Messages, Answer{}).Input
	for _, t := range p.Tools {
		tokens += EstimateTokens(utf8.RuneCountInString(t.Name)+utf8.RuneCountInString(t.Description)) + schemaTokens(t.Parameters)
	}
	if p.ResponseFormat != nil {
		tokens += schemaTokens(p.ResponseFormat.Schema)
	}
	tokens *= 2
	for _, m := range p.Messages {
		for _, part := range m.Parts {
			if part.ImageURL != "" {
				tokens += mostImageTokens
			}
		}
	}
	return tokens
}

// schemaTokens estimates a JSON Schema by its length as JSON.
func schemaTokens(schema map[string]any) int {
	if schema == nil {
		return 0
	}
	raw, err := json.Marshal(schema)
	if err != nil { // it came as JSON
		return 0
	}
	return EstimateTokens(len(raw))
}
