package app_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gaia/app"
	"gaia/domain"
)

// A way is how a client asks: for the answer in one piece, or as a stream.
type way func(*app.Chat, context.Context, domain.Principal, app.ChatRequest) (app.ChatInfo, app.ChatResult, error)

func inOnePiece(c *app.Chat, ctx context.Context, who domain.Principal, r app.ChatRequest) (app.ChatInfo, app.ChatResult, error) {
	return c.Complete(ctx, who, r)
}

// streamed reads a stream to its end and checks that its deltas add up to its result.
func streamed(c *app.Chat, ctx context.Context, who domain.Principal, r app.ChatRequest) (app.ChatInfo, app.ChatResult, error) {
	s, err := c.Stream(ctx, who, r)
	if err != nil {
		return app.ChatInfo{}, app.ChatResult{}, err
	}
	defer s.Close()
	var sum domain.AnswerBuilder
	for {
		switch step := <-s.Steps(); {
		case step.Err != nil:
			return app.ChatInfo{}, app.ChatResult{}, step.Err
		case step.Result != nil:
			if !reflect.DeepEqual(sum.Answer(), step.Result.Answer) {
				return s.Info, *step.Result, fmt.Errorf("the deltas add up to %+v and the result is %+v", sum.Answer(), step.Result.Answer)
			}
			return s.Info, *step.Result, nil
		default:
			sum.Add(step.Delta)
		}
	}
}

// bothWays runs a test for both.
func bothWays(t *testing.T, test func(*testing.T, way)) {
	t.Helper()
	for name, w := range map[string]way{"in one piece": inOnePiece, "streamed": streamed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

// words shows a prompt as "role:text" words; the default persona's long prompt is shortened to "Mu".
func words(p domain.Prompt) []string {
	var list []string
	for _, m := range p.Messages {
		text := m.Text()
		if strings.HasPrefix(text, "You are Mu,") {
			text = "Mu"
		}
		list = append(list, string(m.Role)+":"+text)
	}
	return list
}

func wantWords(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func TestPersonaAndHistoryReachTheProvider(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("Beep ", "boop"))
		info, result, err := ask(b.chat, t.Context(), ada, message("one"))
		if err != nil || result.Content != "Beep boop" || result.Finish != domain.FinishStop || result.ConversationID == "" {
			t.Fatalf("got %+v, %v", result, err)
		}
		if info.MessageID == "" || info.Created.IsZero() || info.Choice != (domain.Choice{Provider: "openai", Model: "gpt-4o-mini"}) || info.PersonaHit {
			t.Errorf("info is %+v", info)
		}
		wantWords(t, "the first prompt", words(b.provider.asked(t)), []string{"system:Mu", "user:one"})
		again, result2, err := ask(b.chat, t.Context(), ada, message("two"))
		if err != nil || result2.ConversationID != result.ConversationID || !again.PersonaHit || again.MessageID == info.MessageID {
			t.Errorf("the second answer is %+v, %+v, %v", again, result2, err)
		}
		prompt := b.provider.asked(t)
		wantWords(t, "the second prompt", words(prompt), []string{"system:Mu", "user:one", "assistant:Beep boop", "user:two"})
		if prompt.Model != "gpt-4o-mini" || prompt.MaxTokens == nil || *prompt.MaxTokens != 2000 {
			t.Errorf("model %s, at most %v tokens", prompt.Model, prompt.MaxTokens)
		}
		wantWords(t, "ada's history", b.history(t, ada, ""), []string{"user:one", "assistant:Beep boop", "user:two", "assistant:Beep boop"})
		wantWords(t, "bob's history", b.history(t, bob, ""), []string{})
		if n := b.provider.closed.Load(); n != 2 {
			t.Errorf("%d of 2 provider streams were closed", n)
		}
	})
}

