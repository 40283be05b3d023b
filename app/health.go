package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Parts of the system that Health asks. They are the names in its reports.
const (
	PartDatabase = "database"
	PartCache    = "redis"
	PartBus      = "nats"
	PartIdentity = "supabase"
	PartLimiter  = "rate_limit"
)

// checkTimeout bounds how long one part may take to say how it is.
const checkTimeout = 2 * time.Second

// Health tells how the system is.
type Health struct {
	probes   map[string]ports.Probe
	draining atomic.Bool
}

// NewHealth makes the use case. A part without a probe is disabled.
func NewHealth(probes map[string]ports.Probe) *Health { return &Health{probes: probes} }

// HealthReport is the state of the whole and of each part.
type HealthReport struct {
	Status domain.Status
	Parts  map[string]domain.PartHealth
}

// Report asks all parts at once. Without the database nothing works, so it alone makes the whole unhealthy; anything else that is not
// well makes it degraded and can't turn unhealthy back into that.
func (h *Health) Report(ctx context.Context) HealthReport {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r := HealthReport{Status: domain.Healthy, Parts: make(map[string]domain.PartHealth)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, probe := range h.probes {
		wg.Go(func() {
			part := probe.Check(ctx)
			mu.Lock()
			defer mu.Unlock()
			r.Parts[name] = part
		})
	}
	wg.Wait()
	for name, part := range r.Parts {
		switch {
		case part.Status == domain.Unhealthy && name == PartDatabase:
			r.Status = domain.Unhealthy
		case (part.Status == domain.Unhealthy || part.Status == domain.Degraded) && r.Status == domain.Healthy:
			r.Status = domain.Degraded
		}
	}
	return r
}

// Part returns the state of one part; one that is not there is disabled.
func (r HealthReport) Part(name string) domain.PartHealth {
	if part, ok := r.Parts[name]; ok {
		return part
	}
	return domain.PartHealth{Status: domain.Disabled}
}

// Ready fails with domain.Unavailable when requests should go elsewhere: the database is away, or this process is about to stop.
func (h *Health) Ready(ctx context.Context) error {
	if h.draining.Load() {
		return domain.MissingPart("This process is shutting down", nil)
	}
	probe, ok := h.probes[PartDatabase]
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if part := probe.Check(ctx); part.Status != domain.Healthy && part.Status != domain.Degraded {
		return domain.MissingPart(part.Detail, nil)
	}
	return nil
}

// Drain makes Ready fail from now on.
func (h *Health) Drain() { h.draining.Store(true) }
