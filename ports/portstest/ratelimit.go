package portstest

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// RateLimiter checks everything that ports.RateLimiter demands but for jumps of the clock, which tests can't make everywhere. setup
// runs once for each test and gives the limiters of two processes that share their counters; the same one twice when none can.
func RateLimiter(t *testing.T, setup func(t *testing.T) (a, b ports.RateLimiter)) {
	t.Helper()
	tests := map[string]func(t *testing.T, a, b ports.RateLimiter){
		"lets through what the rule allows and nothing more": rateAllows,
		"gives back evenly":                                    rateGivesBack,
		"a refused request counts nowhere":                     rateRefusedCountsNowhere,
		"names the limit that takes longest":                   rateNamesLongest,
		"counters of other names and ids are apart":            rateCountersApart,
		"requests at the same moment get what the rule allows": rateTogether,
		"two rules at the same moment":                         rateTwoTogether,
		"a rule that changes holds at once":                    rateRuleChanges,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := setup(t)
			test(t, a, b)
		})
	}
}

// hourly is a rule under which nothing is won back while a test runs.
func hourly(name string, requests int) domain.RateRule {
	return domain.RateRule{Name: name, Requests: requests, Period: 1000 * time.Hour}
}

func ofSomebody(rule domain.RateRule) domain.RateLimit {
	return domain.RateLimit{Rule: rule, ID: "somebody"}
}

func takeRate(t *testing.T, l ports.RateLimiter, limits ...domain.RateLimit) domain.RateDecision {
	t.Helper()
	return l.Take(t.Context(), limits)
}

func rateAllows(t *testing.T, a, b ports.RateLimiter) {
	rule := hourly("five", 5)
	for i := range 8 {
		l := a
		if i%2 == 1 {
			l = b
		}
		d := takeRate(t, l, ofSomebody(rule))
		left := max(4-i, 0)
		if d.Allowed != (i < 5) || rule.Remaining(d.Debts[0]) != left {
			t.Errorf("request %d: %+v, want %d left", i+1, d, left)
		}
		if wait := rule.Wait(d.Debts[0]); i >= 5 && (wait <= rule.Interval()-time.Minute || wait > rule.Interval()) {
			t.Errorf("request %d has to wait %s, one takes %s", i+1, wait, rule.Interval())
		}
	}
}

func rateGivesBack(t *testing.T, a, b ports.RateLimiter) {
	rule := domain.RateRule{Name: "quick", Requests: 4, Period: 400 * time.Millisecond}
	begun := time.Now()
	allowed, most := 0, 0
	enough := rule.Requests + 2
	for time.Since(begun) < time.Second || allowed < enough && time.Since(begun) < Patience { // a busy machine loses time
		d := takeRate(t, a, ofSomebody(rule))
		if d.Allowed {
			allowed++
		}
		most = rule.Requests + int(time.Since(begun)/rule.Interval())
		if allowed > most {
			t.Fatalf("%d requests after %s, want %d at the most", allowed, time.Since(begun), most)
		}
		if wait := rule.Wait(d.Debts[0]); !d.Allowed && wait > rule.Interval() {
			t.Fatalf("a request has to wait %s, one takes %s", wait, rule.Interval())
		}
		a, b = b, a
	}
	if allowed < enough {
		t.Errorf("only %d of %d requests", allowed, most)
	}
}

func rateRefusedCountsNowhere(t *testing.T, a, b ports.RateLimiter) {
	wide, narrow := hourly("wide", 5), hourly("narrow", 1)
	takeRate(t, a, ofSomebody(wide), ofSomebody(narrow))
	for range 10 {
		if d := takeRate(t, b, ofSomebody(wide), ofSomebody(narrow)); d.Allowed || d.Refused != 1 || wide.Remaining(d.Debts[0]) != 4 {
			t.Fatalf("%+v, want a refusal by the second limit and 4 left in the first", d)
		}
	}
	if d := takeRate(t, a, ofSomebody(wide)); !d.Allowed || wide.Remaining(d.Debts[0]) != 3 {
		t.Errorf("%+v, want 3 left", d)
	}
}

func rateNamesLongest(t *testing.T, a, b ports.RateLimiter) {
	short := domain.RateRule{Name: "short", Requests: 1, Period: time.Hour}
	long := domain.RateRule{Name: "long", Requests: 1, Period: 24 * time.Hour}
	takeRate(t, a, ofSomebody(short), ofSomebody(long))
	if d := takeRate(t, b, ofSomebody(short), ofSomebody(long)); d.Allowed || d.Refused != 1 {
		t.Errorf("%+v, want the second", d)
	}
	if d := takeRate(t, b, ofSomebody(long), ofSomebody(short)); d.Allowed || d.Refused != 0 {
		t.Errorf("%+v, want the first", d)
	}
}

func rateCountersApart(t *testing.T, a, b ports.RateLimiter) {
	one, other := hourly("one", 1), hourly("other", 1)
	for _, l := range []domain.RateLimit{{Rule: one, ID: "x"}, {Rule: one, ID: "y"}, {Rule: other, ID: "x"}, {Rule: one, ID: ""}, {Rule: one, ID: "x:y ö\x00"}} {
		if d := takeRate(t, a, l); !d.Allowed {
			t.Errorf("%+v: the first request is refused", l)
		}
		if d := takeRate(t, b, l); d.Allowed {
			t.Errorf("%+v: the second request is let through", l)
		}
	}
}

func rateTogether(t *testing.T, a, b ports.RateLimiter) {
	const requests, callers = 40, 100
	rule := hourly("crowd", requests)
	if n := crowd(callers, func(i int) bool {
		return either(i, a, b).Take(t.Context(), []domain.RateLimit{ofSomebody(rule)}).Allowed
	}); n != requests {
		t.Errorf("%d of %d requests, want %d", n, callers, requests)
	}
}

func rateTwoTogether(t *testing.T, a, b ports.RateLimiter) {
	// Everybody shares the wide rule; each of ten has a narrow one too, and together these stay below it.
	const each, groups, callers = 3, 10, 200
	wide, narrow := hourly("wide", 100), hourly("narrow", each)
	if n := crowd(callers, func(i int) bool {
		own := domain.RateLimit{Rule: narrow, ID: strconv.Itoa(i % groups)}
		return either(i/groups, a, b).Take(t.Context(), []domain.RateLimit{ofSomebody(wide), own}).Allowed
	}); n != each*groups {
		t.Errorf("%d requests, want %d", n, each*groups)
	}
	if d := takeRate(t, a, ofSomebody(wide)); wide.Remaining(d.Debts[0]) != 100-each*groups-1 {
		t.Errorf("%d left, want %d: refused requests have counted", wide.Remaining(d.Debts[0]), 100-each*groups-1)
	}
}

func rateRuleChanges(t *testing.T, a, b ports.RateLimiter) {
	before, after := hourly("same", 100), domain.RateRule{Name: "same", Requests: 2, Period: time.Minute}
	for range 50 {
		takeRate(t, a, ofSomebody(before))
	}
	d := takeRate(t, b, ofSomebody(after))
	if wait := after.Wait(d.Debts[0]); d.Allowed || wait > after.Interval() {
		t.Errorf("%+v: have to wait %s, want a refusal and %s at the most", d, wait, after.Interval())
	}
}

func either(i int, a, b ports.RateLimiter) ports.RateLimiter {
	if i%2 == 0 {
		return a
	}
	return b
}

// crowd calls take from many goroutines at once and counts how often it says yes.
func crowd(callers int, take func(i int) bool) int {
	var wg sync.WaitGroup
	var yes atomic.Int64
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			if take(i) {
				yes.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(yes.Load())
}
