package mcptools

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"gaia/ports"
	"gaia/ports/portstest"
)

// roleVariable makes of this test binary a server on standard input and output, of the kind that it names.
const roleVariable = "MCPTOOLS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(playRole(role))
	}
	goleak.VerifyTestMain(m)
}

// roles are the programs that this binary can be.
var roles = map[string]func() error{
	"good":     func() error { return suiteServer(nil).Run(context.Background(), &mcp.StdioTransport{}) },
	"good old": func() error { return suiteServer(onlyOld()).Run(context.Background(), &mcp.StdioTransport{}) },
}

func playRole(role string) int {
	play := roles[role]
	if play == nil {
		play = hostilePrograms[role]
	}
	if err := play(); err != nil {
		return 1
	}
	return 0
}

func onlyOld() *mcp.ServerOptions {
	return &mcp.ServerOptions{SupportedProtocolVersions: []string{sessionsVersion}}
}

// suiteServer has the tools that the contract suite wants.
func suiteServer(options *mcp.ServerOptions) *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "suite", Version: "1"}, options)
	var mu sync.Mutex
	var calls []string
	note := func(req *mcp.CallToolRequest) {
		mu.Lock()
		defer mu.Unlock()
		id, _ := req.Params.Meta[CallIDKey].(string)
		calls = append(calls, id)
	}
	text := func(s string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
	}
	type none struct{}
	type words struct {
		Text string `json:"text"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(_ context.Context, req *mcp.CallToolRequest, in words) (*mcp.CallToolResult, any, error) {
		note(req)
		return text(in.Text), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "fail"}, func(_ context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
		note(req)
		return nil, nil, errors.New("no such luck")
	})
	mcp.AddTool(server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, req *mcp.CallToolRequest, _ none) (*mcp.CallToolResult, any, error) {
		note(req)
		select {
		case <-ctx.Done():
		case <-time.After(3 * time.Second): // a client that says goodbye at once need not have been heard
		}
		return text("canceled"), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "calls"}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
		mu.Lock()
		defer mu.Unlock()
		return text(strings.Join(calls, "\n")), nil, nil
	})
	return server
}

// program is a server that this binary plays.
func playing(t testing.TB, name, role string) Server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Server{Name: name, Command: self, Env: map[string]string{roleVariable: role, "GOMAXPROCS": "1"}}
}

// hurried is a pace at which tests need not wait.
var hurried = pace{
	connect: 20 * time.Second, discover: 10 * time.Second, health: time.Hour, relist: time.Millisecond, refresh: time.Hour,
	retry: 10 * time.Millisecond, retryMax: 50 * time.Millisecond, closing: time.Second,
}

// open starts servers, and stops them at the end of the test.
func open(t testing.TB, p pace, servers ...Server) *Servers {
	t.Helper()
	s, err := Open(Config{Servers: servers, Environment: os.LookupEnv, pace: p, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func testLog(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// up waits until servers are well.
func up(t testing.TB, s *Servers, names ...string) {
	t.Helper()
	portstest.Within(t, portstest.Patience, "servers are up", func() bool {
		for _, name := range names {
			if s.byName[name].state().Status != Up {
				return false
			}
		}
		return true
	})
}

// serve answers over HTTP until the test is over. Streams that a client holds open end before that.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

func overHTTP(t testing.TB, server *mcp.Server, stateless bool) string {
	t.Helper()
	endSessions(t, server)
	return serve(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{
		Stateless: stateless, SessionTimeout: time.Minute, PropagateRequestCancellation: true,
	}))
}

// endSessions ends, after the test, what clients have not ended: a goodbye can get lost.
func endSessions(t testing.TB, server *mcp.Server) {
	t.Cleanup(func() {
		for session := range server.Sessions() {
			_ = session.Close()
		}
	})
}

// kinds are all ways to a server that is well, and the version of the protocol that is spoken there.
var kinds = map[string]struct {
	version string
	server  func(t testing.TB, name string) Server
}{
	"stdio": {statelessVersion, func(t testing.TB, name string) Server { return playing(t, name, "good") }},
	"stdio, older protocol": {sessionsVersion, func(t testing.TB, name string) Server {
		return playing(t, name, "good old")
	}},
	"http": {statelessVersion, func(t testing.TB, name string) Server {
		return Server{Name: name, URL: overHTTP(t, suiteServer(nil), true)}
	}},
	"http, older protocol": {sessionsVersion, func(t testing.TB, name string) Server {
		return Server{Name: name, URL: overHTTP(t, suiteServer(onlyOld()), false)}
	}},
	"in process": {statelessVersion, func(_ testing.TB, name string) Server {
		return Server{Name: name, InProcess: suiteServer(nil)}
	}},
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portstest.ToolServers(t, func(t *testing.T) ports.ToolServers {
				brief := kind.server(t, portstest.ToolBrief)
				brief.Timeout = 100 * time.Millisecond
				s := open(t, hurried, kind.server(t, portstest.ToolSuite), brief)
				up(t, s, portstest.ToolSuite, portstest.ToolBrief)
				if got := s.byName[portstest.ToolSuite].state().Protocol; got != kind.version {
					t.Errorf("protocol %s, want %s", got, kind.version)
				}
				return s
			})
		})
	}
}
