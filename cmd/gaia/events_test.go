package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"gaia/adapters/natsbus"
)

func TestParseEvents(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]tailCommand{
		"tail":                                  {subject: "gaia.>"},
		"tail gaia.chat.>":                      {subject: "gaia.chat.>"},
		"tail gaia.*.message.* --since 10m":     {subject: "gaia.*.message.*", since: 10 * time.Minute},
		"tail --json --since 7d gaia.service.>": {subject: "gaia.service.>", since: 7 * 24 * time.Hour, json: true},
	} {
		if got, err := parseEvents(strings.Fields(line)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "help", "--help", "tail --help", "tail gaia.> -h"} {
		if _, err := parseEvents(strings.Fields(line)); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, line := range []string{"list", "tail a b", "tail gaia.>.x", "tail --since", "tail --since soon", "tail --colour"} {
		if _, err := parseEvents(strings.Fields(line)); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestEventsAsLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 9, 26, 53, 589e6, time.Local)
	e := natsbus.Told{Subject: "gaia.chat.message.complete", ID: "an-id", At: at, Data: []byte(
		`{"message_id":"0195935f-5fa5-7000-8000-3fb2f5a1f0c4","user_id":"u\u001b[31m","persona_id":null,"status":"completed","timestamp":"2026-03-14T09:26:53Z","details":{"n":1}}`)}
	want := "09:26:53.589  gaia.chat.message.complete      0195935f-5fa5-7000-8000-3fb2f5a1f0c4  completed   details={\"n\":1} user_id=u·[31m"
	if got := (eventPrinter{}).line(e); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if got := (eventPrinter{colours: true}).line(e); !strings.Contains(got, "\x1b[32mcompleted") || strings.Contains(got, "u\x1b") {
		t.Errorf("got %q", got)
	}
	long := natsbus.Told{Subject: "gaia.x\x1b]0;", At: at, Data: []byte("\x1b[2J" + strings.Repeat("世", 1000))}
	if got := (eventPrinter{}).line(long); strings.ContainsRune(got, '\x1b') || !strings.HasSuffix(got, "…") {
		t.Errorf("got %q", got)
	}
	for _, e := range []natsbus.Told{e, long} {
		var line struct {
			Time    time.Time
			Subject string
			Payload any
		}
		if err := json.Unmarshal(jsonLine(e), &line); err != nil || line.Subject != e.Subject || !line.Time.Equal(at) || line.Payload == nil {
			t.Errorf("%s: %+v, %v", jsonLine(e), line, err)
		}
	}
}

func TestEventsNeedADoor(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("NATS_URL", "")
	if err := runEvents(t.Context(), []string{"tail"}, io.Discard, io.Discard); !errors.Is(err, errNoDoor) {
		t.Errorf("got %v", err)
	}
}
