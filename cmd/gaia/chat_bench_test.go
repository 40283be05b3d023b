package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// BenchmarkChat answers stored chats through the whole program on the embedded default: routing, validation, persona, history, a provider at
// a socket, ledger, events and commit. Profile it to see where the time of a chat goes.
func BenchmarkChat(b *testing.B) {
	answer := []byte(`data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Yes, "}}]}` + "\n\n" +
		`data: {"choices":[{"index":0,"delta":{"content":"of course."},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"choices":[],"usage":{"prompt_tokens":40,"completion_tokens":4,"total_tokens":44}}` + "\n\ndata: [DONE]\n\n")
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write(answer)
	}))
	defer provider.Close()
	dir := b.TempDir()
	c, err := loadConfig(filepath.Join(dir, "absent"), []string{
		"OPENAI_API_KEY=sk", "OPENAI_BASE_URL=" + provider.URL + "/v1", "DEFAULT_LLM_MODEL=gpt-4o-mini", "MAX_CONCURRENT_REQUESTS=1000",
	})
	if err != nil {
		b.Fatal(err)
	}
	sys, err := wire(b.Context(), c, dir, "key", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer sys.close()
	server := httptest.NewServer(sys.handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	chat := func() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/api/v1/chat", bytes.NewReader([]byte(`{"message":"Is it there?"}`)))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-API-Key", "key")
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Errorf("status %d, %v", resp.StatusCode, err)
		}
	}
	for range 30 { // then the history is as long as it gets
		chat()
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			chat()
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				chat()
			}
		})
	})
}
