package app_test

import (
	"fmt"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// performanceBed is Performance on an empty ledger, at noon.
type performanceBed struct {
	*app.Performance
	ledger *memory.Ledger
	marks  *memory.Marks
	active *app.ActiveRequests
	now    time.Time
	n      int
}

func newPerformance() *performanceBed {
	b := &performanceBed{ledger: memory.NewLedger(), marks: memory.NewMarks(), active: app.NewActiveRequests(), now: noon}
	b.Performance = app.NewPerformance(app.PerformanceDeps{
		Ledger: b.ledger, Marks: b.marks, Active: b.active, Now: func() time.Time { return b.now },
		Load: func() app.ProcessLoad { return app.ProcessLoad{MemoryBytes: 1, CPUPercent: 2, Connections: 3} },
		Selector: domain.ModelSelector{
			Catalogue: domain.BuiltInCatalogue(), Configured: map[string]string{domain.ProviderClaude: "", domain.ProviderOpenAI: "", domain.ProviderCompatible: ""},
		},
	})
	return b
}

// attempt writes an attempt that ended some time ago.
func (b *performanceBed) attempt(t *testing.T, ago, took time.Duration, edit ...func(*domain.UsageRecord)) string {
	t.Helper()
	b.n++
	at := noon.Add(-ago)
	r := domain.UsageRecord{
		RequestID: fmt.Sprintf("%s7000-8000-%012x", domain.FirstID(at)[:14], b.n), Attempt: 1, Owner: "ada", At: at, Provider: domain.ProviderClaude,
		Outcome: domain.OutcomeCompleted, Usage: domain.Usage{Input: 10, Output: 20}, Cost: 5, Timings: domain.Timings{Provider: took},
	}
	for _, e := range edit {
		e(&r)
	}
	if err := b.ledger.Append(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.RequestID
}

func failedWith(failure string) func(*domain.UsageRecord) {
	return func(r *domain.UsageRecord) {
		r.Outcome, r.Failure, r.Usage, r.Cost = domain.OutcomeFailed, failure, domain.Usage{}, 0
	}
}

func TestPerformanceSummary(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	id := b.attempt(t, 30*time.Hour, 1*time.Second, failedWith(domain.CodeOverloaded))
	b.attempt(t, 30*time.Hour, 2*time.Second, func(r *domain.UsageRecord) { r.RequestID, r.Attempt, r.Provider = id, 2, domain.ProviderOpenAI })
	b.attempt(t, 2*time.Hour, 4*time.Second)
	b.attempt(t, time.Minute, 1*time.Second, func(r *domain.UsageRecord) { r.Timings.Authentication = time.Second })
	b.active.Begin("ada", "r", domain.Choice{}, noon)
	s, err := b.Summary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Requests != 3 || s.Hour != 1 || s.Day != 2 || s.Active != 1 || s.Since != noon.Add(-30*time.Hour) || s.Health != app.VerdictWarning {
		t.Errorf("got %+v", s)
	}
	if s.Times.Lowest != 2*time.Second || s.Times.Most != 4*time.Second || s.Times.Average != 3*time.Second {
		t.Errorf("times are %+v", s.Times)
	}
	claude, openai := s.Providers[domain.ProviderClaude], s.Providers[domain.ProviderOpenAI]
	if claude.Attempts != 3 || claude.Errors != 1 || claude.Unreachable != 1 || claude.Tokens != 60 || claude.Cost != 10 || openai.Attempts != 1 || openai.Errors != 0 {
		t.Errorf("claude %+v, openai %+v", claude, openai)
	}
	if claude.Times.Average != 2500*time.Millisecond || claude.Last != noon.Add(-time.Minute) || claude.LastError != noon.Add(-30*time.Hour) {
		t.Errorf("claude %+v", claude)
	}
}

func TestPerformanceOfProvidersCountsTheirFaultsOnly(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	b.attempt(t, time.Minute, 4*time.Second)
	for _, failure := range []string{"bad_request", "invalid", "not_found", domain.CodeContextLength, domain.CodeContentFilter, domain.CodeModelNotFound} {
		b.attempt(t, time.Minute, time.Second, failedWith(failure))
	}
	b.attempt(t, time.Minute, time.Second, func(r *domain.UsageRecord) { r.Outcome, r.Usage = domain.OutcomeCanceled, domain.Usage{} })
	b.attempt(t, time.Minute, time.Second, failedWith(domain.CodeRateLimit))
	b.attempt(t, time.Minute, time.Second, failedWith("unavailable"))
	all, err := b.Providers(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	claude := all[domain.ProviderClaude]
	if claude.Attempts != 10 || claude.Errors != 2 || claude.GivenUp != 1 || claude.UptimePercent() != 90 || claude.TokensPerSecond() != 5 {
		t.Errorf("claude is %+v, up %v, %v tokens/s", claude, claude.UptimePercent(), claude.TokensPerSecond())
	}
	if got := claude.ErrorPercent(); got < 22.2 || got > 22.3 || claude.Verdict() != app.VerdictCritical {
		t.Errorf("%v percent errors, %s", got, claude.Verdict())
	}
	if want := 100 - 2*claude.ErrorPercent() - 10; claude.Score() != want {
		t.Errorf("score %v, want %v", claude.Score(), want)
	}
	idle := all[domain.ProviderCompatible]
	if idle.Verdict() != app.VerdictHealthy || idle.UptimePercent() != 100 || idle.Score() != 100 || idle.Models == nil || len(idle.Models) != 0 {
		t.Errorf("a provider that nobody asked is %+v", idle)
	}
	if len(all[domain.ProviderOpenAI].Models) == 0 {
		t.Error("openai has no models")
	}
}

func TestPerformanceStages(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	b.attempt(t, time.Hour, time.Hour) // beyond the limit
	b.attempt(t, 2*time.Minute, 3*time.Second, func(r *domain.UsageRecord) {
		r.Timings.Authentication, r.Timings.StreamSetup, r.Timings.Processing = 500*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond
	})
	id := b.attempt(t, time.Minute, time.Second, failedWith("unavailable"), func(r *domain.UsageRecord) { r.Timings.Authentication = time.Second })
	b.attempt(t, time.Minute, 4*time.Second, func(r *domain.UsageRecord) {
		r.RequestID, r.Attempt, r.Timings.Authentication = id, 2, time.Second
	})
	f, err := b.Stages(t.Context(), 2)
	if err != nil || f.Average != 5*time.Second || len(f.Stages) != 6 {
		t.Fatalf("%+v, %v", f, err)
	}
	for i, want := range []app.Stage{
		{Name: "authentication", Percent: 15, Durations: app.Durations{Samples: 2, Average: 750 * time.Millisecond, Lowest: 500 * time.Millisecond, Most: time.Second}},
		{Name: "request_validation"},
		{Name: "provider_selection"},
		{Name: "llm_api_call", Percent: 80, Durations: app.Durations{Samples: 2, Average: 4 * time.Second, Lowest: 3 * time.Second, Most: 5 * time.Second}},
		{Name: "response_processing", Percent: 5, Durations: app.Durations{Samples: 1, Average: 500 * time.Millisecond, Lowest: 500 * time.Millisecond, Most: 500 * time.Millisecond}},
		{Name: "streaming_setup", Percent: 2.5, Durations: app.Durations{Samples: 1, Average: 250 * time.Millisecond, Lowest: 250 * time.Millisecond, Most: 250 * time.Millisecond}},
	} {
		got := f.Stages[i]
		got.Total = 0
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if s := f.Slowest(); len(s) != 3 || s[0].Name != "llm_api_call" || s[1].Name != "authentication" || s[2].Name != "response_processing" {
		t.Errorf("slowest are %+v", s)
	}
	if s := f.Bottlenecks(); len(s) != 1 || s[0].Name != "llm_api_call" {
		t.Errorf("bottlenecks are %+v", s)
	}
}

func TestPerformanceHealth(t *testing.T) {
	t.Parallel()
	const s = time.Second
	cases := map[string]struct {
		took           []time.Duration
		failed, active int
		want           app.Verdict
		alerts         []app.Verdict
		slow           int
	}{
		"nothing":         {nil, 0, 0, app.VerdictHealthy, nil, 0},
		"fast":            {[]time.Duration{s, 2*s - 1}, 0, 0, app.VerdictHealthy, nil, 0},
		"at two seconds":  {[]time.Duration{2 * s}, 0, 0, app.VerdictWarning, nil, 0},
		"slow":            {[]time.Duration{4 * s}, 0, 0, app.VerdictWarning, []app.Verdict{app.VerdictWarning}, 0},
		"at five seconds": {[]time.Duration{5 * s}, 0, 0, app.VerdictCritical, []app.Verdict{app.VerdictWarning}, 0},
		"very slow":       {[]time.Duration{6 * s}, 0, 0, app.VerdictCritical, []app.Verdict{app.VerdictCritical}, 1},
		"errors":          {make([]time.Duration, 97), 3, 0, app.VerdictWarning, []app.Verdict{app.VerdictWarning}, 0},
		"many errors":     {make([]time.Duration, 9), 1, 0, app.VerdictCritical, []app.Verdict{app.VerdictCritical}, 0},
		"fifty at once":   {nil, 0, 50, app.VerdictHealthy, nil, 0},
		"many at once":    {nil, 0, 51, app.VerdictHealthy, []app.Verdict{app.VerdictWarning}, 0},
	}
	for name, c := range cases {
		b := newPerformance()
		b.attempt(t, 6*time.Minute, time.Hour) // too long ago
		for _, took := range c.took {
			b.attempt(t, 5*time.Minute, took)
		}
		for range c.failed {
			b.attempt(t, time.Minute, time.Hour, failedWith("unavailable"))
		}
		for range c.active {
			b.active.Begin("ada", "r", domain.Choice{}, noon)
		}
		h, err := b.Health(t.Context())
		if err != nil || h.Verdict != c.want || h.Slow != c.slow || h.Active != c.active || h.Requests != len(c.took)+c.failed || len(h.Alerts) != len(c.alerts) {
			t.Errorf("%s: %+v, %v", name, h, err)
			continue
		}
		for i, level := range c.alerts {
			if a := h.Alerts[i]; a.Level != level || a.Message == "" || a.Threshold == "" || a.Advice == "" {
				t.Errorf("%s: alert %+v, want %s", name, a, level)
			}
		}
	}
}

func TestLiveShowsTheCallersRequests(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	b.attempt(t, 30*time.Second, time.Second)
	b.attempt(t, 2*time.Minute, time.Second)
	for i := range 12 {
		b.active.Begin(ada.OwnerID(), fmt.Sprint(i), domain.Choice{}, noon.Add(-time.Duration(12-i)*time.Second))
	}
	b.active.Begin(bob.OwnerID(), "bob's", domain.Choice{}, noon.Add(time.Second)) // a clock that was set back
	l, err := b.Live(t.Context(), ada)
	if err != nil || l.Count != 13 || l.Busy != 78*time.Second || l.PerMinute != 1 || l.Load.Connections != 3 {
		t.Fatalf("%+v, %v", l, err)
	}
	if len(l.Own) != 10 || l.Own[0].RequestID != "0" || l.Own[9].RequestID != "9" {
		t.Errorf("own are %+v", l.Own)
	}
	if l, err = b.Live(t.Context(), service); err != nil || len(l.Own) != 0 {
		t.Errorf("the global key sees %+v, %v", l.Own, err)
	}
}

func TestPerformanceReset(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	b.attempt(t, time.Hour, time.Second)
	b.attempt(t, time.Minute, time.Second, func(r *domain.UsageRecord) { r.Provider = domain.ProviderOpenAI })
	_, err := b.Reset(t.Context(), ada)
	wantKind(t, err, domain.Forbidden)
	r, err := b.Reset(t.Context(), service)
	if err != nil || r.Requests != 2 || r.Providers != 2 || r.From != noon.Add(-time.Hour) || r.To != noon {
		t.Fatalf("%+v, %v", r, err)
	}
	b.now = noon.Add(time.Minute)
	b.attempt(t, -30*time.Second, time.Second)
	s, err := b.Summary(t.Context())
	if err != nil || s.Requests != 1 || s.Hour != 1 || s.Since != noon || s.Providers[domain.ProviderClaude].Attempts != 1 || len(s.Providers) != 1 {
		t.Errorf("after the reset %+v, %v", s, err)
	}
	if all, err := b.Providers(t.Context()); err != nil || all[domain.ProviderOpenAI].Attempts != 0 {
		t.Errorf("after the reset %+v, %v", all, err)
	}
}

func TestPerformanceSinceNow(t *testing.T) {
	t.Parallel()
	b := newPerformance()
	if s, err := b.Summary(t.Context()); err != nil || s.Since != noon || s.Requests != 0 || s.Health != app.VerdictHealthy {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPerformanceWithoutALedger(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("away", nil)
	summary := func(b *performanceBed) error { _, err := b.Summary(t.Context()); return err }
	health := func(b *performanceBed) error { _, err := b.Health(t.Context()); return err }
	reset := func(b *performanceBed) error { _, err := b.Reset(t.Context(), service); return err }
	for name, c := range map[string]struct {
		fail func(*performanceBed)
		call func(*performanceBed) error
	}{
		"summary, mark":   {func(b *performanceBed) { b.marks.FailNext("Mark", away) }, summary},
		"summary, recent": {func(b *performanceBed) { b.ledger.FailNext("Recent", away) }, summary},
		"summary, count":  {func(b *performanceBed) { b.ledger.FailNext("CountSince", away) }, summary},
		"health, mark":    {func(b *performanceBed) { b.marks.FailNext("Mark", away) }, health},
		"health, recent":  {func(b *performanceBed) { b.ledger.FailNext("Recent", away) }, health},
		"providers": {func(b *performanceBed) { b.ledger.FailNext("Recent", away) },
			func(b *performanceBed) error { _, err := b.Providers(t.Context()); return err }},
		"stages": {func(b *performanceBed) { b.ledger.FailNext("Recent", away) },
			func(b *performanceBed) error { _, err := b.Stages(t.Context(), 1); return err }},
		"live": {func(b *performanceBed) { b.ledger.FailNext("CountSince", away) },
			func(b *performanceBed) error { _, err := b.Live(t.Context(), ada); return err }},
		"reset, summary": {func(b *performanceBed) { b.ledger.FailNext("Recent", away) }, reset},
		"reset, mark":    {func(b *performanceBed) { b.marks.FailNext("SetMark", away) }, reset},
	} {
		b := newPerformance()
		c.fail(b)
		if err := c.call(b); domain.KindOf(err) != domain.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
