package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"gaia/domain"
)

// ToolStep tells about tools that Gaia itself has called. A round of calls begins with Calls; then comes an Event for each of them, in their
// order.
type ToolStep struct {
	Calls []domain.ToolCall `json:"calls,omitempty"`
	Event *domain.ToolEvent `json:"event,omitempty"`
	Last  bool              `json:"last,omitempty"` // of the events of its round
}

// toolLoop is what a turn knows that has tools called; others have none. A round is an answer that asks for calls, the calls, and their
// results, with which the model is asked again.
type toolLoop struct {
	tools  []domain.Tool
	byName map[string]domain.ToolSpec
	limits domain.ToolLimits

	rounds, calls int
	over          bool // the model may call nothing more
	said, refused string
	usage         domain.Usage // of all rounds so far
	events        []domain.ToolEvent
	round         *toolRound // nil while the model has its say
	spoken        bool       // the model has said something in this round
}

// toolRound is one round of calls.
type toolRound struct {
	answer   domain.Answer
	outcomes []chan toolOutcome // of each call
	cancel   context.CancelFunc
	running  sync.WaitGroup

	announced bool
	final     bool // nothing is called, and the model is not asked again
	texts     []domain.ToolResult
}

// toolOutcome is what a model gets to read.
type toolOutcome struct {
	result domain.ToolResult
	failed bool
	fault  error // of Gaia: it ends the answer
}

// offerTools makes the turn one that has tools called, if the caller may use any here and brings none.
func (t *turn) offerTools(persona *domain.Persona) {
	c, req := t.chat, t.req
	if c.Tools == nil || req.NoTools || len(req.Options.Tools) > 0 || req.Options.ToolChoice.Mode == "none" ||
		!c.Selector.Catalogue.CallsTools(t.info.Choice) {
		return
	}
	var id, name string
	if persona != nil {
		id, name = persona.ID, persona.Name
	}
	tools, byName := domain.OfferTools(c.Tools.Offered(t.who, id, name, req.Model.Activity))
	if len(tools) == 0 {
		return
	}
	t.tools = &toolLoop{tools: tools, byName: byName, limits: c.Config.Tools}
	t.info.OwnTools = true
	t.fresh = slices.Clip(t.fresh) // it may be the client's, and grows
}

// offer puts the tools into a prompt, when its model can call any. A model that must call one must do so once, else it never comes to an end.
func (l *toolLoop) offer(p *domain.Prompt, can bool) {
	switch {
	case !can:
		p.ToolChoice = domain.ToolChoice{}
		return
	case l.over:
		p.ToolChoice = domain.ToolChoice{Mode: "none"}
	case l.rounds > 0:
		p.ToolChoice = domain.ToolChoice{}
	}
	p.Tools = l.tools
}

// identify gives the calls of an answer ids that no other call of the prompt has. Providers now and then give none, or the same again.
func (t *turn) identify(d *domain.Delta) {
	if len(d.ToolCalls) == 0 {
		return
	}
	so := t.attempt.answer.Answer().ToolCalls
	d.ToolCalls = slices.Clone(d.ToolCalls) // it is the adapter's
	for i := range d.ToolCalls {
		call := &d.ToolCalls[i]
		if call.Index < 0 || call.Index < len(so) && so[call.Index].ID != "" || call.ID == "" && call.Name == "" {
			continue
		}
		id := call.ID
		if id == "" {
			id = "call"
		}
		call.ID = id
		for n := 1; call.ID == "call" || t.isTaken(call.ID, so) || t.isTaken(call.ID, earlier(d.ToolCalls[:i])); n++ {
			call.ID = id + "_" + strconv.Itoa(n)
		}
	}
}

// earlier are the calls that a delta itself has before one.
func earlier(pieces []domain.ToolCallDelta) []domain.ToolCall {
	calls := make([]domain.ToolCall, len(pieces))
	for i, p := range pieces {
		calls[i].ID = p.ID
	}
	return calls
}

