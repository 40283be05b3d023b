package telemetry

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Hop is one attempt to hand a request on to another process.
type Hop struct {
	Service string // that it is for
	Method  string
	Host    string // that is asked; empty: none can be
	Port    int
	Number  int // from 1
}

// HopEnd is how an attempt went.
type HopEnd struct {
	Status int    // of the answer; 0: there was none
	Failed string // why it failed, of a small set; empty: it did not
	Again  int    // how often it was sent once more
}

// HopHook is called before an attempt: the trace goes with its headers. What it returns has to be called at its end.
type HopHook = func(ctx context.Context, h Hop, header http.Header) func(HopEnd)

// Hops traces attempts to hand requests on. nil: nothing is traced.
func (t *Telemetry) Hops() HopHook {
	if t.traces == nil {
		return nil
	}
	return func(ctx context.Context, h Hop, header http.Header) func(HopEnd) {
		ctx, span := t.within(ctx, knownMethod(h.Method), trace.WithSpanKind(trace.SpanKindClient))
		if !span.IsRecording() {
			return func(HopEnd) { span.End() }
		}
		span.SetAttributes(hopLabels(h)...)
		if header != nil {
			t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
		}
		return func(e HopEnd) { endHop(span, h, e) }
	}
}

func hopLabels(h Hop) []attribute.KeyValue {
	labels := []attribute.KeyValue{
		attribute.String("http.request.method", knownMethod(h.Method)), attribute.String("peer.service", h.Service), attribute.Int("gaia.forward.attempt", h.Number),
	}
	if h.Host != "" {
		labels = append(labels, attribute.String("server.address", h.Host), attribute.Int("server.port", h.Port))
	}
	return labels
}

func endHop(span trace.Span, h Hop, e HopEnd) {
	if again := h.Number - 1 + e.Again; again > 0 {
		span.SetAttributes(attribute.Int("http.request.resend_count", again))
	}
	if e.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", e.Status))
	}
	if e.Failed == "" && e.Status >= http.StatusBadRequest {
		e.Failed = strconv.Itoa(e.Status)
	}
	if e.Failed != "" {
		span.SetAttributes(attribute.String("error.type", e.Failed))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
