package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// Config is what the server needs.
type Config struct {
	Personas      *app.Personas
	Chat          *app.Chat
	Conversations *app.Conversations
	Models        *app.Models
	Usage         *app.Usage
	Pricing       *app.Pricing
	Performance   *app.Performance
	APIKeys       *app.APIKeys
	Files         *app.Files
	Workflows     *app.Workflows
	Assets        *app.Assets
	Generations   *app.Generations
	Identity      *app.Identity
	Audit         *app.Audit // records who is refused
	Accounts      *app.Accounts
	Health        *app.Health
	Limits        *app.Limits

	Build          string // version of the program
	Instance       string // names this process among others for as long as it runs
	DatabaseKind   string // "postgresql" or "sqlite"
	SupabaseURL    string // shown by /health; may be empty
	AssetBucket    string // where files of assets lie, as answers name it
	PublicURL      string // what clients call this server, without a slash at its end; empty: as requests say
	AllowedOrigins []string
	TrustedProxies []netip.Prefix
	Webhooks       map[string]Webhook // of generators, by their id
	MaxBodyBytes   int64
	MaxFileBytes   int64         // of an upload
	Running        *app.Slots    // of operations
	MaxConcurrent  int           // requests whose credentials are looked at, and whose bodies are on their way
	LimitsShared   bool          // whether replicas count requests together as long as all is well
	PingInterval   time.Duration // silence after which a stream sends a comment
	Now            func() time.Time
	NewRequestID   func() string
	Stopping       <-chan struct{} // is closed when streams that may last for ever have to end; nil: never
	Log            *slog.Logger
	AccessLevel    slog.Level // of the line for each request
	Observe        Observe    // nil: nobody does

	// MCP answers one message of the Model Context Protocol, whose body is read; nil: nobody does. base is what the client calls this server.
	MCP func(who domain.Principal, base string, w http.ResponseWriter, r *http.Request)

	// Hosts are the services whose operations are carried out here; empty: all. Forward hands requests for the others on, and gives a
	// *domain.Error where nothing was answered, or domain.ErrBrokenOff. Without it there is no such operation here.
	Hosts   []domain.Service
	Forward func(w http.ResponseWriter, r *http.Request, hop domain.Hop) error
	// ForwardTimeout is how long other services may take to begin an answer; ForwardLong where a model or a generator has to work first.
	ForwardTimeout, ForwardLong time.Duration
	// SignedOut, which may be nil, hears of access tokens whose session another service has ended.
	SignedOut func(ctx context.Context, accessToken string) error
	// KeysChanged, which may be nil, is called when another service has changed API keys, or when nobody knows whether it has.
	KeysChanged func(certain bool)
	Forwarding  *app.Slots // of requests that are handed on: they cost little here, so there may be many

	// VerifyForwarded reads what another service says about a caller; NewInternal alone needs it.
	VerifyForwarded func(header string) (domain.Forwarded, error)
}

// server carries out the operations. Those that are not there yet are answered by a middleware, so the embedded interface, which is
// nil, is never called.
type server struct {
	oapi.StrictServerInterface

	personas      *app.Personas
	chat          *app.Chat
	conversations *app.Conversations
	models        *app.Models
	usage         *app.Usage
	pricing       *app.Pricing
	performance   *app.Performance
	accounts      *app.Accounts
	apiKeys       *app.APIKeys
	files         *app.Files
	workflows     *app.Workflows
	assets        *app.Assets
	generations   *app.Generations
	uploadForm    *intake.Operation
	assetBucket   string
	health        *app.Health
	limitsShared  bool
	personaLists  personaLists

	build, databaseKind, supabaseURL string
	pingInterval                     time.Duration
	stopping                         <-chan struct{}
	now                              func() time.Time
	log                              *slog.Logger
}

// New makes the handler of the whole API, for clients.
func New(c Config) (http.Handler, error) {
	return c.handler(func(root chi.Router, spec []byte, fail failFunc) func(*intake.Operation, http.Handler) http.Handler {
		root.Use(withoutForwarded, hideInternal(fail), hintAtProxies(c.TrustedProxies, c.Log))
		mountDocs(root, "LLM Platform", spec, fail)
		return c.edge(fail)
	})
}

