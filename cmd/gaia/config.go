package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"

	"gaia/domain"
	"gaia/internal/logging"
)

// minBudgetLease has room for a renewal that is due after a quarter of it and takes as long again, and for storing an answer after that, all
// with a database that is as slow as is waited for.
const minBudgetLease = 10 * time.Second

// seconds is a span of time that is written as a number of seconds, "1.5", or with a unit, "1500ms".
type seconds time.Duration

// UnmarshalText reads either form.
func (s *seconds) UnmarshalText(text []byte) error {
	t := string(text)
	if !strings.ContainsAny(t, "hmsuµn") {
		t += "s"
	}
	d, err := time.ParseDuration(t)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no number of seconds from 0", text)
	}
	*s = seconds(d)
	return nil
}

// String writes the number of seconds.
func (s seconds) String() string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", time.Duration(s).Seconds()), "0"), ".")
}

func (s seconds) duration() time.Duration { return time.Duration(s) }

// What DATABASE_SYNCHRONOUS may say.
const (
	syncNormal = "normal"
	syncFull   = "full"
)

// config is every setting, by the name of its environment variable. Settings of parts that come later are read already, so that a
// deployment can be prepared. Fields tagged secret are masked wherever they are shown. Those tagged for are or may hold secrets, and reach only
// the services that are named there, where somebody keeps services apart: compose.yaml and the chart. Others reach all.
type config struct {
	Environment string `env:"ENVIRONMENT" envDefault:"development" about:"production turns the built-in conveniences off: echo model, generated key"`
	Debug       bool   `env:"DEBUG" envDefault:"false"`
	LogLevel    string `env:"LOG_LEVEL" envDefault:"INFO" about:"DEBUG, INFO, WARNING, ERROR or CRITICAL"`
	NoColor     string `env:"NO_COLOR" about:"anything: gaia events tail shows no colours"`
	DataDir     string `env:"GAIA_DATA_DIR" envDefault:"./data" about:"where the embedded database, bus and key live"`

	Services         string  `env:"SERVICES" section:"Serving" about:"what this process serves: any of gateway, auth, asset, chat, with commas between; empty: all. gaia serve --services says the same"`
	ServiceName      string  `env:"SERVICE_NAME" envDefault:"gateway" about:"of a process without the gateway: the service that it serves"`
	ServiceVersion   string  `env:"SERVICE_VERSION" envDefault:"1.0.0"`
	ServiceHost      string  `env:"SERVICE_HOST" envDefault:"127.0.0.1" about:"0.0.0.0 to be reached from other machines"`
	ServicePort      int     `env:"SERVICE_PORT" envDefault:"8666" about:"of a process without the gateway: 8001 where it serves auth, 8002 asset, 8003 chat; it answers the gateway there and nobody else"`
	AdminAddress     string  `env:"ADMIN_ADDRESS" about:"host:port of metrics, profiles and probes, for operators alone; empty: nowhere"`
	AllowedOrigins   string  `env:"ALLOWED_ORIGINS" envDefault:"http://localhost:8666,http://localhost:3000" about:"for browsers; comma-separated, * for any"`
	TrustedProxies   string  `env:"TRUSTED_PROXIES" about:"addresses or CIDRs whose X-Forwarded-* headers count; comma-separated"`
	MaxConcurrent    int     `env:"MAX_CONCURRENT_REQUESTS" envDefault:"100" about:"running at once, streams included; one caller gets nine tenths at the most"`
	MaxForwarded     int     `env:"MAX_FORWARDED_REQUESTS" envDefault:"2000" about:"that a gateway hands on to other processes at once, streams included; each of these has MAX_CONCURRENT_REQUESTS of its own"`
	MaxConnections   int     `env:"MAX_CONNECTIONS" envDefault:"10000" about:"open at once; when there are more, those that have waited longest for a request are closed. Fewer when the process may not open so many files"`
	MaxBodyMB        int     `env:"MAX_REQUEST_BODY_MB" envDefault:"10"`
	WorkerPoolSize   int     `env:"WORKER_POOL_SIZE" envDefault:"4"`
	ShutdownDelay    seconds `env:"SHUTDOWN_DELAY" envDefault:"0" about:"how long a process that has to stop goes on taking requests, so that whoever sends them learns that it is no longer ready"`
	ShutdownTimeout  seconds `env:"SHUTDOWN_TIMEOUT" envDefault:"25" about:"how long running answers may take to finish when the process stops"`
	RateLimit        int     `env:"RATE_LIMIT_REQUESTS" envDefault:"60" about:"requests per period and caller; 0 turns this and all RATE_LIMIT_ settings below off"`
	RateLimitPeriod  string  `env:"RATE_LIMIT_PERIOD" envDefault:"minute" about:"second, minute, hour or day"`
	RateBurst        int     `env:"RATE_LIMIT_BURST" envDefault:"10" about:"requests per second and caller, or as many as the limit above comes to on average; 0: no such limit"`
	RateSignIn       int     `env:"RATE_LIMIT_SIGN_IN" envDefault:"10" about:"of one address in a minute: login, register, recover and resend-verification together; 0: no such limit, here and below"`
	RateAccount      int     `env:"RATE_LIMIT_ACCOUNT" envDefault:"10" about:"attempts at one e-mail address in 15 minutes, wherever they come from: logins, and apart from them mails"`
	RateRefresh      int     `env:"RATE_LIMIT_REFRESH" envDefault:"30" about:"of one address in a minute"`
	RateValidate     int     `env:"RATE_LIMIT_VALIDATE" envDefault:"20" about:"of one address in a minute"`
	RateFailures     int     `env:"RATE_LIMIT_FAILURES" envDefault:"10" about:"wrong credentials of one address in a minute, on any operation"`
	FirstEventWait   seconds `env:"STREAM_FIRST_EVENT_WAIT" envDefault:"5" about:"how long a stream's status waits for the provider's first event"`
	PingInterval     seconds `env:"STREAM_PING_INTERVAL" envDefault:"15" about:"silence after which a stream sends a comment"`
	HealthInterval   seconds `env:"HEALTH_CHECK_INTERVAL" envDefault:"30" about:"how often the gateway looks whether each address of other services is ready; every second while something is wrong"`
	HealthTimeout    seconds `env:"HEALTH_CHECK_TIMEOUT" envDefault:"5" about:"how long it, and another process that is asked for a sign of life, may take to answer; /health waits two seconds at the most"`
	RegistryEnabled  bool    `env:"SERVICE_REGISTRY_ENABLED" envDefault:"true" about:"processes tell each other over NATS how they are, and answer there who asks; false: this one neither tells nor hears"`
	Heartbeat        seconds `env:"SERVICE_HEARTBEAT_INTERVAL" envDefault:"15" about:"how often it tells; who is silent three times is gone"`
	GaiaServiceName  string  `env:"GAIA_SERVICE_NAME"`
	AuthServiceURL   string  `env:"AUTH_SERVICE_URL" section:"Other services" about:"http://host:port where the gateway finds a service that it does not serve itself; several with commas between, and every address behind a name"`
	AssetServiceURL  string  `env:"ASSET_SERVICE_URL"`
	ChatServiceURL   string  `env:"CHAT_SERVICE_URL"`
	RemoteURL        string  `env:"GAIA_URL" about:"of gaia mcp: the Gaia that it hands everything on to; empty: it works by itself on this database"`
	RemoteKey        string  `env:"GAIA_API_KEY" secret:"true" for:"none" about:"the API key that gaia mcp uses there"`
	GatewayURL       string  `env:"GATEWAY_URL" envDefault:"http://localhost:8666"`
	GatewayTimeout   seconds `env:"GATEWAY_REQUEST_TIMEOUT" envDefault:"30" about:"how long a service may take until its answer begins"`
	GatewayLong      seconds `env:"GATEWAY_LONG_TIMEOUT" envDefault:"600" about:"how long chats, generations and uploads may take until their answer begins; all others have GATEWAY_REQUEST_TIMEOUT"`
	GatewayRetries   int     `env:"GATEWAY_MAX_RETRIES" envDefault:"2" about:"how often a request is sent again that no service has seen, or that may be repeated, and that nobody has answered"`
	GatewayDelay     seconds `env:"GATEWAY_RETRY_DELAY" envDefault:"1" about:"the longest pause before that; the first ones are far shorter"`
	InterTimeout     seconds `env:"INTER_SERVICE_REQUEST_TIMEOUT" envDefault:"30"`
	ClientTimeout    seconds `env:"CLIENT_REQUEST_TIMEOUT" envDefault:"60"`
	APIKey           string  `env:"API_KEY" secret:"true" for:"every" section:"Identity" about:"the global key; made on the first start when empty outside production"`
	SupabaseURL      string  `env:"SUPABASE_URL"`
	SupabaseAnonKey  string  `env:"SUPABASE_ANON_KEY" secret:"true" for:"gateway,auth"`
	SupabaseAuthPath string  `env:"SUPABASE_AUTH_PATH" envDefault:"/auth/v1" about:"where Supabase Auth is below SUPABASE_URL; / when that is the server itself, with no gateway before it"`
	JWTSecret        string  `env:"SUPABASE_JWT_SECRET" secret:"true" for:"gateway,auth" about:"verifies HS256 access tokens, and signs those of local accounts; made on the first start for these when empty"`
	JWKSURL          string  `env:"SUPABASE_JWKS_URL" about:"the public keys that verify ES256 and RS256 access tokens; empty: /.well-known/jwks.json below Supabase Auth"`
	JWTIssuer        string  `env:"SUPABASE_JWT_ISSUER" about:"what iss of access tokens must be, such as https://project.supabase.co/auth/v1; empty: anything"`
	LocalAccounts    string  `env:"LOCAL_ACCOUNTS" envDefault:"auto" about:"accounts kept by Gaia itself: auto (outside production, unless a SUPABASE_ setting says that tokens come from elsewhere), on or off; on PostgreSQL they need on and SUPABASE_JWT_SECRET"`
	InternalAddress  string  `env:"INTERNAL_ADDRESS" about:"host:port where other services of Gaia are answered, never clients; empty: nowhere"`
	InternalSecret   string  `env:"INTERNAL_AUTH_SECRET" secret:"true" for:"every" about:"what services sign with when they tell each other who calls; at least 32 bytes, the same everywhere"`
	InternalBefore   string  `env:"INTERNAL_AUTH_SECRET_PREVIOUS" secret:"true" for:"every" about:"the one before, while services are given a new one"`
	AuditDays        int     `env:"AUDIT_RETENTION_DAYS" envDefault:"365" about:"for how long it is kept who logged in, was refused, made or revoked a key; 0: for ever"`
	DatabaseURL      string  `env:"DATABASE_URL" for:"every" section:"Database (empty: SQLite in the data folder)" about:"postgresql://user:password@host:5432/name"`
	DatabaseSync     string  `env:"DATABASE_SYNCHRONOUS" envDefault:"normal" about:"of SQLite: full also survives a power cut without losing the last moments, and every write waits for the disk"`
	DatabaseEcho     bool    `env:"DATABASE_ECHO" envDefault:"false"`
	DatabasePool     int     `env:"DATABASE_POOL_SIZE" envDefault:"20"`
	DatabaseOverflow int     `env:"DATABASE_MAX_OVERFLOW" envDefault:"30"`
	DatabaseTimeout  seconds `env:"DATABASE_POOL_TIMEOUT" envDefault:"5"`
	DatabaseRecycle  seconds `env:"DATABASE_POOL_RECYCLE" envDefault:"3600"`
	RedisURL         string  `env:"REDIS_URL" for:"every" section:"Cache (empty: in process only)" about:"redis://host:6379"`
	RedisPassword    string  `env:"REDIS_PASSWORD" secret:"true" for:"every"`
	RedisPrefix      string  `env:"REDIS_KEY_PREFIX" envDefault:"gaia:" about:"stands before every key, for servers that others use too"`
	RedisTimeout     seconds `env:"REDIS_SOCKET_TIMEOUT" envDefault:"5" about:"requests never wait longer than 0.1 s in all for Redis, whatever this says"`
	RedisConnect     seconds `env:"REDIS_CONNECT_TIMEOUT" envDefault:"5"`
	RedisHealth      seconds `env:"REDIS_HEALTH_CHECK_INTERVAL" envDefault:"30"`
	CacheMemoryMB    int     `env:"CACHE_MEMORY_MB" envDefault:"64" about:"that values cached in this process may take; beyond it go those that are asked for least"`
	DefaultCacheTTL  seconds `env:"DEFAULT_CACHE_TTL_SECONDS" envDefault:"3600"`
	AuthTTL          seconds `env:"AUTH_CACHE_TTL" envDefault:"1800" about:"how long a verified access token is not verified again, at most until it expires; 0: verified each time"`
	APIKeyDays       int     `env:"API_KEY_RETENTION_DAYS" envDefault:"90" about:"for how long API keys are kept that were revoked or have expired; what the audit log says about them stays for longer. 0: for ever"`
	APIKeyTTL        seconds `env:"API_KEY_CACHE_TTL" envDefault:"1200" about:"how long an API key is not looked up again; the longest time until a change is known to who could not be told of it"`
	PersonaTTL       seconds `env:"PERSONA_CACHE_TTL" envDefault:"3600"`
	PersonaListTTL   seconds `env:"PERSONA_LIST_CACHE_TTL" envDefault:"1800" about:"lists of active personas"`
	PersonaAllTTL    seconds `env:"PERSONA_LIST_ALL_CACHE_TTL" envDefault:"900" about:"lists with deleted personas too"`
	PreferenceTTL    seconds `env:"USER_PREF_CACHE_TTL" envDefault:"3600"`
	ServiceHealthTTL seconds `env:"SERVICE_HEALTH_CACHE_TTL" envDefault:"60" about:"how long the storage of assets is believed to be well before /health asks it again; one that is away is asked again after 5"`
	NATSURL          string  `env:"NATS_URL" for:"every" section:"Events (empty: a NATS server inside the process)" about:"nats://host:4222"`
	NATSPrefix       string  `env:"NATS_SUBJECT_PREFIX" about:"stands before every subject, such as staging."`
	NATSTimeout      seconds `env:"NATS_TIMEOUT" envDefault:"5"`
	NATSReconnects   int     `env:"NATS_MAX_RECONNECT_ATTEMPTS" envDefault:"-1" about:"-1 tries for ever"`

	DefaultModel     string  `env:"DEFAULT_LLM_MODEL" section:"Models" about:"answers when a request names none; empty: the first configured provider's"`
	DefaultProvider  string  `env:"DEFAULT_LLM_PROVIDER"`
	ModelsFile       string  `env:"MODELS_FILE" about:"a JSON list of models instead of the built-in one"`
	OpenAIKey        string  `env:"OPENAI_API_KEY" secret:"true" for:"asset,chat"`
	OpenAIURL        string  `env:"OPENAI_BASE_URL" envDefault:"https://api.openai.com/v1"`
	OpenAIOrg        string  `env:"OPENAI_ORG_ID"`
	CompatibleURL    string  `env:"COMPATIBLE_BASE_URL" about:"any server with OpenAI's API, such as http://localhost:11434/v1"`
	CompatibleKey    string  `env:"COMPATIBLE_API_KEY" secret:"true" for:"chat"`
	CompatibleModels string  `env:"COMPATIBLE_MODELS" about:"model ids, comma-separated; the first is the default"`
	AnthropicKey     string  `env:"ANTHROPIC_API_KEY" secret:"true" for:"chat"`
	AnthropicURL     string  `env:"ANTHROPIC_BASE_URL" envDefault:"https://api.anthropic.com"`
	GoogleKey        string  `env:"GOOGLE_API_KEY" secret:"true" for:"chat" about:"for Gemini"`
	GeminiURL        string  `env:"GEMINI_BASE_URL" envDefault:"https://generativelanguage.googleapis.com/v1beta/openai"`
	GoogleProject    string  `env:"GOOGLE_PROJECT_ID"`
	MistralKey       string  `env:"MISTRAL_API_KEY" secret:"true" for:"chat"`
	MistralURL       string  `env:"MISTRAL_BASE_URL" envDefault:"https://api.mistral.ai/v1"`
	LLMConnect       seconds `env:"LLM_CONNECT_TIMEOUT" envDefault:"5" about:"of providers: to connect, and again for the TLS handshake"`
	LLMFirstToken    seconds `env:"LLM_FIRST_TOKEN_TIMEOUT" envDefault:"120" about:"of providers: from the prompt to the first piece of the answer"`
	LLMIdle          seconds `env:"LLM_IDLE_TIMEOUT" envDefault:"30" about:"of providers: between two pieces"`
	LLMRetries       int     `env:"LLM_MAX_RETRIES" envDefault:"2" about:"how often a provider that failed before its first word is asked again"`
	DailyBudget      float64 `env:"BUDGET_DAILY_USD" envDefault:"0" about:"what each caller may spend in a day, UTC; 0: no limit"`
	BudgetLease      seconds `env:"BUDGET_LEASE" envDefault:"90" about:"after which what a process had set aside of budgets for answers is free again when it dies or stands still"`
	EchoWordDelay    seconds `env:"ECHO_WORD_DELAY" envDefault:"0.02" about:"pause of the built-in model between words"`

	ToolsFile    string `env:"TOOLS_FILE" section:"Tools" about:"a JSON file that names MCP servers and says which of their tools chats are offered; empty: none but the built-in one"`
	MCPRoot      string `env:"MCP_FILESYSTEM_ROOT" about:"what clients and tools can see of the machine's files; empty: files below the data folder"`
	MCPMaxReadMB int    `env:"MCP_FILESYSTEM_MAX_READ_MB" envDefault:"10" about:"a larger file is not read"`
	MCPCommand   string `env:"MCP_FILESYSTEM_COMMAND" envDefault:"npx" about:"npx alone: files are served by Gaia itself; more than that is a command that gets the root as its last argument, such as npx -y @modelcontextprotocol/server-filesystem"`

	ToolRounds int     `env:"TOOLS_MAX_ROUNDS" envDefault:"8" about:"of one answer: how often its model gets the results of tools to go on with"`
	ToolCalls  int     `env:"TOOLS_MAX_CALLS" envDefault:"32" about:"of tools in one answer"`
	ToolTime   seconds `env:"TOOLS_MAX_TIME" envDefault:"120" about:"of one answer, from the question on: no call of a tool begins or goes on after it"`
	ToolTokens int     `env:"TOOLS_MAX_TOKENS" envDefault:"0" about:"of all rounds of one answer; then the model has to come to an end. 0: no limit"`
	ToolCost   float64 `env:"TOOLS_MAX_COST_USD" envDefault:"0" about:"of all rounds of one answer; one that costs more is given up. 0: no limit"`

	OTLPEndpoint       string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" for:"every" section:"Telemetry" about:"http://host:4318 of an OpenTelemetry collector that takes traces and metrics over HTTP; empty: nothing is sent"`
	OTLPHeaders        string  `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true" for:"every" about:"what is sent along, as name=value with commas between"`
	OTLPTimeout        int     `env:"OTEL_EXPORTER_OTLP_TIMEOUT" envDefault:"10000" about:"milliseconds"`
	TraceRatio         float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" about:"of requests that are traced, from 0 to 1; whoever is trusted and comes with a trace has decided that already"`
	MetricInterval     int     `env:"OTEL_METRIC_EXPORT_INTERVAL" envDefault:"60000" about:"milliseconds between metrics that are sent"`
	ResourceAttributes string  `env:"OTEL_RESOURCE_ATTRIBUTES" about:"what all of it is labelled with besides, such as deployment.environment.name=staging"`
	TelemetryOff       bool    `env:"OTEL_SDK_DISABLED" envDefault:"false" about:"neither traces nor metrics, whatever else is set"`

	AgentsDir             string  `env:"AGENTS_DIR" section:"Workflows" about:"a folder of Markdown files that describe agents; empty: the built-in ones"`
	WorkflowsAtOnce       int     `env:"WORKFLOWS_AT_ONCE" envDefault:"4" about:"that this process works on at the same time; 0: none, others do"`
	WorkflowsPerOwner     int     `env:"WORKFLOWS_PER_OWNER" envDefault:"100" about:"that one caller may have that have not ended; who starts more gets 429"`
	WorkflowLease         seconds `env:"WORKFLOW_LEASE" envDefault:"30" about:"a process that shows no sign of life for so long loses its workflows to others"`
	WorkflowDays          int     `env:"WORKFLOW_RETENTION_DAYS" envDefault:"90" about:"for how long workflows that have ended are kept; 0: for ever"`
	WorkflowIterations    int     `env:"WORKFLOW_ITERATIONS" envDefault:"10" about:"rounds of an agent, of plans or of drafts, where a request names no limit"`
	WorkflowTokens        int     `env:"WORKFLOW_TOKENS" envDefault:"100000"`
	WorkflowCost          float64 `env:"WORKFLOW_COST_USD" envDefault:"1"`
	WorkflowDuration      seconds `env:"WORKFLOW_DURATION" envDefault:"600" about:"since its first step"`
	WorkflowMaxIterations int     `env:"WORKFLOW_MAX_ITERATIONS" envDefault:"50" about:"the most that a request may name"`
	WorkflowMaxTokens     int     `env:"WORKFLOW_MAX_TOKENS" envDefault:"2000000"`
	WorkflowMaxCost       float64 `env:"WORKFLOW_MAX_COST_USD" envDefault:"50"`
	WorkflowMaxDuration   seconds `env:"WORKFLOW_MAX_DURATION" envDefault:"21600"`

	AssetStorageURL   string  `env:"ASSET_STORAGE_URL" secret:"true" for:"asset,chat" section:"Assets" about:"where files are kept: empty, a folder below GAIA_DATA_DIR; file:///path; or s3://access_key:secret_key@host:port/bucket?region=…&insecure=true, for S3 and everything that speaks it"`
	AssetBucket       string  `env:"ASSET_STORAGE_BUCKET" envDefault:"assets" about:"used where ASSET_STORAGE_URL names none"`
	AssetLinks        string  `env:"ASSET_LINKS" envDefault:"proxied" about:"download links lead to Gaia (proxied), or to the storage itself where it can (direct)"`
	AssetLinkTTL      seconds `env:"ASSET_LINK_TTL" envDefault:"3600" about:"how long download links work"`
	AssetLinkSecret   string  `env:"ASSET_LINK_SECRET" secret:"true" for:"asset,chat" about:"what download links are signed with, the same in every replica; empty: made from API_KEY"`
	PublicURL         string  `env:"PUBLIC_URL" about:"what clients call this server, for links in answers and news of generators; empty: as the request says"`
	MaxAssetMB        int     `env:"MAX_ASSET_FILE_SIZE_MB" envDefault:"100"`
	OwnerBytes        int64   `env:"ASSET_BYTES_PER_OWNER" envDefault:"5368709120" about:"that the files of one caller's assets may have in all; 0: as many as there is room for. The global key has no such limit"`
	MaxPreviewMB      int     `env:"MAX_PREVIEW_IMAGE_SIZE_MB" envDefault:"10"`
	SearchLimit       int     `env:"ASSET_SEARCH_LIMIT_DEFAULT" envDefault:"20"`
	SearchLimitMax    int     `env:"ASSET_SEARCH_LIMIT_MAX" envDefault:"100"`
	EmbeddingModel    string  `env:"EMBEDDING_MODEL" about:"finds assets by meaning, too: a model of the OpenAI embeddings API; on PostgreSQL with the vector extension"`
	EmbeddingURL      string  `env:"EMBEDDING_BASE_URL" envDefault:"https://api.openai.com/v1"`
	EmbeddingKey      string  `env:"EMBEDDING_API_KEY" secret:"true" for:"asset,chat" about:"empty: OPENAI_API_KEY"`
	SearchThreshold   float64 `env:"SEMANTIC_SEARCH_SIMILARITY_THRESHOLD" envDefault:"0.7"`
	MaxAssetCost      float64 `env:"MAX_GENERATION_COST_PER_ASSET" envDefault:"0.5" about:"in US dollars; a request may allow less, not more"`
	MaxGenerations    int     `env:"MAX_CONCURRENT_GENERATIONS" envDefault:"5" about:"in this process"`
	GenerationWait    seconds `env:"ASSET_MAX_WAIT" envDefault:"60" about:"the longest that an answer is held back for an asset"`
	GenerationTime    seconds `env:"ASSET_GENERATION_TIMEOUT" envDefault:"900" about:"after which nothing more is tried to make an asset"`
	GenerationAsk     seconds `env:"ASSET_POLL_INTERVAL" envDefault:"0" about:"how often generators are asked about their tasks; 0: as each suggests"`
	GenerationLease   seconds `env:"ASSET_GENERATION_LEASE" envDefault:"15" about:"how long the work of a process that has died waits for another"`
	OrderPatience     seconds `env:"ASSET_GENERATION_PATIENCE" envDefault:"120" about:"how long orders that generators are taking just then may go on when the process stops: one that is cut off is paid and lost; what stops the process must wait longer than this and SHUTDOWN_TIMEOUT"`
	GenerationKept    seconds `env:"ASSET_GENERATION_RETENTION" envDefault:"2592000" about:"how long the record of work that has ended is kept; assets stay"`
	GenerationsPublic bool    `env:"ASSET_GENERATED_PUBLIC" envDefault:"false" about:"everybody finds what was made for one caller"`
	GeneratorsFile    string  `env:"GENERATORS_FILE" about:"which generator makes what, instead of the built-in table"`
	PricesFile        string  `env:"PRICES_FILE" about:"the price table, instead of the built-in one"`
	Procedural        string  `env:"PROCEDURAL_ASSETS" envDefault:"auto" about:"the built-in generator: auto (outside production), on or off"`
	OpenAIImageModel  string  `env:"OPENAI_IMAGE_MODEL" about:"empty: the one of the table of generators; uses OPENAI_API_KEY"`
	StabilityKey      string  `env:"STABILITY_API_KEY" secret:"true" for:"asset,chat"`
	StabilityURL      string  `env:"STABILITY_BASE_URL" envDefault:"https://api.stability.ai"`
	MeshyKey          string  `env:"MESHY_API_KEY" secret:"true" for:"asset,chat"`
	MeshyURL          string  `env:"MESHY_BASE_URL" envDefault:"https://api.meshy.ai"`
	MeshyTestMode     bool    `env:"MESHY_TEST_MODE" envDefault:"false" about:"uses Meshy's public test key, which costs nothing and always makes the same model"`
	MeshySecret       string  `env:"MESHY_WEBHOOK_SECRET" secret:"true" for:"asset" about:"of the address /webhooks/meshy?token=…; empty: that address is closed, and Meshy is polled"`
	MubertCustomer    string  `env:"MUBERT_CUSTOMER_ID"`
	MubertKey         string  `env:"MUBERT_API_KEY" secret:"true" for:"asset,chat" about:"the access token of MUBERT_CUSTOMER_ID"`
	MubertURL         string  `env:"MUBERT_BASE_URL" envDefault:"https://music-api.mubert.com"`
	MubertSecret      string  `env:"MUBERT_WEBHOOK_SECRET" secret:"true" for:"asset"`
	FreesoundKey      string  `env:"FREESOUND_API_KEY" secret:"true" for:"asset,chat"`
	FreesoundURL      string  `env:"FREESOUND_BASE_URL" envDefault:"https://freesound.org"`
	MidjourneyURL     string  `env:"MIDJOURNEY_BASE_URL" about:"of a midjourney-proxy; there is no official API"`
	MidjourneyKey     string  `env:"MIDJOURNEY_API_KEY" secret:"true" for:"asset,chat" about:"its mj-api-secret"`
	MidjourneySecret  string  `env:"MIDJOURNEY_WEBHOOK_SECRET" secret:"true" for:"asset"`
	GCSBucket         string  `env:"GCS_BUCKET_NAME" about:"this and the three below are read and have no effect: Google Cloud Storage is used through its S3 interface, with ASSET_STORAGE_URL"`
	GCSProject        string  `env:"GCS_PROJECT_ID"`
	GCSCredentials    string  `env:"GCS_STORAGE_CREDENTIALS" secret:"true" for:"none"`
	GoogleCredentials string  `env:"GOOGLE_APPLICATION_CREDENTIALS"`
}

