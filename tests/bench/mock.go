package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// answerTokens is how many pieces an answer of the mock provider has.
const answerTokens = 16

const mockHead = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini","system_fingerprint":"fp_1","choices":`

// mockWord is an event with one piece of an answer.
func mockWord(delta string) string {
	return mockHead + `[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":null}]}` + "\n\n"
}

// mockEnd is what stands behind the last word: the finish reason and the usage.
const mockEnd = mockHead + `[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n" +
	mockHead + `[],"usage":{"prompt_tokens":40,"completion_tokens":16,"total_tokens":56}}` + "\n\n" + "data: [DONE]\n\n"

// mockAnswer is what the mock provider sends: an answer in OpenAI's chunks, with the usage.
func mockAnswer() []byte {
	var b strings.Builder
	b.WriteString(mockWord(`{"role":"assistant","content":"The"}`))
	for i := range answerTokens - 1 {
		b.WriteString(mockWord(fmt.Sprintf(`{"content":" word%d"}`, i)))
	}
	return []byte(b.String() + mockEnd)
}

// serveMock is a provider that answers everything with the same stream, after a delay.
func serveMock(ctx context.Context, delay time.Duration, out io.Writer) error {
	answer := mockAnswer()
	return listen(ctx, out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if pause(r.Context(), delay) != nil {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = w.Write(answer)
	}))
}

// servePaced is a provider whose answers have so many tokens, one after each pause. Each is the time when it was due, in microseconds.
func servePaced(ctx context.Context, tokens int, every time.Duration, out io.Writer) error {
	return listen(ctx, out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		flush := http.NewResponseController(w)
		start := time.Now()
		for i := range tokens {
			due := start.Add(time.Duration(i) * every)
			if pause(r.Context(), time.Until(due)) != nil {
				return
			}
			_, err := io.WriteString(w, mockWord(fmt.Sprintf(`{"content":"%d "}`, due.UnixMicro())))
			if err != nil || flush.Flush() != nil {
				return
			}
		}
		_, _ = io.WriteString(w, mockEnd)
	}))
}

// serveProxy is the yardstick for a gateway: the standard library's reverse proxy, with warm connections.
func serveProxy(ctx context.Context, target string, out io.Writer) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	return listen(ctx, out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Else the server closes the body of the request when the answer begins, under the transport that still waits for its end.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	}))
}

// listen serves until ctx ends, after a line in the log that tells where.
func listen(ctx context.Context, out io.Writer, handler http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "{\"msg\":\"listening\",\"address\":%q}\n", listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{Handler: handler} //nolint:gosec // its only client is this program
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}
