package app

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gaia/domain"
)

// Providers that the plan has limits for, as the usage routes name them.
const (
	planDalle     = "dalle"
	planMeshy     = "meshy"
	planStability = "stability"
	planClaude    = "claude"
	planOpenAI    = "openai_gpt"
)

// planProviders are in the order in which they are listed.
var planProviders = []string{planDalle, planMeshy, planStability, planClaude, planOpenAI}

func planFor(provider string) bool { return slices.Contains(planProviders, provider) }

// The plan that every caller has.
const (
	dalleTier       = "Tier 1"
	dalleImages     = 15_000 // a month
	dalleRate       = 5      // images a minute
	meshyPackage    = "Professional"
	meshyCredits    = 1_000 // a month
	stabilityImages = 1_000 // a day
	textTokens      = 1_000_000
)

var (
	dalleFee        = domain.FromDollars(5)
	dalleOverage    = domain.FromDollars(0.04)
	meshyFee        = domain.FromDollars(20)
	stabilityImage  = domain.FromDollars(0.02)
	claudeTokenCost = domain.FromDollars(0.09) // for a thousand
	openAITokenCost = domain.FromDollars(0.045)
)

// warnAbove is the share of a limit, in percent, above which callers are warned.
const warnAbove = 80

// Limit is a limit of the plan and how much of it is used.
type Limit struct {
	Provider     string
	Most, Used   int64
	Unit         string // "images", "credits", "tokens"
	Daily        bool   // else monthly
	Plan         string // tier or package; may be empty
	Fee          domain.Money
	UnitCost     domain.Money // for one image over the limit, one image, or a thousand tokens
	RatePerMin   int
	AutoRenewing bool
}

// Left is what is left of a limit.
func (l Limit) Left() int64 { return max(l.Most-l.Used, 0) }

// Percent is how much of a limit is used.
func (l Limit) Percent() float64 { return float64(l.Used) * 100 / float64(l.Most) }

// Exceeding reports whether so much is used that the caller should know.
func (l Limit) Exceeding() bool { return l.Used*100 > l.Most*warnAbove }

// Warning says in words how much is used.
func (l Limit) Warning() string {
	span := "month"
	if l.Daily {
		span = "day"
	}
	return fmt.Sprintf("%.0f %% of the %s %s of this %s are used", math.Floor(l.Percent()), l.Provider, l.Unit, span)
}

// UsageLimits is the plan of a caller and what is used of it.
type UsageLimits struct {
	Period Period
	Limits []Limit // in the order of the plan
}

// Limits compares the current month with the plan. A provider without limits is NotFound.
func (u *Usage) Limits(ctx context.Context, who domain.Principal, provider string) (UsageLimits, error) {
	if provider != "" && !planFor(provider) {
		return UsageLimits{}, domain.NewError(domain.NotFound, "No limits for provider: "+provider)
	}
	now := u.Now().UTC()
	o, err := u.overview(ctx, who, now, monthOf(now))
	if err != nil {
		return UsageLimits{}, err
	}
	limits := UsageLimits{Period: o.Period}
	for _, l := range o.limits() {
		if provider == "" || provider == l.Provider {
			limits.Limits = append(limits.Limits, l)
		}
	}
	return limits, nil
}

// limits measures a month that is not over.
func (o UsageOverview) limits() []Limit {
	today := dayOf(o.At)
	used := map[string]UsageSum{}
	for _, row := range o.rows {
		sum := sumOf(row)
		switch row.Provider {
		case domain.ProviderOpenAI: // its images are DALL-E's, its answers those of GPT
			used[planDalle] = used[planDalle].plus(UsageSum{Images: sum.Images})
			used[planOpenAI] = used[planOpenAI].plus(UsageSum{Tokens: sum.Tokens})
		case planStability:
			if row.Day.Equal(today) {
				used[planStability] = used[planStability].plus(sum)
			}
		default:
			used[row.Provider] = used[row.Provider].plus(sum)
		}
	}
	return []Limit{
		{
			Provider: planDalle, Most: dalleImages, Used: used[planDalle].Images, Unit: "images", Plan: dalleTier, Fee: dalleFee,
			UnitCost: dalleOverage, RatePerMin: dalleRate,
		},
		{
			Provider: planMeshy, Most: meshyCredits, Used: used[planMeshy].Credits, Unit: "credits", Plan: meshyPackage, Fee: meshyFee,
			AutoRenewing: true,
		},
		{Provider: planStability, Most: stabilityImages, Used: used[planStability].Images, Unit: "images", Daily: true, UnitCost: stabilityImage},
		{Provider: planClaude, Most: textTokens, Used: used[planClaude].Tokens, Unit: "tokens", UnitCost: claudeTokenCost},
		{Provider: planOpenAI, Most: textTokens, Used: used[planOpenAI].Tokens, Unit: "tokens", UnitCost: openAITokenCost},
	}
}

