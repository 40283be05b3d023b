package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"gaia/adapters/httpapi"
	"gaia/adapters/natsbus"
	"gaia/adapters/postgres"
	"gaia/adapters/rediskv"
	"gaia/adapters/telemetry"
	"gaia/adapters/tiercache"
	"gaia/app"
	"gaia/domain"
)

const (
	// outboxWait bounds how long a scrape waits for the outbox to be counted.
	outboxWait = time.Second
	// backlogFresh is how long nobody asks the outbox again, however many scrape.
	backlogFresh = 5 * time.Second
)

// backlog is what waits in the outbox, as it was a moment ago.
type backlog struct {
	ask func(context.Context) (app.RelayState, error)
	now func() time.Time

	mu    sync.Mutex
	asked time.Time
	known bool
	state app.RelayState
}

// figure makes a metric of what waits. While the database is away there is none, which another metric tells.
func (b *backlog) figure(value func(app.RelayState) float64) func(context.Context) []telemetry.Figure {
	return func(ctx context.Context) []telemetry.Figure {
		state, known := b.read(ctx)
		if !known {
			return nil
		}
		return []telemetry.Figure{{Value: value(state)}}
	}
}

func (b *backlog) read(ctx context.Context) (app.RelayState, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.asked.IsZero() && b.now().Sub(b.asked) < backlogFresh {
		return b.state, b.known
	}
	ctx, cancel := context.WithTimeout(ctx, outboxWait)
	defer cancel()
	state, err := b.ask(ctx)
	b.asked, b.state, b.known = b.now(), state, err == nil
	return b.state, b.known
}

// figures makes a metric of one value.
func figures(value func() float64) func(context.Context) []telemetry.Figure {
	return func(context.Context) []telemetry.Figure { return []telemetry.Figure{{Value: value()}} }
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// watch has this process watched, and returns how requests are.
func (s *system) watch(p parts, api httpapi.Config) (httpapi.Observe, error) {
	if !s.telemetry.Watching() {
		return nil, nil
	}
	if err := errors.Join(s.measureParts(p.relay, p.bus), s.measureCache(p.cache), s.measureRedis(p.redis), s.measureWork(api), s.measureInstances()); err != nil {
		return nil, err
	}
	return s.watchRequests()
}

// measureParts tells how the parts of the system are whenever somebody looks.
func (s *system) measureParts(relay *app.Relay, bus *natsbus.Bus) error {
	t, waiting := s.telemetry, &backlog{ask: relay.State, now: time.Now}
	return errors.Join(
		t.Gauge("gaia.part.up", "", "Whether a part of the system works; 0.5: not as well as it should.", s.partFigures),
		t.Gauge("gaia.outbox.pending", "{event}", "Stored events that wait to be sent.",
			waiting.figure(func(s app.RelayState) float64 { return float64(s.Pending) })),
		t.Gauge("gaia.outbox.oldest_age", "s", "How long the first of the stored events has waited to be sent.",
			waiting.figure(func(s app.RelayState) float64 { return s.Oldest.Seconds() })),
		t.Gauge("gaia.outbox.failing", "", "Whether this process can't send stored events at the moment.", figures(func() float64 { return truth(s.relayFailing.Load()) })),
		t.Total("gaia.outbox.sent", "{event}", "Stored events that this process has sent.", figures(func() float64 { return float64(relay.Sent()) })),
		t.Gauge("gaia.bus.connected", "", "Whether NATS is there.", figures(func() float64 { return truth(bus.Connected()) })),
		t.Total("gaia.bus.reconnects", "", "How often the connection to NATS came back.", figures(func() float64 { return float64(bus.Reconnects()) })),
		t.Total("gaia.bus.lost", "{event}", "Events that nobody stored and that could not be sent.", figures(func() float64 { return float64(bus.Lost()) })),
		t.Gauge("gaia.http.connections", "{connection}", "Connections of clients.", figures(func() float64 { return float64(s.load.connections.Load()) })),
	)
}

// partFigures asks the probes, which are quick and wait two seconds at most.
func (s *system) partFigures(ctx context.Context) []telemetry.Figure {
	var list []telemetry.Figure
	for name, part := range s.health.Own(ctx).Parts {
		value := map[domain.Status]float64{domain.Healthy: 1, domain.Degraded: 0.5}[part.Status]
		list = append(list, telemetry.Figure{Value: value, Labels: []string{"part", name}})
	}
	return list
}

// measurePool tells how connections to the database are used.
func (s *system) measurePool(store *postgres.Store) error {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return nil
	}
	t := s.telemetry
	return errors.Join(
		t.Gauge("db.client.connection.count", "", "Connections to the database.", func(context.Context) []telemetry.Figure {
			p := store.Pool()
			return []telemetry.Figure{
				{Value: float64(p.InUse), Labels: []string{"state", "used"}}, {Value: float64(p.Idle), Labels: []string{"state", "idle"}},
			}
		}),
		t.Gauge("db.client.connection.max", "", "Connections to the database that there may be.", figures(func() float64 { return float64(store.Pool().Max) })),
		t.Total("db.client.connection.wait_time", "s", "Time that callers have waited for a connection.", figures(func() float64 { return store.Pool().Waited })),
		t.Total("db.client.connection.timeouts", "", "Waits for a connection that ended without one.", figures(func() float64 { return float64(store.Pool().Refused) })),
	)
}

