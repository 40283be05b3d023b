package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gaia/adapters/internal/assetsearch"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AssetStore = (*AssetStore)(nil)

// Search implements ports.AssetStore.
func (s *AssetStore) Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error) {
	q = q.Tidy()
	var found foundAssets
	err := s.db.readOn(ctx, "search assets", func(ctx context.Context, conn *pgx.Conn) (err error) {
		near, err := s.nearness(ctx, conn, q)
		if err != nil {
			return err
		}
		if strings.TrimSpace(q.Text) == "" {
			found, err = listAssets(ctx, conn, q)
			return err
		}
		words, err := wantedWords(ctx, conn, q.Text)
		if err == nil {
			found, err = searchAssets(ctx, conn, q, words, near)
		}
		return err
	})
	if err != nil || len(found.ids) == 0 {
		return domain.AssetPage{Matches: []domain.AssetMatch{}, Total: found.total}, err
	}
	loaded, err := s.load(ctx, "load assets", q.Viewer, found.ids)
	if err != nil {
		return domain.AssetPage{}, err
	}
	page := domain.AssetPage{Matches: make([]domain.AssetMatch, 0, len(found.ids)), Total: found.total}
	for i, id := range found.ids {
		if a, there := loaded[id]; there { // it may have been deleted meanwhile
			page.Matches = append(page.Matches, domain.AssetMatch{Asset: a, Relevance: found.relevance[i]})
		}
	}
	return page, nil
}

// foundAssets is one page.
type foundAssets struct {
	total     int
	ids       []uuid.UUID
	relevance []float64
}

// wantedWord is a word as the text search reads it.
type wantedWord struct {
	spellings []string
	counts    float64 // less when it is another one than the text has
}

// tsquery finds the word: anywhere, or with a weight in one place.
func (w wantedWord) tsquery(weight string) string {
	parts := make([]string, len(w.spellings))
	for i, spelling := range w.spellings {
		parts[i] = "'" + spelling + "'" + weight // of letters and digits alone
	}
	return "(" + strings.Join(parts, " | ") + ")"
}

// wantedWords are the words of a text, as it spells them.
func wantedWords(ctx context.Context, conn *pgx.Conn, text string) ([]wantedWord, error) {
	rows, err := conn.Query(ctx, `
		SELECT w.word
		FROM unnest($1::text[]) WITH ORDINALITY AS w (word, place)
		WHERE numnode(to_tsquery('pg_catalog.english', '''' || w.word || '''')) > 0
		ORDER BY w.place`, assetsearch.Words(text))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (wantedWord, error) {
		var word string
		err := row.Scan(&word)
		return wantedWord{[]string{word}, 1}, err
	})
}

// respell lets words that nothing has, in any form, of what the viewer sees give way to those that they may be meant to be, and reports
// whether any did. What others keep to themselves makes no difference, or a search would tell about it.
func respell(ctx context.Context, conn *pgx.Conn, viewer string, words []wantedWord) (changed bool, err error) {
	unknown, err := unknownWords(ctx, conn, viewer, words)
	for i := 0; i < len(unknown) && err == nil; i++ {
		w := &words[unknown[i]]
		var like []string
		if like, err = wordsLike(ctx, conn, viewer, w.spellings[0]); err != nil {
			break
		}
		if other := assetsearch.Spellings(w.spellings[0], like); len(other) > 0 {
			w.spellings, w.counts, changed = other, assetsearch.Misspelt, true
		}
	}
	return changed, err
}

