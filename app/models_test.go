package app_test

import (
	"sync"
	"testing"
	"time"

	"gaia/app"
	"gaia/domain"
)

var mini = domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}

func newModels(m *app.Measurements, providers ...string) *app.Models {
	s := domain.ModelSelector{Catalogue: domain.BuiltInCatalogue().With("echo", "echo"), Configured: map[string]string{}}
	for _, p := range providers {
		s.Configured[p] = ""
	}
	return app.NewModels(s, m, func() time.Time { return noon })
}

func TestOverallHealth(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		configured []string
		failing    []string
		want       domain.Status
	}{
		"nothing":               {nil, nil, domain.Unhealthy},
		"not asked yet":         {[]string{"openai", "claude"}, nil, domain.Healthy},
		"one fails":             {[]string{"openai", "claude"}, []string{"openai"}, domain.Degraded},
		"all fail":              {[]string{"openai", "claude"}, []string{"openai", "claude"}, domain.Unhealthy},
		"echo alone":            {[]string{"echo"}, nil, domain.Healthy},
		"echo saves nobody":     {[]string{"echo", "openai"}, []string{"openai"}, domain.Unhealthy},
		"one without a key":     {[]string{"openai"}, []string{"claude"}, domain.Healthy},
		"one, and it answers":   {[]string{"openai"}, nil, domain.Healthy},
		"one, and it is broken": {[]string{"openai"}, []string{"openai"}, domain.Unhealthy},
	}
	for name, test := range tests {
		m := app.NewMeasurements(func() time.Time { return noon })
		for _, p := range test.failing {
			for range 3 {
				m.Record(domain.Attempt{Choice: domain.Choice{Provider: p}, Started: noon, Failure: domain.Unavailable})
			}
		}
		if got := app.Overall(newModels(m, test.configured...).Providers()); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestFailedProviderIsTriedAgain: a selection leaves an unhealthy provider out, so it has to stop being that by itself.
func TestFailedProviderIsTriedAgain(t *testing.T) {
	t.Parallel()
	now := noon
	m := app.NewMeasurements(func() time.Time { return now })
	for range 3 {
		m.Record(domain.Attempt{Choice: mini, Started: now, Failure: domain.Unavailable, Code: "overloaded"})
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, domain.ProviderUnhealthy}, {59 * time.Second, domain.ProviderUnhealthy}, {time.Minute, domain.ProviderUnknown}} {
		now = noon.Add(step.after)
		if got := m.Snapshot().Health("openai"); got != step.want {
			t.Errorf("after %s: %s, want %s", step.after, got, step.want)
		}
	}
	m.Record(domain.Attempt{Choice: mini, Started: now, OK: true})
	if got := m.Snapshot().Health("openai"); got != domain.ProviderHealthy {
		t.Errorf("after an answer: %s", got)
	}
}

func TestTotalsAreNotForgotten(t *testing.T) {
	t.Parallel()
	now := noon
	m := app.NewMeasurements(func() time.Time { return now })
	for i := range 300 {
		m.Record(domain.Attempt{Choice: mini, Started: now, OK: i%3 != 0, Canceled: i%3 == 0, Duration: time.Second, Tokens: 10, Cost: 7})
	}
	m.Record(domain.Attempt{Choice: mini, Started: now.Add(time.Second), Failure: domain.Unavailable})
	m.Record(domain.Attempt{Choice: mini, Started: now.Add(2 * time.Second), Failure: domain.BadRequest})
	now = now.Add(time.Hour)
	got := m.Snapshot().Totals["openai"]
	want := domain.ProviderTotals{
		Requests: 302, Errors: 1, Tokens: 3000, Cost: 2100, Answers: 200, Busy: 200 * time.Second, Last: noon.Add(2 * time.Second),
	}
	if got != want || got.Average() != time.Second {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if sum := got.Plus(want); sum.Requests != 604 || sum.Cost != 4200 || sum.ErrorRate() != 2.0/604 {
		t.Errorf("twice as much is %+v", sum)
	}
	if none := (domain.ProviderTotals{}); none.ErrorRate() != 0 || none.Average() != 0 {
		t.Error("nothing has a rate")
	}
}

// TestSnapshotsFollowRecords: a snapshot is kept for those who ask often, and never hides what was recorded since.
func TestSnapshotsFollowRecords(t *testing.T) {
	t.Parallel()
	m := app.NewMeasurements(func() time.Time { return noon })
	before := m.Snapshot()
	for i := range 3 {
		m.Record(domain.Attempt{Choice: mini, Started: noon, OK: true})
		if got := m.Snapshot().Totals["openai"].Requests; got != int64(i+1) {
			t.Errorf("%d recorded, %d seen", i+1, got)
		}
	}
	if len(before.Totals) != 0 {
		t.Error("a snapshot has changed")
	}
}

func TestMeasurementsTogether(t *testing.T) {
	t.Parallel()
	m := app.NewMeasurements(time.Now)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				_ = m.Allow(mini)
				m.Record(domain.Attempt{Choice: mini, Started: time.Now(), OK: true, Duration: time.Millisecond})
				shot := m.Snapshot()
				_ = shot.Providers["openai"].Requests + shot.Models[mini].Samples
			}
		})
	}
	wg.Wait()
	if got := m.Snapshot().Totals["openai"].Requests; got != 1600 {
		t.Errorf("%d of 1600", got)
	}
}

func TestUsableModels(t *testing.T) {
	t.Parallel()
	m := newModels(app.NewMeasurements(time.Now), "openai", "echo")
	for _, id := range []string{"gpt-4o", "openai/gpt-4o", "echo"} {
		if _, err := m.GetUsable(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"", "gpt-9", "openai/gpt-9", "claude-3-haiku-20240307", "claude/claude-3-haiku-20240307"} {
		_, err := m.GetUsable(id)
		wantKind(t, err, domain.NotFound)
	}
	for _, model := range m.Usable() {
		if model.Provider != "openai" && model.Provider != "echo" {
			t.Errorf("%s is listed", model.ID)
		}
	}
	_, err := m.Provider("acme")
	wantKind(t, err, domain.NotFound)
}

func BenchmarkRecord(b *testing.B) {
	m := app.NewMeasurements(func() time.Time { return noon })
	for b.Loop() {
		m.Record(domain.Attempt{Choice: mini, Started: noon, OK: true, Duration: time.Second})
	}
}
