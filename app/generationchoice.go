package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gaia/domain"
)

// How good an asset of the catalogue has to be.
const (
	foundQuality   = 0.8      // to be given as it is
	adaptedQuality = 0.6      // to be adapted
	foundRelevance = 0.7      // to count as what was described: stores give that to what has all of the words
	maxBase        = 20 << 20 // bytes of a file that is adapted: it is kept in memory
	foundPage      = 20
)

// generationChoice is how a wish is met: with an asset that is there, or by generators.
type generationChoice struct {
	found      *domain.Asset
	base       string // the asset that is adapted
	generators []domain.GenerationOffer
	most       domain.Money // that it can cost
}

// asks reports whether a generator is one of those that are asked.
func (c generationChoice) asks(generator string) bool {
	return slices.ContainsFunc(c.generators, func(o domain.GenerationOffer) bool { return o.Generator == generator })
}

// choose decides how a wish is met: the catalogue first, since that costs nothing, then what is there as a base, then something new.
func (g *Generations) choose(ctx context.Context, w generationWish) (generationChoice, error) {
	if w.req.AllowDatabase {
		found, err := g.find(ctx, w)
		if err != nil || found != nil {
			return generationChoice{found: found}, err
		}
	}
	candidates, base, err := g.candidates(ctx, w)
	if err != nil {
		return generationChoice{}, err
	}
	offers, most, err := g.affordable(candidates, w.req)
	if err != nil {
		return generationChoice{}, err
	}
	choice := generationChoice{generators: offers, most: most}
	for _, c := range candidates {
		if choice.asks(c.ID) && c.CanAdapt(w.req.Category, w.req.Format) {
			choice.base = base
		}
	}
	return choice, nil
}

// GenerationEstimate is what Generate would do with a request at the moment: give an asset that is there, or ask one of these generators.
type GenerationEstimate struct {
	Found      *domain.Asset            // nil: it would be made
	BaseID     string                   // the asset that would be adapted; empty: none
	Generators []domain.GenerationOffer // that may be asked, in this order
	Most       domain.Money             // that one of them costs: so much would be set aside
}

// Estimate tells what Generate would do, and does nothing. What Generate would refuse is refused, but for budgets, which others may use
// meanwhile.
func (g *Generations) Estimate(ctx context.Context, who domain.Principal, req domain.AssetRequest) (GenerationEstimate, error) {
	if err := mayBeMet(req); err != nil {
		return GenerationEstimate{}, err
	}
	choice, err := g.choose(ctx, generationWish{who: who, req: req.Normal(), started: g.Now()})
	return GenerationEstimate{Found: choice.found, BaseID: choice.base, Generators: choice.generators, Most: choice.most}, err
}

// find looks for an asset that is what was asked for. nil: there is none.
func (g *Generations) find(ctx context.Context, w generationWish) (*domain.Asset, error) {
	q := domain.AssetQuery{MinQuality: foundQuality, MaxSize: w.req.MaxBytes}
	switch w.req.Format {
	case "":
	case "jpg":
		q.Formats = []string{"jpg", "jpeg"} // as the LLM Platform had it
	default:
		q.Formats = []string{w.req.Format}
	}
	return g.lookUp(ctx, w, q, func(a domain.Asset) bool { return fits(a, w.req) })
}

// findBase looks for an asset from which generators can make what was asked for. nil: there is none. The same seed is to give the same asset,
// so nothing that is in the catalogue today may have a part in it.
func (g *Generations) findBase(ctx context.Context, w generationWish) (*domain.Asset, error) {
	if !w.req.AllowAdapted || w.req.Seed != nil {
		return nil, nil
	}
	return g.lookUp(ctx, w, domain.AssetQuery{MinQuality: adaptedQuality, MaxSize: maxBase}, func(a domain.Asset) bool {
		free := a.License == domain.LicenseCreativeCommons || a.License == domain.LicensePublicDomain
		return a.File.Key != "" && (free || a.Owner == w.who.OwnerID())
	})
}

