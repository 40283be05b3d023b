package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.AuditLog = (*AuditLog)(nil)

// AuditLog keeps what happened about identity. The zero value is empty and ready.
type AuditLog struct {
	failures
	Outbox *Outbox // where events go; nil forgets them. It must not change once the log is in use

	mu   sync.Mutex
	byID map[string]domain.AuditEntry
}

// Record implements ports.AuditLog.
func (a *AuditLog) Record(ctx context.Context, entries ...domain.AuditEntry) error {
	if err := a.enter(ctx, "Record"); err != nil {
		return err
	}
	tidy, events, err := auditToStore(entries)
	if err != nil {
		return err
	}
	a.add(ctx, tidy, events)
	return nil
}

// auditToStore makes of entries what a log keeps and what goes into its outbox. Stores whose changes bring entries call it before they
// change anything, and add after.
func auditToStore(entries []domain.AuditEntry) ([]domain.AuditEntry, []domain.StoredEvent, error) {
	tidy, events := make([]domain.AuditEntry, len(entries)), make([]domain.Event, len(entries))
	for i, e := range entries {
		id, ok := domain.ParseID(e.ID)
		if !ok {
			return nil, nil, fmt.Errorf("memory: audit entry: %q is no id", e.ID)
		}
		e.ID, e.At = id, asStored(e.At)
		tidy[i] = e.Tidy()
		events[i] = e.Event()
	}
	list, err := stored(events)
	return tidy, list, err
}

// add stores entries, and the events with the same indices, that are new.
func (a *AuditLog) add(ctx context.Context, entries []domain.AuditEntry, events []domain.StoredEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID == nil {
		a.byID = map[string]domain.AuditEntry{}
	}
	for i, e := range entries {
		if _, known := a.byID[e.ID]; known {
			continue
		}
		a.byID[e.ID] = e
		if a.Outbox != nil {
			a.Outbox.add(ctx, events[i:i+1])
		}
	}
}

// Recent implements ports.AuditLog.
func (a *AuditLog) Recent(ctx context.Context, since time.Time, limit int) ([]domain.AuditEntry, error) {
	if err := a.enter(ctx, "Recent"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []domain.AuditEntry
	for _, e := range a.byID {
		if !e.At.Before(asStored(since)) {
			e.Details = maps.Clone(e.Details)
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(x, y domain.AuditEntry) int {
		if c := y.At.Compare(x.At); c != 0 {
			return c
		}
		return strings.Compare(y.ID, x.ID)
	})
	return found[:min(max(limit, 0), len(found))], nil
}

// Expire implements ports.AuditLog.
func (a *AuditLog) Expire(ctx context.Context, before time.Time) (int, error) {
	if err := a.enter(ctx, "Expire"); err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	count := len(a.byID)
	maps.DeleteFunc(a.byID, func(_ string, e domain.AuditEntry) bool { return e.At.Before(asStored(before)) })
	return count - len(a.byID), nil
}
