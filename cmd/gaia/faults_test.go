package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gaia/adapters/sqlite"
	"gaia/domain"
	"gaia/tests/upstream"
)

// The tests of this file break a provider in every way that a socket allows, with the whole program in this process: what the client gets,
// what the ledger says, what the provider says that it served, and that nothing is left behind.

// faultBed is a whole program with one scripted provider, on the embedded default.
type faultBed struct {
	t        *testing.T
	provider *upstream.Server
	url      string
	dataDir  string
	close    func()
}

func newFaultBed(t *testing.T, settings ...string) *faultBed {
	t.Helper()
	provider := upstream.New()
	dir := t.TempDir()
	c, err := loadConfig(filepath.Join(dir, "absent"), append([]string{
		"LOCAL_ACCOUNTS=off", "OPENAI_API_KEY=" + upstream.Key, "OPENAI_BASE_URL=" + provider.OpenAI(), "DEFAULT_LLM_MODEL=gpt-4o-mini", "LLM_MAX_RETRIES=0",
		"STREAM_FIRST_EVENT_WAIT=0.1", "STREAM_PING_INTERVAL=0.05", "LLM_FIRST_TOKEN_TIMEOUT=3", "LLM_IDLE_TIMEOUT=3",
	}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	sys, err := wire(t.Context(), c, dir, "key", log)
	if err != nil {
		t.Fatal(err)
	}
	server := newHTTPServer(sys.handler, c.connections(), sys.load.connection, log)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	b := &faultBed{t: t, provider: provider, url: "http://" + listener.Addr().String(), dataDir: dir}
	closed := false
	b.close = func() {
		if closed {
			return
		}
		closed = true
		server.drain(5 * time.Second)
		<-served
		sys.close()
		provider.CloseClientConnections()
		provider.Close()
	}
	t.Cleanup(b.close)
	return b
}

// ledger reads the rows, the oldest first, as another process would.
func (b *faultBed) ledger() []domain.UsageRecord {
	b.t.Helper()
	store, err := sqlite.Open(b.t.Context(), sqlite.Config{Path: filepath.Join(b.dataDir, databaseFile)})
	if err != nil {
		b.t.Fatal(err)
	}
	defer store.Close()
	rows, err := store.Ledger().Recent(b.t.Context(), "", time.Time{}, 100)
	if err != nil {
		b.t.Fatal(err)
	}
	oldestFirst := make([]domain.UsageRecord, len(rows))
	for i, r := range rows {
		oldestFirst[len(rows)-1-i] = r
	}
	return oldestFirst
}

// heard is what a client got.
type heard struct {
	status   int
	header   http.Header
	text     string // of the answer
	failure  string // the error in a stream, or the detail
	done     int    // [DONE]s
	comments int
}

// The ways to ask.
const (
	inJSON   = "JSON"
	inChunks = "chunks"
	inEvents = "typed events"
)

func (b *faultBed) ask(ctx context.Context, way, model string) (heard, error) {
	b.t.Helper()
	path := "/api/v0.2/chat"
	if way == inEvents {
		path = "/api/v0.2/chat/stream"
	}
	body, err := json.Marshal(map[string]any{"message": "Hello?", "provider": "openai", "model": model, "stream": way != inJSON, "enable_fallback": false})
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "key")
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return heard{}, err
	}
	defer resp.Body.Close()
	h := heard{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode != http.StatusOK || way == inJSON {
		var answer struct{ Response, Detail string }
		err := json.NewDecoder(resp.Body).Decode(&answer)
		h.text, h.failure = answer.Response, answer.Detail
		return h, err
	}
	return h, h.read(resp.Body)
}

// read takes both kinds of streams.
func (h *heard) read(body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case strings.HasPrefix(lines.Text(), ":"):
			h.comments++
		case data == "[DONE]":
			h.done++
		case isData:
			var event struct {
				Type, Content string
				Error         any
				Choices       []struct{ Delta struct{ Content string } }
			}
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				return err
			}
			h.text += event.Content
			for _, c := range event.Choices {
				h.text += c.Delta.Content
			}
			if event.Error != nil {
				h.failure = fmt.Sprint(event.Error)
			}
		}
	}
	return lines.Err()
}

