package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// rooms is a tool server that a test can look into.
type rooms struct {
	mu    sync.Mutex
	ids   []string // of calls, as _meta has them
	began chan struct{}
	ended chan time.Time // one for each call of wait that was told to end
}

type roomInput struct {
	Room string `json:"room"`
}

// startRooms serves the tools measure, locked (which fails) and wait (which ends only when it is told to) over HTTP, and returns the settings
// that offer them.
func startRooms(t *testing.T) (*rooms, gaiatest.Settings) {
	t.Helper()
	r := &rooms{began: make(chan struct{}, 64), ended: make(chan time.Time, 64)}
	server := mcp.NewServer(&mcp.Implementation{Name: "rooms", Version: "1"}, nil)
	add := func(name string, do func(context.Context, roomInput) (string, error)) {
		mcp.AddTool(server, &mcp.Tool{Name: name, Description: "Does something with a room."},
			func(ctx context.Context, req *mcp.CallToolRequest, in roomInput) (*mcp.CallToolResult, any, error) {
				r.mu.Lock()
				r.ids = append(r.ids, fmt.Sprint(req.Params.Meta["gaia/callId"]))
				r.mu.Unlock()
				text, err := do(ctx, in)
				if err != nil {
					return nil, nil, err
				}
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
			})
	}
	add("measure", func(_ context.Context, in roomInput) (string, error) { return in.Room + " is 4 by 6 metres", nil })
	add("locked", func(_ context.Context, in roomInput) (string, error) { return "", fmt.Errorf("%s is locked", in.Room) })
	add("wait", func(ctx context.Context, _ roomInput) (string, error) {
		r.began <- struct{}{}
		<-ctx.Done()
		r.ended <- time.Now()
		return "", ctx.Err()
	})
	add("huge", func(context.Context, roomInput) (string, error) { return strings.Repeat("enormous ", 100_000), nil })
	handler := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(func() {
		handler.CloseClientConnections()
		handler.Close()
	})
	file := filepath.Join(t.TempDir(), "tools.json")
	data := fmt.Sprintf(`{"mcpServers": {"rooms": {"type": "http", "url": %q}}, "offer": {"default": ["rooms/*"]}}`, handler.URL)
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, gaiatest.Settings{"TOOLS_FILE": file}
}

// calls returns what the tool server knows of calls so far.
func (r *rooms) calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

// toolAnswer is what a client made of an answer.
type toolAnswer struct {
	text   string
	events []string // as "tool: result" or "tool failed: error"
}

func toolEvent(e map[string]any) string {
	if e["type"] == "tool_error" {
		return fmt.Sprint(e["tool"], " failed: ", e["error"])
	}
	return fmt.Sprint(e["tool"], ": ", e["result"])
}

