package natsbus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg natsbus.Config) *natsbus.Bus {
	t.Helper()
	b, err := natsbus.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Logf("Close: %v", err)
		}
	})
	return b
}

func connected(t *testing.T, b *natsbus.Bus) *natsbus.Bus {
	t.Helper()
	portstest.Within(t, portstest.Patience, "the bus is connected", b.Connected)
	return b
}

func TestEventContract(t *testing.T) {
	t.Parallel()
	portstest.EventPublisher(t, func(t *testing.T) portstest.EventSetup {
		url, prefix := testenv.NATS(t)
		other, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(other.Close)
		ear, err := other.SubscribeSync(prefix + "gaia.>")
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Flush(); err != nil {
			t.Fatal(err)
		}
		return portstest.EventSetup{
			Publisher: start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}),
			Next: func() (string, string) {
				m, err := ear.NextMsg(10 * time.Second)
				if err != nil {
					t.Fatalf("no event: %v", err)
				}
				return strings.TrimPrefix(m.Subject, prefix), string(m.Data)
			},
		}
	})
}

func TestInvalidationContract(t *testing.T) {
	t.Parallel()
	portstest.InvalidationBus(t, func(t *testing.T) (a, b ports.InvalidationBus) {
		url, prefix := testenv.NATS(t)
		cfg := natsbus.Config{URL: url, SubjectPrefix: prefix}
		return connected(t, start(t, cfg)), connected(t, start(t, cfg))
	})
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := connected(t, start(t, natsbus.Config{DataDir: dir}))
	if b.Shared() {
		t.Error("an embedded bus says that it is shared")
	}
	portstest.Within(t, portstest.Patience, "it is healthy", func() bool { // in the 40 ms that a check has
		got := b.Check(t.Context())
		return got.Status == domain.Healthy && got.Detail == "" && got.ResponseTime > 0
	})
	if err := b.Announce(t.Context(), ports.Invalidation{}); err != nil {
		t.Errorf("Announce: %v", err)
	}
	for range 100 {
		b.Publish(t.Context(), domain.Event{Subject: domain.SubjectServiceReady, Payload: domain.ServiceHealthEvent{}})
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if b.Lost() != 0 {
		t.Errorf("%d events lost before Close", b.Lost())
	}
	b.Publish(t.Context(), domain.Event{Subject: domain.SubjectServiceReady, Payload: domain.ServiceHealthEvent{}})
	if b.Lost() != 1 {
		t.Errorf("%d events lost, want the one after Close", b.Lost())
	}
	if _, err := os.Stat(filepath.Join(dir, "nats", "jetstream")); err != nil {
		t.Errorf("JetStream has no folder: %v", err)
	}
}

func TestEmbeddedTwiceInOneProcessAndAgainOnTheSameData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	connected(t, start(t, natsbus.Config{DataDir: t.TempDir()}))
	for range 2 {
		b := connected(t, start(t, natsbus.Config{DataDir: dir}))
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestEmbeddedNeedsAFolder(t *testing.T) {
	t.Parallel()
	if _, err := natsbus.Start(t.Context(), natsbus.Config{}); err == nil {
		t.Error("Start without a folder succeeded")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := natsbus.Start(t.Context(), natsbus.Config{DataDir: file}); err == nil {
		t.Error("Start below a file succeeded")
	}
}

func TestMalformedURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	_, err := natsbus.Start(t.Context(), natsbus.Config{URL: "nats://:secret@host:port"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Start: %v", err)
	}
}

func TestStartDoesNotNeedTheServer(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	server.Stop()
	b := start(t, natsbus.Config{URL: server.URL()})
	if got := b.Check(t.Context()); got.Status != domain.Unhealthy || got.Detail != "NATS is not connected" {
		t.Errorf("Check = %+v", got)
	}
	if err := b.Announce(t.Context(), ports.Invalidation{}); err == nil {
		t.Error("Announce succeeded without a server")
	}
	server.Start()
	connected(t, b)
}

// outage breaks the server, checks that nothing waits, and repairs it.
func outage(t *testing.T, server *testenv.Server, away, back func()) {
	t.Helper()
	b := start(t, natsbus.Config{URL: server.URL()})
	other := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	var missed atomic.Int32
	heard := make(chan ports.Invalidation, 1)
	b.Listen(func(i ports.Invalidation) { heard <- i }, func() {
		if b.Connected() {
			t.Error("connected before the listener knew that it may have missed something")
		}
		missed.Add(1)
	})
	portstest.Within(t, portstest.Patience, "connected for the first time", b.Connected)
	before := missed.Load()
	away()
	portstest.QuickWithin(t, 200*time.Millisecond, "Check", func() { // which waits for 40 ms
		if got := b.Check(t.Context()); got.Status != domain.Unhealthy {
			t.Errorf("Check = %+v", got)
		}
	})
	for range 10_000 { // more than the queue holds
		portstest.Quick(t, "Publish", func() {
			b.Publish(t.Context(), domain.Event{Subject: domain.SubjectChatStart, Payload: domain.ChatMessageEvent{}})
		})
	}
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	back()
	connected(t, b)
	connected(t, other)
	if missed.Load() == before {
		t.Error("the listener was not told that it may have missed something")
	}
	want := ports.Invalidation{Keys: []ports.CacheKey{{Space: "persona", Name: "p1"}}}
	if err := other.Announce(t.Context(), want); err != nil {
		t.Fatalf("Announce after the outage: %v", err)
	}
	select {
	case got := <-heard:
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("heard %v, want %v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing is heard after the outage")
	}
}

func TestServerThatStops(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	outage(t, server, server.Stop, server.Start)
}

func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	outage(t, server, server.Pause, server.Resume)
}

func TestServerThatHangsAtStart(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	server.Pause()
	began := time.Now()
	b := start(t, natsbus.Config{URL: server.URL()})
	if took := time.Since(began); took > portstest.Patience/2 { // the library's own limits add up to a second
		t.Errorf("Start took %v", took)
	}
	server.Resume()
	connected(t, b)
}
