package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"gaia/adapters/openai"
	"gaia/domain"
)

// outcome is all that a caller can see of a stream.
type outcome struct {
	Deltas  []domain.Delta
	Error   string `json:",omitempty"`
	Kind    domain.Kind
	Message string `json:",omitempty"`
}

// strangeToSDK are the transcripts that the official SDK reads differently, and why Gaia does not follow it.
var strangeToSDK = map[string]string{
	"usage_with_choices":      "the SDK adds up the usages of all chunks",
	"total_with_thoughts":     "the SDK does not count the thoughts as output",
	"calls_without_index":     "the SDK takes an absent index for 0",
	"calls_without_id":        "the SDK takes an absent index for 0 and makes up no id",
	"calls_on_one_index":      "the SDK joins the two calls",
	"calls_repeat_everything": "the SDK adds up the names",
	"mistral":                 "the SDK takes texts only",
	"comments_and_odd_fields": "the SDK fails on an event with empty data",
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, body := range transcripts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(overHTTP(t, body), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("got %s\nwant %s", got, want)
			}
			if failed := bytes.Contains(got, []byte(`"Error"`)); failed != strings.HasPrefix(name, "fail_") {
				t.Errorf("failed is %v", failed)
			}
		})
	}
}

// Wherever the network cuts a stream, and however its lines end, the deltas are the same.
func TestAnyCutGivesTheSameDeltas(t *testing.T) {
	t.Parallel()
	for name, body := range transcripts(t) {
		for ending, text := range map[string]string{
			"LF": body, "CRLF": strings.ReplaceAll(body, "\n", "\r\n"), "CR": strings.ReplaceAll(body, "\n", "\r"), "BOM": "\uFEFF" + body,
		} {
			t.Run(name+" "+ending, func(t *testing.T) {
				t.Parallel()
				whole := fromReader(t, strings.NewReader(body))
				same := func(what string, r io.Reader) {
					t.Helper()
					if got := fromReader(t, r); !reflect.DeepEqual(got, whole) {
						t.Fatalf("%s: got %+v\nwant %+v", what, got, whole)
					}
				}
				same("one byte at a time", iotest.OneByteReader(strings.NewReader(text)))
				same("error with the last bytes", iotest.DataErrReader(strings.NewReader(text)))
				for seed := range uint64(8) {
					same(fmt.Sprintf("seed %d", seed), &choppy{rest: []byte(text), rng: rand.New(rand.NewPCG(seed, 1))})
				}
				if len(text) < 700 && strings.HasSuffix(ending, "LF") {
					for i := range len(text) {
						same(fmt.Sprintf("cut at %d", i), io.MultiReader(strings.NewReader(text[:i]), strings.NewReader(text[i:])))
					}
				}
			})
		}
	}
}

func TestOfficialSDKReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, body := range transcripts(t) {
		if strings.HasPrefix(name, "fail_") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ours domain.Answer
			for _, d := range overHTTP(t, body).Deltas {
				ours.Add(d)
			}
			theirs, err := withSDK(t, body)
			same := err == nil && reflect.DeepEqual(ours, theirs)
			if reason := strangeToSDK[name]; same != (reason == "") {
				t.Errorf("same is %v, against the reason %q\nours   %+v %+v\ntheirs %+v %+v %v", same, reason, ours, ours.Usage, theirs, theirs.Usage, err)
			}
		})
	}
}

func withSDK(t *testing.T, body string) (domain.Answer, error) {
	t.Helper()
	server := replay(t, body)
	client := sdk.NewClient(
		option.WithBaseURL(server.URL+"/v1"), option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithHTTPClient(server.Client()),
	)
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

func transcripts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d transcripts: %v", len(files), err)
	}
	bodies := map[string]string{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies[strings.TrimSuffix(filepath.Base(file), ".sse")] = string(body)
	}
	return bodies
}

func replay(t *testing.T, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, event := range strings.SplitAfter(body, "\n\n") {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func overHTTP(t *testing.T, body string) outcome {
	t.Helper()
	c := openai.New(openai.Config{BaseURL: replay(t, body).URL + "/v1/"})
	t.Cleanup(c.CloseIdle)
	return read(t, c)
}

// fromReader reads a stream whose body comes from r, without a network.
func fromReader(t *testing.T, r io.Reader) outcome {
	t.Helper()
	return read(t, openai.New(openai.Config{HTTPClient: &http.Client{Transport: canned{r}}}))
}

func read(t *testing.T, c *openai.Completer) outcome {
	t.Helper()
	made := 0
	openai.SetNewID(c, func() string { made++; return fmt.Sprintf("call_made_%d", made) })
	st, err := c.Open(t.Context(), domain.Prompt{Model: "m"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer st.Close()
	var out outcome
	for {
		d, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			out.Error, out.Kind = err.Error(), domain.KindOf(err)
			var e *domain.Error
			if errors.As(err, &e) {
				out.Message = e.Message
			}
			return out
		}
		out.Deltas = append(out.Deltas, d)
	}
}

// canned answers every request with the same body.
type canned struct{ body io.Reader }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(c.body), Request: r,
	}, nil
}

// choppy gives its bytes in pieces of random size.
type choppy struct {
	rest []byte
	rng  *rand.Rand
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:1+c.rng.IntN(min(len(c.rest), 60))])
	c.rest = c.rest[n:]
	return n, nil
}
