package mcptools

import (
	"encoding/json"
	"testing"

	"gaia/domain"
	"gaia/ports/portstest"
)

// BenchmarkCall is what a call costs beside what the tool does: arguments checked, one message there and one back.
func BenchmarkCall(b *testing.B) {
	for _, name := range []string{"stdio", "stdio, older protocol", "http", "http, older protocol", "in process"} {
		b.Run(name, func(b *testing.B) {
			s := open(b, hurried, kinds[name].server(b, portstest.ToolSuite))
			up(b, s, portstest.ToolSuite)
			call := domain.ToolInvocation{CallID: "id", Server: portstest.ToolSuite, Tool: "echo", Arguments: json.RawMessage(`{"text":"a"}`)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Call(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
