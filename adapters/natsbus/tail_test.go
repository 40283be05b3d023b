package natsbus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

// listener is a Tail that runs.
type listener struct {
	mu      sync.Mutex
	told    []natsbus.Told
	notices []string
	stop    func() error
}

func listen(t *testing.T, cfg natsbus.TailConfig) *listener {
	t.Helper()
	l := &listener{}
	ready := make(chan struct{}, 1)
	cfg.Now = time.Now
	cfg.Notice = func(text string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.notices = append(l.notices, text); len(l.notices) == 1 {
			ready <- struct{}{}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- natsbus.Tail(ctx, cfg, func(e natsbus.Told) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told = append(l.told, e)
			return nil
		})
	}()
	l.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = l.stop() })
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Tail ended: %v", err)
	}
	return l
}

func (l *listener) want(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	portstest.Within(t, portstest.Patience, fmt.Sprintf("%d events are heard", len(want)), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		got = nil
		for _, e := range l.told {
			got = append(got, e.Subject+" "+e.ID+" "+string(e.Data))
		}
		return len(got) >= len(want)
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("heard\n%q, want\n%q", got, want)
	}
}

func asTold(events []domain.StoredEvent) (lines []string) {
	for _, e := range events {
		lines = append(lines, e.Subject+" "+e.ID+" "+string(e.Data))
	}
	return lines
}

func TestTailShowsWhatTheStreamKeptAndWhatHappens(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	events := storedEvents(600)
	for i := range events[:300] {
		events[i*2].Subject = domain.SubjectUsageRecorded
	}
	send(t, b, events[:500])
	all := listen(t, natsbus.TailConfig{URL: url, SubjectPrefix: prefix, Subject: "gaia.>", Since: time.Hour})
	chats := listen(t, natsbus.TailConfig{URL: url, SubjectPrefix: prefix, Subject: "gaia.*.message.>", Since: time.Hour})
	now := listen(t, natsbus.TailConfig{URL: url, SubjectPrefix: prefix, Subject: "gaia.>"})
	send(t, b, events[500:])
	all.want(t, asTold(events)...)
	var spoken []domain.StoredEvent
	for _, e := range events {
		if e.Subject == domain.SubjectChatComplete {
			spoken = append(spoken, e)
		}
	}
	chats.want(t, asTold(spoken)...)
	now.want(t, asTold(events[500:])...)
	if err := now.stop(); err != nil {
		t.Errorf("Tail ended with %v", err)
	}
}

func TestTailGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	l := listen(t, natsbus.TailConfig{URL: server.URL(), Subject: "gaia.>"})
	send(t, b, storedEvents(1))
	l.want(t, asTold(storedEvents(1))...)
	server.Stop()
	portstest.Within(t, portstest.Patience, "the outage is noticed", func() bool { return !b.Connected() })
	server.Start()
	portstest.Within(t, portstest.Patience, "the reader is back", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.notices) >= 3
	})
	connected(t, b)
	send(t, b, storedEvents(2)[1:])
	l.want(t, asTold(storedEvents(2))...)
}

func TestTailWithoutAStream(t *testing.T) {
	t.Parallel()
	url := coreServer(t)
	never := func(natsbus.Told) error { return nil }
	quiet := func(string) {}
	cfg := natsbus.TailConfig{URL: url, Subject: "gaia.>", Since: time.Hour, Now: time.Now, Notice: quiet}
	if err := natsbus.Tail(t.Context(), cfg, never); err == nil {
		t.Error("a server without JetStream had something to replay")
	}
	cfg = natsbus.TailConfig{URL: "nats://127.0.0.1:1", Subject: "gaia.>", Now: time.Now, Notice: quiet}
	if err := natsbus.Tail(t.Context(), cfg, never); err == nil {
		t.Error("a server that is not there was no error")
	}
	for _, subject := range []string{"", ".", "gaia..x", "gaia.>.x", "gaia.x*", "gaia x", "gaia.\n"} {
		if natsbus.CheckSubject(subject) == nil {
			t.Errorf("%q is a subject", subject)
		}
	}
}
