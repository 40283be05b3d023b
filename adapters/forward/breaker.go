package forward

import (
	"math/rand/v2"
	"time"
)

const (
	// breakAfter is how many failures in a row it takes.
	breakAfter = 3
	// firstPause is for how long an address is left alone then; each time that it fails again, it is twice as long, up to longestPause.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// trialTime is how long one request may find out whether an address is well again, before another one may.
	trialTime = 5 * time.Second
)

// breaker leaves an address alone that fails. It is not safe for concurrent use.
type breaker struct {
	failures int
	openings int // in a row
	open     bool
	answers  bool // it is open for what the address answers, which no probe can judge
	until    time.Time
	trial    time.Time // when the request began that tries it; zero: none does
}

// usable reports whether requests may go there, or one of them.
func (b *breaker) usable(now time.Time) (yes, asTrial bool) {
	if !b.open {
		return true, false
	}
	return !now.Before(b.until) && (b.trial.IsZero() || now.Sub(b.trial) >= trialTime), true
}

// failed counts a failure and reports whether it opened the breaker.
func (b *breaker) failed(now time.Time, answer bool) bool {
	b.failures++
	if b.open && b.trial.IsZero() || b.failures < breakAfter {
		return false // of requests that were on their way, or not enough
	}
	b.trip(now, answer)
	return true
}

// trip opens it.
func (b *breaker) trip(now time.Time, answer bool) {
	pause := min(firstPause<<min(b.openings, 10), longestPause)
	pause -= time.Duration(rand.Int64N(int64(pause)/5 + 1)) // #nosec G404 -- keeps gateways from coming back all at once
	b.open, b.answers, b.trial = true, answer, time.Time{}
	b.until = now.Add(pause)
	b.openings++
}

// succeeded closes it for good.
func (b *breaker) succeeded() { *b = breaker{} }

// alive is told by a probe. What was unreachable may be asked again at once; what answered wrongly when its pause is over, and the first
// failure opens it again.
func (b *breaker) alive(now time.Time) {
	if !b.open || b.answers && now.Before(b.until) {
		return
	}
	b.open, b.trial = false, time.Time{}
	b.failures = breakAfter - 1
	if !b.answers {
		b.failures, b.openings = 0, 0
	}
}
