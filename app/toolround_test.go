package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gaia/adapters/memory"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// call is a call that a scripted model asks for.
func call(id, name, arguments string) domain.ToolCall {
	return domain.ToolCall{ID: id, Name: name, Arguments: arguments}
}

// asksFor makes a provider that says something and then asks for calls, in pieces, and counts 10 tokens in and 5 out.
func asksFor(text string, calls ...domain.ToolCall) *provider {
	p := &provider{}
	if text != "" {
		p.then(step{delta: domain.Delta{Content: text}})
	}
	for i, c := range calls {
		half := len(c.Arguments) / 2
		p.then(
			step{delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, ID: c.ID, Name: c.Name}}}},
			step{delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, Arguments: c.Arguments[:half]}}}},
			step{delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: i, Arguments: c.Arguments[half:]}}}},
		)
	}
	return p.then(step{delta: domain.Delta{Finish: domain.FinishToolCalls, Usage: &domain.Usage{Input: 10, Output: 5}}})
}

// answers makes a provider that says something and counts 20 tokens in and 2 out.
func answers(pieces ...string) *provider {
	return says(pieces...).then(step{delta: domain.Delta{Usage: &domain.Usage{Input: 20, Output: 2}}})
}

// newTools makes a Chat with tools: files/read, files/write and weather/now are offered to everybody.
func newTools(t *testing.T, p ports.Completer, limits domain.ToolLimits) (*chatBed, *memory.Tools) {
	t.Helper()
	b, servers := newChat(t, says("unused")), threeTools()
	b.withTools(p, servers, limits)
	return b, servers
}

