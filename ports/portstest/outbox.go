package portstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// OutboxSetup is one database as two senders see it: two processes, where several may use the database.
type OutboxSetup struct {
	A, B ports.Outbox
	// Commit is CommitTurn of the same database.
	Commit func(context.Context, domain.Turn) error
	// Lose takes away all that waits, as an operator may, or a release that notes nothing. It is nil where nobody else has the database.
	Lose func(*testing.T)
}

// Outbox checks everything that ports.Outbox demands of a database that is there. empty runs once for each test.
func Outbox(t *testing.T, empty func(*testing.T) OutboxSetup) {
	t.Helper()
	tests := map[string]func(*testing.T, OutboxSetup){
		"events come as they were stored, in order, once": outboxOrder,
		"a batch has at most as many events as allowed":   outboxLimit,
		"what is not sent stays, in order":                outboxPartly,
		"an error of send comes back":                     outboxSendError,
		"one process at a time sends":                     outboxOneSender,
		"what is stored during a send waits":              outboxMeanwhile,
		"racing senders send each event once, in order":   outboxRace,
		"a sender that does not return in time is left":   outboxCanceled,
		"send may not be asked without events":            outboxEmpty,
		"what a sender got and did not send is in doubt":  outboxDoubt,
		"the place of the bus is kept while in doubt":     outboxPlace,
		"a sender that dies leaves doubt":                 outboxDeath,
		"what is in doubt is handed out alone":            outboxAlone,
		"what went another way is in doubt no more":       outboxLoss,
		"events have the trace of who stored them":        outboxTraces,
		"the oldest tells how long it has waited":         outboxOldest,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func anEvent(n int) domain.Event {
	return domain.Event{ID: newID(), Subject: domain.SubjectChatComplete, Payload: domain.ChatMessageEvent{
		MessageID: fmt.Sprintf("message %d – 世界", n), UserID: "owner", Status: "completed", Timestamp: claimTime,
		Details: map[string]any{"n": n},
	}}
}

// storeEvents commits one turn for each event and returns the ids.
func storeEvents(t *testing.T, s OutboxSetup, count int) []string {
	t.Helper()
	var ids []string
	for n := range count {
		e := anEvent(n)
		ids = append(ids, e.ID)
		if err := s.Commit(t.Context(), domain.Turn{Owner: "owner", At: claimTime, Unstored: true, Events: []domain.Event{e}}); err != nil {
			t.Fatalf("CommitTurn: %v", err)
		}
	}
	return ids
}

// sink takes events and remembers their ids.
type sink struct {
	mu  sync.Mutex
	ids []string
}

func (k *sink) send(_ context.Context, batch domain.EventBatch) (int, string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range batch.Events {
		k.ids = append(k.ids, e.ID)
	}
	return len(batch.Events), "", nil
}

func relay(t *testing.T, o ports.Outbox, limit, want int, send ports.SendEvents) {
	t.Helper()
	if n, err := o.Relay(t.Context(), limit, send); n != want || err != nil {
		t.Fatalf("Relay = %d, %v, want %d", n, err, want)
	}
}

func wantPending(t *testing.T, o ports.Outbox, want int) {
	t.Helper()
	if n, err := o.Pending(t.Context()); n != want || err != nil {
		t.Errorf("Pending = %d, %v, want %d", n, err, want)
	}
}

func wantIDs(t *testing.T, got, want []string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent\n%q, want\n%q", got, want)
	}
}

// aTrace is one that W3C Trace Context allows.
func aTrace(n int) string { return fmt.Sprintf("00-%032x-%016x-01", n+1, n+1) }

func wantTraces(t *testing.T, o ports.Outbox, about string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range drain(t, o) {
		got = append(got, e.Trace)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the traces are %q, want %q", about, got, want)
	}
}

func outboxTraces(t *testing.T, s OutboxSetup) {
	var want []string
	for n := range 4 { // as many events each time
		ctx := t.Context()
		if n%2 == 1 { // the others are watched by nobody
			ctx = domain.WithTrace(ctx, aTrace(n))
		}
		turn := domain.Turn{Owner: "owner", At: claimTime, Unstored: true}
		for range n {
			turn.Events, want = append(turn.Events, anEvent(n)), append(want, domain.TraceOf(ctx))
		}
		if err := s.Commit(ctx, turn); err != nil {
			t.Fatal(err)
		}
	}
	relay(t, s.A, 10, 0, func(context.Context, domain.EventBatch) (int, string, error) { return 0, "", nil })
	wantTraces(t, s.B, "after one sender has failed", want...)
}

func outboxOldest(t *testing.T, s OutboxSetup) {
	oldest := func(o ports.Outbox) time.Duration {
		waits, err := o.Oldest(t.Context())
		if err != nil {
			t.Fatalf("Oldest: %v", err)
		}
		return waits
	}
	if waits := oldest(s.A); waits != 0 {
		t.Errorf("nothing has waited for %v", waits)
	}
	const slack = time.Second // clocks of two machines
	before := time.Now()
	storeEvents(t, s, 1)
	Within(t, Patience, "the first has waited for a moment", func() bool { return oldest(s.A) > 50*time.Millisecond })
	storeEvents(t, s, 2)
	if first, most := oldest(s.B), time.Since(before)+slack; first < 50*time.Millisecond || first > most {
		t.Errorf("the first has waited for %v, and %v is the most", first, most)
	}
	asked, first := time.Now(), oldest(s.A)
	relay(t, s.A, 1, 1, (&sink{}).send)
	if second, most := oldest(s.B), first+time.Since(asked)-49*time.Millisecond; second > most || second <= 0 {
		t.Errorf("the second has waited for %v, and %v is the most", second, most)
	}
	relay(t, s.A, 10, 2, (&sink{}).send)
	if waits := oldest(s.A); waits != 0 {
		t.Errorf("nothing has waited for %v", waits)
	}
}

func outboxOrder(t *testing.T, s OutboxSetup) {
	a, b := anEvent(1), anEvent(2)
	b.Subject, b.Payload = domain.SubjectUsageRecorded, domain.UsageRecordedEvent{RequestID: "r", Attempt: 1, CostUSD: 0.000001, Timestamp: claimTime}
	turn := domain.Turn{Owner: "owner", At: claimTime, Unstored: true, Events: []domain.Event{a, b}}
	if err := s.Commit(t.Context(), turn); err != nil {
		t.Fatal(err)
	}
	wantPending(t, s.B, 2)
	relay(t, s.A, 10, 2, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		events := batch.Events
		for i, want := range []domain.Event{a, b} {
			data, err := want.Data()
			if err != nil {
				t.Fatal(err)
			}
			if events[i].ID != want.ID || events[i].Subject != want.Subject || !sameJSON(events[i].Data, data) {
				t.Errorf("got %s %s %s, want %s %s %s", events[i].ID, events[i].Subject, events[i].Data, want.ID, want.Subject, data)
			}
		}
		return len(events), "", nil
	})
	wantPending(t, s.A, 0)
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func outboxLimit(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 5)
	var k sink
	relay(t, s.A, 2, 2, k.send)
	wantIDs(t, k.ids, ids[:2])
	relay(t, s.B, 2, 2, k.send)
	relay(t, s.A, 2, 1, k.send)
	wantIDs(t, k.ids, ids)
}

