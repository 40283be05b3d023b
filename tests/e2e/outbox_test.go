package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
	var events []storedEvent
	gaiatest.Eventually(t, patience, fmt.Sprintf("%d answers are in the stream", answers), func() bool {
		events = inStream(t, b)
		return len(events) >= 2*answers
	})
	ids, counts := map[string]bool{}, map[string]int{}
	for _, e := range events {
		counts[e.Subject]++
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
	if n := len(inStream(t, b)); n != 2 {
		t.Errorf("%d events are in the stream, want those of one answer", n)
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
	if waiting != 0 || last != 4 {
		t.Errorf("of %d events %d wait, want none of 4", last, waiting)
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
