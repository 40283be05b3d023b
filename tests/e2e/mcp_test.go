package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
)

const mcpRoute = "/mcp"

// keyed sends a header with every request.
type keyed struct {
	name, value string
}

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(k.name, k.value)
	return http.DefaultTransport.RoundTrip(r)
}

// generations are the protocols that clients come with: one that agrees on a version first, and one whose requests stand alone.
var generations = []string{"2025-11-25", "2026-07-28"}

// connectMCP connects the official Go client with a key, in one of the generations.
func connectMCP(t *testing.T, server *gaiatest.Server, version, key string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: server.URL() + mcpRoute, HTTPClient: &http.Client{Transport: keyed{"X-API-Key", key}}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	if got := session.InitializeResult().ProtocolVersion; got != version {
		t.Fatalf("the protocol is %s, want %s", got, version)
	}
	return session
}

func onGenerations(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range generations {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// callTool calls a tool and returns its structured result.
func callTool(t *testing.T, s *mcp.ClientSession, name string, arguments map[string]any) map[string]any {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if r.IsError {
		t.Fatalf("%s failed: %s", name, textOf(r))
	}
	out, ok := r.StructuredContent.(map[string]any)
	if !ok {
		t.Fatalf("%s answered %T", name, r.StructuredContent)
	}
	return out
}

func textOf(r *mcp.CallToolResult) string {
	var all []string
	for _, c := range r.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			all = append(all, text.Text)
		}
	}
	return strings.Join(all, "\n")
}

// TestMCPTools: what the tools do is what the operations of the API show.
func TestMCPTools(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		key, _ := newKey(t, server.Client(), map[string]any{})
		c, s := withKey(server, key), connectMCP(t, server, version, key, nil)
		persona := newPersona(t, c, "Ada "+version)

		answer := callTool(t, s, "chat", map[string]any{"message": "Good morning", "persona": "Ada " + version})
		if !strings.Contains(answer["answer"].(string), "Good morning") || answer["model"] != "echo" {
			t.Errorf("chat answered %v", answer)
		}
		usage := answer["usage"].(map[string]any)
		if usage["total_tokens"].(float64) != usage["input_tokens"].(float64)+usage["output_tokens"].(float64) || usage["output_tokens"] == 0.0 {
			t.Errorf("usage is %v", usage)
		}
		if n := c.Get("/api/v1/chat/status").Want(http.StatusOK).JSON().At("message_count"); n != 2.0 {
			t.Errorf("the conversation has %v messages", n)
		}
		id := answer["conversation_id"].(string)
		read := callTool(t, s, "read_conversation", map[string]any{"conversation_id": id})
		messages := read["messages"].([]any)
		if len(messages) != 2 || messages[1].(map[string]any)["content"] != "Good morning" {
			t.Errorf("read_conversation answered %v", read)
		}
		listed := callTool(t, s, "list_conversations", nil)["conversations"].([]any)
		if len(listed) != 1 || listed[0].(map[string]any)["id"] != id {
			t.Errorf("list_conversations answered %v", listed)
		}
		if got := callTool(t, s, "get_persona", map[string]any{"persona": persona}); got["name"] != "Ada "+version {
			t.Errorf("get_persona answered %v", got)
		}
		personas := callTool(t, s, "list_personas", map[string]any{"limit": 1})
		if len(personas["personas"].([]any)) != 1 || personas["total"].(float64) < 2 {
			t.Errorf("list_personas answered %v", personas)
		}
		models := callTool(t, s, "list_models", nil)["models"].([]any)
		if len(models) != 1 || models[0].(map[string]any)["id"] != "echo" {
			t.Errorf("list_models answered %v", models)
		}
		if all := callTool(t, s, "list_models", map[string]any{"all": true})["models"].([]any); len(all) < 5 {
			t.Errorf("of all models there are %d", len(all))
		}
	})
}