func (b *chatBed) withTools(p ports.Completer, servers *memory.Tools, limits domain.ToolLimits) {
	deps := b.chat.ChatDeps
	deps.Completers = map[string]ports.Completer{domain.ProviderOpenAI: p}
	deps.Tools = app.NewTools(app.ToolsDeps{Servers: servers, Policy: domain.ToolPolicy{Default: []string{"*"}}, Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
	deps.Config.Tools = limits
	b.chat = app.NewChat(deps)
}

// told asks in one way and returns what clients are told of tools, as words.
func told(events []domain.ToolEvent) []string {
	list := []string{}
	for _, e := range events {
		if e.Error != "" {
			list = append(list, e.CallID+" "+e.Tool+" failed: "+e.Error)
			continue
		}
		list = append(list, e.CallID+" "+e.Tool+": "+e.Result)
	}
	return list
}

// prompted shows the messages of a prompt from the question on.
func prompted(p domain.Prompt) []string {
	var list []string
	for _, m := range p.Messages {
		text := string(m.Role) + ":" + m.Text()
		for _, c := range m.ToolCalls {
			text += " " + c.ID + "=" + c.Name + c.Arguments
		}
		if m.ToolCallID != "" {
			text += " for " + m.ToolCallID
		}
		list = append(list, text)
	}
	return list[slices.IndexFunc(list, func(s string) bool { return strings.HasPrefix(s, "user:") }):]
}

// toolsBothWays is bothWays for answers of several rounds, whose deltas don't add up like those of one.
func toolsBothWays(t *testing.T, test func(*testing.T, way)) {
	t.Helper()
	for name, w := range map[string]way{"in one piece": inOnePiece, "streamed": func(c *app.Chat, ctx context.Context, who domain.Principal, r app.ChatRequest) (app.ChatInfo, app.ChatResult, error) {
		info, steps, result, err := readSteps(ctx, c, who, r)
		text := ""
		var events []domain.ToolEvent
		for _, s := range steps {
			text += s.Delta.Content
			if s.Tool != nil && s.Tool.Event != nil {
				events = append(events, *s.Tool.Event)
			}
		}
		if err == nil && (text != result.Content || !reflect.DeepEqual(events, result.ToolEvents)) {
			err = fmt.Errorf("the steps say %q and %v, the result %q and %v", text, events, result.Content, result.ToolEvents)
		}
		return info, result, err
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// readSteps reads a stream to its end.
func readSteps(ctx context.Context, c *app.Chat, who domain.Principal, r app.ChatRequest) (app.ChatInfo, []app.ChatStep, app.ChatResult, error) {
	s, err := c.Stream(ctx, who, r)
	if err != nil {
		return app.ChatInfo{}, nil, app.ChatResult{}, err
	}
	defer s.Close()
	info, steps := s.Info, []app.ChatStep(nil)
	for {
		step := <-s.Steps()
		switch {
		case step.Err != nil:
			return info, steps, app.ChatResult{}, step.Err
		case step.Result != nil:
			return info, steps, *step.Result, nil
		case step.Info != nil:
			info = *step.Info
		}
		steps = append(steps, step)
	}
}

func TestRoundsOfTools(t *testing.T) {
	t.Parallel()
	toolsBothWays(t, func(t *testing.T, ask way) {
		acts := plays(
			asksFor("Let me see.", call("a", "files__read", `{"path":"x"}`)),
			asksFor("", call("b", "weather__now", ``)),
			asksFor("Now both.", call("c", "files__read", `{"path":"y"}`), call("d", "files__write", `{"path":"z"}`)),
			answers("It is ", "done."),
		)
		b, servers := newTools(t, acts, domain.ToolLimits{})
		info, result, err := ask(b.chat, t.Context(), ada, message("hi"))
		if err != nil || result.Content != "Let me see.\n\nNow both.\n\nIt is done." || result.Finish != domain.FinishStop || len(result.ToolCalls) > 0 {
			t.Fatalf("got %+v, %v", result, err)
		}
		if !info.OwnTools || result.Usage != (domain.Usage{Input: 50, Output: 17, Source: domain.UsageFromProvider}) {
			t.Errorf("got %+v, %+v", info, result.Usage)
		}
		wantWords(t, "events", told(result.ToolEvents), []string{"a files__read: text", "b weather__now: rain", "c files__read: text", "d files__write: written"})
		wantWords(t, "last prompt", prompted(acts.acts[3].asked(t)), []string{
			"user:hi", `assistant:Let me see. a=files__read{"path":"x"}`, "tool:text for a", "assistant: b=weather__now{}", "tool:rain for b",
			`assistant:Now both. c=files__read{"path":"y"} d=files__write{"path":"z"}`, "tool:text for c", "tool:written for d",
		})
		for i, act := range acts.acts {
			if p := act.asked(t); len(p.Tools) != 3 || p.ToolChoice != (domain.ToolChoice{}) {
				t.Errorf("round %d was offered %d tools, %+v", i, len(p.Tools), p.ToolChoice)
			}
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:" + result.Content})
		rows := b.turns.usage()
		if len(rows) != 4 || rows[3].Attempt != 4 || rows[0].RequestID != info.MessageID || rows[3].RequestID != info.MessageID {
			t.Errorf("ledger: %+v", rows)
		}
		seen := map[string]bool{}
		for _, c := range servers.Calls() {
			seen[c.CallID] = true
			if _, ok := domain.ParseID(c.CallID); !ok || c.Owner != "ada" {
				t.Errorf("call %+v", c)
			}
		}
		if len(seen) != 4 {
			t.Errorf("%d ids of 4 calls", len(seen))
		}
	})
}

// What a model does wrong, and what goes wrong with a tool, is for the model to read.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call   domain.ToolCall
		do     memory.ToolFunc // of files/read
		reads  string
		tells  string
		prompt string // the call in the next prompt, when it is another
	}{
		"not offered":       {call: call("a", "files__delete", `{}`), reads: `Error: There is no function "files__delete"`, tells: "There is no function"},
		"no name at all":    {call: call("a", "rm -rf /", `{}`), reads: "Error: There is no function", tells: "There is no function", prompt: "a=rm_-rf__{}"},
		"no JSON":           {call: call("a", "files__read", `{"path":`), reads: "Error: The arguments are no JSON object", tells: "no JSON object", prompt: `a=files__read{"arguments":"{\"path\":"}`},
		"no object":         {call: call("a", "files__read", `["x"]`), reads: "Error: The arguments are no JSON object", tells: "no JSON object", prompt: `a=files__read{"arguments":"[\"x\"]"}`},
		"breaks the schema": {call: call("a", "files__read", `{"path":7}`), reads: "Error: The argument path is no string", tells: "is no string"},
		"says that it fails": {
			call: call("a", "files__read", `{"path":"x"}`), reads: "Error: no such file", tells: "no such file",
			do: func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
				return domain.ToolResult{Text: "no such file", Failed: true}, nil
			},
		},
		"is away": {
			call: call("a", "files__read", `{"path":"x"}`), reads: "Error: The server files is not available", tells: "not available",
			do: func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
				return domain.ToolResult{}, domain.MissingPart("The server files is not available", errAny)
			},
		},
		"may have been done": {
			call: call("a", "files__read", `{"path":"x"}`), tells: "do not make it again",
			reads: "Error: The server did not answer in time. It is not known whether the call has taken effect",
			do: func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
				return domain.ToolResult{}, &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: "The server did not answer in time"}
			},
		},
		"fails inside": {
			call: call("a", "files__read", `{"path":"x"}`), reads: "Error: The tool failed", tells: "The tool failed",
			do: func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
				return domain.ToolResult{}, errAny
			},
		},
		"gives nothing": {call: call("a", "files__read", `{"path":"x"}`), do: toolSays(""), reads: "(The tool gave nothing back.)"},
		"is cut": {
			call: call("a", "files__read", `{"path":"x"}`), reads: "half\n[There was more. It was cut here.]",
			do: func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) {
				return domain.ToolResult{Text: "half", Truncated: true}, nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toolsBothWays(t, func(t *testing.T, ask way) {
				acts := plays(asksFor("", test.call), answers("done"))
				b, servers := newTools(t, acts, domain.ToolLimits{})
				if test.do != nil {
					servers.Add(servers.Tools()[0], test.do)
				}
				_, result, err := ask(b.chat, t.Context(), ada, message("hi"))
				if err != nil || result.Content != "done" || len(result.ToolEvents) != 1 {
					t.Fatalf("got %+v, %v", result, err)
				}
				if e := result.ToolEvents[0]; !strings.Contains(e.Error, test.tells) || (test.tells == "") != (e.Error == "") || e.Tool != test.call.Name {
					t.Errorf("clients are told %+v", e)
				}
				got := prompted(acts.acts[1].asked(t))
				if !strings.HasPrefix(got[2], "tool:"+test.reads) || test.prompt != "" && got[1] != "assistant: "+test.prompt {
					t.Errorf("the model reads %q", got)
				}
			})
		})
	}
}

