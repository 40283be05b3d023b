package portstest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// WorkflowSetup is one database as two processes see it.
type WorkflowSetup struct {
	A, B   ports.WorkflowStore
	Outbox ports.Outbox
}

// WorkflowStore checks everything that ports.WorkflowStore demands of a database that is there. empty runs once for each test.
func WorkflowStore(t *testing.T, empty func(*testing.T) WorkflowSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, WorkflowSetup){
		"a workflow comes back as it was stored":                    workflowRoundTrip,
		"every field of the principal is kept":                      workflowPrincipal,
		"no list and an empty list of a principal stay different":   workflowPrincipalLists,
		"a workflow begins pending, whatever it says":               workflowPending,
		"an id that exists is Conflict":                             workflowTwice,
		"the same key gives the same workflow":                      workflowKey,
		"racing with one key makes one workflow":                    workflowKeyRace,
		"racing with one key and two bodies makes one workflow":     workflowKeyRaceConflict,
		"workflows of others and malformed ids are NotFound":        workflowOthers,
		"List pages from the newest, with the total":                workflowList,
		"List of a status":                                          workflowListStatus,
		"Claim gives a workflow with its journal to one runner":     workflowClaim,
		"of racing claims one succeeds":                             workflowClaimRace,
		"a claim that is over can be taken, by one":                 workflowClaimOver,
		"what has ended can't be claimed":                           workflowClaimEnded,
		"Renew keeps a claim, and only a claim":                     workflowRenew,
		"Abandon gives a claim back, and only one's own":            workflowAbandon,
		"Commit writes steps and events, and ends steps":            workflowCommit,
		"a step that has ended never changes":                       workflowStepEnded,
		"a step that began again is the same step":                  workflowStepAgain,
		"sequences have no gaps, whoever races":                     workflowSequences,
		"a runner without the claim writes nothing":                 workflowFence,
		"nothing is written after another has claimed":              workflowFenceRace,
		"nothing is written after a cancel":                         workflowCancelRace,
		"a change that can't be stored whole leaves nothing":        workflowAtomic,
		"a workflow that ends ends its steps and its claim":         workflowEnds,
		"Cancel ends a workflow and its running steps":              workflowCancel,
		"Cancel needs no runner":                                    workflowCancelPending,
		"of racing cancels one succeeds":                            workflowCancelTwice,
		"of racing ends one counts":                                 workflowEndRace,
		"Waiting lists what nobody works on, the oldest first":      workflowWaiting,
		"Events come in pages, with the status":                     workflowEventPages,
		"events that say that it has ended are all there":           workflowEventsEnded,
		"events go to the outbox, in order and without other words": workflowOutbox,
		"events have the trace of who made the change":              workflowTraces,
		"text is tidied so that it can be stored":                   workflowOddText,
		"numbers that few can read become texts":                    workflowOddNumbers,
		"what is too large is cut, left out or refused":             workflowSizes,
		"times come back in UTC with microseconds":                  workflowTimes,
		"Expire forgets what ended before a time":                   workflowExpire,
		"a caller who left is told so and nothing is saved":         workflowCanceled,
		"callers share nothing with the store":                      workflowNotShared,
		"owners may be any text, compared letter by letter":         workflowOwners,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// flowTime has microseconds and another zone than UTC.
var flowTime = time.Date(2026, 4, 2, 8, 15, 30, 654321000, time.FixedZone("elsewhere", -3*60*60))

// lease is a time after which a claim made at flowTime is over.
var lease = flowTime.Add(time.Minute)

func aWorkflow(owner string) domain.Workflow {
	return domain.Workflow{
		ID: newID(), Principal: domain.Principal{Type: domain.AuthJWT, UserID: owner}, Kind: domain.WorkflowOrchestrator,
		Status: domain.WorkflowPending, Task: "Find out – 世界", Input: map[string]any{}, Trace: aTrace(7), CreatedAt: flowTime, UpdatedAt: flowTime,
	}
}

func aWorkflowEvent(of domain.WorkflowEventType) domain.WorkflowEvent {
	e := domain.WorkflowEvent{ID: newID(), Type: of, Status: domain.WorkflowRunning, At: flowTime, Details: map[string]any{}}
	switch of {
	case domain.WorkflowEventStarted:
		e.Status = domain.WorkflowPending
	case domain.WorkflowEventCancelled:
		e.Status = domain.WorkflowCancelled
	case domain.WorkflowEventCompleted:
		e.Status = domain.WorkflowCompleted
	}
	return e
}

func aStep(key string, status domain.WorkflowStatus) domain.WorkflowStep {
	s := domain.WorkflowStep{
		ID: newID(), Key: key, Kind: domain.StepTool, Name: "files/read", Agent: "worker", Status: status,
		Input: map[string]any{"path": key}, StartedAt: flowTime,
	}
	if status.Ended() {
		s.Output, s.Result, s.CompletedAt = "out of "+key, []byte(`{"of":"`+key+`"}`), flowTime.Add(time.Second)
		s.Usage = domain.WorkflowUsage{Input: 1, Output: 2, Cost: 3}
	}
	return s
}

func createFlow(t *testing.T, s ports.WorkflowStore, w domain.Workflow) domain.Workflow {
	t.Helper()
	made, err := s.Create(t.Context(), w, aWorkflowEvent(domain.WorkflowEventStarted))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return made
}

func getFlow(t *testing.T, s ports.WorkflowStore, w domain.Workflow) (domain.Workflow, []domain.WorkflowStep) {
	t.Helper()
	got, steps, err := s.Get(t.Context(), w.Principal.OwnerID(), w.ID)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got, steps
}

func claimFlow(t *testing.T, s ports.WorkflowStore, id, runner string) (domain.Workflow, []domain.WorkflowStep) {
	t.Helper()
	w, steps, err := s.Claim(t.Context(), id, runner, flowTime, lease)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return w, steps
}

// claimed makes a workflow that "runner" has.
func claimed(t *testing.T, s WorkflowSetup) domain.Workflow {
	t.Helper()
	w := createFlow(t, s.A, aWorkflow("owner"))
	w, _ = claimFlow(t, s.A, w.ID, "runner")
	return w
}

func aChange(w domain.Workflow, steps ...domain.WorkflowStep) domain.WorkflowChange {
	w.UpdatedAt = flowTime.Add(time.Second)
	return domain.WorkflowChange{Workflow: w, Runner: "runner", Steps: steps}
}

func commitFlow(t *testing.T, s ports.WorkflowStore, c domain.WorkflowChange) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func flowEvents(t *testing.T, s ports.WorkflowStore, w domain.Workflow) []domain.WorkflowEvent {
	t.Helper()
	list, _, err := s.Events(t.Context(), w.Principal.OwnerID(), w.ID, 0, 10_000)
	if err != nil {
		t.Fatalf("Events: %v", err)
	}
	return list
}

// wantWhole checks that events and steps are numbered from 1 without gaps, and returns how many there are.
func wantWhole(t *testing.T, s ports.WorkflowStore, w domain.Workflow) (steps, events int) {
	t.Helper()
	_, list := getFlow(t, s, w)
	for i, step := range list {
		if step.Sequence != i+1 || step.WorkflowID != w.ID {
			t.Errorf("step %d has number %d and belongs to %s", i+1, step.Sequence, step.WorkflowID)
		}
	}
	told := flowEvents(t, s, w)
	for i, e := range told {
		if e.Sequence != i+1 || e.WorkflowID != w.ID {
			t.Errorf("event %d has number %d and belongs to %s", i+1, e.Sequence, e.WorkflowID)
		}
	}
	return len(list), len(told)
}

// asKept is a workflow as stores return it.
func asKept(w domain.Workflow) domain.Workflow {
	for _, at := range []*time.Time{&w.CreatedAt, &w.UpdatedAt, &w.CompletedAt, &w.Principal.Expires} {
		*at = at.UTC().Truncate(time.Microsecond)
	}
	if w.Input == nil {
		w.Input = map[string]any{}
	}
	if len(w.Agents) == 0 {
		w.Agents = nil
	}
	return w
}

func wantFlow(t *testing.T, got, want domain.Workflow) {
	t.Helper()
	if want = asKept(want); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// wantSteps compares steps, which have their numbers, with or without their results.
func wantSteps(t *testing.T, got []domain.WorkflowStep, results bool, want ...domain.WorkflowStep) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d steps, want %d:\n%+v", len(got), len(want), got)
	}
	for i, w := range want {
		w.WorkflowID, w.Sequence = got[i].WorkflowID, i+1
		w.StartedAt, w.CompletedAt = w.StartedAt.UTC(), w.CompletedAt.UTC()
		if !results {
			w.Result = nil
		}
		if !reflect.DeepEqual(got[i], w) {
			t.Errorf("step %d\ngot  %+v\nwant %+v", i+1, got[i], w)
		}
	}
}

