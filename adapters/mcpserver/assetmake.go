package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/app"
	"gaia/domain"
)

const (
	// usualAssetWait is how long a client waits that says nothing: most clients give a call up after a minute, and that would end the work.
	usualAssetWait = 45 * time.Second
	// giveUpTimeout bounds how long it takes to end work whose client has given it up.
	giveUpTimeout = 5 * time.Second
	// metaAssetID names, in notices of progress, the asset that is being made, for clients that give up before they have the answer.
	metaAssetID = "gaia/assetId"
)

// assetWish is what a client wants. What it does not say, the schema does.
type assetWish struct {
	Category      string  `json:"category"`
	Style         string  `json:"style"`
	Description   string  `json:"description"`
	Platform      string  `json:"platform"`
	Quality       string  `json:"quality"`
	MaxPolygons   int     `json:"polygon_count_max"`
	MaxMegabytes  int64   `json:"file_size_max_mb"`
	Format        string  `json:"format"`
	Seed          *int64  `json:"seed"`
	AllowDatabase bool    `json:"allow_database"`
	AllowAdapted  bool    `json:"allow_modifications"`
	AllowMade     bool    `json:"allow_generation"`
	MaxCost       float64 `json:"max_cost"`
}

type assetOrder struct {
	assetWish
	Key     string `json:"idempotency_key"`
	Seconds *int   `json:"timeout_seconds"`
}

type assetWait struct {
	ID      string `json:"asset_id"`
	Seconds int    `json:"timeout_seconds"`
}

type assetEstimate struct {
	Found      *assetSummary `json:"found,omitempty" jsonschema:"the asset of the catalogue that would be given, for nothing"`
	Adapts     string        `json:"adapts,omitempty" jsonschema:"the asset that would be adapted"`
	Generators []assetOffer  `json:"generators" jsonschema:"who would be asked, in this order, until one makes it"`
	Most       float64       `json:"cost_usd" jsonschema:"the most that it would cost"`
}

type assetOffer struct {
	Generator string  `json:"generator"`
	Cost      float64 `json:"cost_usd"`
}

// wishProperties are what the contract has in AssetRequest, without its levels.
func wishProperties() string {
	return `"category": {"type": "string", "enum": ` + words(domain.AssetCategories()) + `},
		"style": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Such as fantasy, low_poly, realistic, or several with commas between."},
		"description": {"type": "string", "minLength": 1, "maxLength": 4000, "description": "What it is to be, in plain words."},
		"platform": {"type": "string", "minLength": 1, "maxLength": 64, "description": "For what it is: mobile_vr, desktop_vr, ar."},
		"quality": {"type": "string", "enum": ` + words(domain.AssetQualities()) + `, "default": "` + string(domain.DefaultAssetQuality) + `"},
		"polygon_count_max": {"type": "integer", "minimum": 1, "maximum": 100000000},
		"file_size_max_mb": {"type": "integer", "minimum": 1, "maximum": 10000},
		"format": {"type": "string", "minLength": 1, "maxLength": 16, "description": "Of the file: png, wav, glb."},
		"seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "description": "The same seed and description give the same asset where the generator allows it."},
		"allow_database": {"type": "boolean", "default": true, "description": "It may come from the catalogue as it is."},
		"allow_modifications": {"type": "boolean", "default": true, "description": "One of the catalogue may be adapted."},
		"allow_generation": {"type": "boolean", "default": true, "description": "A new one may be made."},
		"max_cost": {"type": "number", "minimum": 0, "maximum": 10000, "default": ` + fmt.Sprint(domain.DefaultAssetCost) + `, "description": "In US dollars; what costs more is refused."}`
}

func (s *Server) addAssetMakingTools() {
	const begin = `{"type": "object", "required": ["category", "style", "description"], "additionalProperties": false, "properties": {`
	addTool(s, tool[assetOrder, assetDetails]{
		name: "generate_asset", title: "Get an asset made", scope: "assets:write", changes: true, outside: true,
		description: "Gets a picture, texture, sound or 3D model that fits a description: found in the catalogue, adapted, or made. What is not ready in " +
			"time is shown as it is then; wait_for_asset and get_asset tell what comes of it. Who gives this call up ends the work, unless it has an " +
			"idempotency_key: the same call can then be made again, and gets the same asset.",
		input: begin + wishProperties() + `,
			"idempotency_key": {"type": "string", "maxLength": 255, "description": "The same key gets the same asset, and pays for it only once."},
			"timeout_seconds": {"type": "integer", "minimum": 0, "maximum": 3600, "description": "How long to wait for it; 45 unless something is said."}}}`,
		do: s.generateAsset, more: s.showAsset,
	})
	addTool(s, tool[assetWish, assetEstimate]{
		name: "estimate_asset_cost", title: "Estimate what an asset costs", scope: "assets:read",
		description: "Tells what generate_asset would do with the same arguments, and what that would cost at the most. Nothing is ordered.",
		input:       begin + wishProperties() + `}}`,
		do:          s.estimateAsset,
	})
	addTool(s, tool[assetWait, assetDetails]{
		name: "wait_for_asset", title: "Wait for an asset", scope: "assets:read",
		description: "Waits until an asset that is being made is there, or can't be made, and shows it. What goes on is told as progress.",
		input: `{"type": "object", "required": ["asset_id"], "additionalProperties": false, "properties": {` + assetIDSchema + `,
			"timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 600, "description": "After this it is shown as it is then."}}}`,
		do: func(ctx context.Context, c call, w assetWait) (assetDetails, error) {
			id, ok := domain.ParseID(w.ID)
			if !ok {
				return assetDetails{}, domain.AssetNotFound()
			}
			if err := s.awaitAsset(ctx, c, id, time.Duration(w.Seconds)*time.Second); err != nil {
				return assetDetails{}, err
			}
			return s.asset(ctx, c.who, id)
		},
		more: s.showAsset,
	})
	addTool(s, tool[assetRef, assetDetails]{
		name: "cancel_asset", title: "Stop the making of an asset", scope: "assets:write", input: assetRefOnly, changes: true, destroys: true,
		description: "Stops the making of one of the caller's assets. What is running at a generator then is charged all the same.",
		do: func(ctx context.Context, c call, r assetRef) (assetDetails, error) {
			result, err := s.Generations.Cancel(ctx, c.who, r.ID)
			return detailsOfWork(result.Generation), err
		},
	})
}

