package postgres_test

import (
	"testing"
	"time"

	"gaia/domain"
	"gaia/internal/testenv"
)

// What the LLM Platform left is found and read, with sensible values for what it left out.
func TestAssetsOfTheOldPlatform(t *testing.T) {
	t.Parallel()
	database := legacyDatabase(t, "")
	exec(t, connect(t, database), `
		INSERT INTO assets (
			id, category, title, description, style_tags, file_url, storage_type, file_format, file_size_mb, quality_score, download_count,
			license_type, attribution_required, metadata, preview_image_url, created_at, updated_at
		) VALUES
			('e1000000-0000-4000-8000-000000000001', 'prop', 'Bare obelisk', NULL, NULL, 'https://example.org/bare', 'external', NULL, NULL, NULL, NULL,
				NULL, NULL, NULL, NULL, NULL, NULL),
			('e1000000-0000-4000-8000-000000000002', 'prop', 'Full obelisk', 'Carved marble', ARRAY['Low-Poly', NULL, ' stone '],
				'https://example.org/full', 'external', 'GLB', 1.5, 0.9, 7, 'custom', true, '[1, 2]', 'https://example.org/full.png',
				'2024-05-01 10:00:00', '2024-05-02 10:00:00')`)
	migrateUp(t, database)
	store := open(t, database).Assets()
	bare, err := store.Get(t.Context(), "", "e1000000-0000-4000-8000-000000000001")
	if err != nil || bare.CreatedAt.IsZero() || bare.License != domain.LicenseProprietary || !bare.Public || bare.Owner != "" ||
		bare.URL != "https://example.org/bare" || bare.File.Key != "" || bare.StyleTags != nil || bare.Metadata == nil {
		t.Errorf("got %+v, %v", bare, err)
	}
	full, err := store.Get(t.Context(), "somebody", "e1000000-0000-4000-8000-000000000002")
	if err != nil || full.File.Size != 3<<19 || full.Quality != 0.9 || full.Downloads != 7 || full.PreviewURL != "https://example.org/full.png" ||
		len(full.StyleTags) != 2 || len(full.Metadata) != 0 || !full.CreatedAt.Equal(time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v, %v", full, err)
	}
	for title, q := range map[string]domain.AssetQuery{
		"Bare obelisk": {Text: "bare obelisks", License: domain.LicenseProprietary, Limit: 1},
		"Full obelisk": {Text: "carvd marbel", StyleTags: []string{"low-poly", "stone"}, Formats: []string{"glb"}, Limit: 1},
	} {
		page, err := store.Search(t.Context(), q)
		if err != nil || len(page.Matches) == 0 || page.Matches[0].Asset.Title != title {
			t.Errorf("%s: got %+v, %v", title, page, err)
		}
	}
}

// Without pg_trgm, from the beginning or later, faults of spelling are still found: only in the first letter of a word they are not.
func TestAssetSearchWithoutTrigrams(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"with it":              {"", ""},
		"it can't be created":  {"DROP SCHEMA public", ""},
		"it went with its use": {"", "DROP EXTENSION pg_trgm CASCADE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := testenv.Postgres(t)
			admin := connect(t, database)
			exec(t, admin, c.before)
			schema := newSchema(t, database)
			exec(t, admin, c.after)
			with := c.before+c.after == ""
			var there bool
			err := admin.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')").Scan(&there)
			if err != nil || there != with {
				t.Fatalf("pg_trgm is there: %v, %v", there, err)
			}
			wantObelisk(t, schema, with)
		})
	}
}

// wantObelisk stores an asset and looks for it, in several spellings.
func wantObelisk(t *testing.T, database string, otherLetters bool) {
	t.Helper()
	store := open(t, database).Assets()
	now := time.Now()
	err := store.Add(t.Context(), domain.Asset{
		ID: newID(), Public: true, Category: domain.AssetProp, Title: "Obelisk", URL: "https://example.org/o", CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, found := range map[string]bool{"obelisk": true, "oblisk": true, "obleisk": true, "ubelisk": otherLetters, "pyramid": false} {
		page, err := store.Search(t.Context(), domain.AssetQuery{Text: text, Limit: 1})
		if err != nil || (page.Total == 1) != found {
			t.Errorf("%s: %d found, %v", text, page.Total, err)
		}
	}
}
