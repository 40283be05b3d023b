// Package telemetry measures and traces what Gaia does, with the SDK of OpenTelemetry, and gives it to who watches: traces and metrics to
// a collector by OTLP over HTTP, metrics to Prometheus when it asks.
//
// It must not hold or pass on what is said in chats, credentials, or ids of users. What it labels metrics with has to be of a small, known
// set: nothing that a client sends can make a new series. It must not make anybody wait: what a collector does not take in time is dropped.
//
// Nobody but the composition root knows this package. Adapters have hooks that are plain functions, which it gives.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// scope names who measures.
const scope = "gaia"

// Config says what is watched. The zero value watches nothing.
type Config struct {
	Service    string            // service.name
	Version    string            // service.version
	Instance   string            // service.instance.id
	Attributes map[string]string // of the resource, besides

	Scraped  bool          // metrics are kept for Handler
	Endpoint string        // of a collector, without /v1/traces; empty: none
	Headers  http.Header   // of what is sent there
	Timeout  time.Duration // of one request there; 10 s when zero
	Ratio    float64       // of traces that begin here, from 0 to 1
	Interval time.Duration // between metrics that are sent; a minute when zero
	Logger   *slog.Logger
}

const (
	defaultTimeout  = 10 * time.Second
	defaultInterval = time.Minute

	spanQueue = 2048 // that wait for the collector; more are dropped
	spanBatch = 512
	spanPause = 2 * time.Second
	maxSeries = 4000 // of one metric; what comes later counts together
	maxLabels = 64   // of one span
)

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Interval <= 0 {
		c.Interval = defaultInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Telemetry is what watches one process.
type Telemetry struct {
	cfg        Config
	tracer     trace.Tracer
	meter      metric.Meter
	propagator propagation.TraceContext

	traces  *sdktrace.TracerProvider // nil: no traces
	metrics *sdkmetric.MeterProvider // nil: no metrics
	scraped *sdkmetric.ManualReader  // nil: nobody scrapes
	genAI   genAI

	mu     sync.Mutex
	gauges []*gauge
}

// New makes what watches. It does not look for the collector.
func New(cfg Config) (*Telemetry, error) {
	t := &Telemetry{cfg: cfg.withDefaults()}
	res := resource.NewSchemaless(t.identity()...)
	var sender *sender
	if t.cfg.Endpoint != "" {
		var err error
		if sender, err = newSender(t.cfg); err != nil {
			return nil, err
		}
		t.traces = sdktrace.NewTracerProvider(
			sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.cfg.Ratio))),
			sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
				AttributeValueLengthLimit: 256, AttributeCountLimit: maxLabels, EventCountLimit: 16, LinkCountLimit: 4,
				AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8,
			}),
			sdktrace.WithBatcher(spanExporter{sender}, sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithMaxExportBatchSize(spanBatch),
				sdktrace.WithBatchTimeout(spanPause), sdktrace.WithExportTimeout(t.cfg.Timeout)),
		)
	}
	t.measure(res, sender)
	t.tracer, t.meter = tracenoop.NewTracerProvider().Tracer(scope), metricnoop.NewMeterProvider().Meter(scope)
	if t.traces != nil {
		t.tracer = t.traces.Tracer(scope)
	}
	if t.metrics != nil {
		t.meter = t.metrics.Meter(scope)
	}
	var err error
	if t.genAI, err = newGenAI(t.meter); err != nil {
		return nil, err
	}
	return t, t.watchProcess()
}

func (t *Telemetry) measure(res *resource.Resource, sender *sender) {
	var options []sdkmetric.Option
	if t.cfg.Scraped {
		t.scraped = sdkmetric.NewManualReader()
		options = append(options, sdkmetric.WithReader(t.scraped))
	}
	if sender != nil {
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter{sender},
			sdkmetric.WithInterval(t.cfg.Interval), sdkmetric.WithTimeout(t.cfg.Timeout))))
	}
	if options != nil {
		t.metrics = sdkmetric.NewMeterProvider(append(options, sdkmetric.WithResource(res), sdkmetric.WithCardinalityLimit(maxSeries))...)
	}
}

// identity is what everything carries that is sent.
func (t *Telemetry) identity() []attribute.KeyValue {
	own := []attribute.KeyValue{
		attribute.String("service.namespace", "gaia"), attribute.String("service.name", t.cfg.Service), attribute.String("service.version", t.cfg.Version),
		attribute.String("service.instance.id", t.cfg.Instance), attribute.String("telemetry.sdk.name", "opentelemetry"),
		attribute.String("telemetry.sdk.language", "go"),
	}
	for key, value := range t.cfg.Attributes { // the last of a key counts
		own = append(own, attribute.String(key, value))
	}
	return own
}

// Watching reports whether anything is measured or traced. When not, hooks are better left out.
func (t *Telemetry) Watching() bool { return t.traces != nil || t.metrics != nil }

// Close sends what waits, as far as ctx allows: metrics beside traces, so that many of these leave the others their time.
func (t *Telemetry) Close(ctx context.Context) error {
	var running sync.WaitGroup
	var ofTraces, ofMetrics error
	if t.traces != nil {
		running.Go(func() { ofTraces = t.traces.Shutdown(ctx) })
	}
	if t.metrics != nil {
		running.Go(func() { ofMetrics = t.metrics.Shutdown(ctx) })
	}
	running.Wait()
	return errors.Join(ofTraces, ofMetrics)
}
