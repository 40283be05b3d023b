package sqlite

import (
	"context"
	"time"

	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Marks = (*Marks)(nil)

// Marks keeps points in time that all processes share.
type Marks struct{ db *Store }

// Marks returns the store of points in time.
func (s *Store) Marks() *Marks { return &Marks{db: s} }

// Mark implements ports.Marks.
func (m *Marks) Mark(ctx context.Context, name string) (time.Time, error) {
	var at int64
	err := m.db.read(ctx, "get mark", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		at, err = q.GetMark(ctx, name)
		return err
	})
	switch {
	case domain.KindOf(err) == domain.NotFound:
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	return timeFrom(at), nil
}

// SetMark implements ports.Marks.
func (m *Marks) SetMark(ctx context.Context, name string, at time.Time) error {
	return m.db.write(ctx, "set mark", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.SetMark(ctx, sqlcgen.SetMarkParams{Name: name, MarkedAt: asStored(at)})
	})
}
