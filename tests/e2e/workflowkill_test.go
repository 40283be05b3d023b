package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// boxServer is a tool server with one tool, which remembers the ids of calls: a call that comes again is not executed again.
type boxServer struct {
	url string

	mu       sync.Mutex
	results  map[string]string // by the id of the call
	executed map[string]int    // by arguments
	requests map[string]int    // by the id of the call
	calls    int
	changed  chan struct{}
}

func startBox(t *testing.T) *boxServer {
	t.Helper()
	b := &boxServer{results: map[string]string{}, executed: map[string]int{}, requests: map[string]int{}, changed: make(chan struct{})}
	server := mcp.NewServer(&mcp.Implementation{Name: "box", Version: "1"}, nil)
	server.AddTool(&mcp.Tool{
		Name: "put", Description: "Puts something into the box", InputSchema: json.RawMessage(`{"type":"object","properties":{"what":{"type":"string"}}}`),
	}, b.put)
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	b.url = h.URL
	return b
}

func (b *boxServer) put(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	id, _ := req.Params.Meta["gaia/callId"].(string)
	arguments := string(req.Params.Arguments)
	b.mu.Lock()
	b.calls++
	b.requests[id]++
	_, known := b.results[id]
	if !known {
		b.executed[arguments]++
		b.results[id] = "put " + arguments
	}
	close(b.changed)
	b.changed = make(chan struct{})
	result := b.results[id]
	b.mu.Unlock()
	time.Sleep(rand.N(20 * time.Millisecond)) // the work that a crash interrupts
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: result}}}, nil
}

// after waits for so many more calls, but not longer than a while.
func (b *boxServer) after(calls int, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	b.mu.Lock()
	until := b.calls + calls
	b.mu.Unlock()
	for {
		b.mu.Lock()
		calls, changed := b.calls, b.changed
		b.mu.Unlock()
		if calls >= until {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}

// What the team does.
const (
	killPlans = 3 // each of killTasks tasks
	killTasks = 3 // each of three calls, two of them at once
	killCalls = killPlans * killTasks * 3
)

// teamAnswers makes a provider play a planner and its workers: what it answers depends on nothing but the prompt.
func teamAnswers(body map[string]any) upstream.Script {
	messages, _ := body["messages"].([]any)
	var system, first string
	answers := 0
	for _, m := range messages {
		m, _ := m.(map[string]any)
		content, _ := m["content"].(string)
		switch m["role"] {
		case "system", "developer":
			system += content
		case "user":
			if first == "" {
				first = content
			}
		case "assistant":
			answers++
		}
	}
	script := upstream.Script{BeforeFirst: rand.N(15 * time.Millisecond), Tokens: 1}
	if strings.Contains(system, "You lead a team") {
		script.Word = planOf(first, answers)
		return script
	}
	switch answers {
	case 0:
		script.Calls = []upstream.Call{putCall(first, 1), putCall(first, 2)}
	case 1:
		script.Calls = []upstream.Call{putCall(first, 3)}
	default:
		script.Word = "did " + first
	}
	return script
}

func planOf(task string, round int) string {
	plan := map[string]any{"status": "finished", "answer": "finished " + task, "tasks": []any{}}
	if round < killPlans {
		var tasks []any
		for i := range killTasks {
			tasks = append(tasks, map[string]any{"agent": "packer", "task": fmt.Sprintf("%s, task %d.%d", task, round, i)})
		}
		plan = map[string]any{"status": "working", "answer": "", "tasks": tasks}
	}
	data, err := json.Marshal(plan)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func putCall(task string, n int) upstream.Call {
	return upstream.Call{ID: fmt.Sprintf("call_%d", n), Name: "box__put", Arguments: []string{fmt.Sprintf(`{"what":"%s, call %d"}`, task, n)}}
}

// TestKilledWorkflowsGoOn kills the server again and again while a workflow of many steps runs.
func TestKilledWorkflowsGoOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backend    func(testing.TB) gaiatest.Backend
		repeatable bool
		kills      int
		replicas   int
	}{
		"embedded":                 {gaiatest.Embedded, true, 50, 1},
		"embedded, not repeatable": {gaiatest.Embedded, false, 15, 1},
		"full, two replicas":       {gaiatest.Full, true, 15, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKilling(t, c.backend(t), c.repeatable, c.replicas)
			began := time.Now()
			for kills := 0; kills < c.kills; kills++ {
				k.workflow()
				k.kill()
			}
			k.await()
			k.check(c.kills, time.Since(began))
		})
	}
}