func newPersona(t *testing.T, c *gaiatest.Client, name string) (id string) {
	t.Helper()
	draft := map[string]any{"name": name, "description": "Counts.", "system_prompt": "You are " + name + "."}
	return c.Post("/api/v0.2/personas", draft).Want(http.StatusOK).JSON().Text("persona", "id")
}

// TestMCPToolsAreWellDescribed: every tool has a title, a description, both schemas, and hints that agree with what it does.
func TestMCPToolsAreWellDescribed(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	s := connectMCP(t, server, "2026-07-28", gaiatest.APIKey, nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) < 6 {
		t.Fatalf("there are %d tools", len(list.Tools))
	}
	for _, tool := range list.Tools {
		in, _ := tool.InputSchema.(map[string]any)
		if tool.Title == "" || len(tool.Description) < 30 || in["additionalProperties"] != false || tool.OutputSchema == nil {
			t.Errorf("%s: title %q, description %q, schemas %v and %v", tool.Name, tool.Title, tool.Description, in, tool.OutputSchema)
		}
		reads := strings.HasPrefix(tool.Name, "list_") || strings.HasPrefix(tool.Name, "get_") || strings.HasPrefix(tool.Name, "read_") ||
			strings.HasPrefix(tool.Name, "wait_") || strings.HasPrefix(tool.Name, "search_") || strings.HasPrefix(tool.Name, "estimate_")
		if a := tool.Annotations; a == nil || a.ReadOnlyHint != reads {
			t.Errorf("%s: hints are %+v", tool.Name, a)
		}
	}
}

// TestMCPFailuresReadWell: a tool that can't do what it was asked says why, in a result; nothing of the inside shows.
func TestMCPFailuresReadWell(t *testing.T) {
	t.Parallel()
	nobody := uuid.NewString()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		s := connectMCP(t, server, version, gaiatest.APIKey, nil)
		for _, c := range []struct {
			tool      string
			arguments map[string]any
			want      string
		}{
			{"chat", map[string]any{"message": "Hi", "persona": "Nobody"}, "Persona not found: Nobody"},
			{"chat", map[string]any{"message": "Hi", "model": "no-such-model"}, "no-such-model"},
			{"chat", map[string]any{"message": "Hi", "conversation_id": "mine"}, "conversation_id: not the id of a conversation"},
			{"chat", map[string]any{}, "message"},
			{"chat", map[string]any{"message": ""}, "minLength"},
			{"chat", map[string]any{"message": strings.Repeat("x", 100_001)}, "maxLength"},
			{"chat", map[string]any{"message": 5}, "type"},
			{"chat", map[string]any{"message": "Hi", "temperature": 1}, "temperature"},
			{"get_persona", map[string]any{"persona": nobody}, "Persona not found: " + nobody},
			{"read_conversation", map[string]any{"conversation_id": nobody}, "not found"},
			{"list_personas", map[string]any{"limit": 1000}, "maximum"},
		} {
			r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: c.tool, Arguments: c.arguments})
			if err != nil {
				t.Errorf("%s %.80v: %v", c.tool, c.arguments, err)
				continue
			}
			if text := textOf(r); !r.IsError || !strings.Contains(text, c.want) || strings.Contains(text, "domain.") || strings.Contains(text, "sql") {
				t.Errorf("%s %.80v: failed is %t: %.300s", c.tool, c.arguments, r.IsError, text)
			}
		}
		_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "format_disk"})
		wantCode(t, "a tool that is not there", err, jsonrpc.CodeInvalidParams)
		_, err = s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "Nobody"})
		wantCode(t, "a prompt that is not there", err, jsonrpc.CodeInvalidParams)
		_, err = s.ListPrompts(t.Context(), &mcp.ListPromptsParams{Cursor: "?"})
		wantCode(t, "a cursor that nobody gave", err, jsonrpc.CodeInvalidParams)
		for _, uri := range []string{"gaia://personas/" + nobody, "gaia://personas/x", "gaia://personas/", "gaia://conversations/" + nobody, "file:///etc/passwd", "gaia://nothing/1"} {
			_, err = s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
			wantCode(t, uri, err, jsonrpc.CodeInvalidParams)
		}
	})
}

