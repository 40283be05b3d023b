package echo_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"gaia/adapters/echo"
	"gaia/domain"
)

const mu = "You are Mu, a cheerful robot companion. Be warm."

func system(text string) domain.PromptMessage {
	return domain.PromptMessage{Role: domain.RoleSystem, Content: text}
}

func user(text string) domain.PromptMessage {
	return domain.PromptMessage{Role: domain.RoleUser, Content: text}
}

func assistant(text string) domain.PromptMessage {
	return domain.PromptMessage{Role: domain.RoleAssistant, Content: text}
}

func TestAnswerShowsWhatArrived(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		messages []domain.PromptMessage
		want     string
	}{
		"persona and history": {
			[]domain.PromptMessage{system(mu), user("Hi"), assistant("Beep"), user("Hello there")},
			`Mu here, running offline as the echo model. You said: "Hello there". This is message 3 of our conversation.`,
		},
		"first message": {
			[]domain.PromptMessage{system(mu), user("Hi")},
			`Mu here, running offline as the echo model. You said: "Hi". This is message 1 of our conversation.`,
		},
		"name of several words in a developer message": {
			[]domain.PromptMessage{{Role: domain.RoleDeveloper, Content: "Stay calm. you are José de la Cruz Ñandú!"}, user("Hi")},
			`José here, running offline as the echo model. You said: "Hi". This is message 1 of our conversation.`,
		},
		"name without letter case": {
			[]domain.PromptMessage{system("You are 小明。"), user("你好")},
			`小明 here, running offline as the echo model. You said: "你好". This is message 1 of our conversation.`,
		},
		"name with title": {
			[]domain.PromptMessage{system("You are Captain Nemo-2, a sailor."), user("Hi")},
			`Captain Nemo-2 here, running offline as the echo model. You said: "Hi". This is message 1 of our conversation.`,
		},
		"prompt without a name": {
			[]domain.PromptMessage{system("You are a helpful assistant."), user("Hi")},
			`The echo model here, running offline with a system prompt of 28 characters. You said: "Hi". This is message 1 of our conversation.`,
		},
		"no prompt": {
			[]domain.PromptMessage{user("Hi")},
			`The echo model here, running offline without a system prompt. You said: "Hi". This is message 1 of our conversation.`,
		},
		"empty message": {
			[]domain.PromptMessage{user(" \n")},
			`The echo model here, running offline without a system prompt. You said nothing. This is message 1 of our conversation.`,
		},
		"nothing at all": {
			nil,
			`The echo model here, running offline without a system prompt. You said nothing. This is message 0 of our conversation.`,
		},
		"white space, emoji and bad UTF-8 stay as they are or become readable": {
			[]domain.PromptMessage{user("a  b\n\tc 👩‍🚀\xff")},
			"The echo model here, running offline without a system prompt. You said: \"a  b\n\tc 👩‍🚀\uFFFD\". This is message 1 of our conversation.",
		},
		"parts": {
			[]domain.PromptMessage{{Role: domain.RoleUser, Parts: []domain.ContentPart{{Text: "Look"}, {ImageURL: "https://x/a.png"}, {Text: "here"}}}},
			`The echo model here, running offline without a system prompt. You said: "Look here". I also received 1 image. This is message 1 of our conversation.`,
		},
		"only images": {
			[]domain.PromptMessage{{Role: domain.RoleUser, Parts: []domain.ContentPart{{ImageURL: "data:image/png;base64,AA=="}, {ImageURL: "https://x/b.png"}}}},
			`The echo model here, running offline without a system prompt. You said nothing. I also received 2 images. This is message 1 of our conversation.`,
		},
		"tools have spoken": {
			[]domain.PromptMessage{
				user("Weather?"),
				{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "1", Name: "w", Arguments: "{}"}, {ID: "2", Name: "w", Arguments: "{}"}}},
				{Role: domain.RoleTool, ToolCallID: "1", Content: "sun"}, {Role: domain.RoleTool, ToolCallID: "2", Content: "rain"},
			},
			`The echo model here, running offline without a system prompt. The tool said: "sun" and "rain". This is message 4 of our conversation.`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := ask(t, domain.Prompt{Messages: test.messages})
			if a.Content != test.want {
				t.Errorf("got  %s\nwant %s", a.Content, test.want)
			}
			if a.Finish != domain.FinishStop {
				t.Errorf("finish is %q", a.Finish)
			}
		})
	}
}

