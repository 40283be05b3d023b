package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/anthropic"
	"gaia/adapters/echo"
	"gaia/adapters/forward"
	"gaia/adapters/httpapi"
	"gaia/adapters/mcpserver"
	"gaia/adapters/natsbus"
	"gaia/adapters/openai"
	"gaia/adapters/postgres"
	"gaia/adapters/rediskv"
	"gaia/adapters/sqlite"
	"gaia/adapters/telemetry"
	"gaia/adapters/tiercache"
	"gaia/app"
	"gaia/domain"
	"gaia/internal/logging"
	"gaia/ports"
)

// system is everything that serve runs.
type system struct {
	handler      http.Handler
	internal     http.Handler // for other services; nil when none are answered
	mcp          *mcpserver.Server
	beside       bool // another process sends the events that this one stores
	health       *app.Health
	events       ports.EventPublisher
	bus          *natsbus.Bus
	databaseKind string
	instance     string // names this process among others for as long as it runs
	needs        map[domain.Service]map[string]ports.Probe
	instances    *app.Instances // that this process hears of
	hearing      sync.Mutex     // what it hears is taken in by one at a time
	heartbeat    *app.Heartbeat // nil: nobody is told of this process
	quiet        func()         // ends the heartbeat
	load         *loadMeter
	telemetry    *telemetry.Telemetry // nil: of commands that do not serve
	relayFailing atomic.Bool          // stored events can't be sent at the moment
	stopping     chan struct{}        // is closed when the process takes no more requests
	tools        *app.Tools
	forwarder    *forward.Forwarder // nil: this process serves everything, or is not the gateway
	closers      []func()
	enders       []func() // of work in the background, which ends before anything is freed

	// forget makes an access token worthless in this process; nil when none is verified here.
	forget func(ctx context.Context, accessToken string) error
}

