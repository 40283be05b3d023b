package natsbus_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

const shortWindow = 100 * time.Millisecond // the least that there can be

// forgetful makes a stream that forgets ids at once.
func forgetful(t *testing.T, conn *nats.Conn, name string, subjects ...string) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: name, Subjects: append(subjects, "probe"), Duplicates: shortWindow, MaxMsgsPerSubject: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// forgotten waits until a stream has forgotten what it took before.
func forgotten(t *testing.T, conn *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	first := true
	portstest.Within(t, portstest.Patience, "the stream forgets", func() bool {
		ack, err := js.Publish(t.Context(), "probe", nil, jetstream.WithMsgID("probe"))
		if err != nil {
			t.Fatal(err)
		}
		again := !ack.Duplicate && !first
		first = false
		return again
	})
}

func sendBatch(t *testing.T, b *natsbus.Bus, batch domain.EventBatch) (place string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n, place, err := b.Send(ctx, batch)
	if n != len(batch.Events) || err != nil {
		t.Fatalf("Send = %d, %v, want %d", n, err, len(batch.Events))
	}
	return place
}

// wantIDsIn compares what a stream holds of events, in its order.
func wantIDsIn(t *testing.T, stream jetstream.Stream, want []domain.StoredEvent) {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		if m, err := stream.GetMsg(t.Context(), seq); err == nil && m.Subject != "probe" {
			got = append(got, m.Header.Get(nats.MsgIdHdr))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("the stream holds %d events, want %d: %q", len(got), len(want), got)
	}
	for i, e := range want {
		if got[i] != e.ID {
			t.Errorf("event %d is %s, want %s", i, got[i], e.ID)
		}
	}
}

func TestWhatIsInDoubtIsLookedForBehindThePlace(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{"own stream": "GAIA_EVENTS", "foreign stream": "ALL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.StartNATS(t)
			conn := connectTo(t, server.URL())
			s := forgetful(t, conn, stream, "gaia.>")
			a := connected(t, start(t, natsbus.Config{URL: server.URL()}))
			b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
			events := storedEvents(60)
			place := sendBatch(t, a, domain.EventBatch{Events: events[:20]})
			sendBatch(t, a, domain.EventBatch{Events: events[20:30], Since: place}) // and dies
			forgotten(t, conn)
			next := sendBatch(t, b, domain.EventBatch{Events: events[20:40], Since: place, Doubt: true})
			forgotten(t, conn)
			sendBatch(t, a, domain.EventBatch{Events: events[30:50], Since: "what nobody has written", Doubt: true})
			sendBatch(t, a, domain.EventBatch{Events: events[50:], Since: next})
			forgotten(t, conn)
			sendBatch(t, b, domain.EventBatch{Events: events[55:], Since: next, Doubt: true}) // all is there
			wantIDsIn(t, s, events)
		})
	}
}

// A look for which one call has not the time goes on with the next.
func TestDoubtInALargeStream(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	conn := connectTo(t, server.URL())
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(10_000))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "GAIA_EVENTS", Subjects: []string{"gaia.>", "other"}, Duplicates: shortWindow, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	events := storedEvents(20)
	sendBatch(t, b, domain.EventBatch{Events: events[:8]})
	const others = 200_000
	for range others {
		if err := conn.Publish("other", nil); err != nil {
			t.Fatal(err)
		}
	}
	portstest.Within(t, portstest.Patience, "the stream has all", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == others+8
	})
	sendBatch(t, b, domain.EventBatch{Events: events[8:10]})
	var calls, reached int
	portstest.Within(t, 2*portstest.Patience, "the events are sent", func() bool {
		calls++
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond+time.Duration(calls)*50*time.Millisecond) // too short for all
		defer cancel()
		n, _, err := b.Send(ctx, domain.EventBatch{Events: events, Doubt: true})
		if next := b.LookedThrough("GAIA_EVENTS"); next < reached {
			t.Errorf("call %d came to %d, the one before to %d", calls, next, reached)
		} else {
			reached = next
		}
		return n == len(events) && err == nil
	})
	t.Logf("%d calls", calls)
	info, err := stream.Info(t.Context())
	if err != nil || info.State.Msgs != others+20 {
		t.Errorf("the stream has %d messages, want %d: %v", info.State.Msgs, others+20, err)
	}
}

// The look is over also when the last messages of the stream were deleted.
func TestDoubtInAStreamWithoutItsEnd(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	conn := connectTo(t, server.URL())
	s := forgetful(t, conn, "GAIA_EVENTS", "gaia.>")
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	events := storedEvents(12)
	place := sendBatch(t, b, domain.EventBatch{Events: events[:10]})
	sendBatch(t, b, domain.EventBatch{Events: events[10:11], Since: place})
	forgotten(t, conn)
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(11); seq <= info.State.LastSeq; seq++ {
		if err := s.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	sendBatch(t, b, domain.EventBatch{Events: events[10:], Since: place, Doubt: true})
	wantIDsIn(t, s, events)
}

func TestPlaceInAStreamThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	conn := connectTo(t, server.URL())
	forgetful(t, conn, "GAIA_EVENTS", "gaia.>")
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	events := storedEvents(30)
	place := sendBatch(t, b, domain.EventBatch{Events: events[:10]})
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "GAIA_EVENTS"); err != nil {
		t.Fatal(err)
	}
	s := forgetful(t, conn, "GAIA_EVENTS", "gaia.>")
	sendBatch(t, b, domain.EventBatch{Events: events[10:25], Since: place}) // the new stream is beyond the place of the old one
	forgotten(t, conn)
	sendBatch(t, b, domain.EventBatch{Events: events[10:], Since: place, Doubt: true})
	wantIDsIn(t, s, events[10:])
}
