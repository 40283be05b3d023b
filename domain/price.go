package domain

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"time"
)

// PricingModel says how a provider charges.
type PricingModel string

// The pricing models.
const (
	PricedByTier   PricingModel = "tier_based"
	PricedByCredit PricingModel = "credit_based"
	PricedByImage  PricingModel = "per_image"
	PricedByToken  PricingModel = "token_based"
	PricedBySecond PricingModel = "per_second"
	PricedAsFree   PricingModel = "free"
)

// Providers of the price table that others name, too.
const (
	PricedDalle = "dalle"
	PricedMeshy = "meshy"
)

// Names of rates. A quality without a rate of its own costs as much as a standard one.
const (
	QualityLow      = "low"
	QualityStandard = "standard"
	QualityHD       = "hd"
	QualityUltra    = "ultra"

	RateInput  = "input"  // a thousand tokens
	RateOutput = "output" // a thousand tokens
	RateCredit = "credit"
)

// Operations of Meshy that the contract names.
const (
	OperationTextTo3D   = "text_to_3d"
	OperationTexture    = "texture_generation"
	OperationRefinement = "refinement"
)

// outputShare is how many output tokens an estimate has for each input token.
const outputShare = 0.5

// PriceTable holds the prices of everything that is made for callers, but for chats, whose models Catalogue prices. Estimates, budget checks
// and charges all come from Quote, so that they can't differ. It does not change after it was made.
type PriceTable struct {
	version   string
	effective time.Time
	providers []PricedProvider
}

// Version names the table.
func (t *PriceTable) Version() string { return t.version }

// Effective is when its prices came into force.
func (t *PriceTable) Effective() time.Time { return t.effective }

// Providers returns all providers, in the order of the table.
func (t *PriceTable) Providers() []PricedProvider { return slices.Clone(t.providers) }

// Provider returns one. Unknown ones are NotFound.
func (t *PriceTable) Provider(name string) (PricedProvider, error) {
	for _, p := range t.providers {
		if p.Name == name {
			return p, nil
		}
	}
	return PricedProvider{}, NewError(NotFound, "Pricing not found for provider: "+name)
}

// PricedProvider is a provider with its prices. Which fields are set follows from Model.
type PricedProvider struct {
	Name           string
	Model          PricingModel
	Listed         bool // is one of those that clients of the LLM Platform know
	Capabilities   []string
	Serves         []string            // operations for which it is compared with others
	Tiers          []PriceTier         // by tier; Gaia has the first
	Packages       []CreditPackage     // by credit
	Credits        []OperationCredits  // that clients of the LLM Platform know
	Orders         []OperationCredits  // that Gaia's generators order; clients are not told
	DefaultCredits int                 // of operations that both lack
	Bundles        map[string][]string // operations that consist of others
	Rates          Rates
	Operations     map[string]Rates // of operations that have their own
	Minimum        Money            // by second: the least that is charged for anything
}

// Rates are prices by quality, or by what else a name says.
type Rates map[string]Money

// of returns the rate of a quality, or the standard one.
func (r Rates) of(quality string) Money {
	if rate, ok := r[quality]; ok {
		return rate
	}
	return r[QualityStandard]
}

// PriceTier is a subscription.
type PriceTier struct {
	Name            string
	MonthlyFee      Money
	ImagesPerMinute int
	MonthlyLimit    int
	Rates           Rates
}

// CreditPackage is a number of credits that are bought together.
type CreditPackage struct {
	Name    string
	Credits int
	Cost    Money
}

// OperationCredits is how many credits an operation takes.
type OperationCredits struct {
	Operation string
	Credits   int
	Credit    Money // what one costs; 0: the rate of the provider
}

// Refines reports whether an operation has prices of its own.
func (p PricedProvider) Refines(operation string) bool {
	_, refined := p.Operations[operation]
	_, bundle := p.Bundles[operation]
	return refined || bundle || slices.ContainsFunc(slices.Concat(p.Credits, p.Orders), func(c OperationCredits) bool { return c.Operation == operation })
}

// QueryFor asks what an asset costs that a generator makes, in all its stages.
func (t *PriceTable) QueryFor(g Generator, r AssetRequest) PriceQuery {
	q := PriceQuery{Provider: g.Pricing, Operation: g.Operations[r.Category], Quality: g.Qualities[r.Quality], Quantity: 1}
	if p, err := t.Provider(g.Pricing); err == nil && p.Model == PricedBySecond {
		q.Quantity = float64(AudioSeconds(r))
	}
	return q
}

// QueryForStage asks what one stage costs: a stage that has a price at the provider, under the operation that the generator names for it or
// under its own name, costs that, any other what the whole asset costs.
func (t *PriceTable) QueryForStage(g Generator, r AssetRequest, stage string) PriceQuery {
	q := t.QueryFor(g, r)
	operation, named := g.Stages[stage]
	if !named {
		operation = stage
	}
	if p, err := t.Provider(g.Pricing); err == nil && p.Refines(operation) {
		q.Operation = operation
	}
	return q
}

// Does reports whether a provider is compared with others for an operation.
func (p PricedProvider) Does(operation string) bool {
	return slices.Contains(p.Serves, operation) || slices.ContainsFunc(p.Credits, func(c OperationCredits) bool { return c.Operation == operation })
}

// PriceQuery asks what something costs.
type PriceQuery struct {
	Provider  string
	Operation string  // one that the table does not know costs what the provider usually takes
	Quality   string  // empty: standard
	Quantity  float64 // images, runs of an operation, seconds of sound, or how often Tokens are used
	Tokens    float64 // going in, by token
}

