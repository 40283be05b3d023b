package mcpserver

import (
	"context"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// tool is one thing that clients can have done.
type tool[In, Out any] struct {
	name, title, description string
	scope                    string // that a key needs: the one of the HTTP operation that does the same
	input                    string // JSON Schema of In
	changes                  bool   // it changes something
	repeatable               bool   // doing it again changes nothing more
	destroys                 bool   // what it changes is not brought back
	outside                  bool   // it reaches beyond Gaia
	do                       func(ctx context.Context, call call, in In) (Out, error)
	text                     func(Out) string // what a model reads; nil: the result as JSON
}

// call is one call of a tool.
type call struct {
	who      domain.Principal
	progress func(done, total float64, message string) // nil: the client does not ask for it
}

// addTool offers a tool.
func addTool[In, Out any](s *Server, t tool[In, Out]) {
	s.scopes[t.name] = t.scope
	mcp.AddTool(s.mcp, &mcp.Tool{
		Name: t.name, Title: t.title, Description: t.description, InputSchema: json.RawMessage(t.input),
		Annotations: &mcp.ToolAnnotations{
			Title: t.title, ReadOnlyHint: !t.changes, IdempotentHint: !t.changes || t.repeatable, DestructiveHint: new(t.destroys),
			OpenWorldHint: new(t.outside),
		},
	}, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var zero Out
		out, err := t.do(ctx, call{principalFrom(ctx), progressOf(ctx, req)}, in)
		if err != nil {
			s.logFailure(ctx, t.name, err)
			return nil, zero, toolError(explain(err)) // the library makes it a result that says it failed
		}
		if t.text == nil {
			return nil, out, nil
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: t.text(out)}}}, out, nil
	})
}

// toolError is why a tool failed, in words that clients may read.
type toolError string

func (e toolError) Error() string { return string(e) }

// progressOf tells the client how far a call is, if it wants to know.
func progressOf(ctx context.Context, req *mcp.CallToolRequest) func(done, total float64, message string) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return nil
	}
	return func(done, total float64, message string) {
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ // who does not listen any more gets the result no later
			ProgressToken: token, Progress: done, Total: total, Message: message,
		})
	}
}