func outboxPartly(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 5)
	relay(t, s.A, 10, 2, func(context.Context, domain.EventBatch) (int, string, error) { return 2, "", nil })
	wantPending(t, s.B, 3)
	relay(t, s.A, 10, 0, func(context.Context, domain.EventBatch) (int, string, error) { return 0, "", nil })
	var k sink
	relay(t, s.B, 10, 3, k.send)
	wantIDs(t, k.ids, ids[2:])
}

func outboxSendError(t *testing.T, s OutboxSetup) {
	storeEvents(t, s, 3)
	broken := errors.New("broken")
	n, err := s.A.Relay(t.Context(), 10, func(context.Context, domain.EventBatch) (int, string, error) { return 1, "", broken })
	if n != 1 || !errors.Is(err, broken) {
		t.Errorf("Relay = %d, %v, want 1 and the error of send", n, err)
	}
	wantPending(t, s.A, 2)
}

func outboxOneSender(t *testing.T, s OutboxSetup) {
	storeEvents(t, s, 1)
	relay(t, s.A, 10, 1, func(ctx context.Context, batch domain.EventBatch) (int, string, error) {
		n, err := s.B.Relay(ctx, 10, func(context.Context, domain.EventBatch) (int, string, error) {
			t.Error("two send at the same time")
			return 0, "", nil
		})
		if n != 0 || err != nil {
			t.Errorf("the second sender: %d, %v", n, err)
		}
		return len(batch.Events), "", nil
	})
	storeEvents(t, s, 1)
	var k sink
	relay(t, s.B, 10, 1, k.send) // the first has let go
}

func outboxMeanwhile(t *testing.T, s OutboxSetup) {
	first := storeEvents(t, s, 2)
	var later []string
	relay(t, s.A, 10, 2, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		later = storeEvents(t, s, 2) // who writes does not wait for the bus
		return len(batch.Events), "", nil
	})
	wantPending(t, s.A, 2)
	var k sink
	relay(t, s.A, 10, 2, k.send)
	wantIDs(t, append(first, k.ids...), append(first, later...))
}

