package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"gaia/tests/gaiatest"
)

// sdk is the official client of OpenAI, with nothing changed but the address and the key.
func sdk(server *gaiatest.Server, key string) openai.Client {
	return openai.NewClient(
		option.WithBaseURL(server.URL()+"/api/v1"), option.WithAPIKey(key), option.WithHTTPClient(server.HTTP()), option.WithMaxRetries(0),
	)
}

func ask(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "echo", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func TestOpenAIClientCreates(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	for _, key := range []string{gaiatest.APIKey, gaiatest.Token(t, uuid.NewString())} {
		client := sdk(server, key)
		params := ask("Hello there")
		params.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("You are Ahab, a captain.")}, params.Messages...)
		answer, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, answer.Choices[0].Message.Content, "Ahab here", `You said: "Hello there"`)
		if answer.Choices[0].FinishReason != "stop" || answer.Usage.TotalTokens == 0 || answer.Usage.TotalTokens != answer.Usage.PromptTokens+answer.Usage.CompletionTokens {
			t.Errorf("finish %s, usage %+v", answer.Choices[0].FinishReason, answer.Usage)
		}
	}
}

func TestOpenAIClientStreams(t *testing.T) {
	t.Parallel()
	client := sdk(gaiatest.Start(t), gaiatest.APIKey)
	params := ask("Hello there")
	params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var whole openai.ChatCompletionAccumulator
	pieces := 0
	for stream.Next() {
		if !whole.AddChunk(stream.Current()) {
			t.Fatal("the pieces do not belong together")
		}
		pieces++
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	wantText(t, whole.Choices[0].Message.Content, "Mu here", `You said: "Hello there"`)
	if pieces < 10 || whole.Choices[0].FinishReason != "stop" || whole.Usage.TotalTokens == 0 {
		t.Errorf("%d pieces, finish %q, usage %+v", pieces, whole.Choices[0].FinishReason, whole.Usage)
	}
}

func withTool(params openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Description: openai.String("Tells the weather."),
		Parameters: shared.FunctionParameters{
			"type": "object", "required": []string{"city"}, "properties": map[string]any{"city": map[string]any{"type": "string"}},
		},
	})}
	params.ToolChoice = openai.ToolChoiceOptionFunctionToolChoice(openai.ChatCompletionNamedToolChoiceFunctionParam{Name: "get_weather"})
	return params
}

func TestOpenAIClientCallsTools(t *testing.T) {
	t.Parallel()
	client := sdk(gaiatest.Start(t), gaiatest.APIKey)
	params := withTool(ask("What is the weather?"))
	first, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	calls := first.Choices[0].Message.ToolCalls
	if first.Choices[0].FinishReason != "tool_calls" || len(calls) != 1 || calls[0].ID == "" || calls[0].Function.Name != "get_weather" || !strings.Contains(calls[0].Function.Arguments, `"city"`) {
		t.Fatalf("finish %s, calls %+v", first.Choices[0].FinishReason, calls)
	}
	params.Messages = append(params.Messages, first.Choices[0].Message.ToParam(), openai.ToolMessage("sunny", calls[0].ID))
	second, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, second.Choices[0].Message.Content, `The tool said: "sunny"`)

	stream := client.Chat.Completions.NewStreaming(t.Context(), withTool(ask("And now?")))
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		whole.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	streamed := whole.Choices[0].Message.ToolCalls
	if whole.Choices[0].FinishReason != "tool_calls" || len(streamed) != 1 || streamed[0].ID == "" || streamed[0].Function.Arguments != calls[0].Function.Arguments {
		t.Errorf("streamed: finish %s, calls %+v", whole.Choices[0].FinishReason, streamed)
	}
}

func TestOpenAIClientReadsErrors(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.NewProvider(t).Settings())
	unknown := ask("x")
	unknown.Model = "nope-1"
	hot := ask("x")
	hot.Temperature = openai.Float(9)
	refused := ask("x")
	refused.Model = "openai/" + gaiatest.ModelRefuses
	missing := ask("x")
	missing.Model = "gemini/gemini-1.5-flash"
	for name, test := range map[string]struct {
		key       string
		params    openai.ChatCompletionNewParams
		status    int
		kind      string
		code      string
		parameter string
	}{
		"no such key":     {"gaia_dev_" + strings.Repeat("a", 32), ask("x"), http.StatusForbidden, "", "", ""},
		"no credentials":  {"nope", ask("x"), http.StatusUnauthorized, "", "", ""},
		"no such model":   {gaiatest.APIKey, unknown, http.StatusNotFound, "invalid_request_error", "model_not_found", ""},
		"invalid":         {gaiatest.APIKey, hot, http.StatusUnprocessableEntity, "invalid_request_error", "", "temperature"},
		"over a limit":    {gaiatest.APIKey, refused, http.StatusTooManyRequests, "", "", ""},
		"no such setting": {gaiatest.APIKey, missing, http.StatusServiceUnavailable, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := sdk(server, test.key)
			_, err := client.Chat.Completions.New(t.Context(), test.params)
			checkAPIError(t, err, test.status, test.kind, test.code, test.parameter)
			stream := client.Chat.Completions.NewStreaming(t.Context(), test.params)
			for stream.Next() {
				t.Errorf("a piece in spite of the error: %+v", stream.Current())
			}
			checkAPIError(t, stream.Err(), test.status, test.kind, test.code, test.parameter)
		})
	}
}

func checkAPIError(t *testing.T, err error, status int, kind, code, parameter string) {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("no API error but %v", err)
	}
	if e.StatusCode != status || e.Message == "" || e.Type == "" || kind != "" && e.Type != kind || code != "" && e.Code != code || parameter != "" && e.Param != parameter {
		t.Errorf("status %d, type %q, code %q, param %q, message %q; want %d %q %q %q", e.StatusCode, e.Type, e.Code, e.Param, e.Message, status, kind, code, parameter)
	}
}

func TestOpenAIClientSeesLateFailures(t *testing.T) {
	t.Parallel()
	client := sdk(gaiatest.Start(t, gaiatest.NewProvider(t).Settings()), gaiatest.APIKey)
	params := ask("x")
	params.Model = "openai/" + gaiatest.ModelBreaks
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	for stream.Next() { //nolint:revive // only the end matters
	}
	if stream.Err() == nil {
		t.Error("a stream that broke off looks like a success")
	}
}
