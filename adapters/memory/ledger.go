package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gaia/domain"
	"gaia/ports"
)

var _ ports.Ledger = (*Ledger)(nil)

// Ledger keeps what was used. The zero value is not usable.
type Ledger struct {
	failures

	mu    sync.Mutex
	rows  []domain.UsageRecord // in the order of writing
	taken map[usageKey]bool
}

type usageKey struct {
	requestID string
	attempt   int
}

// NewLedger makes an empty ledger.
func NewLedger() *Ledger { return &Ledger{taken: map[usageKey]bool{}} }

// Append implements ports.Ledger.
func (l *Ledger) Append(ctx context.Context, records ...domain.UsageRecord) error {
	if err := l.enter(ctx, "Append"); err != nil {
		return err
	}
	if err := validUsage(records); err != nil {
		return err
	}
	l.write(records...)
	return nil
}

func validUsage(records []domain.UsageRecord) error {
	for _, r := range records {
		if _, ok := domain.ParseID(r.RequestID); !ok {
			return fmt.Errorf("memory append usage: %q is no id", r.RequestID)
		}
	}
	return nil
}

// write returns the records that were not there yet.
func (l *Ledger) write(records ...domain.UsageRecord) (written []domain.UsageRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		r = usageAsStored(r)
		if key := (usageKey{r.RequestID, r.Attempt}); !l.taken[key] {
			l.taken[key] = true
			written = append(written, r)
		}
	}
	l.rows = append(l.rows, written...)
	return written
}

// Totals implements ports.Ledger.
func (l *Ledger) Totals(ctx context.Context, owner string, from, to time.Time) ([]domain.UsageTotal, error) {
	if err := l.enter(ctx, "Totals"); err != nil {
		return nil, err
	}
	var totals []domain.UsageTotal
	for _, r := range l.find(func(r domain.UsageRecord) bool {
		return r.Owner == owner && !r.At.Before(from) && r.At.Before(to)
	}) {
		add := usageTotal(r)
		i := slices.IndexFunc(totals, func(t domain.UsageTotal) bool { return compareTotals(t, add) == 0 })
		if i < 0 {
			totals = append(totals, add)
			continue
		}
		t := &totals[i]
		t.Requests += add.Requests
		t.InputTokens += add.InputTokens
		t.OutputTokens += add.OutputTokens
		t.Images += add.Images
		t.Models3D += add.Models3D
		t.Credits += add.Credits
		t.Cost = t.Cost.Plus(add.Cost)
	}
	slices.SortFunc(totals, compareTotals)
	return totals, nil
}

// Recent implements ports.Ledger.
func (l *Ledger) Recent(ctx context.Context, owner string, since time.Time, limit int) ([]domain.UsageRecord, error) {
	if err := l.enter(ctx, "Recent"); err != nil {
		return nil, err
	}
	rows := l.find(func(r domain.UsageRecord) bool {
		return !r.Claimed && !r.At.Before(since) && (owner == "" || r.Owner == owner)
	})
	slices.SortFunc(rows, func(a, b domain.UsageRecord) int {
		order := cmp.Or(strings.Compare(b.RequestID, a.RequestID), cmp.Compare(b.Attempt, a.Attempt))
		if owner == "" {
			return order
		}
		return cmp.Or(b.At.Compare(a.At), order)
	})
	return rows[:min(len(rows), limit)], nil
}

// CountSince implements ports.Ledger.
func (l *Ledger) CountSince(ctx context.Context, since time.Time, limit int) (n int, first time.Time, err error) {
	if err := l.enter(ctx, "CountSince"); err != nil {
		return 0, time.Time{}, err
	}
	rows := l.find(func(r domain.UsageRecord) bool { return r.Attempt == 1 && !r.Claimed && !r.At.Before(since) })
	slices.SortFunc(rows, func(a, b domain.UsageRecord) int { return strings.Compare(b.RequestID, a.RequestID) })
	rows = rows[:min(len(rows), limit)]
	for _, r := range rows {
		if first.IsZero() || r.At.Before(first) {
			first = r.At
		}
	}
	return len(rows), first, nil
}

func (l *Ledger) find(wanted func(domain.UsageRecord) bool) []domain.UsageRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []domain.UsageRecord
	for _, r := range l.rows {
		if wanted(r) {
			found = append(found, r)
		}
	}
	return found
}

func usageTotal(r domain.UsageRecord) domain.UsageTotal {
	t := domain.UsageTotal{
		Day: r.At.Truncate(24 * time.Hour), Provider: r.Provider, Operation: r.Operation, Quality: r.Quality, Claimed: r.Claimed,
		InputTokens: int64(r.Usage.Input), OutputTokens: int64(r.Usage.Output),
		Images: int64(r.Images), Models3D: int64(r.Models3D), Credits: int64(r.Credits), Cost: r.Cost,
	}
	if r.IsRequest() {
		t.Requests = 1
	}
	return t
}

// compareTotals orders totals by what they are grouped by.
func compareTotals(a, b domain.UsageTotal) int {
	return cmp.Or(a.Day.Compare(b.Day), strings.Compare(a.Provider, b.Provider), strings.Compare(a.Operation, b.Operation),
		strings.Compare(a.Quality, b.Quality), compareBools(a.Claimed, b.Claimed))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// usageAsStored rounds times to what a database keeps of them.
func usageAsStored(r domain.UsageRecord) domain.UsageRecord {
	r.RequestID, r.At = strings.ToLower(r.RequestID), asStored(r.At)
	for _, d := range []*time.Duration{
		&r.Timings.Authentication, &r.Timings.Validation, &r.Timings.Selection, &r.Timings.StreamSetup, &r.Timings.FirstToken,
		&r.Timings.Provider, &r.Timings.Processing,
	} {
		*d = d.Truncate(time.Microsecond)
	}
	return r
}
