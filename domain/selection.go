package domain

import (
	"strings"
	"time"
)

// ModelRequest is what a client says about the model it wants. Everything may be empty.
type ModelRequest struct {
	Provider string
	Model    string // a model id, or "provider/model"

	// Any of these asks for a selection when no model and no provider is named.
	AutoSelect           bool
	Priority             string // one of Priorities
	ContextType          string // one of Contexts
	RequiredCapabilities []string
	MaxResponseTime      time.Duration

	// What a selection looks at besides.
	PreferredProvider string
	Activity          string
	Message           string
}

// wantsSelection reports whether a request leaves the choice to Gaia and says something about it.
func (r ModelRequest) wantsSelection() bool {
	return r.Provider == "" && r.Model == "" &&
		(r.AutoSelect || r.Priority != "" || r.ContextType != "" || len(r.RequiredCapabilities) > 0 || r.MaxResponseTime > 0)
}

// Choice is the model that answers.
type Choice struct {
	Provider string
	Model    string
}

// ModelSelector chooses models. It is made once and does not change.
type ModelSelector struct {
	Catalogue  Catalogue
	Configured map[string]string // the default model of each provider that can be used, by provider id; empty when it has none
	Default    Choice            // zero when there is no provider at all
}

// DefaultChoice finds the model that answers when a request names none: what the operator set, else the default model of the first
// configured provider. skipped tells that the operator's wish can't be met because its provider is not configured.
func DefaultChoice(c Catalogue, configured map[string]string, wish ModelRequest) (choice Choice, skipped bool) {
	if wish.Provider != "" || wish.Model != "" {
		s := ModelSelector{Catalogue: c, Configured: configured}
		if choice, err := s.Choose(wish); err == nil {
			return choice, false
		}
		skipped = true
	}
	for _, p := range Providers() {
		if model := configured[p.ID]; model != "" {
			return Choice{p.ID, model}, skipped
		}
	}
	return Choice{}, skipped
}

// Choose finds the model for a request that names a model, a provider, both or nothing. What is named is used or refused: NotFound for
// a model that nobody knows, Unavailable for a provider that is not configured.
func (s ModelSelector) Choose(r ModelRequest) (Choice, error) {
	if strings.ContainsRune(r.Model, 0) { // no database takes it
		return Choice{}, modelNotFound("Model not found: its name has a null character")
	}
	_, known := s.Catalogue.Model(r.Model)
	if provider, model, ok := strings.Cut(r.Model, "/"); ok && !known && model != "" && r.Provider == "" && providerByID(provider).ID != "" {
		r.Provider, r.Model = provider, model
	}
	if r.Provider != "" && !s.usable(r.Provider) {
		return Choice{}, notConfigured(r.Provider)
	}
	choice, err := s.resolve(r)
	if err != nil {
		return Choice{}, err
	}
	if !s.usable(choice.Provider) {
		return Choice{}, notConfigured(choice.Provider)
	}
	return choice, nil
}

func (s ModelSelector) usable(provider string) bool {
	_, ok := s.Configured[provider]
	return ok
}

func (s ModelSelector) resolve(r ModelRequest) (Choice, error) {
	switch {
	case r.Provider != "" && r.Model != "":
		return Choice{r.Provider, r.Model}, nil
	case r.Provider != "":
		model := s.Configured[r.Provider]
		if model == "" {
			return Choice{}, modelNotFound("Provider " + r.Provider + " has no default model: name one in `model`")
		}
		return Choice{r.Provider, model}, nil
	case r.Model == EchoModel:
		return Choice{ProviderEcho, EchoModel}, nil
	case r.Model != "":
		m, ok := s.Catalogue.Model(r.Model)
		if !ok {
			return Choice{}, ModelNotFound(r.Model)
		}
		return Choice{m.Provider, m.ID}, nil
	case s.Default == Choice{}:
		return Choice{}, MissingPart("No model provider is configured: set ANTHROPIC_API_KEY, OPENAI_API_KEY, GOOGLE_API_KEY, MISTRAL_API_KEY or COMPATIBLE_BASE_URL", nil)
	default:
		return s.Default, nil
	}
}

// ModelNotFound is the error for a model that nobody knows.
func ModelNotFound(id string) error { return modelNotFound("Model not found: " + id) }

func modelNotFound(message string) error {
	e := NewError(NotFound, message)
	e.Code = CodeModelNotFound
	return e
}

func notConfigured(provider string) error {
	p := providerByID(provider)
	if p.ID == "" {
		return modelNotFound("Provider not found: " + provider)
	}
	return MissingPart("Provider "+p.ID+" is not configured: set "+p.Setting, nil)
}
