package main

import (
	"net/http"
	"testing"
	"time"
)

func TestLoadMeterCountsConnections(t *testing.T) {
	t.Parallel()
	m := newLoadMeter()
	for _, state := range []http.ConnState{
		http.StateNew, http.StateNew, http.StateNew, http.StateActive, http.StateIdle, http.StateClosed, http.StateHijacked,
	} {
		m.connection(nil, state)
	}
	if got := m.read().Connections; got != 1 {
		t.Errorf("counts %d connections, want 1", got)
	}
}

func TestLoadMeterMeasures(t *testing.T) {
	t.Parallel()
	m := newLoadMeter()
	if got := m.read().MemoryBytes; got < 1<<20 || got > 1<<40 {
		t.Errorf("measures %d bytes", got)
	}
	began, used := m.since, m.cpu
	for _, c := range []struct {
		after, cpu time.Duration
		want       float64
	}{
		{shortestLook / 2, 300 * time.Millisecond, 0}, // too early to say
		{2 * time.Second, time.Second, 50},
		{2*time.Second + shortestLook/2, 2 * time.Second, 50},
		{4 * time.Second, 4 * time.Second, 150},
		{5 * time.Second, 4 * time.Second, 0},
	} {
		if got := m.cpuPercent(began.Add(c.after), used+c.cpu); got != c.want {
			t.Errorf("after %v with %v of the CPU: %v percent, want %v", c.after, c.cpu, got, c.want)
		}
	}
}

func TestCPUTimeGrows(t *testing.T) {
	t.Parallel()
	before := cpuTime()
	deadline := time.Now().Add(10 * time.Second)
	for cpuTime() <= before { // using it
		if time.Now().After(deadline) {
			t.Fatal("the CPU's time does not grow")
		}
	}
}
