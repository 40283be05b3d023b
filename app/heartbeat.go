package app

import (
	"context"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// looksPerBeat is how often a process looks how it is between two heartbeats, so that others learn of a change before the next.
const looksPerBeat = 3

// HeartbeatDeps is what Heartbeat needs.
type HeartbeatDeps struct {
	Instance string // names this process
	Build    string
	Host     string
	Services []domain.Service // of this process
	Interval time.Duration
	Health   *Health
	Events   ports.EventPublisher
	// Connected tells whether somebody can hear: heartbeats that wait for a bus would be news of yesterday.
	Connected func() bool
	Load      func() ProcessLoad
	Requests  func() int // that run
	Now       ports.Clock
}

// Heartbeat tells others how the services of this process are.
type Heartbeat struct {
	HeartbeatDeps
	began time.Time
	back  chan struct{} // the bus is back

	mu       sync.Mutex
	microIDs map[domain.Service]string
	told     map[domain.Service]string // status that was told last
	events   int64
}

// NewHeartbeat makes the use case.
func NewHeartbeat(d HeartbeatDeps) *Heartbeat {
	return &Heartbeat{
		HeartbeatDeps: d, began: d.Now(), back: make(chan struct{}, 1), microIDs: map[domain.Service]string{}, told: map[domain.Service]string{},
	}
}

// Found has events tell under which id a service is asked for signs of life.
func (h *Heartbeat) Found(service domain.Service, microID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.microIDs[service] = microID
}

// Back says that the bus is back. It does not block.
func (h *Heartbeat) Back() {
	select {
	case h.back <- struct{}{}:
	default:
	}
}

// Starting tells that this process is on its way.
func (h *Heartbeat) Starting(ctx context.Context) {
	for _, service := range h.Services {
		h.tell(ctx, domain.SubjectServiceHealth, service, domain.ServiceStarting, "")
	}
}

// Stopping tells that this process takes no more requests. Nothing else is told after it.
func (h *Heartbeat) Stopping(ctx context.Context) {
	for _, service := range h.Services {
		h.tell(ctx, domain.SubjectServiceHealth, service, domain.ServiceStopping, "")
	}
}

// Run tells how this process is, now and until ctx ends: at every heartbeat, when that changes, and when the bus is back.
func (h *Heartbeat) Run(ctx context.Context) {
	ticks := time.NewTicker(max(h.Interval/looksPerBeat, time.Millisecond))
	defer ticks.Stop()
	h.beat(ctx, true)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-h.back:
			h.beat(ctx, true)
		case <-ticks.C:
			h.beat(ctx, n%looksPerBeat == 0)
		}
	}
}

// beat tells of all services, or of those that have changed.
func (h *Heartbeat) beat(ctx context.Context, all bool) {
	report := h.Health.Own(ctx)
	for _, service := range h.Services {
		status, reason := h.status(report, service)
		if h.Health.Draining() || ctx.Err() != nil {
			return
		}
		before := h.lastTold(service)
		if status == domain.ServiceHealthy && before != domain.ServiceHealthy { // it takes requests, for the first time or again
			h.tell(ctx, domain.SubjectServiceReady, service, status, reason)
		} else if (all || status != before) && h.Connected() {
			h.tell(ctx, domain.SubjectServiceHealth, service, status, reason)
		}
	}
}

func (h *Heartbeat) lastTold(service domain.Service) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told[service]
}

// status is how a service is, in the words of events: there is no degraded among them, but a reason.
func (h *Heartbeat) status(r HealthReport, service domain.Service) (status, reason string) {
	part := r.Service(service).PartHealth
	if service == domain.ServiceGateway { // which needs nothing but what all need
		part = r.Part(PartDatabase)
	}
	if part.Status == domain.Unhealthy {
		return domain.ServiceUnhealthy, part.Detail
	}
	return domain.ServiceHealthy, part.Detail
}

// State is what would be told of a service now.
func (h *Heartbeat) State(ctx context.Context, service domain.Service) domain.ServiceHealthEvent {
	if h.Health.Draining() {
		return h.event(service, domain.ServiceStopping, "")
	}
	status, reason := h.status(h.Health.Own(ctx), service)
	return h.event(service, status, reason)
}

func (h *Heartbeat) tell(ctx context.Context, subject string, service domain.Service, status, reason string) {
	e := h.event(service, status, reason)
	h.mu.Lock()
	h.told[service] = status
	h.mu.Unlock()
	h.Events.Publish(ctx, domain.Event{Subject: subject, Payload: e})
}

func (h *Heartbeat) event(service domain.Service, status, reason string) domain.ServiceHealthEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, load := h.Now(), h.Load()
	h.events++
	return domain.ServiceHealthEvent{
		ServiceName: string(service), Status: status, Timestamp: now.UTC().Truncate(time.Microsecond),
		Details: domain.ServiceDetails{
			Version: h.Build, Instance: h.Instance, Sequence: h.events, MicroID: h.microIDs[service], Host: h.Host, Services: h.Services,
			Uptime: max(now.Sub(h.began), 0).Round(time.Millisecond).Seconds(), Heartbeat: h.Interval.Seconds(),
			Requests: h.Requests(), Connections: load.Connections, MemoryBytes: load.MemoryBytes, CPUPercent: load.CPUPercent, Reason: reason,
		},
	}
}