func TestProviderFaults(t *testing.T) {
	const words = "word word word "
	for name, test := range map[string]struct {
		script   upstream.Script
		status   int    // of an answer in one piece, and of a stream when early
		early    bool   // it fails before anything of the answer
		whole    bool   // it does not fail at all
		failure  string // what the client reads
		outcome  domain.Outcome
		source   domain.UsageSource
		complete bool // the provider counts
	}{
		"none":             {script: upstream.Script{}, whole: true, outcome: domain.OutcomeCompleted, source: domain.UsageFromProvider},
		"slow first token": {script: upstream.Script{BeforeFirst: 300 * time.Millisecond}, whole: true, outcome: domain.OutcomeCompleted, source: domain.UsageFromProvider},
		"slow status":      {script: upstream.Script{BeforeStatus: 300 * time.Millisecond}, whole: true, outcome: domain.OutcomeCompleted, source: domain.UsageFromProvider},
		"does not count":   {script: upstream.Script{NoUsage: true}, whole: true, outcome: domain.OutcomeCompleted, source: domain.UsageEstimated},
		"counts with choices": {
			script: upstream.Script{UsageWithChoices: true, Cached: 3}, whole: true, outcome: domain.OutcomeCompleted, source: domain.UsageFromProvider,
		},
		"stall":         {script: upstream.Script{Fault: upstream.Stall, After: 3}, status: 503, failure: "stopped in the middle"},
		"stall at once": {script: upstream.Script{Fault: upstream.Stall, BeforeFirst: 0}, status: 503, failure: "did not begin"},
		"cut":           {script: upstream.Script{Fault: upstream.Cut, After: 3}, status: 503, failure: "provider openai"},
		"cut at once":   {script: upstream.Script{Fault: upstream.Cut}, status: 503, early: true, failure: "provider openai"},
		"bad JSON":      {script: upstream.Script{Fault: upstream.BadJSON, After: 3}, status: 503, failure: "can't read"},
		"binary":        {script: upstream.Script{Fault: upstream.Binary, After: 3}, status: 503, failure: "can't read"},
		"huge event":    {script: upstream.Script{Fault: upstream.HugeEvent, After: 3}, status: 503, failure: "can't read"},
		"endless line":  {script: upstream.Script{Fault: upstream.EndlessLine, After: 3}, status: 503, failure: "can't read"},
		"error inside":  {script: upstream.Script{Fault: upstream.InBandError, After: 3}, status: 503, failure: "failed in the middle"},
		"no finish":     {script: upstream.Script{Fault: upstream.NoFinish, Tokens: 3}, status: 503, failure: "stopped in the middle"},
		"a page":        {script: upstream.Script{Fault: upstream.HTML}, status: 503, early: true, failure: "provider openai"},
		"no JSON, 502":  {script: upstream.Script{Fault: upstream.NotJSON, Status: 502}, status: 503, early: true, failure: "not available"},
		"429":           {script: upstream.Script{Status: 429, Code: "rate_limit_exceeded", RetryAfter: "7"}, status: 429, early: true, failure: "no more requests"},
		"500":           {script: upstream.Script{Status: 500}, status: 503, early: true, failure: "not available"},
		"529":           {script: upstream.Script{Status: 529}, status: 503, early: true, failure: "overloaded"},
		"401":           {script: upstream.Script{Status: 401, Code: "invalid_api_key"}, status: 503, early: true, failure: "credentials"},
		"quota":         {script: upstream.Script{Status: 429, Code: "insufficient_quota"}, status: 503, early: true, failure: "quota"},
		"too long":      {script: upstream.Script{Status: 400, Code: "context_length_exceeded"}, status: 400, early: true, failure: "context window"},
		"filtered":      {script: upstream.Script{Status: 400, Code: "content_filter"}, status: 400, early: true, failure: "filter"},
		"no such model": {script: upstream.Script{Status: 404, Code: "model_not_found"}, status: 404, early: true, failure: "no model"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, way := range []string{inJSON, inChunks, inEvents} {
				t.Run(way, func(t *testing.T) {
					t.Parallel()
					b := newFaultBed(t)
					b.provider.Plays("m", test.script)
					h, err := b.ask(t.Context(), way, "m")
					if err != nil {
						t.Fatal(err)
					}
					partial := ""
					if !test.whole && !test.early && test.script.After+test.script.Tokens > 0 {
						partial = words
					}
					switch {
					case test.whole:
						if h.status != 200 || h.text != strings.Repeat("word ", 20) || h.failure != "" {
							t.Errorf("got %+v", h)
						}
					case way == inJSON || test.early:
						if h.status != test.status || !strings.Contains(h.failure, test.failure) || h.done != 0 {
							t.Errorf("got %+v, want %d %s", h, test.status, test.failure)
						}
					default:
						if h.status != 200 || h.text != partial || !strings.Contains(h.failure, test.failure) {
							t.Errorf("got %+v, want %q and then %s", h, partial, test.failure)
						}
					}
					if way != inJSON && h.status == 200 && h.done != 1 {
						t.Errorf("%d [DONE]", h.done)
					}
					if strings.Contains(h.failure, upstream.Key) {
						t.Errorf("the key got out: %s", h.failure)
					}
					if test.script.RetryAfter != "" && h.header.Get("Retry-After") != test.script.RetryAfter {
						t.Errorf("Retry-After is %q", h.header.Get("Retry-After"))
					}
					if slow := test.script.BeforeFirst + test.script.BeforeStatus; slow > 0 && way != inJSON && h.comments == 0 {
						t.Error("no comment came while the stream was waiting")
					}
					b.close()
					compareBooks(t, b, partial)
				})
			}
		})
	}
}