func wantCode(t *testing.T, about string, err error, code int64) {
	t.Helper()
	var failure *jsonrpc.Error
	if !errors.As(err, &failure) || failure.Code != code {
		t.Errorf("%s: %v, want code %d", about, err, code)
	}
}

// TestMCPPromptsAndResources: personas are prompts and resources, conversations are resources.
func TestMCPPromptsAndResources(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		key, _ := newKey(t, server.Client(), map[string]any{})
		s := connectMCP(t, server, version, key, nil)
		name := "Zoë " + version // no ASCII: it travels in a header, too
		id := newPersona(t, withKey(server, key), name)
		prompts, err := s.ListPrompts(t.Context(), nil)
		if err != nil || !slices.ContainsFunc(prompts.Prompts, func(p *mcp.Prompt) bool { return p.Name == name && p.Description == "Counts." }) {
			t.Errorf("prompts are %v, %v", prompts, err)
		}
		prompt, err := s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: name, Arguments: map[string]string{"message": "Hello"}})
		if err != nil || len(prompt.Messages) != 2 || prompt.Messages[0].Content.(*mcp.TextContent).Text != "You are "+name+"." ||
			prompt.Messages[1].Content.(*mcp.TextContent).Text != "Hello" {
			t.Errorf("the prompt is %v, %v", prompt, err)
		}
		resources, err := s.ListResources(t.Context(), nil)
		uri := "gaia://personas/" + id
		if err != nil || !slices.ContainsFunc(resources.Resources, func(r *mcp.Resource) bool { return r.URI == uri }) {
			t.Errorf("resources are %v, %v", resources, err)
		}
		conversation := callTool(t, s, "chat", map[string]any{"message": "Remember this"})["conversation_id"].(string)
		for uri, want := range map[string]string{uri: "You are " + name, "gaia://conversations/" + conversation: "Remember this"} {
			r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
			if err != nil || len(r.Contents) != 1 || r.Contents[0].MIMEType != "application/json" || !strings.Contains(r.Contents[0].Text, want) {
				t.Errorf("%s is %v, %v", uri, r, err)
			}
		}
		templates, err := s.ListResourceTemplates(t.Context(), nil)
		if err != nil || len(templates.ResourceTemplates) < 2 {
			t.Errorf("templates are %v, %v", templates, err)
		}
		for template, want := range map[string]string{"gaia://personas/{id}": id, "gaia://conversations/{id}": conversation} {
			r, err := s.Complete(t.Context(), &mcp.CompleteParams{
				Ref: &mcp.CompleteReference{Type: "ref/resource", URI: template}, Argument: mcp.CompleteParamsArgument{Name: "id", Value: want[:10]},
			})
			if err != nil || !slices.Contains(r.Completion.Values, want) {
				t.Errorf("completion of %s: %v, %v", template, r, err)
			}
		}
	})
}

