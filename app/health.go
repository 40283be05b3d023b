package app

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// Parts of the system that Health asks. They are the names in its reports.
const (
	PartDatabase   = "database"
	PartMigrations = "migrations"
	PartCache      = "redis"
	PartBus        = "nats"
	PartIdentity   = "supabase"
	PartLimiter    = "rate_limit"

	// Parts of services.
	PartProviders  = "providers"
	PartTools      = "tools"
	PartStorage    = "storage"
	PartGenerators = "generators"
	PartKeys       = "keys"
)

const (
	// checkTimeout bounds how long one part may take to say how it is.
	checkTimeout = 2 * time.Second
	// reportAge is for how long what was found is told again: anybody may ask, as often as they like.
	reportAge = time.Second
)

// HealthDeps is what Health needs.
type HealthDeps struct {
	Probes map[string]ports.Probe // a part without one is disabled
	// Services are those that this process carries out, each with what it needs besides the database. How well a service is follows from
	// the worst of these.
	Services map[domain.Service]map[string]ports.Probe
	// Elsewhere are services that this process has others carry out, and Instances tells which processes these are. Any other service is disabled.
	Elsewhere []domain.Service
	Instances func(context.Context, domain.Service) []domain.Instance
	Now       ports.Clock
}

// Health tells how the system is.
type Health struct {
	HealthDeps
	database *fresh[domain.PartHealth] // nil: there is none
	own      *fresh[HealthReport]
	whole    *fresh[HealthReport]
	draining atomic.Bool
}

// NewHealth makes the use case.
func NewHealth(d HealthDeps) *Health {
	h := &Health{HealthDeps: d}
	if probe := d.Probes[PartDatabase]; probe != nil {
		h.database = &fresh[domain.PartHealth]{look: probe.Check, wait: checkTimeout, age: goodFor[domain.PartHealth](reportAge), now: d.Now}
	}
	h.own = &fresh[HealthReport]{look: h.lookHere, wait: checkTimeout + checkTimeout/4, age: goodFor[HealthReport](reportAge), now: d.Now}
	h.whole = &fresh[HealthReport]{look: h.lookEverywhere, wait: checkTimeout + checkTimeout/2, age: goodFor[HealthReport](reportAge), now: d.Now}
	return h
}

// HealthReport is the state of the whole and of each part.
type HealthReport struct {
	Status   domain.Status
	Parts    map[string]domain.PartHealth
	Services map[domain.Service]ServiceReport
}

// ServiceReport is the state of one service. Parts are there when this process carries it out, Instances when others do.
type ServiceReport struct {
	domain.PartHealth
	Parts     []NamedPart
	Instances []domain.Instance
}

// NamedPart is the state of a part under its name.
type NamedPart struct {
	Name string
	domain.PartHealth
}

// Report asks all parts at once. Without the database nothing works, so it alone makes the whole unhealthy; anything else that is not
// well makes it degraded and can't turn unhealthy back into that. What was found is told again for a second.
func (h *Health) Report(ctx context.Context) HealthReport { return h.told(ctx, h.whole) }

// Own is Report without the services that others carry out: who is asked by them must not ask them in turn.
func (h *Health) Own(ctx context.Context) HealthReport { return h.told(ctx, h.own) }

func (h *Health) told(ctx context.Context, f *fresh[HealthReport]) HealthReport {
	r, err := f.get(ctx)
	if err != nil { // who asked has gone
		return HealthReport{Status: domain.Unhealthy}
	}
	return r
}

