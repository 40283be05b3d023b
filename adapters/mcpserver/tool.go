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
	// more, which may be nil, is what a client gets beside the text: pictures, and links to resources.
	more func(ctx context.Context, call call, out Out) []mcp.Content
}

// call is one call of a tool.
type call struct {
	who      domain.Principal
	progress func(done, total float64, message string, about mcp.Meta) // nil: the client does not ask for it
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
		c := call{principalFrom(ctx), progressOf(ctx, req)}
		out, err := t.do(ctx, c, in)
		if err != nil {
			s.logFailure(ctx, t.name, err)
			return nil, zero, toolError(explain(err)) // the library makes it a result that says it failed
		}
		text, err := t.read(out)
		if err != nil {
			return nil, zero, err
		}
		content := []mcp.Content{&mcp.TextContent{Text: text}}
		if t.more != nil {
			content = append(content, t.more(ctx, c, out)...)
		}
		return &mcp.CallToolResult{Content: content}, out, nil
	})
}

// read is a result as a model reads it.
func (t tool[In, Out]) read(out Out) (string, error) {
	if t.text != nil {
		return t.text(out), nil
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// toolError is why a tool failed, in words that clients may read.
type toolError string

func (e toolError) Error() string { return string(e) }

// progressOf tells the client how far a call is, if it wants to know.
func progressOf(ctx context.Context, req *mcp.CallToolRequest) func(done, total float64, message string, about mcp.Meta) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return nil
	}
	return func(done, total float64, message string, about mcp.Meta) {
		_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ // who does not listen any more gets the result no later
			Meta: about, ProgressToken: token, Progress: done, Total: total, Message: message,
		})
	}
}
