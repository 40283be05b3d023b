package sdkcompare_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"gaia/adapters/openai"
	"gaia/domain"
)

const benchChunks = 100

// BenchmarkStream compares what a stream of 100 chunks costs this client and the official SDK, the network left out.
func BenchmarkStream(b *testing.B) {
	body := []byte(longStream())
	client := &http.Client{Transport: replayer(body)}
	b.Run("hand-written", func(b *testing.B) {
		c := openai.New(openai.Config{APIKey: "k", HTTPClient: client})
		p := domain.Prompt{Model: "gpt-4o-mini", Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hi"}}}
		b.ReportAllocs()
		for b.Loop() {
			st, err := c.Open(b.Context(), p)
			if err != nil {
				b.Fatal(err)
			}
			var text strings.Builder
			for {
				d, err := st.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				text.WriteString(d.Content)
			}
			_ = st.Close()
			wantLength(b, text.Len())
		}
	})
	b.Run("official SDK", func(b *testing.B) {
		c := sdk.NewClient(option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithHTTPClient(client))
		params := sdk.ChatCompletionNewParams{
			Model: "gpt-4o-mini", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage("Hi")},
			StreamOptions: sdk.ChatCompletionStreamOptionsParam{IncludeUsage: sdk.Bool(true)},
		}
		b.ReportAllocs()
		for b.Loop() {
			st := c.Chat.Completions.NewStreaming(b.Context(), params)
			var text strings.Builder
			for st.Next() {
				for _, choice := range st.Current().Choices {
					text.WriteString(choice.Delta.Content)
				}
			}
			if st.Err() != nil {
				b.Fatal(st.Err())
			}
			_ = st.Close()
			wantLength(b, text.Len())
		}
	})
}

func wantLength(b *testing.B, n int) {
	b.Helper()
	if n != benchChunks*len(" word") {
		b.Fatalf("got %d bytes", n)
	}
}

func longStream() string {
	var s strings.Builder
	const envelope = `data: {"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1754000000,"model":"gpt-4o-mini-2024-07-18",` +
		`"service_tier":"default","system_fingerprint":"fp_44709d6fcb",%s,"obfuscation":"aW5m0k"}` + "\n\n"
	for range benchChunks {
		fmt.Fprintf(&s, envelope, `"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null`)
	}
	fmt.Fprintf(&s, envelope, `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null`)
	fmt.Fprintf(&s, envelope, `"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":100,"total_tokens":109}`)
	s.WriteString("data: [DONE]\n\n")
	return s.String()
}

// replayer answers every request with the same stream from memory.
type replayer []byte

func (r replayer) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: req,
		Body: io.NopCloser(bytes.NewReader(r)),
	}, nil
}
