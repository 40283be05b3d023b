package app

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// How measurements are kept and judged.
const (
	windowSize       = 200              // attempts that are kept of each provider
	windowAge        = 30 * time.Minute // older ones say nothing about now
	unhealthyAfter   = 3                // failures in a row
	breakAfter       = 5                // failures in a row after which a provider is not asked
	breakFor         = time.Minute      // until one attempt may try again, and a selection may take the provider again
	maxPause         = 10 * time.Minute // however long a provider wants to be left alone with a model
	maxMeasuredModel = 1000             // names of models come from clients, too
	maxShotAge       = time.Second      // of figures that nothing was added to
)

// Measurements are what this process has seen of its providers, and the circuit breaker that goes by it. They are in memory: what has to
// outlive the process stands in the ledger.
type Measurements struct {
	now ports.Clock

	mu        sync.Mutex
	providers map[string]*providerWindow
	models    map[domain.Choice]*modelMeasure
	shot      domain.Measurements // the last one that was made
	shotAt    time.Time           // zero: something was added since
}

type providerWindow struct {
	attempts [windowSize]domain.Attempt
	n        int // attempts so far
	totals   domain.ProviderTotals
	failures int // in a row
	openTill time.Time
	probing  bool // one attempt tries whether the provider is back

	lastAttempt, lastSuccess, lastError time.Time
	lastFailure                         string
	lastFailed                          time.Time // end of the last of failures
}

// modelMeasure holds moving averages: the last twenty answers or so count.
type modelMeasure struct {
	samples            int
	average, firstWord time.Duration
	limitedTill        time.Time // until then the provider wants to be left alone with this model
}

// NewMeasurements makes empty ones.
func NewMeasurements(now ports.Clock) *Measurements {
	return &Measurements{now: now, providers: map[string]*providerWindow{}, models: map[domain.Choice]*modelMeasure{}}
}

// Allow reports whether a model may be asked now: domain.Unavailable, with the time until it may, while its provider fails again and again,
// and domain.Limited while the provider has asked to be left alone with this model. After that time one attempt may go through, and its
// outcome decides. Who is allowed has to Record the attempt.
func (m *Measurements) Allow(choice domain.Choice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.models[choice]; s != nil && !s.limitedTill.IsZero() {
		if wait := s.limitedTill.Sub(m.now()); wait > 0 {
			return &domain.Error{
				Kind: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: wait,
				Message: "The provider " + choice.Provider + " allows no more requests at the moment",
			}
		}
		s.limitedTill = time.Time{}
	}
	w := m.providers[choice.Provider]
	if w == nil || w.openTill.IsZero() {
		return nil
	}
	wait := w.openTill.Sub(m.now())
	if wait <= 0 && !w.probing {
		w.probing = true
		return nil
	}
	return &domain.Error{
		Kind: domain.Unavailable, RetryAfter: max(wait, time.Second),
		Message: "The provider " + choice.Provider + " has failed several times and is not asked at the moment",
	}
}

// Record takes the outcome of an attempt.
func (m *Measurements) Record(a domain.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.providers[a.Choice.Provider]
	if w == nil {
		w = &providerWindow{}
		m.providers[a.Choice.Provider] = w
	}
	w.probing = false
	m.shotAt = time.Time{}
	w.count(a)
	if a.Canceled {
		return
	}
	w.attempts[w.n%windowSize] = a
	w.n++
	w.lastAttempt = a.Started
	w.judge(a, m.now())
	if worth := a.OK || a.Failure == domain.Limited && a.RetryAfter > 0; !worth {
		return // names of models come from clients: those that nobody has must not take the room
	}
	if s := m.model(a.Choice); s != nil {
		s.measure(a, m.now())
	}
}

// model finds what is measured of a model, or makes it while there is room.
func (m *Measurements) model(choice domain.Choice) *modelMeasure {
	s := m.models[choice]
	if s == nil && len(m.models) < maxMeasuredModel {
		s = &modelMeasure{}
		m.models[choice] = s
	}
	return s
}

