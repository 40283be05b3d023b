package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite" // the driver

	"gaia/tests/gaiatest"
)

// storedEvent is an event as the stream keeps it.
type storedEvent struct {
	event
	Subject string
	ID      string
}

// inStream returns what the stream of a backend holds of the events that come from the database, in its order. The stream may not be there yet.
func inStream(t *testing.T, b gaiatest.Backend) []storedEvent {
	t.Helper()
	conn, err := nats.Connect(b.Settings["NATS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	prefix := b.Settings["NATS_SUBJECT_PREFIX"]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name, err := js.StreamNameBySubject(ctx, prefix+"gaia.chat.message.complete")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	var events []storedEvent
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		e := storedEvent{Subject: m.Subject[len(prefix):], ID: m.Header.Get(nats.MsgIdHdr)}
		if e.ID == "" {
			continue // was published at once
		}
		if err := json.Unmarshal(m.Data, &e.event); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// wantEvents waits until the stream has that many answers, each with the row of the ledger that belongs to it, and nothing twice.
func wantEvents(t *testing.T, b gaiatest.Backend, answers int) []storedEvent {
	t.Helper()
	var (
		events []storedEvent
		counts map[string]int
	)
	gaiatest.Eventually(t, patience, fmt.Sprintf("%d answers are in the stream", answers), func() bool {
		events, counts = inStream(t, b), map[string]int{}
		for _, e := range events {
			counts[e.Subject]++
		}
		return counts["gaia.chat.message.complete"]+counts["gaia.usage.recorded"] >= 2*answers
	})
	ids := map[string]bool{}
	for _, e := range events {
		if ids[e.ID] {
			t.Errorf("%s %s is in the stream twice", e.Subject, e.ID)
		}
		ids[e.ID] = true
	}
	if counts["gaia.chat.message.complete"] != answers || counts["gaia.usage.recorded"] != answers {
		t.Errorf("the stream holds %v, want %d of each", counts, answers)
	}
	return events
}

// TestEventsWaitForTheBus: what happens while NATS is away is told when it is back, once.
func TestEventsWaitForTheBus(t *testing.T) {
	t.Parallel()
	b := gaiatest.FragileCache(t)
	server := b.Start(t)
	c := server.As(uuid.NewString())
	say(t, c, message("Before"))
	wantEvents(t, b, 1)
	b.Faults.NATS.Stop()
	for range 3 {
		say(t, c, message("Meanwhile"))
	}
	b.Faults.NATS.Start()
	say(t, c, message("After"))
	wantEvents(t, b, 5)
}

// TestEventsSurviveACrash: an answer that a client has got is told to others, although the process is killed right after it.
func TestEventsSurviveACrash(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	server := b.Start(t)
	c := server.As(uuid.NewString())
	const crashes = 4
	for range crashes {
		say(t, c, message("Quick"))
		server.Kill()
		server.Restart()
	}
	wantEvents(t, b, crashes)
}

// TestEventsThatAreStoredWhenStoppingAreSent: a process that stops in order leaves nothing behind.
func TestEventsThatAreStoredWhenStoppingAreSent(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	server := b.Start(t)
	say(t, server.As(uuid.NewString()), message("Bye"))
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if events := wantEvents(t, b, 1); len(events) < 3 || events[len(events)-3].Subject != "gaia.chat.conversation.created" {
		t.Errorf("in the stream is %+v, want at the end a conversation and one answer in it", events)
	}
}

// TestTheEmbeddedBusTakesAllEvents looks into the data folder: nobody else can listen.
func TestTheEmbeddedBusTakesAllEvents(t *testing.T) {
	t.Parallel()
	b := gaiatest.Embedded(t)
	server := b.Start(t)
	c := server.As(uuid.NewString())
	say(t, c, message("Quick"))
	server.Kill()
	server.Restart()
	say(t, c, message("Bye"))
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	db, err := sql.Open("sqlite", filepath.Join(b.Settings["GAIA_DATA_DIR"], "gaia.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var waiting, last int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM outbox), (SELECT seq FROM sqlite_sequence WHERE name = 'outbox')").Scan(&waiting, &last); err != nil {
		t.Fatal(err)
	}
	if waiting != 0 || last != 6 { // the default persona, a conversation, and two answers
		t.Errorf("of %d events %d wait, want none of 6", last, waiting)
	}
}

// TestReplicasSendEventsOnceAndInOrder: two processes store events in one database and both want to send them.
func TestReplicasSendEventsOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	replicas := []*gaiatest.Server{b.Start(t), b.Start(t)}
	const users, chats = 4, 10
	var all sync.WaitGroup
	for range users {
		user := uuid.NewString()
		all.Go(func() {
			for i := range chats {
				r, err := replicas[i%2].As(user).Try(gaiatest.Request{
					Method: http.MethodPost, Path: "/api/v0.2/chat", Body: message(fmt.Sprint("Message ", i)),
				})
				if err != nil || r.Status != http.StatusOK {
					t.Errorf("message %d: %v, %+v", i, err, r)
					return
				}
			}
		})
	}
	all.Wait()
	times := map[string][]time.Time{}
	for _, e := range wantEvents(t, b, users*chats) {
		if e.Subject == "gaia.chat.message.complete" {
			times[e.UserID] = append(times[e.UserID], e.Timestamp)
		}
	}
	for user, list := range times {
		if len(list) != chats || !slices.IsSortedFunc(list, time.Time.Compare) {
			t.Errorf("the %d answers of %s are told in the order %v", len(list), user, list)
		}
	}
}

// TestEventsOfChangesAreToldOnceAndInOrder: whatever changes something that others see is told, by whichever process does it.
func TestEventsOfChangesAreToldOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := gaiatest.Full(t)
	one, two, user := b.Start(t), b.Start(t), uuid.NewString()
	c, d := one.As(user), two.As(user)
	persona := create(t, c, "/api/v0.2/personas", surname())
	d.Put("/api/v0.2/personas/"+persona, map[string]any{"description": "An old sailor"}).Want(http.StatusOK)
	c.Post("/api/v0.2/personas/set", map[string]any{"persona_id": persona}).Want(http.StatusOK)
	d.Delete("/api/v0.2/personas/" + persona).Want(http.StatusOK)
	say(t, c, message("Hello"))
	d.Delete("/api/v0.2/chat/history").Want(http.StatusOK)
	named := c.Post("/api/v1/conversations", map[string]any{"title": "My unspeakable title"}).Want(http.StatusOK).JSON().Text("id")
	d.Delete("/api/v1/conversations/" + named).Want(http.StatusOK)
	asset := upload(t, c)
	d.Delete("/api/v1/assets/" + asset).Want(http.StatusOK)

	want := map[string][]string{
		"persona":      {"gaia.chat.persona.created", "gaia.chat.persona.updated", "gaia.chat.persona.chosen", "gaia.chat.persona.deleted"},
		"conversation": {"gaia.chat.conversation.created", "gaia.chat.conversation.cleared"},
		"named":        {"gaia.chat.conversation.created", "gaia.chat.conversation.deleted"},
		"asset":        {"gaia.asset.uploaded", "gaia.asset.deleted"},
	}
	var told map[string][]string
	gaiatest.Eventually(t, patience, "everything is told", func() bool {
		told = map[string][]string{}
		count := 0
		for _, e := range inStream(t, b) {
			name := ""
			switch {
			case e.UserID != user:
				continue
			case e.ConversationID == named:
				name = "named"
			case e.ConversationID != "":
				name = "conversation"
			case e.AssetID == asset:
				name = "asset"
			case e.MessageID == "" && e.PersonaID != nil && *e.PersonaID == persona:
				name = "persona"
			default:
				continue
			}
			told[name] = append(told[name], e.Subject)
			count++
		}
		return count >= 10
	})
	for name, subjects := range want {
		if !slices.Equal(told[name], subjects) {
			t.Errorf("of %s is told %v, want %v", name, told[name], subjects)
		}
	}
}

// upload makes an asset of a picture.
func upload(t *testing.T, c *gaiatest.Client) string {
	t.Helper()
	var picture, form bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("file", "chest.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(picture.Bytes()) // into memory
	for name, value := range map[string]string{"title": "Chest", "category": "image"} {
		_ = parts.WriteField(name, value)
	}
	_ = parts.Close()
	return c.With("Content-Type", parts.FormDataContentType()).Post("/api/v1/assets/upload", form.String()).Want(http.StatusOK).JSON().Text("asset_id")
}