// toolWays are the forms of answers.
var toolWays = map[string]func(*testing.T, *gaiatest.Client, map[string]any) toolAnswer{
	"JSON, v1": func(t *testing.T, c *gaiatest.Client, body map[string]any) toolAnswer {
		r := c.Post("/api/v1/chat/completions", body).Want(http.StatusOK).JSON()
		if reason := r.At("choices", 0, "finish_reason"); reason != "stop" {
			t.Errorf("the answer ends with %v", reason)
		}
		message, _ := r.At("choices", 0, "message").(map[string]any)
		if _, there := message["tool_calls"]; there {
			t.Errorf("the client is asked to call: %v", message)
		}
		list, _ := r.At("_metadata", "tool_events").([]any)
		return toolAnswer{r.Text("response"), eventsOf(list)}
	},
	"JSON, v0.2": func(_ *testing.T, c *gaiatest.Client, body map[string]any) toolAnswer {
		r := c.Post("/api/v0.2/chat", body).Want(http.StatusOK).JSON()
		list, _ := r.At("tool_events").([]any)
		return toolAnswer{r.Text("response"), eventsOf(list)}
	},
	"typed events": func(t *testing.T, c *gaiatest.Client, body map[string]any) (a toolAnswer) {
		events := c.Stream(t.Context(), typedRoute, body).All()
		for _, e := range events {
			switch e.Fields["type"] {
			case "tool_use", "tool_error":
				a.events = append(a.events, toolEvent(e.Fields))
			case "ready":
				if e.At("cache_hits", "tools") != true {
					t.Errorf("got %s", e.Data)
				}
			}
		}
		a.text = gaiatest.Text(events)
		return a
	},
	"chunks, v1":   chunksOf("/api/v1/chat"),
	"chunks, v0.2": chunksOf("/api/v0.2/chat"),
	"UI messages": func(t *testing.T, c *gaiatest.Client, body map[string]any) (a toolAnswer) {
		names, steps, open := map[string]string{}, 0, false
		for _, e := range c.With("X-Vercel-AI-UI-Message-Stream", "v1").Stream(t.Context(), "/api/v1/chat", with(body, "stream", true)).All() {
			id, _ := e.Fields["toolCallId"].(string)
			switch kind, _ := e.Fields["type"].(string); kind {
			case "start-step":
				if open {
					t.Error("a step begins in a step")
				}
				open = true
				steps++
			case "finish-step":
				open = false
			case "text-delta":
				a.text += e.Text("delta")
			case "tool-input-start":
				if names[id] != "" {
					t.Errorf("two calls have the id %s", id)
				}
				names[id] = e.Text("toolName")
			case "tool-output-available":
				a.events = append(a.events, names[id]+": "+e.Text("output"))
			case "tool-output-error":
				a.events = append(a.events, names[id]+" failed: "+e.Text("errorText"))
			}
			if strings.HasPrefix(fmt.Sprint(e.Fields["type"]), "tool-") && e.Fields["type"] != "tool-input-delta" && (e.Fields["providerExecuted"] != true || e.Fields["dynamic"] != true || !open) {
				t.Errorf("got %s", e.Data)
			}
		}
		if steps != 4 {
			t.Errorf("%d steps", steps)
		}
		return a
	},
}

func eventsOf(list []any) (events []string) {
	for _, e := range list {
		event, _ := e.(map[string]any)
		events = append(events, toolEvent(event))
	}
	return events
}

// chunksOf reads OpenAI chunks, in which no call may be for the client.
func chunksOf(path string) func(*testing.T, *gaiatest.Client, map[string]any) toolAnswer {
	return func(t *testing.T, c *gaiatest.Client, body map[string]any) (a toolAnswer) {
		events := c.Stream(t.Context(), path, with(body, "stream", true)).All()
		checkChunks(t, events, false)
		for _, e := range events {
			if strings.Contains(e.Data, "tool_calls") {
				t.Errorf("the client is asked to call: %s", e.Data)
			}
			if event, ok := e.Fields["tool_event"].(map[string]any); ok {
				a.events = append(a.events, toolEvent(event))
				if delta, _ := e.At("choices", 0, "delta").(map[string]any); len(delta) > 0 {
					t.Errorf("an event beside something else: %s", e.Data)
				}
			}
		}
		a.text = gaiatest.Text(events)
		return a
	}
}

// sentBack is what a provider got after the question, as words; ids are replaced by their number.
type sentBack struct {
	ids   []string
	words []string
}

func (s *sentBack) id(v any) string {
	id, _ := v.(string)
	if !slices.Contains(s.ids, id) {
		s.ids = append(s.ids, id)
	}
	return fmt.Sprint("#", slices.Index(s.ids, id))
}

// openAIWords reads the messages of OpenAI's format.
func openAIWords(body map[string]any) []string {
	var s sentBack
	messages, _ := body["messages"].([]any)
	for _, m := range messages[len(messages)-7:] {
		m, _ := m.(map[string]any)
		word := fmt.Sprint(m["role"])
		if text, ok := m["content"].(string); ok {
			word += " " + text
		}
		calls, _ := m["tool_calls"].([]any)
		for _, c := range calls {
			c, _ := c.(map[string]any)
			f, _ := c["function"].(map[string]any)
			word += fmt.Sprint(" ", s.id(c["id"]), "=", f["name"], f["arguments"])
		}
		if id := m["tool_call_id"]; id != nil {
			word += " for " + s.id(id)
		}
		s.words = append(s.words, word)
	}
	return s.words
}

