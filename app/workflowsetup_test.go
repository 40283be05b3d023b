package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// fakeQueue hands out what is put in, in one process.
type fakeQueue struct {
	mu      sync.Mutex
	items   chan string
	heard   map[int]func(string)
	next    int
	refuses bool // as a bus that is away
}

func newFakeQueue() *fakeQueue {
	return &fakeQueue{items: make(chan string, 100), heard: map[int]func(string){}}
}

func (q *fakeQueue) Enqueue(_ context.Context, id string) error {
	if q.refuses {
		return domain.MissingPart("The bus is away", nil)
	}
	q.items <- id
	return nil
}

func (q *fakeQueue) Work(ctx context.Context, atOnce int, do func(ctx context.Context, id string) bool) error {
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for {
				select {
				case id := <-q.items:
					do(ctx, id)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (q *fakeQueue) Signal(_ context.Context, id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, heard := range q.heard {
		heard(id)
	}
}

func (q *fakeQueue) Watch(heard func(id string)) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.next
	q.next++
	q.heard[n] = heard
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.heard, n)
	}
}

// scriptedChat answers as a function of what it is asked, so that it does not matter how often that is.
type scriptedChat struct {
	answer func(ctx context.Context, req app.ChatRequest) (domain.Answer, error)

	mu    sync.Mutex
	asked []app.ChatRequest
}

func (c *scriptedChat) Complete(ctx context.Context, _ domain.Principal, req app.ChatRequest) (app.ChatInfo, app.ChatResult, error) {
	c.mu.Lock()
	c.asked = append(c.asked, req)
	c.mu.Unlock()
	answer, err := c.answer(ctx, req)
	return app.ChatInfo{}, app.ChatResult{Answer: answer, Usage: domain.Usage{Input: 10, Output: 5}, Cost: 1000}, err
}

func (c *scriptedChat) ChooseModel(req domain.ModelRequest) (domain.Choice, error) {
	if req.Model == "no-such-model" {
		return domain.Choice{}, domain.ModelNotFound(req.Model)
	}
	return domain.Choice{Provider: "scripted", Model: req.Model}, nil
}

func (c *scriptedChat) Window(domain.ModelRequest) int { return 8000 }

func (c *scriptedChat) requests() []app.ChatRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// system is what the system prompt of a request says.
func system(req app.ChatRequest) string { return req.Messages[0].Content }

// said counts the answers in the talk so far.
func said(req app.ChatRequest) int {
	n := 0
	for _, m := range req.Messages {
		if m.Role == domain.RoleAssistant {
			n++
		}
	}
	return n
}

func lastText(req app.ChatRequest) string { return req.Messages[len(req.Messages)-1].Content }

func text(s string) (domain.Answer, error) { return domain.Answer{Content: s}, nil }

func wants(calls ...domain.ToolCall) (domain.Answer, error) {
	return domain.Answer{ToolCalls: calls, Finish: domain.FinishToolCalls}, nil
}

func toolCall(name, arguments string) domain.ToolCall {
	return domain.ToolCall{ID: "c-" + name + arguments, Name: name, Arguments: arguments}
}

// fakeTools remember how often each call was made, by its id.
type fakeTools struct {
	specs []domain.ToolSpec
	do    func(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error)

	mu    sync.Mutex
	calls []domain.ToolInvocation
}

func newFakeTools(specs ...domain.ToolSpec) *fakeTools {
	return &fakeTools{specs: specs, do: func(_ context.Context, call domain.ToolInvocation) (domain.ToolResult, error) {
		return domain.ToolResult{Text: "done " + string(call.Arguments)}, nil
	}}
}

func (f *fakeTools) Matching(_ domain.Principal, patterns []string) []domain.ToolSpec {
	return slices.DeleteFunc(slices.Clone(f.specs), func(s domain.ToolSpec) bool { return !domain.MatchesTool(patterns, s.ID()) })
}

func (f *fakeTools) Call(ctx context.Context, _ domain.Principal, call domain.ToolInvocation) (domain.ToolResult, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	return f.do(ctx, call)
}

// made is which calls were made, by id, with their arguments, and how often each.
func (f *fakeTools) made() (calls map[string]string, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls, times := map[string]string{}, map[string]int{}
	for _, c := range f.calls {
		calls[c.CallID] = c.Tool + string(c.Arguments)
		times[c.CallID]++
		most = max(most, times[c.CallID])
	}
	return calls, most
}