func TestWhoIsOfferedTools(t *testing.T) {
	t.Parallel()
	own := []domain.Tool{{Name: "mine"}}
	reader := domain.Principal{Type: domain.AuthUserAPIKey, KeyID: "k", Tools: []string{"files/read"}}
	for name, test := range map[string]struct {
		who     domain.Principal
		edit    func(*app.ChatRequest)
		offered []string
		own     bool
	}{
		"everybody":                     {who: ada, offered: []string{"files__read", "files__write", "weather__now"}, own: true},
		"a key with a list":             {who: reader, offered: []string{"files__read"}, own: true},
		"a client with tools":           {who: ada, edit: func(r *app.ChatRequest) { r.Options.Tools = own }, offered: []string{"mine"}},
		"a client that wants none":      {who: ada, edit: func(r *app.ChatRequest) { r.Options.ToolChoice.Mode = "none" }},
		"another part of Gaia":          {who: ada, edit: func(r *app.ChatRequest) { r.NoTools = true }},
		"a model that can't":            {who: ada, edit: func(r *app.ChatRequest) { r.Model.Model = "plain" }},
		"a model that nobody has heard": {who: ada, edit: func(r *app.ChatRequest) { r.Model = domain.ModelRequest{Provider: "openai", Model: "gpt-99"} }, offered: []string{"files__read", "files__write", "weather__now"}, own: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := answers("done")
			b, _ := newTools(t, p, domain.ToolLimits{})
			deps := b.chat.ChatDeps
			deps.Selector.Catalogue = deps.Selector.Catalogue.With(domain.ProviderOpenAI, "plain")
			b.chat = app.NewChat(deps)
			r := message("hi")
			if test.edit != nil {
				test.edit(&r)
			}
			info, _, err := b.chat.Complete(t.Context(), test.who, r)
			var names []string
			for _, tool := range p.asked(t).Tools {
				names = append(names, tool.Name)
			}
			if err != nil || !reflect.DeepEqual(names, test.offered) || info.OwnTools != test.own {
				t.Errorf("offered %q, %v, %v", names, info.OwnTools, err)
			}
		})
	}
}

// A client that brings tools gets the calls back as ever.
func TestCallsOfAClientPassThrough(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b, servers := newTools(t, asksFor("", call("a", "files__read", `{"path":"x"}`)), domain.ToolLimits{})
		r := message("hi")
		r.Options.Tools = []domain.Tool{{Name: "files__read"}}
		info, result, err := ask(b.chat, t.Context(), ada, r)
		want := []domain.ToolCall{call("a", "files__read", `{"path":"x"}`)}
		if err != nil || !reflect.DeepEqual(result.ToolCalls, want) || result.Finish != domain.FinishToolCalls || info.OwnTools || result.ToolEvents != nil {
			t.Errorf("got %+v, %v", result, err)
		}
		if len(servers.Calls()) > 0 {
			t.Error("a tool of Gaia's own was called")
		}
	})
}