func wantFlowEnded(t *testing.T, err error, what string) {
	t.Helper()
	wantKind(t, err, domain.Conflict, "%s", what)
	if domain.FailureOf(err) != domain.CodeEnded {
		t.Errorf("%s: %v is not CodeEnded", what, err)
	}
}

func wantFlowTaken(t *testing.T, err error, what string) {
	t.Helper()
	wantKind(t, err, domain.Conflict, "%s", what)
	if domain.FailureOf(err) == domain.CodeEnded {
		t.Errorf("%s: %v says that the workflow has ended", what, err)
	}
}

func workflowRoundTrip(t *testing.T, s WorkflowSetup) {
	full := aWorkflow("owner")
	full.Principal = domain.Principal{
		Type: domain.AuthUserAPIKey, UserID: "owner", KeyID: newID(), Scopes: []string{"workflows:write"}, Tools: []string{"files/*"},
		Expires: flowTime.Add(time.Hour),
	}
	full.Agents, full.Model, full.PersonaID = []string{"b", "a"}, "gpt-4o", newID()
	full.Input = map[string]any{"deep": map[string]any{"list": []any{1.5, "two", nil, true}}, "": "ü"}
	full.Limits = domain.WorkflowLimits{Iterations: 3, Tokens: 50_000, Cost: 1, Duration: 90*time.Second + 1}
	full.Key, full.Fingerprint = "key", "print"
	sparse := aWorkflow("owner")
	sparse.Input, sparse.Agents = nil, []string{}
	for _, w := range []domain.Workflow{full, sparse} {
		wantFlow(t, createFlow(t, s.A, w), w)
		got, steps, err := s.B.Get(t.Context(), "owner", strings.ToUpper(w.ID))
		if err != nil {
			t.Fatal(err)
		}
		wantFlow(t, got, w)
		wantSteps(t, steps, false)
	}
}

