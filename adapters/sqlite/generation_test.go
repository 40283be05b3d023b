package sqlite_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/sqlite"
	"gaia/domain"
	"gaia/ports/portstest"
)

func TestGenerationFaults(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	s := open(t, file)
	pool, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	exec := func(statement string) {
		if _, err := pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	portstest.GenerationFaults(t, portstest.GenerationSetup{
		A: s.Generations(), B: s.Generations(), Assets: s.Assets(), Leases: s.FileLeases(), Ledger: s.Ledger(), Budgets: s.Budgets(),
		Outbox: s.Outbox(), Elapse: elapses(t, file),
	}, func(table string) (undo func()) {
		for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
			exec(`CREATE TRIGGER fault_` + change + ` BEFORE ` + change + ` ON ` + table + ` BEGIN SELECT RAISE(ABORT, 'fault'); END`)
		}
		return func() {
			for _, change := range []string{"INSERT", "UPDATE", "DELETE"} {
				exec(`DROP TRIGGER fault_` + change)
			}
		}
	})
}

// BenchmarkGeneration is the life of the work on one asset: it is made, claimed, changed three times and completed with its asset, usage and
// the end of its reservation.
func BenchmarkGeneration(b *testing.B) {
	s := openBench(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := benchGeneration(b, s); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(6*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func benchGeneration(b *testing.B, s *sqlite.Store) error {
	store, ctx, now := s.Generations(), b.Context(), time.Now()
	g := domain.Generation{
		ID: uuid.NewString(), Principal: domain.Principal{Type: domain.AuthJWT, UserID: "owner"}, Status: domain.GenerationPending,
		Request:    domain.AssetRequest{Category: domain.AssetProp, Style: "low poly", Description: "A chest", Quality: domain.AssetHigh},
		Generators: []domain.GenerationOffer{{Generator: "meshy"}}, ReservationID: uuid.NewString(), Deadline: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now,
	}
	event := func(of domain.GenerationEventType) domain.GenerationEvent {
		return domain.GenerationEvent{ID: uuid.NewString(), Type: of, Status: domain.GenerationProcessing, Message: "It happened", At: now}
	}
	if _, err := store.Create(ctx, g, event(domain.GenerationEventStarted)); err != nil {
		return err
	}
	g, err := store.Claim(ctx, g.ID, "runner", now, now.Add(time.Minute))
	if err != nil {
		return err
	}
	g.Attempts = []domain.GenerationAttempt{{Generator: "meshy", Stage: "preview", Token: uuid.NewString(), StartedAt: now}}
	for _, status := range []domain.GenerationAttemptStatus{domain.AttemptBegun, domain.AttemptRunning, domain.AttemptDone} {
		g.Attempts[0].Status, g.Attempts[0].TaskID = status, "task "+g.ID
		c := domain.GenerationChange{Generation: g, Runner: "runner", Events: []domain.GenerationEvent{event(domain.GenerationEventProgress)}}
		if g.Version, err = store.Commit(ctx, c); err != nil {
			return err
		}
	}
	file := domain.AssetFile{Key: "generated/prop/" + g.ID + ".glb", Format: "glb", ContentType: "model/gltf-binary", Size: 1000}
	if err := s.FileLeases().Lease(ctx, domain.FileLease{Key: file.Key, Expires: now.Add(time.Minute)}); err != nil {
		return err
	}
	g.Status, g.AssetID, g.Source = domain.GenerationCompleted, g.ID, domain.AssetFromGenerator
	_, err = store.Commit(ctx, domain.GenerationChange{
		Generation: g, Runner: "runner", Events: []domain.GenerationEvent{event(domain.GenerationEventCompleted)},
		Asset: &domain.Asset{
			ID: g.ID, Owner: "owner", Source: g.Source, SourceName: "meshy", Category: domain.AssetProp, Title: "A chest", File: file,
			License: domain.LicenseCommercial, GenerationID: g.ID, CreatedAt: now, UpdatedAt: now,
		},
		Usage: []domain.UsageRecord{{
			RequestID: g.ID, Attempt: 1, Owner: "owner", At: now, Operation: "3d_generation", Provider: "meshy", Models3D: 1, Cost: 1,
			Outcome: domain.OutcomeCompleted, Usage: domain.Usage{Source: domain.UsageFromProvider},
		}},
	})
	return err
}
