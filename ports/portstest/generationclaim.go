package portstest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/domain"
)

func generationClaim(t *testing.T, s GenerationSetup) {
	g := createWork(t, s.A, aGeneration("owner"))
	got, err := s.A.Claim(t.Context(), strings.ToUpper(g.ID), "runner", flowTime.Add(time.Second), lease)
	if err != nil {
		t.Fatal(err)
	}
	g.Status, g.Version, g.UpdatedAt = domain.GenerationProcessing, 2, flowTime.Add(time.Second)
	wantWork(t, got, g)
	wantWork(t, getWork(t, s.B, g), g)
	_, err = s.B.Claim(t.Context(), g.ID, "other", lease.Add(-time.Microsecond), lease.Add(time.Hour))
	wantFlowTaken(t, err, "Claim of another")
	_, err = s.B.Claim(t.Context(), g.ID, "Runner", flowTime, lease.Add(time.Hour))
	wantFlowTaken(t, err, "Claim of another with nearly the same name")
	again := claimWork(t, s.B, g.ID, "runner") // who has it may
	_, err = s.A.Commit(t.Context(), aWorkChange(got))
	wantFlowTaken(t, err, "Commit from before the second claim")
	commitWork(t, s.A, aWorkChange(again))
}

func generationClaimRace(t *testing.T, s GenerationSetup) {
	wantOneWorkClaim(t, s, createWork(t, s.A, aGeneration("owner")).ID, flowTime)
}

// wantOneWorkClaim lets many claim at once.
func wantOneWorkClaim(t *testing.T, s GenerationSetup, id string, now time.Time) {
	t.Helper()
	won := 0
	for _, err := range inParallel(16, func(i int) error {
		_, err := s.either(i).Claim(t.Context(), id, fmt.Sprint("racer ", i), now, now.Add(time.Minute))
		return err
	}) {
		if err == nil {
			won++
		} else {
			wantFlowTaken(t, err, "Claim")
		}
	}
	if won != 1 {
		t.Errorf("%d have the claim", won)
	}
}

func generationClaimOver(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	_, err := s.B.Claim(t.Context(), g.ID, "other", lease.Add(-time.Microsecond), lease)
	wantFlowTaken(t, err, "Claim before the end")
	wantOneWorkClaim(t, s, g.ID, lease)
	wantFlowTaken(t, s.A.Renew(t.Context(), g.ID, "runner", lease), "Renew of who had it")
	_, err = s.A.Commit(t.Context(), aWorkChange(getWork(t, s.A, g)))
	wantFlowTaken(t, err, "Commit of who had it")
}

func generationClaimEnded(t *testing.T, s GenerationSetup) {
	g := createWork(t, s.A, aGeneration("owner"))
	c := ended(g, domain.GenerationCancelled)
	c.Runner = ""
	commitWork(t, s.A, c)
	_, err := s.B.Claim(t.Context(), g.ID, "runner", flowTime, lease)
	wantFlowEnded(t, err, "Claim")
}

