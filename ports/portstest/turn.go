package portstest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// TurnSetup is one database with all stores that a turn is written to.
type TurnSetup struct {
	Conversations ports.ConversationStore
	Ledger        ports.Ledger
	Budgets       ports.BudgetStore
	Answers       ports.AnswerStore
	Outbox        ports.Outbox
}

// Turns checks that ports.ConversationStore.CommitTurn saves all that a turn leaves behind, or nothing. empty runs once for each test.
func Turns(t *testing.T, empty func(*testing.T) TurnSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, TurnSetup){
		"everything of a turn is saved":                        turnWhole,
		"an unstored turn saves everything but messages":       turnUnstored,
		"an unstored turn makes no conversation":               turnUnstoredNothing,
		"events keep their order, however many":                turnManyEvents,
		"a turn without a claim saves nothing":                 turnClaimLost,
		"a turn whose answer is there saves nothing":           turnAnsweredTwice,
		"a turn to someone else's conversation saves nothing":  turnOfOther,
		"a turn whose message is there saves nothing":          turnTwice,
		"a turn with a malformed part saves nothing":           turnMalformed,
		"a record that is there stays and is not paid twice":   turnUsageTwice,
		"racing turns are each saved once, and add up":         turnRace,
		"racing turns that fail take no other with them":       turnRaceWithFailures,
		"of racing turns with one claim one is saved":          turnClaimRace,
		"a caller who left while others commit saves nothing":  turnCanceled,
		"the day of the record is the day that pays":           turnOverMidnight,
		"an answer comes back with its persona, source, calls": turnMessage,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

const turnBudget domain.Money = 1_000_000

// aWholeTurn is a turn with everything, its reservation and claim included.
func aWholeTurn(t *testing.T, s TurnSetup, owner, question string) domain.Turn {
	t.Helper()
	turn := aTurn(owner, "", question)
	record := usedAt(turn.At)
	record.Owner = owner
	turn.Usage = []domain.UsageRecord{record}
	turn.Events = []domain.Event{anEvent(1), anEvent(2)}
	turn.ReservationID, turn.ReservedAt = newID(), turn.At
	err := s.Budgets.Reserve(t.Context(), domain.Reservation{
		ID: turn.ReservationID, Owner: owner, At: turn.At, Amount: 100, Limit: turnBudget, Lease: budgetLease,
	})
	if err != nil {
		t.Fatal(err)
	}
	claim := domain.Claim{
		Owner: owner, Key: question, Fingerprint: "f", RunID: newID(), At: turn.At, LeaseUntil: turn.At.Add(time.Hour),
	}
	if result, err := s.Answers.Claim(t.Context(), claim); err != nil || !result.Won {
		t.Fatal(result, err)
	}
	turn.Kept = &domain.KeptAnswer{Key: claim.Key, RunID: claim.RunID, Data: []byte(`{"answer":"to ` + question + `"}`)}
	return turn
}

// wantSpent checks what is left of a budget. Nothing may be set aside any more.
func wantSpent(t *testing.T, s TurnSetup, owner string, at time.Time, want domain.Money) {
	t.Helper()
	left := domain.Reservation{
		ID: newID(), Owner: owner, At: at, Amount: turnBudget - want + 1, Limit: turnBudget, Lease: budgetLease,
	}
	if err := s.Budgets.Reserve(t.Context(), left); domain.KindOf(err) != domain.PaymentRequired {
		t.Errorf("%s has spent less than %d: %v", owner, want, err)
	}
	left.Amount--
	if err := s.Budgets.Reserve(t.Context(), left); err != nil {
		t.Errorf("%s has spent more than %d: %v", owner, want, err)
	}
	if err := s.Budgets.Release(t.Context(), left.ID); err != nil {
		t.Error(err)
	}
}

func wantKept(t *testing.T, s TurnSetup, turn domain.Turn, want string) {
	t.Helper()
	got, err := s.Answers.Look(t.Context(), turn.Owner, turn.Kept.Key, turn.At)
	if err != nil || string(got.Answer) != want {
		t.Errorf("kept answer: got %q, %v, want %q", got.Answer, err, want)
	}
}

// wantNothing checks that a turn of an owner with nothing else left no trace, and that its reservation still holds.
func wantNothing(t *testing.T, s TurnSetup, turn domain.Turn) {
	t.Helper()
	wantCount(t, s.Conversations, turn.Owner, "", 0)
	wantRecords(t, recentUsage(t, s.Ledger, turn.Owner, turn.At, 10))
	wantPending(t, s.Outbox, 0)
	if turn.ReservationID == "" {
		return
	}
	wantSpent(t, s, turn.Owner, turn.At, 100)
	if err := s.Budgets.Release(t.Context(), turn.ReservationID); err != nil {
		t.Fatal(err)
	}
	wantSpent(t, s, turn.Owner, turn.At, 0)
}

func turnWhole(t *testing.T, s TurnSetup) {
	turn := aWholeTurn(t, s, "owner", "1")
	appendTurn(t, s.Conversations, turn)
	wantMessages(t, history(t, s.Conversations, "owner", "", 0), turn.User, turn.Assistant)
	wantRecords(t, recentUsage(t, s.Ledger, "owner", turn.At, 10), turn.Usage...)
	wantSpent(t, s, "owner", turn.At, turn.Usage[0].Cost)
	wantKept(t, s, turn, `{"answer":"to 1"}`)
	wantSent(t, s, turn.Events...)
}

// wantSent takes everything out of the outbox.
func wantSent(t *testing.T, s TurnSetup, want ...domain.Event) {
	t.Helper()
	var got, ids []string
	var out sink
	relay(t, s.Outbox, 1000, len(want), out.send)
	got = append(got, out.ids...)
	for _, e := range want {
		ids = append(ids, e.ID)
	}
	wantIDs(t, got, ids)
}

func turnUnstored(t *testing.T, s TurnSetup) {
	turn := aWholeTurn(t, s, "owner", "1")
	turn.Unstored = true
	if id := appendTurn(t, s.Conversations, turn); id != "" {
		t.Errorf("an unstored turn went into conversation %q", id)
	}
	wantCount(t, s.Conversations, "owner", "", 0)
	wantRecords(t, recentUsage(t, s.Ledger, "owner", turn.At, 10), turn.Usage...)
	wantSpent(t, s, "owner", turn.At, turn.Usage[0].Cost)
	wantKept(t, s, turn, `{"answer":"to 1"}`)
	wantSent(t, s, turn.Events...)
}

func turnUnstoredNothing(t *testing.T, s TurnSetup) {
	id := newID()
	if got := appendTurn(t, s.Conversations, domain.Turn{Owner: "owner", At: someTime, Unstored: true, ConversationID: id}); got != "" {
		t.Errorf("got conversation %q", got)
	}
	appendTurn(t, s.Conversations, aTurn("someone else", id, "1")) // it is still nobody's
}

func turnManyEvents(t *testing.T, s TurnSetup) {
	var all []domain.Event
	for n := range 6 {
		turn := aTurn("owner", "", fmt.Sprint(n))
		for i := range n {
			turn.Events = append(turn.Events, anEvent(i))
		}
		all = append(all, turn.Events...)
		appendTurn(t, s.Conversations, turn)
	}
	wantSent(t, s, all...)
}

func turnClaimLost(t *testing.T, s TurnSetup) {
	turn := aWholeTurn(t, s, "owner", "1")
	other := *turn.Kept
	other.RunID = newID()
	turn.Kept = &other
	_, err := s.Conversations.CommitTurn(t.Context(), turn)
	wantKind(t, err, domain.Conflict, "CommitTurn of a run without the claim")
	other.Key = "nobody's"
	_, err = s.Conversations.CommitTurn(t.Context(), turn)
	wantKind(t, err, domain.Conflict, "CommitTurn of a key that nobody has")
	wantNothing(t, s, turn)
}

func turnAnsweredTwice(t *testing.T, s TurnSetup) {
	turn := aWholeTurn(t, s, "owner", "1")
	first := domain.Turn{Owner: "owner", At: turn.At, Unstored: true, Kept: turn.Kept}
	appendTurn(t, s.Conversations, first)
	second := *turn.Kept
	second.Data = []byte(`{"answer":"another"}`)
	turn.Kept = &second
	_, err := s.Conversations.CommitTurn(t.Context(), turn)
	wantKind(t, err, domain.Conflict, "CommitTurn of an answered key")
	wantKept(t, s, turn, `{"answer":"to 1"}`)
	wantNothing(t, s, turn)
}

func turnOfOther(t *testing.T, s TurnSetup) {
	taken := appendTurn(t, s.Conversations, aTurn("alice", "", "1"))
	turn := aWholeTurn(t, s, "bob", "2")
	turn.ConversationID = taken
	_, err := s.Conversations.CommitTurn(t.Context(), turn)
	wantKind(t, err, domain.NotFound, "CommitTurn to someone else's conversation")
	wantKept(t, s, turn, "")
	wantNothing(t, s, turn)
	wantCount(t, s.Conversations, "alice", "", 2)
}

func turnTwice(t *testing.T, s TurnSetup) {
	taken := aTurn("alice", "", "1")
	appendTurn(t, s.Conversations, taken)
	turn := aWholeTurn(t, s, "bob", "2")
	turn.Assistant.ID = taken.Assistant.ID
	_, err := s.Conversations.CommitTurn(t.Context(), turn)
	wantKind(t, err, domain.Conflict, "CommitTurn of a message that is there")
	wantKept(t, s, turn, "")
	wantNothing(t, s, turn)
}

func turnMalformed(t *testing.T, s TurnSetup) {
	for name, spoil := range map[string]func(*domain.Turn){
		"question": func(turn *domain.Turn) { turn.User.ID = "x" },
		"answer":   func(turn *domain.Turn) { turn.Assistant.ID = "x" },
		"record":   func(turn *domain.Turn) { turn.Usage[0].RequestID = "x" },
		"event":    func(turn *domain.Turn) { turn.Events[1].ID = "x" },
		"payload":  func(turn *domain.Turn) { turn.Events[1].Payload = func() {} },
	} {
		turn := aWholeTurn(t, s, name, name)
		spoil(&turn)
		if _, err := s.Conversations.CommitTurn(t.Context(), turn); err == nil {
			t.Errorf("a turn with a malformed %s was saved", name)
		}
		wantKept(t, s, turn, "")
		wantNothing(t, s, turn)
	}
}

func turnUsageTwice(t *testing.T, s TurnSetup) {
	first, second := aWholeTurn(t, s, "owner", "1"), aWholeTurn(t, s, "owner", "2")
	fresh := usedAt(second.At)
	fresh.Owner, fresh.Cost = "owner", 30
	claimed := usedAt(second.At)
	claimed.Owner, claimed.Claimed, claimed.Cost = "owner", true, 5000
	again := first.Usage[0]
	again.Cost, again.Model = 900, "another"
	second.Usage = []domain.UsageRecord{again, fresh, claimed}
	appendTurn(t, s.Conversations, first)
	appendTurn(t, s.Conversations, second)
	wantSpent(t, s, "owner", first.At, first.Usage[0].Cost+30)
	got := recentUsage(t, s.Ledger, "owner", first.At, 10)
	if len(got) != 2 { // the claimed one is not among them
		t.Fatalf("the ledger has %v", got)
	}
	for _, r := range got {
		if r.Model == "another" {
			t.Errorf("a record was changed to %+v", r)
		}
	}
}

func turnRace(t *testing.T, s TurnSetup) {
	const racers = 24
	turns := make([]domain.Turn, racers)
	for i := range turns {
		turns[i] = aWholeTurn(t, s, "owner", fmt.Sprint(i))
	}
	for _, err := range inParallel(racers, func(i int) error {
		_, err := s.Conversations.CommitTurn(t.Context(), turns[i])
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	wantCount(t, s.Conversations, "owner", "", 2*racers)
	wantSpent(t, s, "owner", someTime, racers*turns[0].Usage[0].Cost)
	wantPending(t, s.Outbox, 2*racers)
	wantWholeTurns(t, history(t, s.Conversations, "owner", "", 0), racers)
	for _, turn := range turns {
		wantKept(t, s, turn, `{"answer":"to `+turn.User.Content+`"}`)
	}
}

// wantWholeTurns checks that each question stands before its answer, and that none is there twice.
func wantWholeTurns(t *testing.T, messages []domain.Message, turns int) {
	t.Helper()
	seen := map[string]bool{}
	for i := 0; i+1 < len(messages); i += 2 {
		question, answer := messages[i].Content, messages[i+1].Content
		if answer != "answer "+question || seen[question] {
			t.Errorf("%q is followed by %q", question, answer)
		}
		seen[question] = true
	}
	if len(seen) != turns || len(messages) != 2*turns {
		t.Errorf("%d messages of %d turns, want %d turns", len(messages), len(seen), turns)
	}
}

func turnRaceWithFailures(t *testing.T, s TurnSetup) {
	const racers = 24
	foreign := appendTurn(t, s.Conversations, aTurn("someone else", "", "0"))
	turns := make([]domain.Turn, racers)
	for i := range turns {
		turns[i] = aWholeTurn(t, s, "owner", fmt.Sprint(i))
		switch i % 6 {
		case 1:
			turns[i].ConversationID = foreign
		case 3:
			turns[i].Assistant.ID = turns[i].User.ID
		case 5:
			turns[i].Kept.RunID = newID()
		}
	}
	errs := inParallel(racers, func(i int) error {
		_, err := s.Conversations.CommitTurn(t.Context(), turns[i])
		return err
	})
	wanted := map[int]domain.Kind{1: domain.NotFound, 3: domain.Conflict, 5: domain.Conflict}
	for i, err := range errs {
		kind, fails := wanted[i%6]
		if fails {
			wantKind(t, err, kind, "turn %d", i)
			if err := s.Budgets.Release(t.Context(), turns[i].ReservationID); err != nil {
				t.Error(err)
			}
		} else if err != nil {
			t.Errorf("turn %d: %v", i, err)
		}
	}
	const saved = racers / 2
	wantWholeTurns(t, history(t, s.Conversations, "owner", "", 0), saved)
	wantCount(t, s.Conversations, "owner", "", 2*saved)
	wantCount(t, s.Conversations, "someone else", "", 2)
	wantSpent(t, s, "owner", someTime, saved*turns[0].Usage[0].Cost)
	wantPending(t, s.Outbox, 2*saved)
	if got := recentUsage(t, s.Ledger, "owner", someTime, 100); len(got) != saved {
		t.Errorf("the ledger has %d records, want %d", len(got), saved)
	}
}

func turnClaimRace(t *testing.T, s TurnSetup) {
	const racers = 8
	claimed := aWholeTurn(t, s, "owner", "1")
	saved := 0
	for i, err := range inParallel(racers, func(i int) error {
		turn := aTurn("owner", "", fmt.Sprint(i))
		turn.Kept = claimed.Kept
		_, err := s.Conversations.CommitTurn(t.Context(), turn)
		return err
	}) {
		if err == nil {
			saved++
			continue
		}
		wantKind(t, err, domain.Conflict, "turn %d", i)
	}
	if saved != 1 {
		t.Errorf("%d turns with one claim were saved", saved)
	}
	wantCount(t, s.Conversations, "owner", "", 2)
}

func turnCanceled(t *testing.T, s TurnSetup) {
	const racers = 24
	turns := make([]domain.Turn, racers)
	for i := range turns {
		turns[i] = aWholeTurn(t, s, "owner", fmt.Sprint(i))
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	saved := 0
	for i, err := range inParallel(racers, func(i int) error {
		ctx := t.Context()
		if i%2 == 1 {
			ctx = gone
		}
		_, err := s.Conversations.CommitTurn(ctx, turns[i])
		return err
	}) {
		if i%2 == 1 {
			wantCanceled(t, "CommitTurn", err)
		} else if err != nil {
			t.Error(err)
		} else {
			saved++
		}
	}
	wantWholeTurns(t, history(t, s.Conversations, "owner", "", 0), saved)
	wantPending(t, s.Outbox, 2*saved)
}

func turnOverMidnight(t *testing.T, s TurnSetup) {
	late := time.Date(2001, 2, 3, 23, 59, 59, 0, time.UTC)
	reservation := domain.Reservation{
		ID: newID(), Owner: "owner", At: late, Amount: 100, Limit: turnBudget, Lease: budgetLease,
	}
	if err := s.Budgets.Reserve(t.Context(), reservation); err != nil {
		t.Fatal(err)
	}
	turn := aTurn("owner", "", "1")
	turn.At, turn.ReservedAt = late.Add(time.Minute), late
	wantSpent(t, s, "owner", turn.At, 100) // the new day begins, and what still runs may be spent in it
	record := usedAt(turn.At)
	record.Owner, record.Cost = "owner", 40
	turn.Usage, turn.ReservationID = []domain.UsageRecord{record}, reservation.ID
	appendTurn(t, s.Conversations, turn)
	wantSpent(t, s, "owner", late, 0)
	wantSpent(t, s, "owner", turn.At, 40)
}

func turnMessage(t *testing.T, s TurnSetup) {
	turn := aTurn("owner", "", "1")
	turn.Assistant.PersonaID, turn.Assistant.UsageSource = newID(), domain.UsagePartial
	turn.Assistant.ToolCalls = []domain.ToolCall{
		{ID: "call_1", Name: "look", Arguments: `{"b": 1,  "a": "世界 \" \\"}`}, {ID: "call_2", Name: "broken", Arguments: `{"a`}, {ID: "call_3", Name: "none"},
	}
	appendTurn(t, s.Conversations, turn)
	got := history(t, s.Conversations, "owner", "", 0)
	if len(got) != 2 || !reflect.DeepEqual(got[1], turn.Assistant) {
		t.Errorf("got  %+v\nwant %+v", got, turn.Assistant)
	}
}
