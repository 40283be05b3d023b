package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver
)

// What is aimed at.
const (
	goalSearch     = 15 * time.Millisecond // half of all searches
	goalSlowSearch = 60 * time.Millisecond // all but one of a hundred
)

const (
	manyAssets    = 100_000
	assetSearches = 300 // of each kind
)

type assetsResult struct {
	transfers []transferRow
	jobs      []jobRow
}

// searchRow is one kind of search on one store.
type searchRow struct {
	store, kind string
	took        []time.Duration
	found       int // of all searches together
}

// measureAssets measures how assets come, are made and go.
func measureAssets(ctx context.Context, o options, dir string) (r assetsResult, err error) {
	if r.transfers, err = measureTransfers(ctx, o, dir); err != nil {
		return r, err
	}
	r.jobs, err = measureJobs(ctx, o, dir)
	return r, err
}

// measureSearches searches a large catalogue on each store.
func measureSearches(ctx context.Context, o options, dir string) ([]searchRow, error) {
	stores := []catalogueStore{{"embedded (SQLite)", "", fillSQLite}}
	if o.database != "" {
		stores = append(stores, catalogueStore{"PostgreSQL", o.database, fillPostgres})
	}
	var rows []searchRow
	for i, store := range stores {
		found, err := store.measure(ctx, o, filepath.Join(dir, fmt.Sprintf("assets-%d", i)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", store.name, err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// catalogueStore is a database that can be filled with assets.
type catalogueStore struct {
	name, database string
	fill           func(ctx context.Context, database string, assets []benchAsset) error
}

func (s catalogueStore) measure(ctx context.Context, o options, dir string) ([]searchRow, error) {
	var settings []string
	database := filepath.Join(dir, "gaia.db")
	if s.database != "" {
		database, settings = s.database, []string{"DATABASE_URL=" + s.database}
	}
	if err := migrate(ctx, o.gaia, dir, settings); err != nil {
		return nil, err
	}
	progress("filling %s with %d assets", s.name, manyAssets)
	words := newVocabulary(4, 20_000, 1.05, 25)
	if err := s.fill(ctx, database, words.assets(manyAssets)); err != nil {
		return nil, err
	}
	server, err := startGaia(ctx, o.gaia, dir, settings...)
	if err != nil {
		return nil, err
	}
	defer server.kill()
	if _, err := server.awaitReady(ctx); err != nil {
		return nil, err
	}
	c := newClient(server.url, 1)
	defer c.close()
	var rows []searchRow
	for _, kind := range searchKinds {
		progress("searching %s: %s", s.name, kind.name)
		row := searchRow{store: s.name, kind: kind.name}
		for i := range assetSearches + assetSearches/10 { // the first tenth finds what is kept, and is forgotten
			took, found, err := searchOnce(ctx, c, kind.path(words))
			if err != nil {
				return nil, err
			}
			if i >= assetSearches/10 {
				row.took, row.found = append(row.took, took), row.found+found
			}
		}
		rows = append(rows, row)
	}
	return rows, server.stop()
}

// migrate makes the tables.
func migrate(ctx context.Context, program, dir string, settings []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "migrate", "up") //nolint:gosec // the program that is measured
	cmd.Dir = dir
	cmd.Env = append(append(cleanEnvironment(), "GAIA_DATA_DIR="+dir), settings...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w: %s", err, out)
	}
	return nil
}

// searchKinds are the kinds of searches: of words as frequent as they are in the catalogue.
var searchKinds = []struct {
	name string
	path func(*prose) string
}{
	{"1 word", func(p *prose) string { return searchPath(p, 1, nil) }},
	{"2 words", func(p *prose) string { return searchPath(p, 2, nil) }},
	{"3 words", func(p *prose) string { return searchPath(p, 3, nil) }},
	{"1 to 3 words, filters", func(p *prose) string {
		filters := url.Values{"category": {benchCategories[p.random.IntN(len(benchCategories))]}, "min_quality": {"0.4"}}
		if p.random.IntN(2) == 0 {
			filters.Set("style_tags", p.words[p.random.IntN(60)])
		}
		return searchPath(p, 1+p.random.IntN(3), filters)
	}},
	{"2 words, one misspelt", func(p *prose) string {
		word := []byte(p.word())
		i := len(word) / 2
		word[i], word[i-1] = word[i-1], word[i]
		return "/api/v1/assets/search?" + url.Values{"query": {p.word() + " " + string(word)}}.Encode()
	}},
	{"no words: the newest", func(p *prose) string { return fmt.Sprintf("/api/v1/assets?limit=20&offset=%d", 20*p.random.IntN(5)) }},
}

func searchPath(p *prose, words int, filters url.Values) string {
	text := make([]string, words)
	for i := range text {
		text[i] = p.word()
	}
	q := url.Values{"query": {strings.Join(text, " ")}, "limit": {"20"}}
	for name, values := range filters {
		q[name] = values
	}
	return "/api/v1/assets/search?" + q.Encode()
}

func searchOnce(ctx context.Context, c *client, path string) (time.Duration, int, error) {
	a, err := c.expect(ctx, request{method: http.MethodGet, path: path}, http.StatusOK)
	if err != nil {
		return 0, 0, err
	}
	var got struct {
		Assets     []json.RawMessage `json:"assets"`
		Total      int               `json:"total"`
		TotalCount int               `json:"total_count"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		return 0, 0, err
	}
	total := max(got.Total, got.TotalCount)
	if len(got.Assets) != min(total, 20) && !strings.Contains(path, "offset") {
		return 0, 0, fmt.Errorf("%w: %d assets of %d for %s", errWrong, len(got.Assets), total, path)
	}
	return a.took, total, nil
}

var benchCategories = []string{"environment", "character", "prop", "audio", "texture", "animation", "image"}

// benchAsset is an asset as people upload them: a title of a few words, one or two sentences, some tags.
type benchAsset struct {
	id, category, title, description, license string
	tags                                      []string
	quality                                   float64
	public                                    bool
	created                                   time.Time
}

func (p *prose) assets(n int) []benchAsset {
	licenses := []string{"creative_commons", "public_domain", "custom", "commercial", "proprietary"}
	list := make([]benchAsset, n)
	begun := time.Now().Add(-time.Duration(n) * time.Minute)
	for i := range list {
		a := benchAsset{
			id: uuid.NewString(), category: benchCategories[p.random.IntN(len(benchCategories))], license: licenses[p.random.IntN(len(licenses))],
			title: p.text(2 + p.random.IntN(4)), description: p.text(8 + p.random.IntN(18)), quality: float64(p.random.IntN(101)) / 100,
			public: i%10 != 0, created: begun.Add(time.Duration(i) * time.Minute),
		}
		for range 1 + p.random.IntN(4) {
			a.tags = append(a.tags, p.word())
		}
		list[i] = a
	}
	return list
}

// fillSQLite writes assets into a database that nobody else uses.
func fillSQLite(ctx context.Context, path string, assets []benchAsset) (err error) {
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(0)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // what is committed stays
	for _, a := range assets {
		tags, err := json.Marshal(a.tags)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO assets (
				id, owner, public, category, title, description, style_tags, file_key, file_url, storage_type, file_format, content_type,
				file_size, quality_score, license_type, created_at, updated_at
			) VALUES (?, 'somebody', ?, ?, ?, ?, ?, ?1 || '.png', ?1 || '.png', 'supabase', 'png', 'image/png', 100000, ?, ?, ?10, ?10)`,
			a.id, a.public, a.category, a.title, a.description, string(tags), a.quality, a.license, 0, a.created.UnixMicro())
		if err != nil {
			return err
		}
		words, err := json.Marshal(strings.Fields(strings.ReplaceAll(a.title+" "+a.description, ".", "") + " " + strings.Join(a.tags, " ")))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO asset_words (owner, word, assets)
			SELECT iif(?1, '', 'somebody'), value, 1 FROM json_each(?2) WHERE true
			ON CONFLICT (owner, word) DO UPDATE SET assets = assets + 1`, a.public, string(words))
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// fillPostgres writes assets and lets the server look at them, as it does by itself sooner or later.
func fillPostgres(ctx context.Context, database string, assets []benchAsset) (err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	columns := []string{
		"id", "owner", "public", "category", "title", "description", "style_tags", "file_key", "file_url", "storage_type", "file_format",
		"content_type", "file_size", "quality_score", "license_type", "created_at", "updated_at",
	}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"assets"}, columns, pgx.CopyFromSlice(len(assets), func(i int) ([]any, error) {
		a := assets[i]
		return []any{
			uuid.MustParse(a.id), "somebody", a.public, a.category, a.title, a.description, a.tags, a.id + ".png", a.id + ".png", "supabase", "png",
			"image/png", int64(100_000), a.quality, a.license, a.created, a.created,
		}, nil
	}))
	if err != nil {
		return err
	}
	for _, table := range []string{"assets", "asset_words"} {
		if _, err := conn.Exec(ctx, "VACUUM (ANALYZE) "+table); err != nil {
			return err
		}
	}
	return nil
}

func (r report) searchTable() table {
	t := table{head: []string{"store", "search for", "p50", "p99", "found on average", "goal"}}
	for _, row := range r.searches {
		half, nearlyAll := percentile(row.took, 50), percentile(row.took, 99)
		t.add(row.store, row.kind, ms(half), ms(nearlyAll), fmt.Sprint(row.found/len(row.took)),
			verdict(half <= goalSearch && nearlyAll <= goalSlowSearch))
	}
	return t
}
