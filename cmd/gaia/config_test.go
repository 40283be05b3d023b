package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

var update = flag.Bool("update", false, "write .env.example anew")

const (
	exampleFile = "../../.env.example"
	composeFile = "../../compose.yaml"
	chartFile   = "../../deploy/helm/gaia/secrets.yaml"
)

// example renders .env.example from the tags of config.
func example() string {
	var b strings.Builder
	b.WriteString("# Every setting of Gaia with its default. Copy what you change into .env; the environment wins over the file.\n")
	section := "General"
	for i, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if s := f.Tag.Get("section"); s != "" || i == 0 {
			if s != "" {
				section = s
			}
			fmt.Fprintf(&b, "\n# %s\n", section)
		}
		about := f.Tag.Get("about")
		if who := f.Tag.Get("for"); who != "" {
			about = strings.TrimPrefix(about+"; kept for: "+strings.ReplaceAll(who, ",", ", "), "; ")
		}
		if about != "" {
			fmt.Fprintf(&b, "# %s: %s\n", f.Tag.Get("env"), about)
		}
		fmt.Fprintf(&b, "%s=%s\n", f.Tag.Get("env"), f.Tag.Get("envDefault"))
	}
	return b.String()
}

// keptFor are the settings that are for a service, or "every" or "none" of them, or for "" all that hold no secrets.
func keptFor(who string) (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if named := f.Tag.Get("for"); named == who || who != "" && slices.Contains(strings.Split(named, ","), who) {
			names = append(names, f.Tag.Get("env"))
		}
	}
	return names
}

// composed is compose.yaml with its settings as config.go says. A name without a value is taken from .env, and is not there when it is not there.
func composed(t *testing.T, text string) string {
	t.Helper()
	const begin, end = "# Written by `go test ./cmd/gaia -run TestExampleIsComplete -update`.\n", "# Written until here.\n"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("compose.yaml has no place for settings")
	}
	var b strings.Builder
	for _, part := range []struct{ anchor, who string }{
		{"of-all", ""}, {"of-every", "every"}, {"of-gateway", "gateway"}, {"of-auth", "auth"}, {"of-asset", "asset"}, {"of-chat", "chat"},
	} {
		fmt.Fprintf(&b, "x-%s: &%s\n", part.anchor, part.anchor)
		for _, name := range keptFor(part.who) {
			fmt.Fprintf(&b, "  %s:\n", name)
		}
	}
	return before + begin + b.String() + end + after
}

// charted is what the chart reads: who gets which keys of the Secret.
func charted() string {
	var b strings.Builder
	b.WriteString("# Which settings come from the Secret, and for which services. Written by `go test ./cmd/gaia -run TestExampleIsComplete -update`.\n")
	for _, who := range []string{"every", "gateway", "auth", "asset", "chat"} {
		fmt.Fprintf(&b, "%s: [%s]\n", who, strings.Join(keptFor(who), ", "))
	}
	return b.String()
}

func TestExampleIsComplete(t *testing.T) {
	compose, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{exampleFile: example(), composeFile: composed(t, string(compose)), chartFile: charted()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s is not what config.go says: go test ./cmd/gaia -run TestExampleIsComplete -update; %v", file, err)
		}
	}
}

// Who gets a secret is decided by whoever adds one.
func TestSecretsAreForSomebody(t *testing.T) {
	t.Parallel()
	known := []string{"every", "none"}
	for _, s := range domain.Services() {
		known = append(known, string(s))
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		who := f.Tag.Get("for")
		if f.Tag.Get("secret") != "" && who == "" {
			t.Errorf("%s is for nobody: for:\"every\", \"none\" or services", f.Tag.Get("env"))
		}
		for name := range strings.SplitSeq(who, ",") {
			if who != "" && !slices.Contains(known, name) {
				t.Errorf("%s is for %q", f.Tag.Get("env"), name)
			}
		}
	}
}

// A process that verifies no tokens does without what verifies them.
func TestAccountsAreOfWhoVerifiesTokens(t *testing.T) {
	t.Parallel()
	for services, fails := range map[string]bool{"gateway": true, "auth": true, "asset": false, "chat": false, "auth,chat": true} {
		_, err := loadConfig(filepath.Join(t.TempDir(), "absent"), apart("SERVICES="+services, "LOCAL_ACCOUNTS=on", "SUPABASE_JWT_SECRET="))
		if got := err != nil && strings.Contains(err.Error(), "SUPABASE_JWT_SECRET"); got != fails {
			t.Errorf("%s without a secret: %v", services, err)
		}
	}
}