// TestMCPScopes: each tool asks for the scope of the operation that does the same. Without it a key does not see the tool, and is told why when
// it calls it all the same.
func TestMCPScopes(t *testing.T) {
	t.Parallel()
	scopes := map[string]string{
		"chat": "chat:write", "list_personas": "personas:read", "get_persona": "personas:read", "list_models": "models:read",
		"list_conversations": "chat:read", "read_conversation": "chat:read", "start_workflow": "workflows:write", "cancel_workflow": "workflows:write",
		"get_workflow": "workflows:read", "list_workflows": "workflows:read", "wait_for_workflow": "workflows:read",
		"search_assets": "assets:read", "get_asset": "assets:read", "wait_for_asset": "assets:read", "estimate_asset_cost": "assets:read",
		"generate_asset": "assets:write", "cancel_asset": "assets:write",
	}
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		for _, scope := range []string{"chat:read", "chat:write", "personas:read", "models:read", "workflows:read", "workflows:write", "assets:read", "assets:write", "usage:read"} {
			key, _ := newKey(t, server.Client(), map[string]any{"scopes": []string{scope}})
			s := connectMCP(t, server, version, key, nil)
			list, err := s.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var seen []string
			for _, tool := range list.Tools {
				seen = append(seen, tool.Name)
			}
			for tool, needs := range scopes {
				if slices.Contains(seen, tool) != (needs == scope) {
					t.Errorf("a key for %s sees %v", scope, seen)
				}
				if needs == scope {
					continue
				}
				r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{}})
				if err != nil || !r.IsError || textOf(r) != "This API key lacks the scope "+needs {
					t.Errorf("a key for %s calls %s: %v, %v", scope, tool, r, err)
				}
			}
			prompts, err := s.ListPrompts(t.Context(), nil)
			if err != nil || (len(prompts.Prompts) > 0) != (scope == "personas:read" || scope == "assets:write") {
				t.Errorf("a key for %s sees prompts %v, %v", scope, prompts, err)
			}
			if scope != "assets:write" {
				_, err = s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "request_asset", Arguments: map[string]string{"need": "a sword"}})
				wantCode(t, "the prompt about assets", err, -32000)
			}
			if scope != "assets:read" {
				_, err = s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://assets/" + uuid.NewString() + "/file"})
				wantCode(t, "an asset", err, -32000)
			}
			if scope != "personas:read" {
				_, err = s.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "Mu"})
				wantCode(t, "a prompt", err, -32000)
				_, err = s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://personas/" + uuid.NewString()})
				wantCode(t, "a resource", err, -32000)
			}
		}
	})
}

// TestMCPKeepsCallersApart: nobody reaches what belongs to somebody else.
func TestMCPKeepsCallersApart(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t)
		mine, _ := newKey(t, server.Client(), map[string]any{})
		theirs, _ := newKey(t, server.Client(), map[string]any{})
		me, they := connectMCP(t, server, version, mine, nil), connectMCP(t, server, version, theirs, nil)
		id := callTool(t, me, "chat", map[string]any{"message": "A secret"})["conversation_id"].(string)
		for _, call := range []*mcp.CallToolParams{
			{Name: "read_conversation", Arguments: map[string]any{"conversation_id": id}},
			{Name: "chat", Arguments: map[string]any{"conversation_id": id, "message": "What was it?"}},
		} {
			r, err := they.CallTool(t.Context(), call)
			if err != nil || !r.IsError || strings.Contains(textOf(r), "secret") {
				t.Errorf("%s of another's conversation: %v, %v", call.Name, r, err)
			}
		}
		_, err := they.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://conversations/" + id})
		wantCode(t, "another's conversation", err, jsonrpc.CodeInvalidParams)
		if list := callTool(t, they, "list_conversations", nil); list["total"] != 0.0 {
			t.Errorf("another's list is %v", list)
		}
		r, err := they.Complete(t.Context(), &mcp.CompleteParams{
			Ref: &mcp.CompleteReference{Type: "ref/resource", URI: "gaia://conversations/{id}"}, Argument: mcp.CompleteParamsArgument{Name: "id", Value: id[:4]},
		})
		if err != nil || len(r.Completion.Values) != 0 {
			t.Errorf("another's completion: %v, %v", r, err)
		}
	})
}

