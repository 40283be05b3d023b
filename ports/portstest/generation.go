package portstest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// GenerationSetup is one database as two processes see it.
type GenerationSetup struct {
	A, B   ports.GenerationStore
	Assets interface { // of ports.AssetStore
		Get(ctx context.Context, viewer, id string) (domain.Asset, error)
		Add(ctx context.Context, a domain.Asset, events ...domain.Event) error
	}
	Leases  ports.FileLeases
	Ledger  ports.Ledger
	Budgets ports.BudgetStore
	Outbox  ports.Outbox
	// Elapse makes all reservations older, as the clock of the database would.
	Elapse func(time.Duration)
}

// GenerationStore checks everything that ports.GenerationStore demands of a database that is there. empty runs once for each test.
func GenerationStore(t *testing.T, empty func(*testing.T) GenerationSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, GenerationSetup){
		"work comes back as it was stored":                      generationRoundTrip,
		"every field of request and attempts is kept":           generationFields,
		"no list and an empty list of a principal differ":       generationPrincipalLists,
		"work begins pending, or has ended":                     generationBegins,
		"an id that exists is Conflict":                         generationTwice,
		"the same key gives the same work":                      generationKey,
		"ByKey finds the owner's work":                          generationByKey,
		"Open counts the owner's work that has not ended":       generationOpen,
		"racing with one key makes one work":                    generationKeyRace,
		"racing with one key and two bodies makes one work":     generationKeyRaceConflict,
		"work of others and malformed ids are NotFound":         generationOthers,
		"Events come in pages, with the work":                   generationEventPages,
		"events go to the outbox, in order and without text":    generationOutbox,
		"text is tidied so that it can be stored":               generationOddText,
		"what is too large is cut or refused":                   generationSizes,
		"times come back in UTC with microseconds":              generationTimes,
		"callers share nothing with the store":                  generationNotShared,
		"owners may be any text, compared letter by letter":     generationOwners,
		"a caller who left is told so and nothing is saved":     generationCanceled,
		"Waiting lists what nobody works on, the oldest first":  generationWaiting,
		"Waiting gives each owner a turn":                       generationTurns,
		"Expire forgets what ended before a time, but no asset": generationExpire,
		"ByTask finds the work that waits for a task":           generationByTask,

		"Claim gives work to one runner":               generationClaim,
		"of racing claims one succeeds":                generationClaimRace,
		"a claim that is over can be taken, by one":    generationClaimOver,
		"what has ended can't be claimed":              generationClaimEnded,
		"Renew keeps a claim, and only a claim":        generationRenew,
		"Abandon gives a claim back, and only one's":   generationAbandon,
		"a runner without the claim writes nothing":    generationFence,
		"a version that is not the last is Conflict":   generationVersions,
		"of racing changes of one version one is made": generationVersionRace,
		"nothing is written after another has claimed": generationFenceRace,

		"Commit writes what may change, and nothing else":    generationCommit,
		"sequences have no gaps, whoever races":              generationSequences,
		"a change that can't be stored whole leaves nothing": generationAtomic,
		"work that ends is nobody's and never changes":       generationEnds,
		"a cancel and an end: never both":                    generationCancelRace,
		"an asset comes with the leases of its files":        generationAsset,
		"an asset without its leases is Conflict":            generationAssetLost,
		"an asset and the removal of its file: never both":   generationAssetRace,
		"leases of files that nobody needs end":              generationAbandoned,
		"usage is written and told once":                     generationUsage,
		"events have the trace of who made the change":       generationTraces,
		"the reservation becomes the cost":                   generationSettle,
		"the cost counts on the day of the beginning":        generationSettleDay,
		"a reservation that expired is settled all the same": generationSettleExpired,
		"stored work holds its reservation":                  generationHolds,
		"work whose reservation is gone is not stored":       generationLapsed,
		"without a cost the reservation ends too":            generationSettleFree,
		"what is spent is exact, whoever races":              generationSettleRace,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// either is one of the two processes.
func (s GenerationSetup) either(i int) ports.GenerationStore {
	return []ports.GenerationStore{s.A, s.B}[i%2]
}

func aGeneration(owner string) domain.Generation {
	return domain.Generation{
		ID: newIDAt(flowTime), Principal: domain.Principal{Type: domain.AuthJWT, UserID: owner}, Status: domain.GenerationPending,
		Request: domain.AssetRequest{Category: domain.AssetProp, Style: "low poly", Description: "A chest – 世界", Quality: domain.AssetHigh},
		Version: 1, Trace: aTrace(7), Deadline: flowTime.Add(time.Hour), CreatedAt: flowTime, UpdatedAt: flowTime,
	}
}

func aGenerationEvent(of domain.GenerationEventType) domain.GenerationEvent {
	e := domain.GenerationEvent{
		ID: newID(), Type: of, Status: domain.GenerationStatus(of), Progress: 100, Message: "It happened", At: flowTime, Details: map[string]any{},
	}
	switch of {
	case domain.GenerationEventStarted:
		e.Status, e.Progress = domain.GenerationPending, 0
	case domain.GenerationEventProgress:
		e.Status, e.Progress = domain.GenerationProcessing, 40
	}
	return e
}

func anAttempt(status domain.GenerationAttemptStatus, task string) domain.GenerationAttempt {
	return domain.GenerationAttempt{
		Generator: "meshy", Stage: "preview", Token: newID(), Status: status, TaskID: task, StartedAt: flowTime.UTC(),
	}
}

func createWork(t *testing.T, s ports.GenerationStore, g domain.Generation) domain.Generation {
	t.Helper()
	made, err := s.Create(t.Context(), g, aGenerationEvent(domain.GenerationEventStarted))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return made
}

func getWork(t *testing.T, s ports.GenerationStore, g domain.Generation) domain.Generation {
	t.Helper()
	got, err := s.Get(t.Context(), g.Principal.OwnerID(), g.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got
}

func claimWork(t *testing.T, s ports.GenerationStore, id, runner string) domain.Generation {
	t.Helper()
	g, err := s.Claim(t.Context(), id, runner, flowTime, lease)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return g
}

// claimedWork makes work that "runner" has.
func claimedWork(t *testing.T, s GenerationSetup) domain.Generation {
	t.Helper()
	return claimWork(t, s.A, createWork(t, s.A, aGeneration("owner")).ID, "runner")
}

func aWorkChange(g domain.Generation, events ...domain.GenerationEvent) domain.GenerationChange {
	g.UpdatedAt = flowTime.Add(time.Second).UTC()
	return domain.GenerationChange{Generation: g, Runner: "runner", Events: events}
}

// commitWork returns the work in its next version.
func commitWork(t *testing.T, s ports.GenerationStore, c domain.GenerationChange) domain.Generation {
	t.Helper()
	version, err := s.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if version != c.Generation.Version+1 {
		t.Errorf("version %d follows %d", version, c.Generation.Version)
	}
	c.Generation.Version = version
	return c.Generation
}

// ended is a change that ends work.
func ended(g domain.Generation, status domain.GenerationStatus) domain.GenerationChange {
	c := aWorkChange(g, aGenerationEvent(domain.GenerationEventType(status)))
	c.Generation.Status, c.Generation.CompletedAt = status, c.Generation.UpdatedAt
	return c
}

// workEvents checks that events are numbered from 1 without gaps, and returns them.
func workEvents(t *testing.T, s ports.GenerationStore, g domain.Generation) []domain.GenerationEvent {
	t.Helper()
	list, _, err := s.Events(t.Context(), g.Principal.OwnerID(), g.ID, 0, 10_000)
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	for i, e := range list {
		if e.Sequence != i+1 || e.GenerationID != g.ID {
			t.Errorf("event %d has number %d and belongs to %s", i+1, e.Sequence, e.GenerationID)
		}
	}
	return list
}

// asKeptWork is work as stores return it.
func asKeptWork(g domain.Generation) domain.Generation {
	for _, at := range []*time.Time{&g.Deadline, &g.CreatedAt, &g.UpdatedAt, &g.CompletedAt, &g.Principal.Expires} {
		*at = at.UTC().Truncate(time.Microsecond)
	}
	g.ID = strings.ToLower(g.ID)
	return g
}

func wantWork(t *testing.T, got, want domain.Generation) {
	t.Helper()
	if want = asKeptWork(want); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// filled sets every field of a struct to something, so that the suite notices those that are added.
func filled(t *testing.T, of reflect.Value) {
	t.Helper()
	for i := range of.NumField() {
		f, name := of.Field(i), of.Type().Field(i).Name
		switch v := f.Addr().Interface().(type) {
		case *time.Time:
			*v = flowTime.UTC()
			continue
		case **int64:
			n := int64(1<<32 - 1)
			*v = &n
			continue
		}
		switch f.Kind() { //nolint:exhaustive // others fail
		case reflect.String:
			f.SetString("value of " + name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(1<<53 + 1) // no float64
		default:
			t.Fatalf("the suite can't fill %s", name)
		}
	}
}

func generationRoundTrip(t *testing.T, s GenerationSetup) {
	seed := int64(0)
	full := aGeneration("owner")
	full.Principal = domain.Principal{
		Type: domain.AuthUserAPIKey, UserID: "owner", KeyID: newID(), Scopes: []string{"assets:write"}, Tools: []string{"files/*"},
		Expires: flowTime.Add(time.Hour),
	}
	full.Request = domain.AssetRequest{
		Category: domain.AssetAudio, Style: "calm", Description: "Rain", Platform: "unity", Quality: domain.AssetUltra, MaxPolygons: 3,
		MaxBytes: 1 << 40, Format: "wav", SessionID: "session", Seed: &seed, AllowAdapted: true, MaxCost: 1, MaxWait: time.Minute + 1,
	}
	full.Generators, full.Attempts = offersOf("b", "a"), []domain.GenerationAttempt{anAttempt(domain.AttemptBegun, "")}
	full.Progress, full.Message, full.BaseID, full.Source = 7, "Waiting", newID(), domain.AssetFromHybrid
	full.Cost, full.Reserved, full.ReservationID, full.HTTPRequestID = 1<<62, 1<<62+1, newID(), "http-1"
	full.Key, full.Fingerprint = "key", "print"
	reserve(t, s.Budgets, domain.Reservation{ID: full.ReservationID, Owner: "owner", At: flowTime, Limit: 1, Lease: budgetLease})
	sparse := aGeneration("owner")
	sparse.Generators, sparse.Attempts, sparse.Request = offersOf(), []domain.GenerationAttempt{}, domain.AssetRequest{}
	for _, g := range []domain.Generation{full, sparse} {
		made := createWork(t, s.A, g)
		if len(g.Attempts) == 0 {
			g.Generators, g.Attempts = nil, nil
		}
		wantWork(t, made, g)
		got, err := s.B.Get(t.Context(), "owner", strings.ToUpper(g.ID))
		if err != nil {
			t.Fatal(err)
		}
		wantWork(t, got, g)
	}
}

// generationFields finds fields that somebody adds and stores do not keep.
func generationFields(t *testing.T, s GenerationSetup) {
	g := aGeneration("owner")
	filled(t, reflect.ValueOf(&g.Request).Elem())
	var a domain.GenerationAttempt
	filled(t, reflect.ValueOf(&a).Elem())
	g.Attempts = []domain.GenerationAttempt{a, {StartedAt: flowTime.UTC()}}
	createWork(t, s.A, g)
	wantWork(t, getWork(t, s.B, g), g)
	g = claimWork(t, s.B, g.ID, "runner")
	slices.Reverse(g.Attempts)
	g = commitWork(t, s.A, aWorkChange(g))
	wantWork(t, getWork(t, s.B, g), g)
}

func generationPrincipalLists(t *testing.T, s GenerationSetup) {
	for _, list := range [][]string{nil, {}, {""}, {"a", "b"}} {
		g := aGeneration("owner")
		g.Principal.Scopes, g.Principal.Tools = list, list
		createWork(t, s.A, g)
		if got := getWork(t, s.B, g).Principal; !reflect.DeepEqual(got.Tools, list) || !reflect.DeepEqual(got.Scopes, list) {
			t.Errorf("got tools %#v and scopes %#v, want %#v", got.Tools, got.Scopes, list)
		}
	}
}

func generationBegins(t *testing.T, s GenerationSetup) {
	g := aGeneration("owner")
	g.Status, g.CompletedAt, g.Version = domain.GenerationProcessing, flowTime, 17
	createWork(t, s.A, g)
	g.Status, g.CompletedAt, g.Version = domain.GenerationPending, time.Time{}, 1
	wantWork(t, getWork(t, s.B, g), g)

	found := aGeneration("owner")
	found.Status, found.AssetID, found.Source = domain.GenerationCompleted, newID(), domain.AssetFromDatabase
	made, err := s.A.Create(t.Context(), found, aGenerationEvent(domain.GenerationEventStarted), aGenerationEvent(domain.GenerationEventCompleted))
	if err != nil {
		t.Fatal(err)
	}
	found.CompletedAt = found.UpdatedAt // it did not say
	wantWork(t, made, found)
	if n := len(workEvents(t, s.B, found)); n != 2 {
		t.Errorf("it has %d events", n)
	}
	_, err = s.B.Claim(t.Context(), found.ID, "runner", flowTime, lease)
	wantFlowEnded(t, err, "Claim")
	if made, err = s.A.Create(t.Context(), aGeneration("owner")); err != nil || len(workEvents(t, s.B, made)) != 0 {
		t.Errorf("Create without events: %v", err)
	}
	wantPending(t, s.Outbox, 3)
}

func generationTwice(t *testing.T, s GenerationSetup) {
	g := createWork(t, s.A, aGeneration("owner"))
	again := aGeneration("another")
	again.ID = g.ID
	_, err := s.B.Create(t.Context(), again, aGenerationEvent(domain.GenerationEventStarted))
	wantKind(t, err, domain.Conflict, "an id again")
	wantWork(t, getWork(t, s.A, g), g)
	wantPending(t, s.Outbox, 1)
}

func keyedWork(owner, key, fingerprint string) domain.Generation {
	g := aGeneration(owner)
	g.Key, g.Fingerprint = key, fingerprint
	return g
}

func generationKey(t *testing.T, s GenerationSetup) {
	first := createWork(t, s.A, keyedWork("owner", "k", "one"))
	first = claimWork(t, s.A, first.ID, "runner")
	wantWork(t, createWork(t, s.B, keyedWork("owner", "k", "one")), first)
	_, err := s.B.Create(t.Context(), keyedWork("owner", "k", "two"), aGenerationEvent(domain.GenerationEventStarted))
	wantFlowTaken(t, err, "the key with another request")
	for _, other := range []domain.Generation{
		keyedWork("another", "k", "two"), keyedWork("owner", "K", "two"), keyedWork("owner", "", ""), keyedWork("owner", "", ""),
	} {
		if made := createWork(t, s.B, other); made.ID != other.ID {
			t.Errorf("key %q of %s gave other work", other.Key, other.Principal.UserID)
		}
	}
	if n := len(workEvents(t, s.A, first)); n != 1 {
		t.Errorf("it has %d events", n)
	}
	wantPending(t, s.Outbox, 5)
}

func generationByKey(t *testing.T, s GenerationSetup) {
	g := createWork(t, s.A, keyedWork("owner", "k", "one"))
	createWork(t, s.A, keyedWork("owner", "", ""))
	got, err := s.B.ByKey(t.Context(), "owner", "k")
	if err != nil {
		t.Fatal(err)
	}
	wantWork(t, got, g)
	for _, not := range [][2]string{{"another", "k"}, {"owner", "K"}, {"owner", ""}, {"", "k"}} {
		_, err := s.B.ByKey(t.Context(), not[0], not[1])
		wantKind(t, err, domain.NotFound, "ByKey %v", not)
	}
}

func generationOpen(t *testing.T, s GenerationSetup) {
	want := func(owner string, want int) {
		t.Helper()
		if n, err := s.B.Open(t.Context(), owner); n != want || err != nil {
			t.Errorf("Open of %q = %d, %v, want %d", owner, n, err, want)
		}
	}
	want("owner", 0)
	g := claimedWork(t, s)
	createWork(t, s.A, aGeneration("owner"))
	createWork(t, s.A, aGeneration("Owner"))
	want("owner", 2)
	commitWork(t, s.A, ended(g, domain.GenerationFailed))
	want("owner", 1)
	want("Owner", 1)
	want("", 0)
}

func generationKeyRace(t *testing.T, s GenerationSetup) {
	ids := make([]string, 16)
	for _, err := range inParallel(len(ids), func(i int) error {
		made, err := s.either(i).Create(t.Context(), keyedWork("owner", "k", "one"), aGenerationEvent(domain.GenerationEventStarted))
		ids[i] = made.ID
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("several were made: %v", ids)
	}
	wantWaitingWork(t, s.B, flowTime, 10, ids[0])
	wantPending(t, s.Outbox, 1)
}

func generationKeyRaceConflict(t *testing.T, s GenerationSetup) {
	prints := make([]string, 16)
	errs := inParallel(len(prints), func(i int) error {
		made, err := s.either(i).Create(t.Context(), keyedWork("owner", "k", fmt.Sprint(i/2%2)), aGenerationEvent(domain.GenerationEventStarted))
		prints[i] = made.Fingerprint
		return err
	})
	won := ""
	for i, err := range errs {
		switch {
		case err != nil:
			wantFlowTaken(t, err, "Create")
		case won == "":
			won = prints[i]
		case won != prints[i]:
			t.Errorf("both %s and %s won", won, prints[i])
		}
		if print := fmt.Sprint(i / 2 % 2); err == nil && prints[i] != print {
			t.Errorf("asked for %s, got %s", print, prints[i])
		}
	}
	wantPending(t, s.Outbox, 1)
}

func generationOthers(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	for _, not := range []struct{ owner, id string }{
		{"another", g.ID}, {"Owner", g.ID}, {"owner", newID()}, {"owner", "nope"}, {"owner", ""}, {"", g.ID}, {"owner", g.ID + " "},
	} {
		_, err := s.B.Get(t.Context(), not.owner, not.id)
		wantKind(t, err, domain.NotFound, "Get %s of %q", not.id, not.owner)
		_, _, err = s.B.Events(t.Context(), not.owner, not.id, 0, 10)
		wantKind(t, err, domain.NotFound, "Events %s of %q", not.id, not.owner)
	}
	for _, id := range append([]string{newID()}, malformedIDs...) {
		_, err := s.B.Claim(t.Context(), id, "runner", flowTime, lease)
		wantKind(t, err, domain.NotFound, "Claim %.40q", id)
		wantFlowTaken(t, s.B.Renew(t.Context(), id, "runner", lease), "Renew")
		if err := s.B.Abandon(t.Context(), id, "runner"); err != nil {
			t.Errorf("Abandon %.40q: %v", id, err)
		}
		missing := g
		missing.ID = id
		_, err = s.B.Commit(t.Context(), aWorkChange(missing))
		wantFlowTaken(t, err, "Commit")
	}
	wantWork(t, getWork(t, s.A, g), g)
}

func generationEventPages(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	for range 4 {
		g = commitWork(t, s.A, aWorkChange(g, aGenerationEvent(domain.GenerationEventProgress)))
	}
	for _, page := range []struct{ after, limit, from, n int }{
		{0, 10, 1, 5}, {0, 2, 1, 2}, {2, 2, 3, 2}, {4, 2, 5, 1}, {5, 2, 0, 0}, {1 << 40, 10, 0, 0}, {0, 0, 0, 0}, {0, 1 << 40, 1, 5},
	} {
		list, got, err := s.B.Events(t.Context(), "owner", strings.ToUpper(g.ID), page.after, page.limit)
		if err != nil || len(list) != page.n || page.n > 0 && list[0].Sequence != page.from {
			t.Errorf("Events %+v: %d, %v", page, len(list), err)
		}
		wantWork(t, got, g)
	}
	c := ended(g, domain.GenerationFailed)
	c.Events[0].Details = map[string]any{domain.DetailReason: "no_credits", domain.DetailGenerator: "meshy", domain.DetailCostUSD: 0.25}
	g = commitWork(t, s.A, c)
	list, got, err := s.B.Events(t.Context(), "owner", g.ID, 5, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d events, %v", len(list), err)
	}
	wantWork(t, got, g)
	want := c.Events[0]
	want.GenerationID, want.Sequence, want.At = g.ID, 6, want.At.UTC()
	if !reflect.DeepEqual(list[0], want) {
		t.Errorf("got  %+v\nwant %+v", list[0], want)
	}
}

func generationOutbox(t *testing.T, s GenerationSetup) {
	g := aGeneration("owner")
	started := aGenerationEvent(domain.GenerationEventStarted)
	started.Details = map[string]any{domain.DetailGenerator: "meshy", "prompt": g.Request.Description, domain.DetailReason: "a chest"}
	if _, err := s.A.Create(t.Context(), g, started); err != nil {
		t.Fatal(err)
	}
	g = claimWork(t, s.B, g.ID, "runner")
	progress, completed := aGenerationEvent(domain.GenerationEventProgress), aGenerationEvent(domain.GenerationEventCompleted)
	completed.ID = strings.ToUpper(completed.ID)
	c := ended(g, domain.GenerationCompleted)
	c.Events, c.Generation.AssetID = []domain.GenerationEvent{progress, completed}, newID()
	commitWork(t, s.B, c)
	started.Details = map[string]any{domain.DetailGenerator: "meshy"}
	completed.ID = strings.ToLower(completed.ID)
	want := []domain.GenerationEvent{started, progress, completed}
	relay(t, s.Outbox, 10, 3, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for i, e := range events {
			want[i].GenerationID, want[i].Sequence = g.ID, i+1
			asset := ""
			if i > 0 {
				asset = c.Generation.AssetID
			}
			told := want[i].Event("owner", domain.AssetProp, asset)
			data, err := told.Data()
			if err != nil {
				t.Fatal(err)
			}
			if e.ID != told.ID || e.Subject != told.Subject || !sameJSON(e.Data, data) {
				t.Errorf("got  %s %s %s\nwant %s %s %s", e.ID, e.Subject, e.Data, told.ID, told.Subject, data)
			}
		}
		return len(events), "", nil
	})
	if got := workEvents(t, s.A, g)[0].Details; !reflect.DeepEqual(got, started.Details) {
		t.Errorf("details %v, want %v", got, started.Details)
	}
}

func generationOddText(t *testing.T, s GenerationSetup) {
	for _, text := range oddTexts {
		if len(text) > 100 {
			continue // too large for most of it
		}
		tidy := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		g := aGeneration("owner")
		g.Request.Style, g.Request.Description, g.Request.Platform, g.Request.Format, g.Request.SessionID = text, text, text, text, text
		g.Generators, g.Message, g.HTTPRequestID = offersOf(text), text, text
		made := createWork(t, s.A, g)
		if r := made.Request; r.Style != tidy || r.Description != tidy || r.Platform != tidy || r.Format != tidy || r.SessionID != tidy {
			t.Errorf("text %q became %+v", text, r)
		}
		g = claimWork(t, s.A, g.ID, "runner")
		a := anAttempt(domain.AttemptFailed, text)
		a.Generator, a.Stage, a.Token, a.Failure, a.Error = text, text, text, text, text
		c := ended(g, domain.GenerationFailed)
		c.Generation.Attempts, c.Generation.Message, c.Generation.Error = []domain.GenerationAttempt{a}, text, text
		c.Generation.ErrorCode, c.Generation.BaseID, c.Generation.AssetID = text, text, text
		c.Events[0].Message, c.Events[0].Details = text, map[string]any{domain.DetailStage: text, domain.DetailReason: text}
		commitWork(t, s.A, c)
		got := getWork(t, s.B, g)
		if got.Message != tidy || got.Error != tidy || got.ErrorCode != tidy || got.BaseID != tidy || got.AssetID != tidy {
			t.Errorf("text %q became %+v", text, got)
		}
		a.Generator, a.Stage, a.Token, a.TaskID, a.Failure, a.Error = tidy, tidy, tidy, tidy, tidy, tidy
		if !reflect.DeepEqual(got.Attempts, []domain.GenerationAttempt{a}) {
			t.Errorf("attempts with %q became %+v", text, got.Attempts)
		}
		if e := workEvents(t, s.B, g)[1]; e.Message != tidy || e.Details[domain.DetailStage] != tidy || len(e.Details) != 1 {
			t.Errorf("event with %q became %+v", text, e)
		}
	}
}

func generationSizes(t *testing.T, s GenerationSetup) {
	long := func(bytes int) string { return strings.Repeat("世", bytes/3+1) }
	for about, too := range map[string]func(*domain.Generation){
		"description":     func(g *domain.Generation) { g.Request.Description = long(domain.MaxAssetRequest) },
		"style":           func(g *domain.Generation) { g.Request.Style = long(domain.MaxAssetRequest) },
		"generator":       func(g *domain.Generation) { g.Generators = offersOf(long(300)) },
		"list":            func(g *domain.Generation) { g.Generators = make([]domain.GenerationOffer, 100) },
		"list of tasks":   func(g *domain.Generation) { g.Attempts = make([]domain.GenerationAttempt, 100) },
		"name of a task":  func(g *domain.Generation) { g.Attempts = []domain.GenerationAttempt{{TaskID: long(300)}} },
		"name of an base": func(g *domain.Generation) { g.BaseID = long(300) },
	} {
		g := aGeneration("owner")
		too(&g)
		_, err := s.A.Create(t.Context(), g, aGenerationEvent(domain.GenerationEventStarted))
		wantKind(t, err, domain.TooLarge, "too long a %s", about)
		g.ID, g.Request = createWork(t, s.A, aGeneration("owner")).ID, domain.AssetRequest{}
		if too(&g); len(g.Request.Description)+len(g.Request.Style) == 0 {
			g.Version = 1
			_, err = s.A.Commit(t.Context(), domain.GenerationChange{Generation: g})
			wantKind(t, err, domain.TooLarge, "too long a %s in a change", about)
		}
	}
	g := aGeneration("owner")
	g.Request.Description, g.Message, g.Error = long(domain.MaxAssetRequest-4), long(10_000), long(10_000)
	made := createWork(t, s.B, g)
	if made.Request.Description != g.Request.Description {
		t.Errorf("the description has %d bytes", len(made.Request.Description))
	}
	for _, text := range []string{made.Message, made.Error} {
		if len(text) > 4<<10 || !strings.HasSuffix(text, "世") {
			t.Errorf("a text has %d bytes", len(text))
		}
	}
}

func generationTimes(t *testing.T, s GenerationSetup) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", -5*3600))
	want := time.Date(2024, 3, 1, 4, 59, 59, 999999000, time.UTC)
	g := aGeneration("owner")
	g.CreatedAt, g.UpdatedAt, g.Deadline = at, at, at
	createWork(t, s.A, g)
	g, err := s.A.Claim(t.Context(), g.ID, "runner", at, at.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	c := ended(g, domain.GenerationCompleted)
	c.Generation.UpdatedAt, c.Generation.CompletedAt, c.Events[0].At = at, at, at
	c.Generation.Attempts = []domain.GenerationAttempt{{StartedAt: at, EndedAt: at}}
	c.Generation.Deadline, c.Generation.CreatedAt = flowTime, flowTime // which are not taken over
	commitWork(t, s.A, c)
	got := getWork(t, s.B, g)
	for about, have := range map[string]time.Time{
		"created": got.CreatedAt, "updated": got.UpdatedAt, "completed": got.CompletedAt, "deadline": got.Deadline,
		"attempt started": got.Attempts[0].StartedAt, "attempt ended": got.Attempts[0].EndedAt, "event": workEvents(t, s.B, g)[1].At,
	} {
		if have != want { // the zone too, which Equal would not look at
			t.Errorf("%s: got %v, want %v", about, have, want)
		}
	}
}

func generationNotShared(t *testing.T, s GenerationSetup) {
	seed := int64(5)
	g := aGeneration("owner")
	g.Generators, g.Request.Seed, g.Principal.Tools = offersOf("a"), &seed, []string{"t/*"}
	g.Attempts = []domain.GenerationAttempt{anAttempt(domain.AttemptRunning, "task")}
	want := asKeptWork(g)
	kept, attempt := seed, g.Attempts[0]
	want.Generators, want.Request.Seed, want.Principal.Tools = offersOf("a"), &kept, []string{"t/*"}
	want.Attempts = []domain.GenerationAttempt{attempt}
	spoil := func(g domain.Generation) {
		g.Generators[0].Stages[0].Cost, *g.Request.Seed, g.Principal.Tools[0], g.Attempts[0].TaskID = 1, 6, "x", "x"
	}
	made := createWork(t, s.A, g)
	spoil(g)
	spoil(made)
	got := getWork(t, s.A, want)
	wantWork(t, got, want)
	spoil(got)
	wantWork(t, getWork(t, s.A, want), want)
	e := aGenerationEvent(domain.GenerationEventProgress)
	e.Details[domain.DetailStage] = "a"
	c := aWorkChange(claimWork(t, s.A, want.ID, "runner"), e)
	want = commitWork(t, s.A, c)
	want.Generators, want.Attempts = slices.Clone(want.Generators), slices.Clone(want.Attempts)
	c.Generation.Generators[0].Generator, c.Generation.Attempts[0].TaskID, e.Details[domain.DetailStage] = "x", "x", "x"
	wantWork(t, getWork(t, s.A, want), want)
	workEvents(t, s.A, want)[1].Details[domain.DetailStage] = "x"
	if got := workEvents(t, s.A, want)[1].Details; !maps.Equal(got, map[string]any{domain.DetailStage: "a"}) {
		t.Errorf("details became %v", got)
	}
}

func generationOwners(t *testing.T, s GenerationSetup) {
	owners := []string{"service", "key:1", "KEY:1", "ü", "u\u0308", "日本語", "' OR 1=1 --", "%", " service", strings.Repeat("x", 1000)}
	made := map[string]domain.Generation{}
	for _, owner := range owners {
		made[owner] = createWork(t, s.A, aGeneration(owner))
	}
	for _, owner := range owners {
		for _, other := range owners {
			_, err := s.B.Get(t.Context(), other, made[owner].ID)
			if (err == nil) != (other == owner) {
				t.Errorf("%.40q asks for work of %.40q: %v", other, owner, err)
			}
		}
	}
}

func generationCanceled(t *testing.T, s GenerationSetup) {
	g := claimedWork(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.A.Create(ctx, aGeneration("owner"), aGenerationEvent(domain.GenerationEventStarted))
	wantCanceled(t, "Create", err)
	_, err = s.A.Get(ctx, "owner", g.ID)
	wantCanceled(t, "Get", err)
	_, _, err = s.A.Events(ctx, "owner", g.ID, 0, 10)
	wantCanceled(t, "Events", err)
	_, err = s.A.Claim(ctx, g.ID, "runner", flowTime, lease)
	wantCanceled(t, "Claim", err)
	wantCanceled(t, "Renew", s.A.Renew(ctx, g.ID, "runner", lease))
	wantCanceled(t, "Abandon", s.A.Abandon(ctx, g.ID, "runner"))
	_, err = s.A.Commit(ctx, ended(g, domain.GenerationFailed))
	wantCanceled(t, "Commit", err)
	_, err = s.A.ByKey(ctx, "owner", "k")
	wantCanceled(t, "ByKey", err)
	_, err = s.A.Open(ctx, "owner")
	wantCanceled(t, "Open", err)
	_, err = s.A.ByTask(ctx, "meshy", "task")
	wantCanceled(t, "ByTask", err)
	_, err = s.A.Waiting(ctx, flowTime, 10)
	wantCanceled(t, "Waiting", err)
	_, err = s.A.Expire(ctx, flowTime)
	wantCanceled(t, "Expire", err)
	wantWork(t, getWork(t, s.B, g), g)
	if err := s.A.Renew(t.Context(), g.ID, "runner", lease); err != nil {
		t.Error(err)
	}
	wantPending(t, s.Outbox, 1)
}

func wantWaitingWork(t *testing.T, s ports.GenerationStore, now time.Time, limit int, want ...string) {
	t.Helper()
	got, err := s.Waiting(t.Context(), now, limit)
	if err != nil {
		t.Fatalf("Waiting: %v", err)
	}
	if len(got) != len(want) || len(want) > 0 && !slices.Equal(got, want) {
		t.Errorf("waiting are %v, want %v", got, want)
	}
}

func generationWaiting(t *testing.T, s GenerationSetup) {
	wantWaitingWork(t, s.A, flowTime, 10)
	var ids []string
	for n := range 5 {
		g := aGeneration(fmt.Sprint("owner ", n%2))
		g.CreatedAt = flowTime.Add(-time.Duration(n) * time.Second)
		ids = append([]string{createWork(t, s.A, g).ID}, ids...)
	}
	wantWaitingWork(t, s.B, flowTime, 10, ids...)
	wantWaitingWork(t, s.B, flowTime, 2, ids[:2]...)
	wantWaitingWork(t, s.B, flowTime, 0)
	claimWork(t, s.A, ids[1], "runner")
	wantWaitingWork(t, s.B, lease.Add(-time.Microsecond), 10, ids[0], ids[2], ids[3], ids[4])
	wantWaitingWork(t, s.B, lease, 10, ids...)
	if err := s.A.Abandon(t.Context(), ids[1], "runner"); err != nil {
		t.Fatal(err)
	}
	wantWaitingWork(t, s.B, flowTime, 10, ids...)
	commitWork(t, s.A, ended(claimWork(t, s.A, ids[2], "runner"), domain.GenerationFailed))
	wantWaitingWork(t, s.B, lease, 10, ids[0], ids[1], ids[3], ids[4])
}

func generationExpire(t *testing.T, s GenerationSetup) {
	endedAt := func(at time.Time) domain.Generation {
		g := claimedWork(t, s)
		c := ended(g, domain.GenerationCompleted)
		c.Generation.CompletedAt = at
		c.Generation.Attempts = []domain.GenerationAttempt{anAttempt(domain.AttemptDone, "task "+g.ID)}
		a := leasedAsset(t, s, g)
		c.Asset = &a
		return commitWork(t, s.A, c)
	}
	old, exact, open := endedAt(flowTime.Add(-time.Microsecond)), endedAt(flowTime), claimedWork(t, s)
	for _, want := range []int{1, 0} {
		if n, err := s.B.Expire(t.Context(), flowTime); n != want || err != nil {
			t.Errorf("Expire = %d, %v, want %d", n, err, want)
		}
	}
	_, err := s.A.Get(t.Context(), "owner", old.ID)
	wantKind(t, err, domain.NotFound, "what expired")
	_, _, err = s.A.Events(t.Context(), "owner", old.ID, 0, 10)
	wantKind(t, err, domain.NotFound, "events of what expired")
	if _, err := s.Assets.Get(t.Context(), "owner", old.ID); err != nil {
		t.Errorf("the asset of what expired: %v", err)
	}
	for _, kept := range []domain.Generation{exact, open} {
		getWork(t, s.A, kept)
	}
	if n, err := s.A.Expire(t.Context(), flowTime.Add(1000*time.Hour)); n != 1 || err != nil {
		t.Errorf("Expire = %d, %v, want the other that has ended", n, err)
	}
	getWork(t, s.A, open)
	wantPending(t, s.Outbox, 5) // what was told stays told
}

func generationByTask(t *testing.T, s GenerationSetup) {
	find := func(want, generator, task string) {
		t.Helper()
		id, err := s.B.ByTask(t.Context(), generator, task)
		if want == "" {
			wantKind(t, err, domain.NotFound, "ByTask %s %s", generator, task)
		} else if id != want || err != nil {
			t.Errorf("ByTask %s %s = %s, %v, want %s", generator, task, id, err, want)
		}
	}
	g := claimedWork(t, s)
	find("", "meshy", "")
	find("", "meshy", "one")
	c := aWorkChange(g)
	c.Generation.Attempts = []domain.GenerationAttempt{anAttempt(domain.AttemptRunning, "one"), anAttempt(domain.AttemptBegun, "")}
	g = commitWork(t, s.A, c)
	find(g.ID, "meshy", "one")
	for _, not := range [][2]string{{"meshy", ""}, {"mubert", "one"}, {"meshy", "ONE"}, {"meshy", "one "}, {"", "one"}, {"one", "meshy"}} {
		find("", not[0], not[1])
	}
	c = aWorkChange(g)
	c.Generation.Attempts = slices.Clone(g.Attempts)
	c.Generation.Attempts[0].Status = domain.AttemptDone
	again, other := anAttempt(domain.AttemptRunning, "two"), anAttempt(domain.AttemptRunning, "one")
	other.Generator = "mubert"
	c.Generation.Attempts = append(c.Generation.Attempts, again, again, other) // one task in two attempts is one task
	g = commitWork(t, s.A, c)
	for _, task := range [][2]string{{"meshy", "one"}, {"meshy", "two"}, {"mubert", "one"}} {
		find(g.ID, task[0], task[1])
	}
	second := claimedWork(t, s)
	c = aWorkChange(second)
	c.Generation.Attempts = []domain.GenerationAttempt{anAttempt(domain.AttemptRunning, "two")}
	commitWork(t, s.B, c) // the generator has given one task twice: who got it last waits for it
	find(second.ID, "meshy", "two")
	commitWork(t, s.A, ended(g, domain.GenerationCancelled))
	find("", "meshy", "one")
	find("", "mubert", "one")
}

// offersOf are offers of generators.
func offersOf(generators ...string) []domain.GenerationOffer {
	offers := []domain.GenerationOffer{}
	for n, id := range generators {
		offers = append(offers, domain.GenerationOffer{
			Generator: id, Prices: "2026-01-01.1", Stages: []domain.StageOffer{{Stage: "make", Cost: domain.Money(20 + n), Credits: n}},
		})
	}
	return offers
}

func generationTurns(t *testing.T, s GenerationSetup) {
	create := func(owner string, at int) string {
		g := aGeneration(owner)
		g.CreatedAt = flowTime.Add(time.Duration(at) * time.Second)
		return createWork(t, s.A, g).ID
	}
	a1, a2, a3 := create("a", 0), create("a", 1), create("a", 2)
	b1, b2 := create("b", 3), create("b", 4)
	c1 := create("c", 5)
	wantWaitingWork(t, s.B, flowTime, 10, a1, b1, c1, a2, b2, a3)
	wantWaitingWork(t, s.B, flowTime, 2, a1, b1)
	claimWork(t, s.A, a2, "runner")
	wantWaitingWork(t, s.B, flowTime, 10, b1, c1, a1, b2, a3)
	claimWork(t, s.A, b1, "runner")
	claimWork(t, s.A, b2, "runner")
	commitWork(t, s.A, ended(claimWork(t, s.A, a1, "runner"), domain.GenerationFailed)) // what has ended counts no more
	wantWaitingWork(t, s.B, flowTime, 10, c1, a3)
}
