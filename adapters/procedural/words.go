package procedural

import (
	"strings"
	"unicode"

	"gaia/domain"
)

// maxWords bounds what is looked at: the vocabulary of a page is in its beginning.
const maxWords = 400

// look is what a style makes of things.
type look string

// The looks.
const (
	plainLook   look = "plain"
	lowPolyLook look = "low_poly"
	fantasyLook look = "fantasy"
	scifiLook   look = "scifi"
	cartoonLook look = "cartoon"
)

// wish is what the words of a request ask for, as far as they are understood. What is not goes into the seed: another text, another thing.
type wish struct {
	words     []string // of the description, in lower case, in order
	all       []string // and of the style
	look      look
	random    *random
	colours   []rgb
	materials []material
	glowing   bool
	broken    bool    // old, worn, broken
	size      float64 // 1 is usual
	slender   float64 // above 1: tall and thin
	rich      float64 // 1 is usual; 0.5 plain; 1.5 ornate
}

// understand reads a request.
func understand(r domain.AssetRequest, seed int64) *wish {
	w := &wish{words: split(r.Description), look: plainLook, size: 1, slender: 1, rich: 1}
	w.all = append(append(w.all, w.words...), split(r.Style)...)
	w.random = &random{hashText(append([]string{string(r.Category)}, w.all...)...) ^ scramble(uint64(seed))} // #nosec G115 -- only its bits matter
	w.look = lookOf(w.all)
	for _, word := range w.all {
		w.take(word)
	}
	return w
}

// take looks one word up.
func (w *wish) take(word string) {
	if m, ok := materialOf(word); ok {
		w.materials = append(w.materials, m)
	} else if c, ok := colours[word]; ok {
		w.colours = append(w.colours, c)
	}
	if f, ok := sizes[word]; ok {
		w.size = clamp(mul(w.size, f), 0.25, 4)
	}
	if f, ok := shapes[word]; ok {
		w.slender = clamp(mul(w.slender, f), 0.5, 2)
	}
	w.glowing = w.glowing || glows[word]
	w.broken = w.broken || worn[word]
	switch {
	case ornate[word]:
		w.rich = 1.5
	case modest[word]:
		w.rich = 0.5
	}
}

func materialOf(word string) (material, bool) {
	if s, ok := materialWords[word]; ok {
		word = s
	}
	m, ok := materials[word]
	return m, ok
}

var (
	sizes = map[string]float64{
		"tiny": 0.5, "small": 0.7, "little": 0.7, "mini": 0.5, "miniature": 0.4, "big": 1.35, "large": 1.4, "huge": 1.8, "giant": 2.2, "gigantic": 2.5,
		"massive": 2, "enormous": 2.2, "colossal": 2.5, "great": 1.3, "short": 0.8,
	}
	shapes = map[string]float64{
		"tall": 1.3, "long": 1.35, "slim": 1.3, "thin": 1.35, "slender": 1.35, "narrow": 1.3, "elegant": 1.15, "short": 0.75, "fat": 0.65, "thick": 0.75,
		"stout": 0.7, "wide": 0.7, "broad": 0.75, "chubby": 0.65, "round": 0.85, "stubby": 0.65, "heavy": 0.8,
	}
	glows  = set("glowing glow luminous shining radiant magic magical enchanted neon glimmering lit burning flaming blazing plasma energy bioluminescent arcane cursed holy laser electric fiery")
	worn   = set("old ancient broken worn ruined weathered cracked damaged rusty abandoned decayed battered rotten mossy antique shattered")
	ornate = set("ornate royal decorated elaborate jewelled jeweled legendary noble epic luxurious fancy baroque detailed intricate king queen imperial")
	modest = set("simple plain basic minimal minimalist poor humble crude primitive clean")
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

var looks = map[string]look{
	"low": lowPolyLook, "lowpoly": lowPolyLook, "poly": lowPolyLook, "faceted": lowPolyLook, "origami": lowPolyLook,
	"fantasy": fantasyLook, "medieval": fantasyLook, "magic": fantasyLook, "magical": fantasyLook, "enchanted": fantasyLook, "elven": fantasyLook, "rune": fantasyLook,
	"sci": scifiLook, "scifi": scifiLook, "futuristic": scifiLook, "cyberpunk": scifiLook, "cyber": scifiLook, "space": scifiLook, "futurist": scifiLook, "robotic": scifiLook,
	"cartoon": cartoonLook, "cute": cartoonLook, "toon": cartoonLook, "stylized": cartoonLook, "stylised": cartoonLook, "toy": cartoonLook, "anime": cartoonLook,
}

// lookOf is the look that the last word about one asks for: the style comes last. "low poly fantasy" is low-poly.
func lookOf(words []string) look {
	found := plainLook
	for _, word := range words {
		if l, ok := looks[word]; ok && found != lowPolyLook {
			found = l
		}
	}
	return found
}

// split gives the words of a text in lower case. What ends a clause is a word too.
func split(text string) []string {
	text = clauses.Replace(strings.ToLower(text))
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != ',' })
	return words[:min(len(words), maxWords)]
}

var clauses = strings.NewReplacer(",", " , ", ".", " , ", ";", " , ", ":", " , ", "(", " , ", "!", " , ", "?", " , ", "\n", " , ")

// has reports whether one of the words is there.
func (w *wish) has(words ...string) bool {
	for _, word := range w.all {
		for _, wanted := range words {
			if word == wanted || singular(word) == wanted {
				return true
			}
		}
	}
	return false
}

// singular takes the ending of the plural off.
func singular(word string) string {
	for _, plural := range [][2]string{{"ies", "y"}, {"ves", "f"}, {"ches", "ch"}, {"shes", "sh"}, {"xes", "x"}, {"sses", "ss"}, {"s", ""}} {
		if stem, ok := strings.CutSuffix(word, plural[0]); ok && len(stem) > 1 && !strings.HasSuffix(word, "ss") {
			return stem + plural[1]
		}
	}
	return word
}

// borders end the part of a sentence that names the thing itself: "a chest with a key" is a chest.
var borders = set(", with of in on for by from under at near and that which having inside beside against over to into behind who holding made wearing carrying standing sitting is")

// general words say little where a better one went before: "a viking warrior" is a viking.
var general = set("warrior soldier hero character person man woman boy girl child player captain building room background scene effect sound")

// subject is the thing that a text is about, among those that are known: the last one named before the first border, or else the first one
// named after it.
func subject[T any](words []string, known map[string]T) (T, string, bool) {
	var found T
	name := ""
	for _, word := range words {
		if borders[word] && name != "" {
			break
		}
		if general[word] && name != "" {
			continue
		}
		for _, form := range []string{word, singular(word)} {
			if thing, ok := known[form]; ok {
				found, name = thing, form
				break
			}
		}
	}
	return found, name, name != ""
}
