package portstest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"gaia/domain"
	"gaia/ports"
)

// EventSetup is a publisher and an ear of another service on the same bus.
type EventSetup struct {
	Publisher ports.EventPublisher
	Next      func() (subject string, payload string) // waits for the next event; the subject without the test's prefix
}

// EventPublisher checks everything that ports.EventPublisher demands of a bus that is there. setup runs once for each test.
func EventPublisher(t *testing.T, setup func(t *testing.T) EventSetup) {
	t.Helper()
	t.Run("payloads are what other services read", func(t *testing.T) {
		t.Parallel()
		eventPayloads(t, setup(t))
	})
	t.Run("a caller that has left does not stop an event", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ctx, leave := context.WithCancel(t.Context())
		leave()
		s.Publisher.Publish(ctx, domain.Event{Subject: domain.SubjectServiceReady, Payload: domain.ServiceHealthEvent{}})
		if subject, _ := s.Next(); subject != domain.SubjectServiceReady {
			t.Errorf("heard %q", subject)
		}
	})
	t.Run("events keep their order", func(t *testing.T) {
		t.Parallel()
		eventOrder(t, setup(t))
	})
	t.Run("an event that can't be encoded does not fail the caller", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.Publisher.Publish(t.Context(), domain.Event{Subject: domain.SubjectServiceHealth, Payload: make(chan int)})
		s.Publisher.Publish(t.Context(), domain.Event{Subject: domain.SubjectServiceReady, Payload: domain.ServiceHealthEvent{}})
		if subject, _ := s.Next(); subject != domain.SubjectServiceReady {
			t.Errorf("heard %q", subject)
		}
	})
}

func eventPayloads(t *testing.T, s EventSetup) {
	at := time.Date(2026, 2, 3, 6, 5, 6, 789_000_000, time.FixedZone("elsewhere", 2*60*60))
	persona := "p1"
	warm := domain.ServiceDetails{
		Version: "b1", Instance: "i1", MicroID: "m1", Host: "h1", Services: []domain.Service{domain.ServiceGateway, domain.ServiceChat},
		Uptime: 1.5, Heartbeat: 15, Requests: 2, Connections: 3, MemoryBytes: 4, CPUPercent: 0.5,
	}
	cold := warm
	cold.Reason = "cold"
	const details = `"details":{"version":"b1","instance":"i1","micro_id":"m1","host":"h1","services":["gateway","chat"],"uptime_seconds":1.5,` +
		`"heartbeat_seconds":15,"active_requests":2,"connections":3,"memory_bytes":4,"cpu_percent":0.5`
	tests := []struct {
		subject, literal, want string
		payload                any
	}{
		{
			domain.SubjectServiceHealth, "gaia.service.health",
			`{"service_name":"gateway","status":"starting","timestamp":"2026-02-03T04:05:06.789Z",` + details + `,"reason":"cold"}}`,
			domain.ServiceHealthEvent{ServiceName: "gateway", Status: "starting", Timestamp: at, Details: cold},
		},
		{
			domain.SubjectServiceReady, "gaia.service.ready",
			`{"service_name":"chat","status":"healthy","timestamp":"2026-02-03T04:05:06.789Z",` + details + `}}`,
			domain.ServiceHealthEvent{ServiceName: "chat", Status: "healthy", Timestamp: at, Details: warm},
		},
		{
			domain.SubjectChatStart, "gaia.chat.message.start",
			`{"message_id":"m1","user_id":"u1","persona_id":"p1","status":"started","timestamp":"2026-02-03T04:05:06.789Z","details":null}`,
			domain.ChatMessageEvent{MessageID: "m1", UserID: "u1", PersonaID: &persona, Status: "started", Timestamp: at},
		},
		{
			domain.SubjectChatComplete, "gaia.chat.message.complete",
			`{"message_id":"m1","user_id":"service","persona_id":null,"status":"completed","timestamp":"2026-02-03T04:05:06.789Z","details":{"total_tokens":7}}`,
			domain.ChatMessageEvent{MessageID: "m1", UserID: "service", Status: "completed", Timestamp: at, Details: map[string]any{"total_tokens": 7}},
		},
		{
			domain.SubjectChatFailed, "gaia.chat.message.failed",
			`{"message_id":"m1","user_id":"u1","persona_id":null,"status":"failed","timestamp":"2026-02-03T04:05:06.789Z","details":null}`,
			domain.ChatMessageEvent{MessageID: "m1", UserID: "u1", Status: "failed", Timestamp: at},
		},
	}
	for _, test := range tests {
		s.Publisher.Publish(t.Context(), domain.Event{Subject: test.subject, Payload: test.payload})
		subject, payload := s.Next()
		if subject != test.literal || payload != test.want {
			t.Errorf("heard\n%s %s, want\n%s %s", subject, payload, test.literal, test.want)
		}
	}
}

func eventOrder(t *testing.T, s EventSetup) {
	subjects := []string{domain.SubjectChatStart, domain.SubjectChatComplete, domain.SubjectChatStart, domain.SubjectChatFailed}
	for _, subject := range subjects {
		s.Publisher.Publish(t.Context(), domain.Event{Subject: subject, Payload: domain.ChatMessageEvent{}})
	}
	for _, want := range subjects {
		if got, _ := s.Next(); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

// InvalidationBus checks everything that ports.InvalidationBus demands of one that is there. setup runs once for each test and
// returns two that are connected.
func InvalidationBus(t *testing.T, setup func(t *testing.T) (a, b ports.InvalidationBus)) {
	t.Helper()
	t.Run("the others hear an announcement and the sender does not", func(t *testing.T) {
		t.Parallel()
		a, b := setup(t)
		heardA, heardB := make(chan ports.Invalidation, 4), make(chan ports.Invalidation, 4)
		a.Listen(func(i ports.Invalidation) { heardA <- i }, func() {})
		b.Listen(func(i ports.Invalidation) { heardB <- i }, func() {})
		first := ports.Invalidation{Keys: []ports.CacheKey{{Space: "persona", Name: "p1"}, {Space: "personas:list"}}}
		second := ports.Invalidation{Keys: []ports.CacheKey{{Space: "persona", Name: "p2"}}, RemoteOwed: true}
		third := ports.Invalidation{Keys: []ports.CacheKey{{Space: "persona", Name: "p3"}}}
		announce(t, a, first)
		announce(t, b, second)
		announce(t, a, third)
		// An echo would come before what was announced after it.
		if got := receive(t, heardA, "the announcement of b"); !reflect.DeepEqual(got, second) {
			t.Errorf("a heard %+v, want %+v", got, second)
		}
		for _, want := range []ports.Invalidation{first, third} {
			if got := receive(t, heardB, "the announcements of a"); !reflect.DeepEqual(got, want) {
				t.Errorf("b heard %+v, want %+v", got, want)
			}
		}
	})
}

func announce(t *testing.T, bus ports.InvalidationBus, i ports.Invalidation) {
	t.Helper()
	if err := bus.Announce(t.Context(), i); err != nil {
		t.Fatalf("Announce: %v", err)
	}
}