// close frees everything in the opposite order of its making.
func (s *system) close() {
	for _, end := range s.enders {
		end()
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

func (s *system) onClose(f func()) { s.closers = append(s.closers, f) }

// onEnd has work in the background end before anything is freed, so that it is waited for side by side.
func (s *system) onEnd(f func()) { s.enders = append(s.enders, f) }

// newID makes UUIDs of version 7, which sort by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// folders say where a system keeps what is embedded.
type folders struct {
	data string
	bus  string // of a bus that this process has for itself, beside a server that has the one in the data folder; empty: it has that one

	visitor bool // its client ends this process at will, and tools and agents are its own: it leaves the workflows of others alone
}

// wire builds the system that has a data folder for itself. What it opened before a failure is closed again.
func wire(ctx context.Context, c config, dataDir, apiKey string, log *slog.Logger) (*system, error) {
	return wireIn(ctx, c, folders{data: dataDir}, apiKey, log)
}

func wireIn(ctx context.Context, c config, where folders, apiKey string, log *slog.Logger) (_ *system, err error) {
	sys := &system{
		instance: newInstance(), load: newLoadMeter(), stopping: make(chan struct{}), beside: where.bus != "",
	}
	defer func() {
		if err != nil {
			sys.close()
		}
	}()
	if log, err = openTelemetry(c, sys, log); err != nil {
		return nil, err
	}
	opened, err := sys.openParts(ctx, c, where, apiKey, log)
	if err != nil {
		return nil, err
	}
	proxies, err := c.trustedProxies()
	if err != nil {
		return nil, err
	}
	api := httpapi.Config{
		Hosts: c.services(), Identity: opened.identity, APIKeys: opened.keys, Audit: opened.audit, Personas: opened.personas,
		Build: build, Instance: sys.instance, DatabaseKind: sys.databaseKind, Webhooks: c.webhooks(), AssetBucket: c.AssetBucket,
		PublicURL: strings.TrimSuffix(c.PublicURL, "/"), Limits: opened.limits, LimitsShared: opened.redis != nil, Running: opened.running,
		SupabaseURL: c.SupabaseURL, AllowedOrigins: splitList(c.AllowedOrigins), TrustedProxies: proxies,
		MaxBodyBytes: int64(c.MaxBodyMB) << 20, MaxFileBytes: int64(c.MaxAssetMB) << 20, MaxConcurrent: c.MaxConcurrent,
		PingInterval: c.PingInterval.duration(), Stopping: sys.stopping, Now: time.Now,
		NewRequestID: newID, Log: log, AccessLevel: logging.LevelNetwork,
	}
	for _, part := range []struct {
		service domain.Service
		start   func(context.Context, config, parts, *httpapi.Config, *slog.Logger) error
	}{
		{domain.ServiceAuth, sys.startAuth}, {domain.ServiceAsset, sys.startAsset}, {domain.ServiceChat, sys.startChat},
	} {
		if !c.hosts(part.service) {
			continue
		}
		if err = part.start(ctx, c, opened, &api, log); err != nil {
			return nil, err
		}
	}
	return sys, sys.serve(c, opened, api, log)
}

// databaseFile is the embedded database, in the data folder.
const databaseFile = "gaia.db"

// database is one store behind the ports that need it.
type database struct {
	personas      ports.PersonaStore
	preferences   ports.PreferenceStore
	conversations ports.ConversationStore
	directory     ports.ConversationDirectory
	ledger        ports.Ledger
	marks         ports.Marks
	budgets       ports.BudgetStore
	answers       ports.AnswerStore
	outbox        ports.Outbox
	apiKeys       ports.APIKeyStore
	audit         ports.AuditLog
	accounts      ports.AccountStore
	sessions      ports.SessionStore
	workflows     ports.WorkflowStore
	assets        ports.AssetStore
	meanings      ports.AssetMeanings // nil: the database keeps none
	leases        ports.FileLeases
	generations   ports.GenerationStore
}

func openDatabase(ctx context.Context, c config, dataDir string, sys *system, probes map[string]ports.Probe) (database, error) {
	if c.DatabaseURL == "" {
		sys.databaseKind = "sqlite"
		path := filepath.Join(dataDir, databaseFile)
		if err := sqlite.MigrateUp(ctx, path); err != nil {
			return database{}, err
		}
		watch, err := sys.watchDatabase("sqlite")
		if err != nil {
			return database{}, err
		}
		store, err := sqlite.Open(ctx, sqlite.Config{Path: path, PowerSafe: c.DatabaseSync == syncFull, Observe: watch})
		if err != nil {
			return database{}, err
		}
		sys.onClose(func() { _ = store.Close() })
		probes[app.PartDatabase] = store
		return database{
			personas: store.Personas(), preferences: store.Personas(), conversations: store.Conversations(), directory: store.Conversations(),
			ledger: store.Ledger(), marks: store.Marks(), budgets: store.Budgets(), answers: store.Answers(), outbox: store.Outbox(),
			accounts: store.Accounts(), sessions: store.Sessions(), apiKeys: store.APIKeys(),
			audit: store.Audit(), workflows: store.Workflows(), assets: store.Assets(), leases: store.FileLeases(), generations: store.Generations(),
		}, nil
	}
	sys.databaseKind = "postgresql"
	watch, err := sys.watchDatabase("postgresql")
	if err != nil {
		return database{}, err
	}
	store, err := postgres.Open(ctx, postgres.Config{
		URL: c.DatabaseURL, PoolSize: c.DatabasePool, MaxOverflow: c.DatabaseOverflow,
		AcquireTimeout: c.DatabaseTimeout.duration(), Recycle: c.DatabaseRecycle.duration(), Observe: watch,
	})
	if err != nil {
		return database{}, err
	}
	sys.onClose(func() { store.Close() })
	if err := sys.measurePool(store); err != nil {
		return database{}, err
	}
	probes[app.PartDatabase] = store
	return database{
		personas: store.Personas(), preferences: store.Personas(), conversations: store.Conversations(), directory: store.Conversations(),
		ledger: store.Ledger(), marks: store.Marks(), budgets: store.Budgets(), answers: store.Answers(), outbox: store.Outbox(),
		accounts: store.Accounts(), sessions: store.Sessions(), apiKeys: store.APIKeys(),
		audit: store.Audit(), workflows: store.Workflows(), assets: store.Assets(), meanings: store.Assets(), leases: store.FileLeases(), generations: store.Generations(),
	}, nil
}

func openBus(ctx context.Context, c config, dataDir string, sys *system, probes map[string]ports.Probe, log *slog.Logger) (*natsbus.Bus, error) {
	watch, err := sys.watchMessages()
	if err != nil {
		return nil, err
	}
	bus, err := natsbus.Start(ctx, natsbus.Config{
		URL: c.NATSURL, DataDir: dataDir, SubjectPrefix: c.NATSPrefix, Name: c.ServiceName, MaxReconnects: c.NATSReconnects,
		Timeout: c.NATSTimeout.duration(), Logger: log, Observe: watch, Receive: sys.watchReceived(),
	})
	if err != nil {
		return nil, err
	}
	sys.onClose(func() { _ = bus.Close() })
	sys.events, sys.bus = bus, bus
	probes[app.PartBus] = bus
	return bus, nil
}

// openRedis gives nil when there is none.
func openRedis(c config, sys *system, probes map[string]ports.Probe, log *slog.Logger) (*rediskv.Client, error) {
	if c.RedisURL == "" {
		return nil, nil
	}
	watch, err := sys.watchDatabase("redis")
	if err != nil {
		return nil, err
	}
	client, err := rediskv.Open(rediskv.Config{
		URL: c.RedisURL, Password: c.RedisPassword, Prefix: c.RedisPrefix, ConnectTimeout: c.RedisConnect.duration(), Logger: log, Observe: watch,
	})
	if err != nil {
		return nil, err
	}
	sys.onClose(func() { _ = client.Close() })
	probes[app.PartCache] = client
	return client, nil
}

func openCache(c config, bus *natsbus.Bus, redis *rediskv.Client, sys *system, log *slog.Logger) (*tiercache.Cache, error) {
	config := tiercache.Config{Bytes: int64(c.CacheMemoryMB) << 20, Spaces: app.CacheSpaces(), Shared: c.DatabaseURL != "", Logger: log}
	if c.NATSURL != "" { // a bus inside the process reaches nobody else
		config.Bus = bus
	}
	if redis != nil {
		config.Remote = redis
	}
	cache, err := tiercache.New(config)
	if err != nil {
		return nil, err
	}
	sys.onClose(cache.Close)
	return cache, nil
}

// models is everything about models that several use cases share.
type models struct {
	completers   map[string]ports.Completer
	selector     domain.ModelSelector
	measurements *app.Measurements
}

func wireModels(c config, log *slog.Logger) (models, error) {
	catalogue, err := loadCatalogue(c.ModelsFile)
	if err != nil {
		return models{}, err
	}
	completers := openCompleters(c, log)
	if len(completers) == 0 {
		log.Warn("chats can't be answered: no provider is configured; set a key such as OPENAI_API_KEY, or COMPATIBLE_BASE_URL")
	}
	configured := make(map[string]string, len(completers))
	for _, p := range domain.Providers() {
		if completers[p.ID] != nil {
			configured[p.ID] = p.DefaultModel
		}
	}
	if ids := splitList(c.CompatibleModels); len(ids) > 0 && completers[domain.ProviderCompatible] != nil {
		configured[domain.ProviderCompatible] = ids[0]
		catalogue = catalogue.With(domain.ProviderCompatible, ids...)
	}
	if completers[domain.ProviderEcho] != nil {
		catalogue = catalogue.With(domain.ProviderEcho, domain.EchoModel)
	}
	wish := domain.ModelRequest{Provider: c.DefaultProvider, Model: c.DefaultModel}
	choice, skipped := domain.DefaultChoice(catalogue, configured, wish)
	if skipped {
		log.Warn("the default model can't be used: its provider is not configured", "DEFAULT_LLM_MODEL", wish.Model, "DEFAULT_LLM_PROVIDER", wish.Provider, "instead", choice.Model)
	}
	return models{
		completers: completers, measurements: app.NewMeasurements(time.Now),
		selector: domain.ModelSelector{Catalogue: catalogue, Configured: configured, Default: choice},
	}, nil
}

// chatsWait is how long answers without a listener may go on when the process stops: those with one have been waited for before.
const chatsWait = 5 * time.Second

// keptReservations are those of callers who never came back: nothing that has lapsed counts.
func keptReservations(db database) app.Kept {
	return app.Kept{For: time.Hour, Expire: db.budgets.Expire}
}

func wireChat(c config, m models, personas *app.Personas, db database, active *app.ActiveRequests, running *app.Slots, sys *system, log *slog.Logger) *app.Chat {
	chat := app.NewChat(app.ChatDeps{
		Personas: personas, Conversations: db.conversations, Completers: m.completers, Selector: m.selector,
		Measurements: m.measurements, Active: active, Budgets: db.budgets, Answers: db.answers, Slots: running, Tools: sys.tools, Events: sys.events, Now: time.Now, NewID: newID,
		Lapsed: func(held []domain.Reservation) {
			var sum domain.Money
			for _, r := range held {
				sum = sum.Plus(r.Amount)
			}
			log.Warn("what was set aside of budgets was not held all the time: this process stood still, or did not reach the database, for longer "+
				"than BUDGET_LEASE; callers may spend more than theirs", "reservations", len(held), "usd", sum.Dollars())
		},
		Config: app.ChatConfig{
			FirstEventWait: c.FirstEventWait.duration(), Retries: c.LLMRetries, DailyBudget: domain.FromDollars(c.DailyBudget),
			BudgetLease: c.BudgetLease.duration(),
			Tools: domain.ToolLimits{
				Rounds: c.ToolRounds, Calls: c.ToolCalls, Time: c.ToolTime.duration(), Tokens: c.ToolTokens, Cost: domain.FromDollars(c.ToolCost),
			},
		},
	})
	sys.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), chatsWait)
		defer cancel()
		chat.Close(ctx)
	})
	return chat
}

