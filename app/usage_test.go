package app_test

import (
	"math"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// usageBed is Usage with a clock that the test sets.
type usageBed struct {
	*app.Usage
	ledger *memory.Ledger
	now    time.Time
}

func newUsage(now time.Time) *usageBed {
	b := &usageBed{ledger: memory.NewLedger(), now: now}
	b.Usage = app.NewUsage(app.UsageDeps{Ledger: b.ledger, Now: func() time.Time { return b.now }, NewID: ids()})
	return b
}

// log stores a claim of ada's at a time.
func (b *usageBed) log(t *testing.T, at time.Time, c app.UsageClaim) {
	t.Helper()
	back := b.now
	b.now = at
	defer func() { b.now = back }()
	if _, err := b.Log(t.Context(), ada, c); err != nil {
		t.Fatal(err)
	}
}

func images(n int, cost float64) app.UsageClaim {
	return app.UsageClaim{Provider: "dalle", Operation: "image_generation", Quality: "standard", Images: n, Cost: domain.FromDollars(cost)}
}

func TestUsageOfAMonthEndsAtItsBordersInUTC(t *testing.T) {
	t.Parallel()
	march := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	tokyo := time.FixedZone("Tokyo", 9*3600)
	b := newUsage(march.Add(12 * time.Hour))
	b.log(t, march.AddDate(0, 0, -1), images(1, 1))           // on the leap day
	b.log(t, march.Add(-time.Microsecond), images(2, 2))      // its last moment
	b.log(t, march.In(tokyo), images(4, 4))                   // the first moment of March, at nine in Tokyo
	b.log(t, march.AddDate(0, 1, 0).Add(-1000), images(8, 8)) // the last of March
	b.log(t, march.AddDate(0, 1, 0), images(16, 16))
	for _, c := range []struct {
		now  time.Time
		want int64
	}{
		{march.Add(-time.Nanosecond), 3}, {march, 12}, {march.In(tokyo), 12}, {march.AddDate(0, 1, 0).Add(-1), 12}, {march.AddDate(0, 1, 0), 16},
		{march.AddDate(1, 0, 0), 0},
	} {
		b.now = c.now
		o, err := b.Current(t.Context(), ada, "")
		if err != nil || o.All.Images != c.want || o.All.Cost != domain.FromDollars(float64(c.want)) {
			t.Errorf("at %v: %+v, %v; want %d images", c.now, o.All, err, c.want)
		}
	}
	for month, want := range map[string]int64{"2024-02": 3, "2024-03": 12, "2024-04": 16, "2024-01": 0, "2023-03": 0} {
		r, err := b.Report(t.Context(), ada, month)
		if err != nil || r.All.Images != want || r.Period.From.Format("2006-01") != month {
			t.Errorf("%s: %+v of %v, %v; want %d images", month, r.All, r.Period, err, want)
		}
	}
}

func TestUsageHistoryHasEveryDay(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 3, 1, 23, 30, 0, 0, time.UTC)
	b := newUsage(now)
	b.log(t, now.AddDate(0, 0, -3), images(1, 1)) // too old
	b.log(t, now.AddDate(0, 0, -2), images(1, 2))
	b.log(t, now, images(1, 1))
	b.log(t, now, app.UsageClaim{Provider: "openai", Operation: "chat", Tokens: 7, Cost: domain.FromDollars(1)})
	h, err := b.History(t.Context(), ada, 3, "openai_gpt")
	if err != nil || len(h.Days) != 3 {
		t.Fatalf("%+v, %v", h, err)
	}
	for i, want := range []struct {
		day   string
		cost  float64
		asked int64
	}{{"2024-02-28", 2, 0}, {"2024-02-29", 0, 0}, {"2024-03-01", 2, 1}} {
		d := h.Days[i]
		if d.Day.Format("2006-01-02") != want.day || d.All.Cost.Dollars() != want.cost || d.Asked.Requests != want.asked {
			t.Errorf("day %d is %+v, want %+v", i, d, want)
		}
	}
	if h.All.Cost.Dollars() != 4 || h.Peak != h.Days[0].Day {
		t.Errorf("all is %+v, the peak %v, want the first of equal days", h.All, h.Peak)
	}
}

func TestUsageIsOfTheCallerOnly(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	b.log(t, noon, images(1, 1))
	for _, who := range []domain.Principal{bob, service} {
		if o, err := b.Current(t.Context(), who, "dalle"); err != nil || o.All != (app.UsageSum{}) || len(o.Providers) != 0 {
			t.Errorf("%s sees %+v, %v", who.OwnerID(), o, err)
		}
	}
}

func TestUsageOfUnknownProviders(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	b.log(t, noon, app.UsageClaim{Provider: "in-house", Operation: "search", Cost: 1})
	for provider, known := range map[string]bool{
		"in-house": true, "claude": true, "gemini": true, "stability": true, "openai": true, "openai_gpt": true, "nope": false, "In-House": false,
	} {
		_, err := b.Current(t.Context(), ada, provider)
		if known && err != nil || !known && domain.KindOf(err) != domain.NotFound {
			t.Errorf("%s: %v", provider, err)
		}
	}
	for provider, limited := range map[string]bool{"": true, "meshy": true, "openai_gpt": true, "in-house": false, "gemini": false} {
		l, err := b.Limits(t.Context(), ada, provider)
		if limited && (err != nil || len(l.Limits) == 0) || !limited && domain.KindOf(err) != domain.NotFound {
			t.Errorf("limits of %q: %+v, %v", provider, l, err)
		}
	}
}