// measureCache tells what the cache does, by space.
func (s *system) measureCache(cache *tiercache.Cache) error {
	bySpace := func(figures func(space string, c domain.CacheCounts) []telemetry.Figure) func(context.Context) []telemetry.Figure {
		return func(context.Context) (all []telemetry.Figure) {
			for space, counts := range cache.Stats() {
				all = append(all, figures(space, counts)...)
			}
			return all
		}
	}
	return errors.Join(
		s.telemetry.Total("gaia.cache.requests", "{request}", "What the cache was asked for, by where it was found.",
			bySpace(func(space string, c domain.CacheCounts) (list []telemetry.Figure) {
				for result, n := range map[string]uint64{
					"local": c.LocalHits, "remote": c.RemoteHits, "negative": c.NegativeHits, "shared": c.Shared, "load": c.Loads,
				} {
					list = append(list, telemetry.Figure{Value: float64(n), Labels: []string{"space", space, "result", result}})
				}
				return list
			})),
		s.telemetry.Total("gaia.cache.load_errors", "{request}", "Loads for the cache that failed.",
			bySpace(func(space string, c domain.CacheCounts) []telemetry.Figure {
				return []telemetry.Figure{{Value: float64(c.LoadErrors), Labels: []string{"space", space}}}
			})),
		s.telemetry.Total("gaia.cache.bypasses", "{request}", "Loads that could not ask Redis first.",
			bySpace(func(space string, c domain.CacheCounts) []telemetry.Figure {
				return []telemetry.Figure{{Value: float64(c.Bypasses), Labels: []string{"space", space}}}
			})),
		s.telemetry.Total("gaia.cache.evictions", "{entry}", "Entries that had to go for others, or were too large to be kept.",
			bySpace(func(space string, c domain.CacheCounts) []telemetry.Figure {
				return []telemetry.Figure{{Value: float64(c.Evictions), Labels: []string{"space", space}}}
			})),
		s.telemetry.Gauge("gaia.cache.memory", "By", "Memory that the cache takes.",
			bySpace(func(space string, c domain.CacheCounts) []telemetry.Figure {
				return []telemetry.Figure{{Value: float64(c.Bytes), Labels: []string{"space", space}}}
			})),
	)
}

