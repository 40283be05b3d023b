package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// mcpPath is where clients of the Model Context Protocol call. It stands in no contract of ours: that protocol describes itself.
const (
	mcpPath      = "/mcp"
	mcpOperation = "mcp"
)

// mountMCP has messages of that protocol answered behind everything that stands before operations. Each tool asks for its scope itself.
func (c Config) mountMCP(root chi.Router, edge func(*intake.Operation, http.Handler) http.Handler, fail failFunc) {
	op := intake.Opaque(mcpOperation, http.MethodPost, mcpPath, "application/json", domain.ServiceChat)
	if c.MCP == nil && c.hosts(op) {
		return
	}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.MCP(principalFrom(r.Context()), requestFrom(r.Context()).base, w, r)
		if rec := recorderFrom(r.Context()); rec != nil && !rec.written() && r.Context().Err() != nil {
			rec.canceled = true
		}
	})
	root.Method(http.MethodPost, mcpPath, refuseOrigins(c.AllowedOrigins, fail)(noteOperation(op, edge(op, serve))))
}

// refuseOrigins keeps pages out that may not read answers anyway, as the protocol demands: a page that has a name of its own point at this
// machine could otherwise have tools called, if it knew a key.
func refuseOrigins(allowed []string, fail failFunc) func(http.Handler) http.Handler {
	all := slices.Contains(allowed, "*")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if origin := r.Header.Get("Origin"); origin != "" && !all && !slices.Contains(allowed, origin) {
				fail(w, r, domain.NewError(domain.Forbidden, "Pages of this origin may not call: ALLOWED_ORIGINS does not name it"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// callFailed is the code of failures that are neither the client's mistake nor Gaia's.
const callFailed = -32000

// callFailure is an error of JSON-RPC.
type callFailure struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Data    map[string]string `json:"data,omitempty"`
	} `json:"error"`
}

// callID is the id of a call; nil: the message is none that is answered, or there are several in it.
func callID(message []byte) json.RawMessage {
	var call struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(message, &call) != nil || string(call.ID) == "null" {
		return nil
	}
	return call.ID
}

// endCall answers a call whose stream somebody else has begun. Without an id nobody would know what is answered. A tool may have done already what
// the call was for, so the model is not told to call it again.
func endCall(out *sse, r *http.Request, err error) bool {
	held, ok := r.Context().Value(passedKey{}).(*passedBody)
	if !ok || held.call == nil {
		return false
	}
	message, code := stoppingCall, domain.CodeStopping
	if errors.Is(err, domain.ErrBrokenOff) {
		message, code = brokenCall, domain.CodeBrokenOff
	}
	answer := callFailure{Version: "2.0", ID: held.call}
	answer.Error.Code, answer.Error.Message, answer.Error.Data = callFailed, message, map[string]string{"code": code}
	out.event(answer)
	return !out.gone
}