// TestMCPProgressAndCancellation: a client that asks for it hears how far a slow answer is, and one that gives up ends it.
func TestMCPProgressAndCancellation(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "0.15"})
		key, _ := newKey(t, server.Client(), map[string]any{})
		heard := make(chan *mcp.ProgressNotificationParams, 100)
		s := connectMCP(t, server, version, key, &mcp.ClientOptions{
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { heard <- r.Params },
		})
		call := &mcp.CallToolParams{Name: "chat", Arguments: map[string]any{"message": strings.Repeat("word ", 200)}, Meta: mcp.Meta{"progressToken": "p"}}
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		done := make(chan error, 1)
		go func() {
			_, err := s.CallTool(ctx, call)
			done <- err
		}()
		before := 0.0
		for range 2 {
			select {
			case p := <-heard:
				if p.Progress <= before || p.ProgressToken != "p" {
					t.Errorf("progress is %+v after %v", p, before)
				}
				before = p.Progress
			case <-time.After(10 * time.Second):
				t.Fatal("no progress")
			}
		}
		giveUp()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the call ended with %v", err)
		}
		c := withKey(server, key)
		gaiatest.Eventually(t, 10*time.Second, "what was said so far is kept", func() bool {
			return c.Get("/api/v1/chat/status").Want(http.StatusOK).JSON().At("message_count") != 0.0
		})
	})
}

