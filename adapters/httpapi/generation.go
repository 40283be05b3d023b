package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// assetsPath is where assets are.
const assetsPath = "/api/v1/assets/"

// defaultAssetWait is how long an answer may be held back where a request says nothing, in milliseconds.
const defaultAssetWait = 5000

// V1GenerateAsset gets an asset that fits a description.
func (s *server) V1GenerateAsset(ctx context.Context, r oapi.V1GenerateAssetRequestObject) (oapi.V1GenerateAssetResponseObject, error) {
	result, err := s.generations.Generate(ctx, principalFrom(ctx), deref(r.Params.IdempotencyKey), assetRequestFromAPI(*r.Body), requestIDFrom(ctx))
	if err != nil {
		return nil, err
	}
	if result.Asset == nil {
		id := result.Generation.ID
		return oapi.V1GenerateAsset202JSONResponse{
			Body:    oapi.AssetPending{AssetId: id, Status: oapi.AssetPendingStatus(result.Generation.Status)},
			Headers: oapi.V1GenerateAsset202ResponseHeaders{Location: assetsPath + id},
		}, nil
	}
	a := *result.Asset
	data, err := s.assetDataToAPI(ctx, a)
	if err != nil {
		return nil, err
	}
	return oapi.V1GenerateAsset200JSONResponse{
		AssetId: a.ID, Status: oapi.GeneratedAssetStatusCompleted, Source: oapi.AssetSource(result.Generation.Source),
		Cost: result.Generation.Cost.Dollars(), ResponseTimeMs: int(result.Waited.Milliseconds()), AssetData: data,
		StorageInfo: s.storageInfoToAPI(a), Metadata: attributesToAPI(a.Metadata), CostBreakdown: costBreakdownToAPI(result.Generation.Source, result.Generation.Cost),
	}, nil
}

func assetRequestFromAPI(b oapi.AssetRequest) domain.AssetRequest {
	r := domain.AssetRequest{
		Category: domain.AssetCategory(b.Category), Style: b.Style, Description: b.Description, Quality: domain.DefaultAssetQuality,
		SessionID: deref(b.SessionId), Seed: b.Seed,
	}
	if q := b.Requirements; q != nil {
		r.Platform, r.MaxPolygons, r.Format = q.Platform, deref(q.PolygonCountMax), deref(q.Format)
		r.Quality = domain.AssetQuality(valueOr(q.Quality, oapi.AssetQuality(domain.DefaultAssetQuality)))
		r.MaxBytes = int64(deref(q.FileSizeMaxMb)) << 20
	}
	p := b.Preferences
	if p == nil {
		p = &oapi.AssetPreferences{}
	}
	r.AllowDatabase, r.AllowAdapted, r.AllowMade = valueOr(p.AllowDatabase, true), valueOr(p.AllowModifications, true), valueOr(p.AllowGeneration, true)
	r.MaxCost = domain.FromDollars(valueOr(p.MaxCost, domain.DefaultAssetCost))
	r.MaxWait = time.Duration(valueOr(p.MaxWaitTimeMs, defaultAssetWait)) * time.Millisecond
	return r
}

// costBreakdownToAPI says for what money was spent.
func costBreakdownToAPI(source domain.AssetSource, cost domain.Money) *oapi.CostBreakdown {
	b := oapi.CostBreakdown{TotalCost: cost.Dollars()}
	if source == domain.AssetFromHybrid {
		b.ModificationCost = b.TotalCost
	} else {
		b.GenerationCost = b.TotalCost
	}
	return &b
}

// V1GetAsset shows an asset, or how far its making is.
func (s *server) V1GetAsset(ctx context.Context, r oapi.V1GetAssetRequestObject) (oapi.V1GetAssetResponseObject, error) {
	result, err := s.generations.Get(ctx, principalFrom(ctx), r.AssetId)
	if err != nil {
		return nil, err
	}
	detail, err := s.assetDetailToAPI(ctx, result)
	return oapi.V1GetAsset200JSONResponse(detail), err
}

// V1CancelAsset stops the making of an asset.
func (s *server) V1CancelAsset(ctx context.Context, r oapi.V1CancelAssetRequestObject) (oapi.V1CancelAssetResponseObject, error) {
	result, err := s.generations.Cancel(ctx, principalFrom(ctx), r.AssetId)
	if err != nil {
		return nil, err
	}
	detail, err := s.assetDetailToAPI(ctx, result)
	return oapi.V1CancelAsset200JSONResponse(detail), err
}