func (g *Generations) lookUp(ctx context.Context, w generationWish, q domain.AssetQuery, good func(domain.Asset) bool) (*domain.Asset, error) {
	q.Viewer, q.Category, q.Limit = w.who.OwnerID(), w.req.Category, foundPage
	q.Text = strings.TrimSpace(w.req.Style + " " + w.req.Description) // of a long text only the beginning may count
	page, err := g.Assets.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, m := range page.Matches {
		if m.Relevance >= foundRelevance && good(m.Asset) {
			return &m.Asset, nil
		}
	}
	return nil, nil
}

// fits reports whether an asset keeps to the limits of a request that a query can't tell about. What is not known of an asset fits no limit.
func fits(a domain.Asset, r domain.AssetRequest) bool {
	if r.MaxBytes > 0 && a.File.Size == 0 {
		return false
	}
	if polygons, known := wholeFact(a.Metadata, factPolygons); r.MaxPolygons > 0 && hasPolygons(a.Category) && (!known || polygons > int64(r.MaxPolygons)) {
		return false
	}
	if platform, _ := a.Metadata[factPlatform].(string); platform != "" && r.Platform != "" && platform != r.Platform {
		return false
	}
	if r.Seed == nil {
		return true
	}
	seed, known := wholeFact(a.Metadata, factSeed)
	return known && seed == *r.Seed
}

func hasPolygons(c domain.AssetCategory) bool {
	return c == domain.AssetProp || c == domain.AssetCharacter || c == domain.AssetEnvironment || c == domain.AssetAnimation
}

// Names of facts about assets, beside those of domain.FileFacts.
const (
	factGenerator = "generator"
	factModel     = "model"
	factSeed      = "seed"
	factStyle     = "style"
	factPlatform  = "platform"
	factBase      = "base_asset_id"
	factPolygons  = "polygon_count"
)

// wholeFact reads a whole number in whichever type a store gives it.
func wholeFact(facts map[string]any, name string) (n int64, known bool) {
	switch v := facts[name].(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), v == float64(int64(v))
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	default:
		return 0, false
	}
}

// candidates are the generators that can be asked, in order, and the asset that those among them adapt that can.
func (g *Generations) candidates(ctx context.Context, w generationWish) ([]domain.Generator, string, error) {
	makers := g.Table.Makers(w.req.Category, w.req.Format)
	if len(makers) == 0 {
		return nil, "", g.noMaker(w.req)
	}
	configured := slices.DeleteFunc(slices.Clone(makers), func(c domain.Generator) bool { return g.Generators[c.ID] == nil })
	if slices.ContainsFunc(configured, func(c domain.Generator) bool { return !c.StandsIn && c.Source != domain.AssetFromOutside }) {
		configured = slices.DeleteFunc(configured, func(c domain.Generator) bool { return c.StandsIn })
	}
	var chosen []domain.Generator
	base := ""
	adapters := slices.DeleteFunc(slices.Clone(configured), func(c domain.Generator) bool { return !c.CanAdapt(w.req.Category, w.req.Format) })
	if len(adapters) > 0 {
		found, err := g.findBase(ctx, w)
		if err != nil {
			return nil, "", err
		}
		if found != nil {
			chosen, base = adapters, found.ID
		}
	}
	for _, c := range configured {
		collection := c.Source == domain.AssetFromOutside // what it has was there before
		allowed := !collection && w.req.AllowMade || collection && w.req.AllowDatabase
		if allowed && !slices.ContainsFunc(chosen, func(other domain.Generator) bool { return other.ID == c.ID }) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, "", g.noCandidate(w.req, makers)
	}
	return chosen, base, nil
}

