package mcptools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
)

// codeRejected and the two beside it are errors that the SDK makes itself and that are no answer of the server.
const (
	codeClientClosing = -32003
	codeServerClosing = -32004
	codeRejected      = -32005
)

// call has a tool of this server called.
func (s *server) call(ctx context.Context, call domain.ToolInvocation) (domain.ToolResult, error) {
	if err := ctx.Err(); err != nil {
		return domain.ToolResult{}, notSent(err)
	}
	t, _ := s.find(call)
	if t == nil {
		return domain.ToolResult{}, notFound(call)
	}
	args, err := t.params.check(call.Arguments)
	if err != nil {
		return domain.ToolResult{}, err
	}
	if err := s.wait(ctx); err != nil {
		return domain.ToolResult{}, err
	}
	t, l := s.find(call) // it may have gone while this call waited
	if t == nil {
		<-s.slots
		return domain.ToolResult{}, notFound(call)
	}
	return s.send(ctx, l, call, args)
}

// find returns the tool of a call, and the connection of its server.
func (s *server) find(call domain.ToolInvocation) (*tool, *link) {
	cat := s.catalogue()
	if cat == nil || cat.link.life.Err() != nil {
		return nil, nil
	}
	return cat.tools[call.Tool], cat.link
}

// wait takes a slot: a server has only so many calls to do at once.
func (s *server) wait(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(s.Timeout)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return domain.MissingPart(fmt.Sprintf("Tool server %s is busy", s.Name), nil)
	case <-ctx.Done():
		return notSent(ctx.Err())
	}
}

// notSent is why a call whose context has ended was not made. That nothing has happened must not get lost: an error of time that nobody has
// put into words counts as an outcome that is unknown.
func notSent(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return domain.MissingPart("The tool was not called: there was no time left for it", err)
	}
	return err
}

// answer is what comes of a call.
type answer struct {
	result *mcp.CallToolResult
	err    error
}

// send makes a call and returns when the caller has left, or after the server's limit of time. The slot is free when the SDK is done with it.
func (s *server) send(ctx context.Context, l *link, call domain.ToolInvocation, args json.RawMessage) (domain.ToolResult, error) {
	journey := &flight{}
	callCtx, cancel := context.WithTimeout(context.WithValue(ctx, flightKey{}, journey), s.Timeout)
	detach := context.AfterFunc(l.life, cancel)
	s.running.Add(1)
	answered := make(chan answer, 1)
	go func() {
		defer func() {
			detach()
			cancel()
			s.running.Add(-1)
			<-s.slots
		}()
		l.budget.grant(s.messageLimit())
		result, err := l.session.CallTool(callCtx, &mcp.CallToolParams{
			Meta: mcp.Meta{CallIDKey: call.CallID}, Name: call.Tool, Arguments: args,
		})
		answered <- answer{result, err}
	}()
	var a answer
	select {
	case a = <-answered:
	case <-callCtx.Done():
		select {
		case a = <-answered: // both at once: an answer that is there counts
		default:
			a.err = callCtx.Err()
		}
	}
	if a.err == nil {
		s.missed.Store(0)
		return s.result(a.result), nil
	}
	return s.failure(ctx, callCtx, l, journey, a.err)
}

// failure says what a call that has no result has come to. When in doubt, nobody knows.
func (s *server) failure(ctx, callCtx context.Context, l *link, journey *flight, err error) (domain.ToolResult, error) {
	untouched := !journey.sent.Load() // the error does not tell: a server can answer with those of a connection that is closed
	status := int(journey.status.Load())
	var wire *jsonrpc.Error
	switch {
	case ctx.Err() != nil:
		if untouched {
			return domain.ToolResult{}, notSent(ctx.Err())
		}
		return domain.ToolResult{}, unknown("The caller left before tool server "+s.Name+" had answered", ctx.Err())
	case untouched:
		return domain.ToolResult{}, domain.MissingPart("Tool server "+s.Name+" can't be reached", s.cause(err))
	case errors.As(err, &wire) && !ownError(wire):
		s.missed.Store(0)
		return s.refusal(wire), nil
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout: // which proxies send when the server is slow
		return domain.ToolResult{}, domain.MissingPart(fmt.Sprintf("Tool server %s refused the call with status %d %s", s.Name, status, http.StatusText(status)), s.cause(err))
	case l.life.Err() != nil:
		return domain.ToolResult{}, unknown("Tool server "+s.Name+" has gone before it answered", s.cause(context.Cause(l.life)))
	case errors.Is(callCtx.Err(), context.DeadlineExceeded):
		if s.missed.Add(1) >= missesAllowed {
			notify(l.suspect)
		}
		return domain.ToolResult{}, unknown(fmt.Sprintf("Tool server %s did not answer within %v", s.Name, s.Timeout), nil)
	}
	return domain.ToolResult{}, unknown("Tool server "+s.Name+" gave no answer to a call", s.cause(err))
}

// ownError reports whether an error comes from the SDK: the server has said nothing.
func ownError(e *jsonrpc.Error) bool {
	return e.Code == codeClientClosing || e.Code == codeServerClosing || e.Code == codeRejected
}

// cause is an error for the log, without what must not stand there.
func (s *server) cause(err error) error { return errors.New(s.plain(err)) }

func unknown(message string, cause error) error {
	return &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown, Message: message, Cause: cause}
}
