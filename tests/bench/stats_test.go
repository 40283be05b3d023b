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

// A round in which the machine was busy slows both sides down; the ratio must not show it.
func TestSummaryPairsTheRounds(t *testing.T) {
	t.Parallel()
	quick, slow := throughput{perSecond: 100, p50: 10, p99: 20}, throughput{perSecond: 10, p50: 100, p99: 200}
	half := func(s throughput) throughput { return throughput{s.perSecond / 2, s.p50 * 2, s.p99 * 2} }
	l := summarise("load", 1, []throughput{half(quick), half(slow), half(slow)}, []throughput{quick, slow, slow})
	if l.ratio.perSecond != 0.5 || l.ratio.p50 != 2 || l.ratio.p99 != 2 {
		t.Errorf("ratios %+v", l.ratio)
	}
	if l.gaia.perSecond != 5 || l.bare.perSecond != 10 || l.bare.p99 != 200 {
		t.Errorf("medians %+v and %+v", l.gaia, l.bare)
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
