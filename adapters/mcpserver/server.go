package mcpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/app"
	"gaia/domain"
)

// Config is what the server needs.
type Config struct {
	Chat          *app.Chat
	Personas      *app.Personas
	Models        *app.Models
	Conversations *app.Conversations
	Workflows     *app.Workflows   // nil: there are none
	Files         *app.Files       // nil: there are none
	Assets        *app.Assets      // nil: there are none
	Generations   *app.Generations // with Assets

	Build        string          // version of the program
	PingInterval time.Duration   // silence after which an answer over HTTP sends a comment; 15 s
	PublicURL    string          // what clients on standard input and output may call Gaia by HTTP, without a slash at its end; empty: nothing
	Stopping     <-chan struct{} // is closed when nobody is to wait any more; nil: never
	Log          *slog.Logger
}

// Server offers one Gaia to any number of clients at the same time.
type Server struct {
	Config
	mcp    *mcp.Server
	http   http.Handler
	scopes map[string]string // of tools, by name
	calls  calls
}

const instructions = "Gaia answers messages in the voice of personas, over several model providers. Use the tool chat to ask something; " +
	"name a persona from list_personas, a model from list_models and a conversation from list_conversations if it should not be the default ones."

const assetInstructions = " It finds and makes assets, too: pictures, textures, sounds and 3D models, with search_assets and generate_asset."

// New makes the server.
func New(c Config) *Server {
	c.PingInterval = cmp.Or(c.PingInterval, 15*time.Second)
	s := &Server{Config: c, scopes: map[string]string{}, calls: calls{running: map[callKey]context.CancelCauseFunc{}}}
	s.mcp = mcp.NewServer(&mcp.Implementation{Name: "gaia", Title: "Gaia", Version: c.Build}, &mcp.ServerOptions{
		Instructions: s.instructions(), Logger: quiet(c.Log),
		// What a caller may see changes with the caller, not with time: nothing is announced, and nothing is subscribed to.
		Capabilities: &mcp.ServerCapabilities{
			Tools: &mcp.ToolCapabilities{}, Prompts: &mcp.PromptCapabilities{}, Resources: &mcp.ResourceCapabilities{},
			Completions: &mcp.CompletionCapabilities{},
		},
		SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { *c = private },
	})
	s.addChatTools()
	s.addPersonaTools()
	s.addModelTools()
	s.addConversationTools()
	s.addWorkflowTools()
	s.addAssetTools()
	s.mcp.AddReceivingMiddleware(s.guard)
	s.http = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, &mcp.StreamableHTTPOptions{
		Stateless: true, PropagateRequestCancellation: true,
		// The edge bounds bodies and judges origins. Whoever calls brings a credential that no page knows, and behind a proxy on the same
		// machine the name of the host is that of the proxy.
		MaxRequestBodyBytes: -1, DisableLocalhostProtection: true,
	})
	return s
}

func (s *Server) instructions() string {
	if s.Assets == nil {
		return instructions
	}
	return instructions + assetInstructions
}

