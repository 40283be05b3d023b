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

// UsageDeps is what Usage needs.
type UsageDeps struct {
	Ledger ports.Ledger
	Now    ports.Clock
	NewID  ports.IDs
}

// Usage tells callers what they used and what it cost. Days and months are those of UTC.
type Usage struct{ UsageDeps }

// NewUsage makes the use cases.
func NewUsage(d UsageDeps) *Usage { return &Usage{d} }

// UsageClaim is what a client says it used.
type UsageClaim struct {
	Provider, Operation, Quality, Model string
	Label                               string // the client's own id of the request
	Cost                                domain.Money
	Tokens, Images, Credits             int
}

// operation3D ends the names of operations that make a 3D model: text_to_3d, image_to_3d.
const operation3D = "_to_3d"

// Log stores a claim in the name of the caller. A claim that is sent twice is stored twice: its label may be that of a request in which
// several things were used.
func (u *Usage) Log(ctx context.Context, who domain.Principal, c UsageClaim) (domain.UsageRecord, error) {
	r := domain.UsageRecord{
		RequestID: u.NewID(), Attempt: 1, HTTPRequestID: c.Label, Owner: who.OwnerID(), At: u.Now().UTC().Truncate(time.Microsecond),
		Operation: c.Operation, Provider: c.Provider, Model: c.Model, Claimed: true, Outcome: domain.OutcomeCompleted,
		Usage: domain.Usage{Input: c.Tokens}, Images: c.Images, Credits: c.Credits, Quality: c.Quality, Cost: c.Cost,
	}
	if strings.HasSuffix(c.Operation, operation3D) {
		r.Models3D = 1
	}
	return r, u.Ledger.Append(ctx, r)
}

// UsageSum is a sum of what was used.
type UsageSum struct {
	Requests, Tokens, Images, Models3D, Credits int64
	Cost                                        domain.Money
}

func (s UsageSum) plus(t UsageSum) UsageSum {
	return UsageSum{
		Requests: s.Requests + t.Requests, Tokens: s.Tokens + t.Tokens, Images: s.Images + t.Images, Models3D: s.Models3D + t.Models3D,
		Credits: s.Credits + t.Credits, Cost: s.Cost.Plus(t.Cost),
	}
}

// Period is a span of whole days: the midnight on which it begins and the one on which it is over.
type Period struct{ From, Past time.Time }

// Days is how many days a period has.
func (p Period) Days() int { return int(p.Past.Sub(p.From) / (24 * time.Hour)) }

// LastDay is the midnight on which the last day of a period begins.
func (p Period) LastDay() time.Time { return p.Past.AddDate(0, 0, -1) }

