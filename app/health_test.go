package app_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// part is a part of the system in a certain state.
type part domain.Status

func (p part) Check(context.Context) domain.PartHealth {
	return domain.PartHealth{Status: domain.Status(p), ResponseTime: time.Millisecond}
}

// health knows these parts.
func health(probes map[string]ports.Probe) *app.Health {
	return app.NewHealth(app.HealthDeps{Probes: probes, Now: time.Now})
}

const (
	ok   = part(domain.Healthy)
	weak = part(domain.Degraded)
	down = part(domain.Unhealthy)
	off  = part(domain.Disabled)
)

func TestHealthPrecedence(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		database, cache, bus part
		want                 domain.Status
	}{
		"all well":                      {ok, ok, ok, domain.Healthy},
		"no cache, no bus":              {ok, off, off, domain.Healthy},
		"cache down":                    {ok, down, ok, domain.Degraded},
		"bus down":                      {ok, ok, down, domain.Degraded},
		"cache weak":                    {ok, weak, ok, domain.Degraded},
		"cache and bus down":            {ok, down, down, domain.Degraded},
		"database weak":                 {weak, ok, ok, domain.Degraded},
		"database weak, cache down":     {weak, down, ok, domain.Degraded},
		"database down":                 {down, ok, ok, domain.Unhealthy},
		"database down, cache weak":     {down, weak, ok, domain.Unhealthy},
		"database down, cache disabled": {down, off, off, domain.Unhealthy},
		"everything down":               {down, down, down, domain.Unhealthy},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // parts come in any order
				h := health(map[string]ports.Probe{
					app.PartDatabase: test.database, app.PartCache: test.cache, app.PartBus: test.bus, app.PartLimiter: ok,
				})
				report := h.Report(t.Context())
				if report.Status != test.want || len(report.Parts) != 4 {
					t.Fatalf("got %+v, want %s", report, test.want)
				}
				if got := report.Part(app.PartCache); got.Status != domain.Status(test.cache) || got.ResponseTime == 0 {
					t.Fatalf("the cache is %+v", got)
				}
				if _, err := h.Ready(t.Context()); (err == nil) != (test.database != down) {
					t.Fatalf("ready: %v", err)
				}
			}
		})
	}
}

func TestHealthOfPartsThatAreNotThere(t *testing.T) {
	t.Parallel()
	h := health(nil)
	report := h.Report(t.Context())
	if report.Status != domain.Healthy || !reflect.DeepEqual(report.Part(app.PartIdentity), domain.PartHealth{Status: domain.Disabled}) {
		t.Errorf("got %+v", report)
	}
	if _, err := h.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for status, want := range map[part]bool{ok: true, weak: true, down: false, "": false, "confused": false} {
		checks, err := health(map[string]ports.Probe{app.PartDatabase: status, app.PartCache: down}).Ready(t.Context())
		if (err == nil) != want {
			t.Errorf("with a database that is %q: %v", status, err)
		}
		if err != nil {
			wantKind(t, err, domain.Unavailable)
			continue
		}
		if len(checks) != 2 || checks[0].Name != app.PartDatabase || checks[0].Status != domain.Status(status) || checks[1].Name != app.PartMigrations {
			t.Errorf("checks %+v", checks)
		}
	}
	draining := health(map[string]ports.Probe{app.PartDatabase: ok})
	draining.Drain()
	draining.Drain()
	_, err := draining.Ready(t.Context())
	wantKind(t, err, domain.Unavailable)
	if report := draining.Report(t.Context()); report.Status != domain.Healthy {
		t.Errorf("draining made it %s", report.Status)
	}
}

// slow answers when its time is over or the deadline is.
type slow time.Duration

func (s slow) Check(ctx context.Context) domain.PartHealth {
	select {
	case <-time.After(time.Duration(s)):
		return domain.PartHealth{Status: domain.Healthy}
	case <-ctx.Done():
		return domain.PartHealth{Status: domain.Unhealthy, Detail: "no answer in time"}
	}
}

func TestHealthAsksAllAtOnceAndNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := health(map[string]ports.Probe{
			app.PartDatabase: slow(time.Second), app.PartCache: slow(time.Second), app.PartBus: slow(time.Hour),
		})
		began := time.Now()
		report := h.Report(t.Context())
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("it took %v", waited)
		}
		if report.Status != domain.Degraded || report.Part(app.PartBus).Detail == "" || report.Part(app.PartCache).Status != domain.Healthy {
			t.Errorf("got %+v", report)
		}
		h = health(map[string]ports.Probe{app.PartDatabase: slow(time.Hour)})
		began = time.Now()
		_, err := h.Ready(t.Context())
		wantKind(t, err, domain.Unavailable)
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("readiness took %v", waited)
		}
	})
}