// killing is servers that are killed while they work on workflows, one after the other.
type killing struct {
	t          *testing.T
	box        *boxServer
	provider   *upstream.Server
	servers    []*gaiatest.Server
	user       string
	repeatable bool
	flows      []string // ids; the last one may be running
	ended      map[string]int
}

func newKilling(t *testing.T, b gaiatest.Backend, repeatable bool, replicas int) *killing {
	t.Helper()
	k := &killing{t: t, box: startBox(t), provider: upstream.New(), user: uuid.NewString(), repeatable: repeatable, ended: map[string]int{}}
	t.Cleanup(k.provider.Close)
	k.provider.Answers(teamAnswers)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("packer.md", "---\nname: packer\ndescription: Puts things into the box\ntools: [box/*]\n---\nYou put things into the box.\n")
	tools := write("tools.json", fmt.Sprintf(`{"mcpServers":{"box":{"type":"http","url":%q,"repeatable":%t}}}`, k.box.url, repeatable))
	for range replicas {
		k.servers = append(k.servers, b.Start(t, gaiatest.Settings{
			"OPENAI_BASE_URL": k.provider.OpenAI(), "OPENAI_API_KEY": upstream.Key, "DEFAULT_LLM_MODEL": "gpt-4o-mini",
			"TOOLS_FILE": tools, "AGENTS_DIR": dir, "WORKFLOW_LEASE": "0.5", "LOG_LEVEL": "INFO",
		}))
	}
	return k
}

func (k *killing) client() *gaiatest.Client { return k.servers[0].As(k.user) }

// status looks at the last workflow.
func (k *killing) status() string {
	status, _ := k.client().Get("/api/v1/workflows/" + k.flows[len(k.flows)-1]).Want(http.StatusOK).JSON().At("status").(string)
	return status
}

// workflow sees to it that one is running.
func (k *killing) workflow() {
	if len(k.flows) > 0 {
		status := k.status()
		if status == "pending" || status == "running" {
			return
		}
		k.ended[status]++
	}
	r := k.client().Post("/api/v1/workflows", map[string]any{"kind": "orchestrator", "task": fmt.Sprintf("flow %d", len(k.flows)), "agents": []string{"packer"}})
	id, _ := r.Want(http.StatusOK).JSON().At("id").(string)
	k.flows = append(k.flows, id)
}

// kill kills a server at a random moment, or after a random number of calls, and starts it again.
func (k *killing) kill() {
	victim := k.servers[rand.IntN(len(k.servers))]
	if rand.IntN(2) == 0 {
		time.Sleep(rand.N(400 * time.Millisecond)) // the moment is what is tested
	} else {
		k.box.after(1+rand.IntN(8), 2*time.Second)
	}
	victim.Kill()
	victim.Restart()
}

func (k *killing) await() {
	k.t.Helper()
	gaiatest.Eventually(k.t, time.Minute, "the last workflow ends", func() bool {
		status := k.status()
		return status != "pending" && status != "running"
	})
	k.ended[k.status()]++
}

func (k *killing) check(kills int, took time.Duration) {
	k.t.Helper()
	k.box.mu.Lock()
	defer k.box.mu.Unlock()
	again := 0
	for id, n := range k.box.requests {
		if again += n - 1; id == "" || !k.repeatable && n > 1 {
			k.t.Errorf("the call %q came %d times", id, n)
		}
	}
	for arguments, n := range k.box.executed {
		if n != 1 {
			k.t.Errorf("%s was executed %d times", arguments, n)
		}
	}
	if want := len(k.flows) * killCalls; k.repeatable && len(k.box.executed) != want {
		k.t.Errorf("%d calls were executed, want %d", len(k.box.executed), want)
	}
	for status, n := range k.ended {
		if status != "completed" && (k.repeatable || status != "outcome_unknown") {
			k.t.Errorf("%d workflows ended as %s", n, status)
		}
	}
	k.t.Logf("%d kills in %s: workflows %v, %d calls executed once each, %d requests for calls that had been made before, %d prompts",
		kills, took.Round(time.Second), k.ended, len(k.box.executed), again, len(k.provider.Books()))
}
