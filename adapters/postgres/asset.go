package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/postgres/internal/sqlcgen"
	"gaia/domain"
)

// AssetStore keeps the catalogue of assets.
type AssetStore struct{ db *Store }

// Assets returns the catalogue of assets.
func (s *Store) Assets() *AssetStore { return &AssetStore{db: s} }

// Get implements ports.AssetStore.
func (s *AssetStore) Get(ctx context.Context, viewer, id string) (domain.Asset, error) {
	key, err := parseID(id)
	if err != nil {
		return domain.Asset{}, domain.AssetNotFound()
	}
	list, err := s.load(ctx, "get asset", viewer, []uuid.UUID{key})
	if err == nil && list[key].ID == "" {
		err = domain.AssetNotFound()
	}
	return list[key], err
}

// load returns those of the assets that are there for a viewer.
func (s *AssetStore) load(ctx context.Context, op, viewer string, ids []uuid.UUID) (map[uuid.UUID]domain.Asset, error) {
	var rows []sqlcgen.GetAssetsRow
	err := s.db.read(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.GetAssets(ctx, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]domain.Asset, len(rows))
	for _, row := range rows {
		if a := assetFromRow(row); a.VisibleTo(viewer) {
			found[row.ID] = a
		}
	}
	return found, nil
}

// Add implements ports.AssetStore.
func (s *AssetStore) Add(ctx context.Context, a domain.Asset, events ...domain.Event) error {
	return s.db.write(ctx, "add asset", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := insertAsset(ctx, q, a); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
}

// insertAsset adds an asset and ends the leases of its files. It needs a transaction, and real results.
func insertAsset(ctx context.Context, q *sqlcgen.Queries, a domain.Asset) error {
	row, err := assetToRow(a)
	if err != nil {
		return err
	}
	if keys := a.FileKeys(); len(keys) > 0 {
		n, err := q.TakeFileLeases(ctx, keys)
		if err != nil {
			return err
		}
		if n != int64(len(keys)) {
			return domain.FileNotLeased()
		}
	}
	if err := q.InsertAsset(ctx, row); err != nil || row.GenerationID == nil {
		return err
	}
	return q.RecordAssetGeneration(ctx, sqlcgen.RecordAssetGenerationParams{
		ID: *row.GenerationID, AssetID: row.ID, Prompt: row.Description, Service: row.SourceName, Cost: row.Cost,
		TookMs: row.ResponseTimeMs, UserID: row.Owner, CreatedAt: row.CreatedAt,
	})
}

// Delete implements ports.AssetStore.
func (s *AssetStore) Delete(
	ctx context.Context, viewer, owner, id string, at time.Time, tell ...func(domain.Asset) domain.Event,
) error {
	key, err := parseID(id)
	if err != nil {
		return domain.AssetNotFound()
	}
	return s.db.write(ctx, "delete asset", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.LockAsset(ctx, key)
		a := domain.Asset{
			ID: key.String(), Owner: row.Owner, Public: row.Public, Category: domain.AssetCategory(row.Category),
			File: domain.AssetFile{Key: row.FileKey}, PreviewKey: row.PreviewKey,
		}
		switch {
		case noRow(err), err == nil && owner != "" && !a.VisibleTo(viewer):
			return domain.AssetNotFound()
		case err != nil:
			return err
		case owner != "" && owner != row.Owner:
			return domain.AssetNotYours()
		}
		err = q.LeaseFilesAgain(ctx, sqlcgen.LeaseFilesAgainParams{FileKeys: a.FileKeys(), ExpiresAt: asStored(at)})
		if err != nil {
			return err
		}
		if err := q.DeleteAsset(ctx, key); err != nil {
			return err
		}
		return storeEvents(ctx, q, toldOf(a, tell))
	})
}

// Bytes implements ports.AssetStore.
func (s *AssetStore) Bytes(ctx context.Context, owner string) (sum int64, err error) {
	err = s.db.read(ctx, "count bytes of assets", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		sum, err = q.SumAssetFiles(ctx, owner)
		return err
	})
	return sum, err
}

// Downloaded implements ports.AssetStore.
func (s *AssetStore) Downloaded(ctx context.Context, id string) error {
	key, err := parseID(id)
	if err != nil {
		return ctx.Err()
	}
	return s.db.once(ctx, "count download", func(ctx context.Context, q *sqlcgen.Queries) error { return q.CountDownload(ctx, key) })
}

func assetToRow(a domain.Asset) (row sqlcgen.InsertAssetParams, err error) {
	if a, err = a.Tidy(); err != nil {
		return row, err
	}
	id, err := parseID(a.ID)
	if err != nil {
		return row, err
	}
	metadata, err := domain.StoredJSON(a.Metadata)
	if err != nil {
		return row, fmt.Errorf("postgres: asset %s: %w", id, err)
	}
	row = sqlcgen.InsertAssetParams{
		ID: id, Owner: a.Owner, Public: a.Public, Source: string(a.Source), SourceName: a.SourceName, Category: string(a.Category),
		Title: a.Title, Description: a.Description, StyleTags: append([]string{}, a.StyleTags...), FileKey: a.File.Key,
		PreviewKey: a.PreviewKey, PreviewUrl: a.PreviewURL, FileUrl: a.File.Key + a.URL, StorageType: a.StorageType(),
		FileFormat: a.File.Format, ContentType: a.File.ContentType, FileSize: a.File.Size, Sha256: a.File.SHA256,
		QualityScore: a.Quality, DownloadCount: atMost(int(a.Downloads)), LicenseType: string(a.License),
		AttributionRequired: a.AttributionRequired, Metadata: metadata, Cost: int64(a.Cost),
		ResponseTimeMs: a.ResponseTime.Milliseconds(), CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	if a.GenerationID != "" {
		generation, err := parseID(a.GenerationID)
		if err != nil {
			return row, err
		}
		row.GenerationID = &generation
	}
	return row, nil
}

// assetFromRow reads any row, those of the LLM Platform too, whose metadata may be any JSON.
func assetFromRow(r sqlcgen.GetAssetsRow) domain.Asset {
	a := domain.Asset{
		ID: r.ID.String(), Owner: r.Owner, Public: r.Public, Source: domain.AssetSource(r.Source), SourceName: r.SourceName,
		Category: domain.AssetCategory(r.Category), Title: r.Title, Description: orEmpty(r.Description), PreviewKey: r.PreviewKey,
		PreviewURL: orEmpty(r.PreviewImageUrl), Quality: r.QualityScore, Downloads: int64(r.DownloadCount),
		License: domain.AssetLicense(orEmpty(r.LicenseType)), AttributionRequired: r.AttributionRequired, Cost: domain.Money(r.Cost),
		ResponseTime: time.Duration(r.ResponseTimeMs) * time.Millisecond, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		File: domain.AssetFile{
			Key: r.FileKey, Format: orEmpty(r.FileFormat), ContentType: r.ContentType, Size: r.FileSize, SHA256: r.Sha256,
		},
	}
	if len(r.StyleTags) > 0 {
		a.StyleTags = r.StyleTags
	}
	if a.File.Key == "" {
		a.URL = r.FileUrl
	}
	if a.License == "" {
		a.License = domain.LicenseProprietary
	}
	if r.GenerationID != nil {
		a.GenerationID = r.GenerationID.String()
	}
	var err error
	if a.Metadata, err = domain.MapFromStored(r.Metadata); err != nil || a.Metadata == nil {
		a.Metadata = map[string]any{}
	}
	return a
}
