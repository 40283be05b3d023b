package app

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gaia/domain"
)

// Durations sums up how long something took.
type Durations struct {
	Samples               int
	Total                 time.Duration
	Average, Lowest, Most time.Duration
}

func (d *Durations) add(sample time.Duration) {
	if d.Samples == 0 || sample < d.Lowest {
		d.Lowest = sample
	}
	d.Most = max(d.Most, sample)
	d.Samples++
	d.Total += sample
	d.Average = d.Total / time.Duration(d.Samples)
}

// measuredRequest is a request with all its attempts.
type measuredRequest struct {
	domain.Timings // Provider and Processing are sums
	answered       bool
	total          time.Duration
}

// requestsOf puts the attempts of each request together. What came before the first attempt is written into each of them.
func requestsOf(records []domain.UsageRecord) []measuredRequest {
	var list []measuredRequest
	index := map[string]int{}
	for _, r := range records {
		i, known := index[r.RequestID]
		if !known {
			index[r.RequestID] = len(list)
			list = append(list, measuredRequest{Timings: r.Timings, answered: r.IsRequest()})
			continue
		}
		m := &list[i]
		m.answered = m.answered || r.IsRequest()
		m.Provider += r.Timings.Provider
		m.Processing += r.Timings.Processing
		m.StreamSetup = max(m.StreamSetup, r.Timings.StreamSetup)
	}
	for i := range list {
		list[i].total = list[i].Total()
	}
	return list
}

// timesOf is how long answers took. What was not answered says nothing about that.
func timesOf(requests []measuredRequest) Durations {
	var d Durations
	for _, r := range requests {
		if r.answered {
			d.add(r.total)
		}
	}
	return d
}

// ProviderFigures sums up attempts.
type ProviderFigures struct {
	Attempts     int // those that clients gave up included
	GivenUp      int
	Errors       int // faults of the provider
	Unreachable  int // of Errors: nobody answered
	Tokens       int64
	outputTokens int64
	Cost         domain.Money
	Times        Durations // of the provider, for what was answered
	Last         time.Time // end of the newest attempt; zero without any
	LastError    time.Time // zero without any
}

// ErrorPercent is the share of errors among what clients did not give up.
func (f ProviderFigures) ErrorPercent() float64 { return percent(f.Errors, f.Attempts-f.GivenUp) }

// UptimePercent is the share of attempts at which the provider could be reached.
func (f ProviderFigures) UptimePercent() float64 {
	if f.Attempts == 0 {
		return 100
	}
	return percent(f.Attempts-f.Unreachable, f.Attempts)
}

// TokensPerSecond is how fast answers were written.
func (f ProviderFigures) TokensPerSecond() float64 {
	if f.Times.Total <= 0 {
		return 0
	}
	return float64(f.outputTokens) / f.Times.Total.Seconds()
}

// Verdict judges speed and errors.
func (f ProviderFigures) Verdict() Verdict { return verdict(f.Times.Average, f.ErrorPercent()) }

// Score is 100, less 2 for each percent of errors and 5 for each second above 2 that answers take.
func (f ProviderFigures) Score() float64 {
	slow := max(f.Times.Average-healthyBelow, 0).Seconds()
	return max(100-2*f.ErrorPercent()-5*slow, 0)
}

func percent(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) * 100 / float64(whole)
}

func (f *ProviderFigures) add(r domain.UsageRecord) {
	f.Attempts++
	f.Tokens += int64(r.Usage.Total())
	f.Cost = f.Cost.Plus(r.Cost)
	f.Last = later(f.Last, r.At)
	if r.IsRequest() {
		f.Times.add(r.Timings.Provider)
		f.outputTokens += int64(r.Usage.Output)
	}
	switch {
	case r.Outcome == domain.OutcomeCanceled:
		f.GivenUp++
	case r.FaultOfProvider():
		f.Errors++
		f.LastError = later(f.LastError, r.At)
		if r.Unreachable() {
			f.Unreachable++
		}
	}
}

func figuresOf(records []domain.UsageRecord) ProviderFigures {
	var f ProviderFigures
	for _, r := range records {
		f.add(r)
	}
	return f
}

func figuresByProvider(records []domain.UsageRecord) map[string]ProviderFigures {
	all := map[string]ProviderFigures{}
	for _, r := range records {
		f := all[r.Provider]
		f.add(r)
		all[r.Provider] = f
	}
	return all
}

// Verdict says how well things go.
type Verdict string

// The verdicts.
const (
	VerdictHealthy  Verdict = "healthy"
	VerdictWarning  Verdict = "warning"
	VerdictCritical Verdict = "critical"
)