func (h *Health) lookHere(ctx context.Context) HealthReport {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r := HealthReport{Parts: map[string]domain.PartHealth{}, Services: map[domain.Service]ServiceReport{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	needs := map[domain.Service]map[string]domain.PartHealth{}
	ask := func(into map[string]domain.PartHealth, name string, probe ports.Probe) {
		wg.Go(func() {
			part := h.check(ctx, name, probe)
			mu.Lock()
			defer mu.Unlock()
			into[name] = part
		})
	}
	for name, probe := range h.Probes {
		ask(r.Parts, name, probe)
	}
	for service, parts := range h.Services {
		states := map[string]domain.PartHealth{}
		needs[service] = states
		for name, probe := range parts {
			ask(states, name, probe)
		}
	}
	wg.Wait()
	for service, states := range needs {
		r.Services[service] = serviceOf(r.Part(PartDatabase), states)
	}
	r.judge()
	return r
}

// check asks a part, which is the database for all who want to know of that.
func (h *Health) check(ctx context.Context, name string, probe ports.Probe) domain.PartHealth {
	if name == PartDatabase {
		return h.askDatabase(ctx)
	}
	return probe.Check(ctx)
}

func (h *Health) askDatabase(ctx context.Context) domain.PartHealth {
	part, err := h.database.get(ctx)
	if err != nil {
		return domain.PartHealth{Status: domain.Unhealthy, Detail: "The database does not answer"}
	}
	return part
}

// serviceOf judges a service by what it needs. It is as slow as the slowest of that.
func serviceOf(database domain.PartHealth, states map[string]domain.PartHealth) ServiceReport {
	r := ServiceReport{PartHealth: domain.PartHealth{Status: domain.Healthy, ResponseTime: database.ResponseTime}}
	var reasons []string
	take := func(name string, part domain.PartHealth) {
		if worse(part.Status, r.Status) {
			r.Status = part.Status
		}
		if part.Status != domain.Healthy && part.Status != domain.Disabled {
			reasons = append(reasons, name+": "+part.Detail)
		}
		r.ResponseTime = max(r.ResponseTime, part.ResponseTime)
	}
	take(PartDatabase, database)
	for name, part := range states {
		r.Parts = append(r.Parts, NamedPart{name, part})
	}
	slices.SortFunc(r.Parts, func(a, b NamedPart) int { return strings.Compare(a.Name, b.Name) })
	for _, part := range r.Parts {
		take(part.Name, part.PartHealth)
	}
	r.Detail = strings.Join(reasons, "; ")
	return r
}

// worse compares states of parts that are there.
func worse(a, b domain.Status) bool {
	order := []domain.Status{domain.Healthy, domain.Degraded, domain.Unhealthy}
	return slices.Index(order, a) > slices.Index(order, b)
}

func (h *Health) lookEverywhere(ctx context.Context) HealthReport {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout+checkTimeout/4)
	defer cancel()
	found := make([]ServiceReport, len(h.Elsewhere))
	var wg sync.WaitGroup
	for i, service := range h.Elsewhere {
		wg.Go(func() { found[i] = ofInstances(service, h.Instances(ctx, service)) })
	}
	r := h.Own(ctx)
	wg.Wait()
	own := r.Services
	r.Services = make(map[domain.Service]ServiceReport, len(own)+len(found))
	for service, report := range own {
		r.Services[service] = report
	}
	for i, service := range h.Elsewhere {
		r.Services[service] = found[i]
	}
	r.judge()
	return r
}

// ofInstances judges a service by the processes that carry it out: without one that works it is unhealthy, and with one that does not it
// is not quite well. Those that are about to stop say nothing about it.
func ofInstances(service domain.Service, list []domain.Instance) ServiceReport {
	r := ServiceReport{Instances: list}
	counted, well, working := 0, 0, 0
	for _, i := range list {
		switch i.Health.Status {
		case domain.Disabled:
			continue
		case domain.Healthy:
			well++
			working++
		case domain.Degraded:
			working++
		}
		counted++
		if i.Works() && i.Health.ResponseTime > 0 && (r.ResponseTime == 0 || i.Health.ResponseTime < r.ResponseTime) {
			r.ResponseTime = i.Health.ResponseTime
		}
	}
	switch {
	case working == 0:
		r.Status, r.Detail = domain.Unhealthy, "No instance of "+string(service)+" answers"
	case well < counted:
		r.Status, r.Detail = domain.Degraded, "Not every instance of "+string(service)+" is well"
	default:
		r.Status = domain.Healthy
	}
	return r
}

// judge computes the state of the whole.
func (r *HealthReport) judge() {
	r.Status = domain.Healthy
	poor := func(s domain.Status) bool { return s == domain.Unhealthy || s == domain.Degraded }
	for _, part := range r.Parts {
		if poor(part.Status) {
			r.Status = domain.Degraded
		}
	}
	for _, service := range r.Services {
		if poor(service.Status) {
			r.Status = domain.Degraded
		}
	}
	if r.Part(PartDatabase).Status == domain.Unhealthy {
		r.Status = domain.Unhealthy
	}
}

// Part returns the state of one part; one that is not there is disabled.
func (r HealthReport) Part(name string) domain.PartHealth {
	if part, ok := r.Parts[name]; ok {
		return part
	}
	return domain.PartHealth{Status: domain.Disabled}
}

// Service returns the state of one service; one that is neither here nor elsewhere is disabled.
func (r HealthReport) Service(name domain.Service) ServiceReport {
	if service, ok := r.Services[name]; ok {
		return service
	}
	return ServiceReport{PartHealth: domain.PartHealth{Status: domain.Disabled}}
}

// Ready fails with domain.Unavailable when requests should go elsewhere: the database is away or has not the schema that this program
// needs, or this process is about to stop. Services that others carry out don't count: what does not need them can still be done. A look at
// the database is good for a second, and who asks meanwhile waits for the one that goes on.
func (h *Health) Ready(ctx context.Context) ([]NamedPart, error) {
	if h.draining.Load() {
		return nil, domain.MissingPart("This process is shutting down", nil)
	}
	if h.database == nil {
		return nil, nil
	}
	part := h.askDatabase(ctx)
	if part.Status != domain.Healthy && part.Status != domain.Degraded {
		return nil, domain.MissingPart(part.Detail, nil)
	}
	// The look reads the newest table, so a database that answers has the schema.
	return []NamedPart{{PartDatabase, part}, {PartMigrations, domain.PartHealth{Status: domain.Healthy}}}, nil
}

// Drain makes Ready fail from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Draining reports whether this process is about to stop.
func (h *Health) Draining() bool { return h.draining.Load() }
