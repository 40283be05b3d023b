package domain_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"gaia/domain"
)

func TestQuotesAreThoseOfTheOldPlatform(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	usd := domain.FromDollars
	cases := map[string]struct {
		q    domain.PriceQuery
		want domain.Quote
	}{
		"tier": {
			domain.PriceQuery{Provider: "dalle", Operation: "image_generation", Quality: "hd", Quantity: 4},
			domain.Quote{Model: domain.PricedByTier, Unit: usd(0.08), Total: usd(0.32), Fee: usd(5)},
		},
		"tier, low": {
			domain.PriceQuery{Provider: "dalle", Quality: "low", Quantity: 1},
			domain.Quote{Model: domain.PricedByTier, Unit: usd(0.04), Total: usd(0.04), Fee: usd(5)},
		},
		"tier, any better quality": {
			domain.PriceQuery{Provider: "dalle", Quality: "ultra", Quantity: 1},
			domain.Quote{Model: domain.PricedByTier, Unit: usd(0.08), Total: usd(0.08), Fee: usd(5)},
		},
		"tier, model": {
			domain.PriceQuery{Provider: "dalle", Operation: "gpt-image-1", Quality: "ultra", Quantity: 2},
			domain.Quote{Model: domain.PricedByTier, Unit: usd(0.167), Total: usd(0.334), Fee: usd(5)},
		},
		"credits": {
			domain.PriceQuery{Provider: "meshy", Operation: "refinement", Quantity: 2},
			domain.Quote{Model: domain.PricedByCredit, Unit: usd(0.08), Total: usd(0.16), CreditsEach: 2, Credits: 4},
		},
		"credits, half a run": {
			domain.PriceQuery{Provider: "meshy", Operation: "texture_generation", Quantity: 0.5},
			domain.Quote{Model: domain.PricedByCredit, Unit: usd(0.12), Total: usd(0.08), CreditsEach: 3, Credits: 2},
		},
		"credits, unknown operation": {
			domain.PriceQuery{Provider: "meshy", Operation: "standard", Quantity: 1},
			domain.Quote{Model: domain.PricedByCredit, Unit: usd(0.2), Total: usd(0.2), CreditsEach: 5, Credits: 5},
		},
		"credits, whole model": {
			domain.PriceQuery{Provider: "meshy", Operation: "3d_generation", Quantity: 3},
			domain.Quote{Model: domain.PricedByCredit, Unit: usd(0.28), Total: usd(0.84), CreditsEach: 7, Credits: 21},
		},
		"image": {
			domain.PriceQuery{Provider: "stability", Operation: "standard", Quality: "ultra", Quantity: 3},
			domain.Quote{Model: domain.PricedByImage, Unit: usd(0.08), Total: usd(0.24)},
		},
		"image, unknown quality": {
			domain.PriceQuery{Provider: "stability", Quality: "strange", Quantity: 1},
			domain.Quote{Model: domain.PricedByImage, Unit: usd(0.02), Total: usd(0.02)},
		},
		"image, no quality": {
			domain.PriceQuery{Provider: "stability", Quantity: 0},
			domain.Quote{Model: domain.PricedByImage, Unit: usd(0.02)},
		},
		"tokens": {
			domain.PriceQuery{Provider: "claude", Quantity: 1, Tokens: 2000},
			domain.Quote{Model: domain.PricedByToken, Unit: usd(0.0525), Total: usd(0.105), Input: usd(0.03), Output: usd(0.075)},
		},
		"tokens, thrice": {
			domain.PriceQuery{Provider: "openai_gpt", Quantity: 3, Tokens: 1000},
			domain.Quote{Model: domain.PricedByToken, Unit: usd(0.06), Total: usd(0.18), Input: usd(0.09), Output: usd(0.09)},
		},
		"seconds": {
			domain.PriceQuery{Provider: "mubert", Quality: "hd", Quantity: 30},
			domain.Quote{Model: domain.PricedBySecond, Unit: usd(0.008), Total: usd(0.24)},
		},
		"seconds, too few": {
			domain.PriceQuery{Provider: "mubert", Quantity: 2},
			domain.Quote{Model: domain.PricedBySecond, Unit: usd(0.005), Total: usd(0.05)},
		},
		"seconds, none": {domain.PriceQuery{Provider: "mubert"}, domain.Quote{Model: domain.PricedBySecond, Unit: usd(0.005)}},
		"free":          {domain.PriceQuery{Provider: "procedural", Quality: "ultra", Quantity: 9}, domain.Quote{Model: domain.PricedAsFree}},
	}
	for name, c := range cases {
		c.want.Version = prices.Version()
		if got, err := prices.Quote(c.q); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestQuotesRefuseWhatCanNotBeCounted(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	for name, c := range map[string]struct {
		q    domain.PriceQuery
		kind domain.Kind
	}{
		"unknown provider": {domain.PriceQuery{Provider: "nope", Quantity: 1}, domain.NotFound},
		"negative":         {domain.PriceQuery{Provider: "dalle", Quantity: -1}, domain.Invalid},
		"negative tokens":  {domain.PriceQuery{Provider: "claude", Quantity: 1, Tokens: -1}, domain.Invalid},
		"no number":        {domain.PriceQuery{Provider: "dalle", Quantity: math.NaN()}, domain.Invalid},
		"infinite":         {domain.PriceQuery{Provider: "dalle", Quantity: math.Inf(1)}, domain.Invalid},
		"too many images":  {domain.PriceQuery{Provider: "dalle", Quantity: 1e300}, domain.Invalid},
		"too many credits": {domain.PriceQuery{Provider: "meshy", Quantity: 1e9}, domain.Invalid},
		"too many parts":   {domain.PriceQuery{Provider: "meshy", Operation: "3d_generation", Quantity: 1e9}, domain.Invalid},
		"too many tokens":  {domain.PriceQuery{Provider: "claude", Quantity: 1e9, Tokens: 1e9}, domain.Invalid},
		"too many seconds": {domain.PriceQuery{Provider: "mubert", Quantity: math.MaxFloat64}, domain.Invalid},
	} {
		if got, err := prices.Quote(c.q); domain.KindOf(err) != c.kind || got != (domain.Quote{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	two := domain.PriceQuery{Provider: "claude", Quantity: math.NaN(), Tokens: -1}
	var e *domain.Error
	if _, err := prices.Quote(two); !asError(err, &e) || len(e.Faults) != 2 {
		t.Errorf("not every fault at once: %v", e)
	}
}

func asError(err error, e **domain.Error) bool {
	var ok bool
	*e, ok = err.(*domain.Error) //nolint:errorlint // Quote returns it as it is
	return ok
}

// Money adds up: what is bought together costs as much as the parts, and more never costs less.
func TestQuotesGrowEvenly(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers each time
	for _, p := range prices.Providers() {
		for range 200 {
			n, m := float64(random.IntN(1000)+10), float64(random.IntN(1000)+10) // above any minimum
			q := domain.PriceQuery{Provider: p.Name, Quality: "hd", Tokens: float64(random.IntN(10)) * 1000}
			total := func(quantity float64) domain.Money {
				q.Quantity = quantity
				quote, err := prices.Quote(q)
				if err != nil {
					t.Fatal(err)
				}
				return quote.Total
			}
			if total(n)+total(m) != total(n+m) {
				t.Errorf("%s: %g and %g cost %d and %d, together %d", p.Name, n, m, total(n), total(m), total(n+m))
			}
		}
	}
}

// pricedGenerator is a generator that makes everything at one provider.
func pricedGenerator(provider, operation string) domain.Generator {
	g := domain.Generator{
		Pricing: provider, Operations: map[domain.AssetCategory]string{},
		Qualities: map[domain.AssetQuality]string{
			domain.AssetLow: "low", domain.AssetMedium: "standard", domain.AssetHigh: "hd", domain.AssetUltra: "ultra",
		},
	}
	for _, c := range domain.AssetCategories() {
		g.Operations[c] = operation
	}
	return g
}

func TestStagesCostWhatTheAssetIsEstimatedAt(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	for _, c := range []struct {
		g      domain.Generator
		stages []string
	}{
		{pricedGenerator("meshy", "3d_generation"), []string{"text_to_3d", "refinement"}},
		{pricedGenerator("meshy", "text_to_3d"), []string{"text_to_3d"}},
		{pricedGenerator("dalle", "image_generation"), []string{"generate"}},
		{pricedGenerator("dalle", "gpt-image-1.5"), []string{"generate"}},
		{pricedGenerator("stability", "image_generation"), []string{"generate"}},
		{pricedGenerator("midjourney", "image_generation"), []string{"imagine", "upscale"}},
		{pricedGenerator("mubert", "audio_generation"), []string{"track"}},
		{pricedGenerator("freesound", "audio_search"), []string{"search"}},
		{pricedGenerator("procedural", "image_generation"), []string{"generate"}},
	} {
		for _, category := range domain.AssetCategories() {
			for _, quality := range []domain.AssetQuality{domain.AssetLow, domain.AssetMedium, domain.AssetHigh, domain.AssetUltra} {
				r := domain.AssetRequest{Category: category, Quality: quality, Description: "two minutes of rain"}
				var charged domain.Money
				for _, stage := range c.stages {
					quote, err := prices.Quote(prices.QueryForStage(c.g, r, stage))
					if err != nil {
						t.Fatal(err)
					}
					charged += quote.Total
				}
				if estimate, err := prices.Quote(prices.QueryFor(c.g, r)); err != nil || estimate.Total != charged {
					t.Errorf("%s %s %s: estimated %d, charged %d, %v", c.g.Pricing, category, quality, estimate.Total, charged, err)
				}
			}
		}
	}
}

func TestSoundIsPricedByItsLength(t *testing.T) {
	t.Parallel()
	prices := domain.BuiltInPrices()
	r := domain.AssetRequest{Category: domain.AssetAudio, Quality: domain.AssetHigh, Description: "rain, 40 seconds"}
	quote, err := prices.Quote(prices.QueryFor(pricedGenerator("mubert", "audio_generation"), r))
	if err != nil || quote.Total != domain.FromDollars(0.32) {
		t.Errorf("got %+v, %v", quote, err)
	}
}

// editPrices changes one value of the built-in file.
func editPrices(t *testing.T, edit func(file map[string]any, provider func(name string) map[string]any)) []byte {
	t.Helper()
	data, err := os.ReadFile("prices.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	edit(file, func(name string) map[string]any {
		for _, p := range file["providers"].([]any) {
			if p := p.(map[string]any); p["name"] == name {
				return p
			}
		}
		t.Fatalf("no provider %s", name)
		return nil
	})
	data, err = json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPricesAreChecked(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	for want, edit := range map[string]func(file object, provider func(string) object){
		"the version needs":                    func(f object, _ func(string) object) { f["version"] = "" },
		"effective is missing":                 func(f object, _ func(string) object) { delete(f, "effective") },
		`unknown field "prises"`:               func(f object, _ func(string) object) { f["prises"] = 1 },
		"dalle: missing":                       func(_ object, p func(string) object) { p("dalle")["name"] = "x" },
		"x: unknown provider":                  func(_ object, p func(string) object) { p("dalle")["name"] = "x" },
		"claude: listed twice":                 func(_ object, p func(string) object) { p("openai_gpt")["name"] = "claude" },
		`stability: model must be "per_image"`: func(_ object, p func(string) object) { p("stability")["model"] = "free" },
		"dalle: tiers belong to":               func(_ object, p func(string) object) { p("dalle")["tiers"] = []any{} },
		"claude: rates: input is missing":      func(_ object, p func(string) object) { p("claude")["rates"] = object{"output": 1} },
		"rates: hd must be 0 to":               func(_ object, p func(string) object) { p("mubert")["rates"].(object)["hd"] = -0.1 },
		"rates: standard must be 0 to 1000":    func(_ object, p func(string) object) { p("mubert")["rates"].(object)["standard"] = 1e300 },
		"finer than a billionth":               func(_ object, p func(string) object) { p("claude")["rates"].(object)["input"] = 1e-10 },
		"minimum must be 0 to":                 func(_ object, p func(string) object) { p("mubert")["minimum"] = -1 },
		"claude: operations have no rates": func(_ object, p func(string) object) {
			p("claude")["operations"] = object{"chat": object{"standard": 1}}
		},
		"operations.x: standard is missing":            func(_ object, p func(string) object) { p("dalle")["operations"] = object{"x": object{"hd": 1}} },
		"default_credits must be":                      func(_ object, p func(string) object) { p("meshy")["default_credits"] = 0 },
		"credits of text_to_3d must be 0 to":           func(_ object, p func(string) object) { p("meshy")["credits"].([]any)[0].(object)["credits"] = -5 },
		"credits of refinement are missing":            func(_ object, p func(string) object) { p("meshy")["credits"].([]any)[2].(object)["operation"] = "x" },
		"operations of credits need names":             func(_ object, p func(string) object) { p("meshy")["credits"].([]any)[2].(object)["operation"] = "" },
		"the bundle 3d_generation must consist":        func(_ object, p func(string) object) { p("meshy")["bundles"].(object)["3d_generation"] = []string{"x"} },
		"a package needs a name":                       func(_ object, p func(string) object) { p("meshy")["packages"].([]any)[0].(object)["credits"] = 0 },
		"packages, credits, orders and bundles belong": func(_ object, p func(string) object) { p("claude")["default_credits"] = 5 },
		"a tier needs a name":                          func(_ object, p func(string) object) { p("dalle")["tiers"].([]any)[0].(object)["name"] = "" },
		"monthly_fee must be":                          func(_ object, p func(string) object) { p("dalle")["tiers"].([]any)[0].(object)["monthly_fee"] = 1e9 },
		"free: capabilities":                           func(_ object, p func(string) object) { p("procedural")["capabilities"] = []string{} },
	} {
		table, err := domain.ParsePrices(editPrices(t, edit))
		if want := strings.TrimPrefix(want, "free: "); err == nil || !strings.Contains(err.Error(), want) || table != nil {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestEveryFaultOfPricesIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := domain.ParsePrices(editPrices(t, func(file map[string]any, provider func(string) map[string]any) {
		file["version"] = ""
		provider("claude")["rates"] = map[string]any{"input": -1}
		provider("stability")["name"] = "stabilty"
	}))
	for _, want := range []string{"version", "claude: rates: input must", "claude: rates: output is missing", "stabilty: unknown", "stability: missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestPricesAreOneJSONValue(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "{", "[]", `"x"`, fmt.Sprintf("%s {}", editPrices(t, func(map[string]any, func(string) map[string]any) {}))} {
		if table, err := domain.ParsePrices([]byte(data)); err == nil || table != nil {
			t.Errorf("%.20q is taken", data)
		}
	}
}

// The highest rate and the largest quantities that the contract lets pass must not be more than Money holds.
func TestTheDearestPricesCanBeCounted(t *testing.T) {
	t.Parallel()
	table, err := domain.ParsePrices(editPrices(t, func(_ map[string]any, provider func(string) map[string]any) {
		for _, name := range []string{"stability", "mubert"} {
			for rate := range provider(name)["rates"].(map[string]any) {
				provider(name)["rates"].(map[string]any)[rate] = 1000
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stability", "mubert"} {
		quote, err := table.Quote(domain.PriceQuery{Provider: name, Quality: "hd", Quantity: 1_000_000})
		if err != nil || quote.Total != domain.FromDollars(1e9) {
			t.Errorf("%s: %+v, %v", name, quote, err)
		}
	}
}
