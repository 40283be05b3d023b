package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gaia/domain"
)

// parseID reads an id of the domain.
func parseID(id string) (uuid.UUID, error) {
	canonical, ok := domain.ParseID(id)
	if !ok {
		return uuid.Nil, fmt.Errorf("%q is no id", id)
	}
	return uuid.Parse(canonical)
}

// asStored rounds a time to what the database keeps of it.
func asStored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// traceOf is the trace of what is stored; nil, for nothing, when nobody watches.
func traceOf(ctx context.Context) *string {
	trace := domain.TraceOf(ctx)
	if trace == "" {
		return nil
	}
	stored := trace
	return &stored
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
