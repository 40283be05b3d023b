package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const conversations = "/api/v1/conversations"

func begin(t *testing.T, c *gaiatest.Client, draft map[string]any) string {
	t.Helper()
	return c.Post(conversations, draft).Want(http.StatusOK).JSON().Text("id")
}

// pageOf returns one field of every entry of a list, and the total.
func pageOf(t *testing.T, c *gaiatest.Client, path, list, field string) (values []string, total float64) {
	t.Helper()
	page := c.Get(path).Want(http.StatusOK).JSON()
	for _, entry := range page.At(list).([]any) {
		values = append(values, fmt.Sprint(entry.(map[string]any)[field]))
	}
	return values, page.Number("total")
}

func wantPage(t *testing.T, c *gaiatest.Client, path, list, field string, total float64, want ...string) {
	t.Helper()
	got, all := pageOf(t, c, path, list, field)
	if !slices.Equal(got, want) || all != total {
		t.Errorf("%s: got %q of %v, want %q of %v", path, got, all, want, total)
	}
}

func TestConversationsOfACaller(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t)
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		wantPage(t, c, conversations, "conversations", "id", 0)
		var ids []string // the newest first, as the list has them
		for i := range 5 {
			ids = append([]string{begin(t, c, map[string]any{"title": fmt.Sprint("Talk ", i)})}, ids...)
		}
		begin(t, other, map[string]any{})
		wantPage(t, c, conversations, "conversations", "id", 5, ids...)
		wantPage(t, c, conversations+"?limit=2", "conversations", "title", 5, "Talk 4", "Talk 3")
		wantPage(t, c, conversations+"?limit=2&offset=4", "conversations", "id", 5, ids[4])
		wantPage(t, c, conversations+"?offset=9", "conversations", "id", 5)

		say(t, c, with(message("Back again"), "conversation_id", ids[4]))
		wantPage(t, c, conversations+"?limit=1", "conversations", "id", 5, ids[4])
		used := c.Get(conversations + "/" + strings.ToUpper(ids[4])).Want(http.StatusOK).JSON()
		if used.Text("title") != "Talk 0" || used.Number("message_count") != 2 || used.At("is_default") != false || used.At("persona_id") != nil {
			t.Errorf("after a chat: %v", used.Fields)
		}
		if !strings.HasPrefix(used.Text("preview"), "Mu here") {
			t.Errorf("preview %q", used.Text("preview"))
		}

		for _, id := range []string{ids[0], nobody, "no-id"} {
			for _, path := range []string{conversations + "/" + id, conversations + "/" + id + "/messages"} {
				other.Get(path).Want(http.StatusNotFound)
			}
			other.Delete(conversations + "/" + id).Want(http.StatusNotFound)
		}
		gone := c.Delete(conversations + "/" + ids[0]).Want(http.StatusOK).JSON()
		if gone.Text("id") != ids[0] || gone.At("deleted") != true {
			t.Errorf("deleted: %v", gone.Fields)
		}
		c.Get(conversations + "/" + ids[0]).Want(http.StatusNotFound)
		c.Delete(conversations + "/" + ids[0]).Want(http.StatusNotFound)
		wantPage(t, c, conversations, "conversations", "id", 4, ids[4], ids[1], ids[2], ids[3])
	})
}

func TestMessagesOfAConversation(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		id := begin(t, c, map[string]any{})
		messages := conversations + "/" + id + "/messages"
		wantPage(t, c, messages, "messages", "content", 0)
		say(t, c, with(message("What is a mirror?\nTell me."), "conversation_id", id))
		answer := say(t, c, with(message("And a lens?"), "conversation_id", id))
		if title := c.Get(conversations + "/" + id).Want(http.StatusOK).JSON().Text("title"); title != "What is a mirror?" {
			t.Errorf("the first message made the title %q", title)
		}
		wantPage(t, c, messages, "messages", "role", 4, "user", "assistant", "user", "assistant")
		wantPage(t, c, messages+"?order=desc&limit=2", "messages", "content", 4, answer, "And a lens?")
		wantPage(t, c, messages+"?limit=1&offset=2", "messages", "content", 4, "And a lens?")
		page := c.Get(messages + "?limit=2").Want(http.StatusOK).JSON()
		asked, answered := page.At("messages", 0).(map[string]any), page.At("messages", 1).(map[string]any)
		if _, has := asked["model"]; has || asked["tokens_used"] != nil {
			t.Errorf("a question carries what belongs to an answer: %v", asked)
		}
		if answered["provider"] != "echo" || answered["model"] == "" || answered["usage_source"] != "provider" || answered["tokens_used"].(float64) <= 0 {
			t.Errorf("the answer is %v", answered)
		}
	})
}

func TestDefaultConversationIsBegunAnewAfterItsDeletion(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		wantText(t, say(t, c, message("One")), "This is message 1 of")
		wantPage(t, c, conversations, "conversations", "is_default", 1, "true")
		ids, _ := pageOf(t, c, conversations, "conversations", "id")
		c.Delete(conversations + "/" + ids[0]).Want(http.StatusOK)
		wantCount(t, c, 0)
		wantText(t, say(t, c, message("Two")), "This is message 1 of")
		again, total := pageOf(t, c, conversations, "conversations", "id")
		if total != 1 || again[0] == ids[0] {
			t.Errorf("got %v of %v after deleting %v", again, total, ids)
		}
	})
}

func TestPersonaOfAConversation(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		name := surname()
		persona := create(t, c, personaRoutes["v1"], name)
		c.Post(conversations, map[string]any{"persona_id": nobody}).Want(http.StatusNotFound)
		id := begin(t, c, map[string]any{"persona_id": strings.ToUpper(persona)})
		if got := c.Get(conversations + "/" + id).Want(http.StatusOK).JSON().Text("persona_id"); got != persona {
			t.Errorf("the conversation is with %s, want %s", got, persona)
		}
		wantText(t, say(t, c, with(message("Who are you?"), "conversation_id", id)), name+" here")
		wantPage(t, c, conversations+"/"+id+"/messages?offset=1", "messages", "persona_id", 2, persona)
		wantText(t, say(t, c, message("Who are you?")), "Mu here") // elsewhere nothing has changed
		wantText(t, say(t, c, with(with(message("And you?"), "conversation_id", id), "persona_id", "default")), "Mu here")

		c.Delete(personaRoutes["v1"] + "/" + persona).Want(http.StatusOK)
		wantText(t, say(t, c, with(message("Still there?"), "conversation_id", id)), "Mu here")
	})
}