// compareBooks holds each row of the ledger against what the provider says that it served.
func compareBooks(t *testing.T, b *faultBed, partial string) {
	t.Helper()
	rows, books := b.ledger(), b.provider.Books()
	if len(rows) != len(books) {
		t.Fatalf("%d rows for %d requests: %+v", len(rows), len(books), rows)
	}
	for i, row := range rows {
		served := books[i]
		switch {
		case served.Finished && served.Reported:
			if row.Usage.Source != domain.UsageFromProvider || row.Usage.Input != served.Prompt || row.Usage.Output != served.Sent || row.Outcome != domain.OutcomeCompleted {
				t.Errorf("row %+v, served %+v", row, served)
			}
		case served.Finished:
			if row.Usage.Source != domain.UsageEstimated || row.Usage.Output != domain.EstimateTokens(len("word ")*served.Sent) {
				t.Errorf("row %+v, served %+v", row, served)
			}
		default:
			if row.Usage.Source != domain.UsagePartial || row.Usage.Output != domain.EstimateTokens(len(partial)) || row.Outcome != domain.OutcomeFailed || row.Failure == "" {
				t.Errorf("row %+v, delivered %q", row, partial)
			}
			if (partial == "") != (row.Usage.Input == 0) {
				t.Errorf("row %+v counts a prompt, delivered %q", row, partial)
			}
		}
	}
}

// TestFaultsLeaveNothingBehind runs faults and clients who leave, and counts goroutines.
func TestFaultsLeaveNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b := newFaultBed(t)
	for i, script := range []upstream.Script{
		{}, {Fault: upstream.Stall, After: 3}, {Fault: upstream.Cut, After: 3}, {Fault: upstream.BadJSON, After: 3}, {Status: 500}, {Fault: upstream.EndlessLine},
	} {
		model := fmt.Sprint("m", i)
		b.provider.Plays(model, script)
		for _, way := range []string{inJSON, inChunks, inEvents} {
			if _, err := b.ask(t.Context(), way, model); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.provider.Plays("slow", upstream.Script{Between: 20 * time.Millisecond, Tokens: 1000})
	for _, way := range []string{inJSON, inChunks, inEvents} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, _ = b.ask(ctx, way, "slow") // fails: it leaves
		cancel()
		select {
		case <-b.provider.HungUp():
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the provider goes on for a client who left", way)
		}
	}
	b.close()
	goleak.VerifyNone(t, before)
}
