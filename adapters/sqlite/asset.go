package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
)

// AssetStore keeps the catalogue of assets.
type AssetStore struct{ db *Store }

// Assets returns the catalogue of assets.
func (s *Store) Assets() *AssetStore { return &AssetStore{db: s} }

// Get implements ports.AssetStore.
func (s *AssetStore) Get(ctx context.Context, viewer, id string) (domain.Asset, error) {
	key, _ := domain.ParseID(id)
	list, err := s.load(ctx, "get asset", viewer, []string{key})
	if err == nil && list[key].ID == "" {
		err = domain.AssetNotFound()
	}
	return list[key], err
}

// load returns those of the assets that are there for a viewer.
func (s *AssetStore) load(ctx context.Context, op, viewer string, ids []string) (map[string]domain.Asset, error) {
	wanted, err := json.Marshal(ids)
	if err != nil {
		return nil, fmt.Errorf("sqlite %s: %w", op, err)
	}
	var rows []sqlcgen.GetAssetsRow
	err = s.db.readFew(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		rows, err = q.GetAssets(ctx, string(wanted))
		return err
	})
	if err != nil {
		return nil, err
	}
	found := make(map[string]domain.Asset, len(rows))
	for _, row := range rows {
		if a := assetFromRow(row); a.VisibleTo(viewer) {
			found[row.ID] = a
		}
	}
	return found, nil
}

// Add implements ports.AssetStore.
func (s *AssetStore) Add(ctx context.Context, a domain.Asset, events ...domain.Event) error {
	size := len(a.Title) + len(a.Description)
	return s.db.writeTexts(ctx, "add asset", size, func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := insertAsset(ctx, q, a); err != nil {
			return err
		}
		return storeEvents(ctx, q, events)
	})
}

// insertAsset adds an asset and ends the leases of its files. It needs a transaction.
func insertAsset(ctx context.Context, q *sqlcgen.Queries, a domain.Asset) error {
	row, err := assetToRow(a)
	if err != nil {
		return err
	}
	for _, key := range a.FileKeys() {
		n, err := q.TakeFileLease(ctx, key)
		if err != nil {
			return err
		}
		if n == 0 {
			return domain.FileNotLeased()
		}
	}
	if err := q.InsertAsset(ctx, row); err != nil {
		return err
	}
	words, err := notedWords(row.Public, row.Owner, row.Title, row.StyleTags, row.Description)
	if err != nil {
		return err
	}
	if err := q.NoteAssetWords(ctx, words); err != nil || row.GenerationID == nil {
		return err
	}
	return q.RecordAssetGeneration(ctx, sqlcgen.RecordAssetGenerationParams{
		ID: *row.GenerationID, AssetID: &row.ID, GenerationPrompt: orEmpty(row.Description), GenerationService: row.SourceName,
		GenerationCost: a.Cost.Dollars(), GenerationTimeMs: row.ResponseTimeMs, UserID: orNull(row.Owner), CreatedAt: row.CreatedAt,
	})
}

// Delete implements ports.AssetStore.
func (s *AssetStore) Delete(
	ctx context.Context, viewer, owner, id string, at time.Time, tell ...func(domain.Asset) domain.Event,
) error {
	key, _ := domain.ParseID(id)
	return s.db.writeTogether(ctx, "delete asset", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.GetAssetToDelete(ctx, key)
		a := domain.Asset{
			ID: key, Owner: row.Owner, Public: row.Public, Category: domain.AssetCategory(row.Category),
			File: domain.AssetFile{Key: row.FileKey}, PreviewKey: row.PreviewKey,
		}
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && owner != "" && !a.VisibleTo(viewer):
			return domain.AssetNotFound()
		case err != nil:
			return err
		case owner != "" && owner != row.Owner:
			return domain.AssetNotYours()
		}
		for _, file := range a.FileKeys() {
			if err := q.LeaseFileAgain(ctx, sqlcgen.LeaseFileAgainParams{FileKey: file, ExpiresAt: asStored(at)}); err != nil {
				return err
			}
		}
		words, err := notedWords(row.Public, row.Owner, row.Title, row.StyleTags, row.Description)
		if err != nil {
			return err
		}
		if err := q.UnnoteAssetWords(ctx, sqlcgen.UnnoteAssetWordsParams(words)); err != nil {
			return err
		}
		if err := q.ForgetAssetWords(ctx, sqlcgen.ForgetAssetWordsParams(words)); err != nil {
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
	key, _ := domain.ParseID(id)
	return s.db.writeTogether(ctx, "count download", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.CountDownload(ctx, key); err != nil {
			return err
		}
		return q.RecordDownload(ctx, key)
	})
}

