// Package assetsearch is what the stores of assets agree on about texts that are looked for: which words count, what fits, and how well.
//
// It must not know how a store finds words.
package assetsearch

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxWords bounds what one search costs. Those who describe at length are understood by the words that come first.
	MaxWords = 12
	// EnoughWhole is how many assets with all words are so many that nobody wants those with only some.
	EnoughWhole = 100

	maxText = 16 << 10 // bytes of a text that are looked at
	maxWord = 64       // characters
)

// What a word counts for by the place where it was found, of 1 in all. In a description it says least.
const (
	InTitle       = 1.0
	InTags        = 0.7
	InDescription = 0.4
	Misspelt      = 0.8 // times that when it was found only in another spelling
)

// Words are the words of a text, each once, in lower case and as they stand there: letters and digits alone. Words that say nothing are
// left out.
func Words(text string) []string {
	var words []string
	for field := range strings.FieldsFuncSeq(cut(text), func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	}) {
		word := strings.ToLower(field)
		if utf8.RuneCountInString(word) > maxWord {
			word = string([]rune(word)[:maxWord])
		}
		if strings.IndexFunc(word, isSpoken) < 0 || slices.Contains(silent, word) || slices.Contains(words, word) {
			continue
		}
		if words = append(words, word); len(words) == MaxWords {
			break
		}
	}
	return words
}

// cut bounds the work on a text.
func cut(text string) string { return text[:min(len(text), maxText)] }

func isSpoken(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// silent are words that nearly every text has.
var silent = strings.Fields(`a about all am an and any are as at be been being both but by can could did do does each for from further had
	has have he her here him his how i if in into is it its me more most my no nor not now of off on once only or other our out over own
	same she should so some such than that the their them then there these they this those through to too under until up very was we were
	what when where which while who whom why will with would you your`)

// Needed is how many of n words an asset must have to fit at all.
func Needed(n int) int { return (n + 1) / 2 }

// Pairs are pairs of n words, three or more, at least one of which is in everything that has as many words as are needed. Few have a pair;
// very many have one word.
func Pairs(n int) [][2]int {
	var pairs [][2]int
	groups := Needed(n) - 1 // of words: with one word of each there would be too few
	for i := range n {
		for j := i + groups; j < n; j += groups {
			pairs = append(pairs, [2]int{i, j})
		}
	}
	return pairs
}

// Relevance says how well an asset fits a text when its words count so much: 1 at most, at least 0.5 when it has all of them, less
// when one is missing.
func Relevance(counts []float64) float64 {
	sum, whole := 0.0, true
	for _, c := range counts {
		sum += c
		whole = whole && c > 0
	}
	relevance := 0.5 * sum / float64(len(counts))
	if whole {
		relevance += 0.5
	}
	return relevance
}

// maxSpellings is how many spellings of a word are looked for.
const maxSpellings = 3

// ShortestMisspelt is how many characters a word has, at least, that is taken for another one: short words are like many others.
const ShortestMisspelt = 4

// What is spent on misspelt words. Everybody may fill the catalogue with words, and ask for words that nothing has.
const (
	MaxNoted    = 64    // words of an asset that others are taken for: the first ones
	MaxMisspelt = 3     // words of a search that are taken for others: the first ones
	MaxLike     = 5_000 // words that are looked at for each: those that most assets have
)

// Noted are the words of an asset that others are taken for.
func Noted(title string, tags []string, description string) []string {
	const shortest = ShortestMisspelt - 1 // one may be missing
	var noted []string
	for field := range strings.FieldsSeq(cut(title + " " + strings.Join(tags, " ") + " " + description)) {
		for _, word := range Words(field) {
			if utf8.RuneCountInString(word) < shortest || slices.Contains(noted, word) {
				continue
			}
			if noted = append(noted, word); len(noted) == MaxNoted {
				return noted
			}
		}
	}
	return noted
}

// Faults is how many characters a word may differ in from another for which it is taken.
func Faults(word string) int {
	switch n := utf8.RuneCountInString(word); {
	case n < ShortestMisspelt:
		return 0
	case n < 6:
		return 1
	default:
		return 2
	}
}

// Spellings are those of some words that a word which nobody knows may be meant to be: the nearest ones.
func Spellings(word string, known []string) []string {
	nearest, found := Faults(word), []string(nil)
	for _, k := range known {
		one, _ := strings.CutSuffix(k, "s") // of several: an ending is no fault
		switch d := min(distance([]rune(word), []rune(k), nearest), distance([]rune(word), []rune(one), nearest)); {
		case d == 0 || d > nearest:
		case d < nearest:
			nearest, found = d, []string{k}
		default:
			found = append(found, k)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(len(found), maxSpellings)]
}

// distance counts the characters that are missing, too many, wrong or swapped with their neighbours. More than limit is limit + 1.
func distance(a, b []rune, limit int) int {
	if d := len(a) - len(b); max(d, -d) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 0
			if a[i-1] != b[j-1] {
				wrong = 1
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit+1)
}