// anthropicWords reads the messages of Anthropic's format.
func anthropicWords(body map[string]any) []string {
	var s sentBack
	messages, _ := body["messages"].([]any)
	for _, m := range messages[len(messages)-6:] {
		m, _ := m.(map[string]any)
		word := fmt.Sprint(m["role"])
		blocks, _ := m["content"].([]any)
		for _, b := range blocks {
			b, _ := b.(map[string]any)
			switch b["type"] {
			case "text":
				word += fmt.Sprintf(" %q", b["text"])
			case "tool_use":
				input, _ := json.Marshal(b["input"])
				word += fmt.Sprint(" ", s.id(b["id"]), "=", b["name"], string(input))
			case "tool_result":
				content, _ := b["content"].([]any)
				text, _ := content[0].(map[string]any)
				word += fmt.Sprintf(" %q for %s", text["text"], s.id(b["tool_use_id"]))
			}
		}
		s.words = append(s.words, word)
	}
	return s.words
}

// toolScript is two tools in a row, then words and two calls at once, one of which fails, then the answer.
func toolScript(s upstream.Script) []upstream.Script {
	roomCall := func(id, tool, room string) upstream.Call {
		return upstream.Call{ID: id, Name: "rooms__" + tool, Arguments: []string{`{"ro`, `om":"` + room + `"}`}}
	}
	first, second, third := s, s, s
	first.Calls = []upstream.Call{roomCall("aaaaaaaa1", "measure", "hall")}
	second.Calls = []upstream.Call{roomCall("aaaaaaaa2", "measure", "kitchen")}
	third.Calls = []upstream.Call{roomCall("aaaaaaaa3", "measure", "attic"), roomCall("aaaaaaaa4", "locked", "cellar")}
	third.Tokens, third.Word = 1, "Two more."
	return []upstream.Script{first, second, third, {Tokens: 3}}
}

var toolEvents = []string{
	"rooms__measure: hall is 4 by 6 metres", "rooms__measure: kitchen is 4 by 6 metres", "rooms__measure: attic is 4 by 6 metres",
	"rooms__locked failed: cellar is locked",
}

