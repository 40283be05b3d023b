package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gaia/domain"
)

const (
	modelTries    = 3           // of a step whose provider is away or has too much to do
	modelPause    = time.Second // before the second try; doubled for each one after it
	maxModelPause = 20 * time.Second
	maxRoundCalls = 16 // tools that a model can have called at once
	resumedTries  = 40 // of a call that a crash has interrupted, while its server is not there
	resumedPause  = 250 * time.Millisecond
)

// modelAnswer is what the journal keeps of a model's answer.
type modelAnswer struct {
	Content   string            `json:"content"`
	ToolCalls []domain.ToolCall `json:"tool_calls,omitempty"`
	Offered   []domain.ToolSpec `json:"offered,omitempty"` // as in openStep
}

// modelStep is a prompt for a model.
type modelStep struct {
	key      string
	kind     domain.WorkflowStepKind
	agent    domain.Agent // whose model answers; the zero value: the workflow's
	messages []domain.PromptMessage
	format   *domain.ResponseFormat
	tools    []domain.Tool
	offered  []domain.ToolSpec // what the journal is to keep of them
	voice    bool              // the answer is in the voice of the workflow's persona
}

// model has a model answer, once. An answer that a crash interrupts is asked for again; what the first one cost is in the ledger, not in the
// sums of the workflow.
func (r *workflowRun) model(ctx context.Context, m modelStep) (modelAnswer, error) {
	req := ChatRequest{
		Messages: m.messages, Model: domain.ModelRequest{Model: m.agent.Model}, HTTPRequestID: r.about.ID, NoTools: true,
		Options: domain.Prompt{Tools: m.tools, ResponseFormat: m.format},
	}
	if req.Model.Model == "" {
		req.Model.Model = r.about.Model
	}
	if m.voice {
		req.PersonaID = r.about.PersonaID
	}
	plan := stepPlan{key: m.key, kind: m.kind, name: r.modelName(req.Model), agent: m.agent.Name, repeatable: true, input: modelInput(m), offered: m.offered}
	var answer modelAnswer
	err := r.step(ctx, plan, &answer, func(ctx context.Context, _ bool) (stepOutcome, error) {
		result, err := r.complete(ctx, req)
		if err != nil {
			return stepOutcome{}, err
		}
		kept := modelAnswer{Content: validText(result.Content + result.Refusal), ToolCalls: namedCalls(m.key, validCalls(result.ToolCalls)), Offered: m.offered}
		return stepOutcome{
			output: kept.Content, result: kept,
			usage: domain.WorkflowUsage{Input: result.Usage.Input, Output: result.Usage.Output, Cost: result.Cost},
		}, nil
	})
	return answer, err
}

// modelName is what a step is called that has a model answer: the model, as far as that can be told before.
func (r *workflowRun) modelName(req domain.ModelRequest) string {
	choice, err := r.workflows.Chat.ChooseModel(req)
	if err == nil && choice.Model != "" {
		return choice.Model
	}
	return cmp.Or(req.Model, "model")
}

// modelInput is what clients see of a prompt: what was said last, and how much before.
func modelInput(m modelStep) map[string]any {
	input := map[string]any{"messages": len(m.messages)}
	if n := len(m.messages); n > 0 && m.messages[n-1].Role == domain.RoleUser {
		input["prompt"] = validText(m.messages[n-1].Text())
	}
	if len(m.tools) > 0 {
		input["tools"] = len(m.tools)
	}
	return input
}

// complete asks a provider that is away again: a workflow has the time.
func (r *workflowRun) complete(ctx context.Context, req ChatRequest) (ChatResult, error) {
	for try := 0; ; try++ {
		_, result, err := r.workflows.Chat.Complete(ctx, r.about.Principal, req)
		if err == nil || try == modelTries-1 || !worthAnother(err) {
			return result, err
		}
		switch codeOf(err) {
		case domain.CodeQuota, domain.CodeCredentials:
			return result, err
		}
		if domain.IsStoreAway(err) { // it may be the answer that could not be kept, and each one is paid for
			return result, err
		}
		if !pause(ctx, min(max(retryAfterOf(err), backoffAround(modelPause<<try)), maxModelPause)) {
			return result, err
		}
	}
}

// namedCalls gives each call an id of its own, for providers that insist on it.
func namedCalls(key string, calls []domain.ToolCall) []domain.ToolCall {
	seen := map[string]bool{}
	for i := range calls {
		if calls[i].ID == "" || seen[calls[i].ID] {
			calls[i].ID = fmt.Sprintf("call_%s_%d", domain.StepID(key, "")[:8], i+1)
		}
		seen[calls[i].ID] = true
	}
	return calls
}

