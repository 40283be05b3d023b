package natsbus_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

func aState(service domain.Service) func(context.Context) domain.ServiceHealthEvent {
	return func(context.Context) domain.ServiceHealthEvent {
		return domain.ServiceHealthEvent{ServiceName: string(service), Status: domain.ServiceHealthy, Details: domain.ServiceDetails{Instance: "i1", Version: "v1.2.3"}}
	}
}

// TestServicesAreFound finds a service as any client of NATS does.
func TestServicesAreFound(t *testing.T) {
	t.Parallel()
	url, prefix := testenv.NATS(t)
	b := connected(t, start(t, natsbus.Config{URL: url, SubjectPrefix: prefix}))
	id, stop, err := b.Serve(natsbus.Described{Service: domain.ServiceChat, Instance: "i1", Build: "v1.2.3+4f2c9d1", Environment: "test"}, aState(domain.ServiceChat))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ask := func(subject string, into any) {
		t.Helper()
		m, err := conn.Request(subject, []byte("{}"), 5*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		if err := json.Unmarshal(m.Data, into); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	var info micro.Info
	ask("$SRV.INFO.gaia-chat."+id, &info)
	if info.Name != "gaia-chat" || info.Version != "1.2.3+4f2c9d1" || info.Metadata["instance"] != "i1" || len(info.Endpoints) != 1 || info.Endpoints[0].Subject != prefix+domain.SubjectServiceChatRequest {
		t.Errorf("info %+v", info)
	}
	var state domain.ServiceHealthEvent
	ask(prefix+domain.SubjectServiceChatRequest, &state)
	if state.ServiceName != "chat" || state.Status != domain.ServiceHealthy || state.Details.Instance != "i1" {
		t.Errorf("state %+v", state)
	}
	if took, err := b.Ping(t.Context(), domain.ServiceChat, id); err != nil || took <= 0 {
		t.Errorf("ping: %s, %v", took, err)
	}
	all, err := natsbus.AskServices(t.Context(), natsbus.Config{URL: url, SubjectPrefix: prefix})
	if err != nil || len(all) != 1 || all[0].Details.Version != "v1.2.3" || all[0].Took <= 0 {
		t.Errorf("asked all: %+v, %v", all, err)
	}
	stop()
	portstest.Within(t, portstest.Patience, "nobody answers any more", func() bool {
		_, err := b.Ping(t.Context(), domain.ServiceChat, id)
		return err != nil
	})
}

// TestServicesAreFoundAgain: a server that was away learns of a service again, and the process hears that the bus is back.
func TestServicesAreFoundAgain(t *testing.T) {
	t.Parallel()
	server := testenv.StartNATS(t)
	b := connected(t, start(t, natsbus.Config{URL: server.URL()}))
	back, heard := make(chan struct{}, 16), make(chan domain.ServiceHealthEvent, 16)
	if err := b.HearServices(func(e domain.ServiceHealthEvent) { heard <- e }, func() { back <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	for _, build := range []string{"", "dev", "v1", strings.Repeat("ü", 300), "01.2.3"} {
		_, stop, err := b.Serve(natsbus.Described{Service: domain.ServiceAuth, Build: build}, aState(domain.ServiceAuth))
		if err != nil {
			t.Fatalf("build %q: %v", build, err)
		}
		stop()
	}
	id, stop, err := b.Serve(natsbus.Described{Service: domain.ServiceChat}, aState(domain.ServiceChat))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	server.Stop()
	server.Start()
	select {
	case <-back:
	case <-time.After(portstest.Patience):
		t.Fatal("the bus does not come back")
	}
	connected(t, b)
	if _, err := b.Ping(t.Context(), domain.ServiceChat, id); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	b.Publish(t.Context(), domain.Event{Subject: domain.SubjectServiceReady, Payload: aState(domain.ServiceChat)(t.Context())})
	select {
	case e := <-heard:
		if e.Details.Instance != "i1" {
			t.Errorf("heard %+v", e)
		}
	case <-time.After(portstest.Patience):
		t.Error("nothing is heard after the outage")
	}
}
