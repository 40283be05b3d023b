package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Headers of W3C Trace Context.
const (
	traceparent = "Traceparent"
	tracestate  = "Tracestate"
)

// Bounds of buckets, in seconds.
var (
	requestBounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
	streamBounds  = []float64{0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600}
	callBounds    = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5}
)

// Server watches requests that come in.
type Server struct {
	telemetry *Telemetry

	duration, streamDuration, firstEvent metric.Float64Histogram
	active, streams                      metric.Int64UpDownCounter
	limited, authenticated               metric.Int64Counter
}

// NewServer makes a watcher of requests.
func (t *Telemetry) NewServer() (*Server, error) {
	s, make := &Server{telemetry: t}, maker{meter: t.meter}
	s.duration = make.histogram("http.server.request.duration", "s", "Time of requests that have ended.", requestBounds)
	s.active = make.upDown("http.server.active_requests", "{request}", "Requests that are being answered.")
	s.streams = make.upDown("gaia.streams.open", "{stream}", "Event streams that are being sent.")
	s.streamDuration = make.histogram("gaia.stream.duration", "s", "Time of event streams, by how they ended.", streamBounds)
	s.firstEvent = make.histogram("gaia.stream.time_to_first_event", "s", "Time from a request to the beginning of its event stream.", requestBounds)
	s.limited = make.counter("gaia.rate_limit.refusals", "{request}", "Requests that a rate limit refused.")
	s.authenticated = make.counter("gaia.auth.results", "{request}", "Requests by how their caller was known.")
	s.limited.Add(context.Background(), 0, metric.WithAttributes(attribute.String("operation", orNone("")))) // so that it is there before the first
	return s, make.err
}

// Request is one request that is being answered.
type Request struct {
	server *Server
	ctx    context.Context //nolint:containedctx // belongs to the span
	span   trace.Span
	method string
	begun  time.Time
	stream bool
}

// Answer is how a request ended. Nothing in it comes from its client, but for the method.
type Answer struct {
	Operation string // of the contract; empty: none
	Route     string // pattern of the path
	Status    int
	Principal string // how the caller was known; empty: not at all
	Limited   bool   // by a rate limit
	StreamEnd string // of an event stream
	Failed    bool   // the fault is Gaia's or of a part of it
}

// Begin watches a request. Who is trusted carries a trace on; anybody else's is only linked to. The request leaves with the headers of
// its own trace, so that whoever hands it on hands that on, too.
func (s *Server) Begin(ctx context.Context, r *http.Request, trusted bool) (context.Context, *Request) {
	w := &Request{server: s, begun: time.Now(), method: knownMethod(r.Method)}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(w.begun)}
	if r.Header.Get(traceparent) != "" {
		theirs := s.telemetry.propagator.Extract(context.Background(), propagation.HeaderCarrier(r.Header))
		switch at := trace.SpanContextFromContext(theirs); {
		case !at.IsValid():
		case trusted:
			ctx = trace.ContextWithRemoteSpanContext(ctx, at)
		default:
			options = append(options, trace.WithLinks(trace.Link{SpanContext: at}))
		}
	}
	w.ctx, w.span = s.telemetry.tracer.Start(ctx, w.method, options...)
	r.Header.Del(traceparent)
	r.Header.Del(tracestate)
	s.telemetry.propagator.Inject(w.ctx, propagation.HeaderCarrier(r.Header))
	s.active.Add(w.ctx, 1)
	return s.telemetry.causing(w.ctx), w
}

// Answering notes that an answer goes out, and after what time.
func (w *Request) Answering(operation string, stream bool, after time.Duration) {
	if !stream || w.stream {
		return
	}
	w.stream = true
	w.server.streams.Add(w.ctx, 1)
	w.server.firstEvent.Record(w.ctx, after.Seconds(), metric.WithAttributes(attribute.String("operation", orNone(operation))))
	w.span.SetAttributes(attribute.Float64("gaia.stream.time_to_first_event", after.Seconds()))
}

// End notes how a request ended.
func (w *Request) End(a Answer) {
	took := time.Since(w.begun).Seconds()
	s, ctx, operation := w.server, w.ctx, attribute.String("operation", orNone(a.Operation))
	method, route := w.method, a.Route
	if a.Operation == "" { // whatever a client may have thought of
		method, route = "_OTHER", ""
	}
	labels := []attribute.KeyValue{
		operation, attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", a.Status),
	}
	s.active.Add(ctx, -1)
	s.duration.Record(ctx, took, metric.WithAttributes(labels...))
	if a.Limited {
		s.limited.Add(ctx, 1, metric.WithAttributes(operation))
	}
	if a.Operation != "" {
		s.authenticated.Add(ctx, 1, metric.WithAttributes(attribute.String("auth_type", orNone(a.Principal)), attribute.String("result", authResult(a.Status))))
	}
	if w.stream {
		s.streams.Add(ctx, -1)
		s.streamDuration.Record(ctx, took, metric.WithAttributes(operation, attribute.String("end", a.StreamEnd)))
	}
	w.endSpan(a, append(labels, attribute.String("gaia.auth_type", orNone(a.Principal))))
}

func (w *Request) endSpan(a Answer, labels []attribute.KeyValue) {
	if w.span.IsRecording() {
		if a.Operation != "" {
			w.span.SetName(w.method + " " + a.Route)
		}
		w.span.SetAttributes(labels...)
		if w.stream {
			w.span.SetAttributes(attribute.String("gaia.stream.end", a.StreamEnd))
		}
		if a.Status >= http.StatusInternalServerError || a.Failed {
			w.span.SetAttributes(attribute.String("error.type", strconv.Itoa(a.Status)))
			w.span.SetStatus(codes.Error, "")
		}
	}
	w.span.End()
}

func authResult(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "refused"
	case http.StatusForbidden:
		return "forbidden"
	default:
		return "accepted"
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "_OTHER"
	}
}