var putTool = domain.ToolSpec{Server: "box", Name: "put", Repeatable: true, Redact: []string{"secret"}}

func fourAgents() []domain.Agent {
	return []domain.Agent{
		{Name: "assistant", Description: "Anything", Instruction: "I am assistant", Tools: []string{"box/*"}},
		{Name: "poet", Description: "Verses", Instruction: "I am poet", Model: "poem-model"},
		{Name: "writer", Description: "Texts", Instruction: "I am writer"},
		{Name: "critic", Description: "Judges", Instruction: "I am critic"},
	}
}

// flowBed is Workflows with everything around it in reach.
type flowBed struct {
	*app.Workflows
	store *memory.WorkflowStore
	queue *fakeQueue
	chat  *scriptedChat
	tools *fakeTools
}

func newFlows(t *testing.T, answer func(ctx context.Context, req app.ChatRequest) (domain.Answer, error), change ...func(*app.WorkflowDeps)) *flowBed {
	t.Helper()
	b := &flowBed{store: &memory.WorkflowStore{}, queue: newFakeQueue(), chat: &scriptedChat{answer: answer}, tools: newFakeTools(putTool)}
	d := app.WorkflowDeps{
		Store: b.store, Queue: b.queue, Chat: b.chat, Tools: b.tools, Agents: fourAgents(), Now: time.Now, NewID: ids(),
		Troubled: func(id string, err error) { t.Logf("workflow %s: %v", id, err) },
	}
	for _, c := range change {
		c(&d)
	}
	b.Workflows = app.NewWorkflows(d)
	t.Cleanup(b.Close)
	return b
}

// play starts a workflow, works on it until nothing more happens here, and returns what has become of it.
func (b *flowBed) play(t *testing.T, draft domain.WorkflowDraft) (domain.Workflow, []domain.WorkflowStep) {
	t.Helper()
	flow, err := b.Start(t.Context(), ada, draft, "")
	if err != nil {
		t.Fatal(err)
	}
	b.WorkOn(t.Context(), t.Context(), flow.ID)
	return b.look(t, flow.ID)
}

func (b *flowBed) look(t *testing.T, id string) (domain.Workflow, []domain.WorkflowStep) {
	t.Helper()
	flow, steps, err := b.Get(context.WithoutCancel(t.Context()), ada, id)
	if err != nil {
		t.Fatal(err)
	}
	return flow, steps
}

func wantFlow(t *testing.T, flow domain.Workflow, status domain.WorkflowStatus, text string) {
	t.Helper()
	if flow.Status != status || !strings.Contains(flow.Output+flow.Error, text) {
		t.Fatalf("the workflow is %s: %q %q; want %s with %q", flow.Status, flow.Output, flow.Error, status, text)
	}
}

func stepKeys(steps []domain.WorkflowStep) string {
	var keys []string
	for _, s := range steps {
		keys = append(keys, s.Key+"="+string(s.Status))
	}
	return strings.Join(keys, " ")
}

func toJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// teamwork is a script for an orchestrator: two rounds of tasks, tools in both, and an answer made of the results.
func teamwork(_ context.Context, req app.ChatRequest) (domain.Answer, error) {
	task := func(agent, task string) map[string]string { return map[string]string{"agent": agent, "task": task} }
	switch {
	case strings.HasPrefix(system(req), "You lead a team"):
		switch said(req) {
		case 0:
			return text(toJSON(map[string]any{"status": "working", "tasks": []any{task("assistant", "one"), task("assistant", "two"), task("poet", "three")}}))
		case 1:
			return text(toJSON(map[string]any{"status": "working", "tasks": []any{task("assistant", "four")}}))
		default:
			return text(toJSON(map[string]any{"status": "finished", "answer": "All done: " + lastText(req)}))
		}
	case system(req) == "I am assistant" && said(req) == 0:
		what := req.Messages[1].Content
		return wants(toolCall("box__put", fmt.Sprintf(`{"what":%q,"n":1}`, what)), toolCall("box__put", fmt.Sprintf(`{"what":%q,"n":2}`, what)))
	case system(req) == "I am assistant" && said(req) == 1:
		return wants(toolCall("box__put", fmt.Sprintf(`{"what":%q,"n":3}`, req.Messages[1].Content)))
	default:
		return text("result of " + req.Messages[1].Content + " after " + lastText(req))
	}
}

var _ ports.WorkQueue = (*fakeQueue)(nil)