// unknownWords are the first words that may be misspelt, by their places. A table that was asked for whole is read by its index.
func unknownWords(ctx context.Context, conn *pgx.Conn, viewer string, words []wantedWord) ([]int, error) {
	spelt := make([]string, len(words))
	for i, w := range words {
		if assetsearch.Faults(w.spellings[0]) > 0 {
			spelt[i] = w.spellings[0]
		}
	}
	rows, err := conn.Query(ctx, `
		SELECT w.place - 1
		FROM unnest($1::text[]) WITH ORDINALITY AS w (word, place)
		WHERE w.word <> '' AND NOT EXISTS (
			WITH hit AS MATERIALIZED (
				SELECT a.public, a.owner FROM assets AS a WHERE a.words @@ to_tsquery('pg_catalog.english', '''' || w.word || '''')
			)
			SELECT FROM hit WHERE hit.public OR hit.owner = $2
		)
		ORDER BY w.place
		LIMIT $3`, spelt, viewer, assetsearch.MaxMisspelt)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

func wordsLike(ctx context.Context, conn *pgx.Conn, viewer, word string) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT gaia_words_like($1, $2, $3)", viewer, word, assetsearch.MaxLike)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// statement is SQL with its arguments.
type statement struct {
	sql  strings.Builder
	args []any
}

// arg adds an argument and returns its place in the text.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return fmt.Sprintf("$%d", len(s.args))
}

func (s *statement) addf(format string, args ...any) { fmt.Fprintf(&s.sql, format, args...) }

// where adds what an asset must be besides what is looked for.
func (s *statement) where(q domain.AssetQuery) {
	s.addf(" WHERE (public OR owner = %s)", s.arg(q.Viewer))
	if q.Category != "" {
		s.addf(" AND category = %s", s.arg(string(q.Category)))
	}
	if len(q.StyleTags) > 0 {
		s.addf(" AND tags @> %s::text[]", s.arg(q.StyleTags))
	}
	if q.MinQuality > 0 {
		s.addf(" AND quality_score >= %s", s.arg(q.MinQuality))
	}
	if q.License == domain.LicenseProprietary {
		s.addf(" AND (license_type IS NULL OR license_type = 'proprietary')")
	} else if q.License != "" {
		s.addf(" AND license_type = %s", s.arg(string(q.License)))
	}
	if len(q.Formats) > 0 {
		s.addf(" AND lower(file_format) = ANY(%s::text[])", s.arg(q.Formats))
	}
	if q.MaxSize > 0 {
		s.addf(" AND file_size <= %s", s.arg(q.MaxSize))
	}
}

// listAssets returns a page of the newest. Counting reads an index alone, and so does finding them.
func listAssets(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery) (foundAssets, error) {
	s := &statement{}
	s.addf("SELECT t.total, p.id, 1::float8 FROM (SELECT count(*) AS total FROM assets")
	s.where(q)
	s.addf(") AS t LEFT JOIN (SELECT id, created_at FROM assets")
	s.where(q)
	s.addf(" ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s) AS p ON true ORDER BY p.created_at DESC, p.id DESC",
		s.arg(q.Limit), s.arg(q.Offset))
	return pageOfAssets(ctx, conn, s)
}

// searchAssets returns a page of the best. Those with only some of the words are there where not many have all.
func searchAssets(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery, words []wantedWord, near *nearness) (foundAssets, error) {
	if len(words) == 0 {
		return near.find(ctx, conn, q)
	}
	whole, err := findWhole(ctx, conn, q, words, nil)
	changed := false
	if err == nil && whole.total == 0 {
		changed, err = respell(ctx, conn, q.Viewer, words)
	}
	if err == nil && (changed || near != nil) {
		whole, err = findWhole(ctx, conn, q, words, near)
	}
	if err != nil || len(words) == 1 || whole.total >= assetsearch.EnoughWhole {
		return whole, err
	}
	return findSome(ctx, conn, q, words, near)
}

func tsqueryOf(words []wantedWord, operator string) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = w.tsquery("")
	}
	return strings.Join(parts, operator)
}

// somePart finds everything that has enough of two or more words, and some more.
func somePart(words []wantedWord) string {
	if len(words) == 2 {
		return tsqueryOf(words, " | ")
	}
	var parts []string
	for _, pair := range assetsearch.Pairs(len(words)) {
		parts = append(parts, tsqueryOf([]wantedWord{words[pair[0]], words[pair[1]]}, " & "))
	}
	return strings.Join(parts, " | ")
}

