package domain

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

// pricedProviders are the providers that a table of prices must have, and how each charges: clients know them by that.
var pricedProviders = map[string]PricingModel{
	PricedDalle: PricedByTier, PricedMeshy: PricedByCredit, "stability": PricedByImage, "openai_gpt": PricedByToken, "claude": PricedByToken,
	"midjourney": PricedByImage, "mubert": PricedBySecond, "freesound": PricedAsFree, "procedural": PricedAsFree,
}

// requiredRates are those without which a model can't be priced.
var requiredRates = map[PricingModel][]string{
	PricedByTier:   {},
	PricedByCredit: {RateCredit},
	PricedByImage:  {QualityStandard, QualityHD, QualityUltra},
	PricedByToken:  {RateInput, RateOutput},
	PricedBySecond: {QualityStandard, QualityHD},
	PricedAsFree:   {},
}

// Limits of what a table may say. A million units of the highest rate are still less than Money holds.
const (
	maxRate    = 1_000     // US dollars
	maxFee     = 1_000_000 // US dollars
	maxCredits = 1_000_000
	maxVersion = 64 // characters, as many as the ledger keeps
)

//go:embed prices.json
var builtInPrices []byte

// BuiltInPrices is the table that comes with Gaia.
func BuiltInPrices() *PriceTable {
	t, err := ParsePrices(builtInPrices)
	if err != nil {
		panic("domain: prices.json: " + err.Error()) // embedded, and a test parses it
	}
	return t
}

// The file of prices. Amounts are US dollars.
type (
	priceFile struct {
		Version   string         `json:"version"`
		Effective time.Time      `json:"effective"`
		Providers []providerFile `json:"providers"`
	}
	providerFile struct {
		Name           string                        `json:"name"`
		Model          PricingModel                  `json:"model"`
		Listed         bool                          `json:"listed"`
		Capabilities   []string                      `json:"capabilities"`
		Serves         []string                      `json:"serves"`
		Tiers          []tierFile                    `json:"tiers"`
		Packages       []packageFile                 `json:"packages"`
		Credits        []creditsFile                 `json:"credits"`
		Orders         []creditsFile                 `json:"orders"`
		DefaultCredits int                           `json:"default_credits"`
		Bundles        map[string][]string           `json:"bundles"`
		Rates          map[string]float64            `json:"rates"`
		Operations     map[string]map[string]float64 `json:"operations"`
		Minimum        float64                       `json:"minimum"`
	}
	tierFile struct {
		Name            string             `json:"name"`
		MonthlyFee      float64            `json:"monthly_fee"`
		ImagesPerMinute int                `json:"images_per_minute"`
		MonthlyLimit    int                `json:"monthly_limit"`
		Rates           map[string]float64 `json:"rates"`
	}
	packageFile struct {
		Name    string  `json:"name"`
		Credits int     `json:"credits"`
		Cost    float64 `json:"cost"`
	}
	creditsFile struct {
		Operation string  `json:"operation"`
		Credits   int     `json:"credits"`
		Credit    float64 `json:"credit"`
	}
)

// ParsePrices reads a table of prices, and reports every fault of it at once. It must have all providers, each with its pricing model.
func ParsePrices(data []byte) (*PriceTable, error) {
	var file priceFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("parse prices: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse prices: more than one JSON value")
	}
	var c priceCheck
	t := &PriceTable{version: file.Version, effective: file.Effective.UTC()}
	c.require(len(file.Version) > 0 && len(file.Version) <= maxVersion, "the version needs 1 to %d characters", maxVersion)
	c.require(!file.Effective.IsZero(), "effective is missing")
	seen := map[string]bool{}
	for _, p := range file.Providers {
		c.where = p.Name
		model, known := pricedProviders[p.Name]
		c.require(known, "unknown provider")
		c.require(!seen[p.Name], "listed twice")
		c.require(!known || p.Model == model, "model must be %q", model)
		seen[p.Name] = true
		t.providers = append(t.providers, c.provider(p))
	}
	for _, name := range slices.Sorted(maps.Keys(pricedProviders)) {
		c.where = name
		c.require(seen[name], "missing")
	}
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	return t, nil
}

// priceCheck collects what is wrong.
type priceCheck struct {
	where  string // provider
	faults []error
}

func (c *priceCheck) require(ok bool, format string, args ...any) {
	if ok {
		return
	}
	text := fmt.Sprintf(format, args...)
	if c.where != "" {
		text = c.where + ": " + text
	}
	c.faults = append(c.faults, errors.New(text))
}