func TestUsageReportRefusesOddMonths(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	for _, month := range []string{"junk", "2024-13", "2024-00", "2024-3", "24-03", "2024-03-01", " 2024-03", "2024/03"} {
		_, err := b.Report(t.Context(), ada, month)
		if domain.KindOf(err) != domain.BadRequest {
			t.Errorf("%q: %v", month, err)
		}
	}
}

func TestLimitsWarnAbove80Percent(t *testing.T) {
	t.Parallel()
	for used, warned := range map[int]bool{0: false, 800: false, 801: true, 1000: true, 1500: true} {
		b := newUsage(noon)
		b.log(t, noon, app.UsageClaim{Provider: "meshy", Operation: "text_to_3d", Credits: used})
		l, err := b.Limits(t.Context(), ada, "meshy")
		if err != nil || len(l.Limits) != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		limit := l.Limits[0]
		if limit.Exceeding() != warned || limit.Used != int64(used) || limit.Left() != int64(max(1000-used, 0)) || limit.Percent() != float64(used)/10 {
			t.Errorf("%d credits: %+v, exceeding %t, %v percent", used, limit, limit.Exceeding(), limit.Percent())
		}
		bill, err := b.Billing(t.Context(), ada)
		if err != nil || (len(bill.Alerts) == 1) != warned {
			t.Errorf("%d credits: alerts %+v, %v", used, bill.Alerts, err)
		}
	}
}

func TestStabilityIsLimitedByTheDay(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	claim := app.UsageClaim{Provider: "stability", Operation: "image_generation", Images: 10}
	b.log(t, noon.AddDate(0, 0, -1), claim)
	b.log(t, noon, claim)
	if l, err := b.Limits(t.Context(), ada, "stability"); err != nil || l.Limits[0].Used != 10 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestBill(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	b := newUsage(now)
	b.log(t, now, images(42, 3.36))
	b.log(t, now, app.UsageClaim{Provider: "claude", Operation: "text_completion", Tokens: 36_000, Cost: domain.FromDollars(0.045)})
	b.log(t, now, app.UsageClaim{Provider: "meshy", Operation: "text_to_3d", Credits: 5})
	bill, err := b.Billing(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if c := bill.Charges; c.Subscriptions.Dollars() != 25 || c.Usage.Dollars() != 3.405 || c.Overage != 0 || c.Total().Dollars() != 28.405 {
		t.Errorf("charges are %+v", c)
	}
	if bill.DaysLeft != 17 || bill.Estimate.Dollars() != 32.54 || bill.Period.LastDay().Day() != 31 || len(bill.Alerts) != 0 {
		t.Errorf("the bill is %+v", bill)
	}
	b.log(t, now, images(15_000, 0))
	if bill, err = b.Billing(t.Context(), ada); err != nil || bill.Charges.Overage.Dollars() != 42*0.04 || len(bill.Alerts) != 1 {
		t.Errorf("over the limit: %+v, %v", bill, err)
	}
}

func TestUsageBeyondAllMoney(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	for _, provider := range []string{"dalle", "meshy", "other"} {
		b.log(t, noon, app.UsageClaim{Provider: provider, Operation: "x", Images: 20_000, Credits: 1, Cost: math.MaxInt64})
	}
	bill, err := b.Billing(t.Context(), ada)
	if err != nil || bill.Charges.Total() != math.MaxInt64 || bill.Estimate != math.MaxInt64 {
		t.Errorf("%+v, %v", bill, err)
	}
}

func TestSuggestionsComeFromTheImages(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	hd := images(2, 0.16)
	hd.Quality = "hd"
	b.log(t, noon, hd)
	b.log(t, noon, images(10, 0.4))
	r, err := b.Report(t.Context(), ada, "")
	if err != nil || len(r.Suggestions) != 2 || r.Suggestions[0].Savings.Dollars() != 0.08 || r.Suggestions[1].Savings.Dollars() != 0.2 {
		t.Errorf("%+v, %v", r.Suggestions, err)
	}
	if len(r.Top) != 1 || r.Top[0].Requests != 2 {
		t.Errorf("operations are %+v", r.Top)
	}
}

func TestUsageWithoutALedger(t *testing.T) {
	t.Parallel()
	b := newUsage(noon)
	away := domain.MissingPart("away", nil)
	for name, call := range map[string]func() error{
		"Append": func() error { _, err := b.Log(t.Context(), ada, images(1, 1)); return err },
	} {
		b.ledger.FailNext(name, away)
		wantKind(t, call(), domain.Unavailable)
	}
	for _, call := range []func() error{
		func() error { _, err := b.Current(t.Context(), ada, ""); return err },
		func() error { _, err := b.History(t.Context(), ada, 1, ""); return err },
		func() error { _, err := b.Limits(t.Context(), ada, ""); return err },
		func() error { _, err := b.Billing(t.Context(), ada); return err },
		func() error { _, err := b.Report(t.Context(), ada, ""); return err },
	} {
		b.ledger.FailNext("Totals", away)
		wantKind(t, call(), domain.Unavailable)
	}
}
