package sdk

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"gaia/tests/gaiatest"
)

// TestMCPConformance runs the checks of the protocol's authors, `@modelcontextprotocol/conformance`, against /mcp. Most of them call tools,
// prompts and resources that only a server made for them has: conformance.yml lists those, and it fails when one of them passes or another
// does not.
func TestMCPConformance(t *testing.T) {
	t.Parallel()
	install(t)
	front := httptest.NewUnstartedServer(nil)
	t.Cleanup(front.Close)
	address := "http://" + front.Listener.Addr().String()
	server := gaiatest.Start(t, gaiatest.Settings{"ALLOWED_ORIGINS": address})
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	// The checks send no credentials. What stands before the server here adds them and nothing else.
	front.Config.Handler = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-API-Key", gaiatest.APIKey)
		},
		FlushInterval: -1,
		Transport:     &http.Transport{},
	}
	front.Start()
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npx", "--no-install", "conformance", "server", "--url", address+"/mcp", "--suite", "all",
		"--expected-failures", "conformance.yml", "--output-dir", t.TempDir())
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("conformance: %v\n%s", err, out)
	}
}