// Charges is what a month costs.
type Charges struct{ Subscriptions, Usage, Overage domain.Money }

// Total is the sum of all charges.
func (c Charges) Total() domain.Money { return c.Subscriptions.Plus(c.Usage).Plus(c.Overage) }

// charges of a month. A subscription costs something in a month in which it was used; images over the limit of the tier cost extra.
func (o UsageOverview) charges() Charges {
	c := Charges{Usage: o.All.Cost}
	for _, l := range o.limits() {
		if l.Used == 0 || l.Fee == 0 {
			continue
		}
		c.Subscriptions = c.Subscriptions.Plus(l.Fee)
		if over := l.Used - l.Most; over > 0 {
			c.Overage = c.Overage.Plus(domain.Money(over) * l.UnitCost)
		}
	}
	return c
}

// UsageBill is what a caller owes for the current month.
type UsageBill struct {
	Period   Period
	DaysLeft int // after today
	Charges  Charges
	Estimate domain.Money // of the whole month
	Alerts   []Limit      // that are nearly or wholly used up
}

// Billing adds the current month up.
func (u *Usage) Billing(ctx context.Context, who domain.Principal) (UsageBill, error) {
	now := u.Now().UTC()
	o, err := u.overview(ctx, who, now, monthOf(now))
	if err != nil {
		return UsageBill{}, err
	}
	b := UsageBill{Period: o.Period, Charges: o.charges(), DaysLeft: o.Period.Days() - now.Day()}
	perDay := b.Charges.Usage.Plus(b.Charges.Overage).Dollars() / float64(now.Day())
	b.Estimate = b.Charges.Subscriptions.Plus(inCents(perDay * float64(o.Period.Days())))
	for _, l := range o.limits() {
		if l.Exceeding() {
			b.Alerts = append(b.Alerts, l)
		}
	}
	return b, nil
}

// inCents rounds dollars: an estimate is not better than that.
func inCents(dollars float64) domain.Money { return domain.FromDollars(math.Round(dollars*100) / 100) }

// Suggestion is a way to spend less.
type Suggestion struct {
	What, Why string
	Savings   domain.Money // in that month
}

const qualityHD = "hd"

// suggestions come from what the month shows. Half of the price of an image in high definition is for the definition, and an image of
// Stability costs less than one of DALL-E.
func (o UsageOverview) suggestions() []Suggestion {
	var hd, dalle UsageSum
	for _, row := range o.rows {
		if row.Images == 0 {
			continue
		}
		if row.Quality == qualityHD {
			hd = hd.plus(sumOf(row))
		} else if row.Provider == planDalle {
			dalle = dalle.plus(sumOf(row))
		}
	}
	var list []Suggestion
	if hd.Cost > 0 {
		list = append(list, Suggestion{
			What: "Use standard quality for drafts", Savings: hd.Cost / 2,
			Why: fmt.Sprintf("%d of %d images were made in hd, at about twice the price.", hd.Images, o.All.Images),
		})
	}
	if cheaper := stabilityImage * domain.Money(dalle.Images); dalle.Cost > cheaper {
		list = append(list, Suggestion{
			What: "Make drafts with Stability", Savings: dalle.Cost - cheaper,
			Why: fmt.Sprintf("%d images of DALL-E in standard quality cost more than Stability takes for as many.", dalle.Images),
		})
	}
	return list
}
