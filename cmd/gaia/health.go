package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// newInstance makes the name of a process. It stands in subjects of the bus and in answers to anybody, so it says nothing about the machine.
func newInstance() string { return strings.ToLower(rand.Text()[:10]) }

// openHealth tells how this process is and, where it is the gateway, how the services are that others carry out.
func (s *system) openHealth(c config, p parts) *app.Health {
	d := app.HealthDeps{Probes: p.probes, Services: map[domain.Service]map[string]ports.Probe{}, Now: time.Now}
	for _, service := range c.services() {
		d.Services[service] = nil
	}
	if s.forwarder != nil {
		for service := range c.serviceURLs() {
			d.Elsewhere = append(d.Elsewhere, service)
		}
		d.Instances = func(_ context.Context, of domain.Service) []domain.Instance { return s.forwarder.Instances(of) }
	}
	return app.NewHealth(d)
}