// handler is what both sides have in common: prepare mounts what one side alone has, and returns what stands before each operation there.
func (c Config) handler(
	prepare func(root chi.Router, spec []byte, fail failFunc) func(*intake.Operation, http.Handler) http.Handler,
) (http.Handler, error) {
	spec, err := oapi.GetSpecJSON()
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	contract, err := intake.Load(spec)
	if err != nil {
		return nil, err
	}
	compression, err := compress()
	if err != nil {
		return nil, err
	}
	errs := &errorWriter{log: c.Log}
	root := chi.NewRouter()
	root.Use(
		withRequestID(c.NewRequestID), nameInstance(c.Instance), limitBodyTime(bodyTimeout), compression, c.accessLog(), cors(c.AllowedOrigins),
		recoverPanics(errs.writeError), limitHead(errs.writeError),
	)
	root.NotFound(notFound(root, c.TrustedProxies, errs.writeError))
	root.MethodNotAllowed(methodNotAllowed(root, errs.writeError))
	edge := prepare(root, spec, errs.writeError)
	c.mountMCP(root, edge, errs.writeError)
	err = mountOperations(root, contract, edge, func(r chi.Router) {
		strict := oapi.NewStrictHandlerWithOptions(newServer(c, contract), nil, oapi.StrictHTTPServerOptions{
			RequestErrorHandlerFunc: errs.refused, ResponseErrorHandlerFunc: errs.writeError,
		})
		oapi.HandlerWithOptions(strict, oapi.ChiServerOptions{BaseRouter: r, ErrorHandlerFunc: errs.refused})
	})
	return root, err
}

func newServer(c Config, contract intake.Contract) *server {
	return &server{
		personas: c.Personas, chat: c.Chat, conversations: c.Conversations, models: c.Models, usage: c.Usage, pricing: c.Pricing, performance: c.Performance,
		accounts: c.Accounts, apiKeys: c.APIKeys, files: c.Files, workflows: c.Workflows, stopping: c.Stopping, health: c.Health, limitsShared: c.LimitsShared,
		assets: c.Assets, generations: c.Generations, uploadForm: contract["POST /api/v1/assets/upload"], assetBucket: c.AssetBucket,
		build: c.Build, databaseKind: c.DatabaseKind, supabaseURL: c.SupabaseURL, pingInterval: c.PingInterval, now: c.Now, log: c.Log,
	}
}

// edge puts around each operation what has to happen before it: nobody unknown gets past authorize, nobody over the limit gets a body
// read, only what obeys the contract reaches a handler, and only what is there as a whole takes a place among those that run. Probes
// stay out of the limits, so that a busy process is not taken for a dead one.
func (c Config) edge(fail failFunc) func(*intake.Operation, http.Handler) http.Handler {
	return c.edgeFor(c.Audit.Watch(c.Identity.Authenticate), fail)
}

// edgeFor is edge where authenticate judges credentials.
func (c Config) edgeFor(authenticate authenticateFunc, fail failFunc) func(*intake.Operation, http.Handler) http.Handler {
	byAddress := func(r *http.Request) string { return app.Caller{Address: proxies(c.TrustedProxies).client(r)}.ID() }
	proving := gate{app.NewSlots(c.MaxConcurrent), byAddress}
	bodies, running := c.gates()
	judge := judgeCarefully(authenticate, c.Limits, proving, c.TrustedProxies)
	return func(op *intake.Operation, handler http.Handler) http.Handler {
		chain := chi.Middlewares{
			noteOrigin(c.TrustedProxies), noteAddress(c.PublicURL, c.TrustedProxies), noStore(op), identify(op, judge),
			limitRate(op, c.Limits, c.TrustedProxies, fail), authorize(op, fail), limitBody(c.bodyLimit(op), fail),
		}
		if !c.hosts(op) {
			chain = append(append(chain, receive(op, bodies, fail)), limitRunning(op, bodies, gate{c.Forwarding, running.caller}, fail)...)
			return chain.HandlerFunc(c.forward(op, fail))
		}
		chain = append(chain, validate(op, bodies, fail), limitAccount(op, c.Limits, fail), checkWebhook(op, c.Webhooks, c.Log, fail))
		chain = append(chain, limitRunning(op, bodies, running, fail)...)
		return append(chain, implemented(op, fail)).Handler(handler)
	}
}

// gates makes those that requests pass whose caller has been looked at.
func (c Config) gates() (bodies, running gate) {
	byCaller := func(r *http.Request) string { return callerOf(r, c.TrustedProxies).ID() }
	return gate{app.NewSlots(c.MaxConcurrent), byCaller}, gate{c.Running, byCaller}
}

// bodyLimit is how many bytes the body of an operation may have.
func (c Config) bodyLimit(op *intake.Operation) int64 {
	if op.Form() {
		return c.MaxFileBytes + formOverhead
	}
	if op.Scope == scopeWebhooks {
		return min(c.MaxBodyBytes, maxWebhook)
	}
	return c.MaxBodyBytes
}

// implemented answers operations that the contract has and the code has not.
func implemented(op *intake.Operation, fail failFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if !op.NotYet {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fail(w, r, domain.NewError(domain.Unimplemented, op.Method+" "+op.Path+" is not there yet"))
		})
	}
}
