package httpapi

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// mcpPath is where clients of the Model Context Protocol call. It stands in no contract of ours: that protocol describes itself.
const mcpPath = "/mcp"

// mountMCP has messages of that protocol answered behind everything that stands before operations. Each tool asks for its scope itself.
func (c Config) mountMCP(root chi.Router, edge func(*intake.Operation, http.Handler) http.Handler, fail failFunc) {
	op := intake.Opaque("mcp", http.MethodPost, mcpPath, "application/json", domain.ServiceChat)
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
