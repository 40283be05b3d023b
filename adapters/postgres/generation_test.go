package postgres_test

import (
	"testing"
	"time"

	"gaia/adapters/postgres"
	"gaia/domain"
	"gaia/ports/portstest"
)

func TestGenerationFaults(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s, conn := open(t, url), connect(t, url)
	exec(t, conn, `CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fault'; END $$`)
	portstest.GenerationFaults(t, portstest.GenerationSetup{
		A: s.Generations(), B: s.Generations(), Assets: s.Assets(), Leases: s.FileLeases(), Ledger: s.Ledger(), Budgets: s.Budgets(),
		Outbox: s.Outbox(), Elapse: elapses(t, url),
	}, func(table string) (undo func()) {
		exec(t, conn, `CREATE TRIGGER fault BEFORE INSERT OR UPDATE OR DELETE ON `+table+` FOR EACH ROW EXECUTE FUNCTION fault()`)
		return func() { exec(t, conn, `DROP TRIGGER fault ON `+table) }
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

func benchGeneration(b *testing.B, s *postgres.Store) error {
	store, ctx, now := s.Generations(), b.Context(), time.Now()
	g := domain.Generation{
		ID: newID(), Principal: domain.Principal{Type: domain.AuthJWT, UserID: "owner"}, Status: domain.GenerationPending,
		Request:    domain.AssetRequest{Category: domain.AssetProp, Style: "low poly", Description: "A chest", Quality: domain.AssetHigh},
		Generators: []domain.GenerationOffer{{Generator: "meshy"}}, ReservationID: newID(), Deadline: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now,
	}
	event := func(of domain.GenerationEventType) domain.GenerationEvent {
		return domain.GenerationEvent{ID: newID(), Type: of, Status: domain.GenerationProcessing, Message: "It happened", At: now}
	}
	if _, err := store.Create(ctx, g, event(domain.GenerationEventStarted)); err != nil {
		return err
	}
	g, err := store.Claim(ctx, g.ID, "runner", now, now.Add(time.Minute))
	if err != nil {
		return err
	}
	g.Attempts = []domain.GenerationAttempt{{Generator: "meshy", Stage: "preview", Token: newID(), StartedAt: now}}
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
