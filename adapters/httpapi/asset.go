package httpapi

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// V1ListAssets lists the catalogue, newest first.
func (s *server) V1ListAssets(ctx context.Context, r oapi.V1ListAssetsRequestObject) (oapi.V1ListAssetsResponseObject, error) {
	p := r.Params
	found, _, err := s.assets.Search(ctx, principalFrom(ctx), domain.AssetQuery{
		Category: domain.AssetCategory(deref(p.Category)), StyleTags: wantedTags(p.StyleTags), MinQuality: deref(p.MinQuality),
		License: domain.AssetLicense(deref(p.LicenseType)), Limit: deref(p.Limit), Offset: deref(p.Offset),
	})
	if err != nil {
		return nil, err
	}
	now := timestamp(s.now())
	return oapi.V1ListAssets200JSONResponse{Assets: matchesToAPI(found), Total: found.Total, Timestamp: &now}, nil
}

// V1SearchAssets looks for assets, best match first.
func (s *server) V1SearchAssets(ctx context.Context, r oapi.V1SearchAssetsRequestObject) (oapi.V1SearchAssetsResponseObject, error) {
	p := r.Params
	found, took, err := s.assets.Search(ctx, principalFrom(ctx), domain.AssetQuery{
		Text: p.Query, Category: domain.AssetCategory(deref(p.Category)), StyleTags: wantedTags(p.StyleTags), MinQuality: deref(p.MinQuality),
		License: domain.AssetLicense(deref(p.LicenseType)), Limit: deref(p.Limit), Offset: deref(p.Offset),
	})
	if err != nil {
		return nil, err
	}
	return oapi.V1SearchAssets200JSONResponse{
		Assets: matchesToAPI(found), TotalCount: found.Total, QueryTimeMs: int(took.Milliseconds()),
		SearchStrategy: oapi.AssetSearchStrategyDatabase,
	}, nil
}

// wantedTags reads the tags of a query. One that no asset can have finds nothing, which is right.
func wantedTags(text *string) []string {
	var tags []string
	for tag := range strings.SplitSeq(deref(text), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// V1DeleteAsset removes an asset with its files.
func (s *server) V1DeleteAsset(ctx context.Context, r oapi.V1DeleteAssetRequestObject) (oapi.V1DeleteAssetResponseObject, error) {
	if err := s.assets.Delete(ctx, principalFrom(ctx), r.AssetId); err != nil {
		return nil, err
	}
	return oapi.V1DeleteAsset200JSONResponse{Id: r.AssetId, Deleted: true}, nil
}

func matchesToAPI(page domain.AssetPage) []oapi.AssetMetadata {
	list := make([]oapi.AssetMetadata, len(page.Matches))
	for i, m := range page.Matches {
		list[i] = assetToAPI(m.Asset)
	}
	return list
}

// assetToAPI is an entry of the catalogue.
func assetToAPI(a domain.Asset) oapi.AssetMetadata {
	return oapi.AssetMetadata{
		Id: a.ID, AssetId: a.ID, Category: oapi.AssetCategory(a.Category), Title: a.Title, Description: a.Description,
		StyleTags: styleTagsToAPI(a.StyleTags), QualityScore: a.Quality, DownloadCount: int(a.Downloads), LicenseType: licenseToAPI(a.License),
		AttributionRequired: a.AttributionRequired, CreatedAt: timestamp(a.CreatedAt), UpdatedAt: timestamp(a.UpdatedAt),
		Metadata: attributesToAPI(a.Metadata),
	}
}

// styleTagsToAPI leaves out tags that the LLM Platform stored and that are none.
func styleTagsToAPI(tags []string) []string {
	return slices.DeleteFunc(append([]string{}, tags...), func(tag string) bool { return tag == "" })
}

func licenseToAPI(l domain.AssetLicense) oapi.AssetLicense {
	return oapi.AssetLicense(cmp.Or(l, domain.LicenseCustom))
}

func attributesToAPI(facts map[string]any) oapi.AssetAttributes {
	if facts == nil {
		return oapi.AssetAttributes{}
	}
	return facts
}

// assetDataToAPI is what a client needs to get a finished asset.
func (s *server) assetDataToAPI(ctx context.Context, a domain.Asset) (oapi.AssetData, error) {
	file, err := s.assetLink(ctx, a, domain.AssetMain)
	if err != nil {
		return oapi.AssetData{}, err
	}
	preview, err := s.assetLink(ctx, a, domain.AssetPreview)
	if err != nil {
		return oapi.AssetData{}, err
	}
	return oapi.AssetData{
		DownloadUrl: file, PreviewImageUrl: preview, FileFormat: cmp.Or(a.File.Format, "unknown"), FileSizeMb: float64(a.File.Size) / (1 << 20),
		QualityScore: a.Quality, LicenseType: licenseToAPI(a.License), AttributionRequired: a.AttributionRequired,
	}, nil
}

// assetLink is an absolute link to a file of an asset; empty when there is none.
func (s *server) assetLink(ctx context.Context, a domain.Asset, variant domain.AssetVariant) (string, error) {
	link, err := s.assets.Link(ctx, a, variant)
	if strings.HasPrefix(link, "/") {
		link = requestFrom(ctx).base + link
	}
	return link, err
}

// storageInfoToAPI says where the file of an asset lies.
func (s *server) storageInfoToAPI(a domain.Asset) oapi.StorageInfo {
	info := oapi.StorageInfo{StorageType: oapi.AssetStorageType(a.StorageType()), ExternalSource: nilIfEmpty(a.SourceName)}
	if a.File.Key != "" {
		info.BucketName, info.FilePath = nilIfEmpty(s.assetBucket), &a.File.Key
	} else {
		info.FilePath = nilIfEmpty(a.URL)
	}
	return info
}

// V1DownloadAsset sends a file of an asset.
func (s *server) V1DownloadAsset(ctx context.Context, r oapi.V1DownloadAssetRequestObject) (oapi.V1DownloadAssetResponseObject, error) {
	variant := cmp.Or(domain.AssetVariant(deref(r.Params.Variant)), domain.AssetMain)
	var file *app.AssetFile
	var err error
	if r.Params.Signature != nil {
		file, err = s.assets.OpenLink(ctx, app.AssetLink{
			AssetID: r.AssetId, Variant: variant, Expires: deref(r.Params.Expires), Signature: *r.Params.Signature,
		})
	} else {
		file, err = s.assets.Open(ctx, principalFrom(ctx), r.AssetId, variant)
	}
	if err != nil {
		return nil, err
	}
	return &assetDownload{request: requestFrom(ctx).request, file: file, inline: variant == domain.AssetPreview, log: s.log}, nil
}
