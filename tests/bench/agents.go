package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	toolRounds   = 7 // calls one after the other in one answer
	agentSamples = 60
	noteText     = "sixteen words are what a tool gives back here so that nobody measures only empty hands"
)

// toolRow is what a call of one kind of tool costs.
type toolRow struct {
	kind string
	call time.Duration // in a chat: another round with one call, model included
	raw  time.Duration // the same call by an MCP client that is nothing else; zero: there is no way to make it
}

type agentsResult struct {
	tools []toolRow
	plain time.Duration // a chat without tools
	step  time.Duration // of a workflow
	whole time.Duration // a workflow of one step, from the request to its end
}

// noteServer is a server of one tool that does nothing worth measuring.
func noteServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1"}, nil)
	type note struct {
		Text string `json:"text"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "note", Description: "Takes a note"}, func(context.Context, *mcp.CallToolRequest, note) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: noteText}}}, nil, nil
	})
	return s
}

// serveTools is the server of tools over standard input and output.
func serveTools(ctx context.Context) error { return noteServer().Run(ctx, &mcp.StdioTransport{}) }

// toolKinds are the ways to reach a tool, by the name of its server: how a client reaches it directly, and which call of it is made.
type toolKind struct {
	kind, call string
	transport  func() mcp.Transport // nil for what is inside gaia alone
}

func measureAgents(ctx context.Context, o options, dir string) (agentsResult, error) {
	self, err := os.Executable()
	if err != nil {
		return agentsResult{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return agentsResult{}, err
	}
	tools := &http.Server{Handler: mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return noteServer() }, nil), ReadHeaderTimeout: time.Minute}
	go func() { _ = tools.Serve(listener) }()
	defer tools.Close() //nolint:errcheck // the run is over
	url := "http://" + listener.Addr().String()

	data := filepath.Join(dir, "agents")
	settings, err := writeAgents(data, self, url)
	if err != nil {
		return agentsResult{}, err
	}
	server, err := startGaia(ctx, o.gaia, data, settings...)
	if err != nil {
		return agentsResult{}, err
	}
	defer server.kill()
	if _, err := server.awaitReady(ctx); err != nil {
		return agentsResult{}, err
	}
	c := newClient(server.url, 1)
	defer c.close()
	r, err := measureTools(ctx, c, []toolKind{
		{"built in", `files__list_directory {"path":"."}`, nil},
		{"stdio", `stdio__note {"text":"a note"}`, func() mcp.Transport {
			return &mcp.CommandTransport{Command: exec.CommandContext(ctx, self, "-tools")} //nolint:gosec // this very program
		}},
		{"HTTP", `http__note {"text":"a note"}`, func() mcp.Transport { return &mcp.StreamableClientTransport{Endpoint: url} }},
	})
	if err != nil {
		return r, err
	}
	if r.whole, r.step, err = measureSteps(ctx, c); err != nil {
		return r, err
	}
	return r, server.stop()
}

// writeAgents writes the files that name the tools and the one agent, and returns the settings that point to them.
func writeAgents(data, self, url string) ([]string, error) {
	agents := filepath.Join(data, "agents")
	if err := os.MkdirAll(agents, 0o700); err != nil {
		return nil, err
	}
	file, err := json.Marshal(map[string]any{
		"mcpServers": map[string]any{
			"stdio": map[string]any{"command": self, "args": []string{"-tools"}},
			"http":  map[string]any{"type": "http", "url": url},
		},
		"offer": map[string]any{"default": []string{"*"}},
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "tools.json"), file, 0o600); err != nil {
		return nil, err
	}
	agent := "---\nname: worker\ndescription: Does what it is told.\ntools: [\"*\"]\n---\nDo what you are told.\n"
	if err := os.WriteFile(filepath.Join(agents, "worker.md"), []byte(agent), 0o600); err != nil {
		return nil, err
	}
	return []string{"TOOLS_FILE=" + filepath.Join(data, "tools.json"), "AGENTS_DIR=" + agents}, nil
}

// script makes the echo model call a tool so many times, one after the other.
func script(call string, times int) string {
	var b strings.Builder
	for range times {
		b.WriteString("/call " + call + "\n/then\n")
	}
	return b.String() + "/say done"
}

func measureTools(ctx context.Context, c *client, kinds []toolKind) (agentsResult, error) {
	progress("%d chats with tools of each kind", agentSamples)
	var r agentsResult
	var plain []time.Duration
	with := make([][]time.Duration, len(kinds))
	for range agentSamples {
		took, err := askTools(ctx, c, "/say done", 0)
		if err != nil {
			return r, err
		}
		plain = append(plain, took)
		for i, k := range kinds { // in turn, so that a bad moment of the machine meets all
			took, err := askTools(ctx, c, script(k.call, toolRounds), toolRounds)
			if err != nil {
				return r, fmt.Errorf("%s: %w", k.kind, err)
			}
			with[i] = append(with[i], took)
		}
	}
	r.plain = median(plain)
	for i, k := range kinds {
		row := toolRow{kind: k.kind, call: (median(with[i]) - r.plain) / toolRounds}
		if k.transport != nil {
			var err error
			if row.raw, err = rawCall(ctx, k); err != nil {
				return r, fmt.Errorf("%s: %w", k.kind, err)
			}
		}
		r.tools = append(r.tools, row)
	}
	return r, nil
}

// askTools sends one chat that keeps no history, and checks that its tools were called.
func askTools(ctx context.Context, c *client, text string, calls int) (time.Duration, error) {
	body, err := json.Marshal(map[string]any{"model": "echo", "messages": []map[string]string{{"role": "user", "content": text}}})
	if err != nil {
		return 0, err
	}
	a, err := c.expect(ctx, request{method: http.MethodPost, path: "/api/v1/chat/completions", body: body}, http.StatusOK)
	if err != nil {
		return 0, err
	}
	var got struct {
		Response string `json:"response"`
		Metadata struct {
			Events []struct {
				Type string `json:"type"`
			} `json:"tool_events"`
		} `json:"_metadata"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		return 0, err
	}
	used := 0
	for _, e := range got.Metadata.Events {
		if e.Type == "tool_use" {
			used++
		}
	}
	if used != calls || !strings.HasSuffix(got.Response, "done") {
		return 0, fmt.Errorf("%w: %d of %d tools were called: %.500s", errWrong, used, calls, a.body)
	}
	return a.took, nil
}