// loadConfig reads the .env file, if there is one, and the environment, which wins. It reports every fault at once.
func loadConfig(dotenv string, environ []string) (config, error) {
	values, err := readFile(dotenv)
	if err != nil {
		return config{}, err
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = value
	}
	for name, value := range values {
		values[name] = strings.TrimSpace(value) // no setting begins or ends with a space, but files with \r\n do
		if values[name] == "" {
			delete(values, name) // an empty line of .env means the default
		}
	}
	settleServing(values)
	var c config
	err = env.ParseWithOptions(&c, env.Options{Environment: values})
	return c, errors.Join(plainFaults(err), c.validate())
}

// settleServing names a process without the gateway, and its port, after what it serves, where nothing else is said.
func settleServing(values map[string]string) {
	services, err := domain.ParseServices(values["SERVICES"])
	if err != nil || slices.Contains(services, domain.ServiceGateway) {
		return // faults are reported with all others
	}
	for i, s := range domain.Services() {
		if slices.Contains(services, s) {
			setDefault(values, "SERVICE_NAME", string(s))
			setDefault(values, "SERVICE_PORT", strconv.Itoa(8000+i))
			return
		}
	}
}

func setDefault(values map[string]string, name, value string) {
	if values[name] == "" {
		values[name] = value
	}
}