func TestChosenAndNamedPersonaAnswer(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("ok"))
		eve, max := create(t, b.personas, bob, "Eve"), create(t, b.personas, bob, "Max")
		if _, err := b.personas.Choose(t.Context(), ada, eve.ID); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{"": "system:You are Eve", "default": "system:You are Eve", max.ID: "system:You are Max", strings.ToUpper(max.ID): "system:You are Max"} {
			r := message("hi")
			r.PersonaID = id
			if _, _, err := ask(b.chat, t.Context(), ada, r); err != nil {
				t.Fatal(err)
			}
			if got := words(b.provider.asked(t))[0]; got != want {
				t.Errorf("persona %q: got %q, want %q", id, got, want)
			}
		}
	})
}

func TestMessagesForm(t *testing.T) {
	t.Parallel()
	const conversation = "aaaaaaaa-0000-7000-8000-000000000001"
	own := domain.PromptMessage{Role: domain.RoleSystem, Content: "own"}
	developer := domain.PromptMessage{Role: domain.RoleDeveloper, Content: "dev"}
	user := func(text string) domain.PromptMessage {
		return domain.PromptMessage{Role: domain.RoleUser, Content: text}
	}
	parts := domain.PromptMessage{Role: domain.RoleUser, Parts: []domain.ContentPart{{Text: "see "}, {ImageURL: "https://x/y.png"}, {Text: "this"}}}
	answered := domain.PromptMessage{Role: domain.RoleAssistant, Content: "a"}
	tests := map[string]struct {
		messages     []domain.PromptMessage
		message      *string
		persona      bool // names Eve
		conversation string
		prompt       []string
		stored       []string
	}{
		"stateless":                      {[]domain.PromptMessage{user("q"), answered, user("r")}, nil, false, "", []string{"system:Mu", "user:q", "assistant:a", "user:r"}, nil},
		"own system prompt":              {[]domain.PromptMessage{own, user("q")}, nil, false, "", []string{"system:own", "user:q"}, nil},
		"own developer prompt":           {[]domain.PromptMessage{developer, user("q")}, nil, false, "", []string{"developer:dev", "user:q"}, nil},
		"own system prompt and persona":  {[]domain.PromptMessage{own, user("q")}, nil, true, "", []string{"system:You are Eve", "system:own", "user:q"}, nil},
		"messages and a message":         {[]domain.PromptMessage{user("q"), answered}, new("r"), false, "", []string{"system:Mu", "user:q", "assistant:a", "user:r"}, nil},
		"with a conversation":            {[]domain.PromptMessage{user("q")}, nil, false, conversation, []string{"system:Mu", "user:old", "assistant:ok", "user:q"}, []string{"user:q", "assistant:ok"}},
		"conversation, own prompt":       {[]domain.PromptMessage{own, user("q")}, nil, false, conversation, []string{"system:own", "user:old", "assistant:ok", "user:q"}, []string{"user:q", "assistant:ok"}},
		"conversation, last is stored":   {[]domain.PromptMessage{user("q"), answered, parts, answered}, nil, false, conversation, []string{"system:Mu", "user:old", "assistant:ok", "user:q", "assistant:a", "user:see this", "assistant:a"}, []string{"user:see this", "assistant:ok"}},
		"message with a conversation":    {nil, new("q"), false, conversation, []string{"system:Mu", "user:old", "assistant:ok", "user:q"}, []string{"user:q", "assistant:ok"}},
		"conversation, both, is kept up": {[]domain.PromptMessage{user("q"), answered}, new("r"), true, conversation, []string{"system:You are Eve", "user:old", "assistant:ok", "user:q", "assistant:a", "user:r"}, []string{"user:r", "assistant:ok"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, ask way) {
				b := newChat(t, says("ok"))
				for _, id := range []string{"", conversation} { // both have a history already
					old := message("old")
					old.ConversationID = id
					if _, _, err := ask(b.chat, t.Context(), ada, old); err != nil {
						t.Fatal(err)
					}
				}
				r := app.ChatRequest{Messages: test.messages, Message: test.message, ConversationID: test.conversation}
				if test.persona {
					r.PersonaID = create(t, b.personas, bob, "Eve").ID
				}
				_, result, err := ask(b.chat, t.Context(), ada, r)
				if err != nil || result.ConversationID != test.conversation {
					t.Fatalf("got %+v, %v", result, err)
				}
				wantWords(t, "the prompt", words(b.provider.asked(t)), test.prompt)
				wantWords(t, "the conversation", b.history(t, ada, conversation), append([]string{"user:old", "assistant:ok"}, test.stored...))
				wantWords(t, "the default conversation", b.history(t, ada, ""), []string{"user:old", "assistant:ok"})
				if limit := b.provider.asked(t).MaxTokens; (limit == nil) != (test.message == nil) {
					t.Errorf("at most %v tokens", limit)
				}
			})
		})
	}
}