// ask has a model answer in JSON. An answer that parse refuses is asked for once more.
func (r *workflowRun) ask(ctx context.Context, m modelStep, parse func(answer string) error) (string, error) {
	answer, err := r.model(ctx, m)
	if err != nil {
		return "", err
	}
	fault := parse(answer.Content)
	if fault == nil {
		return answer.Content, nil
	}
	m.key += "-again"
	m.messages = append(m.messages[:len(m.messages):len(m.messages)],
		domain.PromptMessage{Role: domain.RoleAssistant, Content: answer.Content},
		domain.PromptMessage{Role: domain.RoleUser, Content: domain.RepairPrompt(fault)})
	if answer, err = r.model(ctx, m); err != nil {
		return "", err
	}
	if fault = parse(answer.Content); fault != nil {
		return "", r.halt(workflowFailed("The answer of the model in step %s can't be used: %v", m.key, fault))
	}
	return answer.Content, nil
}

// converse lets an agent work on messages until it answers without wanting tools. It returns the talk too, the answer included.
func (r *workflowRun) converse(ctx context.Context, key string, agent domain.Agent, messages []domain.PromptMessage, voice bool) (
	string, []domain.PromptMessage, error) {
	specs, noted := r.offered(key+"/model-1", agent)
	tools, byName := domain.OfferTools(specs)
	messages = messages[:len(messages):len(messages)]
	for round := 1; round <= r.about.Limits.Iterations; round++ {
		answer, err := r.model(ctx, modelStep{
			key: fmt.Sprintf("%s/model-%d", key, round), kind: domain.StepGenerate, agent: agent, messages: messages, tools: tools, voice: voice,
			offered: noted,
		})
		noted = nil // once is enough
		if err != nil {
			return "", nil, err
		}
		messages = append(messages, domain.PromptMessage{Role: domain.RoleAssistant, Content: answer.Content, ToolCalls: answer.ToolCalls})
		if len(answer.ToolCalls) == 0 {
			return answer.Content, messages, nil
		}
		results, err := r.callAll(ctx, fmt.Sprintf("%s/tool-%d", key, round), agent, answer.ToolCalls, byName)
		if err != nil {
			return "", nil, err
		}
		r.cut(results, messages, tools, agent)
		messages = append(messages, results...)
	}
	return "", nil, r.halt(workflowFailed("The agent %s has not come to an end within %d rounds", agent.Name, r.about.Limits.Iterations))
}

// cut cuts the results of a round to what the agent's model has room for, within what the workflow may use. It comes to the same each time.
func (r *workflowRun) cut(results, before []domain.PromptMessage, tools []domain.Tool, agent domain.Agent) {
	window := r.about.Limits.Tokens
	if n := r.workflows.Chat.Window(domain.ModelRequest{Model: cmp.Or(agent.Model, r.about.Model)}); n > 0 {
		window = min(window, n)
	}
	room := domain.RoomForResult(domain.Prompt{Messages: before, Tools: tools}, window, len(results))
	for i := range results {
		results[i].Content = domain.CutResult(domain.ToolResult{Text: results[i].Content}, room)
	}
}

// maxOffered is how many bytes of tools the journal keeps for an agent at most.
const maxOffered = 512 << 10

// offered are the tools that an agent has: those that it had when it began, although a server of theirs may be away now, since what was said
// about them so far would make no sense without. It returns too what the journal is to keep of them for that.
func (r *workflowRun) offered(key string, agent domain.Agent) (specs, noted []domain.ToolSpec) {
	if r.workflows.Tools == nil {
		return nil, nil
	}
	if s, known := r.kept(key); known {
		if specs = begun(s).Offered; len(specs) > 0 {
			return specs, specs
		}
	}
	specs = r.workflows.Tools.Matching(r.about.Principal, agent.Tools)
	data, err := json.Marshal(specs)
	if err != nil || len(data) > maxOffered || json.Unmarshal(data, &noted) != nil {
		return specs, nil
	}
	return specs, noted
}

// callAll has the tools called that a model wants, at the same time, and returns what to tell it.
func (r *workflowRun) callAll(ctx context.Context, key string, agent domain.Agent, calls []domain.ToolCall, byName map[string]domain.ToolSpec) (
	[]domain.PromptMessage, error) {
	messages := make([]domain.PromptMessage, len(calls))
	err := r.parallel(ctx, len(calls), func(ctx context.Context, i int) error {
		said := fmt.Sprintf("This call was not made: at most %d are made at once.", maxRoundCalls)
		if i < maxRoundCalls {
			result, err := r.call(ctx, fmt.Sprintf("%s.%d", key, i+1), agent, calls[i], byName)
			if err != nil {
				return err
			}
			said = result.said()
		}
		messages[i] = domain.PromptMessage{Role: domain.RoleTool, Content: said, ToolCallID: calls[i].ID, Name: calls[i].Name}
		return nil
	})
	return messages, err
}

