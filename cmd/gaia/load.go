package main

import (
	"net"
	"net/http"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"gaia/app"
)

// shortestLook is the shortest span over which the use of the CPU is measured: shorter ones say nothing.
const shortestLook = time.Second

// loadMeter measures how busy this process is.
type loadMeter struct {
	connections atomic.Int64

	mu      sync.Mutex
	since   time.Time     // begin of the span that is being measured
	cpu     time.Duration // used by then
	percent float64       // of the last whole span
}

func newLoadMeter() *loadMeter {
	return &loadMeter{since: time.Now(), cpu: cpuTime()}
}

// connection is the ConnState of an http.Server.
func (m *loadMeter) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		m.connections.Add(-1)
	}
}

// read measures the memory that the process has from the system, and the CPU that it has used since the last look.
func (m *loadMeter) read() app.ProcessLoad {
	const total, released = "/memory/classes/total:bytes", "/memory/classes/heap/released:bytes"
	samples := []metrics.Sample{{Name: total}, {Name: released}}
	metrics.Read(samples)
	return app.ProcessLoad{
		MemoryBytes: samples[0].Value.Uint64() - samples[1].Value.Uint64(), CPUPercent: m.cpuPercent(time.Now(), cpuTime()),
		Connections: int(m.connections.Load()),
	}
}

func (m *loadMeter) cpuPercent(now time.Time, cpu time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if span := now.Sub(m.since); span >= shortestLook {
		m.percent = float64(cpu-m.cpu) * 100 / float64(span)
		m.since, m.cpu = now, cpu
	}
	return m.percent
}
