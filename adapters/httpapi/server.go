package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
)

// Config is what the server needs.
type Config struct {
	Personas *app.Personas
	Chat     *app.Chat
	Identity *app.Identity
	Health   *app.Health

	Build          string // version of the program
	DatabaseKind   string // "postgresql" or "sqlite"
	SupabaseURL    string // shown by /health; may be empty
	AllowedOrigins []string
	TrustedProxies []netip.Prefix
	MaxBodyBytes   int64
	MaxConcurrent  int
	PingInterval   time.Duration // silence after which a stream sends a comment
	Now            func() time.Time
	NewRequestID   func() string
	Log            *slog.Logger
	AccessLevel    slog.Level // of the line for each request
}

// server carries out the operations. Those that are not there yet are answered by a middleware, so the embedded interface, which is
// nil, is never called.
type server struct {
	oapi.StrictServerInterface

	personas     *app.Personas
	chat         *app.Chat
	health       *app.Health
	personaLists personaLists

	build, databaseKind, supabaseURL string
	pingInterval                     time.Duration
	now                              func() time.Time
}

// New makes the handler of the whole API.
func New(c Config) (http.Handler, error) {
	s := &server{
		personas: c.Personas, chat: c.Chat, health: c.Health, build: c.Build, databaseKind: c.DatabaseKind, supabaseURL: c.SupabaseURL,
		pingInterval: c.PingInterval, now: c.Now,
	}
	_, err := oapi.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	root := chi.NewRouter()
	api := root.With()
	strict := oapi.NewStrictHandlerWithOptions(s, nil, oapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: s.writeError, ResponseErrorHandlerFunc: s.writeError,
	})
	oapi.HandlerWithOptions(strict, oapi.ChiServerOptions{BaseRouter: api, ErrorHandlerFunc: s.writeError})
	return root, nil
}