func generationRenew(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	for _, not := range []string{"other", "", "RUNNER"} {
		wantFlowTaken(t, s.A.Renew(t.Context(), g.ID, not, lease.Add(time.Hour)), "Renew of "+not)
	}
	if err := s.B.Renew(t.Context(), g.ID, "runner", lease.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	wantWork(t, getWork(t, s.B, g), g) // its version too
	_, err := s.A.Claim(t.Context(), g.ID, "other", lease.Add(time.Minute-1000), lease)
	wantFlowTaken(t, err, "Claim of what was renewed")
	for _, until := range []time.Time{flowTime.Add(-time.Hour), flowTime.Add(-time.Minute)} { // it is over then, and nobody took it
		if err := s.A.Renew(t.Context(), g.ID, "runner", until); err != nil {
			t.Fatal(err)
		}
	}
	g = claimWork(t, s.B, g.ID, "other")
	wantFlowTaken(t, s.A.Renew(t.Context(), g.ID, "runner", lease.Add(time.Hour)), "Renew after another took it")
	c := ended(g, domain.GenerationCancelled)
	c.Runner = ""
	commitWork(t, s.A, c)
	for _, runner := range []string{"other", "runner", ""} {
		wantFlowEnded(t, s.A.Renew(t.Context(), g.ID, runner, lease.Add(time.Hour)), "Renew after the end")
	}
}

func generationAbandon(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	for _, not := range []string{"other", ""} {
		if err := s.B.Abandon(t.Context(), g.ID, not); err != nil {
			t.Errorf("Abandon by %q: %v", not, err)
		}
	}
	_, err := s.B.Claim(t.Context(), g.ID, "other", flowTime, lease)
	wantFlowTaken(t, err, "Claim of what another gave back")
	if err := s.A.Abandon(t.Context(), g.ID, "runner"); err != nil {
		t.Fatal(err)
	}
	_, err = s.A.Commit(t.Context(), aWorkChange(g))
	wantFlowTaken(t, err, "Commit after Abandon")
	claimWork(t, s.B, g.ID, "other")
	if err := s.A.Abandon(t.Context(), g.ID, "runner"); err != nil {
		t.Fatal(err)
	}
	if err := s.B.Renew(t.Context(), g.ID, "other", lease); err != nil {
		t.Errorf("an old runner gave the new one's claim back: %v", err)
	}
}

func generationFence(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	other := aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress))
	other.Runner = "other"
	_, err := s.A.Commit(t.Context(), other)
	wantFlowTaken(t, err, "Commit of another")
	unclaimed := createWork(t, s.A, aGeneration("owner"))
	other.Generation = unclaimed
	_, err = s.A.Commit(t.Context(), other)
	wantFlowTaken(t, err, "Commit to what nobody has")
	if _, err := s.B.Claim(t.Context(), g.ID, "other", lease, lease.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	g = getWork(t, s.B, g)
	_, err = s.A.Commit(t.Context(), ended(g, domain.GenerationCompleted))
	wantFlowTaken(t, err, "Commit of who had it, with the last version")
	wantWork(t, getWork(t, s.B, g), g)
	if n := len(workEvents(t, s.B, g)); n != 1 {
		t.Errorf("it has %d events", n)
	}
	wantPending(t, s.Outbox, 2)
}

func generationVersions(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	first := g
	g = commitWork(t, s.A, aWorkChange(g))
	for _, version := range []int{0, -1, first.Version, g.Version + 1, 1 << 40} {
		for _, runner := range []string{"runner", ""} {
			c := ended(g, domain.GenerationFailed)
			c.Generation.Version, c.Runner = version, runner
			_, err := s.B.Commit(t.Context(), c)
			wantFlowTaken(t, err, fmt.Sprintf("version %d of %q", version, runner))
		}
	}
	wantWork(t, getWork(t, s.A, g), g)
	c := aWorkChange(g)
	c.Runner = ""
	g = commitWork(t, s.B, c)
	_, err := s.A.Commit(t.Context(), aWorkChange(first))
	wantFlowTaken(t, err, "the version before a change of nobody")
	commitWork(t, s.A, aWorkChange(g)) // which did not take the claim
}

func generationVersionRace(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	won := 0
	for _, err := range inParallel(16, func(i int) error {
		c := aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress))
		if i%4 > 1 {
			c.Runner = ""
		}
		_, err := s.either(i).Commit(t.Context(), c)
		return err
	}) {
		if err == nil {
			won++
		} else {
			wantFlowTaken(t, err, "Commit")
		}
	}
	if events := len(workEvents(t, s.A, g)); won != 1 || events != 2 {
		t.Errorf("%d changes were made, and there are %d events", won, events)
	}
	wantPending(t, s.Outbox, 2)
}

// generationFenceRace lets another claim while a runner writes as fast as it can.
func generationFenceRace(t *testing.T, s GenerationSetup) {
	const first, enough = 5, 9_000
	g := claimedWork(t, s)
	begun := make(chan struct{})
	var (
		all     sync.WaitGroup
		written int
		refusal error
	)
	all.Go(func() {
		g := g
		for ; written < enough; written++ {
			if written == first {
				close(begun)
			}
			version, err := s.A.Commit(t.Context(), aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress)))
			if err != nil {
				refusal = err
				return
			}
			g.Version = version
		}
	})
	<-begun
	taken, err := s.B.Claim(t.Context(), g.ID, "other", lease, lease.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	all.Wait()
	wantFlowTaken(t, refusal, "Commit")
	if events := len(workEvents(t, s.B, g)); taken.Version != g.Version+written+1 || events != 1+written {
		t.Errorf("%d were written; the next runner saw version %d; there are %d events", written, taken.Version, events)
	}
	wantWork(t, getWork(t, s.B, g), taken)
	wantPending(t, s.Outbox, 1+written)
}