func TestWordsArriveOneByOne(t *testing.T) {
	t.Parallel()
	a, steps := ask(t, domain.Prompt{Messages: []domain.PromptMessage{system(mu), user("one  two")}})
	last := steps[len(steps)-1]
	if last.Content != "" || last.Finish != domain.FinishStop || last.Usage == nil {
		t.Errorf("the last step is %+v, want finish and usage alone", last)
	}
	for _, d := range steps[:len(steps)-1] {
		if len(strings.Fields(d.Content)) != 1 {
			t.Errorf("step %q is not one word", d.Content)
		}
	}
	want := domain.Usage{
		Input:  domain.EstimateTokens(utf8.RuneCountInString(mu + "one  two")),
		Output: domain.EstimateTokens(utf8.RuneCountInString(a.Content)),
	}
	if *a.Usage != want {
		t.Errorf("usage is %+v, want %+v", *a.Usage, want)
	}
}

func TestSamePromptSameAnswer(t *testing.T) {
	t.Parallel()
	p := domain.Prompt{Messages: []domain.PromptMessage{system(mu), user("Hello")}}
	_, first := ask(t, p)
	_, second := ask(t, p)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("got %+v, then %+v", first, second)
	}
}

func TestLimitsOfTheAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		maxTokens *int
		stop      []string
		want      string
		finish    domain.FinishReason
	}{
		"three words":               {new(3), nil, "Mu here, running ", domain.FinishLength},
		"no words":                  {new(0), nil, "", domain.FinishLength},
		"more than there are":       {new(1000), nil, `Mu here, running offline as the echo model. You said: "Hi". This is message 1 of our conversation.`, domain.FinishStop},
		"first of the stop strings": {nil, []string{"", "echo", "off"}, "Mu here, running ", domain.FinishStop},
		"stop before the limit":     {new(3), []string{"here"}, "Mu ", domain.FinishStop},
		"stop at once":              {nil, []string{"Mu"}, "", domain.FinishStop},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := ask(t, domain.Prompt{
				Messages: []domain.PromptMessage{system(mu), user("Hi")}, MaxTokens: test.maxTokens, Stop: test.stop,
			})
			if a.Content != test.want || a.Finish != test.finish {
				t.Errorf("got %q, %q, want %q, %q", a.Content, a.Finish, test.want, test.finish)
			}
			if test.maxTokens != nil && a.Usage.Output > *test.maxTokens {
				t.Errorf("usage %d is over the limit %d", a.Usage.Output, *test.maxTokens)
			}
		})
	}
}

func TestLongMessageIsCut(t *testing.T) {
	t.Parallel()
	a, _ := ask(t, domain.Prompt{Messages: []domain.PromptMessage{user(strings.Repeat("ü ", 100_000))}})
	if n := utf8.RuneCountInString(a.Content); n > 1200 {
		t.Errorf("the answer has %d characters", n)
	}
	if !strings.Contains(a.Content, "ü …\".") || !utf8.ValidString(a.Content) {
		t.Errorf("got %q", a.Content)
	}
}

var weather = domain.Tool{Name: "weather", Parameters: map[string]any{
	"type": "object",
	"properties": map[string]any{
		"city":     map[string]any{"type": "string"},
		"unit":     map[string]any{"type": "string", "enum": []any{"celsius", "kelvin"}},
		"days":     map[string]any{"type": "integer", "minimum": float64(1)},
		"exact":    map[string]any{"type": "boolean"},
		"share":    map[string]any{"type": []any{"number", "null"}},
		"tags":     map[string]any{"type": "array"},
		"lang":     map[string]any{"type": "string", "default": "é"},
		"place":    map[string]any{"type": "object", "required": []string{"lat"}, "properties": map[string]any{"lat": map[string]any{"type": "number"}}},
		"optional": map[string]any{"type": "string"},
	},
	"required": []any{"city", "unit", "days", "exact", "share", "tags", "lang", "place"},
}}

const weatherArguments = `{"city":"echo","days":1,"exact":false,"lang":"é","place":{"lat":0},"share":0,"tags":[],"unit":"celsius"}`

