package portstest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// ConversationStore checks everything that ports.ConversationStore demands, except how a store that is away behaves: only its
// adapter can bring that about. empty makes a store without conversations and runs once for each test.
func ConversationStore(t *testing.T, empty func(*testing.T) ports.ConversationStore) {
	t.Helper()
	tests := map[string]func(*testing.T, ports.ConversationStore){
		"gives back what was appended":                             conversationRoundTrip,
		"a default that nobody used is empty":                      conversationUnusedDefault,
		"an id that nobody used is empty":                          conversationUnusedID,
		"a malformed id is NotFound":                               conversationMalformedID,
		"a conversation of another owner is NotFound":              conversationOfOther,
		"turns without an id share one default":                    conversationDefaultIsOne,
		"owners have defaults of their own":                        conversationDefaultsApart,
		"Default is the id of the default, or empty":               conversationDefault,
		"an id given is the id kept":                               conversationKeepsID,
		"the default can be named by its id":                       conversationDefaultByID,
		"History returns the last messages, oldest first":          conversationLimit,
		"order is the order of appending, whatever the times":      conversationOrder,
		"racing first turns make one default":                      conversationRacingFirst,
		"racing turns stay together and in order":                  conversationRacingTurns,
		"a turn that can't be saved whole leaves nothing":          conversationAtomic,
		"a failed first turn leaves no conversation of its id":     conversationAtomicFirst,
		"Clear empties one conversation only":                      conversationClear,
		"Clear keeps the conversation's id":                        conversationClearKeepsID,
		"Clear of what is empty is no error":                       conversationClearEmpty,
		"text is saved as it is or refused":                        conversationOddText,
		"a caller who left is told so and nothing is saved":        conversationCanceled,
		"callers share nothing with the store":                     conversationNotShared,
		"times come back in UTC with microseconds":                 conversationTimes,
		"long conversations count and come back in whole":          conversationLong,
		"owners may be any text and are compared letter by letter": conversationOwners,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func conversationRoundTrip(t *testing.T, s ports.ConversationStore) {
	turn := aTurn("owner", "", "1")
	turn.User.Content, turn.Assistant.Content = "Grüße, 世界 🌍 'quoted' $1", "" // an answer may be empty when it was cut off
	turn.Assistant.Tokens = 1234
	if id := appendTurn(t, s, turn); id != turn.NewID {
		t.Errorf("got id %s, want the new one %s", id, turn.NewID)
	}
	wantMessages(t, history(t, s, "owner", "", 0), turn.User, turn.Assistant)
	wantCount(t, s, "owner", "", 2)
}

func conversationUnusedDefault(t *testing.T, s ports.ConversationStore) {
	wantMessages(t, history(t, s, "owner", "", 10))
	wantCount(t, s, "owner", "", 0)
}

func conversationDefault(t *testing.T, s ports.ConversationStore) {
	wantDefault := func(owner, want string) {
		t.Helper()
		if id, err := s.Default(t.Context(), owner); err != nil || id != want {
			t.Errorf("the default of %s is %q, %v; want %q", owner, id, err, want)
		}
	}
	wantDefault("owner", "")
	appendTurn(t, s, aTurn("owner", newID(), "1")) // no default
	wantDefault("owner", "")
	id := appendTurn(t, s, aTurn("owner", "", "2"))
	wantDefault("owner", id)
	wantDefault("other", "")
}

func conversationUnusedID(t *testing.T, s ports.ConversationStore) {
	id := newID()
	wantMessages(t, history(t, s, "owner", id, 10))
	wantCount(t, s, "owner", id, 0)
	// Having asked doesn't make it anyone's.
	appendTurn(t, s, aTurn("someone else", id, "1"))
}

func conversationMalformedID(t *testing.T, s ports.ConversationStore) {
	for _, id := range malformedIDs {
		if id != "" { // means the default conversation
			wantNoConversation(t, s, "owner", id)
		}
	}
}

func conversationOfOther(t *testing.T, s ports.ConversationStore) {
	turn := aTurn("alice", newID(), "1")
	appendTurn(t, s, turn)
	own := appendTurn(t, s, aTurn("alice", "", "2"))
	for _, id := range []string{turn.ConversationID, own, strings.ToUpper(turn.ConversationID)} {
		wantNoConversation(t, s, "bob", id)
	}
	wantMessages(t, history(t, s, "alice", turn.ConversationID, 0), turn.User, turn.Assistant)
	wantCount(t, s, "alice", own, 2)
	wantCount(t, s, "bob", "", 0)
}

// wantNoConversation checks all four operations.
func wantNoConversation(t *testing.T, s ports.ConversationStore, owner, id string) {
	t.Helper()
	_, _, err := s.History(t.Context(), owner, id, 0)
	wantKind(t, err, domain.NotFound, "History of %.40q", id)
	_, err = s.Count(t.Context(), owner, id)
	wantKind(t, err, domain.NotFound, "Count of %.40q", id)
	_, err = s.CommitTurn(t.Context(), aTurn(owner, id, "never"))
	wantKind(t, err, domain.NotFound, "CommitTurn to %.40q", id)
	wantKind(t, s.Clear(t.Context(), owner, id), domain.NotFound, "Clear of %.40q", id)
}

func conversationDefaultIsOne(t *testing.T, s ports.ConversationStore) {
	first, second := aTurn("owner", "", "1"), aTurn("owner", "", "2")
	id := appendTurn(t, s, first)
	if again := appendTurn(t, s, second); again != id {
		t.Errorf("the second turn went to %s, the first to %s", again, id)
	}
	wantMessages(t, history(t, s, "owner", "", 0), first.User, first.Assistant, second.User, second.Assistant)
}

func conversationDefaultsApart(t *testing.T, s ports.ConversationStore) {
	a, b := aTurn("alice", "", "a"), aTurn("bob", "", "b")
	if appendTurn(t, s, a) == appendTurn(t, s, b) {
		t.Error("two owners share a default conversation")
	}
	wantMessages(t, history(t, s, "alice", "", 0), a.User, a.Assistant)
	wantMessages(t, history(t, s, "bob", "", 0), b.User, b.Assistant)
}

func conversationKeepsID(t *testing.T, s ports.ConversationStore) {
	id := newID()
	first, second := aTurn("owner", strings.ToUpper(id), "1"), aTurn("owner", id, "2")
	for _, turn := range []domain.Turn{first, second} {
		if got := appendTurn(t, s, turn); got != id {
			t.Errorf("got id %s, want %s", got, id)
		}
	}
	wantMessages(t, history(t, s, "owner", id, 0), first.User, first.Assistant, second.User, second.Assistant)
	wantCount(t, s, "owner", "", 0)
}

func conversationDefaultByID(t *testing.T, s ports.ConversationStore) {
	first := aTurn("owner", "", "1")
	id := appendTurn(t, s, first)
	second := aTurn("owner", id, "2")
	appendTurn(t, s, second)
	for _, name := range []string{"", id} {
		wantMessages(t, history(t, s, "owner", name, 0), first.User, first.Assistant, second.User, second.Assistant)
		wantCount(t, s, "owner", name, 4)
	}
}

func conversationLimit(t *testing.T, s ports.ConversationStore) {
	var all []domain.Message
	for i := range 4 {
		turn := aTurn("owner", "", fmt.Sprint(i))
		appendTurn(t, s, turn)
		all = append(all, turn.User, turn.Assistant)
	}
	for _, limit := range []int{1, 2, 3, 7, 8, 9, domain.MaxHistory, 1 << 40} {
		wantMessages(t, history(t, s, "owner", "", limit), all[max(0, len(all)-limit):]...)
	}
	wantMessages(t, history(t, s, "owner", "", 0), all...)
}

func conversationOrder(t *testing.T, s ports.ConversationStore) {
	var want []domain.Message
	for i := range 3 {
		turn := aTurn("owner", "", fmt.Sprint(i))
		at := someTime.Add(-time.Duration(i) * time.Hour) // a clock that goes back
		turn.At, turn.User.CreatedAt, turn.Assistant.CreatedAt = at, at, at
		appendTurn(t, s, turn)
		want = append(want, turn.User, turn.Assistant)
	}
	wantMessages(t, history(t, s, "owner", "", 0), want...)
}

func conversationRacingFirst(t *testing.T, s ports.ConversationStore) {
	const racers = 8
	ids := make([]string, racers)
	for _, err := range inParallel(racers, func(i int) (err error) {
		ids[i], err = s.CommitTurn(t.Context(), aTurn("owner", "", fmt.Sprint(i)))
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("the turns went to several conversations: %v", ids)
		}
	}
	wantCount(t, s, "owner", "", 2*racers)
	wantCount(t, s, "owner", ids[0], 2*racers)
}

func conversationRacingTurns(t *testing.T, s ports.ConversationStore) {
	const racers, each = 4, 5
	id := newID()
	for _, err := range inParallel(racers, func(racer int) error {
		for i := range each {
			if _, err := s.CommitTurn(t.Context(), aTurn("owner", id, fmt.Sprintf("%d-%d", racer, i))); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	messages := history(t, s, "owner", id, 0)
	if len(messages) != 2*racers*each {
		t.Fatalf("got %d messages, want %d", len(messages), 2*racers*each)
	}
	for i := 0; i < len(messages); i += 2 {
		question, answer := messages[i], messages[i+1]
		if question.Role != domain.RoleUser || answer.Role != domain.RoleAssistant || answer.Content != "answer "+question.Content {
			t.Errorf("messages %d and %d are no turn: %q, %q", i, i+1, question.Content, answer.Content)
		}
	}
}

func conversationAtomic(t *testing.T, s ports.ConversationStore) {
	first := aTurn("owner", "", "1")
	id := appendTurn(t, s, first)
	second := aTurn("owner", "", "2")
	second.Assistant.ID = first.Assistant.ID
	if _, err := s.CommitTurn(t.Context(), second); err == nil {
		t.Error("a message id was used twice")
	}
	wantMessages(t, history(t, s, "owner", id, 0), first.User, first.Assistant)
}

func conversationAtomicFirst(t *testing.T, s ports.ConversationStore) {
	taken := aTurn("alice", "", "1")
	appendTurn(t, s, taken)
	for _, id := range []string{"", newID()} {
		turn := aTurn("bob", id, "2")
		turn.Assistant.ID = taken.Assistant.ID
		if _, err := s.CommitTurn(t.Context(), turn); err == nil {
			t.Fatal("a message id was used twice")
		}
		wantCount(t, s, "bob", id, 0)
		if id == "" {
			id = turn.NewID
		}
		// Nobody has the conversation, so anybody may.
		appendTurn(t, s, aTurn("carol", id, "3"))
	}
}

func conversationClear(t *testing.T, s ports.ConversationStore) {
	named := newID()
	appendTurn(t, s, aTurn("owner", "", "1"))
	appendTurn(t, s, aTurn("owner", named, "2"))
	appendTurn(t, s, aTurn("other", "", "3"))
	if err := s.Clear(t.Context(), "owner", ""); err != nil {
		t.Fatal(err)
	}
	wantCount(t, s, "owner", "", 0)
	wantMessages(t, history(t, s, "owner", "", 0))
	wantCount(t, s, "owner", named, 2)
	wantCount(t, s, "other", "", 2)
	if err := s.Clear(t.Context(), "owner", named); err != nil {
		t.Fatal(err)
	}
	wantCount(t, s, "owner", named, 0)
	wantCount(t, s, "other", "", 2)
}

func conversationClearKeepsID(t *testing.T, s ports.ConversationStore) {
	id := appendTurn(t, s, aTurn("owner", "", "1"))
	if err := s.Clear(t.Context(), "owner", ""); err != nil {
		t.Fatal(err)
	}
	after := aTurn("owner", "", "2")
	if again := appendTurn(t, s, after); again != id {
		t.Errorf("after Clear turns go to %s, before to %s", again, id)
	}
	wantMessages(t, history(t, s, "owner", id, 0), after.User, after.Assistant)
	wantNoConversation(t, s, "other", id)
}

func conversationClearEmpty(t *testing.T, s ports.ConversationStore) {
	unused := newID()
	for _, id := range []string{"", "", unused} {
		if err := s.Clear(t.Context(), "owner", id); err != nil {
			t.Errorf("Clear %q: %v", id, err)
		}
	}
	// Having cleared it doesn't make it anyone's.
	appendTurn(t, s, aTurn("other", unused, "1"))
}

func conversationOddText(t *testing.T, s ports.ConversationStore) {
	saved := 0
	for _, text := range oddTexts {
		turn := aTurn("owner", "", text)
		turn.Assistant.Model, turn.Assistant.Provider = "a model with a very long name "+strings.Repeat("m", 300), strings.Repeat("p", 300)
		if _, err := s.CommitTurn(t.Context(), turn); err != nil {
			wantRefused(t, err, text)
			continue
		}
		saved += 2
		wantMessages(t, history(t, s, "owner", "", 2), turn.User, turn.Assistant)
	}
	if saved == 0 {
		t.Error("nothing was saved")
	}
	wantCount(t, s, "owner", "", saved)
}

func conversationCanceled(t *testing.T, s ports.ConversationStore) {
	first := aTurn("owner", "", "1")
	appendTurn(t, s, first)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.History(ctx, "owner", "", 0)
	wantCanceled(t, "History", err)
	_, err = s.Count(ctx, "owner", "")
	wantCanceled(t, "Count", err)
	_, err = s.CommitTurn(ctx, aTurn("owner", "", "2"))
	wantCanceled(t, "CommitTurn", err)
	wantCanceled(t, "Clear", s.Clear(ctx, "owner", ""))
	wantMessages(t, history(t, s, "owner", "", 0), first.User, first.Assistant)
}

func conversationNotShared(t *testing.T, s ports.ConversationStore) {
	turn := aTurn("owner", "", "1")
	appendTurn(t, s, turn)
	history(t, s, "owner", "", 0)[0].Content = "changed"
	wantMessages(t, history(t, s, "owner", "", 0), turn.User, turn.Assistant)
}

func conversationTimes(t *testing.T, s ports.ConversationStore) {
	turn := aTurn("owner", "", "1")
	turn.User.CreatedAt = time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", -5*3600))
	appendTurn(t, s, turn)
	want := time.Date(2024, 3, 1, 4, 59, 59, 999999000, time.UTC)
	if got := history(t, s, "owner", "", 0)[0].CreatedAt; got != want { // the zone too, which Equal would not look at
		t.Errorf("got %v, want %v", got, want)
	}
}

func conversationLong(t *testing.T, s ports.ConversationStore) {
	const turns = 60
	for i := range turns {
		appendTurn(t, s, aTurn("owner", "", fmt.Sprint(i)))
	}
	wantCount(t, s, "owner", "", 2*turns)
	if got := history(t, s, "owner", "", 0); len(got) != 2*turns || got[0].Content != "0" {
		t.Errorf("got %d messages", len(got))
	}
	if got := history(t, s, "owner", "", domain.MaxHistory); len(got) != domain.MaxHistory || got[0].Content != fmt.Sprint(turns-domain.MaxHistory/2) {
		t.Errorf("got %d messages, the first is %q", len(got), got[0].Content)
	}
}

func conversationOwners(t *testing.T, s ports.ConversationStore) {
	owners := []string{"service", "key:1", "KEY:1", "ü", "Ü", "u\u0308", "日本語", "' OR 1=1 --", "%", " service", strings.Repeat("x", 1000)}
	for _, owner := range owners {
		appendTurn(t, s, aTurn(owner, "", owner))
	}
	for _, owner := range owners {
		if got := history(t, s, owner, "", 0); len(got) != 2 || got[0].Content != owner {
			t.Errorf("owner %.40q got %d messages", owner, len(got))
		}
	}
}

// aTurn is a question and the answer "answer <question>".
func aTurn(owner, conversationID, question string) domain.Turn {
	return domain.Turn{
		Owner: owner, ConversationID: conversationID, NewID: newID(), At: someTime,
		User: domain.Message{ID: newID(), Role: domain.RoleUser, Content: question, CreatedAt: someTime},
		Assistant: domain.Message{
			ID: newID(), Role: domain.RoleAssistant, Content: "answer " + question, Model: "echo-1", Provider: "echo", Tokens: 7,
			CreatedAt: someTime.Add(time.Microsecond),
		},
	}
}

func appendTurn(t *testing.T, s ports.ConversationStore, turn domain.Turn) string {
	t.Helper()
	id, err := s.CommitTurn(t.Context(), turn)
	if err != nil {
		t.Fatalf("append %.20q: %v", turn.User.Content, err)
	}
	return id
}

func history(t *testing.T, s ports.ConversationStore, owner, id string, limit int) []domain.Message {
	t.Helper()
	messages, _, err := s.History(t.Context(), owner, id, limit)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	return messages
}

func wantMessages(t *testing.T, got []domain.Message, want ...domain.Message) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %.300v\nwant %.300v", fmt.Sprint(got), fmt.Sprint(want))
	}
}

func wantCount(t *testing.T, s ports.ConversationStore, owner, id string, want int) {
	t.Helper()
	if got, err := s.Count(t.Context(), owner, id); err != nil || got != want {
		t.Errorf("count of %.40q of %.40q: got %d, %v, want %d", id, owner, got, err, want)
	}
}
