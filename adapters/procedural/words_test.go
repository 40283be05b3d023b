package procedural

import (
	"strings"
	"testing"

	"gaia/domain"
)

func wishFor(category domain.AssetCategory, style, description string, seed int64) *wish {
	return understand(domain.AssetRequest{Category: category, Style: style, Description: description}, seed)
}

func TestArchetypes(t *testing.T) {
	t.Parallel()
	for description, want := range map[string]string{
		"a glowing sword": "sword", "Excalibur, the sword in the stone": "sword", "two swords": "sword", "golden axe": "axe",
		"shield with a sword on it": "shield", "a bottle of poison": "potion", "a cup of tea": "mug", "wooden chest with a golden key": "chest",
		"coffee table": "table", "tree house": "house", "an oak tree": "tree", "oak table": "table", "street lamp": "lamp", "torches": "torch",
		"bookshelves": "shelf", "a castle by the lake": "castle", "red sports car": "car", "pirate ship": "ship", "space rocket": "rocket",
		"crystal ring": "ring", "crown of the king": "crown", "ein unbekanntes Ding": "artefact", "": "artefact", "\x00\xff💥": "artefact",
	} {
		if got := wishFor(domain.AssetProp, "realistic", description, 1).archetype().name; got != want {
			t.Errorf("%q: %s, want %s", description, got, want)
		}
	}
	if got := wishFor(domain.AssetCharacter, "x", "a viking warrior", 1).calling().name; got != "viking" {
		t.Error(got)
	}
	for description, want := range map[string]string{"mossy stone wall": "brick", "wooden floor": "wood", "dragon scales": "scales", "nothing known": "pattern"} {
		if got := wishFor(domain.AssetTexture, "x", description, 1).weave().name; got != want {
			t.Errorf("%q: %s, want %s", description, got, want)
		}
	}
	for description, want := range map[string]string{"heavy rain on a roof": "rain", "laser shot": "explosion", "church bell": "bell", "zzz": "melody"} {
		if got := wishFor(domain.AssetAudio, "x", description, 1).tune().name; got != want {
			t.Errorf("%q: %s, want %s", description, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"rain for 3 seconds": 3, "2s beep": 2, "500 ms click": 0.5, "1 minute of wind": 60, "10 minutes of wind": 120, "no 5 numbers": 7, "0 seconds": 7,
		strings.Repeat("9", 400) + " seconds": 7, "1e9": 7,
	} {
		if got := wishFor(domain.AssetAudio, "x", text, 1).duration(7); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestNoWordMeansTwoThings(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for word, kind := range archetypes {
		seen[word] = kind.name
	}
	for _, w := range []string{"sword", "tree", "car", "key"} {
		if seen[w] == "" {
			t.Errorf("%s is not known", w)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a word with two meanings is taken")
		}
	}()
	named([]entry[int]{{"a b", 1}, {"b", 2}})
}