func (s *server) assetDetailToAPI(ctx context.Context, r app.GenerationResult) (oapi.AssetDetail, error) {
	if r.Asset == nil {
		return s.workToAPI(r.Generation), nil
	}
	a := *r.Asset
	data, err := s.assetDataToAPI(ctx, a)
	if err != nil {
		return oapi.AssetDetail{}, err
	}
	detail := oapi.AssetDetail{
		AssetId: a.ID, Status: oapi.AssetStatusCompleted, Progress: 100, Category: oapi.AssetCategory(a.Category), Title: a.Title,
		Description: a.Description, StyleTags: styleTagsToAPI(a.StyleTags), Source: oapi.AssetSource(a.Source), Cost: a.Cost.Dollars(),
		ResponseTimeMs: int(a.ResponseTime.Milliseconds()), AssetData: &data, StorageInfo: s.storageInfoToAPI(a),
		Metadata: attributesToAPI(a.Metadata), CreatedAt: timestamp(a.CreatedAt), UpdatedAt: timestamp(a.UpdatedAt),
	}
	if a.GenerationID != "" { // of others nobody has recorded it
		detail.CostBreakdown = costBreakdownToAPI(a.Source, a.Cost)
	}
	return detail, nil
}

// workToAPI shows an asset that is not there, and perhaps never will be.
func (s *server) workToAPI(g domain.Generation) oapi.AssetDetail {
	source := cmp.Or(g.Source, domain.AssetFromGenerator)
	if g.BaseID != "" {
		source = domain.AssetFromHybrid
	}
	detail := oapi.AssetDetail{
		AssetId: g.ID, Status: oapi.AssetStatus(g.Status), Progress: g.Progress, Category: oapi.AssetCategory(g.Request.Category),
		Title: g.Request.Title(), Description: g.Request.Description, StyleTags: styleTagsToAPI(g.Request.Tags()), Source: oapi.AssetSource(source), Cost: g.Cost.Dollars(),
		ResponseTimeMs: int(g.Took(s.now()).Milliseconds()), StorageInfo: oapi.StorageInfo{StorageType: oapi.AssetStorageTypeGenerated},
		Metadata: oapi.AssetAttributes{}, CostBreakdown: costBreakdownToAPI(source, g.Cost), CreatedAt: timestamp(g.CreatedAt),
		UpdatedAt: timestamp(g.UpdatedAt),
	}
	if g.Message != "" {
		detail.Metadata["message"] = g.Message
	}
	if n := len(g.Attempts); n > 0 {
		detail.Metadata["generator"], detail.Metadata["stage"] = g.Attempts[n-1].Generator, g.Attempts[n-1].Stage
	}
	if g.Status == domain.GenerationFailed {
		detail.Error = new(cmp.Or(g.Error, "The asset could not be made"))
		detail.Metadata["reason"] = g.ErrorCode
	}
	return detail
}

// V1StreamAssetEvents streams what happens while an asset is made. The number of an event is its id.
func (s *server) V1StreamAssetEvents(ctx context.Context, r oapi.V1StreamAssetEventsRequestObject) (oapi.V1StreamAssetEventsResponseObject, error) {
	after, err := lastEventFromAPI(r.Params.LastEventID)
	if err != nil {
		return nil, err
	}
	who := principalFrom(ctx)
	if _, err := s.generations.Get(ctx, who, r.AssetId); err != nil { // later it could not be told any more
		return nil, err
	}
	feed := s.eventFeed(ctx)
	feed.listen = func(ctx context.Context, hear func(number int, event any) error) error {
		return s.generations.Follow(ctx, who, r.AssetId, after, func(e domain.GenerationEvent) error {
			return hear(e.Sequence, assetEventToAPI(r.AssetId, e))
		})
	}
	return &assetStream{feed}, nil
}

// assetStream is the events of an asset. Visit may not return an error: after the first byte the generated code could only print it into the
// stream.
type assetStream struct{ feed eventFeed }

// VisitV1StreamAssetEventsResponse writes events until the work on the asset has ended or the client leaves.
func (r *assetStream) VisitV1StreamAssetEventsResponse(w http.ResponseWriter) error {
	r.feed.write(w)
	return nil
}

func assetEventToAPI(id string, e domain.GenerationEvent) oapi.AssetEvent {
	out := oapi.AssetEvent{
		Type: oapi.AssetEventType(e.Type), AssetId: id, Status: oapi.AssetStatus(e.Status), Progress: e.Progress, Message: e.Message,
		Timestamp: timestamp(e.At), Details: oapi.EventDetails(e.Details),
	}
	if out.Details == nil {
		out.Details = oapi.EventDetails{}
	}
	return out
}