func (t *turn) isTaken(id string, calls []domain.ToolCall) bool {
	has := func(c domain.ToolCall) bool { return c.ID == id }
	return slices.ContainsFunc(calls, has) ||
		slices.ContainsFunc(t.fresh, func(m domain.PromptMessage) bool { return slices.ContainsFunc(m.ToolCalls, has) })
}

// shown is a piece of an answer as clients get it: apart from what an earlier round said, and without the arguments of tools that have some to
// redact. Pieces of JSON can't be redacted one by one.
func (l *toolLoop) shown(d domain.Delta, of *attempt) domain.Delta {
	if len(d.ToolCalls) > 0 {
		calls := of.answer.Answer().ToolCalls
		for i := range d.ToolCalls { // a copy, see identify
			if at := d.ToolCalls[i].Index; at >= 0 && at < len(calls) && len(l.byName[calls[at].Name].Redact) > 0 {
				d.ToolCalls[i].Arguments = ""
			}
		}
	}
	if d.Content != "" && !l.spoken {
		l.spoken = true
		d.Content = domain.GapBetween(l.said, d.Content) + d.Content
	}
	return d
}

// announced are calls as clients get to know them.
func (l *toolLoop) announced(calls []domain.ToolCall) []domain.ToolCall {
	calls = slices.Clone(calls)
	for i := range calls {
		if len(l.byName[calls[i].Name].Redact) > 0 {
			calls[i].Arguments = ""
		}
	}
	return calls
}

// sum puts an answer together with what the rounds before it said and used. Calls of Gaia's own tools are no part of it.
func (l *toolLoop) sum(answer domain.Answer, usage domain.Usage) (domain.Answer, domain.Usage) {
	answer.Content, answer.Refusal, answer.ToolCalls = domain.JoinRounds(l.said, answer.Content), l.refused+answer.Refusal, nil
	if answer.Finish == domain.FinishToolCalls {
		answer.Finish = domain.FinishStop
	}
	switch {
	case l.usage.Source == "":
	case usage.Source == "":
		usage = l.usage
	default:
		usage = l.usage.Plus(usage)
	}
	return answer, usage
}

// wantsTools reports whether the answer that has just ended asks for calls.
func (t *turn) wantsTools() bool {
	return t.tools != nil && len(t.attempt.answer.Answer().ToolCalls) > 0
}

// beginRound has the calls made that an answer asks for.
func (t *turn) beginRound(ctx context.Context) error {
	l := t.tools
	r := &toolRound{answer: t.attempt.answer.Answer()}
	_, l.usage = l.sum(domain.Answer{}, t.endAttempt(ctx, nil))
	l.said, l.refused = domain.JoinRounds(l.said, r.answer.Content), l.refused+r.answer.Refusal
	l.round = r
	calls := r.answer.ToolCalls
	r.outcomes = make([]chan toolOutcome, len(calls))
	for i := range r.outcomes {
		r.outcomes[i] = make(chan toolOutcome, 1)
	}
	if cut := r.answer.Finish == domain.FinishLength || r.answer.Finish == domain.FinishContentFilter; cut || l.over {
		r.final = true
		r.refuse(0, "The call was not made: the answer ended before it")
		return nil
	}
	message := domain.PromptMessage{Role: domain.RoleAssistant, Content: r.answer.Content}
	for _, call := range calls {
		message.ToolCalls = append(message.ToolCalls, domain.CallInPrompt(call))
	}
	t.fresh = append(t.fresh, message)
	if err := t.afford(ctx); err != nil {
		return err
	}
	l.rounds++
	left := l.limits.Time - t.chat.Now().Sub(t.started)
	count := min(len(calls), l.limits.Calls-l.calls)
	if left <= 0 {
		count = 0
	}
	l.calls += count
	r.refuse(count, "The call was not made: this answer has used up the calls and the time that it has for tools. Answer with what you know")
	ctx, r.cancel = context.WithTimeout(ctx, left)
	t.active.Status("calling tools")
	t.work(ctx, r, count)
	return nil
}