// readFile reads a .env file; one that is not there is empty. Errors of the library show what stands in the file, which may be secret.
func readFile(path string) (map[string]string, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- .env of the working directory
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	values, err := godotenv.UnmarshalBytes(data)
	if err == nil {
		return values, nil
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	good := len(lines)
	for err != nil {
		good--
		_, err = godotenv.UnmarshalBytes(bytes.Join(lines[:good], nil))
	}
	return nil, fmt.Errorf("%s, line %d: not NAME=value, or a quote that does not end", path, good+1)
}

// plainFaults names the variables, not the fields that hold them, and leaves the values out: they may be secret.
func plainFaults(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	faults := make([]error, len(all.Errors))
	for i, fault := range all.Errors {
		faults[i] = fault
		var parse env.ParseError
		if errors.As(fault, &parse) {
			if f, ok := reflect.TypeFor[config]().FieldByName(parse.Name); ok {
				faults[i] = fmt.Errorf("%s: not a value of type %s", f.Tag.Get("env"), f.Type.Name())
			}
		}
	}
	return errors.Join(faults...)
}

// faults are what is wrong with settings.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// validate reports every fault.
func (c *config) validate() error {
	_, files := c.filesCommand()
	_, proxies := c.trustedProxies()
	if proxies != nil {
		proxies = fmt.Errorf("TRUSTED_PROXIES: %w", proxies)
	}
	return errors.Join(
		c.checkWords(), c.checkServices(), c.checkCounts(), c.checkLimits(), c.checkURLs(), files, proxies, c.checkInternal(), c.checkTelemetry(), c.checkLocalAccounts(),
		c.checkAssets(), c.checkWorkflows(), c.checkHeartbeat(),
	)
}

func (c *config) checkWords() error {
	var f faults
	if _, err := logging.ParseLevel(c.LogLevel); err != nil {
		f.add("LOG_LEVEL: %w", err)
	}
	if c.ServicePort < 0 || c.ServicePort > 65535 {
		f.add("SERVICE_PORT: %d is no port", c.ServicePort)
	}
	if !strings.HasPrefix(c.SupabaseAuthPath, "/") {
		f.add("SUPABASE_AUTH_PATH: does not start with /")
	}
	if c.DatabaseSync != syncNormal && c.DatabaseSync != syncFull {
		f.add("DATABASE_SYNCHRONOUS: %q is neither normal nor full", c.DatabaseSync)
	}
	if periods[c.RateLimitPeriod] == 0 {
		f.add("RATE_LIMIT_PERIOD: %q is none of second, minute, hour, day", c.RateLimitPeriod)
	}
	return errors.Join(f...)
}

func (c *config) checkCounts() error {
	var f faults
	for _, n := range []struct {
		name       string
		value, min int
	}{
		{"MAX_CONCURRENT_REQUESTS", c.MaxConcurrent, 1}, {"MAX_FORWARDED_REQUESTS", c.MaxForwarded, 1}, {"MAX_CONNECTIONS", c.MaxConnections, 1}, {"MAX_REQUEST_BODY_MB", c.MaxBodyMB, 1},
		{"DATABASE_POOL_SIZE", c.DatabasePool, 1}, {"DATABASE_MAX_OVERFLOW", c.DatabaseOverflow, 0},
		{"LLM_MAX_RETRIES", c.LLMRetries, 0}, {"GATEWAY_MAX_RETRIES", c.GatewayRetries, 0}, {"TOOLS_MAX_ROUNDS", c.ToolRounds, 1}, {"TOOLS_MAX_CALLS", c.ToolCalls, 1}, {"TOOLS_MAX_TOKENS", c.ToolTokens, 0},
		{"AUDIT_RETENTION_DAYS", c.AuditDays, 0}, {"API_KEY_RETENTION_DAYS", c.APIKeyDays, 0}, {"CACHE_MEMORY_MB", c.CacheMemoryMB, 1},
		{"WORKFLOWS_AT_ONCE", c.WorkflowsAtOnce, 0}, {"WORKFLOW_RETENTION_DAYS", c.WorkflowDays, 0},
	} {
		if n.value < n.min {
			f.add("%s: %d is below %d", n.name, n.value, n.min)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"RATE_LIMIT_REQUESTS", c.RateLimit}, {"RATE_LIMIT_BURST", c.RateBurst}, {"RATE_LIMIT_SIGN_IN", c.RateSignIn},
		{"RATE_LIMIT_ACCOUNT", c.RateAccount}, {"RATE_LIMIT_REFRESH", c.RateRefresh}, {"RATE_LIMIT_VALIDATE", c.RateValidate},
		{"RATE_LIMIT_FAILURES", c.RateFailures},
	} {
		if n.value < 0 || n.value > maxRateLimit {
			f.add("%s: %d is not between 0 and %d", n.name, n.value, maxRateLimit)
		}
	}
	return errors.Join(f...)
}

func (c *config) checkLimits() error {
	var f faults
	if c.MCPMaxReadMB < 1 || c.MCPMaxReadMB > 1024 { // so much of it can be in memory, eight times
		f.add("MCP_FILESYSTEM_MAX_READ_MB: %d is not between 1 and 1024", c.MCPMaxReadMB)
	}
	if c.LLMConnect == 0 || c.LLMFirstToken == 0 || c.LLMIdle == 0 {
		f.add("LLM_CONNECT_TIMEOUT, LLM_FIRST_TOKEN_TIMEOUT and LLM_IDLE_TIMEOUT: must be above 0")
	}
	if c.DailyBudget < 0 || c.DailyBudget != c.DailyBudget {
		f.add("BUDGET_DAILY_USD: %v is below 0", c.DailyBudget)
	}
	if c.BudgetLease.duration() < minBudgetLease {
		f.add("BUDGET_LEASE: is below %v", minBudgetLease.Seconds())
	}
	if c.ToolTime == 0 {
		f.add("TOOLS_MAX_TIME: must be above 0")
	}
	if c.ToolCost < 0 || c.ToolCost != c.ToolCost {
		f.add("TOOLS_MAX_COST_USD: %v is below 0", c.ToolCost)
	}
	if c.HealthInterval == 0 || c.HealthTimeout == 0 || c.GatewayDelay == 0 || c.GatewayTimeout == 0 {
		f.add("HEALTH_CHECK_INTERVAL, HEALTH_CHECK_TIMEOUT, GATEWAY_RETRY_DELAY and GATEWAY_REQUEST_TIMEOUT: must be above 0")
	}
	if c.PingInterval == 0 || c.FirstEventWait == 0 {
		f.add("STREAM_PING_INTERVAL and STREAM_FIRST_EVENT_WAIT: must be above 0")
	}
	return errors.Join(f...)
}

func (c *config) checkURLs() error {
	var f faults
	for _, u := range []struct {
		name, value string
		schemes     []string
	}{
		{"DATABASE_URL", c.DatabaseURL, []string{"postgres", "postgresql"}},
		{"GAIA_URL", c.RemoteURL, []string{"http", "https"}},
		{"REDIS_URL", c.RedisURL, []string{"redis", "rediss"}},
		{"SUPABASE_URL", c.SupabaseURL, []string{"http", "https"}},
		{"SUPABASE_JWKS_URL", c.JWKSURL, []string{"http", "https"}},
		{"OPENAI_BASE_URL", c.OpenAIURL, []string{"http", "https"}},
		{"COMPATIBLE_BASE_URL", c.CompatibleURL, []string{"http", "https"}},
		{"ANTHROPIC_BASE_URL", c.AnthropicURL, []string{"http", "https"}},
		{"GEMINI_BASE_URL", c.GeminiURL, []string{"http", "https"}},
		{"MISTRAL_BASE_URL", c.MistralURL, []string{"http", "https"}},
		{"PUBLIC_URL", c.PublicURL, []string{"http", "https"}},
		{"EMBEDDING_BASE_URL", c.EmbeddingURL, []string{"http", "https"}},
		{"STABILITY_BASE_URL", c.StabilityURL, []string{"http", "https"}},
		{"MESHY_BASE_URL", c.MeshyURL, []string{"http", "https"}},
		{"MUBERT_BASE_URL", c.MubertURL, []string{"http", "https"}},
		{"FREESOUND_BASE_URL", c.FreesoundURL, []string{"http", "https"}},
		{"MIDJOURNEY_BASE_URL", c.MidjourneyURL, []string{"http", "https"}},
	} {
		if err := checkURL(u.value, u.schemes); err != nil {
			f.add("%s: %w", u.name, err)
		}
	}
	return errors.Join(f...)
}

// checkURL does not repeat the URL: it may hold a password.
func checkURL(s string, schemes []string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("not a URL that starts with %s://", strings.Join(schemes, ":// or "))
	}
	return nil
}