// A tool that must be called must be called once: else the answer never ends.
func TestDemandedTool(t *testing.T) {
	t.Parallel()
	for name, choice := range map[string]domain.ToolChoice{"any": {Mode: "required"}, "one": {Name: "weather__now"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acts := plays(asksFor("", call("a", "weather__now", `{}`)), answers("done"))
			b, _ := newTools(t, acts, domain.ToolLimits{})
			r := message("hi")
			r.Options.ToolChoice = choice
			if _, result, err := b.chat.Complete(t.Context(), ada, r); err != nil || result.Content != "done" {
				t.Fatalf("got %+v, %v", result, err)
			}
			if first, second := acts.acts[0].asked(t).ToolChoice, acts.acts[1].asked(t).ToolChoice; first != choice || second != (domain.ToolChoice{}) {
				t.Errorf("asked with %+v, then with %+v", first, second)
			}
		})
	}
}

func TestLimitsOfTools(t *testing.T) {
	t.Parallel()
	one := call("a", "weather__now", `{}`)
	again := func(n int) (calls []domain.ToolCall) {
		for i := range n {
			calls = append(calls, call(fmt.Sprint("c", i), "weather__now", `{}`))
		}
		return calls
	}
	for name, test := range map[string]struct {
		limits domain.ToolLimits
		acts   []*provider
		calls  int    // that reach the tool
		asked  int    // times that the model is asked
		refuse int    // events of calls that were not made
		answer string // "": none
		kind   domain.Kind
	}{
		"rounds":            {domain.ToolLimits{Rounds: 2}, []*provider{asksFor("", one), asksFor("", one), answers("done")}, 2, 3, 0, "done", 0},
		"rounds, obstinate": {domain.ToolLimits{Rounds: 2}, []*provider{asksFor("I look.", one)}, 2, 3, 1, "I look.\n\nI look.\n\nI look.", 0},
		"rounds, silent":    {domain.ToolLimits{Rounds: 2}, []*provider{asksFor("", one)}, 2, 3, 1, "", domain.Unavailable},
		"calls at once":     {domain.ToolLimits{Calls: 3}, []*provider{asksFor("", again(5)...), answers("done")}, 3, 2, 2, "done", 0},
		"calls in rounds":   {domain.ToolLimits{Calls: 3}, []*provider{asksFor("", again(2)...), asksFor("", again(2)...), answers("done")}, 3, 3, 1, "done", 0},
		"tokens":            {domain.ToolLimits{Tokens: 30}, []*provider{asksFor("", one), asksFor("", one), answers("done")}, 2, 3, 0, "done", 0},
		"money":             {domain.ToolLimits{Cost: 1}, []*provider{asksFor("", one), answers("done")}, 0, 1, 0, "", domain.PaymentRequired},
		"enough of all":     {domain.ToolLimits{Tokens: 1000, Cost: domain.FromDollars(1)}, []*provider{asksFor("", one), answers("done")}, 1, 2, 0, "done", 0},
		"the defaults":      {domain.ToolLimits{}, []*provider{asksFor("I look.", again(3)...)}, 24, 9, 3, strings.TrimSuffix(strings.Repeat("I look.\n\n", 9), "\n\n"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toolsBothWays(t, func(t *testing.T, ask way) {
				var copies []*provider
				for _, act := range test.acts {
					copies = append(copies, &provider{steps: act.steps})
				}
				acts := plays(copies...)
				b, servers := newTools(t, acts, test.limits)
				_, result, err := ask(b.chat, t.Context(), ada, message("hi"))
				if result.Content != test.answer || (err != nil) != (test.answer == "") || err != nil && domain.KindOf(err) != test.kind {
					t.Fatalf("got %+v, %v", result, err)
				}
				if err == nil && result.Finish != domain.FinishStop {
					t.Errorf("the answer ends with %q", result.Finish)
				}
				refused := 0
				for _, e := range result.ToolEvents {
					if strings.Contains(e.Error, "was not made") {
						refused++
					}
				}
				if n := len(servers.Calls()); n != test.calls || acts.asked != test.asked || err == nil && refused != test.refuse {
					t.Errorf("%d calls, asked %d times, %d refused", n, acts.asked, refused)
				}
				if name != "money" && name != "enough of all" {
					if last := acts.acts[len(acts.acts)-1].asked(t); last.ToolChoice.Mode != "none" {
						t.Errorf("the last prompt leaves the choice %+v", last.ToolChoice)
					}
				}
				if rows := b.turns.usage(); len(rows) != test.asked {
					t.Errorf("%d rows of the ledger", len(rows))
				}
			})
		})
	}
}

// hangs is a tool that ends only when it is told to.
func hangs(ended *atomic.Int64) memory.ToolFunc {
	return func(ctx context.Context, _ domain.ToolInvocation) (domain.ToolResult, error) {
		<-ctx.Done()
		ended.Add(1)
		return domain.ToolResult{}, context.Cause(ctx)
	}
}

