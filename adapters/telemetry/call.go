package telemetry

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"gaia/domain"
)

// Hook is what an adapter calls before it asks a part of the system for something. operation is one of a small set. It returns what the
// call goes on with, and what has to be called at its end.
type Hook = func(ctx context.Context, operation string) (context.Context, func(error))

// Databases watches calls of a database: "postgresql", "sqlite" or "redis". quiet says which errors are answers.
func (t *Telemetry) Databases(system string, quiet func(error) bool) (Hook, error) {
	make := maker{meter: t.meter}
	duration := make.histogram("db.client.operation.duration", "s", "Time of calls of databases.", callBounds)
	which := attribute.String("db.system.name", system)
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		name, begun := attribute.String("db.operation.name", operation), time.Now()
		ctx, span := t.within(ctx, operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(begun))
		return ctx, func(err error) {
			if err != nil && quiet != nil && quiet(err) {
				err = nil
			}
			labels := withFailure([]attribute.KeyValue{which, name}, errorType(err))
			end(span, err, labels...)
			duration.Record(ctx, time.Since(begun).Seconds(), metric.WithAttributes(labels...))
		}
	}, make.err
}

// messageHeader are the headers of a message. Their names count letter by letter, and W3C Trace Context has small ones.
type messageHeader map[string][]string

// Get implements propagation.TextMapCarrier. Earlier releases wrote names as HTTP does.
func (h messageHeader) Get(key string) string {
	for _, name := range []string{key, http.CanonicalHeaderKey(key)} {
		if values := h[name]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (h messageHeader) Set(key, value string) { h[key] = []string{value} }

// Keys implements propagation.TextMapCarrier.
func (h messageHeader) Keys() []string { return slices.Collect(maps.Keys(h)) }

// MessageHook is Hook for messages that are published: the trace goes with their headers.
type MessageHook = func(ctx context.Context, subject string, header map[string][]string) func(error)

// Messages watches what is published.
func (t *Telemetry) Messages() (MessageHook, error) {
	make := maker{meter: t.meter}
	duration := make.histogram("messaging.client.operation.duration", "s", "Time until messages were handed to the connection, or were in the stream.", callBounds)
	name := attribute.String("messaging.operation.name", "publish")
	return func(ctx context.Context, subject string, header map[string][]string) func(error) {
		begun := time.Now()
		ctx, span := t.within(ctx, "publish "+subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(begun))
		if span.SpanContext().IsSampled() {
			t.propagator.Inject(ctx, messageHeader(header))
		}
		return func(err error) {
			labels := withFailure([]attribute.KeyValue{messagingSystem, name, attribute.String("messaging.destination.name", subject)}, errorType(err))
			span.SetAttributes(attribute.String("messaging.operation.type", "send"))
			end(span, err, labels...)
			duration.Record(ctx, time.Since(begun).Seconds(), metric.WithAttributes(labels...))
		}
	}, make.err
}

// errFailed stands for errors whose words are not told.
var errFailed = errors.New("failed")

var messagingSystem = attribute.String("messaging.system", "nats")

// ReceiveHook is Hook for messages that are received.
type ReceiveHook = func(ctx context.Context, subject string, header map[string][]string) (context.Context, func(error))

// Received traces what is done because of a message, in the trace of whoever has sent it. nil: nothing is traced.
func (t *Telemetry) Received() ReceiveHook {
	if t.traces == nil {
		return nil
	}
	return func(ctx context.Context, subject string, header map[string][]string) (context.Context, func(error)) {
		sent := trace.SpanContextFromContext(t.propagator.Extract(context.Background(), messageHeader(header)))
		if !sent.IsSampled() {
			return ctx, func(error) {}
		}
		ctx, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sent), "process "+subject, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithLinks(trace.Link{SpanContext: sent}))
		return t.causing(ctx), func(err error) {
			end(span, err, withFailure([]attribute.KeyValue{
				messagingSystem, attribute.String("messaging.operation.name", "process"), attribute.String("messaging.operation.type", "process"),
				attribute.String("messaging.destination.name", subject),
			}, errorType(err))...)
		}
	}
}

// WorkHook is Hook for work that was stored with the trace of whoever asked for it.
type WorkHook = func(ctx context.Context, cause, kind string) (context.Context, func(error))

// Work traces work that is done later, or elsewhere, in the trace of whoever asked for it. nil: nothing is traced.
func (t *Telemetry) Work() WorkHook {
	if t.traces == nil {
		return nil
	}
	return func(ctx context.Context, cause, kind string) (context.Context, func(error)) {
		asked := t.causedBy(domain.WithTrace(context.Background(), cause))
		if !asked.IsSampled() {
			return ctx, func(error) {}
		}
		ctx, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, asked), "work on "+kind)
		return t.causing(ctx), func(err error) {
			end(span, err, withFailure([]attribute.KeyValue{attribute.String("gaia.work", kind)}, errorType(err))...)
		}
	}
}

// causing is the context of what a span causes later, or elsewhere.
func (t *Telemetry) causing(ctx context.Context) context.Context {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx // nobody would see it
	}
	header := propagation.MapCarrier{}
	t.propagator.Inject(ctx, header)
	return domain.WithTrace(ctx, header[causeHeader])
}

// causedBy reads what causing has left; it is not valid when that is nothing.
func (t *Telemetry) causedBy(ctx context.Context) trace.SpanContext {
	cause := domain.TraceOf(ctx)
	if cause == "" {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(t.propagator.Extract(context.Background(), propagation.MapCarrier{causeHeader: cause}))
}

const causeHeader = "traceparent"

// within begins a span of a trace that goes on, here or from where it was caused. What the program does by itself, such as to look whether anything waits, is no trace: there would
// be several of them a second, and requests would drown in them.
func (t *Telemetry) within(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if around := trace.SpanFromContext(ctx); !around.SpanContext().IsValid() {
		cause := t.causedBy(ctx)
		if !cause.IsValid() {
			return ctx, around
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, cause)
	}
	return t.tracer.Start(ctx, name, options...)
}

func end(span trace.Span, err error, labels ...attribute.KeyValue) {
	if span.IsRecording() {
		span.SetAttributes(labels...)
		if err != nil {
			span.SetStatus(codes.Error, "") // the words of an error may hold what was sent
		}
	}
	span.End()
}

func withFailure(labels []attribute.KeyValue, failure string) []attribute.KeyValue {
	if failure == "" {
		return labels
	}
	return append(slices.Clip(labels), attribute.String("error.type", failure))
}

// errorType names an error from a small set; empty for none.
func errorType(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "error"
	}
}
