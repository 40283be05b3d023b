package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/adapters/telemetry"
	"gaia/app"
	"gaia/domain"
)

// However many look, the outbox is asked every few seconds at most; while it can't be asked there is no figure.
func TestBacklogIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	var (
		now   = time.Unix(1_000_000, 0)
		asked int
		fails error
	)
	b := &backlog{now: func() time.Time { return now }, ask: func(context.Context) (app.RelayState, error) {
		asked++
		return app.RelayState{Pending: asked, Oldest: time.Duration(asked) * time.Second}, fails
	}}
	count := b.figure(func(s app.RelayState) float64 { return float64(s.Pending) })
	age := b.figure(func(s app.RelayState) float64 { return s.Oldest.Seconds() })
	want := func(values ...float64) {
		t.Helper()
		var got []float64
		for _, ask := range []func(context.Context) []telemetry.Figure{count, age, count} {
			for _, f := range ask(t.Context()) {
				got = append(got, f.Value)
			}
		}
		if !slices.Equal(got, values) {
			t.Errorf("got %v, want %v", got, values)
		}
	}
	want(1, 1, 1)
	now = now.Add(backlogFresh - time.Millisecond)
	want(1, 1, 1)
	now, fails = now.Add(time.Millisecond), errors.New("away")
	want()
	now, fails = now.Add(backlogFresh), nil
	want(3, 3, 3)
	if asked != 3 {
		t.Errorf("it was asked %d times", asked)
	}
}

// What assets cost is counted once it is stored, by provider and category, and nothing else is.
func TestCostOfAssetsIsCounted(t *testing.T) {
	t.Parallel()
	store := &memory.GenerationStore{}
	var counted []string
	s := assetCostStore{store, func(_ context.Context, n float64, labels ...string) {
		counted = append(counted, fmt.Sprintf("%v %s", n, strings.Join(labels, " ")))
	}}
	work := domain.Generation{
		ID: newID(), Principal: domain.Principal{Type: domain.AuthJWT, UserID: "u"}, Status: domain.GenerationPending, Version: 1,
		Request: domain.AssetRequest{Category: domain.AssetProp}, Deadline: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	work, err := s.Create(t.Context(), work)
	if err != nil {
		t.Fatal(err)
	}
	record := domain.UsageRecord{RequestID: work.ID, Attempt: 1, Provider: "meshy", Cost: domain.FromDollars(0.25)}
	claimed := record
	claimed.Attempt, claimed.Claimed = 2, true
	change := domain.GenerationChange{Generation: work.End(domain.GenerationFailed, time.Now()), Usage: []domain.UsageRecord{record, claimed}}
	store.FailNext("Commit", errors.New("away"))
	if _, err := s.Commit(t.Context(), change); err == nil || counted != nil {
		t.Fatalf("%v, counted %q", err, counted)
	}
	if _, err := s.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), change); err == nil { // it has ended
		t.Error("it was stored twice")
	}
	if want := []string{"0.25 provider meshy category prop"}; !slices.Equal(counted, want) {
		t.Errorf("counted %q, want %q", counted, want)
	}
}

// A process that nobody watches has none of the hooks, so that they cost nothing.
func TestNobodyWatchesByDefault(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*system{{}, {telemetry: tel}} {
		if s.watchHops() != nil || s.watchReceived() != nil || s.watchWork() != nil || s.watchService("s3", "") != nil {
			t.Error("there is a hook")
		}
		store := &memory.GenerationStore{}
		if got, err := s.watchAssetCost(store); err != nil || got != store {
			t.Errorf("a store is wrapped: %v", err)
		}
		if got := s.watchEmbedder(config{}, nil); got != nil {
			t.Error("there is an embedder")
		}
	}
}
