package app_test

import (
	"strings"
	"testing"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
)

// newConversations makes the use cases on empty stores with the default persona.
func newConversations(t *testing.T) (*app.Conversations, *memory.ConversationStore) {
	t.Helper()
	store, personas := memory.NewConversationStore(), newPersonas(memory.NewPersonaStore(), noCache{})
	if _, _, err := personas.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	return app.NewConversations(app.ConversationDeps{Directory: store, Personas: personas, Now: clock(), NewID: ids2()}), store
}

func begin(t *testing.T, c *app.Conversations, who domain.Principal, draft app.ConversationDraft) domain.Conversation {
	t.Helper()
	made, err := c.Create(t.Context(), who, draft)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestConversationDrafts(t *testing.T) {
	t.Parallel()
	c, _ := newConversations(t)
	eve := create(t, c.Personas, bob, "Eve")
	for _, test := range []struct {
		draft          app.ConversationDraft
		title, persona string
	}{
		{app.ConversationDraft{}, domain.UntitledConversation, ""},
		{app.ConversationDraft{Title: " \t "}, domain.UntitledConversation, ""},
		{app.ConversationDraft{Title: " Mir\x00rors \xff", PersonaID: "default"}, "Mirrors \uFFFD", ""},
		{app.ConversationDraft{PersonaID: strings.ToUpper(eve.ID)}, domain.UntitledConversation, eve.ID},
	} {
		made := begin(t, c, ada, test.draft)
		if made.Title != test.title || made.PersonaID != test.persona || made.Owner != ada.OwnerID() || made.Default || made.MessageCount != 0 {
			t.Errorf("%+v became %+v", test.draft, made)
		}
		if read, err := c.Get(t.Context(), ada, made.ID); err != nil || read != made {
			t.Errorf("made %+v, read %+v, %v", made, read, err)
		}
	}
	for _, id := range []string{unknownID, "x"} {
		_, err := c.Create(t.Context(), ada, app.ConversationDraft{PersonaID: id})
		wantKind(t, err, domain.NotFound)
	}
	if err := c.Personas.Delete(t.Context(), bob, eve.ID); err != nil {
		t.Fatal(err)
	}
	_, err := c.Create(t.Context(), ada, app.ConversationDraft{PersonaID: eve.ID})
	wantKind(t, err, domain.NotFound)
	if _, total, err := c.List(t.Context(), ada, 10, 0); err != nil || total != 4 {
		t.Errorf("%d conversations, %v", total, err)
	}
}

func TestConversationsOfOthers(t *testing.T) {
	t.Parallel()
	c, _ := newConversations(t)
	own := begin(t, c, ada, app.ConversationDraft{})
	_, err := c.Get(t.Context(), bob, own.ID)
	wantKind(t, err, domain.NotFound)
	_, _, err = c.Messages(t.Context(), bob, own.ID, 10, 0, false)
	wantKind(t, err, domain.NotFound)
	wantKind(t, c.Delete(t.Context(), bob, own.ID), domain.NotFound)
	if list, total, err := c.List(t.Context(), bob, 10, 0); err != nil || len(list)+total != 0 {
		t.Errorf("bob lists %v of %d, %v", list, total, err)
	}
	if err := c.Delete(t.Context(), ada, own.ID); err != nil {
		t.Error(err)
	}
	_, err = c.Get(t.Context(), ada, own.ID)
	wantKind(t, err, domain.NotFound)
}

func TestConversationsWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	c, store := newConversations(t)
	away := domain.MissingPart("away", nil)
	for _, op := range []string{"List", "Get", "Create", "Delete", "Messages"} {
		store.FailNext(op, away)
	}
	_, _, err := c.List(t.Context(), ada, 10, 0)
	wantKind(t, err, domain.Unavailable)
	_, err = c.Get(t.Context(), ada, unknownID)
	wantKind(t, err, domain.Unavailable)
	_, err = c.Create(t.Context(), ada, app.ConversationDraft{})
	wantKind(t, err, domain.Unavailable)
	wantKind(t, c.Delete(t.Context(), ada, unknownID), domain.Unavailable)
	_, _, err = c.Messages(t.Context(), ada, unknownID, 10, 0, true)
	wantKind(t, err, domain.Unavailable)
}

func TestPersonaOfAConversationAnswers(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("ok"))
		eve, max := create(t, b.personas, bob, "Eve"), create(t, b.personas, bob, "Max")
		with := func(persona string) string {
			id := unknownID[:len(unknownID)-1] + string(persona[len(persona)-1])
			if err := b.turns.Create(t.Context(), domain.Conversation{ID: id, Owner: ada.OwnerID(), PersonaID: persona}); err != nil {
				t.Fatal(err)
			}
			return id
		}
		chat := with(eve.ID)
		wantSpeaker := func(want, conversation, persona string) {
			t.Helper()
			r := message("hi")
			r.ConversationID, r.PersonaID = conversation, persona
			if _, _, err := ask(b.chat, t.Context(), ada, r); err != nil {
				t.Fatal(err)
			}
			if got := words(b.provider.asked(t))[0]; got != "system:"+want {
				t.Errorf("in %q with persona %q %q spoke, want %s", conversation, persona, got, want)
			}
		}
		wantSpeaker("You are Eve", chat, "")
		wantSpeaker("You are Max", chat, max.ID)
		wantSpeaker("Mu", chat, "default")
		wantSpeaker("Mu", "", "")
		wantSpeaker("Mu", "aaaaaaaa-0000-7000-8000-000000000000", "") // begun by this chat: it is with nobody special
		wantSpeaker("Mu", "aaaaaaaa-0000-7000-8000-000000000000", "")
		if err := b.personas.Delete(t.Context(), bob, eve.ID); err != nil {
			t.Fatal(err)
		}
		wantSpeaker("Mu", chat, "")

		b.turns.FailNext("History", domain.MissingPart("away", nil))
		r := message("hi")
		r.ConversationID = chat
		_, _, err := ask(b.chat, t.Context(), ada, r)
		wantKind(t, err, domain.Unavailable)
	})
}
