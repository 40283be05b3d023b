package echo_test

import (
	"slices"
	"strings"
	"testing"

	"gaia/domain"
)

const scriptOfThree = "Please:\n/call files__list {\"path\":\".\"}\n/then\n  /say Both at once.\n/call files__read {\"path\":\"ä.md\"}\n/call clock\n/then\n/say Done."

func toolNamed(name string) domain.Tool { return domain.Tool{Name: name} }

// TestScript plays a whole conversation: what the model is told to do, round by round, and what it does when nothing is left.
func TestScript(t *testing.T) {
	t.Parallel()
	tools := []domain.Tool{toolNamed("files__list"), toolNamed("files__read"), toolNamed("clock")}
	messages := []domain.PromptMessage{system(mu), user(scriptOfThree)}
	for i, want := range []struct {
		text   string
		calls  []domain.ToolCall
		finish domain.FinishReason
	}{
		{"", []domain.ToolCall{{ID: "call_echo_1", Name: "files__list", Arguments: `{"path":"."}`}}, domain.FinishToolCalls},
		{"Both at once.", []domain.ToolCall{
			{ID: "call_echo_3", Name: "files__read", Arguments: `{"path":"ä.md"}`}, {ID: "call_echo_3_1", Name: "clock"},
		}, domain.FinishToolCalls},
		{"Done.", nil, domain.FinishStop},
		{`Mu here, running offline as the echo model. You said: `, nil, domain.FinishStop},
	} {
		a, _ := ask(t, domain.Prompt{Messages: messages, Tools: tools})
		exact := i < 3
		if exact && a.Content != want.text || !strings.HasPrefix(a.Content, want.text) || !slices.Equal(a.ToolCalls, want.calls) || a.Finish != want.finish {
			t.Fatalf("round %d: got %q, %v, %s", i+1, a.Content, a.ToolCalls, a.Finish)
		}
		messages = append(messages, domain.PromptMessage{Role: domain.RoleAssistant, Content: a.Content, ToolCalls: a.ToolCalls})
		for _, c := range a.ToolCalls {
			messages = append(messages, domain.PromptMessage{Role: domain.RoleTool, ToolCallID: c.ID, Content: "result"})
		}
	}
}

func TestScriptAnswers(t *testing.T) {
	t.Parallel()
	list := []domain.Tool{toolNamed("files__list")}
	asJSON := &domain.ResponseFormat{Type: "json_schema", Schema: map[string]any{"schema": map[string]any{"type": "object"}}}
	for name, tt := range map[string]struct {
		script string
		prompt domain.Prompt
		want   string // of the text
		calls  int
	}{
		"JSON where JSON is asked for": {"/json {\"agent\":\"writer\"}\n/say Hello", domain.Prompt{ResponseFormat: asJSON}, `{"agent":"writer"}`, 0},
		"text where text is":           {"/json {\"agent\":\"writer\"}\n/say Hello", domain.Prompt{}, "Hello", 0},
		"JSON with nothing else":       {"/json {}", domain.Prompt{}, "{}", 0},
		"no JSON to give":              {"/say Hello", domain.Prompt{ResponseFormat: asJSON}, "{}", 0},
		"lines":                        {"/say one\n/say two", domain.Prompt{}, "one\ntwo", 0},
		"a tool that is not offered":   {"/call rm {}", domain.Prompt{Tools: list}, `I can't call "rm": I was given files__list.`, 0},
		"no tools":                     {"/call rm {}", domain.Prompt{}, `I can't call "rm": I was given no tools.`, 0},
		"tools forbidden": {"/say so it is\n/call files__list {}", domain.Prompt{Tools: list, ToolChoice: domain.ToolChoice{Mode: "none"}},
			"so it is", 0},
		"no JSON object": {"/call files__list [1", domain.Prompt{Tools: list}, "", 1},
		"not a script":   {"either/or\n/unknown word\n/say", domain.Prompt{}, "The echo model here", 0},
		"many calls":     {strings.Repeat("/call files__list {}\n", 100), domain.Prompt{Tools: list}, "", 32},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.prompt.Messages = []domain.PromptMessage{user(tt.script)}
			a, _ := ask(t, tt.prompt)
			if !strings.HasPrefix(a.Content, tt.want) || tt.want == "" && a.Content != "" || len(a.ToolCalls) != tt.calls {
				t.Errorf("got %q with %d calls", a.Content, len(a.ToolCalls))
			}
		})
	}
}

// TestANewMessageEndsNoScript: rounds go on over messages without a script, as planners send them, and a new script takes their place.
func TestANewMessageEndsNoScript(t *testing.T) {
	t.Parallel()
	messages := []domain.PromptMessage{user("/say one\n/then\n/say two"), assistant("one"), user("Here is what came of it.")}
	if a, _ := ask(t, domain.Prompt{Messages: messages}); a.Content != "two" {
		t.Errorf("got %q", a.Content)
	}
	messages = append(messages, assistant("two"), user("/say another"))
	if a, _ := ask(t, domain.Prompt{Messages: messages}); a.Content != "another" {
		t.Errorf("got %q", a.Content)
	}
}

// TestAHistoryEndsTheScript: of rounds with calls, a stored conversation keeps one answer, after which the script must not go on.
func TestAHistoryEndsTheScript(t *testing.T) {
	t.Parallel()
	messages := []domain.PromptMessage{user("/call clock {}\n/then\n/say It is late."), assistant("It is late."), user("Hello")}
	if a, _ := ask(t, domain.Prompt{Messages: messages, Tools: []domain.Tool{toolNamed("clock")}}); !strings.Contains(a.Content, `You said: "Hello".`) {
		t.Errorf("got %q", a.Content)
	}
}