// Quote is what something costs.
type Quote struct {
	Model         PricingModel
	Unit          Money // for a quantity of 1; by token for a thousand of them and the answer to them
	Total         Money
	Fee           Money // monthly, of the tier; not a part of Total
	CreditsEach   int
	Credits       int   // in all
	Input, Output Money // parts of Total, by token
	Version       string
}

// Quote tells what something costs. An unknown provider is NotFound; quantities that are no numbers, below zero, or that cost more than Money
// holds are Invalid.
func (t *PriceTable) Quote(q PriceQuery) (Quote, error) {
	p, err := t.Provider(q.Provider)
	if err != nil {
		return Quote{}, err
	}
	if q.Quality == "" {
		q.Quality = QualityStandard
	}
	var faults []Fault
	faults = append(faults, countFaults("quantity", q.Quantity)...)
	faults = append(faults, countFaults("estimated_tokens", q.Tokens)...)
	if len(faults) > 0 {
		return Quote{}, InvalidInput(faults...)
	}
	quote, ok := p.quote(q)
	if !ok {
		return Quote{}, InvalidInput(Fault{
			Type: "value_error", Loc: []any{"body", "quantity"}, Msg: "Value error, so much costs more than can be counted", Input: q.Quantity,
		})
	}
	quote.Model, quote.Version = p.Model, t.version
	return quote, nil
}

// countFaults refuses what counts nothing.
func countFaults(field string, n float64) []Fault {
	loc := []any{"body", field}
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return []Fault{{Type: "finite_number", Loc: loc, Msg: "Input should be a finite number"}}
	case n < 0:
		return []Fault{{
			Type: "greater_than_equal", Loc: loc, Msg: "Input should be greater than or equal to 0", Input: n, Ctx: map[string]any{"ge": 0},
		}}
	default:
		return nil
	}
}

// quote is not ok when the amount is more than Money or an int holds.
func (p PricedProvider) quote(q PriceQuery) (Quote, bool) {
	if parts, ok := p.Bundles[q.Operation]; ok {
		return p.quoteBundle(q, parts)
	}
	switch p.Model {
	case PricedByCredit:
		return p.quoteCredits(q)
	case PricedByToken:
		return p.quoteTokens(q)
	case PricedAsFree:
		return Quote{}, true
	default:
		return p.quoteUnits(q)
	}
}

func (p PricedProvider) quoteBundle(q PriceQuery, parts []string) (Quote, bool) {
	var sum Quote
	for _, part := range parts {
		q.Operation = part
		one, ok := p.quote(q)
		if !ok {
			return Quote{}, false
		}
		sum.Unit, sum.Total = sum.Unit.Plus(one.Unit), sum.Total.Plus(one.Total)
		sum.CreditsEach, sum.Credits, sum.Fee = sum.CreditsEach+one.CreditsEach, sum.Credits+one.Credits, one.Fee
	}
	return sum, sum.Total < math.MaxInt64
}

// quoteUnits prices images and seconds.
func (p PricedProvider) quoteUnits(q PriceQuery) (Quote, bool) {
	rates, quality, fee := p.Rates, q.Quality, Money(0)
	if p.Model == PricedByTier {
		rates, fee = p.Tiers[0].Rates, p.Tiers[0].MonthlyFee
		if quality != QualityStandard && quality != QualityLow {
			quality = QualityHD // a tier has no other
		}
	}
	if own, ok := p.Operations[q.Operation]; ok {
		rates = own
	}
	unit := rates.of(quality)
	total, ok := times(unit, q.Quantity)
	if q.Quantity > 0 {
		total = max(total, p.Minimum)
	}
	return Quote{Unit: unit, Total: total, Fee: fee}, ok
}

// quoteCredits prices what takes credits, of which there are no parts.
func (p PricedProvider) quoteCredits(q PriceQuery) (Quote, bool) {
	each, credit := p.DefaultCredits, p.Rates[RateCredit]
	for _, c := range slices.Concat(p.Credits, p.Orders) {
		if c.Operation == q.Operation {
			each, credit = c.Credits, cmp.Or(c.Credit, credit)
		}
	}
	credits := math.Ceil(float64(each) * q.Quantity)
	if credits > math.MaxInt32 {
		return Quote{}, false
	}
	unit, _ := times(credit, float64(each))
	total, ok := times(credit, credits)
	return Quote{Unit: unit, Total: total, CreditsEach: each, Credits: int(credits)}, ok
}

// quoteTokens prices tokens and the answer to them.
func (p PricedProvider) quoteTokens(q PriceQuery) (Quote, bool) {
	const thousand = 1000
	input, fits := share(p.Rates[RateInput], thousand, q.Tokens, q.Quantity)
	output, outputFits := share(p.Rates[RateOutput], thousand, q.Tokens, q.Quantity, outputShare)
	half, _ := times(p.Rates[RateOutput], outputShare)
	total := input.Plus(output)
	return Quote{Unit: p.Rates[RateInput].Plus(half), Total: total, Input: input, Output: output}, fits && outputFits && total < math.MaxInt64
}

func times(price Money, factors ...float64) (Money, bool) { return share(price, 1, factors...) }

// share divides and multiplies exactly, and rounds to the nearest billionth of a dollar. It is not ok when that is more than Money holds.
func share(price Money, divisor int64, factors ...float64) (Money, bool) {
	product := big.NewRat(int64(price), divisor)
	for _, f := range factors {
		product.Mul(product, new(big.Rat).SetFloat64(f))
	}
	product.Add(product, big.NewRat(1, 2))
	rounded := new(big.Int).Quo(product.Num(), product.Denom())
	if !rounded.IsInt64() || rounded.Int64() == math.MaxInt64 {
		return math.MaxInt64, false
	}
	return Money(rounded.Int64()), true
}
