package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// sender carries requests to a collector. It never tries twice: what waits behind is newer.
type sender struct {
	base    string
	headers http.Header
	timeout time.Duration
	client  *http.Client
	log     *slog.Logger
	away    atomic.Bool // the last request failed, and that was logged
}

const maxReply = 4 << 10

func newSender(c Config) (*sender, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("telemetry: the endpoint must be http://host:port or https://host") // the cause would repeat the address
	}
	return &sender{
		base: strings.TrimSuffix(c.Endpoint, "/"), headers: c.Headers, timeout: c.Timeout, log: c.Logger,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: c.Timeout}).DialContext, TLSHandshakeTimeout: c.Timeout,
				MaxIdleConnsPerHost: 2, IdleConnTimeout: 2 * c.Timeout, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// send logs the first of a series of failures: a collector that is away must not fill the log.
func (s *sender) send(ctx context.Context, path string, body message) {
	err := s.post(ctx, path, body)
	switch {
	case err == nil && s.away.Swap(false):
		s.log.Info("the collector of telemetry takes what it is sent again")
	case err != nil && !s.away.Swap(true):
		s.log.Warn("the collector of telemetry does not take what it is sent; it is dropped", "error", err.Error())
	}
}

func (s *sender) post(ctx context.Context, path string, body message) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("malformed endpoint")
	}
	for name, values := range s.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "gaia")
	resp, err := s.client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the address, which may hold a password
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// spanExporter gives spans to a collector.
type spanExporter struct{ *sender }

// ExportSpans implements trace.SpanExporter. Nothing is to be done about a failure, and the sender has told of it.
func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) > 0 {
		e.send(ctx, "/v1/traces", encodeSpans(spans))
	}
	return nil
}

// Shutdown implements trace.SpanExporter.
func (e spanExporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// encodeSpans writes an ExportTraceServiceRequest. All spans of a process have one resource and one scope.
func encodeSpans(spans []sdktrace.ReadOnlySpan) (m message) {
	m.within(1, func(m *message) {
		encodeResource(m, spans[0].Resource())
		m.within(2, func(m *message) {
			m.within(1, func(m *message) { m.text(1, scope) })
			for _, s := range spans {
				m.within(2, func(m *message) { encodeSpan(m, s) })
			}
		})
	})
	return m
}

func encodeResource(m *message, r *resource.Resource) {
	m.within(1, func(m *message) { encodeAttributes(m, 1, r.Attributes()) })
}

func encodeSpan(m *message, s sdktrace.ReadOnlySpan) {
	at := s.SpanContext()
	traceID, spanID := at.TraceID(), at.SpanID()
	m.bytes(1, traceID[:])
	m.bytes(2, spanID[:])
	m.text(3, at.TraceState().String())
	if parent := s.Parent(); parent.HasSpanID() {
		id := parent.SpanID()
		m.bytes(4, id[:])
	}
	m.text(5, s.Name())
	m.varint(6, uint64(max(s.SpanKind(), 0))) // #nosec G115 -- the kinds have the numbers of OTLP
	m.fixed64(7, nanoseconds(s.StartTime()))
	m.fixed64(8, nanoseconds(s.EndTime()))
	encodeAttributes(m, 9, s.Attributes())
	for _, l := range s.Links() {
		m.within(13, func(m *message) {
			traceID, spanID := l.SpanContext.TraceID(), l.SpanContext.SpanID()
			m.bytes(1, traceID[:])
			m.bytes(2, spanID[:])
			encodeAttributes(m, 4, l.Attributes)
		})
	}
	m.within(15, func(m *message) {
		m.text(2, s.Status().Description)
		switch s.Status().Code {
		case codes.Ok:
			m.varint(3, 1)
		case codes.Error:
			m.varint(3, 2)
		case codes.Unset:
		}
	})
	m.fixed32(16, uint32(at.TraceFlags()))
}

func nanoseconds(t time.Time) uint64 {
	return uint64(max(t.UnixNano(), 0)) // #nosec G115 -- not below 0
}

func encodeAttributes(m *message, field uint64, list []attribute.KeyValue) {
	for _, kv := range list {
		m.within(field, func(m *message) {
			m.text(1, string(kv.Key))
			m.within(2, func(m *message) { encodeValue(m, kv.Value) })
		})
	}
}

func encodeValue(m *message, v attribute.Value) {
	switch v.Type() {
	case attribute.BOOL:
		m.tag(2, wireVarint)
		*m = append(*m, 0)
		if v.AsBool() {
			(*m)[len(*m)-1] = 1
		}
	case attribute.INT64:
		m.tag(3, wireVarint)
		*m = appendInt(*m, v.AsInt64())
	case attribute.FLOAT64:
		m.double(4, v.AsFloat64())
	case attribute.STRINGSLICE:
		m.within(5, func(m *message) {
			for _, s := range v.AsStringSlice() {
				m.within(1, func(m *message) { m.bytes(1, []byte(s)) })
			}
		})
	default:
		m.bytes(1, []byte(v.String()))
	}
}

// metricExporter gives metrics to a collector, all as they have added up since the start.
type metricExporter struct{ *sender }

// Temporality implements metric.Exporter.
func (metricExporter) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

// Aggregation implements metric.Exporter.
func (metricExporter) Aggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(kind)
}