// noMaker says that nobody makes such files.
func (g *Generations) noMaker(r domain.AssetRequest) error {
	if !r.AllowMade {
		return notInCatalogue()
	}
	var formats []string
	for _, m := range g.Table.Makers(r.Category, "") {
		formats = append(formats, m.Formats[r.Category]...)
	}
	slices.Sort(formats)
	formats = slices.Compact(formats)
	if len(formats) == 0 {
		return domain.MissingPart(fmt.Sprintf("No generator makes a %s", r.Category), nil)
	}
	return domain.InvalidInput(domain.Fault{
		Type: "value_error", Loc: []any{"body", "requirements", "format"}, Input: r.Format,
		Msg: fmt.Sprintf("Value error, a %s can be made as %s", r.Category, strings.Join(formats, ", ")),
	})
}

// noCandidate says why nobody can be asked.
func (g *Generations) noCandidate(r domain.AssetRequest, makers []domain.Generator) error {
	if !r.AllowMade {
		return notInCatalogue()
	}
	var settings []string
	for _, m := range makers {
		if g.Generators[m.ID] == nil && (m.Source != domain.AssetFromOutside || r.AllowDatabase) {
			settings = append(settings, m.Setting)
		}
	}
	if len(settings) == 0 { // a collection alone is there, and was not allowed
		return notInCatalogue()
	}
	return domain.MissingPart(fmt.Sprintf("No generator for %s is configured; set %s", r.Category, strings.Join(settings, " or ")), nil)
}

func notInCatalogue() error {
	return domain.NewError(domain.NotFound, "The catalogue has no such asset, and nothing else is allowed that could make one")
}

// affordable leaves those generators that cost no more than is allowed, and returns the most that one of them costs.
func (g *Generations) affordable(candidates []domain.Generator, r domain.AssetRequest) (left []domain.GenerationOffer, most domain.Money, err error) {
	limit := min(r.MaxCost, g.Config.MaxCost)
	least := domain.Money(-1)
	for _, c := range candidates {
		offer, err := g.quoted(c, r)
		if err != nil {
			return nil, 0, fmt.Errorf("generate: price of %s: %w", c.ID, err)
		}
		price := offer.Cost()
		if price > limit {
			if least < 0 || price < least {
				least = price
			}
			continue
		}
		left, most = append(left, offer), max(most, price)
	}
	if len(left) == 0 {
		return nil, 0, &domain.Error{Kind: domain.PaymentRequired, Code: domain.CodeQuota, Message: fmt.Sprintf(
			"Making this asset costs $%s or more; the request allows $%s, and this server $%s for one asset", dollars(least), dollars(r.MaxCost), dollars(g.Config.MaxCost))}
	}
	return left, most, nil
}

// dollars writes an amount as people do, with as many decimals as it has, and two at least.
func dollars(m domain.Money) string {
	text := strings.TrimRight(fmt.Sprintf("%.6f", m.Dollars()), "0")
	for len(text)-strings.IndexByte(text, '.') <= 2 {
		text += "0"
	}
	return text
}

// quoted is what all stages of a generator cost by the prices in force.
func (g *Generations) quoted(c domain.Generator, r domain.AssetRequest) (domain.GenerationOffer, error) {
	prices := g.Prices()
	offer := domain.GenerationOffer{Generator: c.ID, Prices: prices.Version()}
	for _, stage := range g.stages(c, r) {
		quote, err := prices.Quote(prices.QueryForStage(c, r, stage))
		if err != nil {
			return offer, err
		}
		offer.Stages = append(offer.Stages, domain.StageOffer{Stage: stage, Cost: quote.Total, Credits: quote.Credits})
	}
	return offer, nil
}

// stages names the stages of a generator that is configured.
func (g *Generations) stages(c domain.Generator, r domain.AssetRequest) []string {
	return g.Generators[c.ID].Stages(domain.GenerationOrder{Request: ordered(c, r), Model: c.Model})
}

// ordered is a request as a generator gets it: with the format in which that is best.
func ordered(c domain.Generator, r domain.AssetRequest) domain.AssetRequest {
	if formats := c.Formats[r.Category]; r.Format == "" && len(formats) > 0 {
		r.Format = formats[0]
	}
	return r
}
