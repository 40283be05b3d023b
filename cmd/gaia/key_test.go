package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
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
	if first[len(first)-6:] != checksum(first[:len(first)-7]) {
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

// The checksum is part of the form of keys that other programs read: CRC-32 (IEEE) in base 62.
func TestChecksum(t *testing.T) {
	t.Parallel()
	if got := checksum(""); got != "AAAAAA" {
		t.Errorf("checksum of nothing is %q", got)
	}
	if a, b := checksum("gaia_dev_a"), checksum("gaia_dev_b"); a == b {
		t.Errorf("two texts have checksum %q", a)
	}
}