func loadCatalogue(path string) (domain.Catalogue, error) {
	if path == "" {
		return domain.BuiltInCatalogue(), nil
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the operator has named it
	if err != nil {
		return domain.Catalogue{}, fmt.Errorf("MODELS_FILE: %w", err)
	}
	catalogue, err := domain.ParseCatalogue(data)
	if err != nil {
		return domain.Catalogue{}, fmt.Errorf("MODELS_FILE %s: %w", path, err)
	}
	return catalogue, nil
}

// openCompleters makes a client for every provider that has a key. The built-in model is there outside production, so that every
// client can be tried without one.
func openCompleters(c config, log *slog.Logger) map[string]ports.Completer {
	completers := map[string]ports.Completer{}
	connect, first, idle := c.LLMConnect.duration(), c.LLMFirstToken.duration(), c.LLMIdle.duration()
	if c.AnthropicKey != "" {
		completers[domain.ProviderClaude] = anthropic.New(anthropic.Config{
			Provider: domain.ProviderClaude, BaseURL: c.AnthropicURL, APIKey: c.AnthropicKey, Connect: connect, FirstToken: first, Idle: idle,
		})
	}
	for _, p := range []struct {
		configured string // the setting that switches it on
		cfg        openai.Config
	}{
		{c.OpenAIKey, openai.Config{Provider: domain.ProviderOpenAI, BaseURL: c.OpenAIURL, APIKey: c.OpenAIKey, Organization: c.OpenAIOrg}},
		{c.GoogleKey, openai.Config{Provider: domain.ProviderGemini, BaseURL: c.GeminiURL, APIKey: c.GoogleKey, Dialect: openai.Gemini}},
		{c.MistralKey, openai.Config{Provider: domain.ProviderMistral, BaseURL: c.MistralURL, APIKey: c.MistralKey, Dialect: openai.Mistral}},
		{c.CompatibleURL, openai.Config{Provider: domain.ProviderCompatible, BaseURL: c.CompatibleURL, APIKey: c.CompatibleKey}},
	} {
		if p.configured != "" {
			p.cfg.Connect, p.cfg.FirstToken, p.cfg.Idle = connect, first, idle
			completers[p.cfg.Provider] = openai.New(p.cfg)
		}
	}
	if !c.production() {
		completers[domain.ProviderEcho] = echo.New(echo.Config{WordDelay: c.EchoWordDelay.duration()})
	}
	for provider, completer := range completers {
		completers[provider] = llmLog{completer, provider, log}
	}
	return completers
}

func wireIdentity(c config, apiKey string, keys *app.APIKeys, sys *system, log *slog.Logger) (*app.Identity, error) {
	verifier, err := openVerifier(c, sys, log)
	sys.needKeys(apiKey != "" || verifier != nil)
	switch {
	case err != nil:
		return nil, err
	case verifier != nil:
		return app.NewIdentity(apiKey, verifier).WithKeys(keys), nil
	case apiKey == "":
		log.Warn("nobody can log in: none of API_KEY, SUPABASE_JWT_SECRET and SUPABASE_URL is set")
	}
	return app.NewIdentity(apiKey, nil).WithKeys(keys), nil
}

// Tries to make the default persona while the database is away.
const (
	ensureRetry   = 2 * time.Second
	ensureTimeout = 10 * time.Second
)

// ensureDefaultPersona makes the default persona now, or keeps trying in the background while the database is away.
func (s *system) ensureDefaultPersona(personas *app.Personas, log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.onClose(func() { cancel(); <-done })
	first := make(chan struct{})
	go func() {
		defer close(done)
		for attempt := 0; ; attempt++ {
			try, end := context.WithTimeout(ctx, ensureTimeout)
			_, _, err := personas.EnsureDefault(try)
			end()
			if attempt == 0 {
				close(first)
			}
			if err == nil || ctx.Err() != nil {
				return
			}
			if domain.KindOf(err) == domain.Conflict {
				log.Warn("there is no default persona: another one has its name", "error", err.Error())
				return
			}
			log.Warn("the default persona could not be made; trying again", "error", err.Error())
			select {
			case <-time.After(ensureRetry):
			case <-ctx.Done():
				return
			}
		}
	}()
	select { // an embedded database answers in milliseconds; one that is away must not delay the start
	case <-first:
	case <-time.After(time.Second):
	}
}
