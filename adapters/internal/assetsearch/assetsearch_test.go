package assetsearch_test

import (
	"slices"
	"strings"
	"testing"

	"gaia/adapters/internal/assetsearch"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"A glowing SWORD, low-poly & low_poly!": "glowing sword low poly",
		"the of and":                            "",
		"a\x00b \xff c3 ":                       "b c3",
		"sword sword Sword":                     "sword",
		"\u0301 ² 世界":                           "² 世界",
		"it's 'x' \"y\" \\z":                    "s x y z",
	} {
		if got := assetsearch.Words(text); strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := assetsearch.Words(strings.Repeat("x", 100) + strings.Repeat(" y z q w r t u o p k l m n", 9000)); len(got) != assetsearch.MaxWords || len(got[0]) != 64 {
		t.Errorf("got %q", got)
	}
}

// Whatever words an asset has, when they are enough there is a pair of them.
func TestPairsMissNothing(t *testing.T) {
	t.Parallel()
	for n := 3; n <= assetsearch.MaxWords; n++ {
		pairs := assetsearch.Pairs(n)
		for set := range 1 << n {
			has := func(i int) bool { return set>>i&1 == 1 }
			count := 0
			for i := range n {
				if has(i) {
					count++
				}
			}
			paired := slices.ContainsFunc(pairs, func(p [2]int) bool { return has(p[0]) && has(p[1]) })
			if count >= assetsearch.Needed(n) && !paired {
				t.Fatalf("%d words: none of %v is in %b", n, pairs, set)
			}
		}
	}
}

func TestRelevance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		counts []float64
		want   float64
	}{
		{[]float64{1}, 1}, {[]float64{1, 1, 1}, 1}, {[]float64{1, 0}, 0.25}, {[]float64{0.4, 0.4}, 0.7}, {[]float64{1, 1, 1, 0}, 0.375},
	} {
		if got := assetsearch.Relevance(c.counts); got != c.want {
			t.Errorf("%v: got %v, want %v", c.counts, got, c.want)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	known := strings.Fields("sword swords shield word sward swore castle größe cat")
	for word, want := range map[string]string{
		"swrod": "sword swords", "swordd": "sword swords", "sheild": "shield", "casle": "castle", "groesse": "", "grösse": "größe", "cut": "", "cta": "",
		"xyzzy": "", "castle": "", "swort": "sword swords swore",
	} {
		if got := assetsearch.Spellings(word, known); strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}