// TestMCPManyAtOnce: calls of one client side by side each get their own answer.
func TestMCPManyAtOnce(t *testing.T) {
	t.Parallel()
	onGenerations(t, func(t *testing.T, version string) {
		server := gaiatest.Start(t, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": "500"})
		s := connectMCP(t, server, version, gaiatest.APIKey, nil)
		var running sync.WaitGroup
		for i := range 50 {
			running.Go(func() {
				r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_persona", Arguments: map[string]any{"persona": fmt.Sprintf("Nobody %d", i)}})
				if err != nil || textOf(r) != fmt.Sprintf("Persona not found: Nobody %d", i) {
					t.Errorf("call %d: %v, %v", i, r, err)
				}
			})
		}
		running.Wait()
	})
}

// rawMCP sends a body as a client of no protocol.
func rawMCP(t *testing.T, server *gaiatest.Server, method, body string, header map[string]string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL()+mcpRoute, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "X-API-Key": gaiatest.APIKey,
	} {
		req.Header.Set(name, value)
	}
	for name, value := range header {
		if req.Header.Set(name, value); value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

// startMCP sends a message and returns when the answer begins.
func startMCP(t *testing.T, server *gaiatest.Server, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+mcpRoute, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "X-Api-Key": {gaiatest.APIKey},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestMCPHostileRequests: whatever comes gets the status that docs/mcp.md names, in a form that clients read.
func TestMCPHostileRequests(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"MAX_REQUEST_BODY_MB": "1"})
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	meta := func(version string) string {
		return `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version + `","io.modelcontextprotocol/clientCapabilities":{}}`
	}
	alone := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_models",` + meta("2026-07-28") + `}}`
	newer := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "list_models"}
	with := func(base map[string]string, name, value string) map[string]string {
		more := map[string]string{name: value}
		for k, v := range base {
			if k != name {
				more[k] = v
			}
		}
		return more
	}
	for _, c := range []struct {
		about, method, body string
		header              map[string]string
		status              int
		code                float64 // of JSON-RPC; 0: an error of the API; 1: a result
	}{
		{"a message", "POST", list, nil, 200, 1},
		{"a message of the newer protocol", "POST", alone, newer, 200, 1},
		{"nothing", "POST", "", nil, 400, -32700},
		{"spaces", "POST", "  \n", nil, 400, -32700},
		{"no JSON", "POST", "{nope", nil, 400, -32700},
		{"bytes", "POST", "\x00\xff\xfe", nil, 400, -32700},
		{"text behind", "POST", list + "x", nil, 400, -32700},
		{"two messages", "POST", list + list, nil, 400, -32700},
		{"null", "POST", "null", nil, 400, -32600},
		{"a number", "POST", "5", nil, 400, -32600},
		{"an empty object", "POST", "{}", nil, 400, -32600},
		{"no version", "POST", `{"id":1,"method":"tools/list"}`, nil, 400, -32600},
		{"another version", "POST", `{"jsonrpc":"1.0","id":1,"method":"tools/list"}`, nil, 400, -32600},
		{"an object as id", "POST", `{"jsonrpc":"2.0","id":{},"method":"tools/list"}`, nil, 400, -32600},
		{"null as id", "POST", `{"jsonrpc":"2.0","id":null,"method":"tools/list"}`, nil, 400, -32600},
		{"a fraction as id", "POST", `{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}`, nil, 400, -32600},
		{"a number as method", "POST", `{"jsonrpc":"2.0","id":1,"method":5}`, nil, 400, -32600},
		{"params that are a text", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}`, nil, 200, -32602},
		{"no params", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, nil, 400, -32600},
		{"an answer", "POST", `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 400, -32600},
		{"a batch", "POST", "[" + list + "]", nil, 400, -32600},
		{"an empty batch", "POST", "[]", nil, 400, -32600},
		{"an unknown method", "POST", `{"jsonrpc":"2.0","id":1,"method":"nothing/at/all"}`, nil, 200, -32601},
		{"deep", "POST", strings.Repeat(`{"a":`, 20_000), nil, 400, -32700},
		{"a huge one", "POST", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, 0},
		{"another type", "POST", list, map[string]string{"Content-Type": "text/plain"}, 415, 0},
		{"no type", "POST", list, map[string]string{"Content-Type": ""}, 415, 0},
		{"packed", "POST", list, map[string]string{"Content-Encoding": "gzip"}, 415, 0},
		{"no Accept", "POST", list, map[string]string{"Accept": ""}, 406, -32600},
		{"Accept without streams", "POST", list, map[string]string{"Accept": "application/json"}, 406, -32600},
		{"Accept of anything", "POST", list, map[string]string{"Accept": "*/*"}, 200, 1},
		{"an unknown protocol", "POST", list, map[string]string{"Mcp-Protocol-Version": "1999-01-01"}, 400, -32600},
		{"a protocol to come", "POST", strings.ReplaceAll(alone, "2026-07-28", "2999-01-01"), with(newer, "Mcp-Protocol-Version", "2999-01-01"), 400, -32022},
		{"a session that nobody began", "POST", list, map[string]string{"Mcp-Session-Id": "made-up"}, 200, 1},
		{"a session that is too long", "POST", list, map[string]string{"Mcp-Session-Id": strings.Repeat("x", 200)}, 400, -32600},
		{"an event to go on after", "POST", list, map[string]string{"Last-Event-ID": "1_2"}, 400, -32600},
		{"another method in the header", "POST", alone, with(newer, "Mcp-Method", "tools/list"), 400, -32020},
		{"another tool in the header", "POST", alone, with(newer, "Mcp-Name", "chat"), 400, -32020},
		{"no method in the header", "POST", alone, with(newer, "Mcp-Method", ""), 400, -32020},
		{"no version in the header", "POST", alone, with(newer, "Mcp-Protocol-Version", ""), 400, -32020},
		{"no version in the body", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_models"}}`, newer, 400, -32602},
		{"a version in the header alone", "POST", alone, with(newer, "Mcp-Protocol-Version", "2025-11-25"), 400, -32020},
		{"a foreign page", "POST", list, map[string]string{"Origin": "http://evil.example"}, 403, 0},
		{"a known page", "POST", list, map[string]string{"Origin": "http://localhost:3000"}, 200, 1},
		{"a page without a name", "POST", list, map[string]string{"Origin": "null"}, 403, 0},
		{"GET", "GET", "", nil, 405, 0},
		{"DELETE", "DELETE", "", map[string]string{"Mcp-Session-Id": "made-up"}, 405, 0},
		{"PUT", "PUT", list, nil, 405, 0},
		{"HEAD", "HEAD", "", nil, 405, 2},
		{"no key", "POST", list, map[string]string{"X-API-Key": ""}, 401, 0},
		{"a wrong key", "POST", list, map[string]string{"X-API-Key": "nope"}, 403, 0},
		{"a wrong token", "POST", list, map[string]string{"X-API-Key": "", "Authorization": "Bearer nope"}, 401, 0},
	} {
		status, answer, header := rawMCP(t, server, c.method, c.body, c.header)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %.300s", c.about, status, c.status, answer)
			continue
		}
		if (header.Get("WWW-Authenticate") != "") != (status == http.StatusUnauthorized) || header.Get("X-Request-Id") == "" {
			t.Errorf("%s: headers are %v", c.about, header)
		}
		if c.code == 2 {
			continue
		}
		if _, data, found := strings.Cut(answer, "\ndata: "); found {
			answer = strings.TrimSpace(data)
		}
		var said struct {
			Version string          `json:"jsonrpc"`
			Result  json.RawMessage `json:"result"`
			Error   struct {
				Code    float64 `json:"code"`
				Message string  `json:"message"`
			} `json:"error"`
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil {
			t.Errorf("%s: %v: %.300s", c.about, err, answer)
			continue
		}
		ok := false
		switch c.code {
		case 0:
			ok = said.Detail != ""
		case 1:
			ok = said.Version == "2.0" && said.Result != nil
		default:
			ok = said.Version == "2.0" && said.Error.Code == c.code && said.Error.Message != ""
		}
		if !ok {
			t.Errorf("%s: %.300s", c.about, answer)
		}
	}
	if out := server.Output(); strings.Contains(out, `"level":"ERROR"`) {
		t.Errorf("something was taken for a fault of Gaia:\n%s", out)
	}
}

