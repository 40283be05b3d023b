package forward

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	var b breaker
	usable := func(want, wantTrial bool) {
		t.Helper()
		if got, trial := b.usable(now); got != want || got && trial != wantTrial {
			t.Fatalf("usable: %v %v, want %v %v", got, trial, want, wantTrial)
		}
	}
	for i := range breakAfter - 1 {
		if b.failed(now, true) {
			t.Fatalf("open after %d", i+1)
		}
	}
	b.succeeded()
	for range breakAfter - 1 { // only failures in a row count
		b.failed(now, true)
	}
	usable(true, false)
	if !b.failed(now, true) {
		t.Fatal("not opened")
	}
	usable(false, false)
	b.alive(now) // what answers wrongly and is alive still answers wrongly
	usable(false, false)
	for pause := firstPause; pause < 4*longestPause; pause *= 2 {
		bounded := min(pause, longestPause)
		if left := b.until.Sub(now); left > bounded || left < bounded*8/10 {
			t.Fatalf("a pause of %v, want about %v", left, bounded)
		}
		now = now.Add(bounded)
		usable(true, true)
		b.trial = now
		usable(false, false) // one is enough
		if !b.failed(now, true) {
			t.Fatal("a trial that fails does not open it")
		}
		b.failed(now, true) // of another one that was on its way; it makes no pause longer
		usable(false, false)
	}
	now = now.Add(longestPause)
	b.trial = now
	now = now.Add(trialTime)
	usable(true, true) // the trial takes too long
	b.alive(now)
	usable(true, false)
	if !b.failed(now, true) {
		t.Fatal("on probation, one failure is enough")
	}
	now = now.Add(longestPause)
	b.trial = now
	b.succeeded()
	usable(true, false)
	if b.openings != 0 {
		t.Error("what lies behind still counts")
	}

	b.trip(now, false)
	usable(false, false)
	b.alive(now) // what could not be reached can be
	usable(true, false)
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := budget{tokens: budgetSize}
	spent := 0
	for b.spend() {
		spent++
	}
	for range 1000 {
		b.earn()
		if b.spend() {
			spent++
		}
	}
	if want := budgetSize + int(1000*budgetShare); spent > want || spent < want-2 {
		t.Errorf("%d attempts more, want %d", spent, want)
	}
}

func TestWholeEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, fresh string
		want          int
	}{
		{"", "data: 1\n\n", 9},
		{"data: 1\n", "\n", 9},
		{"data: 1\n", "\ndata: 2", 9},
		{"data: 1\r\n\r", "\ndata", 11},
		{"data: 1", "2\ndata: 3", 0},
		{"", "", 0},
		{"", "\n\n", 2},
	} {
		if got := wholeEvents([]byte(c.before+c.fresh), len(c.fresh)); got != c.want {
			t.Errorf("%q + %q: %d, want %d", c.before, c.fresh, got, c.want)
		}
	}
}
