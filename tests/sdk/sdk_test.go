package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/tests/gaiatest"
	"gaia/tests/gotrue"
	"gaia/tests/upstream"
)

const (
	installTimeout = 5 * time.Minute
	runTimeout     = 2 * time.Minute
)

// TestOpenAI is the `openai` package.
func TestOpenAI(t *testing.T) {
	t.Parallel()
	runNode(t, "openai.test.js", nil)
}

// TestOpenAIModels is what the `openai` package reads of the catalogue.
func TestOpenAIModels(t *testing.T) {
	t.Parallel()
	runNode(t, "models.test.js", nil)
}

// TestOpenAILimits is what the `openai` package does when Gaia itself says that it is enough.
func TestOpenAILimits(t *testing.T) {
	t.Parallel()
	runNode(t, "limits.test.js", gaiatest.Settings{"RATE_LIMIT_REQUESTS": "2", "RATE_LIMIT_PERIOD": "second"})
}

// TestMCP is `@modelcontextprotocol/sdk`, with a server that it calls over HTTP and with processes that it starts itself.
func TestMCP(t *testing.T) {
	t.Parallel()
	runNode(t, "mcp.test.js", gaiatest.Settings{"ECHO_WORD_DELAY": "0.02"})
}

// TestMCPAssets is the same client with assets: where they are made, and where nobody makes any, so that calls wait.
func TestMCPAssets(t *testing.T) {
	t.Parallel()
	runNode(t, "mcpassets.test.js", gaiatest.Settings{"BUDGET_DAILY_USD": "0.001"})
	runNode(t, "mcpwaits.test.js", gaiatest.Settings{"MAX_CONCURRENT_GENERATIONS": "0"})
}

// TestVercel is `ai` with `@ai-sdk/openai-compatible`, and the transport that `ai` has for chats in a browser.
func TestVercel(t *testing.T) {
	t.Parallel()
	runNode(t, "vercel.test.js", nil)
}

