package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 100 … 1
	}
	for _, c := range []struct {
		name   string
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{"nothing", nil, 50, 0},
		{"one value", []time.Duration{7}, 99, 7},
		{"half of an even number takes the lower", []time.Duration{4, 1, 3, 2}, 50, 2},
		{"half of an odd number takes the middle", []time.Duration{9, 1, 5}, 50, 5},
		{"p50 of a hundred", hundred, 50, 50},
		{"p99 of a hundred is not the slowest", hundred, 99, 99},
		{"p100 is the slowest", hundred, 100, 100},
		{"p0 is the fastest", hundred, 0, 1},
		{"p99 of a few is the slowest", []time.Duration{1, 2, 30}, 99, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(c.values)
			if got := percentile(c.values, c.p); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			if !slices.Equal(before, c.values) {
				t.Error("the values were put in another order")
			}
		})
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"ratio", ratio(3.0, 4.0), 0.75},
		{"ratio of durations", ratio(time.Second, 4*time.Second), 0.25},
		{"ratio to nothing", ratio(3.0, 0), 0},
		{"saved", saved(1955*time.Millisecond, 60*time.Millisecond), 96.93},
		{"saved nothing", saved(5.0, 5.0), 0},
		{"grew", saved(4.0, 5.0), -25},
		{"saved of nothing", saved(0.0, 5.0), 0},
	} {
		if math.Abs(c.got-c.want) > 0.005 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// A busy moment slows one round of both sides down, so each round has a ratio of its own.
func TestSummaryPairsTheRounds(t *testing.T) {
	t.Parallel()
	perSecond := func(values ...float64) []throughput {
		rounds := make([]throughput, len(values))
		for i, v := range values {
			rounds[i] = throughput{perSecond: v, p50: time.Duration(1000 / v), p99: time.Duration(2000 / v)}
		}
		return rounds
	}
	c := summarise("load", 16, perSecond(50, 8, 60), perSecond(100, 10, 80))
	if c.gaia.perSecond != 50 || c.bare.perSecond != 80 {
		t.Errorf("medians %v and %v, want 50 and 80", c.gaia.perSecond, c.bare.perSecond)
	}
	if c.perSecond != 0.75 { // of 0.5, 0.8 and 0.75; the medians would give 0.625
		t.Errorf("ratio %v, want 0.75", c.perSecond)
	}
	if c.gaia.p50 != 20 || c.bare.p99 != 25 {
		t.Errorf("medians of latencies: p50 %d, p99 %d", c.gaia.p50, c.bare.p99)
	}
	if c.p50 < 1.3 || c.p50 > 1.34 { // of 20/10, 125/100 and 16/12
		t.Errorf("ratio of p50 %v, want 16/12", c.p50)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	if got := atMost(60, 60); got != "met" {
		t.Errorf("60 of at most 60: %s", got)
	}
	if got := atMost(60.1, 60); got != "missed" {
		t.Errorf("60.1 of at most 60: %s", got)
	}
	if got := atLeast(96.9, 97); got != "missed" {
		t.Errorf("96.9 of at least 97: %s", got)
	}
	if got := atLeast(97, 97); got != "met" {
		t.Errorf("97 of at least 97: %s", got)
	}
}

func TestTableIsAligned(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	tab := table{head: []string{"what", "µs"}}
	tab.add("a", "1")
	tab.add("longer", "12345")
	if err := tab.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "| what   |    µs |\n|--------|------:|\n| a      |     1 |\n| longer | 12345 |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
