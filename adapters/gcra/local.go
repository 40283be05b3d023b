package gcra

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

const (
	// maxCallers is how many counters are kept when Local is not told otherwise: about 50 MB at the most.
	maxCallers = 1 << 20
	// parts is how many maps share them, so that looking through one of them takes a fraction of a millisecond.
	parts = 64
	// firstSweep is how many counters a part has before it is worth while to look for those that say nothing any more.
	firstSweep = 64
	// sweepEvery is how often it is worth while in a part that is full. Whoever fills it must not make every request look through it.
	sweepEvery = 10 * time.Second
	// sampled is how many counters compete for being forgotten when all are in use.
	sampled = 8
)

// Local counts in the memory of this process. The number of counters has an upper limit: one that is back at its beginning is
// forgotten without loss, and when all of them say something, the one that says least of a few. Callers are told apart by 64 bits
// of a hash whose seed nobody knows: of a million callers at once, two share a counter with a probability below 1 in 10 million.
type Local struct {
	now     ports.Clock
	begin   time.Time
	seed    maphash.Seed
	perPart int

	mu    sync.Mutex // one for all: several counters have to change together
	parts [parts]part
}

// part is some of the counters.
type part struct {
	counters map[uint64]counter
	sweepAt  int           // number of counters
	swept    time.Duration // when it was last looked through
}

// counter is what is known of one caller under one rule.
type counter struct {
	clear time.Duration // when, since the first look at the clock, everything is won back
	owed  bool          // the shared limiter does not know all of it
}

// NewLocal makes a limiter with room for so many counters; 2^20 when zero.
func NewLocal(now ports.Clock, callers int) *Local {
	if callers <= 0 {
		callers = maxCallers
	}
	l := &Local{now: now, begin: now(), seed: maphash.MakeSeed(), perPart: max(callers/parts, 1)}
	for i := range l.parts {
		l.parts[i] = part{counters: map[uint64]counter{}, sweepAt: min(firstSweep, l.perPart)}
	}
	return l
}

// elapsed is the time of counters. Differences of times are measured with the monotonic clock: setting the machine's changes nothing.
func (l *Local) elapsed() time.Duration { return l.now().Sub(l.begin) }

// Take implements ports.RateLimiter.
func (l *Local) Take(_ context.Context, limits []domain.RateLimit) domain.RateDecision {
	return l.take(limits, false)
}

// take decides and counts. owed marks what the shared limiter has to be told of.
func (l *Local) take(limits []domain.RateLimit, owed bool) domain.RateDecision {
	keys := l.keys(limits)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.elapsed()
	var debts [domain.MaxRateLimits]time.Duration
	var owing [domain.MaxRateLimits]bool
	for i := range limits {
		debts[i], owing[i] = l.debt(keys[i], limits[i].Rule, now)
	}
	d := domain.DecideRate(limits, debts)
	if d.Allowed {
		for i := range limits {
			l.put(keys[i], counter{now + d.Debts[i], owed || owing[i]}, now)
		}
	}
	return d
}

// owed is what the shared limiter has to be told of these limits.
func (l *Local) owed(limits []domain.RateLimit) (debts [domain.MaxRateLimits]time.Duration) {
	keys := l.keys(limits)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.elapsed()
	for i := range limits {
		if debt, owing := l.debt(keys[i], limits[i].Rule, now); owing {
			debts[i] = debt
		}
	}
	return debts
}

// learn takes over what the shared limiter says. What this process knows besides stays: requests overtake each other.
func (l *Local) learn(limits []domain.RateLimit, debts [domain.MaxRateLimits]time.Duration) {
	keys := l.keys(limits)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.elapsed()
	for i := range limits {
		debt, owing := min(debts[i], limits[i].Rule.Full()), false
		if known, owed := l.debt(keys[i], limits[i].Rule, now); known > debt {
			debt, owing = known, owed
		}
		if debt > 0 {
			l.put(keys[i], counter{now + debt, owing}, now)
		}
	}
}

func (l *Local) keys(limits []domain.RateLimit) (keys [domain.MaxRateLimits]uint64) {
	for i, limit := range limits {
		var h maphash.Hash
		h.SetSeed(l.seed)
		_, _ = h.WriteString(limit.Rule.Name) // never fails
		_ = h.WriteByte(0)
		_, _ = h.WriteString(limit.ID)
		keys[i] = h.Sum64()
	}
	return keys
}

func (l *Local) debt(key uint64, rule domain.RateRule, now time.Duration) (debt time.Duration, owed bool) {
	c := l.parts[key%parts].counters[key]
	if c.clear <= now {
		return 0, false
	}
	if full := rule.Full(); c.clear > now+full { // the clock went back, or the rule is another one now
		c.clear = now + full
		l.parts[key%parts].counters[key] = c
	}
	return c.clear - now, c.owed
}

func (l *Local) put(key uint64, c counter, now time.Duration) {
	p := &l.parts[key%parts]
	if _, known := p.counters[key]; !known && len(p.counters) >= p.sweepAt {
		if p.sweepAt < l.perPart || now-p.swept >= sweepEvery || now < p.swept {
			p.sweep(now, l.perPart)
		}
		if len(p.counters) >= l.perPart {
			p.forget()
		}
	}
	p.counters[key] = c
}

// sweep forgets what says nothing any more.
func (p *part) sweep(now time.Duration, most int) {
	kept := make(map[uint64]counter, len(p.counters)/2) // a map does not shrink
	for key, c := range p.counters {
		if c.clear > now {
			kept[key] = c
		}
	}
	p.counters, p.swept = kept, now
	p.sweepAt = min(max(2*len(kept), firstSweep), most)
}

// forget drops the counter that says least of a few: whoever comes with many addresses drops their own, not that of a heavy user.
func (p *part) forget() {
	var least uint64
	var clear time.Duration
	seen := 0
	for key, c := range p.counters { // begins anywhere
		if seen == 0 || c.clear < clear {
			least, clear = key, c.clear
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(p.counters, least)
}

// len is how many counters there are.
func (l *Local) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i := range l.parts {
		n += len(l.parts[i].counters)
	}
	return n
}