// TestTools is what both packages make of tools that Gaia itself calls.
func TestTools(t *testing.T) {
	t.Parallel()
	server := mcp.NewServer(&mcp.Implementation{Name: "rooms", Version: "1"}, nil)
	type input struct {
		Room string `json:"room"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "measure"}, func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Room + " is 4 by 6 metres"}}}, nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "locked"}, func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New(in.Room + " is locked")
	})
	handler := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(func() {
		handler.CloseClientConnections()
		handler.Close()
	})
	file := filepath.Join(t.TempDir(), "tools.json")
	data := `{"mcpServers": {"rooms": {"type": "http", "url": "` + handler.URL + `"}}, "offer": {"default": ["rooms/*"]}}`
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	runNode(t, "tools.test.js", gaiatest.Settings{"TOOLS_FILE": file})
}

// TestAccounts is the `openai` package with what Gaia's own accounts and keys give it.
func TestAccounts(t *testing.T) {
	t.Parallel()
	runNode(t, "accounts.test.js", gaiatest.Settings{"LOCAL_ACCOUNTS": "on"})
}

// TestSupabase is `@supabase/supabase-js`, which gets its sessions from a stand-in for Supabase Auth, with tokens of each kind that this
// signs, and uses them with Gaia.
func TestSupabase(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"HS256", "ES256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			const anonKey = "anon"
			accounts := gotrue.New(gotrue.Settings{Prefix: "/auth/v1", AnonKey: anonKey, Alg: alg, Secret: gaiatest.JWTSecret})
			t.Cleanup(accounts.Close)
			settings := gaiatest.Settings{"SUPABASE_URL": accounts.URL(), "SUPABASE_ANON_KEY": anonKey}
			if alg != "HS256" {
				settings["SUPABASE_JWT_SECRET"] = ""
			}
			runNode(t, "supabase.test.js", settings, "SUPABASE_URL="+accounts.URL(), "SUPABASE_ANON_KEY="+anonKey, "SUPABASE_ALG="+alg)
		})
	}
}

// runNode runs a file of tests against a server of its own with a provider of its own.
func runNode(t *testing.T, file string, settings gaiatest.Settings, env ...string) {
	t.Helper()
	install(t)
	provider := upstream.New()
	t.Cleanup(provider.Close)
	data := t.TempDir()
	server := gaiatest.Start(t, gaiatest.Settings{
		"OPENAI_BASE_URL": provider.OpenAI(), "OPENAI_API_KEY": upstream.Key, "GAIA_DATA_DIR": data,
	}, settings)
	checked := httptest.NewServer(checking(t, server))
	t.Cleanup(checked.Close)
	levers := httptest.NewServer(control(provider))
	t.Cleanup(levers.Close)

	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=tap", file)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "GAIA_URL="+checked.URL+"/api/v1", "GAIA_KEY="+gaiatest.APIKey, "UPSTREAM_CONTROL="+levers.URL,
		"AI_SDK_LOG_WARNINGS=false", "NO_PROXY=127.0.0.1")
	cmd.Env = append(cmd.Env, "GAIA_MCP="+server.URL()+"/mcp", "GAIA_PROGRAM="+gaiatest.Program(t), "GAIA_DATA="+data, "GAIA_OTHER_DATA="+t.TempDir(),
		"GAIA_TOKEN="+gaiatest.Token(t, "3b0b3a0e-5a51-4b0c-8a3e-0d6f1a2b3c4d"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node --test %s: %v\n%s", file, err, out)
	}
	if err := everyTestPassed(string(out)); err != "" {
		t.Errorf("node --test %s: %s\n%s", file, err, out)
	}
}

// checking hands requests on to a server and checks every answer against the contract.
func checking(t *testing.T, server *gaiatest.Server) http.Handler {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     server.HTTP().Transport,
		FlushInterval: -1, // at once
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The server closes a request's body when the answer begins; a proxy that is about to look for its end would break off then.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
}

var counts = regexp.MustCompile(`(?m)^# (pass|fail|cancelled|skipped|todo) (\d+)$`)

// everyTestPassed reads the summary of the runner, which is content with tests that were left out, and with none at all.
func everyTestPassed(tap string) string {
	seen := map[string]string{}
	for _, m := range counts.FindAllStringSubmatch(tap, -1) {
		seen[m[1]] = m[2]
	}
	if passed := seen["pass"]; passed == "" || passed == "0" {
		return "no test ran"
	}
	for _, kind := range []string{"fail", "cancelled", "skipped", "todo"} {
		if seen[kind] != "0" {
			return "tests that did not pass: " + kind + " " + seen[kind]
		}
	}
	return ""
}

func TestEveryTestPassed(t *testing.T) {
	t.Parallel()
	const good = "TAP version 13\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n"
	for tap, ok := range map[string]bool{
		good: true, "": false,
		strings.Replace(good, "pass 2", "pass 0", 1):       false,
		strings.Replace(good, "skipped 0", "skipped 1", 1): false,
		strings.Replace(good, "todo 0", "todo 1", 1):       false,
		strings.Replace(good, "# fail 0\n", "", 1):         false,
	} {
		if got := everyTestPassed(tap); (got == "") != ok {
			t.Errorf("%q: %q, want good: %t", tap, got, ok)
		}
	}
}

var installed struct {
	once sync.Once
	err  error
	out  []byte
}

// install sees to it that node_modules holds what the lock file says. Without Node the test is skipped, or fails where nothing may skip.
func install(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Node, and -short asks for nothing that has to be installed")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if required() {
				t.Fatalf("%v (make test-deps)", err)
			}
			t.Skipf("%v (make test-deps)", err)
		}
	}
	installed.once.Do(func() { installed.out, installed.err = npmCI() })
	if installed.err != nil {
		t.Fatalf("npm ci: %v\n%s", installed.err, installed.out)
	}
}

// required is testenv's rule: in CI nothing that is missing may skip.
func required() bool {
	ci := os.Getenv("CI")
	return os.Getenv("GAIA_TEST_REQUIRE") == "1" || (ci != "" && ci != "0" && ci != "false")
}

// npmCI installs, unless the same lock file was installed before. The mark is written last: a broken installation has none.
func npmCI() ([]byte, error) {
	mark := filepath.Join("node_modules", ".installed")
	sum := sha256.New()
	for _, file := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum.Write(data)
	}
	want := hex.EncodeToString(sum.Sum(nil))
	if got, err := os.ReadFile(mark); err == nil && string(got) == want {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		return out, err
	}
	return out, os.WriteFile(mark, []byte(want), 0o600)
}
