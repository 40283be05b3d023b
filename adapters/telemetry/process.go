package telemetry

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"time"
)

// watchProcess tells about the program and its runtime.
func (t *Telemetry) watchProcess() error {
	started := float64(time.Now().UnixMilli()) / 1000
	errs := []error{
		t.Gauge("gaia.build_info", "", "The program that runs.", one(1, "version", t.cfg.Version, "goversion", runtime.Version(), "service_name", t.cfg.Service)),
		t.Gauge("process.start_time", "s", "When the program started, since the epoch.", one(started)),
	}
	for _, m := range []struct {
		name, unit, about, from string
		total                   bool
	}{
		{"go.goroutines", "", "Goroutines that exist.", "/sched/goroutines:goroutines", false},
		{"go.threads", "", "Threads that may run Go code at a time.", "/sched/gomaxprocs:threads", false},
		{"go.memory.used", "By", "Memory that the program has from the system.", "/memory/classes/total:bytes", false},
		{"go.memory.heap", "By", "Memory that objects take.", "/memory/classes/heap/objects:bytes", false},
		{"go.gc.cycles", "", "Runs of the garbage collector.", "/gc/cycles/total:gc-cycles", true},
		{"go.gc.cpu", "s", "Time of processors for the garbage collector, as estimated.", "/cpu/classes/gc/total:cpu-seconds", true},
		{"go.cpu", "s", "Time of processors that the program could have used and did, as estimated.", "/cpu/classes/user:cpu-seconds", true},
	} {
		watch := t.Gauge
		if m.total {
			watch = t.Total
		}
		errs = append(errs, watch(m.name, m.unit, m.about, func(context.Context) []Figure { return runtimeFigure(m.from) }))
	}
	return errors.Join(errs...)
}

func one(value float64, labels ...string) func(context.Context) []Figure {
	return func(context.Context) []Figure { return []Figure{{Value: value, Labels: labels}} }
}

func runtimeFigure(name string) []Figure {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	switch v := sample[0].Value; v.Kind() {
	case metrics.KindUint64:
		return []Figure{{Value: float64(v.Uint64())}}
	case metrics.KindFloat64:
		return []Figure{{Value: v.Float64()}}
	default:
		return nil
	}
}
