package portstest

import (
	"context"
	"testing"
	"time"

	"gaia/ports"
)

// Marks checks everything that ports.Marks demands, except how a store that is away behaves: only its adapter can bring that about.
// empty makes a store without marks and runs once for each test.
func Marks(t *testing.T, empty func(*testing.T) ports.Marks) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.Marks){
		"a mark that nobody set is zero":           markUnset,
		"the last setting counts":                  markLast,
		"marks come back in UTC with microseconds": markTimes,
		"marks are told apart letter by letter":    markNames,
		"a caller who left is told so":             markCanceled,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func wantMark(t *testing.T, m ports.Marks, name string, want time.Time) {
	t.Helper()
	if got, err := m.Mark(t.Context(), name); err != nil || got != want { // the zone too, which Equal would not look at
		t.Errorf("mark %q is %v, %v; want %v", name, got, err, want)
	}
}

func setMark(t *testing.T, m ports.Marks, name string, at time.Time) {
	t.Helper()
	if err := m.SetMark(t.Context(), name, at); err != nil {
		t.Fatalf("set mark %q: %v", name, err)
	}
}

func markUnset(t *testing.T, m ports.Marks) {
	setMark(t, m, "other", someTime)
	wantMark(t, m, "performance", time.Time{})
}

func markLast(t *testing.T, m ports.Marks) {
	for _, at := range []time.Time{someTime, someTime.Add(time.Hour), someTime.Add(-time.Hour)} {
		setMark(t, m, "performance", at)
		wantMark(t, m, "performance", at)
	}
}

func markTimes(t *testing.T, m ports.Marks) {
	setMark(t, m, "performance", time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", 7*3600)))
	wantMark(t, m, "performance", time.Date(2024, 2, 29, 16, 59, 59, 999999000, time.UTC))
}

func markNames(t *testing.T, m ports.Marks) {
	names := []string{"a", "A", "a ", "ä", ""}
	for i, name := range names {
		setMark(t, m, name, someTime.Add(time.Duration(i)*time.Second))
	}
	for i, name := range names {
		wantMark(t, m, name, someTime.Add(time.Duration(i)*time.Second))
	}
}

func markCanceled(t *testing.T, m ports.Marks) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Mark(ctx, "performance")
	wantCanceled(t, "Mark", err)
	wantCanceled(t, "SetMark", m.SetMark(ctx, "performance", someTime))
	wantMark(t, m, "performance", time.Time{})
}
