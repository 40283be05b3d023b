package domain_test

import (
	"testing"
	"time"

	"gaia/domain"
)

func TestRateRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule     domain.RateRule
		text     string
		interval time.Duration
	}{
		{domain.RateRule{Requests: 60, Period: time.Minute}, "60 per 1 minute", time.Second},
		{domain.RateRule{Requests: 10, Period: time.Second}, "10 per 1 second", 100 * time.Millisecond},
		{domain.RateRule{Requests: 10, Period: 15 * time.Minute}, "10 per 15 minutes", 90 * time.Second},
		{domain.RateRule{Requests: 7, Period: time.Minute}, "7 per 1 minute", 8_571_429 * time.Microsecond}, // up: never more than seven
		{domain.RateRule{Requests: 1, Period: 24 * time.Hour}, "1 per 1 day", 24 * time.Hour},
		{domain.RateRule{Requests: domain.MaxRate, Period: time.Second}, "1000000 per 1 second", time.Microsecond},
		{domain.RateRule{Requests: 3, Period: 100 * time.Millisecond}, "3 per 100ms", 33_334 * time.Microsecond},
	} {
		if c.rule.String() != c.text || c.rule.Interval() != c.interval {
			t.Errorf("%+v: %q, one every %s; want %q, %s", c.rule, c.rule, c.rule.Interval(), c.text, c.interval)
		}
		if n := c.rule.Remaining(0); n != c.rule.Requests {
			t.Errorf("%s: an idle caller has %d", c.rule, n)
		}
		if n := c.rule.Remaining(c.rule.Full() + time.Hour); n != 0 {
			t.Errorf("%s: a caller with too much debt has %d", c.rule, n)
		}
	}
}

func TestRateDecisions(t *testing.T) {
	t.Parallel()
	limits := []domain.RateLimit{
		{Rule: domain.RateRule{Requests: 60, Period: time.Minute}}, {Rule: domain.RateRule{Requests: 10, Period: time.Second}},
	}
	type debts = [domain.MaxRateLimits]time.Duration
	for name, c := range map[string]struct {
		before debts
		want   domain.RateDecision
		wait   time.Duration // for the limit that refuses
	}{
		"idle":       {debts{}, domain.RateDecision{Allowed: true, Debts: debts{time.Second, 100 * time.Millisecond}}, 0},
		"the last":   {debts{59 * time.Second, 0}, domain.RateDecision{Allowed: true, Debts: debts{time.Minute, 100 * time.Millisecond}}, 0},
		"none left":  {debts{time.Minute, 0}, domain.RateDecision{Refused: 0, Debts: debts{time.Minute, 0}}, time.Second},
		"nearly one": {debts{59*time.Second + 1, 0}, domain.RateDecision{Refused: 0, Debts: debts{59*time.Second + 1, 0}}, 1},
		"too fast":   {debts{9 * time.Second, 950 * time.Millisecond}, domain.RateDecision{Refused: 1, Debts: debts{9 * time.Second, 950 * time.Millisecond}}, 50 * time.Millisecond},
		"both":       {debts{time.Minute, time.Second}, domain.RateDecision{Refused: 0, Debts: debts{time.Minute, time.Second}}, time.Second},
	} {
		got := domain.DecideRate(limits, c.before)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if wait := limits[got.Refused].Rule.Wait(got.Debts[got.Refused]); !got.Allowed && wait != c.wait {
			t.Errorf("%s: wait %s, want %s", name, wait, c.wait)
		}
	}
	if got := domain.DecideRate(nil, debts{}); !got.Allowed {
		t.Error("refused without a limit")
	}
}