func TestToolThatHangs(t *testing.T) {
	t.Parallel()
	toolsBothWays(t, func(t *testing.T, ask way) {
		synctest.Test(t, func(t *testing.T) {
			acts := plays(asksFor("", call("a", "weather__now", `{}`), call("b", "files__read", `{"path":"x"}`)), answers("done"))
			b, servers := newTools(t, acts, domain.ToolLimits{Time: 10 * time.Second})
			var ended atomic.Int64
			servers.Add(domain.ToolSpec{Server: "weather", Name: "now"}, hangs(&ended))
			began := time.Now()
			_, result, err := ask(b.chat, t.Context(), ada, message("hi"))
			if err != nil || result.Content != "done" || time.Since(began) != 10*time.Second || ended.Load() != 1 {
				t.Fatalf("got %+v, %v after %v", result, err, time.Since(began))
			}
			wantWords(t, "events", told(result.ToolEvents), []string{
				"a weather__now failed: The call was given up: this answer has used up the time that it has for tools (10s)", "b files__read: text",
			})
			if p := acts.acts[1].asked(t); p.ToolChoice.Mode != "none" {
				t.Errorf("the last prompt leaves the choice %+v", p.ToolChoice)
			}
			for _, row := range b.turns.usage() {
				if row.Timings.Provider != 0 {
					t.Errorf("the provider seems to have taken %v", row.Timings.Provider)
				}
			}
		})
	})
}

func TestClientLeavesInATool(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{"after words": "I look.", "in silence": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, servers := newTools(t, asksFor(said, call("a", "weather__now", `{}`), call("b", "weather__now", `{}`)), domain.ToolLimits{})
				var ended atomic.Int64
				servers.Add(domain.ToolSpec{Server: "weather", Name: "now"}, hangs(&ended))
				s, err := b.chat.Stream(t.Context(), ada, message("hi"))
				if err != nil {
					t.Fatal(err)
				}
				for step := range s.Steps() {
					if step.Tool != nil {
						break
					}
				}
				synctest.Wait()
				s.Close()
				want := []string{}
				if said != "" {
					want = []string{"user:hi", "assistant:" + said}
				}
				wantWords(t, "history", b.history(t, ada, ""), want)
				if ended.Load() != 2 {
					t.Errorf("%d calls were told to end", ended.Load())
				}
				if rows := b.rows(); len(rows) != 1 || rows[0] != "openai completed provider " {
					t.Errorf("ledger: %q", rows)
				}
			})
		})
	}
}

// A provider that dies in a later round is asked again for that round alone.
func TestProviderDiesInALaterRound(t *testing.T) {
	t.Parallel()
	read := asksFor("I look.", call("a", "files__read", `{"path":"x"}`))
	for name, test := range map[string]struct {
		claude, openai []*provider
		streamed       string // what a stream answers; "": it fails
		whole          string // what an answer in one piece is
		calls          int
	}{
		"before a word, is back":  {[]*provider{read, fails(errAway), answers("done")}, nil, "I look.\n\ndone", "I look.\n\ndone", 1},
		"before a word, for good": {[]*provider{read, fails(errAway)}, []*provider{answers("other")}, "I look.\n\nother", "I look.\n\nother", 1},
		"after a word":            {[]*provider{read, breaksAfter(errAway, "do"), answers("done")}, nil, "", "I look.\n\ndone", 1},
		"after a word, with calls": {
			[]*provider{read, breaksAfter(errAway, "do"), asksFor("Once more.", call("a", "files__read", `{"path":"x"}`)), answers("done")}, nil,
			"", "I look.\n\nOnce more.\n\ndone", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toolsBothWays(t, func(t *testing.T, ask way) {
				synctest.Test(t, func(t *testing.T) {
					clone := func(acts []*provider) (list []*provider) {
						for _, a := range acts {
							list = append(list, &provider{steps: a.steps, openErr: a.openErr})
						}
						return list
					}
					first, second := plays(clone(test.claude)...), plays(append(clone(test.openai), answers("unused"))...)
					b, servers := newRoute(t, first, second), threeTools()
					deps := b.chat.ChatDeps
					deps.Tools = app.NewTools(app.ToolsDeps{Servers: servers, Policy: domain.ToolPolicy{Default: []string{"*"}}, Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
					b.chat = app.NewChat(deps)
					r := message("hi")
					r.Fallback = true
					_, result, err := ask(b.chat, t.Context(), ada, r)
					want := test.whole
					if strings.HasSuffix(t.Name(), "streamed") {
						want = test.streamed
					}
					if result.Content != want || (err != nil) != (want == "") {
						t.Fatalf("got %+v, %v", result, err)
					}
					calls := test.calls
					if want == "" {
						wantKind(t, err, domain.Unavailable)
						wantWords(t, "history", b.history(t, ada, ""), []string{})
						calls = 1
					}
					if n := len(servers.Calls()); n != calls {
						t.Errorf("%d calls", n)
					}
				})
			})
		})
	}
}

// A model that can't call tools is asked without when it takes over at once, and not at all in a conversation with calls.
func TestFallbackWithoutTools(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		acts   []*provider
		answer string
	}{
		"at once":       {[]*provider{fails(errNoKey)}, "plain"},
		"after a round": {[]*provider{asksFor("", call("a", "weather__now", `{}`)), fails(errNoKey)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := answers("plain")
			b := newRoute(t, plays(test.acts...), plain)
			deps := b.chat.ChatDeps
			deps.Tools = app.NewTools(app.ToolsDeps{Servers: threeTools(), Policy: domain.ToolPolicy{Default: []string{"*"}}, Audit: auditInto(&memory.AuditLog{}), Now: time.Now})
			deps.Selector.Catalogue = deps.Selector.Catalogue.With(domain.ProviderOpenAI, "plain-1")
			deps.Selector.Configured[domain.ProviderOpenAI] = "plain-1"
			b.chat = app.NewChat(deps)
			r := message("hi")
			r.Fallback = true
			r.Options.ToolChoice.Mode = "auto"
			_, result, err := b.chat.Complete(t.Context(), ada, r)
			if result.Content != test.answer || (err == nil) != (test.answer != "") {
				t.Fatalf("got %+v, %v", result, err)
			}
			if test.answer != "" {
				if p := plain.asked(t); len(p.Tools) > 0 || p.ToolChoice != (domain.ToolChoice{}) {
					t.Errorf("asked with %d tools, %+v", len(p.Tools), p.ToolChoice)
				}
			}
		})
	}
}