func TestExampleChangesNothing(t *testing.T) {
	t.Parallel()
	none, err := loadConfig(filepath.Join(t.TempDir(), "absent"), nil)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := loadConfig(exampleFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	if none != copied {
		t.Errorf("with .env.example as .env the configuration is\n%+v, without\n%+v", copied, none)
	}
}

// What the LLM Platform reads, by name: a deployment's environment file must go on working.
const platformVariables = `API_KEY OPENAI_API_KEY ANTHROPIC_API_KEY DATABASE_URL DATABASE_ECHO DATABASE_POOL_SIZE DATABASE_MAX_OVERFLOW DATABASE_POOL_TIMEOUT
DATABASE_POOL_RECYCLE SUPABASE_URL SUPABASE_ANON_KEY SUPABASE_JWT_SECRET RATE_LIMIT_REQUESTS RATE_LIMIT_PERIOD ALLOWED_ORIGINS LOG_LEVEL MCP_FILESYSTEM_ROOT
FREESOUND_API_KEY MESHY_API_KEY MIDJOURNEY_API_KEY MUBERT_API_KEY STABILITY_API_KEY REDIS_URL REDIS_PASSWORD ASSET_STORAGE_BUCKET MAX_ASSET_FILE_SIZE_MB
MAX_PREVIEW_IMAGE_SIZE_MB MAX_GENERATION_COST_PER_ASSET DEFAULT_CACHE_TTL_SECONDS MAX_CONCURRENT_GENERATIONS ASSET_SEARCH_LIMIT_DEFAULT ASSET_SEARCH_LIMIT_MAX
SEMANTIC_SEARCH_SIMILARITY_THRESHOLD NATS_URL NATS_TIMEOUT NATS_MAX_RECONNECT_ATTEMPTS AUTH_SERVICE_URL ASSET_SERVICE_URL CHAT_SERVICE_URL GATEWAY_URL
SERVICE_NAME SERVICE_VERSION SERVICE_HOST SERVICE_PORT HEALTH_CHECK_INTERVAL HEALTH_CHECK_TIMEOUT SERVICE_REGISTRY_ENABLED SERVICE_HEARTBEAT_INTERVAL
INTER_SERVICE_REQUEST_TIMEOUT CLIENT_REQUEST_TIMEOUT GATEWAY_REQUEST_TIMEOUT GATEWAY_MAX_RETRIES GATEWAY_RETRY_DELAY ENVIRONMENT DEBUG MAX_CONCURRENT_REQUESTS
WORKER_POOL_SIZE AUTH_CACHE_TTL API_KEY_CACHE_TTL SERVICE_HEALTH_CACHE_TTL GCS_BUCKET_NAME GCS_PROJECT_ID GOOGLE_APPLICATION_CREDENTIALS GCS_STORAGE_CREDENTIALS
DEFAULT_LLM_MODEL DEFAULT_LLM_PROVIDER OPENAI_ORG_ID GOOGLE_API_KEY GOOGLE_PROJECT_ID MISTRAL_API_KEY MCP_FILESYSTEM_COMMAND MESHY_TEST_MODE MESHY_WEBHOOK_SECRET
MIDJOURNEY_WEBHOOK_SECRET MUBERT_WEBHOOK_SECRET PERSONA_CACHE_TTL PERSONA_LIST_CACHE_TTL USER_PREF_CACHE_TTL REDIS_SOCKET_TIMEOUT REDIS_CONNECT_TIMEOUT
REDIS_HEALTH_CHECK_INTERVAL GAIA_SERVICE_NAME`

func TestEveryPlatformVariableIsKnown(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		known[f.Tag.Get("env")] = true
	}
	for name := range strings.FieldsSeq(platformVariables) {
		if !known[name] {
			t.Errorf("%s is not read", name)
		}
	}
}

func TestAllFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := loadConfig("absent", []string{
		"SERVICE_PORT=many", "LOG_LEVEL=LOUD", "RATE_LIMIT_PERIOD=fortnight", "DATABASE_URL=mysql://user:hunter2@db/x", "NATS_TIMEOUT=soon", "TRUSTED_PROXIES=nobody",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"SERVICE_PORT", "LOG_LEVEL", "RATE_LIMIT_PERIOD", "DATABASE_URL", "NATS_TIMEOUT", "TRUSTED_PROXIES"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q shows a password", err)
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte("SERVICE_PORT=1111\nexport LOG_LEVEL='DEBUG' # loud\nNATS_TIMEOUT=250ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(file, []string{"SERVICE_PORT=2222"})
	if err != nil {
		t.Fatal(err)
	}
	if c.ServicePort != 2222 || c.LogLevel != "DEBUG" || c.NATSTimeout.duration() != 250*time.Millisecond {
		t.Errorf("port %d, level %s, timeout %s", c.ServicePort, c.LogLevel, c.NATSTimeout)
	}
}

func TestPrintMasksSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2=which-is-long-enough-for-every-setting" // as headers are written, too
	var env []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if f.Tag.Get("secret") != "" {
			env = append(env, f.Tag.Get("env")+"="+secret)
		}
	}
	env = append(env, "DATABASE_URL=postgresql://gaia:"+secret+"@db:5432/gaia", "REDIS_URL=redis://:"+secret+"@redis:6379")
	c, err := loadConfig("absent", env)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("a secret shows:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "@db:5432/gaia") || !strings.Contains(out.String(), "API_KEY=********\n") {
		t.Errorf("what is no secret is masked, or nothing stands for a secret:\n%s", out.String())
	}
	if got, want := strings.Count(out.String(), "\n"), reflect.TypeFor[config]().NumField(); got != want {
		t.Errorf("%d settings are printed, not %d", got, want)
	}
}

func TestPasswordsInURLsAreMasked(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                               "",
		"http://localhost:8666":          "http://localhost:8666",
		"postgresql://gaia:hunter2@db/x": "postgresql://gaia:********@db/x",
		"postgresql://gaia:hu@ter2@db/x": "postgresql://gaia:********@db/x",
		"postgresql://db/x?user=gaia&password=hunter2&sslmode=disable": "postgresql://db/x?user=gaia&password=********&sslmode=disable",
		"nats://hunter2@bus:4222":                                      "nats://********@bus:4222",
		"nats://a:hunter2@one:4222,nats://b:hunter2@two:4222":          "nats://a:********@one:4222,nats://b:********@two:4222",
		"redis://:hunter2@host:port":                                   "********",
	} {
		if got := maskPassword(given); got != want {
			t.Errorf("%s is shown as %s, want %s", given, got, want)
		}
	}
}

func TestMalformedFileIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for content, line := range map[string]string{
		"SERVICE_PORT=1\n\nAPI-KEY=hunter2\nX=1\n":  "line 3",
		"SERVICE_PORT=1\nAPI_KEY=\"hunter2\nX=1\n":  "line 2",
		"A=\"two\nlines\"\nB=1\nAPI_KEY='hunter2\n": "line 4",
	} {
		file := filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(file, nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), line) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v; want %s", content, err, line)
		}
	}
	if _, err := loadConfig(t.TempDir(), nil); err == nil {
		t.Error("a file that can't be read is taken for none")
	}
}

func TestSpacesAroundValuesDoNotCount(t *testing.T) {
	t.Parallel()
	c, err := loadConfig("absent", []string{"SERVICE_PORT= 2222 ", "API_KEY=key\r", "ENVIRONMENT= Production", "LOG_LEVEL=  "})
	if err != nil {
		t.Fatal(err)
	}
	if c.ServicePort != 2222 || c.APIKey != "key" || !c.production() || c.LogLevel != "INFO" {
		t.Errorf("port %d, key %q, environment %q, level %q", c.ServicePort, c.APIKey, c.Environment, c.LogLevel)
	}
}

func TestTimesThatMustNotBeZero(t *testing.T) {
	t.Parallel()
	_, err := loadConfig("absent", []string{"STREAM_PING_INTERVAL=0", "STREAM_FIRST_EVENT_WAIT=0"})
	if err == nil || !strings.Contains(err.Error(), "STREAM_PING_INTERVAL") || !strings.Contains(err.Error(), "STREAM_FIRST_EVENT_WAIT") {
		t.Errorf("error %v", err)
	}
}
