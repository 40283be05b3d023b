package postgres

import (
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

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
