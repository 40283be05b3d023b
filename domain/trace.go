package domain

import "context"

// A trace says which request caused something, in the words of the header "traceparent" of W3C Trace Context. It is empty when nobody watches
// that request. What is caused later, or elsewhere, keeps it: events that wait, work that is stored.

type traceKey struct{}

// WithTrace returns the context of what a trace causes.
func WithTrace(ctx context.Context, trace string) context.Context {
	if trace == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, trace)
}

// TraceOf returns the trace of a context.
func TraceOf(ctx context.Context) string {
	trace, _ := ctx.Value(traceKey{}).(string)
	return trace
}
