package domain_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gaia/domain"
)

func user(text string) domain.Message { return domain.Message{Role: domain.RoleUser, Content: text} }
func assistant(text string) domain.Message {
	return domain.Message{Role: domain.RoleAssistant, Content: text}
}
func ask(text string) domain.PromptMessage {
	return domain.PromptMessage{Role: domain.RoleUser, Content: text}
}

// tokens makes a text that counts as n tokens.
func tokens(n int) string { return strings.Repeat("ß", 4*n) }

// shape shows a prompt as "role:tokens" words.
func shape(messages []domain.PromptMessage) string {
	words := make([]string, len(messages))
	for i, m := range messages {
		words[i] = string(m.Role) + ":" + strings.Repeat("x", domain.EstimateTokens(utf8.RuneCountInString(m.Text())))
	}
	return strings.Join(words, " ")
}

// Answers of tool calls only, and turns that begin with a tool's result, are stored without text.
func TestBuildPromptLeavesOutEmptyMessages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		history []domain.Message
		want    string
	}{
		"in the middle":      {[]domain.Message{user("q"), assistant(""), user(" \n"), assistant("a")}, "user:x assistant:x user:x"},
		"in front":           {[]domain.Message{user(""), assistant("a"), user("q"), assistant("b")}, "user:x assistant:x user:x"},
		"question in front":  {[]domain.Message{user(""), assistant("a")}, "user:x"},
		"nothing but empty":  {[]domain.Message{user(""), assistant("")}, "user:x"},
		"unanswered at last": {[]domain.Message{user("q"), assistant("")}, "user:x user:x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, window := range []int{0, 1000} {
				if got := shape(domain.BuildPrompt("", test.history, []domain.PromptMessage{ask("n")}, window)); got != test.want {
					t.Errorf("in a window of %d: got %q, want %q", window, got, test.want)
				}
			}
		})
	}
}

func TestBuildPromptWindow(t *testing.T) {
	t.Parallel()
	history := []domain.Message{user(tokens(2)), assistant(tokens(2)), user(tokens(1)), assistant(tokens(1))}
	// The persona costs 2 and the question 1, three quarters of the window are there for it all.
	tests := map[string]struct {
		window int
		want   string
	}{
		"unknown window":           {0, "system:xx user:xx assistant:xx user:x assistant:x user:x"},
		"everything fits exactly":  {12, "system:xx user:xx assistant:xx user:x assistant:x user:x"},
		"one token short":          {11, "system:xx user:x assistant:x user:x"}, // an answer would come first
		"the last pair just fits":  {7, "system:xx user:x assistant:x user:x"},
		"half a pair is not sent":  {6, "system:xx user:x"},
		"no history fits":          {4, "system:xx user:x"},
		"not even what must be in": {1, "system:xx user:x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := shape(domain.BuildPrompt(tokens(2), history, []domain.PromptMessage{ask(tokens(1))}, test.window)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestBuildPromptParts(t *testing.T) {
	t.Parallel()
	fresh := []domain.PromptMessage{
		{Role: domain.RoleSystem, Content: "own"}, {Role: domain.RoleDeveloper, Content: "dev"}, ask("one"), {Role: domain.RoleSystem, Content: "mid"}, ask("two"),
	}
	tests := map[string]struct {
		persona string
		history []domain.Message
		fresh   []domain.PromptMessage
		want    []string
	}{
		"nothing":                     {"", nil, nil, []string{}},
		"no persona":                  {"", nil, []domain.PromptMessage{ask("q")}, []string{"user q"}},
		"persona first":               {"p", []domain.Message{user("a"), assistant("b")}, []domain.PromptMessage{ask("q")}, []string{"system p", "user a", "assistant b", "user q"}},
		"history of an answer alone":  {"p", []domain.Message{assistant("b")}, []domain.PromptMessage{ask("q")}, []string{"system p", "user q"}},
		"client's own system prompts": {"", []domain.Message{user("a"), assistant("b")}, fresh, []string{"system own", "developer dev", "user a", "assistant b", "user one", "system mid", "user two"}},
		"both system prompts":         {"p", []domain.Message{user("a"), assistant("b")}, fresh[:3], []string{"system p", "system own", "developer dev", "user a", "assistant b", "user one"}},
		"only a system prompt":        {"p", []domain.Message{user("a"), assistant("b")}, fresh[:1], []string{"system p", "system own", "user a", "assistant b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := []string{}
			for _, m := range domain.BuildPrompt(test.persona, test.history, test.fresh, 1000) {
				got = append(got, string(m.Role)+" "+m.Content)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
}

// Texts in parts and arguments of calls take room too.
func TestBuildPromptCountsEverythingFresh(t *testing.T) {
	t.Parallel()
	history := []domain.Message{user(tokens(1)), assistant(tokens(1))}
	for name, fresh := range map[string]domain.PromptMessage{
		"parts": {Role: domain.RoleUser, Parts: []domain.ContentPart{{Text: tokens(2)}, {Text: tokens(2)}}},
		"calls": {Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{Arguments: strings.Repeat("1", 16)}}},
	} {
		for window, want := range map[int]int{8: 3, 7: 1} { // 4 fresh tokens and 2 of history in three quarters of it
			if got := domain.BuildPrompt("", history, []domain.PromptMessage{fresh}, window); len(got) != want {
				t.Errorf("%s in a window of %d: got %d messages, want %d", name, window, len(got), want)
			}
		}
	}
}

// Whatever the input: the budget is kept when history is sent, order is kept, nothing that would have fitted is left out.
func TestBuildPromptProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for range 20_000 {
		history := randomHistory(random)
		persona := tokens(random.IntN(5))
		question := tokens(random.IntN(5))
		window := 1 + random.IntN(80)
		got := domain.BuildPrompt(persona, history, []domain.PromptMessage{ask(question)}, window)
		middle := got[:len(got)-1]
		if persona != "" {
			middle = middle[1:]
		}
		if got[len(got)-1].Content != question || persona != "" && got[0].Content != persona {
			t.Fatalf("persona or question is not in its place: %s", shape(got))
		}
		sent += len(middle)
		history = slices.DeleteFunc(history, func(m domain.Message) bool { return m.Content == "" })
		checkHistory(t, history, middle, window*3/4-cost(persona)-cost(question))
	}
	if sent == 0 {
		t.Fatal("no run sent any history, so nothing was tested")
	}
}

func checkHistory(t *testing.T, history []domain.Message, sent []domain.PromptMessage, budget int) {
	t.Helper()
	first := len(history) - len(sent)
	used := 0
	for i, m := range sent {
		if from := history[first+i]; m.Role != from.Role || m.Content != from.Content {
			t.Fatalf("message %d of the history became %+v", first+i, m)
		}
		used += cost(m.Content)
	}
	if len(sent) > 0 && (used > budget || sent[0].Role != domain.RoleUser) {
		t.Fatalf("history of %d tokens in a budget of %d starts with %s", used, budget, sent[0].Role)
	}
	for i := first - 1; i >= 0; i-- {
		used += cost(history[i].Content)
		if history[i].Role == domain.RoleUser && used <= budget {
			t.Fatalf("messages from %d on would have fitted, sent were those from %d on", i, first)
		}
	}
}

func cost(text string) int { return domain.EstimateTokens(utf8.RuneCountInString(text)) }

func randomHistory(random *rand.Rand) []domain.Message {
	history := make([]domain.Message, random.IntN(12))
	for i := range history {
		history[i] = assistant(tokens(random.IntN(12)))
		if random.IntN(2) == 0 {
			history[i].Role = domain.RoleUser
		}
	}
	return history
}
