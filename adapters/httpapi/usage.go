package httpapi

import (
	"context"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V02LogUsage stores what a client says it used.
func (s *server) V02LogUsage(ctx context.Context, r oapi.V02LogUsageRequestObject) (oapi.V02LogUsageResponseObject, error) {
	record, err := s.usage.Log(ctx, principalFrom(ctx), usageClaimFromAPI(r.Body))
	if err != nil {
		return nil, err
	}
	return oapi.V02LogUsage200JSONResponse{
		Message: oapi.UsageLoggedSuccessfully, LogId: usageLogID(record), CostLogged: record.Cost.Dollars(), Timestamp: timestamp(record.At),
	}, nil
}

// usageLogID begins like those of the old platform, which were the same for all records of a second.
func usageLogID(r domain.UsageRecord) string {
	id := make([]byte, 0, len(r.RequestID))
	for _, c := range []byte(r.RequestID) {
		if c != '-' {
			id = append(id, c)
		}
	}
	return "usage_" + r.At.UTC().Format("20060102_150405") + "_" + string(id)
}

func usageClaimFromAPI(b *oapi.UsageLogEntry) app.UsageClaim {
	quality := "standard"
	if b.Quality != nil {
		quality = *b.Quality
	}
	return app.UsageClaim{
		Provider: b.Provider, Operation: b.Operation, Quality: quality, Model: deref(b.Model), Label: deref(b.RequestId),
		Cost: domain.FromDollars(b.Cost), Tokens: int(deref(b.Tokens)), Images: deref(b.Images), Credits: deref(b.Credits),
	}
}

// V02GetCurrentUsage sums the current month.
func (s *server) V02GetCurrentUsage(ctx context.Context, r oapi.V02GetCurrentUsageRequestObject) (oapi.V02GetCurrentUsageResponseObject, error) {
	provider := nilIfEmpty(deref(r.Params.Provider))
	o, err := s.usage.Current(ctx, principalFrom(ctx), deref(provider))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetCurrentUsage200JSONResponse{
		TotalCost: o.All.Cost.Dollars(), TotalRequests: o.All.Requests, TotalTokens: o.All.Tokens, TotalImages: o.All.Images,
		Total3dModels: o.All.Models3D, Providers: usageByProviderToAPI(o.Providers), BillingPeriod: usagePeriodToAPI(o.Period),
		AsOf: timestamp(o.At), FilteredProvider: provider,
	}
	if provider != nil {
		answer.ProviderUsage = new(usageOfProviderToAPI(*provider, o.Asked))
	}
	return answer, nil
}

// V02GetUsageHistory sums each of the last days.
func (s *server) V02GetUsageHistory(ctx context.Context, r oapi.V02GetUsageHistoryRequestObject) (oapi.V02GetUsageHistoryResponseObject, error) {
	days := 30
	if r.Params.Days != nil {
		days = *r.Params.Days
	}
	provider := nilIfEmpty(deref(r.Params.Provider))
	h, err := s.usage.History(ctx, principalFrom(ctx), days, deref(provider))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetUsageHistory200JSONResponse{
		Period:           oapi.UsageHistoryPeriod{StartDate: date(h.Period.From), EndDate: date(h.Period.LastDay()), Days: days},
		UsageHistory:     make([]oapi.UsageDay, len(h.Days)),
		FilteredProvider: provider,
		Summary: oapi.UsageHistorySummary{
			TotalCost: h.All.Cost.Dollars(), TotalRequests: h.All.Requests, AverageDailyCost: h.All.Cost.Dollars() / float64(days),
		},
	}
	if !h.Peak.IsZero() {
		answer.Summary.PeakCostDay = new(date(h.Peak))
	}
	for i, day := range h.Days {
		answer.UsageHistory[i] = usageDayToAPI(day)
		if provider != nil {
			answer.ProviderHistory = append(answer.ProviderHistory, oapi.UsageProviderDay{
				Date: date(day.Day), Provider: *provider, Cost: day.Asked.Cost.Dollars(), Requests: day.Asked.Requests,
			})
		}
	}
	return answer, nil
}

func usageDayToAPI(d app.UsageDay) oapi.UsageDay {
	day := oapi.UsageDay{
		Date: date(d.Day), TotalCost: d.All.Cost.Dollars(), TotalRequests: d.All.Requests, TotalTokens: d.All.Tokens,
		TotalImages: d.All.Images, Breakdown: make(oapi.UsageDayBreakdown, len(d.Providers)),
	}
	for name, sum := range d.Providers {
		day.Breakdown[name] = oapi.UsageDayShare{Cost: sum.Cost.Dollars(), Requests: sum.Requests}
	}
	return day
}

// V02GetUsageLimits compares the current month with the plan.
func (s *server) V02GetUsageLimits(ctx context.Context, r oapi.V02GetUsageLimitsRequestObject) (oapi.V02GetUsageLimitsResponseObject, error) {
	l, err := s.usage.Limits(ctx, principalFrom(ctx), deref(r.Params.Provider))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetUsageLimits200JSONResponse{BillingPeriod: usagePeriodToAPI(l.Period), Warnings: []oapi.UsageWarning{}}
	for _, limit := range l.Limits {
		addLimit(&answer.Limits, limit)
		if limit.Exceeding() {
			answer.Warnings = append(answer.Warnings, oapi.UsageWarning{
				Provider: oapi.PricingProvider(limit.Provider), Type: oapi.HighUsage, Message: limit.Warning(), UsagePercentage: limit.Percent(),
			})
		}
	}
	return answer, nil
}

// addLimit writes a limit into the field that the contract has for its provider.
func addLimit(to *oapi.UsageLimitsByProvider, l app.Limit) {
	switch provider := oapi.PricingProvider(l.Provider); provider {
	case oapi.PricingProviderDalle:
		to.Dalle = &oapi.UsageLimitDalle{
			CurrentTier: l.Plan, MonthlyLimit: int(l.Most), UsedThisMonth: int(l.Used), Remaining: int(l.Left()), RateLimit: l.RatePerMin,
			MonthlyFee: l.Fee.Dollars(), OverageCost: l.UnitCost.Dollars(),
		}
	case oapi.PricingProviderMeshy:
		to.Meshy = &oapi.UsageLimitMeshy{
			CurrentPackage: l.Plan, CreditLimit: int(l.Most), CreditsUsed: int(l.Used), CreditsRemaining: int(l.Left()),
			AutoRenewal: l.AutoRenewing, PackageCost: l.Fee.Dollars(),
		}
	case oapi.PricingProviderStability:
		to.Stability = &oapi.UsageLimitStability{
			DailyLimit: int(l.Most), UsedToday: int(l.Used), RemainingToday: int(l.Left()), CostPerImage: l.UnitCost.Dollars(),
		}
	default:
		tokens := &oapi.UsageLimitTokens{
			TokenLimit: l.Most, TokensUsed: l.Used, TokensRemaining: l.Left(), CostPer1kTokens: l.UnitCost.Dollars(),
		}
		if provider == oapi.PricingProviderClaude {
			to.Claude = tokens
		} else {
			to.OpenaiGpt = tokens
		}
	}
}

// V02GetCurrentBilling adds the current month up.
func (s *server) V02GetCurrentBilling(ctx context.Context, _ oapi.V02GetCurrentBillingRequestObject) (oapi.V02GetCurrentBillingResponseObject, error) {
	b, err := s.usage.Billing(ctx, principalFrom(ctx))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetCurrentBilling200JSONResponse{
		BillingPeriod: oapi.UsageBillingPeriod{StartDate: date(b.Period.From), EndDate: date(b.Period.LastDay()), DaysRemaining: b.DaysLeft},
		CurrentCharges: oapi.UsageCharges{
			SubscriptionFees: b.Charges.Subscriptions.Dollars(), UsageCharges: b.Charges.Usage.Dollars(),
			OverageCharges: b.Charges.Overage.Dollars(), Total: b.Charges.Total().Dollars(),
		},
		NextBillingDate: date(b.Period.Past), EstimatedNextBill: b.Estimate.Dollars(), BillingAlerts: []oapi.UsageBillingAlert{},
	}
	for _, l := range b.Alerts {
		severity := oapi.UsageBillingAlertSeverityWarning
		if l.Left() == 0 {
			severity = oapi.UsageBillingAlertSeverityCritical
		}
		answer.BillingAlerts = append(answer.BillingAlerts, oapi.UsageBillingAlert{
			Type: "approaching_limit", Message: l.Warning(), Severity: severity,
		})
	}
	return answer, nil
}

// V02GetMonthlyReport sums a month.
func (s *server) V02GetMonthlyReport(ctx context.Context, r oapi.V02GetMonthlyReportRequestObject) (oapi.V02GetMonthlyReportResponseObject, error) {
	report, err := s.usage.Report(ctx, principalFrom(ctx), deref(r.Params.Month))
	if err != nil {
		return nil, err
	}
	answer := oapi.V02GetMonthlyReport200JSONResponse{
		ReportPeriod: report.Period.From.Format("2006-01"), GeneratedAt: timestamp(report.At),
		Summary: oapi.UsageReportSummary{
			TotalCost: report.Charges.Total().Dollars(), TotalRequests: report.All.Requests, TotalTokens: report.All.Tokens,
			TotalImages: report.All.Images, Total3dModels: report.All.Models3D, UniqueOperations: len(report.Operations),
		},
		ProviderBreakdown: usageByProviderToAPI(report.Providers),
		CostCategories: oapi.UsageCostCategories{
			SubscriptionFees: report.Charges.Subscriptions.Dollars(), PerUseCharges: report.Charges.Usage.Dollars(),
			OverageCharges: report.Charges.Overage.Dollars(),
		},
		TopOperations:               operationCostsToAPI(report.Top),
		CostOptimizationSuggestions: make([]oapi.UsageSuggestion, len(report.Suggestions)),
	}
	for i, s := range report.Suggestions {
		answer.CostOptimizationSuggestions[i] = oapi.UsageSuggestion{
			Suggestion: s.What, PotentialSavings: s.Savings.Dollars(), Reasoning: s.Why,
		}
	}
	return answer, nil
}

func usageByProviderToAPI(sums map[string]app.UsageSum) oapi.UsageByProvider {
	out := make(oapi.UsageByProvider, len(sums))
	for name, sum := range sums {
		out[name] = usageOfProviderToAPI(name, sum)
	}
	return out
}

// usageOfProviderToAPI shows what the provider is for, even when there was none of it, and whatever else was used.
func usageOfProviderToAPI(name string, sum app.UsageSum) oapi.UsageOfProvider {
	images, models := sum.Images > 0, sum.Models3D > 0
	tokens := sum.Tokens > 0
	switch oapi.PricingProvider(name) {
	case oapi.PricingProviderDalle, oapi.PricingProviderStability:
		images = true
	case oapi.PricingProviderMeshy:
		models = true
	default:
		tokens = tokens || !images && !models
	}
	out := oapi.UsageOfProvider{Cost: sum.Cost.Dollars(), Requests: sum.Requests}
	for _, part := range []struct {
		field **int64
		shown bool
		n     int64
	}{{&out.Images, images, sum.Images}, {&out.Models, models, sum.Models3D}, {&out.Tokens, tokens, sum.Tokens}} {
		if part.shown {
			*part.field = &part.n
		}
	}
	return out
}

// usagePeriodToAPI ends a period with its last moment.
func usagePeriodToAPI(p app.Period) oapi.UsagePeriod {
	return oapi.UsagePeriod{Start: date(p.From), End: p.Past.Add(-time.Microsecond)}
}

func date(t time.Time) openapi_types.Date { return openapi_types.Date{Time: t} }