// waiting is the context of somebody who waits for something that goes on without. It ends after a time, and when the process stops: who
// waits is then told how far that is.
func (s *Server) waiting(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, most)
	go func() {
		select {
		case <-s.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// private keeps results with their caller: what one key lists is not what another may see.
var private = mcp.Cacheable{CacheScope: "private"}

// quiet keeps what the protocol library tells, which is about single clients, to those who debug.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(debugHandler{log.Handler()}) }

// debugHandler passes everything on at the level of debugging.
type debugHandler struct{ slog.Handler }

func (h debugHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h debugHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h debugHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return debugHandler{h.Handler.WithAttrs(attrs)}
}

func (h debugHandler) WithGroup(name string) slog.Handler {
	return debugHandler{h.Handler.WithGroup(name)}
}

// maxLine bounds one message on standard input, in bytes. It is more than the edge lets in over HTTP.
const maxLine = 32 << 20

// Run serves one client that writes to in and reads from out, a message a line, until in ends or ctx does. Everything is done as who.
func (s *Server) Run(ctx context.Context, who domain.Principal, in io.ReadCloser, out io.WriteCloser) error {
	ctx = context.WithValue(ctx, callerKey{}, caller{who: who, base: s.PublicURL, request: ctx})
	err := s.mcp.Run(ctx, &mcp.IOTransport{Reader: in, Writer: out, MaxLineLength: maxLine})
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type callerKey struct{}

// caller is whose call a context belongs to.
type caller struct {
	who     domain.Principal
	base    string          // what the caller calls this server by HTTP: a scheme and a host; empty: nothing
	request context.Context // what carries the call: it ends when nobody can get the answer any more
	key     callKey         // under which the call can be cancelled; zero: it can't, or the library sees to it
}

// principalFrom is who makes a call.
func principalFrom(ctx context.Context) domain.Principal {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c.who
}

// baseFrom is what the caller calls this server by HTTP.
func baseFrom(ctx context.Context) string {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c.base
}

// guard stands before everything that clients ask for. It ends calls that nobody waits for, turns panics into failures, keeps from callers
// what their keys have no scope for, and answers what differs from caller to caller.
func (s *Server) guard(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
		c, known := ctx.Value(callerKey{}).(caller)
		if !known {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: internalMessage} // nobody is served unknown
		}
		defer func() {
			if v := recover(); v != nil {
				result, err = nil, s.protocolError(ctx, method, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		ctx, end := s.calls.begin(ctx, c)
		defer end()
		return s.answer(ctx, c.who, method, req, next)
	}
}

// answer carries out what depends on who calls, and leaves the rest to the library.
func (s *Server) answer(ctx context.Context, who domain.Principal, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	switch p := req.GetParams().(type) {
	case *mcp.CallToolParamsRaw:
		if scope := s.scopes[p.Name]; !who.HasScope(scope) && scope != "" {
			return refusal(lacks(scope)), nil
		}
		if string(p.Arguments) == "null" { // which the library would take for a value to write defaults into
			p.Arguments = nil
		}
	case *mcp.GetPromptParams:
		return asResult(s.getPrompt(ctx, who, p))
	case *mcp.ReadResourceParams:
		return asResult(s.readResource(ctx, who, p))
	case *mcp.CompleteParams:
		return asResult(s.complete(ctx, who, p))
	}
	switch method {
	case "tools/list":
		result, err := next(ctx, method, req)
		return s.withoutForbidden(who, result), err
	case "prompts/list":
		return asResult(s.listPrompts(ctx, who, cursorOf(req)))
	case "resources/list":
		return asResult(s.listResources(ctx, who, cursorOf(req)))
	case "logging/setLevel", "resources/subscribe", "resources/unsubscribe": // the library would agree
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "This server offers neither logs nor subscriptions"}
	case "resources/templates/list":
		return s.listTemplates(who), nil
	default:
		return next(ctx, method, req)
	}
}

// asResult keeps a nil pointer from becoming a result that is not nil.
func asResult[T any, R interface {
	*T
	mcp.Result
}](result R, err error) (mcp.Result, error) {
	if err != nil {
		return nil, err
	}
	return result, nil
}

// cursorOf is where a list goes on; empty at its begin.
func cursorOf(req mcp.Request) string {
	switch p := req.GetParams().(type) {
	case *mcp.ListPromptsParams:
		if p != nil {
			return p.Cursor
		}
	case *mcp.ListResourcesParams:
		if p != nil {
			return p.Cursor
		}
	}
	return ""
}

// withoutForbidden leaves out tools that a caller may not call.
func (s *Server) withoutForbidden(who domain.Principal, result mcp.Result) mcp.Result {
	list, ok := result.(*mcp.ListToolsResult)
	if !ok || list == nil {
		return result
	}
	allowed := list.Tools[:0:0]
	for _, t := range list.Tools {
		if who.HasScope(s.scopes[t.Name]) {
			allowed = append(allowed, t)
		}
	}
	list.Tools = allowed
	if list.Tools == nil {
		list.Tools = []*mcp.Tool{}
	}
	return list
}
