package app_test

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// pricingBed is Pricing over a file of prices that the test changes.
type pricingBed struct {
	*app.Pricing
	prices *app.Prices
	usage  *usageBed
	file   func() (*domain.PriceTable, error)
	reads  int
	log    strings.Builder
}

func newPricing(t *testing.T) *pricingBed {
	t.Helper()
	b := &pricingBed{usage: newUsage(noon), file: pricesWith(t, "1")}
	marks := memory.NewMarks()
	prices, err := app.NewPrices(app.PricesDeps{
		Read: func() (*domain.PriceTable, error) { b.reads++; return b.file() }, Marks: marks,
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.prices = prices
	b.Pricing = app.NewPricing(app.PricingDeps{Prices: prices, Usage: b.usage.Usage, Now: func() time.Time { return b.usage.now }})
	return b
}

// pricesWith is the built-in table under another version, with another price.
func pricesWith(t *testing.T, version string, edits ...string) func() (*domain.PriceTable, error) {
	t.Helper()
	data, err := os.ReadFile("../domain/prices.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(append([]string{`"version": "2026-11-26.1"`, `"version": "` + version + `"`}, edits...)...).Replace(string(data))
	return func() (*domain.PriceTable, error) { return domain.ParsePrices([]byte(text)) }
}

func TestPricesAreReadAgainWhenSomebodyAsks(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	b.file = pricesWith(t, "2", `"standard": 0.02`, `"standard": 0.03`)
	b.prices.Refresh(t.Context())
	if b.reads != 1 || b.prices.Table().Version() != "1" {
		t.Fatalf("read %d times though nobody asked", b.reads)
	}
	update, err := b.Update(t.Context(), "stability")
	if err != nil || !update.At.Equal(noon) || !update.Done.Equal(noon.Add(app.PricesReread)) {
		t.Fatalf("got %+v, %v", update, err)
	}
	b.prices.Refresh(t.Context())
	b.prices.Refresh(t.Context())
	_, quote, err := b.Estimate(domain.PriceQuery{Provider: "stability", Quantity: 1})
	if b.reads != 2 || err != nil || quote.Total != domain.FromDollars(0.03) || quote.Version != "2" {
		t.Errorf("read %d times, %+v, %v", b.reads, quote, err)
	}
}

func TestBrokenPricesLeaveTheOldOnesInForce(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	b.file = func() (*domain.PriceTable, error) { return nil, errors.New("broken") }
	if _, err := b.Update(t.Context(), "dalle"); err != nil {
		t.Fatal(err)
	}
	b.prices.Refresh(t.Context())
	if b.prices.Table().Version() != "1" || !strings.Contains(b.log.String(), "broken") {
		t.Errorf("version %s, log %s", b.prices.Table().Version(), &b.log)
	}
	b.file = pricesWith(t, "2")
	b.usage.now = noon.Add(time.Second)
	if _, err := b.Update(t.Context(), "dalle"); err != nil {
		t.Fatal(err)
	}
	if b.prices.Refresh(t.Context()); b.prices.Table().Version() != "2" {
		t.Error("a table that was mended is not read")
	}
}

func TestPricesThatCanNotBeReadAtFirstAreAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := app.NewPrices(app.PricesDeps{Read: func() (*domain.PriceTable, error) { return nil, broken }}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	prices, err := app.NewPrices(app.PricesDeps{})
	if err != nil || prices.Table().Version() != domain.BuiltInPrices().Version() {
		t.Errorf("got %v", err)
	}
	prices.Run(t.Context()) // has nothing to do, and ends
}

func TestUnknownProvidersOfPrices(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	_, _, err := b.Current("nope")
	wantError(t, err, domain.NotFound, "Pricing not found for provider: nope")
	_, err = b.Update(t.Context(), "nope")
	wantError(t, err, domain.NotFound, "Provider not found: nope")
	_, _, err = b.Estimate(domain.PriceQuery{Provider: "nope", Quantity: 1})
	wantError(t, err, domain.BadRequest, "Valid provider required")
	_, _, err = b.Estimate(domain.PriceQuery{Provider: "dalle", Quantity: math.NaN()})
	if domain.KindOf(err) != domain.Invalid {
		t.Errorf("got %v", err)
	}
}

func wantError(t *testing.T, err error, kind domain.Kind, message string) {
	t.Helper()
	if domain.KindOf(err) != kind || err.Error() != message {
		t.Errorf("got %v, want %s", err, message)
	}
}

func TestListedProvidersAreThoseOfTheOldPlatform(t *testing.T) {
	t.Parallel()
	providers, since := newPricing(t).Listed()
	var names []string
	for _, p := range providers {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "dalle meshy stability openai_gpt claude" || since.IsZero() {
		t.Errorf("got %s since %s", got, since)
	}
}

func TestComparisonsHaveTheCheapestFirst(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	for operation, want := range map[string]string{
		"image_generation": "stability dalle midjourney", "3d_generation": "meshy", "text_to_3d": "meshy", "texture_generation": "meshy",
		"text_completion": "claude openai_gpt", "audio_generation": "mubert", "strange": "",
	} {
		list, err := b.Compare(operation, "standard", 2)
		var names []string
		for _, c := range list {
			names = append(names, c.Provider)
			if c.Total < c.Unit { // two of them cost no less than one
				t.Errorf("%s: %+v", operation, c)
			}
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%s: got %s, %v", operation, got, err)
		}
	}
	if _, err := b.Compare("image_generation", "hd", math.Inf(1)); domain.KindOf(err) != domain.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestCostsAreThoseOfTheCallerAndThePeriod(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	b.usage.log(t, day(31), images(100, 100))
	b.usage.log(t, day(30), images(1, 1))
	b.usage.log(t, day(2), app.UsageClaim{Provider: "meshy", Operation: "text_to_3d", Credits: 5, Cost: domain.FromDollars(2)})
	b.usage.log(t, day(2), images(1, 0.5))
	b.usage.log(t, day(0), app.UsageClaim{Provider: "openai", Operation: "text_completion", Tokens: 7, Cost: domain.FromDollars(0.25)})

	costs, err := b.Costs(t.Context(), ada, time.Time{}, time.Time{}, "openai_gpt")
	if err != nil {
		t.Fatal(err)
	}
	if a := costs.All; a.Cost != domain.FromDollars(3.75) || a.Images != 2 || a.Models3D != 1 || a.Tokens != 7 || a.Credits != 5 {
		t.Errorf("got %+v", a)
	}
	if d := costs.Days; len(d) != 3 || d[1].Cost != domain.FromDollars(2.5) || !d[0].Day.Before(d[1].Day) {
		t.Errorf("days %+v", d)
	}
	if top := costs.Top; len(top) != 3 || top[0].Operation != "text_to_3d" || top[1].Operation != "image_generation" || top[1].Requests != 2 {
		t.Errorf("top %+v", top)
	}
	if costs.Provider == nil || *costs.Provider != domain.FromDollars(0.25) {
		t.Errorf("provider %v", costs.Provider)
	}
	if got := costs.Period.LastDay().Sub(costs.Period.From); got != 30*24*time.Hour {
		t.Errorf("period of %s", got)
	}

	one, err := b.Costs(t.Context(), ada, day(2), day(2), "")
	if err != nil || one.All.Cost != domain.FromDollars(2.5) || one.Provider != nil {
		t.Errorf("got %+v, %v", one.All, err)
	}
	for provider, want := range map[string]bool{"mubert": true, "dalle": true, "gemini": true, "nope": false} {
		c, err := b.Costs(t.Context(), bob, time.Time{}, time.Time{}, provider)
		if err != nil || c.All != (app.UsageSum{}) || len(c.Days)+len(c.Top)+len(c.Providers) > 0 || (c.Provider != nil) != want {
			t.Errorf("%s: %+v, %v", provider, c, err)
		}
	}
}

func TestPeriodsOfCostsAreBounded(t *testing.T) {
	t.Parallel()
	b := newPricing(t)
	day := func(n int) time.Time { return noon.AddDate(0, 0, -n) }
	for _, c := range []struct {
		first, last time.Time
		ok          bool
	}{
		{day(365), day(0), true}, {day(366), day(0), false}, {day(0), day(1), false}, {day(-1), time.Time{}, false}, {time.Time{}, day(400), true},
		{day(0), day(-100), true},
	} {
		_, err := b.Costs(t.Context(), ada, c.first, c.last, "")
		if (err == nil) != c.ok || !c.ok && domain.KindOf(err) != domain.Invalid {
			t.Errorf("%s to %s: %v", c.first, c.last, err)
		}
	}
}