func outboxRace(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 60)
	var (
		k   sink
		all sync.WaitGroup
	)
	for i := range 4 {
		box := []ports.Outbox{s.A, s.B}[i%2]
		all.Go(func() {
			for left := 1; left > 0; {
				if _, err := box.Relay(t.Context(), 7, k.send); err != nil {
					t.Errorf("Relay: %v", err)
					return
				}
				var err error
				if left, err = box.Pending(t.Context()); err != nil {
					t.Errorf("Pending: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	wantIDs(t, k.ids, ids)
}

func outboxCanceled(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.A.Relay(ctx, 10, func(ctx context.Context, _ domain.EventBatch) (int, string, error) {
		cancel()
		<-ctx.Done()
		return 0, "", ctx.Err()
	})
	wantCanceled(t, "Relay", err)
	var k sink
	Within(t, Patience, "another may send", func() bool { // the database notices a moment later that the first one has gone
		n, err := s.B.Relay(t.Context(), 10, k.send)
		if err != nil {
			t.Fatalf("Relay: %v", err)
		}
		return n == 1
	})
	wantIDs(t, k.ids, ids)
}

func outboxEmpty(t *testing.T, s OutboxSetup) {
	relay(t, s.A, 10, 0, func(context.Context, domain.EventBatch) (int, string, error) {
		t.Error("asked to send nothing")
		return 0, "", nil
	})
	wantPending(t, s.A, 0)
}

// asked relays once, sends so many of what it gets, and returns what that was.
func asked(t *testing.T, o ports.Outbox, limit, count int, place string) (got domain.EventBatch) {
	t.Helper()
	relay(t, o, limit, count, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
		got = batch
		return count, place, nil
	})
	return got
}

func wantBatch(t *testing.T, got domain.EventBatch, doubt bool, since string, ids []string) {
	t.Helper()
	if got.Doubt != doubt || got.Since != since {
		t.Errorf("the batch has doubt %t since %q, want %t since %q", got.Doubt, got.Since, doubt, since)
	}
	var list []string
	for _, e := range got.Events {
		list = append(list, e.ID)
	}
	wantIDs(t, list, ids)
}

func outboxDoubt(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 6)
	wantBatch(t, asked(t, s.A, 3, 0, ""), false, "", ids[:3])
	wantBatch(t, asked(t, s.B, 2, 2, ""), true, "", ids[:2])
	wantBatch(t, asked(t, s.A, 2, 1, ""), true, "", ids[2:3])
	wantBatch(t, asked(t, s.B, 3, 2, ""), false, "", ids[3:])
	wantBatch(t, asked(t, s.A, 2, 1, ""), true, "", ids[5:])
	more := storeEvents(t, s, 1)
	wantBatch(t, asked(t, s.B, 2, 1, ""), false, "", more)
}

func outboxPlace(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 7)
	wantBatch(t, asked(t, s.A, 2, 2, "one"), false, "", ids[:2])
	wantBatch(t, asked(t, s.B, 3, 1, "two"), false, "one", ids[2:5]) // two are in doubt
	wantBatch(t, asked(t, s.A, 1, 1, "three"), true, "one", ids[3:4])
	wantBatch(t, asked(t, s.B, 1, 1, "four"), true, "one", ids[4:5])
	wantBatch(t, asked(t, s.A, 1, 1, ""), false, "four", ids[5:6])
	wantBatch(t, asked(t, s.B, 1, 1, "five"), false, "four", ids[6:])
}

func outboxDeath(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 3)
	func() {
		defer func() { _ = recover() }()
		_, _ = s.A.Relay(t.Context(), 2, func(context.Context, domain.EventBatch) (int, string, error) { panic("dead") })
	}()
	Within(t, Patience, "another may send", func() bool {
		n, err := s.B.Relay(t.Context(), 3, func(_ context.Context, batch domain.EventBatch) (int, string, error) {
			wantBatch(t, batch, true, "", ids[:2])
			return len(batch.Events), "place", nil
		})
		if err != nil {
			t.Fatalf("Relay: %v", err)
		}
		return n > 0
	})
	wantBatch(t, asked(t, s.A, 3, 1, ""), false, "place", ids[2:])
}

// outboxAlone holds because a sender may look for what is in doubt for longer than one call lasts: that must not become more meanwhile.
func outboxAlone(t *testing.T, s OutboxSetup) {
	ids := storeEvents(t, s, 2)
	wantBatch(t, asked(t, s.A, 10, 0, ""), false, "", ids)
	for range 3 {
		ids = append(ids, storeEvents(t, s, 1)...)
		wantBatch(t, asked(t, s.B, 10, 0, ""), true, "", ids[:2])
	}
	wantBatch(t, asked(t, s.A, 10, 2, "place"), true, "", ids[:2])
	wantBatch(t, asked(t, s.B, 10, 3, ""), false, "place", ids[2:])
}

func outboxLoss(t *testing.T, s OutboxSetup) {
	if s.Lose == nil {
		t.Skip("nobody else has the database")
	}
	storeEvents(t, s, 3)
	asked(t, s.A, 10, 0, "")
	s.Lose(t)
	ids := storeEvents(t, s, 3)
	wantBatch(t, asked(t, s.B, 2, 2, "one"), false, "", ids[:2]) // of the others there may be more behind
	wantBatch(t, asked(t, s.A, 2, 1, "two"), false, "one", ids[2:])
	ids = storeEvents(t, s, 1)
	wantBatch(t, asked(t, s.B, 2, 0, ""), false, "two", ids)
	s.Lose(t)
	ids = storeEvents(t, s, 1)
	wantBatch(t, asked(t, s.A, 2, 1, "three"), false, "two", ids)
	ids = storeEvents(t, s, 1)
	wantBatch(t, asked(t, s.B, 2, 1, ""), false, "three", ids)
}
