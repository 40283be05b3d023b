package postgres_test

import (
	"math"
	"os"
	"slices"
	"sync"
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

// TestAssetMeanings is about meanings where the extension vector is to be had, and about words alone where it is not. VECTOR_DATABASE_URL is
// an empty database that has it.
func TestAssetMeanings(t *testing.T) {
	t.Parallel()
	database := os.Getenv("VECTOR_DATABASE_URL")
	if database == "" {
		database = testenv.Postgres(t)
	}
	database = newSchema(t, database)
	var available bool
	err := connect(t, database).QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')").Scan(&available)
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, database).Assets()
	if list, err := store.WithoutMeaning(t.Context(), "m", 10); len(list) != 0 || (err == nil) != available || !available && domain.KindOf(err) != domain.Unimplemented {
		t.Fatalf("WithoutMeaning: %v, %v; the extension is there: %v", list, err, available)
	}
	vectors := map[string][]float32{"Sword": {1, 0, 0}, "Blade": {0.9, 0.1, 0}, "Teapot": {0, 0, 1}, "Secret dagger": {1, 0.01, 0}}
	for title, vector := range vectors {
		a := domain.Asset{
			ID: newID(), Owner: "owner", Public: title != "Secret dagger", Category: domain.AssetProp, Title: title,
			URL: "https://example.org/" + title, CreatedAt: time.Now(), UpdatedAt: time.Now(),
		}
		if err := store.Add(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if list, err := store.WithoutMeaning(t.Context(), "m", 10); available && (err != nil || len(list) != 1 || list[0].Title != title) {
			t.Errorf("WithoutMeaning: %v, %v", list, err)
		}
		for _, v := range [][]float32{{0, 1, 0}, vector} { // the second takes the place of the first
			if err := store.SetMeaning(t.Context(), a.ID, "m", v); (err == nil) != available || !available && domain.KindOf(err) != domain.Unimplemented {
				t.Fatalf("SetMeaning: %v; the extension is there: %v", err, available)
			}
		}
	}
	for _, v := range [][]float32{nil, {0, 0}, {float32(math.NaN())}} {
		if err := store.SetMeaning(t.Context(), newID(), "m", v); domain.KindOf(err) != domain.BadRequest {
			t.Errorf("SetMeaning(%v): %v", v, err)
		}
	}
	meant := func(text string, q domain.AssetQuery) domain.AssetQuery {
		q.Text, q.Limit, q.Model, q.Embedding = text, 10, "m", []float32{1, 0, 0}
		return q
	}
	for name, c := range map[string]struct {
		q                  domain.AssetQuery
		words, withMeaning []string
	}{
		"another word":          {meant("weapon", domain.AssetQuery{}), nil, []string{"Sword", "Blade"}},
		"words and meanings":    {meant("teapot", domain.AssetQuery{}), []string{"Teapot"}, []string{"Sword", "Teapot", "Blade"}},
		"two words":             {meant("teapot nowhere", domain.AssetQuery{}), []string{"Teapot"}, []string{"Sword", "Blade", "Teapot"}},
		"no word":               {meant("!", domain.AssetQuery{}), nil, []string{"Sword", "Blade"}},
		"one's own":             {meant("weapon", domain.AssetQuery{Viewer: "owner"}), nil, []string{"Sword", "Secret dagger", "Blade"}},
		"filters count":         {meant("weapon", domain.AssetQuery{Category: domain.AssetAudio}), nil, nil},
		"more alike":            {meant("weapon", domain.AssetQuery{Similarity: 0.999}), nil, []string{"Sword"}},
		"another model":         {domain.AssetQuery{Text: "weapon", Limit: 10, Model: "n", Embedding: []float32{1, 0, 0}}, nil, nil},
		"vectors of two":        {domain.AssetQuery{Text: "weapon", Limit: 10, Model: "m", Embedding: []float32{1, 0}}, nil, nil},
		"a vector of nothing":   {domain.AssetQuery{Text: "weapon", Limit: 10, Model: "m", Embedding: []float32{0, 0, 0}}, nil, nil},
		"without a text no one": {meant("", domain.AssetQuery{Category: domain.AssetAudio}), nil, nil},
	} {
		want := c.words
		if available {
			want = c.withMeaning
		}
		page, err := store.Search(t.Context(), c.q)
		var got []string
		for _, m := range page.Matches {
			got = append(got, m.Asset.Title)
		}
		if err != nil || page.Total != len(want) || len(got) != len(want) {
			t.Errorf("%s: got %v of %d, %v, want %v", name, got, page.Total, err, want)
			continue
		}
		for _, title := range want {
			if !slices.Contains(got, title) {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	}
}

// Words are counted for those who see them, whoever changes assets, and however many at once.
func TestAssetWordsAreCounted(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	conn := connect(t, database)
	exec(t, conn, `
		INSERT INTO assets (owner, public, category, title, file_url, storage_type)
		SELECT 'o', n > 2, 'prop', 'The brass ' || CASE n % 2 WHEN 0 THEN 'bell' ELSE 'lamp' END, 'https://example.org', 'external'
		FROM generate_series(1, 5) AS n`)
	want := func(after, list string) {
		t.Helper()
		var got string
		err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(owner || ':' || word || ':' || assets, ' ' ORDER BY owner, word), '') FROM asset_words").Scan(&got)
		if err != nil || got != list {
			t.Errorf("%s: got %q, %v, want %q", after, got, err, list)
		}
	}
	want("insert", ":bell:1 :brass:3 :lamp:2 o:bell:1 o:brass:2 o:lamp:1")
	exec(t, conn, "UPDATE assets SET download_count = 7, public = public")
	want("no change", ":bell:1 :brass:3 :lamp:2 o:bell:1 o:brass:2 o:lamp:1")
	exec(t, conn, "UPDATE assets SET public = false WHERE title LIKE '%bell'")
	want("hiding", ":brass:2 :lamp:2 o:bell:2 o:brass:3 o:lamp:1")
	exec(t, conn, "UPDATE assets SET title = 'Copper lamp', owner = '' WHERE NOT public AND title LIKE '%bell'") // private, and nobody's
	want("another title", ":brass:2 :lamp:2 o:brass:1 o:lamp:1")
	exec(t, conn, "DELETE FROM assets WHERE NOT public")
	want("delete", ":brass:2 :lamp:2")
	exec(t, conn, "DELETE FROM assets")
	want("delete the rest", "")
}

// Of two who note and forget the same words, in any order, none is refused.
func TestAssetWordsAreCountedAtOnce(t *testing.T) {
	t.Parallel()
	store := open(t, newDatabase(t)).Assets()
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			for range 12 {
				a := domain.Asset{
					ID: newID(), Owner: "o", Public: true, Category: domain.AssetProp, Title: "Zinc bell", Description: "alpha beta gamma delta", URL: "https://example.org",
				}
				if err := store.Add(t.Context(), a); err != nil {
					t.Error(err)
				}
				if err := store.Delete(t.Context(), "o", "o", a.ID, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	page, err := store.Search(t.Context(), domain.AssetQuery{Text: "zinc", Limit: 1})
	if err != nil || page.Total != 0 {
		t.Errorf("got %+v, %v", page, err)
	}
}
