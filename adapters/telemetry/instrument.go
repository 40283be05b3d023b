package telemetry

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// maker makes instruments and keeps what went wrong.
type maker struct {
	meter metric.Meter
	err   error
}

func (m *maker) histogram(name, unit, about string, bounds []float64) metric.Float64Histogram {
	h, err := m.meter.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about), metric.WithExplicitBucketBoundaries(bounds...))
	m.err = errors.Join(m.err, err)
	return h
}

func (m *maker) counter(name, unit, about string) metric.Int64Counter {
	c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.err = errors.Join(m.err, err)
	return c
}

func (m *maker) upDown(name, unit, about string) metric.Int64UpDownCounter {
	c, err := m.meter.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.err = errors.Join(m.err, err)
	return c
}

// Figure is one value that somebody tells when he is asked, with labels as pairs of name and value.
type Figure struct {
	Value  float64
	Labels []string
}

// gauge is one that somebody is asked for, until he can't be any more.
type gauge struct {
	ask func(context.Context) []Figure

	mu     sync.Mutex
	frozen bool
	last   []Figure
}

func (g *gauge) read(ctx context.Context) []Figure {
	g.mu.Lock()
	frozen, last := g.frozen, g.last
	g.mu.Unlock()
	if frozen {
		return last
	}
	return g.ask(ctx)
}

func (g *gauge) freeze(ctx context.Context) {
	last := g.ask(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.frozen = last, true
}

// Freeze asks once more for all that has a value, and for none of it again: those who would be asked are about to be closed, and the last
// metrics of a process that stops would say that everything is away. What is counted goes on being counted until Close.
func (t *Telemetry) Freeze(ctx context.Context) {
	t.mu.Lock()
	gauges := slices.Clone(t.gauges)
	t.mu.Unlock()
	for _, g := range gauges {
		g.freeze(ctx)
	}
}

// Gauge asks for a value whenever metrics are read, until Freeze. ask must not take longer than ctx allows.
func (t *Telemetry) Gauge(name, unit, about string, ask func(context.Context) []Figure) error {
	if t.metrics == nil {
		return nil
	}
	g := &gauge{ask: ask}
	t.mu.Lock()
	t.gauges = append(t.gauges, g)
	t.mu.Unlock()
	read := g.read
	_, err := t.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about), metric.WithFloat64Callback(observe(read)))
	return err
}

// Total asks for a sum that only grows, whenever metrics are read.
func (t *Telemetry) Total(name, unit, about string, read func(context.Context) []Figure) error {
	_, err := t.meter.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(about), metric.WithFloat64Callback(observe(read)))
	return err
}

func observe(read func(context.Context) []Figure) metric.Float64Callback {
	return func(ctx context.Context, o metric.Float64Observer) error {
		for _, f := range read(ctx) {
			o.Observe(f.Value, metric.WithAttributes(pairs(f.Labels)...))
		}
		return nil
	}
}

// Counter returns what adds to a sum.
func (t *Telemetry) Counter(name, unit, about string) (func(ctx context.Context, n float64, labels ...string), error) {
	c, err := t.meter.Float64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	return func(ctx context.Context, n float64, labels ...string) {
		c.Add(ctx, n, metric.WithAttributes(pairs(labels)...))
	}, err
}

func pairs(labels []string) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		list = append(list, attribute.String(labels[i], labels[i+1]))
	}
	return list
}
