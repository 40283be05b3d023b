package httpapi

import (
	"context"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V02ListProviders lists all providers and how they are.
func (s *server) V02ListProviders(context.Context, oapi.V02ListProvidersRequestObject) (oapi.V02ListProvidersResponseObject, error) {
	states := s.models.Providers()
	answer := oapi.ProviderList{TotalProviders: len(states), HealthStatus: oapi.ProviderListHealthStatus(app.Overall(states)), Timestamp: timestamp(s.now())}
	if app.Overall(states) == domain.Healthy {
		answer.HealthStatus = oapi.ProviderListHealthStatusAllHealthy
	}
	for _, p := range states {
		answer.Providers = append(answer.Providers, providerToAPI(p))
	}
	return oapi.V02ListProviders200JSONResponse(answer), nil
}

// V02GetProvider shows one provider.
func (s *server) V02GetProvider(_ context.Context, r oapi.V02GetProviderRequestObject) (oapi.V02GetProviderResponseObject, error) {
	p, err := s.models.Provider(r.Provider)
	if err != nil {
		return nil, err
	}
	return oapi.V02GetProvider200JSONResponse(providerToAPI(p)), nil
}

// V02ListProviderModels lists the models of one provider with their prices.
func (s *server) V02ListProviderModels(_ context.Context, r oapi.V02ListProviderModelsRequestObject) (oapi.V02ListProviderModelsResponseObject, error) {
	p, err := s.models.Provider(r.Provider)
	if err != nil {
		return nil, err
	}
	answer := oapi.ProviderModelList{Provider: oapi.ProviderID(p.ID), Models: []oapi.ProviderModel{}, Total: len(p.Models)}
	for _, m := range cut(p.Models, page(r.Params.Limit, r.Params.Offset)) {
		answer.Models = append(answer.Models, oapi.ProviderModel{
			Id: m.ID, Name: m.Name, Capabilities: capabilitiesToAPI(m.Capabilities), MaxTokens: m.MaxTokens, ContextWindow: m.ContextWindow,
			Pricing: oapi.ProviderModelPricing{InputTokensPerMillion: perMillion(m.CostPerInputToken), OutputTokensPerMillion: perMillion(m.CostPerOutputToken)},
		})
	}
	return oapi.V02ListProviderModels200JSONResponse(answer), nil
}

// perMillion turns the price of a token into that of a million, without the dust of binary fractions.
func perMillion(perToken float64) float64 {
	const million = 1_000_000
	return (million * domain.FromDollars(perToken)).Dollars()
}

// V02GetAllProvidersHealth tells how the providers are, and judges the configured ones.
func (s *server) V02GetAllProvidersHealth(context.Context, oapi.V02GetAllProvidersHealthRequestObject) (oapi.V02GetAllProvidersHealthResponseObject, error) {
	states := s.models.Providers()
	answer := oapi.ProviderHealthOverview{
		OverallStatus: oapi.ProviderHealthOverviewOverallStatus(app.Overall(states)), Providers: oapi.ProviderHealthByID{}, Timestamp: timestamp(s.now()),
	}
	for _, p := range states {
		entry := oapi.ProviderHealthEntry{
			Status: oapi.ProviderHealthState(p.Health), LastCheck: timeOrNull(p.Stats.LastAttempt), ErrorRate: p.Stats.ErrorRate(),
		}
		if p.Stats.Average > 0 {
			ms := int(p.Stats.Average.Round(time.Millisecond).Milliseconds())
			entry.ResponseTimeMs = &ms
		}
		answer.Providers[p.ID] = entry
	}
	return oapi.V02GetAllProvidersHealth200JSONResponse(answer), nil
}

// V02GetProviderHealth tells how one provider is.
func (s *server) V02GetProviderHealth(_ context.Context, r oapi.V02GetProviderHealthRequestObject) (oapi.V02GetProviderHealthResponseObject, error) {
	p, err := s.models.Provider(r.Provider)
	if err != nil {
		return nil, err
	}
	answer := oapi.ProviderHealth{
		Provider: oapi.ProviderID(p.ID), Status: oapi.ProviderHealthState(p.Health), LastChecked: timeOrNull(p.Stats.LastAttempt),
	}
	if p.Configured {
		answer.AvailableModels = len(p.Models)
	}
	if p.Stats.Average > 0 {
		ms := milliseconds(p.Stats.Average)
		answer.ResponseTimeMs = &ms
	}
	if p.Health == domain.ProviderUnhealthy {
		answer.Error = nilIfEmpty(p.Stats.LastFailure)
	}
	return oapi.V02GetProviderHealth200JSONResponse(answer), nil
}

// V02GetAllProviderStats counts what every provider did.
func (s *server) V02GetAllProviderStats(context.Context, oapi.V02GetAllProviderStatsRequestObject) (oapi.V02GetAllProviderStatsResponseObject, error) {
	answer := oapi.ProviderStatsOverview{ProviderStats: oapi.ProviderStatsByID{}, Timestamp: timestamp(s.now())}
	var sum domain.ProviderTotals
	for _, p := range s.models.Providers() {
		sum = sum.Plus(p.Totals)
		answer.ProviderStats[p.ID] = providerStatsToAPI(p.Totals)
	}
	answer.Summary = oapi.ProviderStatsSummary{
		TotalRequests: sum.Requests, TotalTokens: sum.Tokens, TotalCost: sum.Cost.Dollars(), TotalErrors: sum.Errors, OverallErrorRate: sum.ErrorRate(),
	}
	return oapi.V02GetAllProviderStats200JSONResponse(answer), nil
}

// V02GetProviderStats counts what one provider did.
func (s *server) V02GetProviderStats(_ context.Context, r oapi.V02GetProviderStatsRequestObject) (oapi.V02GetProviderStatsResponseObject, error) {
	p, err := s.models.Provider(r.Provider)
	if err != nil {
		return nil, err
	}
	t := providerStatsToAPI(p.Totals)
	return oapi.V02GetProviderStats200JSONResponse{
		Provider: oapi.ProviderID(p.ID), RequestsCount: t.RequestsCount, TotalTokens: t.TotalTokens, TotalCost: t.TotalCost,
		AvgResponseTimeMs: t.AvgResponseTimeMs, ErrorCount: t.ErrorCount, ErrorRate: t.ErrorRate, LastRequest: t.LastRequest,
	}, nil
}

func providerStatsToAPI(t domain.ProviderTotals) oapi.ProviderStats {
	return oapi.ProviderStats{
		RequestsCount: t.Requests, TotalTokens: t.Tokens, TotalCost: t.Cost.Dollars(), AvgResponseTimeMs: milliseconds(t.Average()),
		ErrorCount: t.Errors, ErrorRate: t.ErrorRate(), LastRequest: timeOrNull(t.Last),
	}
}

func providerToAPI(p app.ProviderState) oapi.ProviderInfo {
	info := oapi.ProviderInfo{
		Id: oapi.ProviderID(p.ID), Name: p.Name, Status: "unavailable", Health: oapi.ProviderHealthState(p.Health), Models: modelIDs(p.Models),
		Capabilities: capabilitiesToAPI(p.Capabilities()), LastHealthCheck: timestamp(p.Since),
	}
	if p.Configured {
		info.Status = "available"
	}
	if !p.Stats.LastAttempt.IsZero() {
		info.LastHealthCheck = timestamp(p.Stats.LastAttempt)
	}
	return info
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