// A client that runs tools comes back with their results and no new question.
func TestTurnWithoutAQuestion(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("42"))
	r := app.ChatRequest{ConversationID: unknownID, Messages: []domain.PromptMessage{
		{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "c", Name: "add"}}}, {Role: domain.RoleTool, ToolCallID: "c", Content: "42"},
	}}
	if _, _, err := b.chat.Complete(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "history", b.history(t, ada, unknownID), []string{"user:", "assistant:42"})
	r = message("thanks")
	r.ConversationID = unknownID
	if _, _, err := b.chat.Complete(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "the next prompt", words(b.provider.asked(t)), []string{"system:Mu", "user:thanks"})
}

func TestOptionsReachTheProvider(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("ok"))
	options := domain.Prompt{
		Model: "ignored", Messages: []domain.PromptMessage{{Content: "ignored"}}, Temperature: new(0.5), MaxTokens: new(7), Stop: []string{"x"},
		Tools: []domain.Tool{{Name: "add"}}, ToolChoice: domain.ToolChoice{Mode: "auto"}, User: "u",
	}
	r := message("hi")
	r.Options, r.Model = options, domain.ModelRequest{Model: "gpt-4o"}
	if _, _, err := b.chat.Complete(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	got := b.provider.asked(t)
	wantWords(t, "the prompt", words(got), []string{"system:Mu", "user:hi"})
	options.Model, options.Messages = "gpt-4o", got.Messages
	if !reflect.DeepEqual(got, options) {
		t.Errorf("got %+v", got)
	}
}

func TestHistoryIsTrimmedWhenSentAndNotWhenStored(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("ok"))
	for i := range domain.MaxHistory/2 + 3 {
		if _, _, err := b.chat.Complete(t.Context(), ada, message(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	prompt := words(b.provider.asked(t))
	if len(prompt) != 1+domain.MaxHistory+1 || prompt[1] != "user:2" || prompt[len(prompt)-1] != "user:27" {
		t.Errorf("%d messages went out: %q", len(prompt), prompt)
	}
	if n, err := b.chat.Status(t.Context(), ada); err != nil || n != domain.MaxHistory+6 {
		t.Errorf("%d messages are stored, %v", n, err)
	}
	// gpt-4 has room for 8,192 tokens: 6,144 of them for the prompt.
	r := message(strings.Repeat("x", 4*6070))
	r.Model.Model = "gpt-4"
	if _, _, err := b.chat.Complete(t.Context(), ada, r); err != nil {
		t.Fatal(err)
	}
	if sent := len(words(b.provider.asked(t))); sent <= 2 || sent >= domain.MaxHistory {
		t.Errorf("%d messages went into the small window", sent)
	}
}

func TestRefusedQuestionsReachNobody(t *testing.T) {
	t.Parallel()
	const foreign = "bbbbbbbb-0000-7000-8000-000000000001"
	text := "hi"
	tests := map[string]struct {
		request app.ChatRequest
		want    domain.Kind
	}{
		"nothing said":          {app.ChatRequest{}, domain.Invalid},
		"no messages":           {app.ChatRequest{Messages: []domain.PromptMessage{}}, domain.Invalid},
		"unknown model":         {app.ChatRequest{Message: &text, Model: domain.ModelRequest{Model: "gpt-9"}}, domain.NotFound},
		"provider not set up":   {app.ChatRequest{Message: &text, Model: domain.ModelRequest{Provider: "claude"}}, domain.Unavailable},
		"unknown persona":       {app.ChatRequest{Message: &text, PersonaID: unknownID}, domain.NotFound},
		"malformed persona":     {app.ChatRequest{Message: &text, PersonaID: "nobody"}, domain.NotFound},
		"foreign conversation":  {app.ChatRequest{Message: &text, ConversationID: foreign}, domain.NotFound},
		"malformed":             {app.ChatRequest{Message: &text, ConversationID: "mine"}, domain.NotFound},
		"foreign, in the other": {app.ChatRequest{Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "q"}}, ConversationID: foreign}, domain.NotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, ask way) {
				b := newChat(t, says("ok"))
				first := message("secret")
				first.ConversationID = foreign
				if _, _, err := ask(b.chat, t.Context(), bob, first); err != nil {
					t.Fatal(err)
				}
				_, _, err := ask(b.chat, t.Context(), ada, test.request)
				wantKind(t, err, test.want)
				if b.provider.calls() != 1 || len(b.events.subjects()) != 2 || b.turns.appends.Load() != 1 {
					t.Errorf("%d calls, events %v, %d turns saved", b.provider.calls(), b.events.subjects(), b.turns.appends.Load())
				}
			})
		})
	}
}

