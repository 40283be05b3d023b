package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

const internalMessage = "Internal server error"

// codeFailed is the code of failures that are neither the client's mistake nor Gaia's: what it asked for is not allowed or not there at the
// moment. The message says which.
const codeFailed = -32000

// lacks is the refusal of a key that was made for something else.
func lacks(scope string) error {
	return domain.NewError(domain.Forbidden, "This API key lacks the scope "+scope)
}

// explain says an error in words that a client, and the model behind it, may read and can act on. What is not classified shows nothing of
// itself.
func explain(err error) string {
	var e *domain.Error
	switch {
	case domain.KindOf(err) == domain.Canceled:
		return "The call was cancelled"
	case !errors.As(err, &e) || e.Kind == domain.Internal:
		return internalMessage
	}
	message := e.Message
	if e.Kind == domain.Invalid && len(e.Faults) > 0 {
		said := make([]string, len(e.Faults))
		for i, f := range e.Faults {
			said[i] = sentence(f)
		}
		message = strings.Join(said, "; ")
	}
	if e.RetryAfter > 0 {
		message += fmt.Sprintf(" (try again in %d s)", int(math.Ceil(e.RetryAfter.Seconds())))
	}
	return message
}

// sentence says what is wrong with which argument.
func sentence(f domain.Fault) string {
	var where []string
	for i, step := range f.Loc {
		if i > 0 || step != "body" {
			where = append(where, fmt.Sprint(step))
		}
	}
	if len(where) == 0 {
		return f.Msg
	}
	return strings.Join(where, ".") + ": " + f.Msg
}

// refusal is a failure as the result of a tool, which models read.
func refusal(err error) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: explain(err)}}, IsError: true}
}

// protocolError is a failure of something else than a tool.
func (s *Server) protocolError(ctx context.Context, method string, err error) error {
	var already *jsonrpc.Error
	if errors.As(err, &already) {
		return already
	}
	s.logFailure(ctx, method, err)
	code := int64(codeFailed)
	switch domain.KindOf(err) {
	case domain.BadRequest, domain.Invalid, domain.NotFound, domain.TooLarge:
		code = jsonrpc.CodeInvalidParams
	case domain.Internal:
		code = jsonrpc.CodeInternalError
	}
	return &jsonrpc.Error{Code: code, Message: explain(err)}
}

func (s *Server) logFailure(ctx context.Context, what string, err error) {
	level := slog.LevelError
	switch domain.KindOf(err) {
	case domain.Internal:
	case domain.Unavailable:
		level = slog.LevelWarn
	default:
		return // the line of the access log is enough
	}
	s.Log.LogAttrs(context.WithoutCancel(ctx), level, "MCP call failed",
		slog.String("request_id", domain.OriginFrom(ctx).RequestID), slog.String("call", what), slog.Any("error", err))
}
