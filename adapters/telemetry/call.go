package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
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

// MessageHook is Hook for messages that are published: the trace goes with their headers.
type MessageHook = func(ctx context.Context, subject string, header map[string][]string) func(error)

// Messages watches what is published.
func (t *Telemetry) Messages() (MessageHook, error) {
	make := maker{meter: t.meter}
	duration := make.histogram("messaging.client.operation.duration", "s", "Time until messages were handed to the connection.", callBounds)
	which, name := attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.name", "publish")
	return func(ctx context.Context, subject string, header map[string][]string) func(error) {
		begun := time.Now()
		ctx, span := t.within(ctx, "publish "+subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(begun))
		if span.SpanContext().IsSampled() {
			t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
		}
		return func(err error) {
			labels := withFailure([]attribute.KeyValue{which, name, attribute.String("messaging.destination.name", subject)}, errorType(err))
			end(span, err, labels...)
			duration.Record(ctx, time.Since(begun).Seconds(), metric.WithAttributes(labels...))
		}
	}, make.err
}

// within begins a span of a trace that goes on. What the program does by itself, such as to look whether anything waits, is no trace: there would
// be several of them a second, and requests would drown in them.
func (t *Telemetry) within(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if around := trace.SpanFromContext(ctx); !around.SpanContext().IsValid() {
		return ctx, around
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
