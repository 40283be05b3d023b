package app

import (
	"slices"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Models tells what models and providers there are, how they do, and which one to take. All of it comes from the catalogue and the
// measurements that chats use.
type Models struct {
	selector     domain.ModelSelector
	measurements *Measurements
	now          ports.Clock
	since        time.Time
}

// NewModels makes the use cases.
func NewModels(selector domain.ModelSelector, measurements *Measurements, now ports.Clock) *Models {
	return &Models{selector: selector, measurements: measurements, now: now, since: now()}
}

// ModelFilter narrows a list of models. What is empty narrows nothing.
type ModelFilter struct {
	Provider   string
	Capability string
}

// List returns the models of the catalogue that pass the filter.
func (m *Models) List(f ModelFilter) []domain.Model {
	return slices.DeleteFunc(m.selector.Catalogue.Models(), func(model domain.Model) bool {
		return f.Provider != "" && model.Provider != f.Provider || f.Capability != "" && !model.Can(f.Capability)
	})
}

// Get returns a model with the time it takes to answer, as measured or expected; zero when nobody knows.
func (m *Models) Get(id string) (domain.Model, time.Duration, error) {
	model, err := m.selector.Catalogue.Find(id)
	if err != nil {
		return domain.Model{}, 0, err
	}
	ms, _ := m.measurements.Snapshot().ResponseTimeMS(model)
	return model, time.Duration(ms * float64(time.Millisecond)), nil
}

// Usable returns the models whose provider is configured.
func (m *Models) Usable() []domain.Model {
	return slices.DeleteFunc(m.selector.Catalogue.Models(), func(model domain.Model) bool { return !m.configured(model.Provider) })
}

// GetUsable returns a model whose provider is configured, by its id or as provider/id. Any other is domain.NotFound.
func (m *Models) GetUsable(id string) (domain.Model, error) {
	if choice, err := m.selector.Choose(domain.ModelRequest{Model: id}); err == nil && id != "" {
		if model, ok := m.selector.Catalogue.Model(choice.Model); ok && model.Provider == choice.Provider {
			return model, nil
		}
	}
	return domain.Model{}, domain.ModelNotFound(id)
}

// Recommend answers which model a chat that leaves the choice to Gaia would get.
func (m *Models) Recommend(r domain.ModelRequest) (domain.Selection, error) {
	return m.selector.Recommend(r, m.measurements.Snapshot())
}

// ByPriority ranks the models that can be used for each priority.
func (m *Models) ByPriority() map[string][]domain.Model {
	ranked, shot := map[string][]domain.Model{}, m.measurements.Snapshot()
	for _, priority := range domain.Priorities() {
		ranked[priority] = m.selector.RankBy(priority, shot)
	}
	return ranked
}

// ByContext ranks the models that a selection would take for each context.
func (m *Models) ByContext() map[string][]domain.Model {
	ranked, shot := map[string][]domain.Model{}, m.measurements.Snapshot()
	for _, c := range domain.Contexts() {
		ranked[c.ID] = m.selector.RankFor(c.ID, shot)
	}
	return ranked
}

// Streams ranks the models that stream.
func (m *Models) Streams() domain.StreamRanking {
	return m.selector.RankStreams(m.measurements.Snapshot())
}

// ForVR returns the models that suit VR and can be used now, the fastest first.
func (m *Models) ForVR() []domain.StreamModel {
	return m.selector.VRModels(m.measurements.Snapshot())
}

// ProviderState is a provider and how it does.
type ProviderState struct {
	domain.Provider
	Configured bool
	Health     string // domain.ProviderHealthy, ProviderUnhealthy or ProviderUnknown
	Models     []domain.Model
	Stats      domain.ProviderStats
	Totals     domain.ProviderTotals
	Since      time.Time // when its configuration was read
}

// Capabilities are what any of the models can do, in the order of domain.Capabilities.
func (s ProviderState) Capabilities() []string {
	return slices.DeleteFunc(domain.Capabilities(), func(capability string) bool {
		return !slices.ContainsFunc(s.Models, func(m domain.Model) bool { return m.Can(capability) })
	})
}

// Providers returns all providers in the order in which a default is looked for.
func (m *Models) Providers() []ProviderState {
	shot := m.measurements.Snapshot()
	var states []ProviderState
	for _, p := range domain.Providers() {
		states = append(states, m.state(p, shot))
	}
	return states
}

// Provider returns one provider: domain.NotFound when nobody knows it.
func (m *Models) Provider(id string) (ProviderState, error) {
	for _, p := range domain.Providers() {
		if p.ID == id {
			return m.state(p, m.measurements.Snapshot()), nil
		}
	}
	return ProviderState{}, domain.NewError(domain.NotFound, "Provider "+id+" not found")
}

func (m *Models) state(p domain.Provider, shot domain.Measurements) ProviderState {
	return ProviderState{
		Provider: p, Configured: m.configured(p.ID), Health: shot.Health(p.ID), Models: m.List(ModelFilter{Provider: p.ID}),
		Stats: shot.Providers[p.ID], Totals: shot.Totals[p.ID], Since: m.since,
	}
}

// Overall judges the configured providers: healthy when none fails, unhealthy when all do or there is none, else degraded. The built-in one
// counts only when it is alone.
func Overall(states []ProviderState) domain.Status {
	configured, failing := 0, 0
	builtIn := domain.Unhealthy
	for _, s := range states {
		switch {
		case !s.Configured:
		case s.ID == domain.ProviderEcho:
			builtIn = domain.Healthy
		default:
			configured++
			if s.Health == domain.ProviderUnhealthy {
				failing++
			}
		}
	}
	switch {
	case configured == 0:
		return builtIn
	case failing == 0:
		return domain.Healthy
	case failing < configured:
		return domain.Degraded
	default:
		return domain.Unhealthy
	}
}

func (m *Models) configured(provider string) bool {
	_, ok := m.selector.Configured[provider]
	return ok
}
