package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Handler adds the trace to lines that are written while a span is recorded.
func (t *Telemetry) Handler(next slog.Handler) slog.Handler {
	if t.traces == nil {
		return next
	}
	return tracingHandler{next}
}

type tracingHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h tracingHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanFromContext(ctx); span.IsRecording() || span.SpanContext().IsSampled() {
		r.AddAttrs(slog.String("trace_id", span.SpanContext().TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h tracingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracingHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h tracingHandler) WithGroup(name string) slog.Handler {
	return tracingHandler{h.Handler.WithGroup(name)}
}
