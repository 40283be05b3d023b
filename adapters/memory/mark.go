package memory

import (
	"context"
	"sync"
	"time"

	"gaia/ports"
)

var _ ports.Marks = (*Marks)(nil)

// Marks keeps points in time. The zero value is ready.
type Marks struct {
	failures

	mu     sync.Mutex
	byName map[string]time.Time
}

// NewMarks makes an empty store.
func NewMarks() *Marks { return &Marks{} }

// Mark implements ports.Marks.
func (m *Marks) Mark(ctx context.Context, name string) (time.Time, error) {
	if err := m.enter(ctx, "Mark"); err != nil {
		return time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byName[name], nil
}

// SetMark implements ports.Marks.
func (m *Marks) SetMark(ctx context.Context, name string, at time.Time) error {
	if err := m.enter(ctx, "SetMark"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName == nil {
		m.byName = map[string]time.Time{}
	}
	m.byName[name] = asStored(at)
	return nil
}
