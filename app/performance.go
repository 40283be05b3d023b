package app

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"gaia/domain"
	"gaia/ports"
)

// PerformanceDeps is what Performance needs.
type PerformanceDeps struct {
	Ledger   ports.Ledger
	Marks    ports.Marks
	Active   *ActiveRequests
	Selector domain.ModelSelector
	Load     func() ProcessLoad // of this process
	Now      ports.Clock
}

// ProcessLoad is how busy a process is.
type ProcessLoad struct {
	MemoryBytes uint64
	CPUPercent  float64 // of one core
	Connections int
}

// Performance tells how fast and how reliably chats are answered, as the ledger of all processes has it.
type Performance struct{ PerformanceDeps }

// NewPerformance makes the use cases.
func NewPerformance(d PerformanceDeps) *Performance { return &Performance{d} }

const (
	markPerformance = "performance" // since when is measured
	maxAnalysed     = 1000          // attempts that figures are made of
	maxCounted      = 100_000       // requests; counting more would keep the database busy
	healthWindow    = 5 * time.Minute
	slowRequest     = 5 * time.Second
)

// PerformanceSummary is how requests went since a time.
type PerformanceSummary struct {
	Since               time.Time
	Requests, Hour, Day int // in all, and in the last hour and day
	Active              int
	Times               Durations
	Providers           map[string]ProviderFigures
	Health              Verdict // on the last five minutes
}

// Summary tells how requests went since measuring began.
func (p *Performance) Summary(ctx context.Context) (PerformanceSummary, error) {
	now := p.Now()
	mark, err := p.Marks.Mark(ctx, markPerformance)
	if err != nil {
		return PerformanceSummary{}, err
	}
	s := PerformanceSummary{Active: p.Active.Count()}
	var records []domain.UsageRecord
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		records, err = p.Ledger.Recent(ctx, "", mark, maxAnalysed)
		return err
	})
	g.Go(func() (err error) {
		s.Requests, s.Since, err = p.countSince(ctx, now, mark)
		return err
	})
	g.Go(func() (err error) {
		s.Hour, _, err = p.Ledger.CountSince(ctx, later(mark, now.Add(-time.Hour)), maxCounted)
		return err
	})
	g.Go(func() (err error) {
		s.Day, _, err = p.Ledger.CountSince(ctx, later(mark, now.Add(-24*time.Hour)), maxCounted)
		return err
	})
	if err := g.Wait(); err != nil {
		return PerformanceSummary{}, err
	}
	s.Times = timesOf(requestsOf(records))
	s.Providers = figuresByProvider(records)
	s.Health = healthOf(since(records, now.Add(-healthWindow)), s.Active).Verdict
	return s, nil
}

// countSince counts requests and says since when: since the mark, or since the first one when there is no mark or there are too many.
func (p *Performance) countSince(ctx context.Context, now, mark time.Time) (n int, from time.Time, err error) {
	n, first, err := p.Ledger.CountSince(ctx, mark, maxCounted)
	switch {
	case err != nil:
		return 0, time.Time{}, err
	case n == maxCounted || n > 0 && mark.IsZero():
		return n, first, nil
	case mark.IsZero():
		return n, now, nil
	default:
		return n, mark, nil
	}
}

// ProviderPerformance is how one provider does.
type ProviderPerformance struct {
	ProviderFigures
	Models []string
}

