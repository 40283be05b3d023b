package main

import (
	"crypto/rand"
	"strings"

	"gaia/domain"
	"gaia/ports"
)

// newInstance makes the name of a process. It stands in subjects of the bus and in answers to anybody, so it says nothing about the machine.
func newInstance() string { return strings.ToLower(rand.Text()[:10]) }

// allServices are those of a process that does everything by itself.
func allServices() map[domain.Service]map[string]ports.Probe {
	services := map[domain.Service]map[string]ports.Probe{}
	for _, s := range domain.Services() {
		services[s] = nil
	}
	return services
}
