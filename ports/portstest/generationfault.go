package portstest

import (
	"testing"
	"time"

	"gaia/domain"
)

// GenerationFaults lets Commit fail at each table that it writes to, and checks that nothing is left of it. fail makes every change of a table
// fail until it is undone.
func GenerationFaults(t *testing.T, s GenerationSetup, fail func(table string) (undo func())) {
	t.Helper()
	g := reservedWork(t, s, 100)
	a := leasedAsset(t, s, g)
	leaseFile(t, s, "abandoned")
	end := ended(g, domain.GenerationCompleted)
	end.Asset, end.Abandoned, end.Usage = &a, []string{"abandoned"}, []domain.UsageRecord{aUsage(g, 1, 30)}
	for _, table := range []string{
		"generations", "assets", "file_leases", "usage_ledger", "budgets", "budget_reservations", "generation_tasks", "generation_events", "outbox",
	} {
		c := end
		if table == "generation_tasks" {
			c = aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress))
			c.Generation.Attempts = []domain.GenerationAttempt{anAttempt(domain.AttemptRunning, "task")}
		}
		undo := fail(table)
		if _, err := s.A.Commit(t.Context(), c); err == nil {
			t.Fatalf("Commit without %s: no error", table)
		}
		undo()
		wantWork(t, getWork(t, s.B, g), g)
		if n := len(workEvents(t, s.B, g)); n != 1 {
			t.Errorf("without %s: %d events", table, n)
		}
		wantPending(t, s.Outbox, 1)
		if rows := recentUsage(t, s.Ledger, "owner", time.Time{}, 10); len(rows) != 0 {
			t.Errorf("without %s: %d records of usage", table, len(rows))
		}
		_, err := s.Assets.Get(t.Context(), "owner", a.ID)
		wantKind(t, err, domain.NotFound, "the asset without %s", table)
		wantCondemned(t, s, lease.Add(-time.Microsecond))
		wantLeft(t, s, 0)
	}
	commitWork(t, s.A, end) // all of it was still possible
	wantLeft(t, s, 70)
	wantCondemned(t, s, lease, "abandoned")
	if _, err := s.Assets.Get(t.Context(), "owner", a.ID); err != nil {
		t.Errorf("the asset: %v", err)
	}
}
