package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPricesThatCanNotBeUsedAreNamed(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(broken, []byte(`{"version": "1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{broken: "effective is missing", broken + "x": "no such file"} {
		if _, err := loadPrices(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PRICES_FILE") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