// measureRedis tells how Redis answers, and what goes on without it.
func (s *system) measureRedis(redis *rediskv.Client) error {
	if redis == nil {
		return nil
	}
	t := s.telemetry
	total := func(name, unit, about string, count func(domain.RemoteCounts) uint64) error {
		return t.Total(name, unit, about, figures(func() float64 { return float64(count(redis.Stats())) }))
	}
	return errors.Join(
		total("gaia.redis.calls", "{call}", "Calls of Redis on the way of requests.", func(r domain.RemoteCounts) uint64 { return r.Calls }),
		total("gaia.redis.failures", "{call}", "Calls of Redis without an answer in time.", func(r domain.RemoteCounts) uint64 { return r.Failures }),
		total("gaia.redis.slow", "{call}", "Calls of Redis that were answered in time, but slowly.", func(r domain.RemoteCounts) uint64 { return r.Slow }),
		total("gaia.redis.skipped", "{call}", "Calls that were not made, because Redis was away or slow.", func(r domain.RemoteCounts) uint64 { return r.Skipped }),
		total("gaia.redis.outages", "", "How often Redis was found to be away or slow.", func(r domain.RemoteCounts) uint64 { return r.Outages }),
	)
}

// measureWork tells what is done in the background, where it is.
func (s *system) measureWork(api httpapi.Config) (err error) {
	if api.Workflows != nil {
		err = s.telemetry.Gauge("gaia.workflows.running", "{workflow}", "Workflows that this process works on.",
			figures(func() float64 { return float64(api.Workflows.Running()) }))
	}
	if api.Generations != nil {
		err = errors.Join(err, s.telemetry.Gauge("gaia.generations.running", "{generation}", "Assets that this process has made.",
			figures(func() float64 { return float64(api.Generations.Running()) })))
	}
	return err
}

// measureInstances tells how the processes are that requests are handed on to.
func (s *system) measureInstances() error {
	if s.forwarder == nil {
		return nil
	}
	byTarget := func(figures func(domain.HopCounts) map[string]uint64) func(context.Context) []telemetry.Figure {
		return func(context.Context) (list []telemetry.Figure) {
			for service, counts := range s.forwarder.Stats() {
				for reason, n := range figures(counts) {
					labels := []string{"target", string(service)}
					if reason != "" {
						labels = append(labels, "reason", reason)
					}
					list = append(list, telemetry.Figure{Value: float64(n), Labels: labels})
				}
			}
			return list
		}
	}
	return errors.Join(s.measureReach(),
		s.telemetry.Total("gaia.forward.requests", "{request}", "Requests that were handed on to a service.",
			byTarget(func(c domain.HopCounts) map[string]uint64 { return map[string]uint64{"": c.Requests} })),
		s.telemetry.Total("gaia.forward.retries", "{request}", "Attempts to hand a request on after the first.",
			byTarget(func(c domain.HopCounts) map[string]uint64 { return map[string]uint64{"": c.Retries} })),
		s.telemetry.Total("gaia.forward.failures", "{request}", "Attempts to hand a request on that failed, were not made, or whose answers broke off, by reason.",
			byTarget(func(c domain.HopCounts) map[string]uint64 {
				return map[string]uint64{
					"away": c.Away, "late": c.Late, "lost": c.Lost, "refused": c.Refused, "rationed": c.Rationed, "broken": c.Broken,
				}
			})))
}

// measureReach tells which processes of a service are there.
func (s *system) measureReach() error {
	return s.telemetry.Gauge("gaia.forward.instances", "{process}", "Processes of a service that requests are handed on to, by how they are.",
		func(context.Context) []telemetry.Figure { return reach(s.health.Elsewhere, s.forwarder.Instances) })
}

// reach counts the processes of services. One that nobody serves, or whose name is not found, has zeros: were it left out, an alert could
// not tell it from one that is not wanted.
func reach(elsewhere []domain.Service, instances func(domain.Service) []domain.Instance) (list []telemetry.Figure) {
	for _, service := range elsewhere {
		states := map[domain.Status]int{domain.Healthy: 0, domain.Degraded: 0, domain.Unhealthy: 0}
		for _, i := range instances(service) {
			states[i.Health.Status]++
		}
		for status, n := range states {
			list = append(list, telemetry.Figure{Value: float64(n), Labels: []string{"target", string(service), "status", string(status)}})
		}
	}
	return list
}
