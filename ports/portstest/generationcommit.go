package portstest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
)

func generationCommit(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	want := g
	c := aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress), aGenerationEvent(domain.GenerationEventProgress))
	next := &c.Generation
	next.Generators, next.Attempts = offersOf("meshy"), []domain.GenerationAttempt{anAttempt(domain.AttemptBegun, "")}
	next.Progress, next.Message, next.Error, next.ErrorCode = 40, "Half", "why", "no_credits"
	next.BaseID, next.AssetID, next.Source, next.Cost = newID(), newID(), domain.AssetFromGenerator, 1<<60+1
	next.Reserved, next.ReservationID, next.HTTPRequestID = 1<<60+2, newID(), "http-2"
	want.Generators, want.Attempts, want.Progress, want.Message = next.Generators, next.Attempts, next.Progress, next.Message
	want.Error, want.ErrorCode, want.BaseID, want.AssetID = next.Error, next.ErrorCode, next.BaseID, next.AssetID
	want.Source, want.Cost, want.Reserved, want.ReservationID = next.Source, next.Cost, next.Reserved, next.ReservationID
	want.HTTPRequestID, want.UpdatedAt, want.Version = next.HTTPRequestID, next.UpdatedAt, g.Version+1
	next.ID = strings.ToUpper(next.ID)
	next.Principal, next.Request = domain.ServicePrincipal(), domain.AssetRequest{} // these are not taken over
	next.Key, next.Fingerprint, next.Deadline, next.CreatedAt = "other", "other", lease, lease
	next.CompletedAt = lease // nor is this while it has not ended
	commitWork(t, s.B, c)
	wantWork(t, getWork(t, s.A, g), want)
	if n := len(workEvents(t, s.A, g)); n != 3 {
		t.Errorf("it has %d events", n)
	}
	want = commitWork(t, s.A, aWorkChange(want)) // nothing is fine too
	wantWork(t, getWork(t, s.B, g), want)
}

