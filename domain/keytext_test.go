package domain

import (
	"regexp"
	"strings"
	"testing"
)

const (
	someRandom = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	oldKey     = "gaia_production_" + someRandom
)

func TestKeyText(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string]string{
		"dev":  "gaia_dev_" + someRandom + "_Di0h8c",
		"live": "gaia_live_" + someRandom + "_AKvJd4",
	} {
		key := KeyText(environment, someRandom)
		if key != want {
			t.Errorf("got %s, want %s: the checksum must stay what scanners know", key, want)
		}
		if !HasKeyShape(key) || IsMistypedKey(key) || KeyBeginning(key) != "gaia_"+environment+"_ABCD" {
			t.Errorf("%s: shape %v, mistyped %v, beginning %q", key, HasKeyShape(key), IsMistypedKey(key), KeyBeginning(key))
		}
	}
}

// TestEveryTypoIsSeen: a CRC sees every change of one character, and every swap of neighbours.
func TestEveryTypoIsSeen(t *testing.T) {
	t.Parallel()
	key := KeyText("live", someRandom)
	for i := len("gaia_live_"); i < len(key); i++ {
		if key[i] == '_' {
			continue
		}
		for _, c := range KeyAlphabet {
			if typo := key[:i] + string(c) + key[i+1:]; typo != key && !IsMistypedKey(typo) {
				t.Errorf("%s passes for %s", typo, key)
			}
		}
		if i+1 < len(key) && key[i] != key[i+1] && key[i+1] != '_' {
			if typo := key[:i] + key[i+1:i+2] + key[i:i+1] + key[i+2:]; !IsMistypedKey(typo) {
				t.Errorf("%s passes for %s", typo, key)
			}
		}
	}
}

func TestShapeOfKeys(t *testing.T) {
	t.Parallel()
	key := KeyText("my-stage-2", someRandom)
	for text, want := range map[string]struct{ shape, mistyped bool }{
		"":                                 {},
		"gaia_":                            {},
		key:                                {shape: true},
		oldKey:                             {shape: true},
		key[:len(key)-1]:                   {},
		key + "x":                          {},
		key + "\n":                         {},
		" " + key:                          {},
		strings.ToUpper(key):               {},
		strings.ToLower(key):               {shape: true, mistyped: true},
		strings.Replace(key, "_", "__", 1): {},
		oldKey + "_AAAAAA":                 {shape: true, mistyped: true},
		oldKey + "_AAAAA":                  {},
		"gaia__" + someRandom:              {},
		"gaia_" + strings.Repeat("x", 200) + "_" + someRandom: {},
		strings.Replace(key, "A", "А", 1):                     {}, // Cyrillic
	} {
		if HasKeyShape(text) != want.shape || IsMistypedKey(text) != want.mistyped {
			t.Errorf("%q: shape %v, mistyped %v, want %+v", text, HasKeyShape(text), IsMistypedKey(text), want)
		}
	}
	if got := KeyBeginning(oldKey); got != "gaia_production_ABCD" {
		t.Errorf("beginning %q", got)
	}
	if got := KeyBeginning("sk-something-else-that-is-long-enough"); got != "" {
		t.Errorf("beginning %q of a foreign key", got)
	}
}

// TestPatternForScanners: it finds keys in text, and every part of the pattern is understood by scanners without look-around.
func TestPatternForScanners(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(KeyPattern)
	key := KeyText("live", someRandom)
	for text, want := range map[string]string{
		`{"api_key":"` + key + `"}`: key, "X-API-Key: " + key + "\n": key, "key=" + key + "&x=1": key,
		"no key here": "", "gaia_live_short": "", key + "x": "", "my" + key: "", "GAIA_DATA_DIR=./data": "",
	} {
		if got := pattern.FindString(text); got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
	if strings.Contains(KeyPattern, "(?") {
		t.Error("look-around is not known everywhere")
	}
}

func TestKeyEnvironment(t *testing.T) {
	t.Parallel()
	for deployment, want := range map[string]string{
		"": "dev", "development": "dev", "Production": "live", " production ": "live", "staging": "staging", "testing": "test",
		"My Stage_2": "mystage2", "eu-west-1": "eu-west-1", "世界": "dev", strings.Repeat("long", 10): "longlonglonglong",
	} {
		if got := KeyEnvironment(deployment); got != want {
			t.Errorf("%q: got %q, want %q", deployment, got, want)
		}
		if key := KeyText(KeyEnvironment(deployment), someRandom); !HasKeyShape(key) || IsMistypedKey(key) || !regexp.MustCompile(KeyPattern).MatchString(key) {
			t.Errorf("%q makes %q", deployment, key)
		}
	}
}

func FuzzIsMistypedKey(f *testing.F) {
	f.Add(KeyText("live", someRandom))
	f.Add(oldKey)
	f.Add("gaia_dev_EXAMPLEEXAMPLEEXAMPLEEXAMPLE1234_0a1b2c")
	f.Fuzz(func(t *testing.T, s string) {
		if IsMistypedKey(s) && !HasKeyShape(s) {
			t.Errorf("%q is mistyped without the shape", s)
		}
		if b := KeyBeginning(s); !strings.HasPrefix(s, b) || len(b) > len(s)-28 && b != "" {
			t.Errorf("%q begins with %q", s, b)
		}
	})
}