// Providers give no ids, or the same again.
func TestIdsOfCallsDiffer(t *testing.T) {
	t.Parallel()
	now := func(id string) domain.ToolCall { return call(id, "weather__now", `{}`) }
	acts := plays(asksFor("", now(""), now("x"), now("x")), asksFor("", now("x"), now("")), answers("done"))
	b, _ := newTools(t, acts, domain.ToolLimits{})
	r := app.ChatRequest{Messages: []domain.PromptMessage{
		{Role: domain.RoleUser, Content: "before"}, {Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{now("x_1")}},
		{Role: domain.RoleTool, ToolCallID: "x_1", Content: "y"}, {Role: domain.RoleUser, Content: "hi"},
	}}
	_, _, result, err := readSteps(t.Context(), b.chat, ada, r)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, e := range result.ToolEvents {
		ids = append(ids, e.CallID)
	}
	wantWords(t, "ids", ids, []string{"call_1", "x", "x_2", "x_3", "call_2"})
	if n := len(r.Messages); n != 4 {
		t.Errorf("the client's messages became %d", n)
	}
}

// The budget holds over all rounds.
func TestBudgetEndsBetweenRounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget func(first, all domain.Money) domain.Money
		calls  int
		kind   domain.Kind
	}{
		"there is enough":              {func(_, all domain.Money) domain.Money { return all }, 1, 0},
		"there is a little too little": {func(_, all domain.Money) domain.Money { return all - 1 }, 1, domain.PaymentRequired},
		"there is enough for one":      {func(first, _ domain.Money) domain.Money { return first }, 0, domain.PaymentRequired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(budget domain.Money) (*chatBed, *recordingBudgets, *memory.Tools, error) {
				b, servers := newTools(t, plays(asksFor("", call("a", "weather__now", `{}`)), answers("done")), domain.ToolLimits{})
				recorder := &recordingBudgets{BudgetStore: memory.NewBudgetStore(memory.NewLedger())}
				deps := b.chat.ChatDeps
				deps.Budgets, deps.Config.DailyBudget = recorder, budget
				b.chat = app.NewChat(deps)
				_, _, err := b.chat.Complete(t.Context(), ada, message("hi"))
				b.chat.Close(t.Context())
				return b, recorder, servers, err
			}
			_, recorder, _, err := run(domain.FromDollars(1))
			if err != nil || len(recorder.amounts) != 3 {
				t.Fatalf("%v; reserved %v", err, recorder.amounts)
			}
			first, all := recorder.amounts[0], recorder.amounts[0]+recorder.amounts[1]+recorder.amounts[2]
			b, recorder, servers, err := run(test.budget(first, all))
			if domain.KindOf(err) != test.kind {
				t.Errorf("got %v", err)
			}
			if n := len(servers.Calls()); n != test.calls {
				t.Errorf("%d calls", n)
			}
			if recorder.released != len(recorder.amounts)-1 {
				t.Errorf("%d of %d further reservations were given back", recorder.released, len(recorder.amounts)-1)
			}
			if rows := b.turns.usage(); test.kind != 0 && len(rows) != 1 {
				t.Errorf("ledger: %+v", rows)
			}
		})
	}
}