func TestMissingMessageIsNamed(t *testing.T) {
	t.Parallel()
	_, _, err := newChat(t, says("ok")).chat.Complete(t.Context(), ada, app.ChatRequest{})
	var e *domain.Error
	if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Type != "missing" || !reflect.DeepEqual(e.Faults[0].Loc, []any{"body", "message"}) {
		t.Errorf("got %+v", err)
	}
}

func TestFailedTurnLeavesNothing(t *testing.T) {
	t.Parallel()
	refusal := &domain.Error{Kind: domain.Limited, Message: "slow down"}
	providers := map[string]func() *provider{
		"refused":              func() *provider { return &provider{openErr: refusal} },
		"refused in a stream":  func() *provider { return (&provider{}).then(step{err: refusal}) },
		"broken after a piece": func() *provider { return live("Beep").then(step{err: refusal}) },
		"broken after the end": func() *provider { return says("Beep").then(step{err: refusal}) },
	}
	for name, make := range providers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, ask way) {
				p := make()
				b := newChat(t, p)
				if _, _, err := ask(b.chat, t.Context(), ada, message("hi")); !errors.Is(err, refusal) {
					t.Errorf("got %v", err)
				}
				wantWords(t, "history", b.history(t, ada, ""), []string{})
				wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
				if opened := p.openErr == nil; (p.closed.Load() == 1) != opened || b.turns.appends.Load() != 0 {
					t.Errorf("closed %d times, %d turns saved", p.closed.Load(), b.turns.appends.Load())
				}
			})
		})
	}
}

func TestAnswerThatCannotBeSavedIsNoAnswer(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("Beep"))
		b.turns.FailNext("CommitTurn", away)
		_, result, err := ask(b.chat, t.Context(), ada, message("hi"))
		if !errors.Is(err, away) || result.Content != "" {
			t.Errorf("got %+v, %v", result, err)
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{})
		wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatFailed})
		if n := b.turns.appends.Load(); n != 1 {
			t.Errorf("tried to save %d times", n)
		}
	})
}

