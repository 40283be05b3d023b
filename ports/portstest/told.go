package portstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ToldStores are the stores of one process whose callers say what is to be told of a change.
type ToldStores struct {
	Personas      ports.PersonaStore
	Preferences   ports.PreferenceStore
	Conversations ports.ConversationStore
	Directory     ports.ConversationDirectory
	Assets        ports.AssetStore
	Leases        ports.FileLeases
	Keys          ports.APIKeyStore
}

// ToldSetup is one database as two processes see it, where several may use it, and its outbox.
type ToldSetup struct {
	A, B   ToldStores
	Outbox ports.Outbox
}

func (s ToldSetup) either(i int) ToldStores { return []ToldStores{s.A, s.B}[i%2] }

// ToldChanges checks that a change and its events are one, and that the events of one entity have the order of its changes, whoever races.
// empty runs once for each test.
func ToldChanges(t *testing.T, empty func(*testing.T) ToldSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, ToldSetup){
		"a change and its event are stored together":           toldTogether,
		"what changes nothing is not told":                     toldNothing,
		"without its event there is no change":                 toldAtomic,
		"a conversation that a turn makes is told once":        toldBegun,
		"racing first turns tell of one conversation":          toldBegunRace,
		"events of a persona have the order of its changes":    toldPersonaRace,
		"events of choices end with the choice":                toldChoiceRace,
		"events of a conversation have the order of its turns": toldTurnRace,
		"nothing is told of a conversation after its end":      toldDeleteRace,
		"events of a key have the order of its changes":        toldKeyRace,
		"events have the trace of who made the change":         toldTraced,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

// numbered is an event that a test knows again by its number.
func numbered(n int) domain.Event {
	return domain.Event{ID: newID(), Subject: domain.SubjectPersonaUpdated, Payload: map[string]any{"n": n}}
}

// tellOf makes a function that returns the event, whatever it is about.
func tellOf[T any](e domain.Event) func(T) domain.Event { return func(T) domain.Event { return e } }

// drain takes everything out of an outbox, in order.
func drain(t *testing.T, o ports.Outbox) (all []domain.StoredEvent) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = o.Relay(t.Context(), 100, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
			all = append(all, batch.Events...)
			return len(batch.Events), "", nil
		})
		if err != nil {
			t.Fatalf("Relay: %v", err)
		}
	}
	return all
}

// whileDraining takes out of an outbox what is stored while work runs, as the relay of a process does, and what is left at the end.
func whileDraining(t *testing.T, o ports.Outbox, work func()) (all []domain.StoredEvent) {
	t.Helper()
	var (
		stop   = make(chan struct{})
		sender sync.WaitGroup
	)
	sender.Go(func() {
		for {
			_, err := o.Relay(t.Context(), 7, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
				all = append(all, batch.Events...)
				return len(batch.Events), "", nil
			})
			if err != nil {
				t.Errorf("Relay: %v", err)
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond): // not as fast as it can: the writers are who is watched
			}
		}
	})
	work()
	close(stop)
	sender.Wait()
	return append(all, drain(t, o)...)
}

// numbersOf returns what events say under a key.
func numbersOf(t *testing.T, events []domain.StoredEvent, key string) (numbers []int) {
	t.Helper()
	for _, e := range events {
		var payload map[string]any
		if err := json.Unmarshal(e.Data, &payload); err != nil {
			t.Fatal(err)
		}
		if details, ok := payload["details"].(map[string]any); ok && payload[key] == nil {
			payload = details
		}
		n, ok := payload[key].(float64)
		if !ok {
			t.Fatalf("no number %s in %s", key, e.Data)
		}
		numbers = append(numbers, int(n))
	}
	return numbers
}

// wantCounted checks that numbers are 1, 2, 3 and so on.
func wantCounted(t *testing.T, numbers []int, count int) {
	t.Helper()
	if len(numbers) != count {
		t.Errorf("%d events, want %d", len(numbers), count)
	}
	for i, n := range numbers {
		if n != i+1 {
			t.Fatalf("the order is %v", numbers)
		}
	}
}

// wantInOrder checks that an outbox has the events of one entity by their sequence numbers.
func wantInOrder(t *testing.T, o ports.Outbox, count int) {
	t.Helper()
	wantCounted(t, numbersOf(t, drain(t, o), "sequence"), count)
}

