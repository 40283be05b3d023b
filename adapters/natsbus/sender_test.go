package natsbus_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

func storedEvents(count int) []domain.StoredEvent {
	events := make([]domain.StoredEvent, count)
	for i := range events {
		events[i] = domain.StoredEvent{
			ID: fmt.Sprintf("6ba7b810-9dad-41d1-80b4-%012d", i), Subject: domain.SubjectChatComplete, Data: []byte(fmt.Sprintf(`{"n":%d}`, i)),
		}
	}
	return events
}

func send(t *testing.T, b *natsbus.Bus, events []domain.StoredEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if n, _, err := b.Send(ctx, domain.EventBatch{Events: events}); n != len(events) || err != nil {
		t.Fatalf("Send = %d, %v, want %d", n, err, len(events))
	}
}

// streamOf returns the only stream that has a subject.
func streamOf(t *testing.T, conn *nats.Conn, subject string) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	name, err := js.StreamNameBySubject(t.Context(), subject)
	if err != nil {
		t.Fatalf("no stream for %s: %v", subject, err)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// wantStored compares the whole stream, in order.
func wantStored(t *testing.T, stream jetstream.Stream, prefix string, want []domain.StoredEvent) {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if int(info.State.Msgs) != len(want) {
		t.Fatalf("the stream holds %d events, want %d", info.State.Msgs, len(want))
	}
	for i, e := range want {
		m, err := stream.GetMsg(t.Context(), info.State.FirstSeq+uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != prefix+e.Subject || !bytes.Equal(m.Data, e.Data) || m.Header.Get(nats.MsgIdHdr) != e.ID {
			t.Errorf("event %d: %s %s %s, want %+v", i, m.Subject, m.Header.Get(nats.MsgIdHdr), m.Data, e)
		}
	}
}

func connectTo(t *testing.T, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func TestEventsGoIntoTheStreamOnceAndInOrder(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	a := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	events := storedEvents(300)
	var both sync.WaitGroup
	for _, bus := range []*natsbus.Bus{a, b} { // both make the stream
		both.Go(func() { send(t, bus, nil) })
	}
	both.Wait()
	send(t, a, events[:200])
	send(t, b, events[100:]) // another process sends what the first could not forget, and more
	stream := streamOf(t, connectTo(t, url), prefix+domain.SubjectChatComplete)
	wantStored(t, stream, prefix, events)
	c := stream.CachedInfo().Config
	if !strings.HasPrefix(c.Name, "GAIA_EVENTS_") || c.MaxAge != 7*24*time.Hour || c.MaxBytes <= 0 || c.Duplicates != 10*time.Minute ||
		c.Retention != jetstream.LimitsPolicy || c.Storage != jetstream.FileStorage {
		t.Errorf("the stream is %+v", c)
	}
	var want []string
	for _, of := range []string{"chat", "usage", "asset", "auth", "tool", "workflow"} {
		want = append(want, prefix+"gaia."+of+".>")
	}
	if fmt.Sprint(c.Subjects) != fmt.Sprint(want) {
		t.Errorf("its subjects are %q, want %q", c.Subjects, want)
	}
}

func TestStreamOfAnOperatorIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	conn := connectTo(t, server.URL())
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	own := jetstream.StreamConfig{Name: "GAIA_EVENTS", Subjects: []string{"gaia.chat.>", "other"}, MaxMsgs: 1000}
	if _, err := js.CreateStream(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	send(t, connected(t, start(t, natsbus.Config{URL: server.URL()})), storedEvents(3))
	stream := streamOf(t, conn, domain.SubjectUsageRecorded)
	if c := stream.CachedInfo().Config; c.Name != own.Name || c.MaxMsgs != 1000 || c.MaxAge != 0 || len(c.Subjects) != 7 {
		t.Errorf("the stream is %+v", c)
	}
	wantStored(t, stream, "", storedEvents(3))
}

func TestSubjectsThatAnotherStreamHas(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	js, err := jetstream.New(connectTo(t, server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ALL", Subjects: []string{"gaia.>"}})
	if err != nil {
		t.Fatal(err)
	}
	send(t, connected(t, start(t, natsbus.Config{URL: server.URL()})), storedEvents(3))
	wantStored(t, stream, "", storedEvents(3))
}

func TestStreamThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	send(t, b, storedEvents(1))
	conn := connectTo(t, url)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	name := streamOf(t, conn, prefix+domain.SubjectChatComplete).CachedInfo().Config.Name
	if err := js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	events := storedEvents(2)
	if n, _, err := b.Send(t.Context(), domain.EventBatch{Events: events}); n != 0 || err == nil {
		t.Errorf("Send without a stream = %d, %v", n, err)
	}
	send(t, b, events)
	wantStored(t, streamOf(t, conn, prefix+domain.SubjectChatComplete), prefix, events)
}

func TestSendWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	events := storedEvents(20)
	send(t, b, events[:10])
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if n, _, err := b.Send(ctx, domain.EventBatch{Events: events[10:]}); n != 0 || err == nil {
		t.Errorf("Send to a server that hangs = %d, %v", n, err)
	}
	if took := time.Since(began); took > portstest.Patience/2 {
		t.Errorf("Send took %v", took)
	}
	server.Resume()
	server.Stop()
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	portstest.Quick(t, "Send", func() {
		if n, _, err := b.Send(t.Context(), domain.EventBatch{Events: events}); n != 0 || err == nil {
			t.Errorf("Send to a server that is away = %d, %v", n, err)
		}
	})
	server.Start()
	connected(t, b)
	send(t, b, events[10:]) // some may have arrived before: they are stored once
	wantStored(t, streamOf(t, connectTo(t, server.URL()), domain.SubjectChatComplete), "", events)
}

// coreServer is a NATS server without JetStream.
func coreServer(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not get ready")
	}
	return "nats://" + s.Addr().(*net.TCPAddr).String()
}

func TestServerWithoutJetStream(t *testing.T) {
	t.Parallel()
	url := coreServer(t)
	ear, err := connectTo(t, url).SubscribeSync("gaia.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := ear.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := connected(t, start(t, natsbus.Config{URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))}))
	events := storedEvents(5)
	send(t, b, events[:3])
	send(t, b, events[3:])
	for _, want := range events {
		m, err := ear.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != want.Subject || !bytes.Equal(m.Data, want.Data) || m.Header.Get(nats.MsgIdHdr) != want.ID {
			t.Errorf("heard %+v, want %+v", m, want)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "no JetStream"); n != 1 {
		t.Errorf("the log says %d times that there is no JetStream", n)
	}
}

func TestEventThatIsTooLargeHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	events := storedEvents(3)
	large := events[1]
	large.Data = []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	send(t, b, []domain.StoredEvent{events[0], large, events[2]})
	if b.Lost() != 1 {
		t.Errorf("%d events lost, want the large one", b.Lost())
	}
	wantStored(t, streamOf(t, connectTo(t, url), prefix+domain.SubjectChatComplete), prefix, []domain.StoredEvent{events[0], events[2]})
}

func TestEmbeddedKeepsEventsOverRestarts(t *testing.T) {
	t.Parallel()
	cfg := natsbus.Config{DataDir: t.TempDir()}
	for range 2 { // the second time the stream has all of them
		b := connected(t, start(t, cfg))
		send(t, b, storedEvents(10))
		if n := b.Stored(t); n != 10 {
			t.Errorf("the stream holds %d events, want 10", n)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkSendEmbedded(b *testing.B) {
	for _, batch := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			bus, err := natsbus.Start(b.Context(), natsbus.Config{DataDir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer bus.Close()
			portstest.Within(b, portstest.Patience, "the bus is connected", bus.Connected)
			data := []byte(`{"request_id":"0199cdd5-3f53-7f0c-8a8a-6a1f6f7d1c11","attempt":1,"user_id":"0199cdd5-3f53-7f0c-8a8a-6a1f6f7d1c11","provider":"openai","model":"gpt-4o-mini","input_tokens":1234,"output_tokens":567,"cost_usd":0.000525,"usage_source":"provider","outcome":"completed","timestamp":"2026-02-03T04:05:06.789Z"}`)
			events := make([]domain.StoredEvent, batch)
			sent := 0
			b.ReportAllocs()
			b.ResetTimer()
			for sent < b.N {
				for i := range events {
					events[i] = domain.StoredEvent{ID: fmt.Sprintf("6ba7b810-9dad-41d1-80b4-%012d", sent+i), Subject: domain.SubjectUsageRecorded, Data: data}
				}
				n, _, err := bus.Send(b.Context(), domain.EventBatch{Events: events[:min(batch, b.N-sent)]})
				if err != nil {
					b.Fatal(err)
				}
				sent += n
			}
		})
	}
}
