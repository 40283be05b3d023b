package domain

import "time"

// Attempt is the outcome of asking a provider once.
type Attempt struct {
	Choice       Choice
	Started      time.Time
	FirstToken   time.Duration // from Started to the first piece of the answer; zero when none came
	Duration     time.Duration // from Started to the end
	OutputTokens int
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

// HealthStatus words of providers.
const (
	ProviderHealthy     = "healthy"
	ProviderUnhealthy   = "unhealthy"
	ProviderUnknown     = "unknown"     // not asked yet
	ProviderUnavailable = "unavailable" // not configured
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

// Measurements is what is known about providers and models at one moment.
type Measurements struct {
	Providers map[string]ProviderStats
	Models    map[Choice]ModelStats
}

// enoughSamples is from how many answers on a measured time counts more than the catalogue's.
const enoughSamples = 5

// ResponseTimeMS is the measured average of a model in milliseconds, or that of the catalogue while there are too few samples.
func (m Measurements) ResponseTimeMS(model Model) float64 {
	if s := m.Models[Choice{model.Provider, model.ID}]; s.Samples >= enoughSamples {
		return float64(s.Average.Microseconds()) / 1000
	}
	return float64(model.AvgResponseTimeMS)
}

// FirstTokenMS is the measured time to the first token in milliseconds; measured is false while there are too few samples.
func (m Measurements) FirstTokenMS(model Model) (ms float64, measured bool) {
	s := m.Models[Choice{model.Provider, model.ID}]
	return float64(s.FirstToken.Microseconds()) / 1000, s.Samples >= enoughSamples
}

// usable reports whether a provider may be chosen: nothing speaks against one that was not asked yet.
func (m Measurements) usable(provider string) bool {
	return m.Providers[provider].Status != ProviderUnhealthy
}
