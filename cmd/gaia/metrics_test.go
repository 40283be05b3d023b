package main

import (
	"slices"
	"testing"

	"gaia/domain"
)

// A service whose name is not found has no process: that has to be a figure, or no alert can fire for it.
func TestServicesWithoutProcessesAreCounted(t *testing.T) {
	t.Parallel()
	got := map[string]float64{}
	for _, f := range reach([]domain.Service{domain.ServiceAsset, domain.ServiceChat}, func(service domain.Service) []domain.Instance {
		if service == domain.ServiceChat {
			return nil
		}
		return []domain.Instance{{Health: domain.PartHealth{Status: domain.Healthy}}}
	}) {
		if !slices.Equal([]string{f.Labels[0], f.Labels[2]}, []string{"target", "status"}) {
			t.Fatalf("labels %v", f.Labels)
		}
		got[f.Labels[1]+" "+f.Labels[3]] = f.Value
	}
	for name, want := range map[string]float64{"asset healthy": 1, "asset unhealthy": 0, "chat healthy": 0, "chat degraded": 0, "chat unhealthy": 0} {
		if value, is := got[name]; !is || value != want {
			t.Errorf("%s: %v, %v", name, value, is)
		}
	}
}
