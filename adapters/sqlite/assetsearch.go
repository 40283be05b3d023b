package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"gaia/adapters/internal/assetsearch"
	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.AssetStore = (*AssetStore)(nil)

// Search implements ports.AssetStore. It knows no meanings: words are all that counts here.
func (s *AssetStore) Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error) {
	q = q.Tidy()
	var found foundAssets
	err := s.db.use(ctx, "search assets", func(ctx context.Context) (err error) {
		if err := s.db.enterReading(ctx); err != nil {
			return err
		}
		defer func() { <-s.db.reading }()
		if strings.TrimSpace(q.Text) == "" {
			found, err = s.list(ctx, q)
			return err
		}
		found, err = s.search(ctx, q, wantedWords(q.Text))
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
	ids       []string
	relevance []float64
}

// wantedWord is a word as the index reads it.
type wantedWord struct {
	spellings []string
	counts    float64 // less when it is another one than the text has
}

// match finds the word.
func (w wantedWord) match() string {
	quoted := make([]string, len(w.spellings))
	for i, spelling := range w.spellings {
		quoted[i] = `"` + spelling + `"` // of letters and digits alone
	}
	return "(" + strings.Join(quoted, " OR ") + ")"
}

// wantedWords are the words of a text, as it spells them.
func wantedWords(text string) []wantedWord {
	var words []wantedWord
	for _, word := range assetsearch.Words(text) {
		words = append(words, wantedWord{[]string{word}, 1})
	}
	return words
}

// respell lets words that nothing has, in any form, of what the viewer sees give way to those that they may be meant to be, and reports
// whether any did. What others keep to themselves makes no difference, or a search would tell about it.
func (s *AssetStore) respell(ctx context.Context, viewer string, words []wantedWord) (changed bool, err error) {
	unknown := 0
	for i := range words {
		w := &words[i]
		if assetsearch.Faults(w.spellings[0]) == 0 {
			continue
		}
		known, err := s.known(ctx, viewer, *w)
		if err != nil {
			return false, err
		}
		if known {
			continue
		}
		like, err := s.wordsLike(ctx, viewer, w.spellings[0])
		if err != nil {
			return false, err
		}
		if other := assetsearch.Spellings(w.spellings[0], like); len(other) > 0 {
			w.spellings, w.counts, changed = other, assetsearch.Misspelt, true
		}
		if unknown++; unknown == assetsearch.MaxMisspelt {
			break
		}
	}
	return changed, nil
}

func (s *AssetStore) known(ctx context.Context, viewer string, w wantedWord) (known bool, err error) {
	err = s.db.reader.QueryRowContext(ctx, `
		SELECT EXISTS (
			SELECT 1 FROM asset_index AS f CROSS JOIN asset_entries AS e ON f.rowid = e.number
			WHERE f.asset_index MATCH ?1 AND (e.public OR e.owner = ?2)
		)`, w.match(), viewer).Scan(&known)
	return known, err
}

// wordsLike are words that the viewer sees somewhere, begin with the same letter and are about as long.
func (s *AssetStore) wordsLike(ctx context.Context, viewer, word string) ([]string, error) {
	_, size := utf8.DecodeRuneInString(word)
	length := utf8.RuneCountInString(word)
	rows, err := s.db.reader.QueryContext(ctx, `
		SELECT word FROM asset_words
		WHERE owner IN ('', ?1) AND word >= ?2 AND word < ?2 || char(0x10FFFF) AND length(word) BETWEEN ?3 AND ?4
		ORDER BY assets DESC, word
		LIMIT ?5`,
		viewer, word[:size], length-assetsearch.Faults(word), length+assetsearch.Faults(word)+1, assetsearch.MaxLike)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var like []string
	for rows.Next() {
		var known string
		if err := rows.Scan(&known); err != nil {
			return nil, err
		}
		like = append(like, known)
	}
	return like, rows.Err()
}

// notedWords are the words of a stored asset, for those who misspell them, and for whom they are noted. Those of a private asset of nobody
// are for nobody.
func notedWords(public bool, owner, title string, styleTags, description *string) (params sqlcgen.NoteAssetWordsParams, err error) {
	var tags []string
	if json.Unmarshal([]byte(orEmpty(styleTags)), &tags) != nil {
		tags = nil // of others: any text
	}
	words := []string{}
	if public || owner != "" {
		words = append(words, assetsearch.Noted(title, tags, orEmpty(description))...)
	}
	if public {
		owner = ""
	}
	raw, err := json.Marshal(words)
	return sqlcgen.NoteAssetWordsParams{Owner: owner, Words: string(raw)}, err
}

// statement is SQL with its arguments.
type statement struct {
	sql  strings.Builder
	args []any
}

func (s *statement) addf(format string, args ...any) { fmt.Fprintf(&s.sql, format, args...) }

// arg adds an argument and returns its place in the text.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return fmt.Sprintf("?%d", len(s.args))
}

// where adds what an asset must be besides what is looked for.
func (s *statement) where(q domain.AssetQuery) {
	s.addf(" WHERE (e.public OR e.owner = %s)", s.arg(q.Viewer))
	if q.Category != "" {
		s.addf(" AND e.category = %s", s.arg(string(q.Category)))
	}
	for _, tag := range q.StyleTags {
		s.addf(" AND %s IN (SELECT t.value FROM json_each(e.style_tags) AS t)", s.arg(tag))
	}
	if q.MinQuality > 0 {
		s.addf(" AND e.quality_score >= %s", s.arg(q.MinQuality))
	}
	if q.License == domain.LicenseProprietary {
		s.addf(" AND (e.license_type IS NULL OR e.license_type = 'proprietary')")
	} else if q.License != "" {
		s.addf(" AND e.license_type = %s", s.arg(string(q.License)))
	}
	if len(q.Formats) > 0 {
		places := make([]string, len(q.Formats))
		for i, f := range q.Formats {
			places[i] = s.arg(f)
		}
		s.addf(" AND e.file_format IN (%s)", strings.Join(places, ", "))
	}
	if q.MaxSize > 0 {
		s.addf(" AND e.file_size <= %s", s.arg(q.MaxSize))
	}
}

// list returns a page of the newest.
func (s *AssetStore) list(ctx context.Context, q domain.AssetQuery) (foundAssets, error) {
	st := &statement{}
	st.addf("SELECT t.total, p.asset_id, 1.0 FROM (SELECT count(*) AS total FROM asset_entries AS e")
	st.where(q)
	st.addf(") AS t LEFT JOIN (SELECT e.asset_id, e.number FROM asset_entries AS e")
	st.where(q)
	st.addf(" ORDER BY e.number DESC LIMIT %s OFFSET %s) AS p ORDER BY p.number DESC", st.arg(q.Limit), st.arg(q.Offset))
	return s.page(ctx, st)
}

// search returns a page of the best. Those with only some of the words are there where not many have all.
func (s *AssetStore) search(ctx context.Context, q domain.AssetQuery, words []wantedWord) (foundAssets, error) {
	if len(words) == 0 {
		return foundAssets{}, nil
	}
	whole, err := s.findWhole(ctx, q, words)
	if err == nil && whole.total == 0 {
		var changed bool
		if changed, err = s.respell(ctx, q.Viewer, words); changed && err == nil {
			whole, err = s.findWhole(ctx, q, words)
		}
	}
	if err != nil || len(words) == 1 || whole.total >= assetsearch.EnoughWhole {
		return whole, err
	}
	return s.findSome(ctx, q, words)
}

func matchOf(words []wantedWord, operator string) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = w.match()
	}
	return strings.Join(parts, operator)
}

