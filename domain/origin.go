package domain

import "context"

// Origin is where a request came from: for the audit log, and for limits that others keep by address. The zero value is work that
// nobody asked for over HTTP.
type Origin struct {
	Address   string // of the client, as far as it is known for certain; empty when it is not
	RequestID string
}

type originKey struct{}

// WithOrigin notes where the request came from that a context belongs to. It travels in the context because nothing may be decided by
// it: use cases hand it on without looking.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom is where the request came from that a context belongs to.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