func assetToRow(a domain.Asset) (row sqlcgen.InsertAssetParams, err error) {
	if a, err = a.Tidy(); err != nil {
		return row, err
	}
	metadata, err := domain.StoredJSON(a.Metadata)
	if err != nil {
		return row, fmt.Errorf("sqlite: asset %s: %w", a.ID, err)
	}
	tags, err := json.Marshal(append([]string{}, a.StyleTags...))
	if err != nil {
		return row, fmt.Errorf("sqlite: asset %s: %w", a.ID, err)
	}
	list, license := string(tags), string(a.License)
	row = sqlcgen.InsertAssetParams{
		ID: a.ID, Owner: a.Owner, Public: a.Public, Source: string(a.Source), SourceName: a.SourceName, Category: string(a.Category),
		Title: a.Title, Description: &a.Description, StyleTags: &list, FileKey: a.File.Key, PreviewKey: a.PreviewKey,
		PreviewImageUrl: orNull(a.PreviewURL), FileUrl: a.File.Key + a.URL, StorageType: a.StorageType(), FileFormat: &a.File.Format,
		ContentType: a.File.ContentType, FileSize: a.File.Size, Sha256: a.File.SHA256, QualityScore: a.Quality,
		DownloadCount: a.Downloads, LicenseType: &license, AttributionRequired: a.AttributionRequired, Metadata: string(metadata),
		Cost: int64(a.Cost), ResponseTimeMs: a.ResponseTime.Milliseconds(),
		CreatedAt: asStored(a.CreatedAt), UpdatedAt: asStored(a.UpdatedAt),
	}
	if id, ok := domain.ParseID(a.GenerationID); ok {
		row.GenerationID = &id
	}
	return row, nil
}

// assetFromRow reads any row, those of others too, whose lists and metadata may be any text.
func assetFromRow(r sqlcgen.GetAssetsRow) domain.Asset {
	a := domain.Asset{
		ID: r.ID, Owner: r.Owner, Public: r.Public, Source: domain.AssetSource(r.Source), SourceName: r.SourceName,
		Category: domain.AssetCategory(r.Category), Title: r.Title, Description: orEmpty(r.Description), PreviewKey: r.PreviewKey,
		PreviewURL: orEmpty(r.PreviewImageUrl), Quality: r.QualityScore, Downloads: r.DownloadCount,
		License: domain.AssetLicense(orEmpty(r.LicenseType)), AttributionRequired: r.AttributionRequired, Cost: domain.Money(r.Cost),
		ResponseTime: time.Duration(r.ResponseTimeMs) * time.Millisecond, CreatedAt: timeFrom(r.CreatedAt), UpdatedAt: timeFrom(r.UpdatedAt),
		GenerationID: orEmpty(r.GenerationID),
		File: domain.AssetFile{
			Key: r.FileKey, Format: orEmpty(r.FileFormat), ContentType: r.ContentType, Size: r.FileSize, SHA256: r.Sha256,
		},
	}
	if json.Unmarshal([]byte(orEmpty(r.StyleTags)), &a.StyleTags) != nil || len(a.StyleTags) == 0 {
		a.StyleTags = nil
	}
	if a.File.Key == "" {
		a.URL = r.FileUrl
	}
	if a.License == "" {
		a.License = domain.LicenseProprietary
	}
	var err error
	if a.Metadata, err = domain.MapFromStored([]byte(r.Metadata)); err != nil || a.Metadata == nil {
		a.Metadata = map[string]any{}
	}
	return a
}
