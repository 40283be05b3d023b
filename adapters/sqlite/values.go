package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"gaia/domain"
)

// asStored is a time as the database keeps it: microseconds since 1970.
func asStored(t time.Time) int64 { return t.UnixMicro() }

func timeFrom(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func encodeMap(m map[string]any) (string, error) {
	if m == nil {
		return "{}", nil
	}
	raw, err := json.Marshal(m)
	return string(raw), err
}

func decodeMap(raw string) (map[string]any, error) {
	m := map[string]any{}
	err := json.Unmarshal([]byte(raw), &m)
	return m, err
}

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
