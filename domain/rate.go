package domain

import (
	"fmt"
	"time"
)

// MaxRateLimits is how many limits one request may have to meet.
const MaxRateLimits = 4

// RateRule lets so many requests of one caller through in a period (GCRA, the generic cell rate algorithm): an idle caller may send
// all of them at once, and wins them back one by one, evenly. In no span of time are there more than Requests and as many as can be
// won back in it.
type RateRule struct {
	Name     string // of its counters: a short word that no other rule has
	Requests int    // from 1 to MaxRate for each second of Period
	Period   time.Duration
}

// MaxRate is the most requests a second that a rule can tell apart.
const MaxRate = 1_000_000

// Interval is how long it takes to win one request back, rounded up to whole microseconds, in which Redis counts.
func (r RateRule) Interval() time.Duration {
	n := time.Duration(r.Requests) * time.Microsecond
	return (r.Period + n - 1) / n * time.Microsecond //nolint:durationcheck // a quotient of durations is a number
}

// Full is the debt of a caller who has nothing left.
func (r RateRule) Full() time.Duration { return r.Interval() * time.Duration(r.Requests) }

// Remaining is how many requests a caller with this debt may still send at once.
func (r RateRule) Remaining(debt time.Duration) int {
	return int(max(r.Full()-debt, 0) / r.Interval())
}

// Wait is how long a caller with this debt has to wait for the next request; zero when there is one left.
func (r RateRule) Wait(debt time.Duration) time.Duration {
	return max(debt+r.Interval()-r.Full(), 0)
}

// String is the rule for people: "60 per 1 minute".
func (r RateRule) String() string {
	for _, unit := range []struct {
		name string
		span time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := r.Period / unit.span; n > 0 && r.Period%unit.span == 0 {
			return fmt.Sprintf("%d per %d %s", r.Requests, n, plural(unit.name, int(n)))
		}
	}
	return fmt.Sprintf("%d per %s", r.Requests, r.Period)
}

func plural(noun string, n int) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// RateLimit is a rule for somebody.
type RateLimit struct {
	Rule RateRule
	ID   string // whose requests count together
}

// RateDecision says whether a request may go on, and where its caller stands.
type RateDecision struct {
	Allowed bool
	// Refused is the limit, by its index, that makes the caller wait longest. It says nothing when the request is allowed.
	Refused int
	// Debts says for each limit how long it takes, after this request, until the caller has everything back.
	Debts [MaxRateLimits]time.Duration
}

// DecideRate counts one request in each limit, given the debts until now, or in none when any of them refuses.
func DecideRate(limits []RateLimit, debts [MaxRateLimits]time.Duration) RateDecision {
	d := RateDecision{Allowed: true, Debts: debts}
	var longest time.Duration
	for i, l := range limits {
		if wait := l.Rule.Wait(debts[i]); wait > longest {
			longest, d.Allowed, d.Refused = wait, false, i
		}
	}
	if d.Allowed {
		for i, l := range limits {
			d.Debts[i] += l.Rule.Interval()
		}
	}
	return d
}
