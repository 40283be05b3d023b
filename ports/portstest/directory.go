package portstest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// directory is what a test of ports.ConversationDirectory works with: two sides of one store.
type directory struct {
	ports.ConversationDirectory
	talk ports.ConversationStore
}

// ConversationDirectory checks everything that ports.ConversationDirectory demands of a database that is there. empty makes both sides
// of a store without conversations and runs once for each test.
func ConversationDirectory(t *testing.T, empty func(*testing.T) (ports.ConversationDirectory, ports.ConversationStore)) {
	t.Helper()
	tests := map[string]func(*testing.T, directory){
		"gives back what was created":                             directoryRoundTrip,
		"an id that exists is Conflict":                           directoryTwice,
		"List begins with the most recently used":                 directoryOrder,
		"pages fit together, also among equal times":              directoryPages,
		"owners see their own only":                               directoryOwners,
		"unknown and malformed ids are NotFound":                  directoryUnknown,
		"a turn names an untitled conversation, and no other":     directoryTitles,
		"a turn is counted and previewed":                         directoryTurns,
		"Clear leaves an empty conversation":                      directoryClear,
		"Delete takes the messages along and nothing else":        directoryDelete,
		"a deleted default is begun anew":                         directoryDeleteDefault,
		"the id of a deleted conversation may be used again":      directoryReuse,
		"racing deletions succeed once":                           directoryDeleteRace,
		"Messages come oldest or newest first, page by page":      directoryMessages,
		"a caller who left is told so and nothing is changed":     directoryCanceled,
		"times come back in UTC with microseconds":                directoryTimes,
		"a turn before the last one does not turn the clock back": directoryClockBack,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conversations, talk := empty(t)
			test(t, directory{conversations, talk})
		})
	}
}

func aConversation(owner string, at time.Time) domain.Conversation {
	return domain.Conversation{ID: newID(), Owner: owner, Title: "Talk", CreatedAt: at, UpdatedAt: at}
}

func (d directory) create(t *testing.T, c domain.Conversation) domain.Conversation {
	t.Helper()
	if err := d.Create(t.Context(), c); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return c
}