func (c *priceCheck) provider(f providerFile) PricedProvider {
	p := PricedProvider{
		Name: f.Name, Model: f.Model, Listed: f.Listed, Capabilities: f.Capabilities, Serves: f.Serves, Bundles: f.Bundles,
		DefaultCredits: f.DefaultCredits, Minimum: c.amount("minimum", f.Minimum, maxRate),
		Rates: c.rates("rates", f.Rates, requiredRates[f.Model]...),
	}
	c.require(len(f.Capabilities) > 0, "capabilities are missing")
	c.require(len(f.Tiers) > 0 == (f.Model == PricedByTier), "tiers belong to tier_based, which needs one")
	for _, tier := range f.Tiers {
		c.require(tier.Name != "" && tier.ImagesPerMinute >= 0 && tier.MonthlyLimit >= 0, "a tier needs a name and limits that are not negative")
		p.Tiers = append(p.Tiers, PriceTier{
			Name: tier.Name, MonthlyFee: c.amount("monthly_fee", tier.MonthlyFee, maxFee), ImagesPerMinute: tier.ImagesPerMinute,
			MonthlyLimit: tier.MonthlyLimit, Rates: c.rates("rates of "+tier.Name, tier.Rates, QualityStandard, QualityHD),
		})
	}
	c.credits(f, &p)
	for operation, rates := range f.Operations {
		if p.Operations == nil {
			p.Operations = map[string]Rates{}
		}
		c.require(f.Model != PricedByToken && f.Model != PricedByCredit && f.Model != PricedAsFree, "operations have no rates of their own here")
		p.Operations[operation] = c.rates("operations."+operation, rates, QualityStandard)
	}
	return p
}

// credits checks what only providers have that are paid in credits.
func (c *priceCheck) credits(f providerFile, p *PricedProvider) {
	if f.Model != PricedByCredit {
		c.require(len(f.Packages)+len(f.Credits)+len(f.Orders)+len(f.Bundles)+f.DefaultCredits == 0, "packages, credits, orders and bundles belong to credit_based")
		return
	}
	c.require(f.DefaultCredits > 0 && f.DefaultCredits <= maxCredits, "default_credits must be 1 to %d", maxCredits)
	for _, pack := range f.Packages {
		c.require(pack.Name != "" && pack.Credits > 0 && pack.Credits <= maxCredits, "a package needs a name and 1 to %d credits", maxCredits)
		p.Packages = append(p.Packages, CreditPackage{Name: pack.Name, Credits: pack.Credits, Cost: c.amount("cost", pack.Cost, maxFee)})
	}
	operations := map[string]bool{}
	read := func(list []creditsFile) (out []OperationCredits) {
		for _, o := range list {
			c.require(o.Operation != "" && !operations[o.Operation], "operations of credits need names, each once")
			c.require(o.Credits >= 0 && o.Credits <= maxCredits, "credits of %s must be 0 to %d", o.Operation, maxCredits)
			operations[o.Operation] = true
			out = append(out, OperationCredits{o.Operation, o.Credits, c.amount("credit of "+o.Operation, o.Credit, maxRate)})
		}
		return out
	}
	p.Credits = read(f.Credits)
	for _, name := range []string{OperationTextTo3D, OperationTexture, OperationRefinement} { // the contract shows them by name
		c.require(operations[name], "credits of %s are missing", name)
	}
	p.Orders = read(f.Orders)
	for name, parts := range f.Bundles {
		c.require(!operations[name] && len(parts) > 0 && !slices.ContainsFunc(parts, func(part string) bool { return !operations[part] }),
			"the bundle %s must consist of operations of credits, and be none itself", name)
	}
}

func (c *priceCheck) rates(what string, dollars map[string]float64, required ...string) Rates {
	for _, name := range required {
		_, ok := dollars[name]
		c.require(ok, "%s: %s is missing", what, name)
	}
	rates := Rates{}
	for _, name := range slices.Sorted(maps.Keys(dollars)) {
		rates[name] = c.amount(what+": "+name, dollars[name], maxRate)
	}
	return rates
}

// amount refuses what Money can't hold as it stands.
func (c *priceCheck) amount(what string, dollars, most float64) Money {
	m := FromDollars(dollars)
	c.require(dollars >= 0 && dollars <= most, "%s must be 0 to %g dollars", what, most)
	c.require(math.Abs(m.Dollars()-dollars) <= dollars*1e-12, "%s is finer than a billionth of a dollar", what)
	return m
}