// Export implements metric.Exporter.
func (e metricExporter) Export(ctx context.Context, all *metricdata.ResourceMetrics) error {
	e.send(ctx, "/v1/metrics", encodeMetrics(all))
	return nil
}

// ForceFlush implements metric.Exporter. Nothing waits here.
func (metricExporter) ForceFlush(context.Context) error { return nil }

// Shutdown implements metric.Exporter.
func (e metricExporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// encodeMetrics writes an ExportMetricsServiceRequest.
func encodeMetrics(all *metricdata.ResourceMetrics) (m message) {
	m.within(1, func(m *message) {
		encodeResource(m, all.Resource)
		for _, s := range all.ScopeMetrics {
			m.within(2, func(m *message) {
				m.within(1, func(m *message) { m.text(1, s.Scope.Name) })
				for _, one := range s.Metrics {
					m.within(2, func(m *message) { encodeMetric(m, one) })
				}
			})
		}
	})
	return m
}

// cumulative is the temporality of all that is sent.
const cumulative = 2

func encodeMetric(m *message, one metricdata.Metrics) {
	m.text(1, one.Name)
	m.text(2, one.Description)
	m.text(3, one.Unit)
	switch data := one.Data.(type) {
	case metricdata.Gauge[float64]:
		m.within(5, func(m *message) { encodePoints(m, data.DataPoints) })
	case metricdata.Gauge[int64]:
		m.within(5, func(m *message) { encodePoints(m, data.DataPoints) })
	case metricdata.Sum[float64]:
		m.within(7, func(m *message) { encodePoints(m, data.DataPoints); encodeSum(m, data.IsMonotonic) })
	case metricdata.Sum[int64]:
		m.within(7, func(m *message) { encodePoints(m, data.DataPoints); encodeSum(m, data.IsMonotonic) })
	case metricdata.Histogram[float64]:
		m.within(9, func(m *message) { encodeHistogram(m, data.DataPoints); m.varint(2, cumulative) })
	case metricdata.Histogram[int64]:
		m.within(9, func(m *message) { encodeHistogram(m, data.DataPoints); m.varint(2, cumulative) })
	}
}

func encodeSum(m *message, monotonic bool) {
	m.varint(2, cumulative)
	if monotonic {
		m.varint(3, 1)
	}
}

func encodePoints[N int64 | float64](m *message, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		m.within(1, func(m *message) {
			m.fixed64(2, nanoseconds(p.StartTime))
			m.fixed64(3, nanoseconds(p.Time))
			m.double(4, float64(p.Value))
			encodeAttributes(m, 7, p.Attributes.ToSlice())
		})
	}
}

func encodeHistogram[N int64 | float64](m *message, points []metricdata.HistogramDataPoint[N]) {
	for _, p := range points {
		m.within(1, func(m *message) {
			m.fixed64(2, nanoseconds(p.StartTime))
			m.fixed64(3, nanoseconds(p.Time))
			m.fixed64(4, p.Count)
			m.double(5, float64(p.Sum))
			m.bytes(6, packFixed(p.BucketCounts))
			m.bytes(7, packDoubles(p.Bounds))
			encodeAttributes(m, 9, p.Attributes.ToSlice())
		})
	}
}