func TestHugeResultsAreCutToTheWindow(t *testing.T) {
	t.Parallel()
	acts := plays(asksFor("", call("a", "weather__now", `{}`), call("b", "weather__now", `{}`)), answers("done"))
	b, servers := newTools(t, acts, domain.ToolLimits{})
	servers.Add(domain.ToolSpec{Server: "weather", Name: "now"}, toolSays(strings.Repeat("é", 1<<20)))
	r := message("hi")
	r.Model.Model = "gpt-4" // 8192 tokens
	_, result, err := b.chat.Complete(t.Context(), ada, r)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, m := range acts.acts[1].asked(t).Messages {
		total += len(m.Content)
	}
	if total < 10_000 || total > 8192*3 {
		t.Errorf("the prompt has %d bytes", total)
	}
	for _, e := range result.ToolEvents {
		if len(e.Result) > 9<<10 || !strings.HasSuffix(e.Result, "…") {
			t.Errorf("clients are told %d bytes", len(e.Result))
		}
	}
}

// A panic of a tool is a fault of Gaia; it must not end the process.
func TestToolThatPanics(t *testing.T) {
	t.Parallel()
	toolsBothWays(t, func(t *testing.T, ask way) {
		b, servers := newTools(t, asksFor("", call("a", "weather__now", `{}`)), domain.ToolLimits{})
		servers.Add(domain.ToolSpec{Server: "weather", Name: "now"}, func(context.Context, domain.ToolInvocation) (domain.ToolResult, error) { panic("boom") })
		_, _, err := ask(b.chat, t.Context(), ada, message("hi"))
		if err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("got %v", err)
		}
		if rows := b.turns.usage(); len(rows) != 1 {
			t.Errorf("ledger: %+v", rows)
		}
	})
}

// Calls of one round run side by side, but not all at once.
func TestCallsRunAFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls []domain.ToolCall
		for i := range 8 {
			calls = append(calls, call(fmt.Sprint("c", i), "weather__now", fmt.Sprintf(`{"n":%d}`, i)))
		}
		b, servers := newTools(t, plays(asksFor("", calls...), answers("done")), domain.ToolLimits{AtOnce: 3})
		var running, most atomic.Int64
		servers.Add(domain.ToolSpec{Server: "weather", Name: "now"}, func(_ context.Context, c domain.ToolInvocation) (domain.ToolResult, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			var in struct{ N int }
			_ = json.Unmarshal(c.Arguments, &in)
			time.Sleep(time.Duration(10-in.N) * time.Second) // the first ones take longest
			return domain.ToolResult{Text: fmt.Sprint(in.N)}, nil
		})
		_, _, result, err := readSteps(t.Context(), b.chat, ada, message("hi"))
		if err != nil || most.Load() != 3 {
			t.Fatalf("%v; %d at once", err, most.Load())
		}
		for i, e := range result.ToolEvents {
			if e.CallID != calls[i].ID || e.Result != fmt.Sprint(i) {
				t.Errorf("event %d is %+v", i, e)
			}
		}
	})
}

// A round of calls that an answer was cut in is not made.
func TestCallsOfACutAnswer(t *testing.T) {
	t.Parallel()
	p := asksFor("I loo", call("a", "weather__now", `{"x`))
	p.steps[len(p.steps)-1].delta.Finish = domain.FinishLength
	b, servers := newTools(t, p, domain.ToolLimits{})
	_, _, result, err := readSteps(t.Context(), b.chat, ada, message("hi"))
	if err != nil || result.Content != "I loo" || result.Finish != domain.FinishLength || len(result.ToolEvents) != 1 || result.ToolEvents[0].Error == "" {
		t.Errorf("got %+v, %v", result, err)
	}
	if len(servers.Calls()) > 0 || p.calls() != 1 {
		t.Error("the call was made")
	}
}