func TestStorageTroubleStopsAChat(t *testing.T) {
	t.Parallel()
	away := domain.MissingPart("The database is not available", errAny)
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("Beep"))
		b.people.FailNext("ChosenPersona", away)
		_, _, err := ask(b.chat, t.Context(), ada, message("hi"))
		wantKind(t, err, domain.Unavailable)
		b.turns.FailNext("History", away)
		_, _, err = ask(b.chat, t.Context(), ada, message("hi"))
		wantKind(t, err, domain.Unavailable)
		if n := b.provider.calls(); n != 0 {
			t.Errorf("the provider was asked %d times", n)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	told := &domain.Usage{Input: 30, Output: 12, CachedInput: 5}
	for name, test := range map[string]struct {
		provider *provider
		want     domain.Usage
	}{
		"told":      {says("Beep").then(step{delta: domain.Delta{Usage: told}}), domain.Usage{Input: 30, Output: 12, CachedInput: 5, Source: domain.UsageFromProvider}},
		"estimated": {says("12345"), domain.Usage{Input: 1, Output: 2, Source: domain.UsageEstimated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newChat(t, test.provider)
			r := app.ChatRequest{ConversationID: unknownID, Messages: []domain.PromptMessage{{Role: domain.RoleSystem}, {Role: domain.RoleUser, Content: "1234"}}}
			info, result, err := b.chat.Complete(t.Context(), ada, r)
			if err != nil || result.Usage != test.want || result.Duration < 0 {
				t.Errorf("got %+v, %v", result, err)
			}
			messages, _, err := b.turns.History(t.Context(), "ada", unknownID, 0)
			if err != nil || len(messages) != 2 {
				t.Fatal(messages, err)
			}
			if m := messages[1]; m.Tokens != test.want.Total() || m.Model != "gpt-4o-mini" || m.Provider != "openai" || m.ID != info.MessageID || m.CreatedAt.IsZero() {
				t.Errorf("stored %+v", m)
			}
			if m := messages[0]; m.Tokens != 0 || m.Model != "" || m.Provider != "" || m.ID == "" || m.ID == info.MessageID {
				t.Errorf("stored %+v", m)
			}
		})
	}
}

func TestToolCallsAndRefusalsAreInTheResult(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		p := (&provider{}).then(
			step{delta: domain.Delta{Refusal: "I can't"}},
			step{delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 0, ID: "c", Name: "add", Arguments: "{"}}}},
			step{delta: domain.Delta{ToolCalls: []domain.ToolCallDelta{{Index: 0, Arguments: "}"}}}},
			step{delta: domain.Delta{Finish: domain.FinishToolCalls}},
		)
		b := newChat(t, p)
		_, result, err := ask(b.chat, t.Context(), ada, message("hi"))
		if err != nil || result.Refusal != "I can't" || result.Finish != domain.FinishToolCalls || len(result.ToolCalls) != 1 || result.ToolCalls[0].Arguments != "{}" {
			t.Errorf("got %+v, %v", result, err)
		}
		wantWords(t, "history", b.history(t, ada, ""), []string{"user:hi", "assistant:I can't"})
	})
}

func TestTextIsStorable(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("a\x00b", "\xff", "ü"))
	if _, _, err := b.chat.Complete(t.Context(), ada, message("q\x00\xc3")); err != nil {
		t.Fatal(err)
	}
	wantWords(t, "history", b.history(t, ada, ""), []string{"user:q\uFFFD", "assistant:ab\uFFFDü"})
}

