package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkMCP compares a list of models that a tool gives with the one that the operation of the API gives.
func BenchmarkMCP(b *testing.B) {
	dir := b.TempDir()
	c, err := loadConfig(filepath.Join(dir, "absent"), []string{"LOCAL_ACCOUNTS=off", "RATE_LIMIT_REQUESTS=0"})
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
	const params = `{"name":"list_models","arguments":{"all":true}`
	for _, way := range []struct {
		name, method, path, body string
		header                   map[string]string
	}{
		{"operation", http.MethodGet, "/api/v0.2/models?limit=100", "", nil},
		{"tool, 2025-11-25", http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}}`,
			map[string]string{"Mcp-Protocol-Version": "2025-11-25"}},
		{"tool, 2026-07-28", http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params +
			`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
			map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "list_models"}},
	} {
		b.Run(way.name, func(b *testing.B) {
			defer reportProcessor(b)()
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), way.method, server.URL+way.path, strings.NewReader(way.body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("X-API-Key", "key")
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", "application/json, text/event-stream")
				for name, value := range way.header {
					req.Header.Set(name, value)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				answer, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "context_window") {
					b.Fatalf("status %d, %v: %.300s", resp.StatusCode, err, answer)
				}
			}
		})
	}
}