// refuse ends calls from an index on without making them.
func (r *toolRound) refuse(from int, why string) {
	for _, outcome := range r.outcomes[from:] {
		outcome <- toolOutcome{result: domain.ToolResult{Text: why}, failed: true}
	}
}

// work makes the first calls of a round, a few at a time.
func (t *turn) work(ctx context.Context, r *toolRound, count int) {
	var next atomic.Int64
	for range min(count, t.tools.limits.AtOnce) {
		r.running.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				r.outcomes[i] <- t.callTool(ctx, r.answer.ToolCalls[i], t.tools.rounds, i)
			}
		})
	}
}

// callTool makes one call. Whatever goes wrong is something that the model gets to read.
func (t *turn) callTool(ctx context.Context, call domain.ToolCall, round, index int) (out toolOutcome) {
	failed := func(text string) toolOutcome { return toolOutcome{result: domain.ToolResult{Text: text}, failed: true} }
	defer func() { // here, outside of the goroutine of a request, it would end the process
		if p := recover(); p != nil {
			out = toolOutcome{fault: fmt.Errorf("tool call: panic: %v\n%s", p, debug.Stack())}
		}
	}()
	spec, offered := t.tools.byName[call.Name]
	if !offered {
		return failed("There is no function " + domain.ToolNameForPeople(call.Name) + ". Call only those that you were given")
	}
	arguments, err := domain.ToolArguments(json.RawMessage(call.Arguments))
	if err != nil {
		return failed(toolFailure(err))
	}
	id := ""
	if repeat := t.req.Repeat; repeat != nil {
		id = domain.CallIDFor(t.who.OwnerID(), repeat.Key, repeat.Fingerprint, round, index, spec.ID(), arguments)
	} else {
		id = t.chat.NewID()
	}
	if ctx.Err() == nil {
		var result domain.ToolResult
		result, err = t.chat.Tools.Call(ctx, t.who, domain.ToolInvocation{
			CallID: id, Server: spec.Server, Tool: spec.Name, Arguments: arguments, Owner: t.who.OwnerID(),
		})
		if err == nil {
			return toolOutcome{result: result, failed: result.Failed}
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failed("The call was given up: this answer has used up the time that it has for tools (" + t.tools.limits.Time.String() + ")")
	}
	return failed(toolFailure(err))
}

// toolFailure is what a model may know about a failure.
func toolFailure(err error) string {
	var e *domain.Error
	if !errors.As(err, &e) || e.Message == "" {
		return "The tool failed"
	}
	if e.Code == domain.CodeOutcomeUnknown { // else a model takes it for a call that never was, and makes it anew
		return e.Message + ". It is not known whether the call has taken effect: do not make it again unless that would do no harm"
	}
	return e.Message
}

// toolStep tells how the calls of a round go on. After the last of them it is the model's turn again, and there is no step.
func (t *turn) toolStep(ctx context.Context) (ChatStep, bool) {
	r := t.tools.round
	calls := r.answer.ToolCalls
	switch {
	case !r.announced:
		r.announced = true
		return t.tellTool(&ToolStep{Calls: t.tools.announced(calls)}), true
	case len(r.texts) == len(calls):
		return t.endRound(ctx)
	}
	at := len(r.texts)
	var out toolOutcome
	select {
	case out = <-r.outcomes[at]:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return ChatStep{Err: t.fail(ctx, ctx.Err())}, true
	}
	if out.fault != nil {
		return ChatStep{Err: t.fail(ctx, out.fault)}, true
	}
	r.texts = append(r.texts, out.result)
	shown := out.result
	if !out.failed || out.result.Failed { // it is the tool that says so, not Gaia
		shown = domain.RedactResult(t.tools.byName[calls[at].Name], shown)
	}
	event := domain.NewToolEvent(calls[at], shown.Text, out.failed)
	t.tools.events = append(t.tools.events, event)
	return t.tellTool(&ToolStep{Event: &event, Last: at == len(calls)-1}), true
}

func (t *turn) tellTool(step *ToolStep) ChatStep {
	t.kept.tool(step)
	return ChatStep{Tool: step}
}

// endRound gives the results to the model, or ends the answer when the model may not go on.
func (t *turn) endRound(ctx context.Context) (ChatStep, bool) {
	l := t.tools
	r := l.round
	l.close()
	if r.final {
		if strings.TrimSpace(l.said+l.refused) == "" && l.over {
			return ChatStep{Err: t.fail(ctx, domain.NewError(domain.Unavailable, "The model gave no answer: it went on calling tools after it had used up its calls"))}, true
		}
		answer, usage := l.sum(domain.Answer{Finish: r.answer.Finish}, domain.Usage{})
		return t.deliver(ctx, answer, usage), true
	}
	t.addResults(r)
	spent := 0
	for _, record := range t.records {
		spent += record.Usage.Total()
	}
	l.over = l.rounds >= l.limits.Rounds || l.calls >= l.limits.Calls || t.chat.Now().Sub(t.started) >= l.limits.Time ||
		l.limits.Tokens > 0 && spent >= l.limits.Tokens
	l.spoken, t.sent, t.route.retries = false, false, 0
	if err := t.afford(ctx); err != nil {
		return ChatStep{Err: t.fail(ctx, err)}, true
	}
	t.active.Status("waiting")
	return ChatStep{}, false
}

// addResults puts the results of a round into the prompt, each cut to what the model has room for.
func (t *turn) addResults(r *toolRound) {
	model, _ := t.chat.Selector.Catalogue.Model(t.info.Choice.Model)
	prompt := domain.Prompt{Messages: append([]domain.PromptMessage{{Content: t.system}}, t.fresh...), Tools: t.tools.tools}
	room := domain.RoomForResult(prompt, model.ContextWindow, len(r.texts))
	for i, result := range r.texts {
		text := domain.CutResult(result, room)
		if strings.TrimSpace(text) == "" {
			text = "(The tool gave nothing back.)"
		}
		if t.tools.events[len(t.tools.events)-len(r.texts)+i].Error != "" {
			text = "Error: " + text
		}
		t.fresh = append(t.fresh, domain.PromptMessage{Role: domain.RoleTool, ToolCallID: r.answer.ToolCalls[i].ID, Content: text})
	}
}

// afford sets aside what another round can cost at most, besides what the rounds so far have cost.
func (t *turn) afford(ctx context.Context) error {
	limit := t.tools.limits.Cost
	if limit == 0 && t.reservation == "" {
		return nil
	}
	var spent domain.Money
	for _, record := range t.records {
		spent = spent.Plus(record.Cost)
	}
	if limit > 0 && spent >= limit {
		return domain.OverCost()
	}
	if t.reservation == "" {
		return nil
	}
	if more := spent + t.mostCost(t.route.choices[t.route.at:]) - t.reserved; more > 0 {
		return t.setAside(ctx, more)
	}
	return nil
}

// stop tells running calls to end. It may be called on nil.
func (l *toolLoop) stop() {
	if l != nil && l.round != nil && l.round.cancel != nil {
		l.round.cancel()
	}
}

// close ends the round and waits for its calls. It may be called on nil.
func (l *toolLoop) close() {
	if l == nil || l.round == nil {
		return
	}
	l.stop()
	l.round.running.Wait()
	l.round = nil
}

// nextChoice is who may take over: a model that can't call tools does not understand a conversation with calls.
func (t *turn) nextChoice() (int, bool) {
	next := t.route.at + 1
	for t.tools != nil && t.tools.rounds > 0 && next < len(t.route.choices) && !t.chat.Selector.Catalogue.CallsTools(t.route.choices[next]) {
		next++
	}
	return next, next < len(t.route.choices)
}