// TestToolsOfEachProvider has each provider's format ask for tools of Gaia's own, and looks at what goes back to it, in every form that an
// answer has.
func TestToolsOfEachProvider(t *testing.T) {
	t.Parallel()
	openAI := []string{
		"user Measure!", `assistant #0=rooms__measure{"room":"hall"}`, "tool hall is 4 by 6 metres for #0",
		`assistant #1=rooms__measure{"room":"kitchen"}`, "tool kitchen is 4 by 6 metres for #1",
		`assistant Two more. #2=rooms__measure{"room":"attic"} #3=rooms__locked{"room":"cellar"}`,
		"tool attic is 4 by 6 metres for #2", "tool Error: cellar is locked for #3",
	}[1:]
	anthropic := []string{
		`assistant #0=rooms__measure{"room":"hall"}`, `user "hall is 4 by 6 metres" for #0`,
		`assistant #1=rooms__measure{"room":"kitchen"}`, `user "kitchen is 4 by 6 metres" for #1`,
		`assistant "Two more." #2=rooms__measure{"room":"attic"} #3=rooms__locked{"room":"cellar"}`,
		`user "attic is 4 by 6 metres" for #2 "Error: cellar is locked" for #3`,
	}
	for name, test := range map[string]struct {
		settings func(*upstream.Server) gaiatest.Settings
		model    string
		script   upstream.Script
		words    func(map[string]any) []string
		want     []string
	}{
		"openai": {func(p *upstream.Server) gaiatest.Settings {
			return gaiatest.Settings{"OPENAI_BASE_URL": p.OpenAI(), "OPENAI_API_KEY": upstream.Key}
		}, "gpt-4o-mini", upstream.Script{}, openAIWords, openAI},
		"claude": {func(p *upstream.Server) gaiatest.Settings {
			return gaiatest.Settings{"ANTHROPIC_BASE_URL": p.Anthropic(), "ANTHROPIC_API_KEY": upstream.Key}
		}, "claude-3-haiku-20240307", upstream.Script{}, anthropicWords, anthropic},
		"gemini": {func(p *upstream.Server) gaiatest.Settings {
			return gaiatest.Settings{"GEMINI_BASE_URL": p.OpenAI(), "GOOGLE_API_KEY": upstream.Key}
		}, "gemini-2.0-flash", upstream.Script{Google: true}, openAIWords, openAI},
		"mistral": {func(p *upstream.Server) gaiatest.Settings {
			return gaiatest.Settings{"MISTRAL_BASE_URL": p.OpenAI(), "MISTRAL_API_KEY": upstream.Key}
		}, "mistral-small-latest", upstream.Script{Whole: true}, openAIWords, openAI},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := upstream.New()
			t.Cleanup(provider.Close)
			tools, offer := startRooms(t)
			server := gaiatest.Start(t, test.settings(provider), offer)
			for way, ask := range toolWays {
				t.Run(way, func(t *testing.T) {
					provider.Plays(test.model, toolScript(test.script)...)
					body := map[string]any{"message": "Measure!", "provider": name, "model": test.model}
					a := ask(t, server.As(uuid.NewString()), body)
					if a.text != "Two more.\n\nword word word " || !reflect.DeepEqual(a.events, toolEvents) {
						t.Errorf("got %q with %q", a.text, a.events)
					}
					books := provider.Books()
					last := books[len(books)-1]
					if got := test.words(last.Body); !reflect.DeepEqual(got, test.want) {
						t.Errorf("sent back\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
					}
					if offered, _ := last.Body["tools"].([]any); len(offered) != 4 {
						t.Errorf("%d tools are offered", len(offered))
					}
				})
			}
			if n, ids := len(tools.calls()), tools.calls(); n != 4*len(toolWays) {
				t.Errorf("%d calls for %d answers: %q", n, len(toolWays), ids)
			}
		})
	}
}

// TestToolsOfEcho is the same with the model that needs no key.
func TestToolsOfEcho(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		_, offer := startRooms(t)
		server := b.Start(t, offer)
		const script = `/call rooms__measure {"room":"hall"}
/then
/call rooms__measure {"room":"kitchen"}
/then
/say Two more.
/call rooms__measure {"room":"attic"}
/call rooms__locked {"room":"cellar"}
/then
/say Done.`
		for way, ask := range toolWays {
			t.Run(way, func(t *testing.T) {
				c := server.As(uuid.NewString())
				a := ask(t, c, map[string]any{"message": script, "model": "echo"})
				if a.text != "Two more.\n\nDone." || !reflect.DeepEqual(a.events, toolEvents) {
					t.Errorf("got %q with %q", a.text, a.events)
				}
				wantCount(t, c, 2)
			})
		}
	})
}