// Providers tells how each configured provider does.
func (p *Performance) Providers(ctx context.Context) (map[string]ProviderPerformance, error) {
	records, err := p.recent(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	figures := figuresByProvider(records)
	all := make(map[string]ProviderPerformance, len(p.Selector.Configured))
	for provider := range p.Selector.Configured {
		all[provider] = ProviderPerformance{ProviderFigures: figures[provider], Models: []string{}}
	}
	for _, m := range p.Selector.Catalogue.Models() {
		if one, ok := all[m.Provider]; ok {
			one.Models = append(one.Models, m.ID)
			all[m.Provider] = one
		}
	}
	return all, nil
}

// recent returns the latest attempts since measuring began, and since a time.
func (p *Performance) recent(ctx context.Context, from time.Time) ([]domain.UsageRecord, error) {
	mark, err := p.Marks.Mark(ctx, markPerformance)
	if err != nil {
		return nil, err
	}
	return p.Ledger.Recent(ctx, "", later(mark, from), maxAnalysed)
}

// Stages tells where the time of the last requests went.
func (p *Performance) Stages(ctx context.Context, limit int) (StageFigures, error) {
	records, err := p.recent(ctx, time.Time{})
	if err != nil {
		return StageFigures{}, err
	}
	requests := requestsOf(records)
	return stagesOf(requests[:min(len(requests), limit)]), nil
}

// PerformanceHealth is a verdict on the last minutes.
type PerformanceHealth struct {
	Requests     int
	Slow         int
	Active       int
	Average      time.Duration // of a request
	ErrorPercent float64       // of attempts
	Verdict      Verdict
	Alerts       []Alert
}

// Health judges the last five minutes.
func (p *Performance) Health(ctx context.Context) (PerformanceHealth, error) {
	records, err := p.recent(ctx, p.Now().Add(-healthWindow))
	if err != nil {
		return PerformanceHealth{}, err
	}
	return healthOf(records, p.Active.Count()), nil
}

func healthOf(records []domain.UsageRecord, active int) PerformanceHealth {
	requests := requestsOf(records)
	h := PerformanceHealth{
		Requests: len(requests), Active: active, Average: timesOf(requests).Average, ErrorPercent: figuresOf(records).ErrorPercent(),
	}
	for _, r := range requests {
		if r.answered && r.total > slowRequest {
			h.Slow++
		}
	}
	h.Verdict = verdict(h.Average, h.ErrorPercent)
	h.Alerts = alerts(h.Average, h.ErrorPercent, active)
	return h
}

// LiveRequests is what this process is doing.
type LiveRequests struct {
	At        time.Time
	Count     int
	Busy      time.Duration    // how long all of them have been running, together
	Own       []ActiveSnapshot // of the caller, the oldest first
	PerMinute int              // requests of the last minute, in all processes
	Load      ProcessLoad
}

const maxOwnActive = 10

// Live tells what this process is doing at the moment. Callers see their own requests only.
func (p *Performance) Live(ctx context.Context, who domain.Principal) (LiveRequests, error) {
	now := p.Now()
	perMinute, _, err := p.Ledger.CountSince(ctx, now.Add(-time.Minute), maxCounted)
	if err != nil {
		return LiveRequests{}, err
	}
	l := LiveRequests{At: now, Count: p.Active.Count(), PerMinute: perMinute, Load: p.Load()}
	for _, r := range p.Active.Snapshot() {
		l.Busy += max(now.Sub(r.Started), 0)
		if r.Owner == who.OwnerID() && len(l.Own) < maxOwnActive {
			l.Own = append(l.Own, r)
		}
	}
	return l, nil
}

// PerformanceReset is what was measured before measuring began anew.
type PerformanceReset struct {
	Requests, Providers, Active int
	From, To                    time.Time
}

// Reset begins to measure anew, in all processes. It takes the global key.
func (p *Performance) Reset(ctx context.Context, who domain.Principal) (PerformanceReset, error) {
	if !who.IsService() {
		return PerformanceReset{}, domain.NewError(domain.Forbidden, "Only the global key may reset the measurements")
	}
	before, err := p.Summary(ctx)
	if err != nil {
		return PerformanceReset{}, err
	}
	now := p.Now()
	if err := p.Marks.SetMark(ctx, markPerformance, now); err != nil {
		return PerformanceReset{}, err
	}
	return PerformanceReset{
		Requests: before.Requests, Providers: len(before.Providers), Active: before.Active, From: before.Since, To: now,
	}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// since leaves out older records.
func since(records []domain.UsageRecord, from time.Time) []domain.UsageRecord {
	var recent []domain.UsageRecord
	for _, r := range records {
		if !r.At.Before(from) {
			recent = append(recent, r)
		}
	}
	return recent
}