func (d directory) get(t *testing.T, owner, id string) domain.Conversation {
	t.Helper()
	c, err := d.Get(t.Context(), owner, id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return c
}

func (d directory) wantList(t *testing.T, owner string, limit, offset, total int, want ...string) {
	t.Helper()
	list, n, err := d.List(t.Context(), owner, limit, offset)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	var got []string
	for _, c := range list {
		got = append(got, c.ID)
	}
	if !slices.Equal(got, want) || n != total {
		t.Errorf("List of %s, %d from %d: got %q of %d, want %q of %d", owner, limit, offset, got, n, want, total)
	}
}

func (d directory) wantMessages(t *testing.T, id string, limit, offset int, newestFirst bool, total int, want ...domain.Message) {
	t.Helper()
	got, n, err := d.Messages(t.Context(), "owner", id, limit, offset, newestFirst)
	if err != nil || n != total {
		t.Errorf("Messages, %d from %d: %d in all, %v, want %d", limit, offset, n, err, total)
	}
	wantMessages(t, got, want...)
}

func directoryRoundTrip(t *testing.T, d directory) {
	for _, c := range []domain.Conversation{
		{ID: newID(), Owner: "owner", Title: "Grüße, 世界 🌍 'quoted' $1", PersonaID: newID(), CreatedAt: someTime, UpdatedAt: someTime.Add(time.Second)},
		{ID: newID(), Owner: "owner", Title: domain.UntitledConversation, CreatedAt: someTime, UpdatedAt: someTime},
	} {
		d.create(t, c)
		for _, id := range []string{c.ID, strings.ToUpper(c.ID)} {
			if got := d.get(t, "owner", id); !reflect.DeepEqual(got, c) {
				t.Errorf("got  %+v\nwant %+v", got, c)
			}
		}
	}
	list, _, err := d.List(t.Context(), "owner", 10, 0)
	if err != nil || len(list) != 2 || list[0] != d.get(t, "owner", list[0].ID) {
		t.Errorf("List: %+v, %v", list, err)
	}
}

func directoryTwice(t *testing.T, d directory) {
	c := d.create(t, aConversation("owner", someTime))
	for _, owner := range []string{"owner", "other"} {
		again := c
		again.Owner, again.Title = owner, "Again"
		wantKind(t, d.Create(t.Context(), again), domain.Conflict, "Create of an id that exists, by %s", owner)
	}
	if got := d.get(t, "owner", c.ID); got.Title != c.Title {
		t.Errorf("it was changed to %+v", got)
	}
	begun := appendTurn(t, d.talk, aTurn("owner", "", "1"))
	c.ID = begun
	wantKind(t, d.Create(t.Context(), c), domain.Conflict, "Create of the default conversation")
}

func directoryOrder(t *testing.T, d directory) {
	old := d.create(t, aConversation("owner", someTime.Add(-2*time.Hour)))
	young := d.create(t, aConversation("owner", someTime.Add(-time.Hour)))
	d.wantList(t, "owner", 10, 0, 2, young.ID, old.ID)
	appendTurn(t, d.talk, aTurn("owner", old.ID, "1"))
	d.wantList(t, "owner", 10, 0, 2, old.ID, young.ID)
}

func directoryPages(t *testing.T, d directory) {
	var want []domain.Conversation
	for i := range 12 {
		want = append(want, d.create(t, aConversation("owner", someTime.Add(time.Duration(i/4)*time.Microsecond))))
	}
	slices.SortFunc(want, func(a, b domain.Conversation) int {
		if c := b.UpdatedAt.Compare(a.UpdatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	var ids []string
	for _, c := range want {
		ids = append(ids, c.ID)
	}
	for _, size := range []int{1, 3, 5, 12, 100} {
		for offset := 0; offset < 12; offset += size {
			d.wantList(t, "owner", size, offset, 12, ids[offset:min(offset+size, 12)]...)
		}
	}
	d.wantList(t, "owner", 5, 12, 12)
	d.wantList(t, "owner", 5, 1<<40, 12)
}

func directoryOwners(t *testing.T, d directory) {
	own := d.create(t, aConversation("owner", someTime))
	d.create(t, aConversation("other", someTime))
	begun := appendTurn(t, d.talk, aTurn("other", "", "1"))
	d.wantList(t, "owner", 10, 0, 1, own.ID)
	d.wantList(t, "nobody", 10, 0, 0)
	d.wantNone(t, "owner", begun)
	d.wantNone(t, "other", own.ID)
	d.get(t, "owner", own.ID)
	wantCount(t, d.talk, "other", begun, 2)
}

// wantNone checks all operations that name a conversation.
func (d directory) wantNone(t *testing.T, owner, id string) {
	t.Helper()
	_, err := d.Get(t.Context(), owner, id)
	wantKind(t, err, domain.NotFound, "Get of %.40q", id)
	_, _, err = d.Messages(t.Context(), owner, id, 10, 0, false)
	wantKind(t, err, domain.NotFound, "Messages of %.40q", id)
	wantKind(t, d.Delete(t.Context(), owner, id), domain.NotFound, "Delete of %.40q", id)
}

func directoryUnknown(t *testing.T, d directory) {
	appendTurn(t, d.talk, aTurn("owner", "", "1")) // an empty id must not mean the default
	for _, id := range append([]string{newID()}, malformedIDs...) {
		d.wantNone(t, "owner", id)
	}
	wantCount(t, d.talk, "owner", "", 2)
}

func directoryTitles(t *testing.T, d directory) {
	named := d.create(t, aConversation("owner", someTime))
	untitled := aConversation("owner", someTime)
	untitled.Title = domain.UntitledConversation
	d.create(t, untitled)
	for _, c := range []struct{ id, want string }{{named.ID, "Talk"}, {untitled.ID, "First"}, {"", "First"}, {newID(), "First"}} {
		id := c.id
		for _, title := range []string{"First", "Second"} {
			turn := aTurn("owner", c.id, title)
			turn.Title = title
			id = appendTurn(t, d.talk, turn)
		}
		if got := d.get(t, "owner", id).Title; got != c.want {
			t.Errorf("title %q, want %q", got, c.want)
		}
	}
	id := appendTurn(t, d.talk, aTurn("owner", newID(), "no title"))
	if got := d.get(t, "owner", id).Title; got != domain.UntitledConversation {
		t.Errorf("a turn without a title made the title %q", got)
	}
}

func directoryTurns(t *testing.T, d directory) {
	persona := newID()
	c := aConversation("owner", someTime.Add(-time.Hour))
	c.PersonaID = persona
	d.create(t, c)
	turn := aTurn("owner", c.ID, "1")
	turn.Assistant.Content = "An answer\n" + strings.Repeat("that is long ", 50)
	appendTurn(t, d.talk, turn)
	c.MessageCount, c.Preview, c.UpdatedAt = 2, domain.PreviewFrom(turn.Assistant.Content), turn.At
	if got := d.get(t, "owner", c.ID); got != c {
		t.Errorf("got  %+v\nwant %+v", got, c)
	}
	silent := aTurn("owner", c.ID, "2")
	silent.Assistant.Content = ""
	appendTurn(t, d.talk, silent)
	if got := d.get(t, "owner", c.ID); got.MessageCount != 4 || got.Preview != "2" {
		t.Errorf("after an answer without text: %+v", got)
	}
	begun := appendTurn(t, d.talk, aTurn("owner", "", "3"))
	if got := d.get(t, "owner", begun); !got.Default || got.MessageCount != 2 || got.CreatedAt != someTime || got.UpdatedAt != someTime {
		t.Errorf("the default conversation is %+v", got)
	}
}

func directoryClear(t *testing.T, d directory) {
	id := appendTurn(t, d.talk, aTurn("owner", "", "1"))
	if err := d.talk.Clear(t.Context(), "owner", ""); err != nil {
		t.Fatal(err)
	}
	if got := d.get(t, "owner", id); got.MessageCount != 0 || got.Preview != "" || !got.Default || got.UpdatedAt != someTime {
		t.Errorf("got %+v", got)
	}
	d.wantMessages(t, id, 10, 0, false, 0)
	appendTurn(t, d.talk, aTurn("owner", "", "2"))
	wantCount(t, d.talk, "owner", "", 2)
}

func directoryDelete(t *testing.T, d directory) {
	turn := aTurn("owner", newID(), "1")
	id, kept := appendTurn(t, d.talk, turn), appendTurn(t, d.talk, aTurn("owner", newID(), "2"))
	if err := d.Delete(t.Context(), "owner", strings.ToUpper(id)); err != nil {
		t.Fatal(err)
	}
	d.wantNone(t, "owner", id)
	d.wantList(t, "owner", 10, 0, 1, kept)
	wantCount(t, d.talk, "owner", id, 0)
	wantCount(t, d.talk, "owner", kept, 2)
	turn.ConversationID = kept
	appendTurn(t, d.talk, turn) // nothing is left that has these ids
}

func directoryDeleteDefault(t *testing.T, d directory) {
	id := appendTurn(t, d.talk, aTurn("owner", "", "1"))
	if err := d.Delete(t.Context(), "owner", id); err != nil {
		t.Fatal(err)
	}
	wantCount(t, d.talk, "owner", "", 0)
	turn := aTurn("owner", "", "2")
	again := appendTurn(t, d.talk, turn)
	if again == id || !d.get(t, "owner", again).Default {
		t.Errorf("the next turn went to %s, the deleted one was %s", again, id)
	}
	wantMessages(t, history(t, d.talk, "owner", "", 0), turn.User, turn.Assistant)
}

func directoryReuse(t *testing.T, d directory) {
	id := appendTurn(t, d.talk, aTurn("owner", newID(), "1"))
	if err := d.Delete(t.Context(), "owner", id); err != nil {
		t.Fatal(err)
	}
	appendTurn(t, d.talk, aTurn("other", id, "2"))
	d.wantNone(t, "owner", id)
}

func directoryDeleteRace(t *testing.T, d directory) {
	const racers = 8
	id := appendTurn(t, d.talk, aTurn("owner", newID(), "1"))
	deleted := 0
	for _, err := range inParallel(racers, func(int) error { return d.Delete(t.Context(), "owner", id) }) {
		if err == nil {
			deleted++
			continue
		}
		wantKind(t, err, domain.NotFound, "Delete")
	}
	if deleted != 1 {
		t.Errorf("%d deletions succeeded", deleted)
	}
}

func directoryMessages(t *testing.T, d directory) {
	var all []domain.Message
	id := newID()
	for i := range 3 {
		turn := aTurn("owner", id, fmt.Sprint(i))
		turn.Assistant.ToolCalls = []domain.ToolCall{{ID: "call", Name: "look", Arguments: `{"at":1}`}}
		appendTurn(t, d.talk, turn)
		all = append(all, turn.User, turn.Assistant)
	}
	down := slices.Clone(all)
	slices.Reverse(down)
	for _, size := range []int{1, 4, 6, 100} {
		for offset := 0; offset < 6; offset += size {
			end := min(offset+size, 6)
			d.wantMessages(t, id, size, offset, false, 6, all[offset:end]...)
			d.wantMessages(t, strings.ToUpper(id), size, offset, true, 6, down[offset:end]...)
		}
	}
	d.wantMessages(t, id, 10, 6, false, 6)
	d.wantMessages(t, id, 10, 1<<40, true, 6)
}

func directoryCanceled(t *testing.T, d directory) {
	c := d.create(t, aConversation("owner", someTime))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := d.List(ctx, "owner", 10, 0)
	wantCanceled(t, "List", err)
	_, err = d.Get(ctx, "owner", c.ID)
	wantCanceled(t, "Get", err)
	_, _, err = d.Messages(ctx, "owner", c.ID, 10, 0, false)
	wantCanceled(t, "Messages", err)
	wantCanceled(t, "Create", d.Create(ctx, aConversation("owner", someTime)))
	wantCanceled(t, "Delete", d.Delete(ctx, "owner", c.ID))
	d.wantList(t, "owner", 10, 0, 1, c.ID)
}

func directoryTimes(t *testing.T, d directory) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.FixedZone("away", -5*3600))
	c := d.create(t, aConversation("owner", at))
	want := time.Date(2024, 3, 1, 4, 59, 59, 999999000, time.UTC)
	if got := d.get(t, "owner", c.ID); got.CreatedAt != want || got.UpdatedAt != want { // the zone too, which Equal would not look at
		t.Errorf("got %+v, want times of %v", got, want)
	}
}

func directoryClockBack(t *testing.T, d directory) {
	id := newID()
	appendTurn(t, d.talk, aTurn("owner", id, "1"))
	early := aTurn("owner", id, "2")
	early.At = someTime.Add(-time.Hour)
	appendTurn(t, d.talk, early)
	if got := d.get(t, "owner", id); got.UpdatedAt != someTime || got.CreatedAt != someTime {
		t.Errorf("got %+v", got)
	}
}