// TestRepeatedRequestWithTools: a repeated request gets what the first got, tools included, here and on another replica, and calls nothing; a
// stream goes on after any event.
func TestRepeatedRequestWithTools(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		tools, offer := startRooms(t)
		server := b.Start(t, offer)
		replica := server
		if b.Name == "full" {
			replica = b.Start(t, offer)
		}
		body := map[string]any{"message": "/say Well.\n/call rooms__measure {\"room\":\"hall\"}\n/call rooms__locked {\"room\":\"cellar\"}", "model": "echo"}
		user := uuid.NewString()
		for _, way := range []struct {
			name, path, ui string
			body           map[string]any
		}{
			{"typed", typedRoute, "", body}, {"chunks", "/api/v1/chat", "", with(body, "stream", true)}, {"ui", "/api/v1/chat", "v1", with(body, "stream", true)},
		} {
			header := func(s *gaiatest.Server) *gaiatest.Client {
				c := s.As(user).With("Idempotency-Key", way.name)
				if way.ui != "" {
					c = c.With("X-Vercel-AI-UI-Message-Stream", way.ui)
				}
				return c
			}
			first := header(server).Stream(t.Context(), way.path, way.body).All()
			toolLines := 0
			for _, e := range first {
				if strings.Contains(e.Data, "hall is 4 by 6 metres") || strings.Contains(e.Data, "cellar is locked") {
					toolLines++
				}
			}
			if toolLines < 2 {
				t.Errorf("%s: tools are told of in %d events", way.name, toolLines)
			}
			for _, s := range []*gaiatest.Server{server, replica} {
				wantSameEvents(t, way.name, header(s).Stream(t.Context(), way.path, way.body).All(), first)
				middle := len(first) / 2
				wantSameEvents(t, way.name+" from the middle", header(s).With("Last-Event-ID", first[middle].ID).Stream(t.Context(), way.path, way.body).All(), first[middle+1:])
			}
		}
		for i, path := range jsonRoutes {
			key := fmt.Sprint("json-", i)
			first := server.As(user).With("Idempotency-Key", key).Post(path, body).Want(http.StatusOK)
			if !strings.Contains(string(first.Body), "hall is 4 by 6 metres") {
				t.Errorf("%s: got %s", path, first.Body)
			}
			again := replica.As(user).With("Idempotency-Key", key).Post(path, body).Want(http.StatusOK)
			if string(again.Body) != sameRequestID(first, again) {
				t.Errorf("%s: got %s, want %s", path, again.Body, first.Body)
			}
		}
		if n := len(tools.calls()); n != 2*(3+len(jsonRoutes)) {
			t.Errorf("%d calls", n)
		}
	})
}

// wantSameEvents compares events but for their times, which typed events have of their own.
func wantSameEvents(t *testing.T, what string, got, want []gaiatest.Event) {
	t.Helper()
	plain := func(events []gaiatest.Event) (list []string) {
		for _, e := range events {
			delete(e.Fields, "timestamp")
			delete(e.Fields, "parallel_fetch_ms")
			data, _ := json.Marshal(e.Fields)
			list = append(list, e.ID+" "+string(data))
		}
		return list
	}
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// TestLeavingStopsTools: a client that hangs up while a tool runs has it canceled, and no ping goes missing before.
func TestLeavingStopsTools(t *testing.T) {
	t.Parallel()
	tools, offer := startRooms(t)
	server := gaiatest.Start(t, offer, gaiatest.Settings{"STREAM_PING_INTERVAL": "0.05", "STREAM_FIRST_EVENT_WAIT": "0.1"})
	body := map[string]any{"message": "/say Well.\n/call rooms__wait {\"room\":\"hall\"}", "model": "echo"}
	for name, path := range map[string]string{"typed": typedRoute, "chunks": "/api/v1/chat"} {
		ctx, leave := context.WithCancel(t.Context())
		stream := server.As(uuid.NewString()).Stream(ctx, path, with(body, "stream", true))
		<-tools.began
		for pings := 0; pings < 2; {
			line, err := stream.Line()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, ":") {
				pings++
			}
		}
		leave()
		stream.Close()
		select {
		case <-tools.ended:
		case <-time.After(patience):
			t.Errorf("%s: the tool goes on for a client who left", name)
		}
	}
}

// TestClientsOwnToolsComeBack: who brings tools gets the calls and none of Gaia's.
func TestClientsOwnToolsComeBack(t *testing.T) {
	t.Parallel()
	tools, offer := startRooms(t)
	server := gaiatest.Start(t, offer)
	body := map[string]any{
		"model": "echo", "messages": []any{map[string]any{"role": "user", "content": `/call rooms__measure {"room":"hall"}`}},
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "rooms__measure"}}},
	}
	r := server.Client().Post("/api/v1/chat/completions", body).Want(http.StatusOK).JSON()
	if r.At("choices", 0, "message", "tool_calls", 0, "function", "name") != "rooms__measure" || r.At("choices", 0, "finish_reason") != "tool_calls" {
		t.Errorf("got %v", r.Fields)
	}
	none := with(with(body, "tools", nil), "tool_choice", "none")
	r = server.Client().Post("/api/v1/chat/completions", none).Want(http.StatusOK).JSON()
	if !strings.Contains(r.Text("response"), "You said") {
		t.Errorf("got %v", r.Fields)
	}
	if n := len(tools.calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}