// A repeated request gets the rounds again, on any replica, and calls nothing.
func TestRepeatedAnswersWithTools(t *testing.T) {
	t.Parallel()
	toolsBothWays(t, func(t *testing.T, ask way) {
		b, _ := newKept(t, says("unused"))
		servers := threeTools()
		acts := plays(asksFor("I look.", call("a", "files__read", `{"path":"x"}`)), asksFor("", call("a", "weather__now", `{}`)), answers("done"))
		b.withTools(acts, servers, domain.ToolLimits{})
		t.Cleanup(func() { b.chat.Close(context.Background()) })
		r := repeatable("k", "f")
		info, first, err := ask(b.chat, t.Context(), ada, r)
		if err != nil || first.Content != "I look.\n\ndone" || len(first.ToolEvents) != 2 {
			t.Fatalf("got %+v, %v", first, err)
		}
		other := app.NewChat(b.chat.ChatDeps)
		t.Cleanup(func() { other.Close(context.Background()) })
		for name, chat := range map[string]*app.Chat{"same process": b.chat, "other process": other} {
			again, second, err := ask(chat, t.Context(), ada, r)
			second.CommitTime = first.CommitTime
			if err != nil || !reflect.DeepEqual(first, second) || !again.OwnTools || again.MessageID != info.MessageID {
				t.Errorf("%s: got %+v, %v\nwant %+v", name, second, err, first)
			}
		}
		if n := len(servers.Calls()); n != 2 || acts.asked != 3 {
			t.Errorf("%d calls, asked %d times", n, acts.asked)
		}
	})
}

// Steps of a kept stream are those of the stream itself.
func TestKeptStepsWithTools(t *testing.T) {
	t.Parallel()
	b, _ := newKept(t, says("unused"))
	b.withTools(plays(asksFor("I look.", call("a", "files__read", `{"path":"x"}`), call("b", "nothing", ``)), answers("do", "ne")), threeTools(), domain.ToolLimits{})
	r := repeatable("k", "f")
	_, live, _, err := readSteps(t.Context(), b.chat, ada, r)
	if err != nil {
		t.Fatal(err)
	}
	b.chat.Close(context.Background())
	other := app.NewChat(b.chat.ChatDeps)
	t.Cleanup(func() { other.Close(context.Background()) })
	_, kept, _, err := readSteps(t.Context(), other, ada, r)
	if err != nil || len(kept) != len(live) {
		t.Fatalf("%d steps, kept %d: %v", len(live), len(kept), err)
	}
	asText := func(s app.ChatStep) string {
		s.Info = nil
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for i := range live {
		if asText(live[i]) != asText(kept[i]) {
			t.Errorf("step %d was %s and is %s", i, asText(live[i]), asText(kept[i]))
		}
	}
}

// The same request makes the same calls under the same ids, so that a server that remembers them carries out each one once.
func TestCallIdsOfARepeatedRequest(t *testing.T) {
	t.Parallel()
	ids := func(key, path string, fail bool) (list []string) {
		b, _ := newKept(t, says("unused"))
		servers := threeTools()
		acts := []*provider{asksFor("", call("a", "files__read", `{"path":"`+path+`"}`), call("b", "files__read", `{"path":"`+path+`"}`))}
		if fail {
			acts = append(acts, fails(errTooLong))
		}
		acts = append(acts, acts[0], answers("done"))
		if !fail {
			acts = []*provider{acts[0], answers("done")}
		}
		b.withTools(plays(acts...), servers, domain.ToolLimits{})
		t.Cleanup(func() { b.chat.Close(context.Background()) })
		r := repeatable(key, "f")
		_, _, err := b.chat.Complete(t.Context(), ada, r)
		if fail {
			wantKind(t, err, domain.BadRequest)
			_, _, err = b.chat.Complete(t.Context(), ada, r) // the run has failed, and the request comes again
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range servers.Calls() {
			list = append(list, c.CallID)
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	first := ids("k", "x", false)
	if again := ids("k", "x", true); len(first) != 2 || !slices.Equal(first, again) {
		t.Errorf("ids are %q, and then %q", first, again)
	}
	for name, others := range map[string][]string{"other arguments": ids("k", "y", false), "other key": ids("l", "x", false)} {
		if slices.Equal(first, others) {
			t.Errorf("%s: the same ids", name)
		}
	}
}

// Whatever the store says at the end, what was used is not lost, and nobody believes that the answer is there.
func TestStoreIsAwayAfterTools(t *testing.T) {
	t.Parallel()
	toolsBothWays(t, func(t *testing.T, ask way) {
		b, _ := newTools(t, plays(asksFor("", call("a", "weather__now", `{}`)), answers("done")), domain.ToolLimits{})
		away := domain.MissingPart("The database is not available", errAny)
		b.turns.FailNext("CommitTurn", away)
		if _, _, err := ask(b.chat, t.Context(), ada, message("hi")); !errors.Is(err, away) {
			t.Errorf("got %v", err)
		}
	})
}
