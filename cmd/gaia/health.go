package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"time"

	"gaia/adapters/mcptools"
	"gaia/adapters/natsbus"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// newInstance makes the name of a process. It stands in answers to anybody, so it says nothing about the machine.
func newInstance() string { return strings.ToLower(rand.Text()[:10]) }

// need notes what a service needs besides the database.
func (s *system) need(service domain.Service, name string, probe ports.Probe) {
	if s.needs == nil {
		s.needs = map[domain.Service]map[string]ports.Probe{}
	}
	if s.needs[service] == nil {
		s.needs[service] = map[string]ports.Probe{}
	}
	s.needs[service][name] = probe
}

// openHealth tells how this process is and, where it is the gateway, how the services are that others carry out.
func (s *system) openHealth(c config, p parts) *app.Health {
	d := app.HealthDeps{Probes: p.probes, Services: map[domain.Service]map[string]ports.Probe{}, Now: time.Now}
	for _, service := range c.services() {
		d.Services[service] = s.needs[service]
	}
	if s.forwarder != nil {
		for service := range c.serviceURLs() {
			d.Elsewhere = append(d.Elsewhere, service)
		}
		if s.instances == nil { // nobody is heard of
			s.instances = app.NewInstances(app.InstancesDeps{Wait: c.HealthTimeout.duration(), Now: time.Now})
		}
		s.instances.Probed, d.Instances = s.forwarder.Instances, s.instances.Of
	}
	health := app.NewHealth(d)
	if s.heartbeat != nil {
		s.heartbeat.Health = health
	}
	return health
}

// startDiscovery has others hear of this process, and this one of others.
func (s *system) startDiscovery(ctx context.Context, c config, running *app.Slots) {
	s.instances = app.NewInstances(app.InstancesDeps{Ping: s.bus.Ping, Wait: c.HealthTimeout.duration(), Now: time.Now})
	host, _ := os.Hostname() // for people; empty will do
	s.heartbeat = app.NewHeartbeat(app.HeartbeatDeps{
		Instance: s.instance, Build: build, Host: host, Services: c.services(), Interval: c.Heartbeat.duration(), Events: s.events, Connected: s.bus.Connected,
		Load: s.load.read, Requests: running.Running, Now: time.Now,
	})
	s.heartbeat.Starting(ctx)
}

// beat begins to tell others how this process is, now that it takes requests. It is over when the process stops.
func (s *system) beat(c config) error {
	if s.heartbeat == nil {
		return nil
	}
	if err := s.bus.HearServices(s.hear, s.heartbeat.Back); err != nil {
		return err
	}
	for _, service := range c.services() {
		id, stop, err := s.bus.Serve(natsbus.Described{
			Service: service, Instance: s.instance, Build: build, Environment: c.Environment,
		}, func(ctx context.Context) domain.ServiceHealthEvent { return s.heartbeat.State(ctx, service) })
		if err != nil {
			return err
		}
		s.onEnd(stop)
		s.heartbeat.Found(service, id)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.heartbeat.Run(ctx) }()
	s.quiet = func() { cancel(); <-ended }
	s.onEnd(s.quiet)
	return nil
}

// hear takes news of a process. Where requests are handed on, it matters at once whether it takes any. Events come by two subjects at the same
// time, and what is handed on has to be in the order of what was believed.
func (s *system) hear(e domain.ServiceHealthEvent) {
	s.hearing.Lock()
	defer s.hearing.Unlock()
	if news := s.instances.Hear(e); !news || s.forwarder == nil {
		return
	}
	switch e.Status {
	case domain.ServiceStopping:
		s.forwarder.Heard(domain.Service(e.ServiceName), e.Details.Instance, false)
	case domain.ServiceHealthy:
		s.forwarder.Heard(domain.Service(e.ServiceName), e.Details.Instance, true)
	}
}

// leave tells others that this process takes no more requests. It is the last that they hear of it.
func (s *system) leave() {
	if s.heartbeat == nil {
		return
	}
	if s.quiet != nil {
		s.quiet()
	}
	s.heartbeat.Stopping(context.Background())
}

// countTools tells how many servers of tools are wanted, and how many of them are away. One that starts is not away.
func countTools(servers *mcptools.Servers) (wanted, away int) {
	for _, state := range servers.States() {
		switch state.Status {
		case mcptools.Off:
			continue
		case mcptools.Down:
			away++
		}
		wanted++
	}
	return wanted, away
}

// needKeys notes whether somebody can log in at all besides those who have keys in the database.
func (s *system) needKeys(known bool) {
	status, detail := domain.Healthy, ""
	if !known {
		status, detail = domain.Degraded, "None of API_KEY, SUPABASE_JWT_SECRET and SUPABASE_URL is set"
	}
	s.need(domain.ServiceAuth, app.PartKeys, app.Constant(status, detail))
}

// needGenerators notes whether any generator is configured: without one there is still the catalogue.
func (s *system) needGenerators(configured int) {
	status := domain.Healthy
	if configured == 0 {
		status = domain.Disabled
	}
	s.need(domain.ServiceAsset, app.PartGenerators, app.Constant(status, ""))
}

// checkHeartbeat finds times that others would not believe.
func (c *config) checkHeartbeat() error {
	if h := c.Heartbeat.duration(); h < time.Second || h > 5*time.Minute {
		return errors.New("SERVICE_HEARTBEAT_INTERVAL: is not between a second and 5 minutes")
	}
	if c.HealthTimeout == 0 {
		return errors.New("HEALTH_CHECK_TIMEOUT: must be above 0")
	}
	return nil
}
