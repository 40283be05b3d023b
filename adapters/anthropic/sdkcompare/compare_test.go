package sdkcompare_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"gaia/adapters/anthropic"
	"gaia/adapters/internal/upstreamtest"
	"gaia/domain"
)

// finishes are the words of the format, said independently of the adapter.
var finishes = map[sdk.StopReason]domain.FinishReason{
	sdk.StopReasonEndTurn: domain.FinishStop, sdk.StopReasonStopSequence: domain.FinishStop, sdk.StopReasonMaxTokens: domain.FinishLength,
	sdk.StopReasonToolUse: domain.FinishToolCalls, sdk.StopReasonRefusal: domain.FinishContentFilter,
	"model_context_window_exceeded": domain.FinishLength,
}

// strangeToSDK are the transcripts that the official SDK reads differently, and why Gaia does not follow it.
var strangeToSDK = map[string]string{
	"usage_corrected": "the SDK takes the missing stop reason of a later correction for the last word",
}

func TestOfficialSDKReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, body := range upstreamtest.Files(t, "../testdata/*.sse") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, ourErr := withGaia(t, body)
			theirs, theirErr := withSDK(t, body)
			if strings.HasPrefix(name, "fail_") {
				if ourErr == nil {
					t.Error("Gaia reads an answer")
				}
				return
			}
			same := ourErr == nil && theirErr == nil && reflect.DeepEqual(ours, theirs)
			if reason := strangeToSDK[name]; same != (reason == "") {
				t.Errorf("same is %v, against the reason %q\nours   %+v %+v %v\ntheirs %+v %+v %v",
					same, reason, ours, ours.Usage, ourErr, theirs, theirs.Usage, theirErr)
			}
		})
	}
}

func withGaia(t *testing.T, body string) (domain.Answer, error) {
	t.Helper()
	c := anthropic.New(anthropic.Config{HTTPClient: upstreamtest.Canned(strings.NewReader(body))})
	st, err := c.Open(t.Context(), domain.Prompt{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var a domain.AnswerBuilder
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return a.Answer(), nil
		}
		if err != nil {
			return a.Answer(), err
		}
		a.Add(d)
	}
}

func withSDK(t *testing.T, body string) (domain.Answer, error) {
	t.Helper()
	client := sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithHTTPClient(upstreamtest.Canned(strings.NewReader(body))))
	st := client.Messages.NewStreaming(t.Context(), sdk.MessageNewParams{
		Model: "m", MaxTokens: 1, Messages: []sdk.MessageParam{sdk.NewUserMessage(sdk.NewTextBlock("Hi"))},
	})
	defer st.Close()
	var m sdk.Message
	for st.Next() {
		if err := m.Accumulate(st.Current()); err != nil {
			return domain.Answer{}, err
		}
	}
	if st.Err() != nil {
		return domain.Answer{}, st.Err()
	}
	a := domain.Answer{Finish: finishes[m.StopReason], Usage: &domain.Usage{
		Input:       int(m.Usage.InputTokens + m.Usage.CacheReadInputTokens + m.Usage.CacheCreationInputTokens),
		CachedInput: int(m.Usage.CacheReadInputTokens), CacheWrite: int(m.Usage.CacheCreationInputTokens),
		Output: int(m.Usage.OutputTokens), Reasoning: int(m.Usage.OutputTokensDetails.ThinkingTokens),
	}}
	for _, b := range m.Content {
		switch b.Type {
		case "text":
			a.Content += b.Text
		case "tool_use":
			a.ToolCalls = append(a.ToolCalls, domain.ToolCall{ID: b.ID, Name: b.Name, Arguments: string(b.Input)})
		}
	}
	return a, nil
}

// Read and written again by the official types, a request must keep everything it says.
func TestOfficialSDKKnowsTheRequests(t *testing.T) {
	t.Parallel()
	for name, body := range upstreamtest.Files(t, "../testdata/request_*.json") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var params sdk.MessageNewParams
			if err := json.Unmarshal([]byte(body), &params); err != nil {
				t.Fatalf("the SDK can't read the body: %v", err)
			}
			again, err := json.Marshal(params)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := object(t, []byte(body)), object(t, again)
			delete(ours, "stream") // the SDK adds it when it sends
			for _, o := range []map[string]any{ours, theirs} {
				if system, ok := o["system"].([]any); ok { // the long form of the same
					o["system"] = system[0].(map[string]any)["text"]
				}
			}
			if !reflect.DeepEqual(ours, theirs) {
				t.Errorf("through the SDK it is %s\nwant %s", again, body)
			}
		})
	}
}

func object(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	return o
}