// parallel does n things at the same time and waits for all of them. The first that fails ends models that still talk; tools are waited for.
func (r *workflowRun) parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		all  sync.WaitGroup
		errs = make([]error, n)
	)
	for i := range n {
		all.Go(func() {
			defer func() { // in a goroutine of its own a panic would end the process
				if p := recover(); p != nil {
					errs[i] = r.halt(panicked("branch of a workflow", p))
				}
				if errs[i] != nil {
					cancel()
				}
			}()
			errs[i] = do(ctx, i)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// toolAnswer is what the journal keeps of a tool's result.
type toolAnswer struct {
	Text      string `json:"text"`
	Failed    bool   `json:"failed,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// said is what the model gets to read.
func (a toolAnswer) said() string {
	text := a.Text
	if a.Truncated {
		text += "\n[cut off: there was more]"
	}
	if a.Failed {
		text = "The tool failed: " + text
	}
	return text
}

// call has a tool called, once. A call that a crash interrupted is made again with the same id if the tool allows that.
func (r *workflowRun) call(ctx context.Context, key string, agent domain.Agent, call domain.ToolCall, byName map[string]domain.ToolSpec) (toolAnswer, error) {
	spec, offered := byName[call.Name]
	plan := stepPlan{key: key, kind: domain.StepTool, name: nameOfUnknown(call.Name), agent: agent.Name, repeatable: spec.Repeatable || !offered}
	if offered {
		plan.name, plan.server, plan.tool = spec.ID(), spec.Server, spec.Name
		plan.hidden = spec.RedactResult
		plan.input = domain.RedactArguments(spec, json.RawMessage(call.Arguments))
	}
	var answer toolAnswer
	err := r.step(ctx, plan, &answer, func(ctx context.Context, again bool) (stepOutcome, error) {
		server, tool, hidden := plan.server, plan.tool, plan.hidden
		if again { // as it was then: its server may not be there yet
			then := r.begunAs(key)
			server, tool, hidden = then.Server, then.Tool, then.Hidden
		}
		if server == "" {
			return r.toolOutcome(hidden, toolAnswer{Text: "There is no tool " + domain.ToolNameForPeople(call.Name), Failed: true}), nil
		}
		result, err := r.callTool(ctx, domain.ToolInvocation{
			CallID: domain.StepID(r.about.ID, key), Server: server, Tool: tool, Arguments: json.RawMessage(call.Arguments), Owner: r.about.Principal.OwnerID(),
		}, again, !again && r.newHere())
		if err != nil {
			return stepOutcome{}, err
		}
		return r.toolOutcome(hidden, result), nil
	})
	return answer, err
}

// nameOfUnknown is what clients see of a tool that there is not: a model made the name up, and may have put anything into it.
func nameOfUnknown(name string) string {
	const longest = 64
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if name == "" || len(name) > longest || strings.ContainsFunc(name, func(c rune) bool { return !plain(c) }) {
		return "unknown tool"
	}
	return name
}

// messageOf is what an error says to clients.
func messageOf(err error) string {
	var e *domain.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "internal error"
}

// toolOutcome is what is kept of a result: all of it for the model, and what may be seen for clients.
func (r *workflowRun) toolOutcome(hidden bool, a toolAnswer) stepOutcome {
	a.Text = validText(a.Text)
	o := stepOutcome{output: a.Text, result: a}
	if hidden {
		o.output = domain.Redacted
	}
	if a.Failed {
		o.output, o.failed = "", o.output
		if o.failed == "" {
			o.failed = "The tool failed"
		}
	}
	return o
}

// newHere reports whether this process has taken the workflow over just now, so that its tool servers may not be there yet.
func (r *workflowRun) newHere() bool {
	return r.takenOver && r.workflows.Now().Sub(r.since) < resumedTries*resumedPause
}

// callTool waits for a server that is away if the call was begun before (again) or if that is worth it (patient). It returns an error only when it is not known what has happened, or this process is to blame. Everything else is for the model.
func (r *workflowRun) callTool(ctx context.Context, call domain.ToolInvocation, again, patient bool) (toolAnswer, error) {
	for try := 1; ; try++ {
		result, err := r.workflows.Tools.Call(ctx, r.about.Principal, call)
		kind := domain.KindOf(err)
		switch {
		case err == nil:
			return toolAnswer{Text: result.Text, Failed: result.Failed, Truncated: result.Truncated}, nil
		case codeOf(err) == domain.CodeOutcomeUnknown:
			return toolAnswer{}, err
		case (again || patient) && (kind == domain.NotFound || kind == domain.Unavailable) && try < resumedTries && pause(ctx, resumedPause):
			continue
		case again || kind == domain.Internal || kind == domain.Canceled: // of the first call nobody knows what became
			return toolAnswer{}, &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "The outcome of a tool call is unknown", Cause: err}
		default:
			return toolAnswer{Text: messageOf(err), Failed: true}, nil
		}
	}
}