func monthOf(t time.Time) Period {
	from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return Period{From: from, Past: from.AddDate(0, 1, 0)}
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// UsageOverview is what a caller used in a period. The provider that was asked for is singled out.
type UsageOverview struct {
	At         time.Time
	Period     Period
	All        UsageSum
	Providers  map[string]UsageSum
	Operations map[string]UsageSum
	Asked      UsageSum
	rows       []domain.UsageTotal
}

// Current sums the current month. A provider that nobody knows and the caller did not use is NotFound.
func (u *Usage) Current(ctx context.Context, who domain.Principal, provider string) (UsageOverview, error) {
	now := u.Now().UTC()
	o, err := u.overview(ctx, who, now, monthOf(now))
	if err != nil || provider == "" {
		return o, err
	}
	used := false
	for name, sum := range o.Providers {
		if answersFor(provider, name) {
			o.Asked, used = o.Asked.plus(sum), true
		}
	}
	if !used && !knownProvider(provider) {
		return UsageOverview{}, domain.NewError(domain.NotFound, "No usage data for provider: "+provider)
	}
	return o, nil
}

func (u *Usage) overview(ctx context.Context, who domain.Principal, now time.Time, p Period) (UsageOverview, error) {
	rows, err := u.Ledger.Totals(ctx, who.OwnerID(), p.From, p.Past)
	if err != nil {
		return UsageOverview{}, err
	}
	o := UsageOverview{At: now, Period: p, Providers: map[string]UsageSum{}, Operations: map[string]UsageSum{}, rows: rows}
	for _, row := range rows {
		sum := sumOf(row)
		if sum == (UsageSum{}) { // refusals leave no trace
			continue
		}
		o.All = o.All.plus(sum)
		o.Providers[row.Provider] = o.Providers[row.Provider].plus(sum)
		o.Operations[row.Operation] = o.Operations[row.Operation].plus(sum)
	}
	return o, nil
}

func sumOf(t domain.UsageTotal) UsageSum {
	return UsageSum{
		Requests: t.Requests, Tokens: t.InputTokens + t.OutputTokens, Images: t.Images, Models3D: t.Models3D, Credits: t.Credits, Cost: t.Cost,
	}
}

// answersFor reports whether usage under a name of the ledger belongs to a provider of the usage routes, where the chats of OpenAI have a
// name of their own.
func answersFor(provider, name string) bool {
	return name == provider || provider == planOpenAI && name == domain.ProviderOpenAI
}

func knownProvider(name string) bool {
	return planFor(name) || slices.ContainsFunc(domain.Providers(), func(p domain.Provider) bool { return p.ID == name })
}

// UsageDay is what was used on one day.
type UsageDay struct {
	Day       time.Time
	All       UsageSum
	Providers map[string]UsageSum
	Asked     UsageSum
}

// UsageHistory is what was used day by day, the oldest first. Days without use are there too.
type UsageHistory struct {
	Period Period
	Days   []UsageDay
	All    UsageSum
	Peak   time.Time // the day that cost most, the first of several; zero when nothing cost anything
}

// History sums each of the last days, today included.
func (u *Usage) History(ctx context.Context, who domain.Principal, days int, provider string) (UsageHistory, error) {
	today := dayOf(u.Now())
	h := UsageHistory{Period: Period{From: today.AddDate(0, 0, 1-days), Past: today.AddDate(0, 0, 1)}}
	rows, err := u.Ledger.Totals(ctx, who.OwnerID(), h.Period.From, h.Period.Past)
	if err != nil {
		return UsageHistory{}, err
	}
	h.Days = make([]UsageDay, days)
	for i := range h.Days {
		h.Days[i] = UsageDay{Day: h.Period.From.AddDate(0, 0, i), Providers: map[string]UsageSum{}}
	}
	for _, row := range rows {
		sum := sumOf(row)
		if sum == (UsageSum{}) {
			continue
		}
		day := &h.Days[int(row.Day.Sub(h.Period.From)/(24*time.Hour))]
		day.All = day.All.plus(sum)
		day.Providers[row.Provider] = day.Providers[row.Provider].plus(sum)
		if answersFor(provider, row.Provider) {
			day.Asked = day.Asked.plus(sum)
		}
		h.All = h.All.plus(sum)
	}
	var most domain.Money
	for _, day := range h.Days {
		if day.All.Cost > most {
			most, h.Peak = day.All.Cost, day.Day
		}
	}
	return h, nil
}

// UsageReport is a month in figures.
type UsageReport struct {
	UsageOverview
	Charges     Charges
	Top         []OperationSum // what cost most, the most expensive first
	Suggestions []Suggestion
}

// OperationSum is what one kind of operation was used for.
type OperationSum struct {
	Operation string
	UsageSum
}

const (
	monthFormat   = "2006-01"
	topOperations = 10
)

// Report sums a month, "YYYY-MM"; an empty one is the current.
func (u *Usage) Report(ctx context.Context, who domain.Principal, month string) (UsageReport, error) {
	now := u.Now().UTC()
	period := monthOf(now)
	if month != "" {
		first, err := time.Parse(monthFormat, month)
		if err != nil || len(month) != len(monthFormat) {
			return UsageReport{}, domain.NewError(domain.BadRequest, "Invalid month format. Use YYYY-MM")
		}
		period = monthOf(first)
	}
	o, err := u.overview(ctx, who, now, period)
	if err != nil {
		return UsageReport{}, err
	}
	return UsageReport{UsageOverview: o, Charges: o.charges(), Top: o.topOperations(), Suggestions: o.suggestions()}, nil
}

func (o UsageOverview) topOperations() []OperationSum {
	list := make([]OperationSum, 0, len(o.Operations))
	for name, sum := range o.Operations {
		list = append(list, OperationSum{name, sum})
	}
	slices.SortFunc(list, func(a, b OperationSum) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Operation, b.Operation))
	})
	return list[:min(len(list), topOperations)]
}