// somePart finds everything that has enough of two or more words, and some more.
func somePart(words []wantedWord) string {
	if len(words) == 2 {
		return matchOf(words, " OR ")
	}
	var parts []string
	for _, pair := range assetsearch.Pairs(len(words)) {
		parts = append(parts, "("+matchOf([]wantedWord{words[pair[0]], words[pair[1]]}, " AND ")+")")
	}
	return strings.Join(parts, " OR ")
}

// findWhole returns a page of what has all words. assetsearch says what they count for.
func (s *AssetStore) findWhole(ctx context.Context, q domain.AssetQuery, words []wantedWord) (foundAssets, error) {
	st := &statement{}
	st.addf("WITH found AS MATERIALIZED (SELECT e.number, 0.5 + 0.5 * (0.0")
	for _, w := range words {
		st.addf(" + CASE")
		st.place(w, "{title} : ", assetsearch.InTitle)
		st.place(w, "{tags} : ", assetsearch.InTags)
		st.addf(" ELSE %g END", w.counts*assetsearch.InDescription)
	}
	st.addf(") / %d AS relevance FROM asset_index AS f CROSS JOIN asset_entries AS e ON f.rowid = e.number", len(words))
	st.where(q)
	st.addf(" AND f.asset_index MATCH %s) ", st.arg(matchOf(words, " AND ")))
	st.best(q)
	return s.page(ctx, st)
}

