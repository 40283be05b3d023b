package httpapi

import (
	"context"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V02GetCurrentPricing shows the prices of a provider.
func (s *server) V02GetCurrentPricing(_ context.Context, r oapi.V02GetCurrentPricingRequestObject) (oapi.V02GetCurrentPricingResponseObject, error) {
	provider, since, err := s.pricing.Current(r.Params.Provider)
	if err != nil {
		return nil, err
	}
	table, err := pricingTableToAPI(provider, valueOr(r.Params.Quality, domain.QualityStandard), since)
	if err != nil {
		return nil, err
	}
	return oapi.V02GetCurrentPricing200JSONResponse{Pricing: table, EffectiveDate: timestamp(since), Currency: oapi.USD}, nil
}

func pricingTableToAPI(p domain.PricedProvider, quality string, since time.Time) (table oapi.PricingTable, err error) {
	since = timestamp(since)
	name, listed := oapi.PricedProvider(p.Name), oapi.PricingProvider(p.Name)
	rate := func(name string) float64 { return p.Rates[name].Dollars() }
	switch p.Model {
	case domain.PricedByTier:
		err = table.FromPricingTierBased(oapi.PricingTierBased{
			Model: oapi.PricingTierBasedModelTierBased, Tiers: pricingTiersToAPI(p.Tiers), Provider: listed, Quality: quality, LastUpdated: since,
		})
	case domain.PricedByCredit:
		operations := oapi.PricingCreditsByOperation{}
		for _, c := range p.Credits {
			operations[c.Operation] = c.Credits
		}
		err = table.FromPricingCreditBased(oapi.PricingCreditBased{
			Model: oapi.PricingCreditBasedModelCreditBased, Packages: creditPackagesToAPI(p.Packages), Operations: operations, Provider: listed,
			Quality: quality, LastUpdated: since,
		})
	case domain.PricedByImage:
		err = table.FromPricingPerImage(oapi.PricingPerImage{
			Model: oapi.PricingPerImageModelPerImage, StandardCost: rate(domain.QualityStandard), HdCost: rate(domain.QualityHD),
			UltraCost: rate(domain.QualityUltra), Provider: name, Quality: quality, LastUpdated: since,
		})
	case domain.PricedByToken:
		err = table.FromPricingTokenBased(oapi.PricingTokenBased{
			Model: oapi.PricingTokenBasedModelTokenBased, InputCostPer1k: rate(domain.RateInput), OutputCostPer1k: rate(domain.RateOutput),
			Provider: listed, Quality: quality, LastUpdated: since,
		})
	case domain.PricedBySecond:
		err = table.FromPricingPerSecond(oapi.PricingPerSecond{
			Model: oapi.PricingPerSecondModelPerSecond, StandardCost: rate(domain.QualityStandard), HdCost: rate(domain.QualityHD),
			MinimumCost: p.Minimum.Dollars(), Provider: name, Quality: quality, LastUpdated: since,
		})
	default:
		err = table.FromPricingFree(oapi.PricingFree{Model: oapi.PricingFreeModelFree, Provider: name, Quality: quality, LastUpdated: since})
	}
	return table, err
}

func pricingTiersToAPI(tiers []domain.PriceTier) []oapi.PricingTier {
	out := make([]oapi.PricingTier, len(tiers))
	for i, t := range tiers {
		out[i] = oapi.PricingTier{
			Name: t.Name, MonthlyFee: t.MonthlyFee.Dollars(), ImagesPerMinute: t.ImagesPerMinute, MonthlyLimit: t.MonthlyLimit,
			StandardCost: t.Rates[domain.QualityStandard].Dollars(), HdCost: t.Rates[domain.QualityHD].Dollars(),
		}
	}
	return out
}

func creditPackagesToAPI(packages []domain.CreditPackage) []oapi.PricingCreditPackage {
	out := make([]oapi.PricingCreditPackage, len(packages))
	for i, p := range packages {
		out[i] = oapi.PricingCreditPackage{Name: p.Name, Credits: p.Credits, Cost: p.Cost.Dollars()}
	}
	return out
}

// V02ListPricingProviders lists how providers charge.
func (s *server) V02ListPricingProviders(context.Context, oapi.V02ListPricingProvidersRequestObject) (oapi.V02ListPricingProvidersResponseObject, error) {
	providers, since := s.pricing.Listed()
	list := oapi.V02ListPricingProviders200JSONResponse{
		Providers: make([]oapi.PricingProviderInfo, len(providers)), TotalProviders: len(providers), SupportedModels: []oapi.PricingModel{},
	}
	seen := map[oapi.PricingModel]bool{}
	for i, p := range providers {
		info := oapi.PricingProviderInfo{
			Name: oapi.PricingProvider(p.Name), PricingModel: oapi.PricingModel(p.Model), Status: oapi.Active,
			LastUpdated: timestamp(since), Capabilities: p.Capabilities,
		}
		if p.Model == domain.PricedByTier {
			info.TierCount = new(len(p.Tiers))
		}
		for _, c := range p.Credits {
			info.Operations = append(info.Operations, c.Operation)
		}
		list.Providers[i] = info
		if !seen[info.PricingModel] {
			seen[info.PricingModel] = true
			list.SupportedModels = append(list.SupportedModels, info.PricingModel)
		}
	}
	return list, nil
}

// V02UpdatePricing has the prices read again.
func (s *server) V02UpdatePricing(ctx context.Context, r oapi.V02UpdatePricingRequestObject) (oapi.V02UpdatePricingResponseObject, error) {
	update, err := s.pricing.Update(ctx, r.Params.Provider)
	if err != nil {
		return nil, err
	}
	return oapi.V02UpdatePricing200JSONResponse{
		Message: "Pricing update triggered for " + r.Params.Provider, Provider: oapi.PricedProvider(r.Params.Provider),
		UpdateTime: timestamp(update.At), Status: oapi.Queued, EstimatedCompletion: timestamp(update.Done),
	}, nil
}

// estimatedTokens are the tokens of an estimate that names none.
const estimatedTokens = 1000

// V02EstimateCost tells what something would cost.
func (s *server) V02EstimateCost(_ context.Context, r oapi.V02EstimateCostRequestObject) (oapi.V02EstimateCostResponseObject, error) {
	q := domain.PriceQuery{
		Provider: r.Body.Provider, Operation: valueOr(r.Body.Operation, domain.QualityStandard), Quality: valueOr(r.Body.Quality, domain.QualityStandard),
		Quantity: valueOr(r.Body.Quantity, 1), Tokens: valueOr(r.Body.EstimatedTokens, estimatedTokens),
	}
	provider, quote, err := s.pricing.Estimate(q)
	if err != nil {
		return nil, err
	}
	estimate, err := costEstimateToAPI(q, provider, quote, timestamp(s.now()))
	if err != nil {
		return nil, err
	}
	return oapi.V02EstimateCost200JSONResponse(estimate), nil
}

func costEstimateToAPI(q domain.PriceQuery, p domain.PricedProvider, quote domain.Quote, at time.Time) (e oapi.CostEstimate, err error) {
	unit, total := quote.Unit.Dollars(), quote.Total.Dollars()
	switch p.Model {
	case domain.PricedByTier:
		err = e.FromCostEstimateTier(oapi.CostEstimateTier{
			Provider: oapi.CostEstimateTierProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, CostPerUnit: unit, TotalCost: total,
			TierFee: quote.Fee.Dollars(), Currency: oapi.USD, EstimateTime: at,
		})
	case domain.PricedByCredit:
		err = e.FromCostEstimateCredit(oapi.CostEstimateCredit{
			Provider: oapi.CostEstimateCreditProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, CreditsPerOperation: quote.CreditsEach,
			TotalCredits: quote.Credits, EstimatedCost: total, Currency: oapi.USD, EstimateTime: at,
		})
	case domain.PricedByImage:
		err = e.FromCostEstimateImage(oapi.CostEstimateImage{
			Provider: oapi.CostEstimateImageProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, CostPerUnit: unit, TotalCost: total,
			Currency: oapi.USD, EstimateTime: at,
		})
	case domain.PricedByToken:
		err = e.FromCostEstimateToken(oapi.CostEstimateToken{
			Provider: oapi.CostEstimateTokenProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, InputCost: quote.Input.Dollars(),
			OutputCost: quote.Output.Dollars(), TotalCost: total, TokensEstimated: q.Tokens, Currency: oapi.USD, EstimateTime: at,
		})
	case domain.PricedBySecond:
		err = e.FromCostEstimateSecond(oapi.CostEstimateSecond{
			Provider: oapi.CostEstimateSecondProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, CostPerUnit: unit, TotalCost: total,
			MinimumCost: p.Minimum.Dollars(), Currency: oapi.USD, EstimateTime: at,
		})
	default:
		err = e.FromCostEstimateFree(oapi.CostEstimateFree{
			Provider: oapi.CostEstimateFreeProvider(p.Name), Operation: q.Operation, Quantity: q.Quantity, TotalCost: total, Currency: oapi.USD,
			EstimateTime: at,
		})
	}
	return e, err
}

// V02GetDalleTiers lists the tiers of DALL-E.
func (s *server) V02GetDalleTiers(context.Context, oapi.V02GetDalleTiersRequestObject) (oapi.V02GetDalleTiersResponseObject, error) {
	dalle, _, err := s.pricing.Current(domain.PricedDalle)
	if err != nil {
		return nil, err
	}
	return oapi.V02GetDalleTiers200JSONResponse{
		Provider: oapi.CostDalleTiersProviderDalle, PricingModel: oapi.CostDalleTiersPricingModelTierBased, Tiers: pricingTiersToAPI(dalle.Tiers),
		Currency: oapi.USD, BillingCycle: oapi.Monthly,
	}, nil
}

// V02GetMeshyPackages lists the packages of Meshy.
func (s *server) V02GetMeshyPackages(context.Context, oapi.V02GetMeshyPackagesRequestObject) (oapi.V02GetMeshyPackagesResponseObject, error) {
	meshy, _, err := s.pricing.Current(domain.PricedMeshy)
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetMeshyPackages200JSONResponse{
		Provider: oapi.CostMeshyPackagesProviderMeshy, PricingModel: oapi.CostMeshyPackagesPricingModelCreditBased,
		Packages: creditPackagesToAPI(meshy.Packages), Currency: oapi.USD,
	}
	for _, c := range meshy.Credits {
		switch c.Operation {
		case domain.OperationTextTo3D:
			answer.Operations.TextTo3d = c.Credits
		case domain.OperationTexture:
			answer.Operations.TextureGeneration = c.Credits
		case domain.OperationRefinement:
			answer.Operations.Refinement = c.Credits
		}
	}
	return answer, nil
}

// V02CompareProviderCosts tells what each provider would charge.
func (s *server) V02CompareProviderCosts(_ context.Context, r oapi.V02CompareProviderCostsRequestObject) (oapi.V02CompareProviderCostsResponseObject, error) {
	quantity, quality := valueOr(r.Params.Quantity, 1), valueOr(r.Params.Quality, domain.QualityStandard)
	list, err := s.pricing.Compare(r.Params.Operation, quality, float64(quantity))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02CompareProviderCosts200JSONResponse{
		Operation: r.Params.Operation, Quantity: quantity, Quality: quality, Providers: make([]oapi.CostComparisonEntry, len(list)),
		ComparisonTime: timestamp(s.now()),
	}
	for i, c := range list {
		entry := oapi.CostComparisonEntry{Provider: oapi.PricedProvider(c.Provider), TotalCost: c.Total.Dollars(), Model: oapi.PricedModel(c.Model)}
		unit := c.Unit.Dollars()
		if c.Model == domain.PricedByToken {
			entry.CostPer1kTokens = &unit
		} else {
			entry.CostPerUnit = &unit
		}
		answer.Providers[i] = entry
	}
	if len(list) > 0 {
		answer.CheapestProvider = &list[0].Provider
	}
	return answer, nil
}

// V02GetPricingAnalytics sums what the caller paid.
func (s *server) V02GetPricingAnalytics(ctx context.Context, r oapi.V02GetPricingAnalyticsRequestObject) (oapi.V02GetPricingAnalyticsResponseObject, error) {
	provider := nilIfEmpty(deref(r.Params.Provider))
	costs, err := s.pricing.Costs(ctx, principalFrom(ctx), deref(r.Params.StartDate).Time, deref(r.Params.EndDate).Time, deref(provider))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetPricingAnalytics200JSONResponse{
		Period:    oapi.PricingPeriod{StartDate: date(costs.Period.From), EndDate: date(costs.Period.LastDay())},
		TotalCost: costs.All.Cost.Dollars(), CostBreakdown: oapi.PricingCostByProvider{},
		UsageMetrics: oapi.PricingUsageMetrics{
			TotalImages: costs.All.Images, Total3dModels: costs.All.Models3D, TotalTokens: costs.All.Tokens, TotalCredits: costs.All.Credits,
		},
		CostTrends: make([]oapi.PricingDailyCost, len(costs.Days)), TopCostOperations: operationCostsToAPI(costs.Top), FilteredProvider: provider,
	}
	for name, sum := range costs.Providers {
		answer.CostBreakdown[name] = sum.Cost.Dollars()
	}
	for i, day := range costs.Days {
		answer.CostTrends[i] = oapi.PricingDailyCost{Date: date(day.Day), DailyCost: day.Cost.Dollars()}
	}
	if costs.Provider != nil {
		answer.ProviderCost = new(costs.Provider.Dollars())
	}
	return answer, nil
}

func operationCostsToAPI(sums []app.OperationSum) []oapi.UsageOperationCost {
	out := make([]oapi.UsageOperationCost, len(sums))
	for i, o := range sums {
		out[i] = oapi.UsageOperationCost{Operation: o.Operation, Cost: o.Cost.Dollars(), Count: o.Requests}
	}
	return out
}
