package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"gaia/adapters/natsbus"
	"gaia/domain"
	"gaia/internal/testenv"
	"gaia/ports/portstest"
)

func TestServicesAsATable(t *testing.T) {
	t.Parallel()
	list := []natsbus.Presence{
		{ServiceHealthEvent: domain.ServiceHealthEvent{ServiceName: "made\x1bup", Details: domain.ServiceDetails{Instance: "zz"}}, Took: time.Millisecond},
		{ServiceHealthEvent: domain.ServiceHealthEvent{ServiceName: "chat", Status: domain.ServiceUnhealthy, Details: domain.ServiceDetails{
			Instance: "b", Version: "v1.2.3", Host: "one", Uptime: 90061, Reason: "database: away",
		}}, Took: 1500 * time.Microsecond},
		{ServiceHealthEvent: domain.ServiceHealthEvent{ServiceName: "gateway", Status: domain.ServiceHealthy, Details: domain.ServiceDetails{Instance: "a", Uptime: 61}}},
	}
	sortPresences(list)
	var plain, coloured, lines bytes.Buffer
	if err := errors.Join(printPresences(&plain, list, false), printPresences(&coloured, list, true), printPresencesJSON(&lines, list)); err != nil {
		t.Fatal(err)
	}
	want := `SERVICE  INSTANCE  STATUS     TIME    BUILD   UPTIME  WHERE  REASON
gateway  a         healthy    0.0 ms  -       1m01s   -      -
chat     b         unhealthy  1.5 ms  v1.2.3  1d01h   one    database: away
made·up  zz        silent     1.0 ms  -       -       -      -
`
	if plain.String() != want {
		t.Errorf("got\n%s, want\n%s", plain.String(), want)
	}
	for _, cell := range []string{"\x1b[32mhealthy\x1b[0m  ", "\x1b[31munhealthy\x1b[0m", "\x1b[31msilent\x1b[0m"} {
		if !strings.Contains(coloured.String(), cell) {
			t.Errorf("no %q in %q", cell, coloured.String())
		}
	}
	var first struct {
		Service  string  `json:"service_name"`
		Status   string  `json:"status"`
		Response float64 `json:"response_time"`
	}
	if n := strings.Count(lines.String(), "\n"); n != 3 {
		t.Errorf("%d lines", n)
	}
	if err := json.NewDecoder(&lines).Decode(&first); err != nil || first.Service != "gateway" || first.Status != domain.ServiceHealthy {
		t.Errorf("%+v, %v", first, err)
	}
}

func TestServicesOfABus(t *testing.T) { // not in parallel: it is about the environment
	t.Chdir(t.TempDir())
	t.Setenv("NATS_URL", "")
	if err := runServices(t.Context(), nil, io.Discard); !errors.Is(err, errNoNeighbours) {
		t.Errorf("without NATS: %v", err)
	}
	if err := runServices(t.Context(), []string{"--colour"}, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("an unknown option: %v", err)
	}
	var help bytes.Buffer
	if err := runServices(t.Context(), []string{"help"}, &help); err != nil || help.String() != servicesUsage {
		t.Errorf("help: %v", err)
	}
	url, prefix := testenv.NATS(t)
	t.Setenv("NATS_URL", url)
	t.Setenv("NATS_SUBJECT_PREFIX", prefix)
	if err := runServices(t.Context(), nil, io.Discard); !errors.Is(err, errNobody) {
		t.Errorf("nobody is there: %v", err)
	}
	bus, err := natsbus.Start(t.Context(), natsbus.Config{URL: url, SubjectPrefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	portstest.Within(t, portstest.Patience, "the bus is connected", bus.Connected)
	for _, service := range []domain.Service{domain.ServiceChat, domain.ServiceAuth} {
		_, stop, err := bus.Serve(natsbus.Described{Service: service, Instance: "i-" + string(service)}, func(context.Context) domain.ServiceHealthEvent {
			return domain.ServiceHealthEvent{ServiceName: string(service), Status: domain.ServiceHealthy, Details: domain.ServiceDetails{Instance: "i-" + string(service), Host: "here"}}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	portstest.Within(t, portstest.Patience, "both are found", func() bool {
		var out bytes.Buffer
		err := runServices(t.Context(), nil, &out)
		rows := strings.Split(out.String(), "\n")
		return err == nil && len(rows) == 4 && strings.Contains(rows[1], "i-auth") && strings.Contains(rows[2], "i-chat") && strings.Contains(rows[2], "healthy") && strings.Contains(rows[2], "here")
	})
}