// findSome returns a page of what has enough of two or more words.
func (s *AssetStore) findSome(ctx context.Context, q domain.AssetQuery, words []wantedWord) (foundAssets, error) {
	st := &statement{}
	st.addf("WITH hit AS MATERIALIZED (SELECT e.number")
	counts, has := make([]string, len(words)), make([]string, len(words))
	for i, w := range words {
		counts[i], has[i] = fmt.Sprintf("c%d", i), fmt.Sprintf("(c%d > 0)", i)
		st.addf(", CASE")
		st.place(w, "{title} : ", assetsearch.InTitle)
		st.place(w, "{tags} : ", assetsearch.InTags)
		st.place(w, "", assetsearch.InDescription)
		st.addf(" ELSE 0.0 END AS c%d", i)
	}
	st.addf(" FROM asset_index AS f CROSS JOIN asset_entries AS e ON f.rowid = e.number")
	st.where(q)
	st.addf(" AND f.asset_index MATCH %s), ", st.arg(somePart(words)))
	st.addf("found AS MATERIALIZED (SELECT number, 0.5 * (%s) / %d + CASE WHEN %s THEN 0.5 ELSE 0 END AS relevance FROM hit WHERE %s >= %d) ",
		strings.Join(counts, " + "), len(words), strings.Join(has, " AND "), strings.Join(has, " + "), assetsearch.Needed(len(words)))
	st.best(q)
	return s.page(ctx, st)
}

// place adds what a word counts for in one place.
func (s *statement) place(w wantedWord, column string, counts float64) {
	s.addf(" WHEN e.number IN (SELECT rowid FROM asset_index WHERE asset_index MATCH %s) THEN %g", s.arg(column+w.match()), counts*w.counts)
}

// best adds the page of the table "found".
func (s *statement) best(q domain.AssetQuery) {
	s.addf("SELECT t.total, e.asset_id, coalesce(p.relevance, 0.0) FROM (SELECT count(*) AS total FROM found) AS t LEFT JOIN ("+
		"SELECT relevance, number FROM found ORDER BY relevance DESC, number DESC LIMIT %s OFFSET %s"+
		") AS p LEFT JOIN asset_entries AS e ON e.number = p.number ORDER BY p.relevance DESC, p.number DESC", s.arg(q.Limit), s.arg(q.Offset))
}

// page reads rows of a total, which all of them have, an id, which the only one has not when the page is empty, and a relevance.
func (s *AssetStore) page(ctx context.Context, st *statement) (found foundAssets, err error) {
	rows, err := s.db.reader.QueryContext(ctx, st.sql.String(), st.args...)
	if err != nil {
		return found, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id        *string
			relevance float64
		)
		if err := rows.Scan(&found.total, &id, &relevance); err != nil {
			return found, err
		}
		if id != nil {
			found.ids, found.relevance = append(found.ids, *id), append(found.relevance, relevance)
		}
	}
	return found, rows.Err()
}