// Bounds of the verdicts.
const (
	healthyBelow   = 2 * time.Second
	warningBelow   = 5 * time.Second
	healthyErrors  = 1.0 // percent
	warningErrors  = 5.0
	manyActive     = 50
	bottleneckFrom = time.Second
)

// Score is the number that stands for a verdict.
func (v Verdict) Score() int {
	switch v {
	case VerdictHealthy:
		return 95
	case VerdictWarning:
		return 75
	default:
		return 40
	}
}

func verdict(average time.Duration, errorPercent float64) Verdict {
	switch {
	case average < healthyBelow && errorPercent < healthyErrors:
		return VerdictHealthy
	case average < warningBelow && errorPercent < warningErrors:
		return VerdictWarning
	default:
		return VerdictCritical
	}
}

// Alert is a bound that is crossed.
type Alert struct {
	Level                      Verdict
	Message, Threshold, Advice string
}

// alerts are what is wrong, at most one for each of speed, errors and load.
func alerts(average time.Duration, errorPercent float64, active int) []Alert {
	var list []Alert
	took := fmt.Sprintf("Answers take %.2f s on average", average.Seconds())
	switch {
	case average > warningBelow:
		list = append(list, Alert{VerdictCritical, took, "< 5.0s", "Choose faster models, or look at the providers' own status pages."})
	case average > healthyBelow:
		list = append(list, Alert{VerdictWarning, took, "< 2.0s", "Prefer faster models for short messages."})
	}
	failed := fmt.Sprintf("%.1f %% of the attempts fail", errorPercent)
	switch {
	case errorPercent > warningErrors:
		list = append(list, Alert{VerdictCritical, failed, "< 5.0%", "Let enable_fallback take another provider, and check keys and quotas."})
	case errorPercent > healthyErrors:
		list = append(list, Alert{VerdictWarning, failed, "< 1.0%", "Look at the errors of each provider."})
	}
	if active > manyActive {
		list = append(list, Alert{
			VerdictWarning, fmt.Sprintf("%d requests are being answered at once", active), "<= 50", "Start another replica.",
		})
	}
	return list
}

// The stages of a request.
const (
	stageAuthentication = "authentication"
	stageValidation     = "request_validation"
	stageSelection      = "provider_selection"
	stageProvider       = "llm_api_call"
	stageProcessing     = "response_processing"
	stageStreamSetup    = "streaming_setup"
)

// Stage is how long one stage took.
type Stage struct {
	Name string
	Durations
	Percent float64 // of the time of all requests
}

// StageFigures is where the time went.
type StageFigures struct {
	Stages  []Stage // all of them, in the order in which a request goes through them
	Average time.Duration
}

const slowestListed = 3

// Slowest are the stages that take longest, the longest first.
func (f StageFigures) Slowest() []Stage {
	var list []Stage
	for _, s := range f.Stages {
		if s.Samples > 0 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Stage) int { return cmp.Compare(b.Average, a.Average) })
	return list[:min(len(list), slowestListed)]
}

// Bottlenecks are the stages that take longer than a second.
func (f StageFigures) Bottlenecks() []Stage {
	var list []Stage
	for _, s := range f.Stages {
		if s.Average > bottleneckFrom {
			list = append(list, s)
		}
	}
	return list
}

// stagesOf measures stages. One that a request did not go through is no sample.
func stagesOf(requests []measuredRequest) StageFigures {
	stages := []struct {
		name string
		of   func(domain.Timings) time.Duration
	}{
		{stageAuthentication, func(t domain.Timings) time.Duration { return t.Authentication }},
		{stageValidation, func(t domain.Timings) time.Duration { return t.Validation }},
		{stageSelection, func(t domain.Timings) time.Duration { return t.Selection }},
		{stageProvider, func(t domain.Timings) time.Duration { return t.Provider }},
		{stageProcessing, func(t domain.Timings) time.Duration { return t.Processing }},
		{stageStreamSetup, func(t domain.Timings) time.Duration { return t.StreamSetup }},
	}
	var all Durations
	for _, r := range requests {
		all.add(r.total)
	}
	f := StageFigures{Average: all.Average}
	for _, stage := range stages {
		s := Stage{Name: stage.name}
		for _, r := range requests {
			if took := stage.of(r.Timings); took > 0 {
				s.add(took)
			}
		}
		if all.Total > 0 {
			s.Percent = min(float64(s.Total)*100/float64(all.Total), 100)
		}
		f.Stages = append(f.Stages, s)
	}
	return f
}