func generationSequences(t *testing.T, s GenerationSetup) {
	const racers, each = 6, 5
	g := claimedWork(t, s)
	for _, err := range inParallel(racers, func(racer int) error {
		for range each {
			for written := false; !written; { // who was not the first looks again
				now, err := s.either(racer).Get(t.Context(), "owner", g.ID)
				if err != nil {
					return err
				}
				c := aWorkChange(now, aGenerationEvent(domain.GenerationEventProgress), aGenerationEvent(domain.GenerationEventProgress))
				c.Runner = ""
				_, err = s.either(racer+1).Commit(t.Context(), c)
				if err != nil && domain.KindOf(err) != domain.Conflict {
					return err
				}
				written = err == nil
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if events := len(workEvents(t, s.A, g)); events != 1+2*racers*each {
		t.Errorf("%d events", events)
	}
	if got := getWork(t, s.B, g); got.Version != g.Version+racers*each {
		t.Errorf("version %d", got.Version)
	}
	wantPending(t, s.Outbox, 1+2*racers*each)
	wantInOrder(t, s.Outbox, 1+2*racers*each)
}

// leasedAsset is an asset that was made by work. Its files are leased.
func leasedAsset(t *testing.T, s GenerationSetup, g domain.Generation) domain.Asset {
	t.Helper()
	a := domain.Asset{
		ID: g.ID, Owner: g.Principal.OwnerID(), Source: domain.AssetFromGenerator, SourceName: "meshy", Category: domain.AssetProp,
		Title: "Chest", Description: "A chest – 世界", StyleTags: []string{"low poly"}, PreviewKey: "previews/" + g.ID + "-a.png",
		File: domain.AssetFile{
			Key: "generated/prop/" + g.ID + "-a.glb", Format: "glb", ContentType: "model/gltf-binary", Size: 1000, SHA256: strings.Repeat("0a", 32),
		},
		Quality: 0.75, License: domain.LicenseCommercial, Metadata: map[string]any{"seed": 7.0}, Cost: 5, ResponseTime: 12 * time.Second,
		GenerationID: g.ID, CreatedAt: flowTime.UTC(), UpdatedAt: flowTime.UTC(),
	}
	for _, key := range []string{a.File.Key, a.PreviewKey} {
		leaseFile(t, s, key)
	}
	return a
}

func leaseFile(t *testing.T, s GenerationSetup, key string) {
	t.Helper()
	if err := s.Leases.Lease(t.Context(), domain.FileLease{Key: key, Expires: lease}); err != nil {
		t.Fatalf("Lease: %v", err)
	}
}

// wantCondemned checks which leases are over.
func wantCondemned(t *testing.T, s GenerationSetup, now time.Time, want ...string) {
	t.Helper()
	got, err := s.Leases.Condemn(t.Context(), now, 100)
	if slices.Sort(got); err != nil || len(got) != len(want) || len(want) > 0 && !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("condemned are %v, %v, want %v", got, err, want)
	}
}

func aUsage(g domain.Generation, attempt int, cost domain.Money) domain.UsageRecord {
	return domain.UsageRecord{
		RequestID: g.ID, Attempt: attempt, HTTPRequestID: "http-1", Owner: g.Principal.OwnerID(), At: g.CreatedAt,
		Operation: "3d_generation", Provider: "meshy", Outcome: domain.OutcomeCompleted, Models3D: 1, Credits: 5, Quality: "high", Cost: cost,
		PriceVersion: "1", Usage: domain.Usage{Source: domain.UsageFromProvider},
	}
}

func generationTraces(t *testing.T, s GenerationSetup) {
	g := aGeneration("owner")
	if _, err := s.A.Create(domain.WithTrace(t.Context(), aTrace(1)), g, aGenerationEvent(domain.GenerationEventStarted)); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.B.Claim(t.Context(), g.ID, "runner", flowTime, lease)
	if err != nil || claimed.Trace != g.Trace {
		t.Fatalf("claimed was one with trace %q: %v", claimed.Trace, err)
	}
	claimed.Trace = "" // it stays as it was
	_, err = s.A.Commit(domain.WithTrace(t.Context(), aTrace(2)), domain.GenerationChange{
		Generation: claimed, Runner: "runner", Events: []domain.GenerationEvent{aGenerationEvent(domain.GenerationEventProgress)},
		Usage: []domain.UsageRecord{aUsage(claimed, 1, 10)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := getWork(t, s.B, g); got.Trace != g.Trace {
		t.Errorf("the trace has become %q", got.Trace)
	}
	wantTraces(t, s.Outbox, "work", aTrace(1), aTrace(2), aTrace(2))
	none := aGeneration("owner")
	none.Trace = ""
	if made := createWork(t, s.A, none); made.Trace != "" {
		t.Errorf("work that nobody watches has the trace %q", made.Trace)
	}
	wantTraces(t, s.Outbox, "work that nobody watches", "")
}

func generationAtomic(t *testing.T, s GenerationSetup) {
	r := reserve(t, s.Budgets, aReservationFor(100))
	g := claimedWork(t, s)
	there := leasedAsset(t, s, createWork(t, s.A, aGeneration("owner")))
	if err := s.Assets.Add(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	asset := leasedAsset(t, s, g)
	leaseFile(t, s, "abandoned")
	for about, fault := range map[string]func(*domain.GenerationChange){
		"a malformed event": func(c *domain.GenerationChange) {
			bad := aGenerationEvent(domain.GenerationEventProgress)
			bad.ID = "nope"
			c.Events = append(c.Events, bad)
		},
		"a malformed usage":       func(c *domain.GenerationChange) { c.Usage[1].RequestID = "nope" },
		"a malformed reservation": func(c *domain.GenerationChange) { c.Generation.ReservationID = "nope" },
		"an asset whose id is taken": func(c *domain.GenerationChange) {
			taken := asset
			taken.ID = there.ID
			c.Asset = &taken
		},
		"a malformed asset": func(c *domain.GenerationChange) {
			bad := asset
			bad.ID = "nope"
			c.Asset = &bad
		},
		"metadata that can't be encoded": func(c *domain.GenerationChange) {
			bad := asset
			bad.Metadata = map[string]any{"a": func() {}}
			c.Asset = &bad
		},
		"an asset without one of its leases": func(c *domain.GenerationChange) {
			bad := asset
			bad.PreviewKey = "previews/never.png"
			c.Asset = &bad
		},
	} {
		c := ended(g, domain.GenerationCompleted)
		a := asset
		c.Generation.ReservationID, c.Asset, c.Abandoned = r.ID, &a, []string{"abandoned"}
		c.Usage = []domain.UsageRecord{aUsage(g, 1, 10), aUsage(g, 2, 20)}
		fault(&c)
		if _, err := s.B.Commit(t.Context(), c); err == nil {
			t.Fatalf("Commit of %s: no error", about)
		}
		wantWork(t, getWork(t, s.A, g), g)
		if n := len(workEvents(t, s.A, g)); n != 1 {
			t.Errorf("%s left %d events", about, n)
		}
		wantPending(t, s.Outbox, 2)
		if rows := recentUsage(t, s.Ledger, "owner", time.Time{}, 10); len(rows) != 0 {
			t.Errorf("%s left %d records of usage", about, len(rows))
		}
		if _, err := s.Assets.Get(t.Context(), "owner", asset.ID); domain.KindOf(err) != domain.NotFound {
			t.Errorf("%s left an asset: %v", about, err)
		}
		wantCondemned(t, s, lease.Add(-time.Microsecond))
		wantOver(t, s.Budgets, aReservationFor(1)) // the reservation is still there
	}
	for _, leased := range []string{asset.File.Key, asset.PreviewKey} {
		err := s.Leases.Lease(t.Context(), domain.FileLease{Key: leased, Expires: lease})
		wantKind(t, err, domain.Conflict, "a lease that must still be there")
	}
	commitWork(t, s.A, aWorkChange(g)) // and so is the claim
	bad := aGenerationEvent(domain.GenerationEventStarted)
	bad.ID = "nope"
	missing := aGeneration("owner")
	if _, err := s.A.Create(t.Context(), missing, aGenerationEvent(domain.GenerationEventStarted), bad); err == nil {
		t.Error("Create with a malformed event: no error")
	}
	_, err := s.A.Get(t.Context(), "owner", missing.ID)
	wantKind(t, err, domain.NotFound, "what was not made")
	wantPending(t, s.Outbox, 2)
}

func generationEnds(t *testing.T, s GenerationSetup) {
	for _, status := range []domain.GenerationStatus{domain.GenerationCompleted, domain.GenerationFailed, domain.GenerationCancelled} {
		g := claimedWork(t, s)
		c := ended(g, status)
		c.Generation.CompletedAt = time.Time{}
		g = commitWork(t, s.A, c)
		g.CompletedAt = g.UpdatedAt // it did not say
		wantWork(t, getWork(t, s.B, g), g)
		for _, runner := range []string{"runner", "", "other"} {
			c := ended(g, domain.GenerationFailed)
			c.Runner = runner
			_, err := s.A.Commit(t.Context(), c)
			wantFlowEnded(t, err, "Commit after the end by "+runner)
			c.Generation.Version = 1
			_, err = s.A.Commit(t.Context(), c)
			wantFlowEnded(t, err, "Commit of an old version after the end by "+runner)
		}
		wantFlowEnded(t, s.A.Renew(t.Context(), g.ID, "runner", lease), "Renew after the end")
		_, err := s.A.Claim(t.Context(), g.ID, "runner", flowTime, lease)
		wantFlowEnded(t, err, "Claim after the end")
		if err := s.A.Abandon(t.Context(), g.ID, "runner"); err != nil {
			t.Errorf("Abandon after the end: %v", err)
		}
		wantWork(t, getWork(t, s.B, g), g)
		if n := len(workEvents(t, s.A, g)); n != 2 {
			t.Errorf("it has %d events", n)
		}
	}
}

// generationCancelRace lets a caller cancel while the runner completes.
func generationCancelRace(t *testing.T, s GenerationSetup) {
	seen := map[domain.GenerationStatus]bool{}
	for round := range 12 {
		g := claimedWork(t, s)
		a := leasedAsset(t, s, g)
		cancelled, completed := ended(g, domain.GenerationCancelled), ended(g, domain.GenerationCompleted)
		cancelled.Runner, completed.Asset, completed.Usage = "", &a, []domain.UsageRecord{aUsage(g, 1, 10)}
		errs := inParallel(2, func(i int) error {
			_, err := s.either(i+round).Commit(t.Context(), []domain.GenerationChange{cancelled, completed}[(i+round/2)%2])
			return err
		})
		lost := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
		if len(lost) != 1 {
			t.Fatalf("%d of two lost: %v", len(lost), lost)
		}
		wantFlowEnded(t, lost[0], "who came second")
		got := getWork(t, s.A, g)
		seen[got.Status] = true
		_, err := s.Assets.Get(t.Context(), "owner", g.ID)
		rows := recentUsage(t, s.Ledger, "owner", time.Time{}, 100)
		used := slices.ContainsFunc(rows, func(r domain.UsageRecord) bool { return r.RequestID == g.ID })
		if done := got.Status == domain.GenerationCompleted; done != (err == nil) || done != used {
			t.Errorf("it is %s; usage written: %v; asset: %v", got.Status, used, err)
		}
		if list := workEvents(t, s.A, g); len(list) != 2 || list[1].Status != got.Status {
			t.Errorf("events %+v", list)
		}
	}
	t.Logf("seen %v", seen)
}

func generationAsset(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	a := leasedAsset(t, s, g)
	c := ended(g, domain.GenerationCompleted)
	c.Asset, c.Generation.AssetID = &a, a.ID
	commitWork(t, s.A, c)
	got, err := s.Assets.Get(t.Context(), "owner", g.ID)
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, a)
	}
	_, err = s.Assets.Get(t.Context(), "another", g.ID)
	wantKind(t, err, domain.NotFound, "an asset of another")
	wantCondemned(t, s, lease.Add(time.Hour))
}

func generationAssetLost(t *testing.T, s GenerationSetup) {
	for _, lose := range []func(a domain.Asset){
		func(domain.Asset) {
			if _, err := s.Leases.Condemn(t.Context(), lease, 100); err != nil {
				t.Fatal(err)
			}
		},
		func(a domain.Asset) {
			if err := s.Leases.Forget(t.Context(), a.PreviewKey); err != nil {
				t.Fatal(err)
			}
		},
	} {
		g := claimedWork(t, s)
		a := leasedAsset(t, s, g)
		lose(a)
		c := ended(g, domain.GenerationCompleted)
		c.Asset = &a
		_, err := s.A.Commit(t.Context(), c)
		wantFlowTaken(t, err, "Commit without the leases")
		wantWork(t, getWork(t, s.B, g), g)
	}
}

// generationAssetRace lets a sweeper condemn a file at the moment when an asset takes it.
func generationAssetRace(t *testing.T, s GenerationSetup) {
	for round := range 8 {
		g := claimedWork(t, s)
		a := leasedAsset(t, s, g)
		c := ended(g, domain.GenerationCompleted)
		c.Asset = &a
		var condemned []string
		errs := inParallel(2, func(i int) (err error) {
			if i == 0 {
				condemned, err = s.Leases.Condemn(t.Context(), lease, 100)
				return err
			}
			_, err = s.either(round).Commit(t.Context(), c)
			return err
		})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		taken := slices.Contains(condemned, a.File.Key) || slices.Contains(condemned, a.PreviewKey)
		if taken == (errs[1] == nil) {
			t.Errorf("condemned %v, Commit: %v", condemned, errs[1])
		}
		if errs[1] != nil {
			wantFlowTaken(t, errs[1], "Commit")
		}
		for _, key := range condemned {
			if err := s.Leases.Forget(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func generationAbandoned(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	for _, key := range []string{"a", "b", "kept"} {
		leaseFile(t, s, key)
	}
	wantCondemned(t, s, lease.Add(-time.Microsecond))
	c := ended(g, domain.GenerationFailed)
	c.Abandoned = []string{"b", "a", "not there"}
	commitWork(t, s.A, c)
	wantCondemned(t, s, c.Generation.UpdatedAt.Add(-time.Microsecond))
	wantCondemned(t, s, c.Generation.UpdatedAt, "a", "b")
}

func generationUsage(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	first, second := aUsage(g, 1, 10), aUsage(g, 2, 20)
	first.Outcome, first.Failure = domain.OutcomeFailed, "unavailable"
	c := aWorkChange(g)
	c.Usage = []domain.UsageRecord{first}
	g = commitWork(t, s.A, c)
	changed := first
	changed.Cost = 1000 // it is there, and stays as it is
	c = ended(g, domain.GenerationCompleted)
	c.Usage = []domain.UsageRecord{changed, second}
	commitWork(t, s.B, c)
	wantRecent(t, s.Ledger, second, first)
	want := []domain.Event{first.Recorded(), second.Recorded()}
	var told []domain.StoredEvent
	relay(t, s.Outbox, 10, 4, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for _, e := range events {
			if e.Subject == domain.SubjectUsageRecorded {
				told = append(told, e)
			}
		}
		return len(events), "", nil
	})
	if len(told) != len(want) {
		t.Fatalf("%d records were told", len(told))
	}
	for i, e := range told {
		data, err := want[i].Data()
		if err != nil || e.ID != want[i].ID || !sameJSON(e.Data, data) {
			t.Errorf("got  %s %s, %v\nwant %s %s", e.ID, e.Data, err, want[i].ID, data)
		}
	}
}

// aReservationFor sets a part of 100 aside on the day of flowTime.
func aReservationFor(amount domain.Money) domain.Reservation {
	return domain.Reservation{ID: newID(), Owner: "owner", At: flowTime, Amount: amount, Limit: 100, Lease: budgetLease}
}

// wantLeft checks how much of 100 is neither spent nor set aside.
func wantLeft(t *testing.T, s GenerationSetup, left domain.Money) {
	t.Helper()
	wantOver(t, s.Budgets, aReservationFor(left+1))
	if left < 0 {
		return
	}
	r := reserve(t, s.Budgets, aReservationFor(left))
	if err := s.Budgets.Release(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
}

// reservedWork is claimed work for which money is set aside.
func reservedWork(t *testing.T, s GenerationSetup, amount domain.Money) domain.Generation {
	t.Helper()
	r := reserve(t, s.Budgets, aReservationFor(amount))
	g := aGeneration("owner")
	g.ReservationID, g.Reserved = r.ID, amount
	return claimWork(t, s.A, createWork(t, s.A, g).ID, "runner")
}

func generationSettle(t *testing.T, s GenerationSetup) {
	g := reservedWork(t, s, 60)
	wantLeft(t, s, 40)
	g = commitWork(t, s.A, aWorkChange(g))
	wantLeft(t, s, 40)
	claim := aUsage(g, 3, 1000)
	claim.Claimed, claim.Usage.Source = true, ""
	c := ended(g, domain.GenerationCompleted)
	c.Usage = []domain.UsageRecord{aUsage(g, 1, 10), aUsage(g, 2, 15), claim}
	commitWork(t, s.B, c)
	wantLeft(t, s, 75)
	_, err := s.A.Commit(t.Context(), c)
	wantFlowEnded(t, err, "the end again")
	wantLeft(t, s, 75)

	g = reservedWork(t, s, 50)
	c = aWorkChange(g)
	c.Usage = []domain.UsageRecord{aUsage(g, 1, 5)} // of an attempt that failed
	g = commitWork(t, s.A, c)
	c = ended(g, domain.GenerationFailed)
	c.Usage = []domain.UsageRecord{aUsage(g, 1, 5), aUsage(g, 2, 7)} // the first is counted already
	commitWork(t, s.A, c)
	wantLeft(t, s, 63)

	free := claimedWork(t, s) // without a reservation
	c = ended(free, domain.GenerationCompleted)
	c.Usage = []domain.UsageRecord{aUsage(free, 1, 3)}
	commitWork(t, s.A, c)
	wantLeft(t, s, 60)

	dear := reservedWork(t, s, 1)
	c = ended(dear, domain.GenerationCompleted)
	c.Usage = []domain.UsageRecord{aUsage(dear, 1, 500)} // more than expected: it is spent all the same
	commitWork(t, s.A, c)
	wantLeft(t, s, -1)
}

func generationSettleDay(t *testing.T, s GenerationSetup) {
	midnight := flowTime.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	evening, morning := aReservationFor(60), aReservationFor(30)
	evening.At, morning.At = midnight.Add(-time.Minute), midnight.Add(time.Minute)
	reserve(t, s.Budgets, evening)
	g := aGeneration("owner")
	g.CreatedAt, g.ReservationID = evening.At, evening.ID
	g = claimWork(t, s.A, createWork(t, s.A, g).ID, "runner")
	c := ended(g, domain.GenerationCompleted)
	c.Generation.UpdatedAt = midnight.Add(time.Minute)
	c.Generation.CompletedAt = c.Generation.UpdatedAt
	used := aUsage(g, 1, 20)
	used.At = g.CreatedAt // by which a new day counts what was spent in it
	c.Usage = []domain.UsageRecord{used}
	commitWork(t, s.A, c)
	reserve(t, s.Budgets, morning)
	for _, day := range []struct {
		of   domain.Reservation
		left domain.Money
	}{{evening, 80}, {morning, 70}} {
		r := day.of
		r.ID, r.Amount = newID(), day.left+1
		wantOver(t, s.Budgets, r)
		r.Amount = day.left
		reserve(t, s.Budgets, r)
		if err := s.Budgets.Release(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func generationSettleExpired(t *testing.T, s GenerationSetup) {
	g := reservedWork(t, s, 60)
	s.Elapse(g.ReservedFor())
	later := reserve(t, s.Budgets, aReservationFor(100)) // the first is gone then
	c := ended(g, domain.GenerationCompleted)
	c.Usage = []domain.UsageRecord{aUsage(g, 1, 30)}
	commitWork(t, s.A, c)
	if err := s.Budgets.Release(t.Context(), later.ID); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, s, 70)
}

// generationHolds: the work goes on whichever process dies, and its money is held for it.
func generationHolds(t *testing.T, s GenerationSetup) {
	g := reservedWork(t, s, 60)
	s.Elapse(budgetLease)
	wantLeft(t, s, 40)
	s.Elapse(g.ReservedFor() - budgetLease)
	wantLeft(t, s, 100)

	done := aGeneration("owner")
	r := reserve(t, s.Budgets, aReservationFor(60))
	done.Status, done.CompletedAt, done.ReservationID = domain.GenerationCompleted, done.CreatedAt, r.ID
	createWork(t, s.A, done) // needs nothing any more
	s.Elapse(budgetLease)
	wantLeft(t, s, 100)
}

// generationLapsed: a process stood still between setting aside and storing, and others were given the money.
func generationLapsed(t *testing.T, s GenerationSetup) {
	g := aGeneration("owner")
	r := reserve(t, s.Budgets, aReservationFor(60))
	g.ReservationID, g.Reserved = r.ID, 60
	s.Elapse(budgetLease)
	taken := reserve(t, s.Budgets, aReservationFor(50))
	_, err := s.A.Create(t.Context(), g, aGenerationEvent(domain.GenerationEventStarted))
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != domain.Unavailable || e.Code != domain.CodeLapsed {
		t.Errorf("Create: %v", err)
	}
	if _, err := s.B.Get(t.Context(), "owner", g.ID); domain.KindOf(err) != domain.NotFound {
		t.Errorf("the work is there: %v", err)
	}
	wantPending(t, s.Outbox, 0)
	wantLeft(t, s, 50)
	if err := s.Budgets.Release(t.Context(), taken.ID); err != nil {
		t.Fatal(err)
	}
	g.ReservationID = reserve(t, s.Budgets, aReservationFor(60)).ID
	createWork(t, s.B, g)
}

func generationSettleFree(t *testing.T, s GenerationSetup) {
	for i, status := range []domain.GenerationStatus{domain.GenerationCancelled, domain.GenerationFailed, domain.GenerationCompleted} {
		g := reservedWork(t, s, 100)
		wantLeft(t, s, 0)
		c := ended(g, status)
		if i%2 == 1 {
			c.Usage = []domain.UsageRecord{aUsage(g, 1, 0)}
		}
		commitWork(t, s.A, c)
		wantLeft(t, s, 100)
	}
}

// generationSettleRace lets many callers reserve at once; those that may are at work at once, and others try to reserve meanwhile.
func generationSettleRace(t *testing.T, s GenerationSetup) {
	const racers, amount, cost = 40, 10, 7
	var (
		mu    sync.Mutex
		works []domain.Generation
	)
	for _, err := range inParallel(racers, func(int) error {
		r := aReservationFor(amount)
		if err := s.Budgets.Reserve(t.Context(), r); err != nil {
			return err
		}
		g := aGeneration("owner")
		g.ReservationID = r.ID
		mu.Lock()
		defer mu.Unlock()
		works = append(works, g)
		return nil
	}) {
		if err != nil {
			wantKind(t, err, domain.PaymentRequired, "Reserve")
		}
	}
	if len(works) != 100/amount {
		t.Fatalf("%d may work", len(works))
	}
	for _, err := range inParallel(2*len(works), func(i int) error {
		if i >= len(works) {
			err := s.Budgets.Reserve(t.Context(), aReservationFor(101))
			if domain.KindOf(err) != domain.PaymentRequired {
				return fmt.Errorf("Reserve: %w", err)
			}
			return nil
		}
		g, store := works[i], s.either(i)
		if _, err := store.Create(t.Context(), g, aGenerationEvent(domain.GenerationEventStarted)); err != nil {
			return err
		}
		g, err := store.Claim(t.Context(), g.ID, "runner", flowTime, lease)
		if err != nil {
			return err
		}
		for attempt := 1; attempt <= 3; attempt++ {
			c := aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress))
			c.Usage = []domain.UsageRecord{aUsage(g, attempt, 2)}
			if g.Version, err = store.Commit(t.Context(), c); err != nil {
				return err
			}
		}
		c := ended(g, domain.GenerationCompleted)
		c.Usage = []domain.UsageRecord{aUsage(g, 4, cost-6)}
		_, err = store.Commit(t.Context(), c)
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	wantLeft(t, s, 100-domain.Money(cost*len(works)))
	totals, err := s.Ledger.Totals(t.Context(), "owner", flowTime.Add(-24*time.Hour), flowTime.Add(24*time.Hour))
	if err != nil || len(totals) != 1 || totals[0].Cost != domain.Money(cost*len(works)) {
		t.Errorf("the ledger has %+v, %v", totals, err)
	}
}
