package app

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// PricingDeps is what Pricing needs.
type PricingDeps struct {
	Prices *Prices
	Usage  *Usage
	Now    ports.Clock
}

// Pricing tells callers what things cost, and what they have cost.
type Pricing struct{ PricingDeps }

// NewPricing makes the use cases.
func NewPricing(d PricingDeps) *Pricing { return &Pricing{d} }

// Current returns a provider with its prices, and since when they are in force.
func (p *Pricing) Current(provider string) (domain.PricedProvider, time.Time, error) {
	table := p.Prices.Table()
	priced, err := table.Provider(provider)
	return priced, table.Effective(), err
}

// Listed returns the providers that clients of the LLM Platform know. Others they may not be able to read.
func (p *Pricing) Listed() ([]domain.PricedProvider, time.Time) {
	table := p.Prices.Table()
	all := table.Providers()
	return slices.DeleteFunc(all, func(p domain.PricedProvider) bool { return !p.Listed }), table.Effective()
}

// PriceUpdate says when the prices were asked to be read again, and when that will have happened.
type PriceUpdate struct{ At, Done time.Time }

// Update has the prices read again.
func (p *Pricing) Update(ctx context.Context, provider string) (PriceUpdate, error) {
	if _, err := p.Prices.Table().Provider(provider); err != nil {
		return PriceUpdate{}, domain.NewError(domain.NotFound, "Provider not found: "+provider)
	}
	at := p.Now().UTC().Truncate(time.Microsecond)
	return PriceUpdate{At: at, Done: at.Add(PricesReread)}, p.Prices.Ask(ctx, at)
}

// Estimate tells what something would cost. A provider without prices is BadRequest.
func (p *Pricing) Estimate(q domain.PriceQuery) (domain.PricedProvider, domain.Quote, error) {
	table := p.Prices.Table()
	priced, err := table.Provider(q.Provider)
	if err != nil {
		return priced, domain.Quote{}, domain.NewError(domain.BadRequest, "Valid provider required")
	}
	quote, err := table.Quote(q)
	return priced, quote, err
}

// comparedTokens are the tokens for which providers are compared that charge by token.
const comparedTokens = 1000

// ComparedPrice is what a provider would charge.
type ComparedPrice struct {
	Provider string
	domain.Quote
}

// Compare tells what each provider would charge for an operation, the cheapest first.
func (p *Pricing) Compare(operation, quality string, quantity float64) ([]ComparedPrice, error) {
	table := p.Prices.Table()
	var list []ComparedPrice
	for _, provider := range table.Providers() {
		if !provider.Does(operation) {
			continue
		}
		quote, err := table.Quote(domain.PriceQuery{
			Provider: provider.Name, Operation: operation, Quality: quality, Quantity: quantity, Tokens: comparedTokens,
		})
		if err != nil {
			return nil, err
		}
		list = append(list, ComparedPrice{provider.Name, quote})
	}
	slices.SortStableFunc(list, func(a, b ComparedPrice) int {
		return cmp.Or(cmp.Compare(a.Total, b.Total), cmp.Compare(a.Unit, b.Unit), strings.Compare(a.Provider, b.Provider))
	})
	return list, nil
}

// Limits of a period of costs.
const (
	costDays    = 30  // before the last, when no first day is named
	maxCostDays = 366 // including both ends
)

// Costs is what a caller paid in a period.
type Costs struct {
	UsageOverview
	Days     []DayCost // the oldest first; those without use are left out
	Top      []OperationSum
	Provider *domain.Money // what the provider that was asked for took; nil when there is none that anybody knows
}

// DayCost is what a day cost.
type DayCost struct {
	Day  time.Time
	Cost domain.Money
}

// Costs sums what the caller used from one day to another. Days that are not named are 30 days ago, and today.
func (p *Pricing) Costs(ctx context.Context, who domain.Principal, first, last time.Time, provider string) (Costs, error) {
	now := p.Now().UTC()
	period, err := costPeriod(now, first, last)
	if err != nil {
		return Costs{}, err
	}
	o, err := p.Usage.overview(ctx, who, now, period)
	if err != nil {
		return Costs{}, err
	}
	costs := Costs{UsageOverview: o, Days: o.days(), Top: o.topOperations()}
	_, unpriced := p.Prices.Table().Provider(provider)
	var sum domain.Money
	known := unpriced == nil || knownProvider(provider)
	for name, used := range o.Providers {
		if answersFor(provider, name) {
			sum, known = sum.Plus(used.Cost), true
		}
	}
	if known && provider != "" {
		costs.Provider = &sum
	}
	return costs, nil
}

func costPeriod(now, first, last time.Time) (Period, error) {
	if last.IsZero() {
		last = dayOf(now)
	}
	if first.IsZero() {
		first = last.AddDate(0, 0, -costDays)
	}
	period := Period{From: dayOf(first), Past: dayOf(last).AddDate(0, 0, 1)}
	fault := domain.Fault{Type: "value_error", Loc: []any{"query", "end_date"}, Input: last.Format(time.DateOnly)}
	switch days := period.Days(); {
	case days < 1:
		fault.Msg = "Value error, the end may not be before the start"
	case days > maxCostDays:
		fault.Msg = "Value error, a period may have 366 days at most"
	default:
		return period, nil
	}
	return Period{}, domain.InvalidInput(fault)
}

// days are those on which something was used.
func (o UsageOverview) days() []DayCost {
	var days []DayCost
	for _, row := range o.rows { // in the order of days
		sum := sumOf(row)
		if sum == (UsageSum{}) {
			continue
		}
		if n := len(days); n == 0 || !days[n-1].Day.Equal(row.Day) {
			days = append(days, DayCost{Day: row.Day})
		}
		day := &days[len(days)-1]
		day.Cost = day.Cost.Plus(sum.Cost)
	}
	return days
}
