package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"gaia/domain"
)

func TestGlobalKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, made, err := globalKey(config{}, dir)
	if err != nil || !made {
		t.Fatalf("made %v, error %v", made, err)
	}
	if !regexp.MustCompile(`^gaia_dev_[A-Za-z0-9]{32}_[A-Za-z0-9]{6}$`).MatchString(first) {
		t.Errorf("key %q has another form", first)
	}
	if domain.IsMistypedKey(first) {
		t.Errorf("key %q has a wrong checksum", first)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	again, made, err := globalKey(config{}, dir)
	if err != nil || made || again != first {
		t.Errorf("the second start has %q, made %v, error %v", again, made, err)
	}
}

func TestGlobalKeyFromTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []config{{APIKey: "chosen"}, {Environment: "production"}} {
		key, made, err := globalKey(c, dir)
		if key != c.APIKey || made || err != nil {
			t.Errorf("%+v: key %q, made %v, error %v", c, key, made, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("files were written: %v, %v", entries, err)
	}
}

// TestAVisitorSignsAsTheServerDoes where its links lead there, and keeps no key.
func TestAVisitorSignsAsTheServerDoes(t *testing.T) {
	t.Parallel()
	alone, linking := config{}, config{PublicURL: "https://gaia.example.com"}
	dir := t.TempDir()
	for _, c := range []config{alone, linking} {
		if key, err := visitorKey(c, dir); err != nil || domain.IsMistypedKey(key) || len(key) < 32 {
			t.Errorf("without a server: %q, %v", key, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("files were written: %v, %v", entries, err)
	}
	of, _, err := globalKey(config{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := visitorKey(linking, dir); key != of || err != nil {
		t.Errorf("beside a server: %q, not %q, %v", key, of, err)
	}
	if key, err := visitorKey(alone, dir); key == of || err != nil {
		t.Errorf("without links there: %q, %v", key, err)
	}
	linking.APIKey = "chosen"
	if key, err := visitorKey(linking, dir); key != "chosen" || err != nil {
		t.Errorf("with a key of its own: %q, %v", key, err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := visitorKey(config{PublicURL: "https://gaia.example.com"}, dir); err == nil {
		t.Errorf("an empty file is the key %q", key)
	}
	if _, err := visitorKey(alone, dir); err != nil {
		t.Errorf("a file that it does not need: %v", err)
	}
}

func TestEmptyKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, keyFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := globalKey(config{}, dir); err == nil {
		t.Error("an empty key is taken")
	}
}

func TestNewKeysAreWellFormedAndAllDifferent(t *testing.T) {
	t.Parallel()
	seen, used := map[string]bool{}, map[rune]bool{}
	for range 1000 {
		key := newKey("live")
		if seen[key] || !domain.HasKeyShape(key) || domain.IsMistypedKey(key) {
			t.Fatalf("key %q", key)
		}
		seen[key] = true
		for _, c := range key[len("gaia_live_"):][:32] {
			used[c] = true
		}
	}
	if len(used) != len(domain.KeyAlphabet) {
		t.Errorf("%d characters are used of %d", len(used), len(domain.KeyAlphabet))
	}
}
