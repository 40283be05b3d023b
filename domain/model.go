package domain

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// Provider ids, in the order in which a default is looked for.
const (
	ProviderClaude     = "claude"
	ProviderOpenAI     = "openai"
	ProviderGemini     = "gemini"
	ProviderMistral    = "mistral"
	ProviderCompatible = "compatible"
	ProviderEcho       = "echo"
)

// EchoModel is the one model of the built-in provider.
const EchoModel = "echo"

// Provider is who runs models, and what an operator sets to use them.
type Provider struct {
	ID           string
	Name         string
	Setting      string // the environment variable that configures it
	DefaultModel string // used when a request names only the provider; empty when the operator has to say it
}

// Providers returns the known providers in the order in which a default is looked for.
func Providers() []Provider {
	return []Provider{
		{ProviderClaude, "Anthropic Claude", "ANTHROPIC_API_KEY", "claude-3-haiku-20240307"},
		{ProviderOpenAI, "OpenAI", "OPENAI_API_KEY", "gpt-4o-mini"},
		{ProviderGemini, "Google Gemini", "GOOGLE_API_KEY", "gemini-1.5-flash"},
		{ProviderMistral, "Mistral", "MISTRAL_API_KEY", "mistral-small-latest"},
		{ProviderCompatible, "OpenAI-compatible", "COMPATIBLE_BASE_URL", ""},
		{ProviderEcho, "Echo", "ENVIRONMENT", EchoModel},
	}
}

// Model describes a model of the catalogue. Costs are US dollars per token, times milliseconds, scores from 0 to 1.
type Model struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	Provider           string   `json:"provider"`
	Capabilities       []string `json:"capabilities"`
	MaxTokens          int      `json:"max_tokens"`
	ContextWindow      int      `json:"context_window"`
	CostPerInputToken  float64  `json:"cost_per_input_token"`
	CostPerOutputToken float64  `json:"cost_per_output_token"`
	CostPerCachedToken float64  `json:"cost_per_cached_input_token,omitempty"` // 0: as any other input
	CostPerCacheWrite  float64  `json:"cost_per_cache_write_token,omitempty"`  // 0: as any other input
	AvgResponseTimeMS  int      `json:"avg_response_time_ms"`
	QualityScore       float64  `json:"quality_score"`
	SpeedScore         float64  `json:"speed_score"`
	Deprecated         bool     `json:"is_deprecated"`
	Description        string   `json:"description,omitempty"`
	Created            int64    `json:"created,omitempty"` // Unix seconds; 0: not known
}

// Catalogue is the list of models that Gaia knows by name, and the table of prices. It does not change after it was made.
type Catalogue struct {
	version string
	models  []Model
	byID    map[string]int
}

// Version names the table that prices come from.
func (c Catalogue) Version() string { return c.version }

// Models returns all models, in the order of the table.
func (c Catalogue) Models() []Model { return slices.Clone(c.models) }

// What a token costs, in dollars, when a provider that takes money serves a model that the table lacks.
const (
	roughCostPerInputToken  = 3e-6
	roughCostPerOutputToken = 15e-6
)

// Cost is what a call costs. priced is false when the table lacks the model and the price is a rough guess. Models that run on the operator's
// own servers, and the built-in one, cost nothing unless the table says otherwise.
func (c Catalogue) Cost(choice Choice, u Usage) (cost Money, priced bool) {
	m, known := c.Model(choice.Model)
	switch {
	case known && m.Provider == choice.Provider:
	case choice.Provider == ProviderCompatible || choice.Provider == ProviderEcho:
		return 0, true
	default:
		m, known = Model{CostPerInputToken: roughCostPerInputToken, CostPerOutputToken: roughCostPerOutputToken}, false
	}
	price := func(tokens int, perToken, otherwise float64) Money {
		if perToken == 0 {
			perToken = otherwise
		}
		return Money(tokens) * FromDollars(perToken)
	}
	plain := max(u.Input-u.CachedInput-u.CacheWrite, 0)
	return price(plain, m.CostPerInputToken, 0) + price(u.CachedInput, m.CostPerCachedToken, m.CostPerInputToken) +
		price(u.CacheWrite, m.CostPerCacheWrite, m.CostPerInputToken) + price(u.Output, m.CostPerOutputToken, 0), known
}

//go:embed models.json
var builtInModels []byte

// BuiltInCatalogue holds the models that come with Gaia.
func BuiltInCatalogue() Catalogue {
	c, err := ParseCatalogue(builtInModels)
	if err != nil {
		panic("domain: models.json: " + err.Error()) // embedded, and a test parses it
	}
	return c
}

// ParseCatalogue reads a JSON object with "version" and "models", or a list of models alone, whose version is a sum of its bytes. Every model
// needs an id, a known provider and a context window.
func ParseCatalogue(data []byte) (Catalogue, error) {
	var file struct {
		Version string  `json:"version"`
		Models  []Model `json:"models"`
	}
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		err = json.Unmarshal(data, &file.Models)
	} else {
		err = json.Unmarshal(data, &file)
	}
	if err == nil && file.Models == nil {
		err = errors.New("no models")
	}
	if err != nil {
		return Catalogue{}, fmt.Errorf("parse models: %w", err)
	}
	if file.Version == "" {
		file.Version = fmt.Sprintf("%08x", crc32.ChecksumIEEE(data))
	}
	c := Catalogue{version: file.Version, models: file.Models}
	c.byID = make(map[string]int, len(c.models))
	for i, m := range c.models {
		switch _, double := c.byID[m.ID]; {
		case m.ID == "":
			return Catalogue{}, fmt.Errorf("model %d has no id", i)
		case double:
			return Catalogue{}, fmt.Errorf("model %s is listed twice", m.ID)
		case providerByID(m.Provider).ID == "":
			return Catalogue{}, fmt.Errorf("model %s names the unknown provider %q", m.ID, m.Provider)
		case m.ContextWindow <= 0:
			return Catalogue{}, fmt.Errorf("model %s needs a context_window above 0", m.ID)
		}
		c.byID[m.ID] = i
	}
	return c, nil
}

// With returns the catalogue with models that the operator lists for one provider. All that is known of a new one is its id and that it
// chats; one that the catalogue has keeps its description and is asked from that provider.
func (c Catalogue) With(provider string, ids ...string) Catalogue {
	with := Catalogue{version: c.version, models: slices.Clone(c.models), byID: maps.Clone(c.byID)}
	for _, id := range ids {
		if i, ok := with.byID[id]; ok {
			with.models[i].Provider = provider
			continue
		}
		with.byID[id] = len(with.models)
		with.models = append(with.models, Model{ID: id, Name: id, Provider: provider, Capabilities: []string{CapabilityChat, CapabilityStreaming}})
	}
	return with
}

// Model looks a model up by its id.
func (c Catalogue) Model(id string) (Model, bool) {
	i, ok := c.byID[id]
	if !ok {
		return Model{}, false
	}
	return c.models[i], true
}

// Find looks a model up by its id; it is NotFound when the catalogue lacks it.
func (c Catalogue) Find(id string) (Model, error) {
	m, ok := c.Model(id)
	if !ok {
		return Model{}, ModelNotFound(id)
	}
	return m, nil
}

func providerByID(id string) Provider {
	for _, p := range Providers() {
		if p.ID == id {
			return p
		}
	}
	return Provider{}
}
