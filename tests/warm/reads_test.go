package warm

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"gaia/tests/gaiatest"
)

// cachesOff are all settings of how long something is kept.
var cachesOff = gaiatest.Settings{
	"API_KEY_CACHE_TTL": "0", "PERSONA_CACHE_TTL": "0", "PERSONA_LIST_CACHE_TTL": "0", "PERSONA_LIST_ALL_CACHE_TTL": "0", "USER_PREF_CACHE_TTL": "0",
	"AUTH_CACHE_TTL": "0",
}

// background are reads that no request waits for: they come with time and after writes, with caches and without.
var background = []string{"LockOutbox", "ListEvents", "OutboxState", "ListWaitingGenerations", "ListWaitingWorkflows"}

const (
	rounds = 3
	// fewer is how many reads less there must be with caches, in percent.
	fewer = 50
)

// TestCachesSaveReadsOfTheDatabase runs the program on PostgreSQL and counts what it reads there for the same requests, with caches and
// without. Chats are among the requests: personas, choices and keys are stable, conversations grow.
func TestCachesSaveReadsOfTheDatabase(t *testing.T) {
	t.Parallel()
	off, requests := countReads(t, cachesOff)
	on, _ := countReads(t, gaiatest.Settings{})
	without, with := 0, 0
	t.Logf("%-70s %8s %8s", "reads", "off", "on")
	for _, name := range slices.Sorted(maps.Keys(off)) {
		t.Logf("%-70s %8d %8d", name, off[name], on[name])
		without += off[name]
		with += on[name]
	}
	t.Logf("%d requests: %.2f reads each without caches, %.2f with: %.0f %% fewer",
		requests, float64(without)/float64(requests), float64(with)/float64(requests), 100-100*float64(with)/float64(without))
	if with*100 > without*(100-fewer) {
		t.Errorf("%d reads with caches, %d without: want %d %% fewer", with, without, fewer)
	}
	// Each setting turns off what it says, and what is turned on is not read again.
	for name, want := range map[string]int{
		"GetKeyByHash": requests, "ListActivePersonas": 2 * callers * rounds, "ListPersonas": callers * rounds, "GetPreference": 8 * callers * rounds,
	} {
		if off[name] < want || on[name] != 0 {
			t.Errorf("%s was read %d times without caches and %d times with, want at least %d and none", name, off[name], on[name], want)
		}
	}
}

// countReads counts what a server that has seen the traffic once reads for it from then on.
func countReads(t *testing.T, settings gaiatest.Settings) (reads map[string]int, requests int) {
	t.Helper()
	backend := gaiatest.Full(t)
	counted, through := countStatements(t, backend.Settings["DATABASE_URL"])
	server := backend.Start(t, settings, gaiatest.Settings{"DATABASE_URL": through, "LOG_LEVEL": "INFO", "ASSET_GENERATED_PUBLIC": "true"})
	traffic := prepare(t, server)
	traffic.round(t)
	counted.take()
	for range rounds {
		requests += traffic.round(t)
	}
	reads = counted.take()
	for _, name := range background {
		delete(reads, name)
	}
	return reads, requests
}

const callers = 5

type caller struct {
	*gaiatest.Client
	conversation string
}

type traffic struct {
	callers []*caller
	persona string
	asset   string
}

func prepare(t *testing.T, s *gaiatest.Server) *traffic {
	t.Helper()
	tr := &traffic{}
	global := s.Client()
	for n := range 10 {
		persona := map[string]any{"name": fmt.Sprint("Persona ", n), "description": "One of ten", "system_prompt": "You are one of ten."}
		tr.persona = global.Post("/api/v0.2/personas", persona).Want(http.StatusOK).JSON().Text("persona", "id")
	}
	sword := map[string]any{
		"category": "prop", "style": "fantasy", "description": "A glowing magical sword with runes", "preferences": map[string]any{"max_wait_time_ms": 60_000},
	}
	tr.asset = global.Post("/api/v1/assets/generate", sword).Want(http.StatusOK).JSON().Text("asset_id")
	for n := range callers {
		user := s.As(fmt.Sprintf("00000000-0000-4000-8000-%012d", n+1))
		key := user.Post("/api/v1/auth/api-keys", map[string]any{"name": "traffic"}).Want(http.StatusOK).JSON().Text("api_key")
		c := &caller{Client: s.Anonymous().With("X-Api-Key", key)}
		c.conversation = c.Post("/api/v1/conversations", map[string]any{"title": "Traffic"}).Want(http.StatusOK).JSON().Text("id")
		c.Post("/api/v0.2/personas/set", map[string]any{"persona_id": tr.persona}).Want(http.StatusOK)
		tr.callers = append(tr.callers, c)
	}
	return tr
}

// round sends the requests of every caller, each with a key of their own.
func (tr *traffic) round(t *testing.T) (requests int) {
	t.Helper()
	for _, c := range tr.callers {
		for _, r := range c.requests(tr) {
			got := c.Do(r)
			if got.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", r.Path, got.Status, got.Body)
			}
			requests++
		}
	}
	return requests
}

func get(path string) gaiatest.Request { return gaiatest.Request{Method: http.MethodGet, Path: path} }

func post(path string, body map[string]any) gaiatest.Request {
	return gaiatest.Request{Method: http.MethodPost, Path: path, Body: body}
}

// requests are twenty of one caller.
func (c *caller) requests(tr *traffic) []gaiatest.Request {
	question := map[string]any{"message": "What is a mirror?", "conversation_id": c.conversation}
	openAI := map[string]any{"model": "echo", "messages": []map[string]any{{"role": "user", "content": "What is a lens?"}}}
	return []gaiatest.Request{
		get("/api/v0.2/personas"), get("/api/v0.2/personas/current"), get("/api/v0.2/models"), get("/api/v1/conversations"),
		post("/api/v0.2/chat", question), post("/api/v1/chat", question), post("/api/v0.2/chat/stream", question), post("/api/v1/chat/completions", openAI),
		get("/api/v1/assets/search?query=sword"), get("/api/v1/assets/" + tr.asset),
		get("/api/v0.2/personas/current"), get("/api/v0.2/personas/" + tr.persona), get("/api/v0.2/personas"),
		post("/api/v0.2/chat", question), post("/api/v0.2/chat/stream", question), post("/api/v1/chat/completions", openAI),
		get("/api/v1/conversations/" + c.conversation + "/messages"), get("/api/v0.2/usage/current"),
		get("/api/v0.2/personas?active_only=false"), get("/api/v0.2/chat/status"),
	}
}