func TestStatusAndClear(t *testing.T) {
	t.Parallel()
	const conversation = "cccccccc-0000-7000-8000-000000000001"
	b := newChat(t, says("ok"))
	for _, who := range []domain.Principal{ada, bob, service} {
		for _, id := range []string{"", conversation[:35] + who.OwnerID()[:1]} {
			r := message("hi")
			if r.ConversationID = id; who.IsService() && id != "" {
				r.ConversationID = conversation
			}
			if _, _, err := b.chat.Complete(t.Context(), who, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantCount := func(who domain.Principal, want int) {
		t.Helper()
		if n, err := b.chat.Status(t.Context(), who); err != nil || n != want {
			t.Errorf("%s has %d messages, %v, want %d", who.OwnerID(), n, err, want)
		}
	}
	for range 2 { // clearing what is empty is no error
		if err := b.chat.Clear(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
		wantCount(ada, 0)
		wantCount(bob, 2)
		wantCount(service, 2)
	}
	wantWords(t, "ada's named conversation", b.history(t, ada, conversation[:35]+"a"), []string{"user:hi", "assistant:ok"})
	if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
		t.Fatal(err)
	}
	wantCount(ada, 2)
	wantWords(t, "the prompt after clearing", words(b.provider.asked(t)), []string{"system:Mu", "user:hi"})
}

func TestReloadPromptReadsAnew(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("ok"))
	eve := create(t, b.personas, ada, "Eve")
	if _, err := b.personas.Choose(t.Context(), ada, eve.ID); err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		t.Helper()
		if _, _, err := b.chat.Complete(t.Context(), ada, message("hi")); err != nil {
			t.Fatal(err)
		}
		return words(b.provider.asked(t))[0]
	}
	ask()
	// Somebody changes the database behind Gaia's back.
	if _, err := b.people.Update(t.Context(), eve.ID, func(p *domain.Persona) error { p.SystemPrompt = "new"; return nil }); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "system:You are Eve" {
		t.Fatalf("the persona was not kept: %q", got)
	}
	if err := b.chat.ReloadPrompt(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "system:new" {
		t.Errorf("after reloading still %q", got)
	}
}

func TestEventsTellWhoAndNeverWhat(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, ask way) {
		b := newChat(t, says("secret answer").then(step{delta: domain.Delta{Usage: &domain.Usage{Input: 3, Output: 4}}}))
		eve := create(t, b.personas, ada, "secret persona")
		r := message("secret question")
		r.PersonaID = eve.ID
		info, _, err := ask(b.chat, t.Context(), ada, r)
		if err != nil {
			t.Fatal(err)
		}
		b.provider.openErr = errors.New("secret trouble")
		if _, _, err := ask(b.chat, t.Context(), service, message("secret question")); err == nil {
			t.Fatal("no error")
		}
		wantWords(t, "events", b.events.subjects(), []string{domain.SubjectChatStart, domain.SubjectChatComplete, domain.SubjectChatStart, domain.SubjectChatFailed})
		var got []domain.ChatMessageEvent
		for _, e := range b.events.events {
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, "secret") {
				t.Errorf("an event tells %s", text)
			}
			got = append(got, e.Payload.(domain.ChatMessageEvent))
		}
		for i, status := range []string{"started", "completed", "started", "failed"} {
			if got[i].Status != status || got[i].MessageID == "" || got[i].Timestamp.IsZero() || got[i].PersonaID == nil {
				t.Errorf("event %d is %+v", i, got[i])
			}
		}
		if got[0].MessageID != info.MessageID || got[1].MessageID != info.MessageID || *got[1].PersonaID != eve.ID || got[1].UserID != "ada" {
			t.Errorf("got %+v", got[:2])
		}
		if d := got[1].Details; d["model"] != "gpt-4o-mini" || d["provider"] != "openai" || d["input_tokens"] != 3 || d["output_tokens"] != 4 {
			t.Errorf("details are %v", d)
		}
		if got[2].MessageID != got[3].MessageID || got[2].UserID != "service" || got[3].Details["provider"] != "openai" {
			t.Errorf("got %+v", got[2:])
		}
	})
}

func TestEventsWithoutAPersona(t *testing.T) {
	t.Parallel()
	b := newChat(t, says("ok"))
	own := []domain.PromptMessage{{Role: domain.RoleSystem, Content: "own"}, {Role: domain.RoleUser, Content: "q"}}
	if _, _, err := b.chat.Complete(t.Context(), ada, app.ChatRequest{Messages: own}); err != nil {
		t.Fatal(err)
	}
	if e := b.events.events[0].Payload.(domain.ChatMessageEvent); e.PersonaID != nil {
		t.Errorf("persona %s had no part in it", *e.PersonaID)
	}
}
