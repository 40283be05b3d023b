package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gaia/domain"
)

// BenchmarkChat answers stored chats through the whole program on the embedded default: routing, validation, persona, history, a provider at
// a socket, ledger, events and commit. Profile it to see where the time of a chat goes. The time of processors, which client and provider
// share, tells more than that of the clock on a machine that does other things, too.
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
		"LOCAL_ACCOUNTS=off", "OPENAI_API_KEY=sk", "OPENAI_BASE_URL=" + provider.URL + "/v1", "DEFAULT_LLM_MODEL=gpt-4o-mini", "MAX_CONCURRENT_REQUESTS=1000", "RATE_LIMIT_REQUESTS=0",
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
	chat := func(body string) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/api/v1/chat", strings.NewReader(body))
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
	const atOnce = 64
	var bodies [atOnce]string // each with a conversation of its own, as different users have them
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"message":"Is it there?","conversation_id":"00000000-0000-4000-8000-%012x"}`, i+1)
		for range domain.MaxHistory / 2 { // then the history is as long as it gets
			chat(bodies[i])
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		defer reportProcessor(b)()
		for b.Loop() {
			chat(bodies[0])
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		defer reportProcessor(b)()
		b.SetParallelism(max(1, atOnce/runtime.GOMAXPROCS(0)))
		var users atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			body := bodies[users.Add(1)%atOnce]
			for pb.Next() {
				chat(body)
			}
		})
	})
}

// reportProcessor starts to measure allocations and the time of processors; the function that it returns reports them.
func reportProcessor(b *testing.B) func() {
	b.Helper()
	b.ReportAllocs()
	before := processorTime(b)
	return func() {
		b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