func wantEvents(t *testing.T, o ports.Outbox, about string, want ...domain.Event) {
	t.Helper()
	var got, ids []string
	for _, e := range drain(t, o) {
		got = append(got, e.ID)
	}
	for _, e := range want {
		ids = append(ids, e.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("%s: the outbox has %v, want %v", about, got, ids)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// leased gives the files of an asset their leases.
func (s ToldStores) leased(t *testing.T, a domain.Asset) domain.Asset {
	t.Helper()
	for _, key := range a.FileKeys() {
		must(t, "Lease", s.Leases.Lease(t.Context(), domain.FileLease{Key: key, Expires: assetTime.Add(time.Hour)}))
	}
	return a
}

// toldChange is a change that a caller tells about.
type toldChange struct {
	name string
	do   func(told ...domain.Event) error
}

// tellAll makes of events functions that return them.
func tellAll[T any](events []domain.Event) (tell []func(T) domain.Event) {
	for _, e := range events {
		tell = append(tell, tellOf[T](e))
	}
	return tell
}

// toldChanges are all that there are, in an order in which each finds what it needs.
func toldChanges(ctx context.Context, t *testing.T, s ToldSetup) []toldChange {
	t.Helper()
	p, c, a := aPersona("Told"), domain.Conversation{ID: newID(), Owner: "owner", Title: "t", CreatedAt: someTime, UpdatedAt: someTime}, s.A.leased(t, anAsset("told"))
	return []toldChange{
		{"create persona", func(e ...domain.Event) error { return s.A.Personas.Create(ctx, p, e...) }},
		{"update persona", func(e ...domain.Event) error {
			_, err := s.B.Personas.Update(ctx, p.ID, func(p *domain.Persona) error { p.Description = "new"; return nil }, tellAll[domain.Persona](e)...)
			return err
		}},
		{"choose", func(e ...domain.Event) error {
			return s.B.Preferences.ChoosePersona(ctx, "owner", p.ID, someTime, e...)
		}},
		{"create conversation", func(e ...domain.Event) error { return s.A.Directory.Create(ctx, c, e...) }},
		{"clear", func(e ...domain.Event) error {
			return s.B.Conversations.Clear(ctx, "owner", c.ID, tellAll[string](e)...)
		}},
		{"delete conversation", func(e ...domain.Event) error { return s.A.Directory.Delete(ctx, "owner", c.ID, e...) }},
		{"add asset", func(e ...domain.Event) error { return s.A.Assets.Add(ctx, a, e...) }},
		{"delete asset", func(e ...domain.Event) error {
			return s.B.Assets.Delete(ctx, "owner", "owner", a.ID, assetTime, tellAll[domain.Asset](e)...)
		}},
	}
}

func toldTogether(t *testing.T, s ToldSetup) {
	for i, change := range toldChanges(t.Context(), t, s) {
		one, two := numbered(2*i), numbered(2*i+1)
		must(t, change.name, change.do(one, two))
		wantEvents(t, s.Outbox, change.name, one, two)
	}
	a, seen := s.A.leased(t, anAsset("seen")), domain.Asset{}
	must(t, "Add", s.A.Assets.Add(t.Context(), a))
	must(t, "Delete", s.A.Assets.Delete(t.Context(), "other", "", a.ID, assetTime, func(deleted domain.Asset) domain.Event {
		seen = deleted
		return numbered(0)
	}))
	if seen.ID != a.ID || seen.Owner != a.Owner || seen.Category != a.Category {
		t.Errorf("told of %+v", seen)
	}
	p := aPersona("Seen")
	must(t, "Create", s.A.Personas.Create(t.Context(), p))
	var shown domain.Persona
	saved, err := s.B.Personas.Update(t.Context(), p.ID, func(p *domain.Persona) error { return p.Delete(someTime) }, func(p domain.Persona) domain.Event {
		shown = p
		return numbered(0)
	})
	must(t, "Update", err)
	wantSame(t, shown, saved)
	must(t, "CommitTurn", func() error {
		_, err := s.A.Conversations.CommitTurn(t.Context(), aTurn("default", "", "1"))
		return err
	}())
	id, err := s.A.Conversations.Default(t.Context(), "default")
	must(t, "Default", err)
	must(t, "Clear", s.B.Conversations.Clear(t.Context(), "default", "", func(cleared string) domain.Event {
		if cleared != id {
			t.Errorf("told of %s, want %s", cleared, id)
		}
		return numbered(0)
	}))
}

func toldNothing(t *testing.T, s ToldSetup) {
	ctx, e := t.Context(), numbered(1)
	p, theirs := aPersona("Taken"), domain.Conversation{ID: newID(), Owner: "other", Title: "t", CreatedAt: someTime, UpdatedAt: someTime}
	must(t, "Create", s.A.Personas.Create(ctx, p))
	must(t, "Create", s.A.Directory.Create(ctx, theirs))
	a := s.A.leased(t, anAsset("others"))
	must(t, "Add", s.A.Assets.Add(ctx, a))
	broken := errors.New("broken")
	for name, do := range map[string]func() error{
		"a taken name": func() error { return s.A.Personas.Create(ctx, aPersona("Taken"), e) },
		"an edit that fails": func() error {
			_, err := s.A.Personas.Update(ctx, p.ID, func(*domain.Persona) error { return broken }, tellOf[domain.Persona](e))
			return err
		},
		"no persona": func() error {
			_, err := s.A.Personas.Update(ctx, newID(), func(*domain.Persona) error { return nil }, tellOf[domain.Persona](e))
			return err
		},
		"no choice":              func() error { return s.A.Preferences.ChoosePersona(ctx, "owner", newID(), someTime, e) },
		"a taken id":             func() error { return s.A.Directory.Create(ctx, theirs, e) },
		"no conversation":        func() error { return s.A.Directory.Delete(ctx, "owner", newID(), e) },
		"another's conversation": func() error { return s.A.Directory.Delete(ctx, "owner", theirs.ID, e) },
		"another's is cleared":   func() error { return s.A.Conversations.Clear(ctx, "owner", theirs.ID, tellOf[string](e)) },
		"no lease":               func() error { return s.A.Assets.Add(ctx, anAsset("none"), e) },
		"no asset": func() error {
			return s.A.Assets.Delete(ctx, "owner", "owner", newID(), assetTime, tellOf[domain.Asset](e))
		},
		"another's asset": func() error { return s.A.Assets.Delete(ctx, "else", "else", a.ID, assetTime, tellOf[domain.Asset](e)) },
	} {
		if do() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, id := range []string{"", newID()} { // nobody has used it: that is no error
		must(t, "Clear", s.A.Conversations.Clear(ctx, "owner", id, tellOf[string](e)))
	}
	wantEvents(t, s.Outbox, "at the end")
}

func toldAtomic(t *testing.T, s ToldSetup) {
	bad := numbered(1)
	bad.ID = "nope"
	for _, change := range toldChanges(t.Context(), t, s) {
		if change.do(numbered(0), bad) == nil {
			t.Errorf("%s: no error", change.name)
		}
		wantEvents(t, s.Outbox, change.name)
		must(t, change.name+" after that", change.do())
	}
	turn := aTurn("owner", "", "1")
	turn.Begun = &bad
	if _, err := s.A.Conversations.CommitTurn(t.Context(), turn); err == nil {
		t.Error("a turn: no error")
	}
	if id, err := s.B.Conversations.Default(t.Context(), "owner"); id != "" || err != nil {
		t.Errorf("the turn left %q, %v", id, err)
	}
	wantEvents(t, s.Outbox, "at the end")
}

func toldTraced(t *testing.T, s ToldSetup) {
	traced := func(n int) context.Context { return domain.WithTrace(t.Context(), aTrace(n)) }
	for i, change := range toldChanges(traced(1), t, s) {
		must(t, change.name, change.do(numbered(2*i), numbered(2*i+1)))
		wantTraces(t, s.Outbox, change.name, aTrace(1), aTrace(1))
	}
	for i, id := range []string{"", newID()} {
		turn := beginning("tracer", id, 1)
		turn.Events = append(turn.Events, numbered(2), numbered(3))
		_, err := s.either(i).Conversations.CommitTurn(traced(2), turn)
		must(t, "CommitTurn", err)
		wantTraces(t, s.Outbox, "a turn that makes its conversation", aTrace(2), aTrace(2), aTrace(2), aTrace(2))
	}
	k := anAPIKey("tracer")
	must(t, "Create", s.A.Keys.Create(traced(3), k, aHash(), keyEntry(domain.AuditKeyCreated, k.ID)))
	_, _, err := s.B.Keys.Revoke(traced(4), "tracer", k.ID, keyEntry(domain.AuditKeyRevoked, k.ID))
	must(t, "Revoke", err)
	wantTraces(t, s.Outbox, "a key", aTrace(3), aTrace(4))

	const racers = 8 // what one transaction writes for several callers is not of one trace
	for _, err := range together(racers, func(n int) error {
		turn := beginning("racer-"+strconv.Itoa(n), "", n)
		_, err := s.either(n).Conversations.CommitTurn(traced(n), turn)
		return err
	}) {
		must(t, "CommitTurn", err)
	}
	events := drain(t, s.Outbox)
	for i, n := range numbersOf(t, events, "n") {
		if events[i].Trace != aTrace(n) {
			t.Errorf("event %d has the trace %q", n, events[i].Trace)
		}
	}
	if len(events) != 2*racers {
		t.Errorf("%d events", len(events))
	}
}

// beginning is a turn that tells of the conversation that it makes, and of itself.
func beginning(owner, conversationID string, n int) domain.Turn {
	turn := aTurn(owner, conversationID, strconv.Itoa(n))
	begun := numbered(n)
	begun.Subject = domain.SubjectConversationCreated
	turn.Begun, turn.Events = &begun, []domain.Event{numbered(n)}
	return turn
}

func toldBegun(t *testing.T, s ToldSetup) {
	named := newID()
	for i, id := range []string{"", named} {
		first, second, third := beginning("owner", id, 1), beginning("owner", id, 2), beginning("owner", id, 3)
		appendTurn(t, s.either(i).Conversations, first)
		wantEvents(t, s.Outbox, "a first turn", *first.Begun, first.Events[0])
		appendTurn(t, s.either(i+1).Conversations, second)
		wantEvents(t, s.Outbox, "a second turn", second.Events[0])
		must(t, "Clear", s.A.Conversations.Clear(t.Context(), "owner", id))
		appendTurn(t, s.either(i).Conversations, third)
		wantEvents(t, s.Outbox, "a turn after it was cleared", third.Events[0])
	}
	there := domain.Conversation{ID: newID(), Owner: "owner", Title: "t", CreatedAt: someTime, UpdatedAt: someTime}
	must(t, "Create", s.A.Directory.Create(t.Context(), there))
	turn := beginning("owner", there.ID, 1)
	appendTurn(t, s.B.Conversations, turn)
	wantEvents(t, s.Outbox, "a turn in one that was made before", turn.Events[0])
	aside := beginning("owner", "", 1)
	aside.Unstored = true
	appendTurn(t, s.A.Conversations, aside)
	wantEvents(t, s.Outbox, "a turn aside", aside.Events[0])
	stolen := beginning("other", named, 1)
	if _, err := s.A.Conversations.CommitTurn(t.Context(), stolen); domain.KindOf(err) != domain.NotFound {
		t.Errorf("a turn in another's: %v", err)
	}
	wantEvents(t, s.Outbox, "a turn in another's")
}

func toldBegunRace(t *testing.T, s ToldSetup) {
	for round, id := range []string{"", newID(), "", newID()} {
		owner := fmt.Sprint("owner ", round)
		for _, err := range inParallel(8, func(i int) error {
			_, err := s.either(i).Conversations.CommitTurn(t.Context(), beginning(owner, id, i))
			return err
		}) {
			must(t, "CommitTurn", err)
		}
		events := drain(t, s.Outbox)
		begun := 0
		for _, e := range events {
			if e.Subject == domain.SubjectConversationCreated {
				begun++
			}
		}
		if begun != 1 || len(events) != 9 || events[0].Subject != domain.SubjectConversationCreated {
			t.Errorf("%d of %d events tell of a new conversation, the first is %s", begun, len(events), events[0].Subject)
		}
	}
}

func toldPersonaRace(t *testing.T, s ToldSetup) {
	const racers, each = 8, 10
	p := aPersona("Race")
	p.Description = "0"
	must(t, "Create", s.A.Personas.Create(t.Context(), p))
	events := whileDraining(t, s.Outbox, func() {
		for _, err := range inParallel(racers, func(i int) error {
			for range each {
				_, err := s.either(i).Personas.Update(t.Context(), p.ID, func(p *domain.Persona) error {
					n, err := strconv.Atoi(p.Description)
					p.Description = strconv.Itoa(n + 1)
					return err
				}, func(p domain.Persona) domain.Event {
					n, _ := strconv.Atoi(p.Description)
					return numbered(n)
				})
				if err != nil {
					return err
				}
			}
			return nil
		}) {
			if err != nil {
				t.Error(err)
			}
		}
	})
	wantCounted(t, numbersOf(t, events, "n"), racers*each)
}

func toldChoiceRace(t *testing.T, s ToldSetup) {
	const racers, rounds = 8, 10
	ids := make([]string, racers)
	for i := range ids {
		p := aPersona(fmt.Sprint("Choice ", i))
		must(t, "Create", s.A.Personas.Create(t.Context(), p))
		ids[i] = p.ID
	}
	for range rounds {
		for _, err := range inParallel(racers, func(i int) error {
			return s.either(i).Preferences.ChoosePersona(t.Context(), "owner", ids[i], someTime, numbered(i))
		}) {
			must(t, "ChoosePersona", err)
		}
		told := numbersOf(t, drain(t, s.Outbox), "n")
		chosen, err := s.A.Preferences.ChosenPersona(t.Context(), "owner")
		must(t, "ChosenPersona", err)
		if len(told) != racers || ids[told[racers-1]] != chosen {
			t.Fatalf("told of %v, chosen is %d", told, slices.Index(ids, chosen))
		}
	}
}

func toldTurnRace(t *testing.T, s ToldSetup) {
	const racers, each = 8, 10
	for _, id := range []string{"", newID()} {
		events := whileDraining(t, s.Outbox, func() {
			for _, err := range inParallel(racers, func(i int) error {
				for n := range each {
					turn := aTurn("owner", id, strconv.Itoa(i*each+n))
					turn.Events = []domain.Event{numbered(i*each + n)}
					if _, err := s.either(i).Conversations.CommitTurn(t.Context(), turn); err != nil {
						return err
					}
				}
				return nil
			}) {
				if err != nil {
					t.Error(err)
				}
			}
		})
		told := numbersOf(t, events, "n")
		var said []int
		for _, m := range history(t, s.A.Conversations, "owner", id, 0) {
			if m.Role == domain.RoleUser {
				n, err := strconv.Atoi(m.Content)
				must(t, "a question", err)
				said = append(said, n)
			}
		}
		if len(said) != racers*each || !slices.Equal(told, said) {
			t.Errorf("told of\n%v, said was\n%v", told, said)
		}
	}
}

// toldDeleteRace lets turns and clears race with the end of their conversation. Those that come later make it anew, and say so.
func toldDeleteRace(t *testing.T, s ToldSetup) {
	for range 5 {
		id := newID()
		appendTurn(t, s.A.Conversations, aTurn("owner", id, "0"))
		events := whileDraining(t, s.Outbox, func() {
			for _, err := range inParallel(9, func(i int) error {
				e := numbered(i)
				switch i % 3 {
				case 0:
					e.Subject = domain.SubjectConversationDeleted
					if err := s.either(i).Directory.Delete(t.Context(), "owner", id, e); domain.KindOf(err) != domain.NotFound {
						return err
					}
					return nil
				case 1:
					e.Subject = domain.SubjectConversationCleared
					return s.either(i).Conversations.Clear(t.Context(), "owner", id, tellOf[string](e))
				default:
					_, err := s.either(i).Conversations.CommitTurn(t.Context(), beginning("owner", id, i))
					return err
				}
			}) {
				if err != nil {
					t.Error(err)
				}
			}
		})
		there := true
		var subjects []string
		for _, e := range events {
			subjects = append(subjects, e.Subject)
			switch made := e.Subject == domain.SubjectConversationCreated; {
			case made == there:
				t.Fatalf("told of a conversation that was there: %v, %q", there, subjects)
			case made:
				there = true
			case e.Subject == domain.SubjectConversationDeleted:
				there = false
			}
		}
		must(t, "Delete", func() error {
			if !there {
				return nil
			}
			return s.A.Directory.Delete(t.Context(), "owner", id)
		}())
	}
}

// toldKeyRace replaces a key and revokes it at the same time.
func toldKeyRace(t *testing.T, s ToldSetup) {
	for range 10 {
		k := anAPIKey("owner")
		created := keyEntry(domain.AuditKeyCreated, k.ID)
		must(t, "Create", s.A.Keys.Create(t.Context(), k, aHash(), created))
		replaced, revoked := keyEntry(domain.AuditKeyRevoked, k.ID), keyEntry(domain.AuditKeyRevoked, k.ID)
		next := anAPIKey("owner")
		errs := inParallel(2, func(i int) error {
			if i == 0 {
				_, _, err := s.A.Keys.Rotate(t.Context(), "owner", k.ID, keyTime.Add(time.Hour), keyTime, next, aHash(), replaced)
				return err
			}
			_, _, err := s.B.Keys.Revoke(t.Context(), "owner", k.ID, revoked)
			return err
		})
		must(t, "Revoke", errs[1])
		want := []domain.Event{{ID: created.ID}, {ID: replaced.ID}, {ID: revoked.ID}}
		if errs[0] != nil { // it was revoked before
			want = slices.Delete(want, 1, 2)
		}
		wantEvents(t, s.Outbox, fmt.Sprint("replacing: ", errs[0]), want...)
	}
}
