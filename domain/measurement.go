package domain

import "time"

// Attempt is the outcome of asking a provider once.
type Attempt struct {
	Choice       Choice
	Started      time.Time
	FirstToken   time.Duration // from Started to the first piece of the answer; zero when none came
	Duration     time.Duration // from Started to the end
	OutputTokens int
	Tokens       int // all of the attempt
	Cost         Money
	OK           bool
	Canceled     bool // the client left: says nothing about the provider
	Failure      Kind // why it failed
	Code         string
	RetryAfter   time.Duration // how long the provider wants to be left alone
}

// ProvidersFault reports whether a failed attempt speaks against the provider, not against the prompt or its sender.
func (a Attempt) ProvidersFault() bool {
	return !a.OK && !a.Canceled && (a.Failure == Unavailable || a.Failure == Limited || a.Failure == Internal)
}

// How a provider is, by its last attempts.
const (
	ProviderHealthy   = "healthy"
	ProviderUnhealthy = "unhealthy"
	ProviderUnknown   = "unknown" // not asked yet, or not since it failed
)

// ProviderStats is what was measured of a provider over its last attempts.
type ProviderStats struct {
	Status       string // ProviderHealthy, ProviderUnhealthy or ProviderUnknown
	Requests     int    // attempts in the window, canceled ones excepted
	Errors       int    // of Requests: the provider's fault
	Average      time.Duration
	Median       time.Duration
	P95          time.Duration
	P99          time.Duration
	Fastest      time.Duration
	Slowest      time.Duration
	OutputTokens int
	Busy         time.Duration // sum of the durations of answers
	LastAttempt  time.Time     // zero: never
	LastSuccess  time.Time
	LastError    time.Time
	LastFailure  string // one word
}

// ProviderTotals count what a provider did since measuring began. Canceled attempts count: they cost as much.
type ProviderTotals struct {
	Requests int64
	Errors   int64 // of Requests: the provider's fault
	Tokens   int64
	Cost     Money
	Answers  int64         // complete ones
	Busy     time.Duration // sum of the durations of answers
	Last     time.Time     // start of the last request; zero: none
}

// ErrorRate is a fraction, 0 without requests.
func (t ProviderTotals) ErrorRate() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Errors) / float64(t.Requests)
}

// Average is how long complete answers took, 0 without any.
func (t ProviderTotals) Average() time.Duration {
	if t.Answers == 0 {
		return 0
	}
	return t.Busy / time.Duration(t.Answers)
}

// Plus adds what another provider did.
func (t ProviderTotals) Plus(o ProviderTotals) ProviderTotals {
	sum := ProviderTotals{
		Requests: t.Requests + o.Requests, Errors: t.Errors + o.Errors, Tokens: t.Tokens + o.Tokens, Cost: t.Cost.Plus(o.Cost),
		Answers: t.Answers + o.Answers, Busy: t.Busy + o.Busy, Last: t.Last,
	}
	if o.Last.After(t.Last) {
		sum.Last = o.Last
	}
	return sum
}

// ErrorRate is a fraction, 0 without requests.
func (s ProviderStats) ErrorRate() float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(s.Errors) / float64(s.Requests)
}

// TokensPerSecond is the speed of answers, 0 when unknown.
func (s ProviderStats) TokensPerSecond() float64 {
	if s.Busy <= 0 {
		return 0
	}
	return float64(s.OutputTokens) / s.Busy.Seconds()
}

// ModelStats is what was measured of one model.
type ModelStats struct {
	Samples    int           // answers
	Average    time.Duration // of whole answers
	FirstToken time.Duration // average
}

// Measurements is what is known about providers and models at one moment. Nobody changes it.
type Measurements struct {
	Providers map[string]ProviderStats
	Totals    map[string]ProviderTotals
	Models    map[Choice]ModelStats
}

// Health is one of ProviderHealthy, ProviderUnhealthy and ProviderUnknown.
func (m Measurements) Health(provider string) string {
	if status := m.Providers[provider].Status; status != "" {
		return status
	}
	return ProviderUnknown
}

// enoughSamples is from how many answers on a measured time counts more than the catalogue's.
const enoughSamples = 5

// ResponseTimeMS is how long a model takes to answer, in milliseconds: its measured average or, while there are too few samples, what the
// catalogue says. When that says nothing, any sample counts; known is false when there is none either.
func (m Measurements) ResponseTimeMS(model Model) (ms float64, known bool) {
	s := m.Models[Choice{model.Provider, model.ID}]
	return s.time(s.Average, model)
}

// FirstTokenMS is the time to the first token in milliseconds, measured or expected like ResponseTimeMS.
func (m Measurements) FirstTokenMS(model Model) (ms float64, known bool) {
	s := m.Models[Choice{model.Provider, model.ID}]
	return s.time(s.FirstToken, model)
}

func (s ModelStats) time(measured time.Duration, model Model) (ms float64, known bool) {
	if s.Samples >= enoughSamples || s.Samples > 0 && model.AvgResponseTimeMS <= 0 {
		return float64(measured.Microseconds()) / 1000, true
	}
	return float64(model.AvgResponseTimeMS), model.AvgResponseTimeMS > 0
}

// usable reports whether a provider may be chosen: nothing speaks against one that was not asked yet.
func (m Measurements) usable(provider string) bool {
	return m.Providers[provider].Status != ProviderUnhealthy
}