func (c *config) trustedProxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, s := range splitList(c.TrustedProxies) {
		prefix, err := netip.ParsePrefix(s)
		if addr, addrErr := netip.ParseAddr(s); addrErr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no address and no CIDR", s)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// production: who shortens the word must not get the conveniences of a developer's machine.
func (c *config) production() bool {
	return slices.Contains([]string{"production", "prod", "live"}, strings.ToLower(c.Environment))
}

// dataDir makes the data folder, which only its owner may enter.
func (c *config) dataDir() (string, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("GAIA_DATA_DIR: %w", err)
	}
	return dir, nil
}

// mask stands for what must not be shown.
const mask = "********"

// print writes the settings in force as lines of a .env file, with secrets and passwords masked.
func (c config) print(out io.Writer) error {
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		value := fmt.Sprint(v.Field(i).Interface())
		switch {
		case f.Tag.Get("secret") != "" && value != "":
			value = mask
		case strings.HasSuffix(f.Tag.Get("env"), "_URL"), strings.HasSuffix(f.Tag.Get("env"), "_ENDPOINT"):
			value = maskPassword(value)
		}
		if _, err := fmt.Fprintf(out, "%s=%s\n", f.Tag.Get("env"), value); err != nil {
			return err
		}
	}
	return nil
}

// Where URLs hold secrets. A user without a password may be a token.
var (
	urlPassword = regexp.MustCompile(`://([^/?#@:]*):[^/?#]*@`)
	urlToken    = regexp.MustCompile(`://[^/?#@:]+@`)
	urlQuery    = regexp.MustCompile(`(?i)([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&#]*`)
)

func maskPassword(s string) string {
	if _, err := url.Parse(s); err != nil {
		return mask
	}
	s = urlPassword.ReplaceAllString(s, "://${1}:"+mask+"@")
	s = urlToken.ReplaceAllString(s, "://"+mask+"@")
	return urlQuery.ReplaceAllString(s, "${1}"+mask)
}

func splitList(s string) []string {
	var parts []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