func (w assetWish) request() domain.AssetRequest {
	return domain.AssetRequest{
		Category: domain.AssetCategory(w.Category), Style: w.Style, Description: w.Description, Platform: w.Platform,
		Quality: domain.AssetQuality(w.Quality), MaxPolygons: w.MaxPolygons, MaxBytes: w.MaxMegabytes << 20, Format: w.Format, Seed: w.Seed,
		AllowDatabase: w.AllowDatabase, AllowAdapted: w.AllowAdapted, AllowMade: w.AllowMade, MaxCost: domain.FromDollars(w.MaxCost),
	}
}

func (s *Server) estimateAsset(ctx context.Context, c call, w assetWish) (assetEstimate, error) {
	would, err := s.Generations.Estimate(ctx, c.who, w.request())
	err = withoutLevels(err)
	e := assetEstimate{Adapts: would.BaseID, Generators: []assetOffer{}, Most: would.Most.Dollars()}
	if would.Found != nil {
		found := assetOf(*would.Found)
		e.Found = &found
	}
	for _, o := range would.Generators {
		e.Generators = append(e.Generators, assetOffer{o.Generator, o.Cost().Dollars()})
	}
	return e, err
}

// generateAsset orders an asset and waits for it. The work is told apart from the waiting, so that who waits hears of it and can end it.
func (s *Server) generateAsset(ctx context.Context, c call, o assetOrder) (assetDetails, error) {
	result, err := s.Generations.Generate(ctx, c.who, o.Key, o.request(), domain.OriginFrom(ctx).RequestID)
	if err == nil && !result.Generation.Status.Ended() {
		result, err = s.awaitOrdered(ctx, c, o, result)
	}
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return assetDetails{}, withoutLevels(err)
	}
	d, err := s.detailsOfAsset(ctx, result)
	if err != nil {
		s.logFailure(ctx, "show an asset that was ordered", err)
		return detailsOfWork(result.Generation), nil
	}
	if d.asset != nil {
		d.Source, d.Cost = string(result.Generation.Source), result.Generation.Cost.Dollars() // of this request
	}
	return d, nil
}

// withoutLevels leaves out of a refusal the levels that the contract has and tools have not.
func withoutLevels(err error) error {
	var refused *domain.Error
	if !errors.As(err, &refused) || len(refused.Faults) == 0 {
		return err
	}
	plain := *refused
	plain.Faults = slices.Clone(refused.Faults)
	for i, f := range plain.Faults {
		if len(f.Loc) > 1 && (f.Loc[1] == "requirements" || f.Loc[1] == "preferences") {
			plain.Faults[i].Loc = slices.Delete(slices.Clone(f.Loc), 1, 2)
		}
	}
	return &plain
}

// awaitOrdered waits for work. Whatever fails meanwhile, who is still there gets its id, for it is paid for, and without the id it would be
// ordered once more.
func (s *Server) awaitOrdered(ctx context.Context, c call, o assetOrder, ordered app.GenerationResult) (app.GenerationResult, error) {
	id := ordered.Generation.ID
	most := usualAssetWait
	if o.Seconds != nil {
		most = time.Duration(*o.Seconds) * time.Second
	}
	err := s.awaitAsset(ctx, c, id, most)
	if ctx.Err() != nil {
		if o.Key == "" {
			if ended := s.giveUp(ctx, c.who, id); ended.Generation.Status == domain.GenerationCompleted {
				return ended, nil
			}
		}
		return app.GenerationResult{}, context.Cause(ctx)
	}
	now := ordered
	if err == nil {
		now, err = s.Generations.Get(ctx, c.who, id)
	}
	if err != nil {
		s.logFailure(ctx, "wait for an asset", err)
		return ordered, nil
	}
	return now, nil
}

// giveUp ends work that nobody could ask for any more. Work that had ended by then is returned: it is paid for.
func (s *Server) giveUp(ctx context.Context, who domain.Principal, id string) app.GenerationResult {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTimeout)
	defer cancel()
	_, err := s.Generations.Cancel(ctx, who, id)
	var ended app.GenerationResult
	if domain.KindOf(err) == domain.Conflict {
		ended, err = s.Generations.Get(ctx, who, id)
	}
	if err != nil {
		s.logFailure(ctx, "give up an asset", err)
	}
	return ended
}

// awaitAsset returns when an asset is there or never will be, when the time is over, or when the process stops. What goes on meanwhile is
// told as progress.
func (s *Server) awaitAsset(ctx context.Context, c call, id string, most time.Duration) error {
	waiting, cancel := s.waiting(ctx, min(most, maxWait))
	defer cancel()
	told := -1
	err := s.Generations.Follow(waiting, c.who, id, 0, func(e domain.GenerationEvent) error {
		if c.progress != nil && e.Progress > told {
			told = e.Progress
			c.progress(float64(e.Progress), 100, e.Message, mcp.Meta{metaAssetID: id})
		}
		return waiting.Err()
	})
	if waiting.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}