func TestToolCalls(t *testing.T) {
	t.Parallel()
	ping := domain.Tool{Name: "ping"}
	tests := map[string]struct {
		choice domain.ToolChoice
		want   []domain.ToolCall
	}{
		"named":         {domain.ToolChoice{Name: "weather"}, []domain.ToolCall{{ID: "call_echo_1", Name: "weather", Arguments: weatherArguments}}},
		"required":      {domain.ToolChoice{Mode: "required"}, []domain.ToolCall{{ID: "call_echo_1", Name: "ping", Arguments: "{}"}}},
		"auto":          {domain.ToolChoice{Mode: "auto"}, nil},
		"none":          {domain.ToolChoice{Mode: "none"}, nil},
		"nothing asked": {domain.ToolChoice{}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, steps := ask(t, domain.Prompt{
				Messages: []domain.PromptMessage{user("Weather?")}, Tools: []domain.Tool{ping, weather}, ToolChoice: test.choice,
			})
			if !reflect.DeepEqual(a.ToolCalls, test.want) {
				t.Errorf("got %+v, want %+v", a.ToolCalls, test.want)
			}
			if test.want == nil {
				if a.Finish != domain.FinishStop || a.Content == "" {
					t.Errorf("got %+v, want a plain answer", a)
				}
				return
			}
			if a.Finish != domain.FinishToolCalls || a.Content != "" || a.Usage.Output == 0 {
				t.Errorf("got %+v", a)
			}
			if n := argumentPieces(steps); n < 2 {
				t.Errorf("the arguments came in %d pieces", n)
			}
		})
	}
}

func argumentPieces(steps []domain.Delta) int {
	n := 0
	for _, d := range steps {
		for _, c := range d.ToolCalls {
			if c.Arguments != "" && utf8.ValidString(c.Arguments) {
				n++
			}
		}
	}
	return n
}

func TestToolResultEndsTheLoop(t *testing.T) {
	t.Parallel()
	a, _ := ask(t, domain.Prompt{
		Tools: []domain.Tool{weather}, ToolChoice: domain.ToolChoice{Mode: "required"},
		Messages: []domain.PromptMessage{
			user("Weather?"),
			{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: "1", Name: "weather", Arguments: "{}"}}},
			{Role: domain.RoleTool, ToolCallID: "1", Content: "sunny"},
		},
	})
	if len(a.ToolCalls) != 0 || !strings.Contains(a.Content, `The tool said: "sunny".`) {
		t.Errorf("got %+v", a)
	}
}

func TestJSONAnswers(t *testing.T) {
	t.Parallel()
	schema := map[string]any{"name": "w", "schema": weather.Parameters}
	a, _ := ask(t, domain.Prompt{ResponseFormat: &domain.ResponseFormat{Type: "json_schema", Schema: schema}})
	if a.Content != weatherArguments {
		t.Errorf("got %s, want %s", a.Content, weatherArguments)
	}
	a, _ = ask(t, domain.Prompt{
		Messages: []domain.PromptMessage{user("Hi")}, ResponseFormat: &domain.ResponseFormat{Type: "json_object"},
	})
	var object struct{ Response string }
	if err := json.Unmarshal([]byte(a.Content), &object); err != nil || !strings.Contains(object.Response, `You said: "Hi".`) {
		t.Errorf("got %s, %v", a.Content, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prompt domain.Prompt
		kind   domain.Kind
	}{
		"other model":  {domain.Prompt{Model: "gpt-4o"}, domain.NotFound},
		"unknown tool": {domain.Prompt{Tools: []domain.Tool{weather}, ToolChoice: domain.ToolChoice{Name: "wether"}}, domain.BadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := echo.New(echo.Config{}).Open(t.Context(), test.prompt); domain.KindOf(err) != test.kind {
				t.Errorf("got %v, want kind %d", err, test.kind)
			}
		})
	}
}

func TestWordDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, err := echo.New(echo.Config{WordDelay: 30 * time.Millisecond}).Open(t.Context(), domain.Prompt{
			Messages: []domain.PromptMessage{user("Hi")}, MaxTokens: new(3),
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i, want := range []time.Duration{0, 30 * time.Millisecond, 60 * time.Millisecond, 60 * time.Millisecond} {
			if _, err := st.Recv(); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("step %d came after %v, want %v", i, got, want)
			}
		}
	})
}

// ask opens a prompt and reads the answer to its end.
func ask(t *testing.T, p domain.Prompt) (domain.Answer, []domain.Delta) {
	t.Helper()
	st, err := echo.New(echo.Config{}).Open(t.Context(), p)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer st.Close()
	var answer domain.AnswerBuilder
	var steps []domain.Delta
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return answer.Answer(), steps
		}
		if err != nil {
			t.Fatalf("Recv: %v", err)
		}
		answer.Add(d)
		steps = append(steps, d)
	}
}