// TestMCPBehindAProxy: a proxy on the same machine has another name than the server.
func TestMCPBehindAProxy(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+mcpRoute, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "gaia.example.com"
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "X-Api-Key": {gaiatest.APIKey}, "Accept-Encoding": {"gzip"},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was sent
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("status %d, headers %v", resp.StatusCode, resp.Header)
	}
}

// TestMCPCountsAgainstLimits: of requests, of those at once, and of wrong keys.
func TestMCPCountsAgainstLimits(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"RATE_LIMIT_REQUESTS": "2", "RATE_LIMIT_PERIOD": "day"})
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	for i, want := range []int{200, 200, 429} {
		status, answer, header := rawMCP(t, server, "POST", list, nil)
		if status != want || header.Get("X-RateLimit-Limit") != "2" {
			t.Errorf("request %d: status %d, %v: %s", i, status, header, answer)
		}
	}
}

// TestMCPSlowCalls: a call that takes long sends comments, takes a place among those that run, and ends in good order when the server stops.
func TestMCPSlowCalls(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{"ECHO_WORD_DELAY": "0.08", "STREAM_PING_INTERVAL": "0.1", "MAX_CONCURRENT_REQUESTS": "1"})
	body := `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"chat","arguments":{"message":"one two three four five six"}}}`
	resp := startMCP(t, server, body) // has begun with the first comment
	if status, answer, _ := rawMCP(t, server, "POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, nil); status != http.StatusServiceUnavailable {
		t.Errorf("while another runs: %d %s", status, answer)
	}
	server.Terminate()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := string(read)
	if !strings.HasPrefix(answer, ": ping\n\n") || !strings.Contains(answer, "six") || !strings.HasSuffix(answer, "\n\n") {
		t.Errorf("the answer is %q", answer)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestMCPWorkflows: a workflow is started, waited for with progress, shown, listed and cancelled, by its owner alone.
func TestMCPWorkflows(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	mine, _ := newKey(t, server.Client(), map[string]any{})
	theirs, _ := newKey(t, server.Client(), map[string]any{})
	heard := make(chan float64, 100)
	me := connectMCP(t, server, "2026-07-28", mine, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { heard <- r.Params.Progress },
	})
	they := connectMCP(t, server, "2025-11-25", theirs, nil)
	started := callTool(t, me, "start_workflow", map[string]any{"kind": "agent", "task": "Say hello"})
	id := started["id"].(string)
	r, err := me.CallTool(t.Context(), &mcp.CallToolParams{
		Name: "wait_for_workflow", Arguments: map[string]any{"workflow_id": id, "timeout_seconds": 30}, Meta: mcp.Meta{"progressToken": 1},
	})
	if err != nil || r.IsError {
		t.Fatalf("waiting: %v, %v", r, err)
	}
	ended := r.StructuredContent.(map[string]any)
	if ended["status"] != "completed" || ended["output"] == "" || len(ended["steps"].([]any)) == 0 {
		t.Errorf("it ended as %v", ended)
	}
	select {
	case p := <-heard:
		if p != 1 {
			t.Errorf("the first progress is %v", p)
		}
	case <-time.After(5 * time.Second):
		t.Error("no progress")
	}
	if list := callTool(t, me, "list_workflows", map[string]any{"status": "completed"}); list["total"] != 1.0 {
		t.Errorf("the list is %v", list)
	}
	if read, err := me.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://workflows/" + id}); err != nil || !strings.Contains(read.Contents[0].Text, "Say hello") {
		t.Errorf("the resource is %v, %v", read, err)
	}
	for _, tool := range []string{"get_workflow", "wait_for_workflow", "cancel_workflow"} {
		r, err := they.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"workflow_id": id}})
		if err != nil || !r.IsError || strings.Contains(textOf(r), "hello") {
			t.Errorf("%s of another's workflow: %v, %v", tool, r, err)
		}
	}
	_, err = they.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://workflows/" + id})
	wantCode(t, "another's workflow", err, jsonrpc.CodeInvalidParams)
	if list := callTool(t, they, "list_workflows", nil); list["total"] != 0.0 {
		t.Errorf("another's list is %v", list)
	}
	r, err = me.CallTool(t.Context(), &mcp.CallToolParams{Name: "start_workflow", Arguments: map[string]any{"kind": "agent", "task": "x", "agents": []string{"nobody"}}})
	if err != nil || !r.IsError || !strings.Contains(textOf(r), "There is no agent called") {
		t.Errorf("a workflow of nobody: %q, %v", textOf(r), err)
	}
	r, err = me.CallTool(t.Context(), &mcp.CallToolParams{Name: "cancel_workflow", Arguments: map[string]any{"workflow_id": id}})
	if err != nil || !r.IsError {
		t.Errorf("what has ended is cancelled: %v, %v", r, err)
	}
}

// TestMCPFiles: files are resources for who may read files, and nothing outside of their root is.
func TestMCPFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, content := range map[string]string{"notes.txt": "Buy milk", "a b.bin": "\x00\x01"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := gaiatest.Start(t, gaiatest.Settings{"MCP_FILESYSTEM_ROOT": root})
	s := connectMCP(t, server, "2026-07-28", gaiatest.APIKey, nil)
	if r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://files/notes.txt"}); err != nil || r.Contents[0].Text != "Buy milk" {
		t.Errorf("a text is %v, %v", r, err)
	}
	if r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://files/a%20b.bin"}); err != nil || string(r.Contents[0].Blob) != "\x00\x01" {
		t.Errorf("bytes are %v, %v", r, err)
	}
	for _, path := range []string{"../secret", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "nothing.txt", "%", "%00", "."} {
		if r, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://files/" + path}); err == nil {
			t.Errorf("%s is %v", path, r)
		}
	}
	key, _ := newKey(t, server.Client(), map[string]any{"scopes": []string{"chat:read"}})
	_, err := connectMCP(t, server, "2026-07-28", key, nil).ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "gaia://files/notes.txt"})
	wantCode(t, "a file without the scope", err, -32000)
}