// count adds to what is never forgotten.
func (w *providerWindow) count(a domain.Attempt) {
	w.totals.Requests++
	w.totals.Tokens += int64(a.Tokens)
	w.totals.Cost = w.totals.Cost.Plus(a.Cost)
	w.totals.Last = a.Started
	if a.ProvidersFault() {
		w.totals.Errors++
	}
	if a.OK {
		w.totals.Answers++
		w.totals.Busy += a.Duration
	}
}

// judge opens or closes the circuit. A refusal of the prompt proves that the provider works, and so does one for asking too often.
func (w *providerWindow) judge(a domain.Attempt, now time.Time) {
	if a.ProvidersFault() {
		w.lastError, w.lastFailure = a.Started, cmp.Or(a.Code, "unavailable")
	}
	if !a.ProvidersFault() || a.Failure == domain.Limited {
		w.failures, w.openTill = 0, time.Time{}
		if a.OK {
			w.lastSuccess = a.Started
		}
		return
	}
	w.lastFailed = now
	if w.failures++; w.failures >= breakAfter {
		w.openTill = now.Add(breakFor)
	}
}

func (s *modelMeasure) measure(a domain.Attempt, now time.Time) {
	if a.Failure == domain.Limited && a.RetryAfter > 0 {
		s.limitedTill = now.Add(min(a.RetryAfter, maxPause))
	}
	if !a.OK {
		return
	}
	s.samples++
	weight := time.Duration(min(s.samples, 20))
	s.average += (a.Duration - s.average) / weight
	s.firstWord += (a.FirstToken - s.firstWord) / weight
}

// Snapshot computes the figures of this moment. While nothing is added it gives the same ones for a second: every selection asks.
func (m *Measurements) Snapshot() domain.Measurements {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if age := now.Sub(m.shotAt); !m.shotAt.IsZero() && age >= 0 && age < maxShotAge {
		return m.shot
	}
	m.shot, m.shotAt = m.take(now), now
	return m.shot
}

func (m *Measurements) take(now time.Time) domain.Measurements {
	shot := domain.Measurements{
		Providers: make(map[string]domain.ProviderStats, len(m.providers)), Totals: make(map[string]domain.ProviderTotals, len(m.providers)),
		Models: make(map[domain.Choice]domain.ModelStats, len(m.models)),
	}
	for id, w := range m.providers {
		shot.Providers[id], shot.Totals[id] = w.stats(now), w.totals
	}
	for choice, s := range m.models {
		shot.Models[choice] = domain.ModelStats{Samples: s.samples, Average: s.average, FirstToken: s.firstWord}
	}
	return shot
}

func (w *providerWindow) stats(now time.Time) domain.ProviderStats {
	s := domain.ProviderStats{
		Status: domain.ProviderUnknown, LastAttempt: w.lastAttempt, LastSuccess: w.lastSuccess, LastError: w.lastError, LastFailure: w.lastFailure,
	}
	var durations []time.Duration
	for _, a := range w.attempts[:min(w.n, windowSize)] {
		if now.Sub(a.Started) > windowAge {
			continue
		}
		s.Requests++
		if a.ProvidersFault() {
			s.Errors++
		}
		if a.OK {
			durations = append(durations, a.Duration)
			s.OutputTokens += a.OutputTokens
			s.Busy += a.Duration
		}
	}
	switch {
	case w.failures >= unhealthyAfter && now.Sub(w.lastFailed) < breakFor:
		s.Status = domain.ProviderUnhealthy
	case w.failures >= unhealthyAfter: // who is never asked again never recovers
	case s.Requests > 0:
		s.Status = domain.ProviderHealthy
	}
	if len(durations) > 0 {
		slices.Sort(durations)
		at := func(share float64) time.Duration { return durations[int(share*float64(len(durations)-1)+0.5)] }
		s.Average = s.Busy / time.Duration(len(durations))
		s.Fastest, s.Median, s.P95, s.P99, s.Slowest = durations[0], at(0.5), at(0.95), at(0.99), durations[len(durations)-1]
	}
	return s
}
