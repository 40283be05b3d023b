package ports

import (
	"context"

	"gaia/domain"
)

// ToolServers are the servers of tools that the operator has named.
type ToolServers interface {
	// Tools returns what the servers that are well offer, in the order of their IDs. It must not wait for a server.
	Tools() []domain.ToolSpec
	// Call has a tool called. Arguments that break the tool's parameters must be domain.BadRequest and must not reach the server; a server
	// that is not there, or a tool it no longer has, domain.NotFound. After the call may have reached the server, a failure whose outcome
	// is unknown must be domain.Unavailable with code domain.CodeOutcomeUnknown; before, domain.Unavailable without. ctx bounds the call,
	// and so does the server's own limit of time. A tool that says itself that it failed is a result and no error.
	Call(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error)
}