// workflowPrincipal finds fields that somebody adds and stores do not keep.
func workflowPrincipal(t *testing.T, s WorkflowSetup) {
	w := aWorkflow("owner")
	p := reflect.ValueOf(&w.Principal).Elem()
	for i := range p.NumField() {
		switch f := p.Field(i).Addr().Interface().(type) {
		case *string, *domain.AuthType:
			p.Field(i).SetString("value of " + p.Type().Field(i).Name)
		case *[]string:
			*f = []string{"one of " + p.Type().Field(i).Name}
		case *time.Time:
			*f = flowTime
		default:
			t.Fatalf("the suite can't fill %s", p.Type().Field(i).Name)
		}
	}
	createFlow(t, s.A, w)
	got, _ := getFlow(t, s.B, w)
	wantFlow(t, got, w)
	got, _ = claimFlow(t, s.B, w.ID, "runner")
	w.Status = domain.WorkflowRunning
	wantFlow(t, got, w)
}

func workflowPrincipalLists(t *testing.T, s WorkflowSetup) {
	for _, list := range [][]string{nil, {}, {""}, {"a", "b"}} {
		w := aWorkflow("owner")
		w.Principal.Scopes, w.Principal.Tools = list, list
		createFlow(t, s.A, w)
		got, _ := getFlow(t, s.B, w)
		if !reflect.DeepEqual(got.Principal.Tools, list) || !reflect.DeepEqual(got.Principal.Scopes, list) {
			t.Errorf("got tools %#v and scopes %#v, want %#v", got.Principal.Tools, got.Principal.Scopes, list)
		}
	}
}

func workflowPending(t *testing.T, s WorkflowSetup) {
	w := aWorkflow("owner")
	w.Status, w.CompletedAt = domain.WorkflowCompleted, flowTime
	createFlow(t, s.A, w)
	w.Status, w.CompletedAt = domain.WorkflowPending, time.Time{}
	got, _ := getFlow(t, s.A, w)
	wantFlow(t, got, w)
}

func workflowTraces(t *testing.T, s WorkflowSetup) {
	w := aWorkflow("owner")
	if _, err := s.A.Create(domain.WithTrace(t.Context(), aTrace(1)), w, aWorkflowEvent(domain.WorkflowEventStarted)); err != nil {
		t.Fatal(err)
	}
	claimed, _, err := s.B.Claim(t.Context(), w.ID, "runner", flowTime, lease)
	if err != nil || claimed.Trace != w.Trace {
		t.Fatalf("claimed was one with trace %q: %v", claimed.Trace, err)
	}
	claimed.Trace = "" // it stays as it was
	err = s.A.Commit(domain.WithTrace(t.Context(), aTrace(2)), domain.WorkflowChange{
		Workflow: claimed, Runner: "runner", Events: []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted), aWorkflowEvent(domain.WorkflowEventStepCompleted)},
	})
	if err != nil {
		t.Fatal(err)
	}
	cancelled, _, err := s.A.Cancel(domain.WithTrace(t.Context(), aTrace(3)), "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled))
	if err != nil || cancelled.Trace != w.Trace {
		t.Fatalf("cancelled was one with trace %q: %v", cancelled.Trace, err)
	}
	wantTraces(t, s.Outbox, "a workflow", aTrace(1), aTrace(2), aTrace(2), aTrace(3))
	none := aWorkflow("owner")
	none.Trace = ""
	if made := createFlow(t, s.A, none); made.Trace != "" {
		t.Errorf("one that nobody watches has the trace %q", made.Trace)
	}
	wantTraces(t, s.Outbox, "one that nobody watches", "")
}

func workflowTwice(t *testing.T, s WorkflowSetup) {
	w := createFlow(t, s.A, aWorkflow("owner"))
	again := aWorkflow("another")
	again.ID = w.ID
	_, err := s.B.Create(t.Context(), again, aWorkflowEvent(domain.WorkflowEventStarted))
	wantKind(t, err, domain.Conflict, "an id again")
	got, _ := getFlow(t, s.A, w)
	wantFlow(t, got, w)
	wantPending(t, s.Outbox, 1)
}

func keyed(owner, key, fingerprint string) domain.Workflow {
	w := aWorkflow(owner)
	w.Key, w.Fingerprint = key, fingerprint
	return w
}

