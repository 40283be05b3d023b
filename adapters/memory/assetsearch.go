package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gaia/adapters/internal/assetsearch"
	"gaia/domain"
)

// Search implements ports.AssetStore. It takes a word without its ending for the word, and knows no meanings.
func (s *AssetStore) Search(ctx context.Context, q domain.AssetQuery) (domain.AssetPage, error) {
	if err := s.enter(ctx, "Search"); err != nil {
		return domain.AssetPage{}, err
	}
	q = q.Tidy()
	s.mu.Lock()
	defer s.mu.Unlock()
	search := strings.TrimSpace(q.Text) != ""
	words := s.wantedWords(q.Viewer, q.Text)
	var some, whole []domain.AssetMatch
	for _, a := range s.byID {
		if !a.fits(q) {
			continue
		}
		shown, err := a.load()
		if err != nil {
			return domain.AssetPage{}, err
		}
		counts := a.counts(words)
		missing := 0
		for _, c := range counts {
			if c == 0 {
				missing++
			}
		}
		switch {
		case !search:
			whole = append(whole, domain.AssetMatch{Asset: shown, Relevance: 1})
		case len(words) == 0 || len(words)-missing < assetsearch.Needed(len(words)):
		case missing == 0:
			whole = append(whole, domain.AssetMatch{Asset: shown, Relevance: assetsearch.Relevance(counts)})
		default:
			some = append(some, domain.AssetMatch{Asset: shown, Relevance: assetsearch.Relevance(counts)})
		}
	}
	if search && len(whole) < assetsearch.EnoughWhole {
		whole = append(whole, some...)
	}
	slices.SortFunc(whole, func(a, b domain.AssetMatch) int {
		return cmp.Or(cmp.Compare(b.Relevance, a.Relevance), b.Asset.CreatedAt.Compare(a.Asset.CreatedAt), cmp.Compare(b.Asset.ID, a.Asset.ID))
	})
	return domain.AssetPage{Matches: page(whole, q.Limit, q.Offset), Total: len(whole)}, nil
}

func (a asset) fits(q domain.AssetQuery) bool {
	for _, tag := range q.StyleTags {
		if !slices.Contains(a.StyleTags, tag) {
			return false
		}
	}
	return a.VisibleTo(q.Viewer) && (q.Category == "" || a.Category == q.Category) && a.Quality >= q.MinQuality &&
		(q.License == "" || a.License == q.License) && (len(q.Formats) == 0 || slices.Contains(q.Formats, a.File.Format)) &&
		(q.MaxSize == 0 || a.File.Size <= q.MaxSize)
}

// wantedWord is a word without its ending, or what it may be meant to be.
type wantedWord struct {
	stems  []string
	counts float64
}

// wantedWords are the words of a text. Those that nothing has of what the viewer sees may be misspelt. It needs the lock.
func (s *AssetStore) wantedWords(viewer, text string) []wantedWord {
	var all, noted []string
	for _, a := range s.byID {
		if a.VisibleTo(viewer) {
			all = append(all, placeWords(a.Title, strings.Join(a.StyleTags, " "), a.Description)...)
			noted = append(noted, assetsearch.Noted(a.Title, a.StyleTags, a.Description)...)
		}
	}
	var words []wantedWord
	misspelt := 0
	for _, word := range assetsearch.Words(text) {
		w := wantedWord{[]string{stem(word)}, 1}
		known := slices.ContainsFunc(all, func(known string) bool { return stem(known) == w.stems[0] })
		if !known && assetsearch.Faults(word) > 0 && misspelt < assetsearch.MaxMisspelt {
			misspelt++
			if other := assetsearch.Spellings(word, noted); len(other) > 0 {
				for i := range other {
					other[i] = stem(other[i])
				}
				w = wantedWord{other, assetsearch.Misspelt}
			}
		}
		words = append(words, w)
	}
	return words
}

// counts says what each word counts for.
func (a asset) counts(words []wantedWord) []float64 {
	counts := make([]float64, len(words))
	for _, place := range []struct {
		counts float64
		words  []string
	}{
		{assetsearch.InDescription, placeWords(a.Description)}, {assetsearch.InTags, placeWords(strings.Join(a.StyleTags, " "))},
		{assetsearch.InTitle, placeWords(a.Title)},
	} {
		for _, known := range place.words {
			for i, w := range words {
				if slices.Contains(w.stems, stem(known)) {
					counts[i] = w.counts * place.counts
				}
			}
		}
	}
	return counts
}

// placeWords are all words of texts. Words looks at no more than a search has.
func placeWords(texts ...string) (words []string) {
	for _, text := range texts {
		for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r) }) {
			words = append(words, assetsearch.Words(field)...)
		}
	}
	return words
}

// stem takes the endings off that English words get.
func stem(word string) string {
	const shortest = 3
	for _, ending := range []string{"ings", "ing", "ed", "es", "s", "e"} {
		if short, found := strings.CutSuffix(word, ending); found && len(short) >= shortest {
			return short
		}
	}
	return word
}