// rawCall is the median of the same call by a client of the MCP SDK.
func rawCall(ctx context.Context, k toolKind) (time.Duration, error) {
	session, err := mcp.NewClient(&mcp.Implementation{Name: "bench", Version: "1"}, nil).Connect(ctx, k.transport(), nil)
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for range agentSamples * toolRounds {
		begun := time.Now()
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "note", Arguments: map[string]any{"text": "a note"}})
		if err != nil || result.IsError {
			return 0, errors.Join(errWrong, err, session.Close())
		}
		took = append(took, time.Since(begun))
	}
	return median(took), session.Close()
}

// measureSteps compares workflows of one step with longer ones, from the request to the end of their events.
func measureSteps(ctx context.Context, c *client) (whole, step time.Duration, err error) {
	progress("%d workflows", 2*agentSamples)
	const more = 2 * toolRounds // a round is a step of the model and one of the tool
	var short, long []time.Duration
	for range agentSamples {
		for _, w := range []struct {
			calls int
			took  *[]time.Duration
		}{{0, &short}, {toolRounds, &long}} {
			took, steps, err := runWorkflow(ctx, c, script(`files__list_directory {"path":"."}`, w.calls))
			if err != nil {
				return 0, 0, err
			}
			if want := 1 + 2*w.calls; steps != want {
				return 0, 0, fmt.Errorf("%w: a workflow of %d steps, not %d", errWrong, steps, want)
			}
			*w.took = append(*w.took, took)
		}
	}
	return median(short), (median(long) - median(short)) / more, nil
}

func runWorkflow(ctx context.Context, c *client, task string) (took time.Duration, steps int, err error) {
	body, err := json.Marshal(map[string]any{"kind": "agent", "agents": []string{"worker"}, "task": task, "model": "echo"})
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	a, err := c.expect(ctx, request{method: http.MethodPost, path: "/api/v1/workflows", body: body}, http.StatusOK)
	if err != nil {
		return 0, 0, err
	}
	path := a.header.Get("Location")
	events, err := c.expect(ctx, request{method: http.MethodGet, path: path + "/events"}, http.StatusOK)
	if err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	if !strings.Contains(string(events.body), `"completed"`) || !strings.Contains(string(events.body), "[DONE]") {
		return 0, 0, fmt.Errorf("%w: events of a workflow: %.500s", errWrong, events.body)
	}
	return took, strings.Count(string(events.body), `"step_completed"`), nil
}

func (r report) toolTable() table {
	t := table{head: []string{"tool", "a call in a chat", "MCP client alone", "ratio"}}
	for _, row := range r.agents.tools {
		raw, times := "-", "-"
		if row.raw > 0 {
			raw, times = micros(float64(row.raw)), fmt.Sprintf("%.1f", ratio(row.call, row.raw))
		}
		t.add(row.kind, micros(float64(row.call)), raw, times)
	}
	t.add("none: the whole chat", micros(float64(r.agents.plain)), "-", "-")
	return t
}

func (r report) stepTable() table {
	t := table{head: []string{"workflow", "took"}}
	t.add("of one step, from the request to its last event", micros(float64(r.agents.whole)))
	t.add("each step more", micros(float64(r.agents.step)))
	return t
}
