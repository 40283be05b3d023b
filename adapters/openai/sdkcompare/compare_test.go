package sdkcompare_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"gaia/adapters/openai"
	"gaia/domain"
)

// strangeToSDK are the transcripts that the official SDK reads differently, and why Gaia does not follow it.
var strangeToSDK = map[string]string{
	"usage_with_choices":      "the SDK adds up the usages of all chunks",
	"total_with_thoughts":     "the SDK does not count the thoughts as output",
	"calls_without_index":     "the SDK takes an absent index for 0",
	"calls_without_id":        "the SDK takes an absent index for 0 and makes up no id",
	"calls_on_one_index":      "the SDK joins the two calls",
	"calls_repeat_everything": "the SDK adds up the names",
	"mistral":                 "the SDK takes texts only",
	"mistral_thinking":        "the SDK takes texts only",
	"mistral_tools_loose":     "the SDK takes arguments that are texts only",
	"gemini_text":             "the SDK adds up the usages of all chunks, and does not count the thoughts as output",
	"gemini_tools":            "the SDK takes an absent index for 0, and leaves \"stop\" as it is",
	"gemini_tools_one_index":  "the SDK joins the two calls",
	"gemini_tools_empty_id":   "the SDK makes up no id, and leaves \"stop\" as it is",
	"gemini_filtered":         "the SDK leaves the word with its detail as it is",
	"mistral_model_length":    "the SDK leaves \"model_length\" as it is",
	"comments_and_odd_fields": "the SDK fails on an event with empty data",
}

func TestOfficialSDKReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, body := range files(t, "../testdata/*.sse") {
		if strings.HasPrefix(name, "fail_") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := withGaia(t, dialect(name), body)
			theirs, err := withSDK(t, body)
			same := err == nil && reflect.DeepEqual(ours, theirs)
			if reason := strangeToSDK[name]; same != (reason == "") {
				t.Errorf("same is %v, against the reason %q\nours   %+v %+v\ntheirs %+v %+v %v", same, reason, ours, ours.Usage, theirs, theirs.Usage, err)
			}
		})
	}
}

// dialect is whose transcript a file holds, by its name.
func dialect(name string) openai.Dialect {
	switch {
	case strings.HasPrefix(name, "gemini"):
		return openai.Gemini
	case strings.HasPrefix(name, "mistral"):
		return openai.Mistral
	default:
		return openai.Standard
	}
}

func withGaia(t *testing.T, dialect openai.Dialect, body []byte) domain.Answer {
	t.Helper()
	st, err := openai.New(openai.Config{Dialect: dialect, HTTPClient: &http.Client{Transport: replayer(body)}}).Open(t.Context(), domain.Prompt{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var a domain.AnswerBuilder
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return a.Answer()
		}
		if err != nil {
			t.Fatal(err)
		}
		a.Add(d)
	}
}

func withSDK(t *testing.T, body []byte) (domain.Answer, error) {
	t.Helper()
	client := sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithHTTPClient(&http.Client{Transport: replayer(body)}))
	st := client.Chat.Completions.NewStreaming(t.Context(), sdk.ChatCompletionNewParams{Model: "m"})
	defer st.Close()
	var acc sdk.ChatCompletionAccumulator
	for st.Next() {
		if !acc.AddChunk(st.Current()) {
			return domain.Answer{}, errors.New("the SDK can't add a chunk")
		}
	}
	if st.Err() != nil || len(acc.Choices) == 0 {
		return domain.Answer{}, fmt.Errorf("the SDK gave no choices: %w", st.Err())
	}
	choice := acc.Choices[0]
	answer := domain.Answer{Content: choice.Message.Content, Refusal: choice.Message.Refusal, Finish: domain.FinishReason(choice.FinishReason)}
	for _, c := range choice.Message.ToolCalls {
		answer.ToolCalls = append(answer.ToolCalls, domain.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	if acc.Usage.TotalTokens > 0 {
		answer.Usage = &domain.Usage{
			Input: int(acc.Usage.PromptTokens), Output: int(acc.Usage.CompletionTokens),
			CachedInput: int(acc.Usage.PromptTokensDetails.CachedTokens), Reasoning: int(acc.Usage.CompletionTokensDetails.ReasoningTokens),
		}
	}
	return answer, nil
}

// notOfOpenAI are the requests with fields that only their provider has.
var notOfOpenAI = map[string]string{
	"request_gemini_signed": "extra_content",
	"request_mistral":       "random_seed",
}

// Read and written again by the official types, a request must keep everything it says.
func TestOfficialSDKKnowsTheRequests(t *testing.T) {
	t.Parallel()
	for name, body := range files(t, "../testdata/request_*.json") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameThroughSDK(t, name, body)
		})
	}
}

func sameThroughSDK(t *testing.T, name string, body []byte) {
	t.Helper()
	var params sdk.ChatCompletionNewParams
	if err := json.Unmarshal(body, &params); err != nil {
		t.Fatalf("the SDK can't read the body: %v", err)
	}
	again, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := withoutNulls(t, body), withoutNulls(t, again)
	if _, named := ours["tool_choice"].(map[string]any); named { // the SDK can write this one, but not read it
		choice := sdk.ToolChoiceOptionFunctionToolChoice(sdk.ChatCompletionNamedToolChoiceFunctionParam{Name: "weather"})
		again, err := json.Marshal(sdk.ChatCompletionNewParams{ToolChoice: choice})
		if err != nil {
			t.Fatal(err)
		}
		theirs["tool_choice"] = withoutNulls(t, again)["tool_choice"]
	}
	delete(ours, "stream") // the SDK adds it when it sends
	delete(theirs, "stream")
	if own := notOfOpenAI[name]; reflect.DeepEqual(ours, theirs) != (own == "") || !bytes.Contains(body, []byte(own)) {
		t.Errorf("through the SDK it is %s\nwant %s", again, body)
	}
}

func withoutNulls(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatal(err)
	}
	messages, _ := object["messages"].([]any)
	for _, m := range messages {
		if m, ok := m.(map[string]any); ok && m["content"] == nil {
			delete(m, "content")
		}
	}
	return object
}

func files(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("found no %s: %v", pattern, err)
	}
	contents := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))] = content
	}
	return contents
}