// findWhole returns a page of what has all words. assetsearch says what they count for.
func findWhole(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery, words []wantedWord, near *nearness) (foundAssets, error) {
	s := &statement{}
	s.addf("WITH found AS MATERIALIZED (SELECT id, created_at, 0.5 + 0.5 * (0")
	for _, w := range words {
		s.addf(" + CASE ")
		s.place(w)
	}
	s.addf(")::float8 / %d AS relevance FROM assets", len(words))
	s.where(q)
	s.addf(" AND words @@ to_tsquery('pg_catalog.english', %s)) ", s.arg(tsqueryOf(words, " & ")))
	s.best(q, near.with(s, q))
	return pageOfAssets(ctx, conn, s)
}

// place ends a CASE with what a word counts for that is there, by the best of its places. Most are in descriptions alone, and each look into the
// words of an asset takes as long as reading it: that comes first which decides about most.
func (s *statement) place(w wantedWord) {
	s.addf("WHEN NOT words @@ to_tsquery('pg_catalog.english', %s) THEN %g WHEN words @@ to_tsquery('pg_catalog.english', %s) THEN %g ELSE %g END",
		s.arg(w.tsquery(":AB")), w.counts*assetsearch.InDescription, s.arg(w.tsquery(":A")), w.counts*assetsearch.InTitle, w.counts*assetsearch.InTags)
}

// findSome returns a page of what has enough of two or more words.
func findSome(ctx context.Context, conn *pgx.Conn, q domain.AssetQuery, words []wantedWord, near *nearness) (foundAssets, error) {
	s := &statement{}
	s.addf("WITH hit AS MATERIALIZED (SELECT id, created_at")
	counts, has := make([]string, len(words)), make([]string, len(words))
	for i, w := range words {
		counts[i], has[i] = fmt.Sprintf("c%d", i), fmt.Sprintf("(c%d > 0)::integer", i)
		s.addf(", CASE WHEN NOT words @@ to_tsquery('pg_catalog.english', %s) THEN 0 ", s.arg(w.tsquery("")))
		s.place(w)
		s.addf("::float8 AS c%d", i)
	}
	s.addf(" FROM assets")
	s.where(q)
	s.addf(" AND words @@ to_tsquery('pg_catalog.english', %s)), ", s.arg(somePart(words)))
	s.addf("found AS MATERIALIZED (SELECT id, created_at, 0.5 * (%s) / %d + CASE WHEN least(%s) > 0 THEN 0.5 ELSE 0 END AS relevance FROM hit "+
		"WHERE %s >= %d) ", strings.Join(counts, " + "), len(words), strings.Join(counts, ", "),
		strings.Join(has, " + "), assetsearch.Needed(len(words)))
	s.best(q, near.with(s, q))
	return pageOfAssets(ctx, conn, s)
}

// best adds the page of a table that WITH has named.
func (s *statement) best(q domain.AssetQuery, found string) {
	s.addf("SELECT t.total, p.id, coalesce(p.relevance, 0) FROM (SELECT count(*) AS total FROM %s) AS t LEFT JOIN ("+
		"SELECT id, relevance, created_at FROM %s ORDER BY relevance DESC, created_at DESC, id DESC LIMIT %s OFFSET %s"+
		") AS p ON true ORDER BY p.relevance DESC, p.created_at DESC, p.id DESC", found, found, s.arg(q.Limit), s.arg(q.Offset))
}

// pageOfAssets reads rows of a total, which all of them have, an id, which the only one has not when the page is empty, and a relevance.
func pageOfAssets(ctx context.Context, conn *pgx.Conn, s *statement) (foundAssets, error) {
	var found foundAssets
	rows, err := conn.Query(ctx, s.sql.String(), s.args...)
	if err != nil {
		return found, err
	}
	var (
		id        *uuid.UUID
		relevance float64
	)
	_, err = pgx.ForEachRow(rows, []any{&found.total, &id, &relevance}, func() error {
		if id != nil {
			found.ids, found.relevance = append(found.ids, *id), append(found.relevance, relevance)
		}
		return nil
	})
	return found, err
}