func workflowKey(t *testing.T, s WorkflowSetup) {
	first := createFlow(t, s.A, keyed("owner", "k", "one"))
	claimFlow(t, s.A, first.ID, "runner")
	again := createFlow(t, s.B, keyed("owner", "k", "one"))
	first.Status = domain.WorkflowRunning
	wantFlow(t, again, first)
	_, err := s.B.Create(t.Context(), keyed("owner", "k", "two"), aWorkflowEvent(domain.WorkflowEventStarted))
	wantFlowTaken(t, err, "the key with another request")
	for _, other := range []domain.Workflow{
		keyed("another", "k", "two"), keyed("owner", "K", "two"), keyed("owner", "", ""), keyed("owner", "", ""),
	} {
		if made := createFlow(t, s.B, other); made.ID != other.ID {
			t.Errorf("key %q of %s gave another workflow", other.Key, other.Principal.UserID)
		}
	}
	if n := len(flowEvents(t, s.A, first)); n != 1 {
		t.Errorf("the workflow has %d events", n)
	}
	wantPending(t, s.Outbox, 5)
}

func workflowKeyRace(t *testing.T, s WorkflowSetup) {
	ids := make([]string, 16)
	for _, err := range inParallel(len(ids), func(i int) error {
		made, err := s.either(i).Create(t.Context(), keyed("owner", "k", "one"), aWorkflowEvent(domain.WorkflowEventStarted))
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
	if _, total, err := s.A.List(t.Context(), "owner", "", 10, 0); total != 1 || err != nil {
		t.Errorf("there are %d, %v", total, err)
	}
	wantPending(t, s.Outbox, 1)
}

func workflowKeyRaceConflict(t *testing.T, s WorkflowSetup) {
	prints := make([]string, 16)
	errs := inParallel(len(prints), func(i int) error {
		print := fmt.Sprint(i / 2 % 2)
		made, err := s.either(i).Create(t.Context(), keyed("owner", "k", print), aWorkflowEvent(domain.WorkflowEventStarted))
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

// either is one of the two processes.
func (s WorkflowSetup) either(i int) ports.WorkflowStore { return []ports.WorkflowStore{s.A, s.B}[i%2] }

func workflowOthers(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	for _, not := range []struct{ owner, id string }{
		{"another", w.ID}, {"Owner", w.ID}, {"owner", newID()}, {"owner", "nope"}, {"owner", ""}, {"", w.ID}, {"owner", w.ID + " "},
	} {
		about := fmt.Sprintf("%s of %q", not.id, not.owner)
		_, _, err := s.B.Get(t.Context(), not.owner, not.id)
		wantKind(t, err, domain.NotFound, "Get %s", about)
		_, _, err = s.B.Events(t.Context(), not.owner, not.id, 0, 10)
		wantKind(t, err, domain.NotFound, "Events %s", about)
		_, _, err = s.B.Cancel(t.Context(), not.owner, not.id, aWorkflowEvent(domain.WorkflowEventCancelled))
		wantKind(t, err, domain.NotFound, "Cancel %s", about)
	}
	for _, id := range append([]string{newID()}, malformedIDs...) {
		_, _, err := s.B.Claim(t.Context(), id, "runner", flowTime, lease)
		wantKind(t, err, domain.NotFound, "Claim %.40q", id)
		wantFlowTaken(t, s.B.Renew(t.Context(), id, "runner", lease), "Renew")
		if err := s.B.Abandon(t.Context(), id, "runner"); err != nil {
			t.Errorf("Abandon %.40q: %v", id, err)
		}
		missing := w
		missing.ID = id
		wantFlowTaken(t, s.B.Commit(t.Context(), aChange(missing, aStep("1", domain.WorkflowRunning))), "Commit")
	}
	if steps, events := wantWhole(t, s.A, w); steps != 0 || events != 1 {
		t.Errorf("there are %d steps and %d events", steps, events)
	}
}

func workflowList(t *testing.T, s WorkflowSetup) {
	var want []string
	for n := range 5 {
		w := aWorkflow("owner")
		w.CreatedAt = flowTime.Add(time.Duration(n) * time.Second)
		w.Input, w.Agents, w.Key, w.Fingerprint = map[string]any{"a": 1.0}, []string{"a"}, fmt.Sprint(n), "f"
		createFlow(t, s.A, w)
		want = append(want, w.ID)
	}
	slices.Reverse(want)
	createFlow(t, s.A, aWorkflow("another"))
	for _, page := range []struct{ limit, offset, from, to int }{
		{10, 0, 0, 5}, {2, 0, 0, 2}, {2, 2, 2, 4}, {2, 4, 4, 5}, {2, 5, 5, 5}, {0, 0, 0, 0}, {1 << 40, 1 << 40, 5, 5},
	} {
		list, total, err := s.B.List(t.Context(), "owner", "", page.limit, page.offset)
		if err != nil || total != 5 {
			t.Fatalf("List %+v: total %d, %v", page, total, err)
		}
		got := []string{}
		for _, w := range list {
			got = append(got, w.ID)
		}
		if !slices.Equal(got, want[page.from:page.to]) {
			t.Errorf("List %+v = %v, want %v", page, got, want[page.from:page.to])
		}
	}
	list, _, err := s.B.List(t.Context(), "owner", "", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	short := aWorkflow("owner")
	short.ID, short.Principal, short.Input, short.Trace, short.CreatedAt = want[0], domain.Principal{}, nil, "", flowTime.Add(4*time.Second).UTC()
	short.UpdatedAt = flowTime.UTC()
	if !reflect.DeepEqual(list[0], short) {
		t.Errorf("got  %+v\nwant %+v", list[0], short)
	}
	if list, total, err := s.A.List(t.Context(), "nobody", "", 10, 0); err != nil || len(list) != 0 || total != 0 {
		t.Errorf("List of nobody = %v, %d, %v", list, total, err)
	}
}

func workflowListStatus(t *testing.T, s WorkflowSetup) {
	running := claimed(t, s)
	running.Usage = domain.WorkflowUsage{Input: 5, Output: 6, Cost: 7}
	commitFlow(t, s.A, aChange(running))
	createFlow(t, s.A, aWorkflow("owner"))
	for status, want := range map[domain.WorkflowStatus]int{
		domain.WorkflowRunning: 1, domain.WorkflowPending: 1, "": 2, domain.WorkflowCompleted: 0, "nonsense": 0,
	} {
		list, total, err := s.B.List(t.Context(), "owner", status, 10, 0)
		if err != nil || total != want || len(list) != want {
			t.Errorf("List of %q: %d, total %d, %v, want %d", status, len(list), total, err, want)
		}
		if status == domain.WorkflowRunning && len(list) == 1 && (list[0].ID != running.ID || list[0].Usage.Output != 6) {
			t.Errorf("got %+v", list[0])
		}
	}
}

func wantWaiting(t *testing.T, s ports.WorkflowStore, now time.Time, limit int, want ...string) {
	t.Helper()
	got, err := s.Waiting(t.Context(), now, limit)
	if err != nil {
		t.Fatalf("Waiting: %v", err)
	}
	if len(got) != len(want) || len(want) > 0 && !slices.Equal(got, want) {
		t.Errorf("waiting are %v, want %v", got, want)
	}
}

func workflowWaiting(t *testing.T, s WorkflowSetup) {
	wantWaiting(t, s.A, flowTime, 10)
	var ids []string
	for n := range 5 {
		w := aWorkflow(fmt.Sprint("owner ", n%2))
		w.CreatedAt = flowTime.Add(-time.Duration(n) * time.Second)
		ids = append([]string{createFlow(t, s.A, w).ID}, ids...)
	}
	wantWaiting(t, s.B, flowTime, 10, ids...)
	wantWaiting(t, s.B, flowTime, 2, ids[:2]...)
	wantWaiting(t, s.B, flowTime, 0)
	claimFlow(t, s.A, ids[1], "runner")
	wantWaiting(t, s.B, lease.Add(-time.Microsecond), 10, ids[0], ids[2], ids[3], ids[4])
	wantWaiting(t, s.B, lease, 10, ids...)
	if err := s.A.Abandon(t.Context(), ids[1], "runner"); err != nil {
		t.Fatal(err)
	}
	wantWaiting(t, s.B, flowTime, 10, ids...)
	w, _ := claimFlow(t, s.A, ids[2], "runner")
	w.Status = domain.WorkflowFailed
	commitFlow(t, s.A, aChange(w))
	wantWaiting(t, s.B, lease, 10, ids[0], ids[1], ids[3], ids[4])
}

func workflowEventPages(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	for range 4 {
		c := aChange(w)
		c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted)}
		commitFlow(t, s.A, c)
	}
	for _, page := range []struct{ after, limit, first, last int }{
		{0, 10, 1, 5}, {0, 2, 1, 2}, {2, 2, 3, 4}, {4, 2, 5, 5}, {5, 2, 0, 0}, {1 << 40, 2, 0, 0}, {-1, 2, 1, 2}, {0, 0, 0, 0},
		{0, 1 << 40, 1, 5},
	} {
		list, status, err := s.B.Events(t.Context(), "owner", w.ID, page.after, page.limit)
		if err != nil || status != domain.WorkflowRunning {
			t.Fatalf("Events %+v: %s, %v", page, status, err)
		}
		first, last := 0, 0
		if len(list) > 0 {
			first, last = list[0].Sequence, list[len(list)-1].Sequence
		}
		if first != page.first || last != page.last {
			t.Errorf("Events %+v are %d to %d", page, first, last)
		}
	}
}

// workflowEventsEnded follows a workflow that ends meanwhile.
func workflowEventsEnded(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	const many = 60
	follow := func(store ports.WorkflowStore) error {
		for after := 0; ; {
			list, status, err := store.Events(t.Context(), "owner", w.ID, after, 7)
			if err != nil {
				return err
			}
			for _, e := range list {
				if after++; e.Sequence != after {
					return fmt.Errorf("event %d follows %d", e.Sequence, after-1)
				}
			}
			if status.Ended() && len(list) < 7 {
				if after != many+2 {
					return fmt.Errorf("it has ended and there are %d events of %d", after, many+2)
				}
				return nil
			}
		}
	}
	for _, err := range inParallel(3, func(i int) error {
		if i > 0 {
			return follow(s.either(i))
		}
		for n := range many + 1 {
			c := aChange(w)
			c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepStarted)}
			if n == many {
				c.Workflow.Status, c.Events[0].Type = domain.WorkflowCompleted, domain.WorkflowEventCompleted
			}
			if err := s.A.Commit(t.Context(), c); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

func workflowOutbox(t *testing.T, s WorkflowSetup) {
	w := aWorkflow("owner")
	first := aWorkflowEvent(domain.WorkflowEventStarted)
	first.Details = map[string]any{domain.DetailKind: string(w.Kind), "task": w.Task, domain.DetailReason: "no word", domain.DetailSteps: "text"}
	if _, err := s.A.Create(t.Context(), w, first); err != nil {
		t.Fatal(err)
	}
	claimFlow(t, s.A, w.ID, "runner")
	step := aStep("1", domain.WorkflowRunning)
	second := aWorkflowEvent(domain.WorkflowEventStepStarted)
	second.StepID, second.Details = step.ID, map[string]any{domain.DetailCostUSD: 0.25, domain.DetailDurationMS: 12}
	c := aChange(w, step)
	c.Events = []domain.WorkflowEvent{second}
	commitFlow(t, s.B, c)
	third := aWorkflowEvent(domain.WorkflowEventCancelled)
	if _, _, err := s.B.Cancel(t.Context(), "owner", w.ID, third); err != nil {
		t.Fatal(err)
	}
	first.Details = map[string]any{domain.DetailKind: string(w.Kind)}
	var want []domain.Event
	for i, e := range []domain.WorkflowEvent{first, second, third} {
		e.WorkflowID, e.Sequence = w.ID, i+1
		want = append(want, e.Event("owner", w.Kind))
	}
	relay(t, s.Outbox, 10, 3, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for i, e := range events {
			data, err := want[i].Data()
			if err != nil {
				t.Fatal(err)
			}
			if e.ID != want[i].ID || e.Subject != want[i].Subject || !sameJSON(e.Data, data) {
				t.Errorf("got  %s %s %s\nwant %s %s %s", e.ID, e.Subject, e.Data, want[i].ID, want[i].Subject, data)
			}
		}
		return len(events), "", nil
	})
	got := flowEvents(t, s.A, w)
	if !reflect.DeepEqual(got[0].Details, first.Details) {
		t.Errorf("details %v, want %v", got[0].Details, first.Details)
	}
}

func workflowOddText(t *testing.T, s WorkflowSetup) {
	for _, text := range oddTexts {
		w := aWorkflow("owner")
		w.Task, w.Input = text, map[string]any{"list": []any{map[string]any{"text": text}}}
		if len(text) < 100 {
			w.Input[text] = text
		}
		made := createFlow(t, s.A, w)
		tidy := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		if made.Task != tidy {
			t.Errorf("task %.20q became %.20q", text, made.Task)
		}
		claimFlow(t, s.A, w.ID, "runner")
		step := aStep("1", domain.WorkflowCompleted)
		step.Name, step.Output, step.Error, step.Input, step.Result = text, text, text, map[string]any{"text": text}, []byte(text)
		c := aChange(w, step)
		c.Workflow.Output, c.Workflow.Error = text, text
		c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventStepCompleted)}
		c.Events[0].Details = map[string]any{domain.DetailAgent: text, domain.DetailReason: text}
		commitFlow(t, s.A, c)
		got, steps := claimFlow(t, s.B, w.ID, "runner")
		if got.Output != tidy || string(steps[0].Result) != text {
			t.Errorf("output %.20q, result %.20q", got.Output, steps[0].Result)
		}
		if len(text) < 100 && steps[0].Output != tidy {
			t.Errorf("step's output %.20q became %.20q", text, steps[0].Output)
		}
		if _, err := json.Marshal(steps[0].Input); err != nil {
			t.Error(err)
		}
		flowEvents(t, s.B, w)
	}
}

// workflowOddNumbers: models write what they like. Whatever it is, the workflow stays one that can be read and claimed.
func workflowOddNumbers(t *testing.T, s WorkflowSetup) {
	odd := []string{"1e999", "-1e999", "1e200000", "1e-200000", "0e200000", strings.Repeat("9", 500), "0." + strings.Repeat("1", 20_000)}
	var list, kept []any
	for _, n := range odd {
		list, kept = append(list, json.Number(n)), append(kept, n)
	}
	list, kept = append(list, json.Number("12.50"), json.Number("0"), json.Number("1e300")), append(kept, 12.5, 0.0, 1e300)
	for _, text := range []string{"plain", "with \x00"} {
		input := map[string]any{"n": json.Number("1e999"), "deep": map[string]any{"list": list}, "text": text}
		want := map[string]any{"n": "1e999", "deep": map[string]any{"list": kept}, "text": strings.ReplaceAll(text, "\x00", "\uFFFD")}
		w := aWorkflow("ada")
		w.Input = input
		createFlow(t, s.A, w)
		claimFlow(t, s.A, w.ID, "runner")
		step := aStep("a", domain.WorkflowRunning)
		step.Input = input
		commitFlow(t, s.A, aChange(w, step))
		w2, steps := claimFlow(t, s.B, w.ID, "runner")
		got, shown := getFlow(t, s.B, w)
		for what, input := range map[string]map[string]any{
			"claimed workflow": w2.Input, "claimed step": steps[0].Input, "workflow": got.Input, "step": shown[0].Input,
		} {
			if !reflect.DeepEqual(input, want) {
				t.Errorf("%s of the %s: got %.300v, want %.300v", text, what, input, want)
			}
		}
	}
}

func workflowSizes(t *testing.T, s WorkflowSetup) {
	long := func(bytes int) string { return strings.Repeat("世", bytes/3+1) }
	for about, too := range map[string]func(*domain.Workflow){
		"task":  func(w *domain.Workflow) { w.Task = long(domain.MaxWorkflowTask) },
		"input": func(w *domain.Workflow) { w.Input = map[string]any{"a": long(domain.MaxWorkflowInput)} },
	} {
		w := aWorkflow("owner")
		too(&w)
		_, err := s.A.Create(t.Context(), w, aWorkflowEvent(domain.WorkflowEventStarted))
		wantKind(t, err, domain.TooLarge, "too long a %s", about)
	}
	w := aWorkflow("owner")
	w.Task, w.Input = long(domain.MaxWorkflowTask-3), map[string]any{"a": long(domain.MaxWorkflowInput - 20)}
	createFlow(t, s.A, w)
	claimFlow(t, s.A, w.ID, "runner")
	step := aStep("1", domain.WorkflowCompleted)
	step.Output, step.Input, step.Result = long(domain.MaxStepOutput), map[string]any{"a": long(domain.MaxStepInput)}, make([]byte, domain.MaxStepResult)
	c := aChange(w, step)
	c.Workflow.Output = long(domain.MaxWorkflowOutput)
	commitFlow(t, s.A, c)
	got, steps := claimFlow(t, s.B, w.ID, "runner")
	if n := len(got.Output); n > domain.MaxWorkflowOutput || n < domain.MaxWorkflowOutput-4 || !strings.HasSuffix(got.Output, "世") {
		t.Errorf("the output has %d bytes", n)
	}
	if n := len(steps[0].Output); n > domain.MaxStepOutput || n < domain.MaxStepOutput-4 {
		t.Errorf("the step's output has %d bytes", n)
	}
	if n := len(steps[0].Result); n != domain.MaxStepResult {
		t.Errorf("the result has %d bytes", n)
	}
	if steps[0].Input["a"] != nil || len(steps[0].Input) != 1 {
		t.Errorf("the step's input has %d values", len(steps[0].Input))
	}
	step.Key, step.Result = "2", make([]byte, domain.MaxStepResult+1)
	wantKind(t, s.A.Commit(t.Context(), aChange(w, step)), domain.TooLarge, "too long a result")
	step.Key, step.Result = strings.Repeat("k", 513), nil
	wantKind(t, s.A.Commit(t.Context(), aChange(w, step)), domain.TooLarge, "too long a key")
}

func workflowTimes(t *testing.T, s WorkflowSetup) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", -5*3600))
	want := time.Date(2024, 3, 1, 4, 59, 59, 999999000, time.UTC)
	w := aWorkflow("owner")
	w.CreatedAt, w.UpdatedAt = at, at
	createFlow(t, s.A, w)
	if _, _, err := s.A.Claim(t.Context(), w.ID, "runner", at, at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	step := aStep("1", domain.WorkflowCompleted)
	step.StartedAt, step.CompletedAt = at, at
	e := aWorkflowEvent(domain.WorkflowEventCompleted)
	e.At = at
	w.Status, w.CompletedAt = domain.WorkflowCompleted, at
	if err := s.A.Commit(t.Context(), domain.WorkflowChange{
		Workflow: w, Runner: "runner", Steps: []domain.WorkflowStep{step}, Events: []domain.WorkflowEvent{e},
	}); err != nil {
		t.Fatal(err)
	}
	got, steps := getFlow(t, s.B, w)
	for about, have := range map[string]time.Time{
		"created": got.CreatedAt, "updated": got.UpdatedAt, "completed": got.CompletedAt, "step started": steps[0].StartedAt,
		"step completed": steps[0].CompletedAt, "event": flowEvents(t, s.B, w)[1].At,
	} {
		if have != want { // the zone too, which Equal would not look at
			t.Errorf("%s: got %v, want %v", about, have, want)
		}
	}
}

func workflowExpire(t *testing.T, s WorkflowSetup) {
	ended := func(at time.Time) domain.Workflow {
		w := claimed(t, s)
		w.Status, w.CompletedAt = domain.WorkflowCompleted, at
		c := aChange(w, aStep("1", domain.WorkflowCompleted))
		c.Events = []domain.WorkflowEvent{aWorkflowEvent(domain.WorkflowEventCompleted)}
		commitFlow(t, s.A, c)
		return w
	}
	old, exact, open := ended(flowTime.Add(-time.Microsecond)), ended(flowTime), claimed(t, s)
	for _, want := range []int{1, 0} {
		if n, err := s.B.Expire(t.Context(), flowTime); n != want || err != nil {
			t.Errorf("Expire = %d, %v, want %d", n, err, want)
		}
	}
	_, _, err := s.A.Get(t.Context(), "owner", old.ID)
	wantKind(t, err, domain.NotFound, "what expired")
	_, _, err = s.A.Events(t.Context(), "owner", old.ID, 0, 10)
	wantKind(t, err, domain.NotFound, "events of what expired")
	for _, kept := range []domain.Workflow{exact, open} {
		getFlow(t, s.A, kept)
	}
	if n, err := s.A.Expire(t.Context(), flowTime.Add(1000*time.Hour)); n != 1 || err != nil {
		t.Errorf("Expire = %d, %v, want the other that has ended", n, err)
	}
	getFlow(t, s.A, open)
	wantPending(t, s.Outbox, 5) // what was told stays told
}

func workflowCanceled(t *testing.T, s WorkflowSetup) {
	w := claimed(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.A.Create(ctx, aWorkflow("owner"), aWorkflowEvent(domain.WorkflowEventStarted))
	wantCanceled(t, "Create", err)
	_, _, err = s.A.Get(ctx, "owner", w.ID)
	wantCanceled(t, "Get", err)
	_, _, err = s.A.List(ctx, "owner", "", 10, 0)
	wantCanceled(t, "List", err)
	_, _, err = s.A.Events(ctx, "owner", w.ID, 0, 10)
	wantCanceled(t, "Events", err)
	_, _, err = s.A.Claim(ctx, w.ID, "runner", flowTime, lease)
	wantCanceled(t, "Claim", err)
	wantCanceled(t, "Renew", s.A.Renew(ctx, w.ID, "runner", lease))
	wantCanceled(t, "Abandon", s.A.Abandon(ctx, w.ID, "runner"))
	wantCanceled(t, "Commit", s.A.Commit(ctx, aChange(w, aStep("1", domain.WorkflowRunning))))
	_, _, err = s.A.Cancel(ctx, "owner", w.ID, aWorkflowEvent(domain.WorkflowEventCancelled))
	wantCanceled(t, "Cancel", err)
	_, err = s.A.Waiting(ctx, flowTime, 10)
	wantCanceled(t, "Waiting", err)
	_, err = s.A.Expire(ctx, flowTime)
	wantCanceled(t, "Expire", err)
	if steps, events := wantWhole(t, s.A, w); steps != 0 || events != 1 {
		t.Errorf("%d steps and %d events", steps, events)
	}
	if err := s.A.Renew(t.Context(), w.ID, "runner", lease); err != nil {
		t.Error(err)
	}
}

func workflowNotShared(t *testing.T, s WorkflowSetup) {
	w := aWorkflow("owner")
	w.Agents, w.Input, w.Principal.Tools = []string{"a"}, map[string]any{"a": 1.0}, []string{"t/*"}
	made := createFlow(t, s.A, w)
	want := asKept(w)
	want.Agents, want.Input, want.Principal.Tools = []string{"a"}, map[string]any{"a": 1.0}, []string{"t/*"}
	spoil := func(w domain.Workflow) { w.Agents[0], w.Input["a"], w.Principal.Tools[0] = "x", 2.0, "x" }
	spoil(w)
	spoil(made)
	got, _ := getFlow(t, s.A, w)
	wantFlow(t, got, want)
	spoil(got)
	got, _ = getFlow(t, s.A, w)
	wantFlow(t, got, want)
	claimFlow(t, s.A, w.ID, "runner")
	step := aStep("1", domain.WorkflowCompleted)
	commitFlow(t, s.A, aChange(w, step))
	step.Input["path"], step.Result[0] = "x", 'x'
	_, steps := claimFlow(t, s.A, w.ID, "runner")
	steps[0].Input["path"], steps[0].Result[0] = "x", 'x'
	flowEvents(t, s.A, w)[0].Details["x"] = "x"
	_, steps = claimFlow(t, s.A, w.ID, "runner")
	if steps[0].Input["path"] != "1" || string(steps[0].Result) != `{"of":"1"}` || len(flowEvents(t, s.A, w)[0].Details) != 0 {
		t.Errorf("got %+v", steps[0])
	}
}

func workflowOwners(t *testing.T, s WorkflowSetup) {
	owners := []string{"service", "key:1", "KEY:1", "ü", "u\u0308", "日本語", "' OR 1=1 --", "%", " service", strings.Repeat("x", 1000)}
	for _, owner := range owners {
		w := aWorkflow(owner)
		w.Task = owner
		createFlow(t, s.A, w)
	}
	for _, owner := range owners {
		list, total, err := s.B.List(t.Context(), owner, "", 10, 0)
		if err != nil || total != 1 || len(list) != 1 || list[0].Task != owner {
			t.Errorf("owner %.40q has %d workflows, %v", owner, total, err)
		}
	}
}
