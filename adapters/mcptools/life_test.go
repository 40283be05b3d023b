package mcptools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gaia/domain"
	"gaia/ports/portstest"
)

func hasTool(s *Servers, id string) bool {
	return slices.ContainsFunc(s.Tools(), func(spec domain.ToolSpec) bool { return spec.ID() == id })
}

func addNew(server *mcp.Server) {
	server.AddTool(&mcp.Tool{Name: "new", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	})
}

func TestNewToolsAreOffered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options *mcp.ServerOptions
		reach   func(*testing.T, *mcp.Server) Server
	}{
		"http":                 {nil, func(t *testing.T, m *mcp.Server) Server { return Server{Name: "h", URL: overHTTP(t, m, true)} }},
		"http, older protocol": {onlyOld(), func(t *testing.T, m *mcp.Server) Server { return Server{Name: "h", URL: overHTTP(t, m, false)} }},
		"in process":           {nil, func(_ *testing.T, m *mcp.Server) Server { return Server{Name: "h", InProcess: m} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := suiteServer(c.options)
			s := open(t, hurried, c.reach(t, server))
			up(t, s, "h")
			if hasTool(s, "h/new") {
				t.Fatal("it is there already")
			}
			addNew(server)
			portstest.Within(t, portstest.Patience, "the tool is offered", func() bool { return hasTool(s, "h/new") })
			server.RemoveTools("new")
			portstest.Within(t, portstest.Patience, "the tool is not offered any more", func() bool { return !hasTool(s, "h/new") })
		})
	}
}

// News can get lost where a stream breaks. Asking from time to time makes up for it.
func TestToolsAreListedAgainWithoutNews(t *testing.T) {
	t.Parallel()
	var changed atomic.Bool
	p := hurried
	p.refresh = 20 * time.Millisecond
	s := open(t, p, Server{Name: "h", URL: serve(t, handlerOf(func(out io.Writer, m message) bool {
		return m.Method == "tools/list" && changed.Load() && listing(aTool("other", `{"type":"object"}`))(out, m)
	}, false))})
	up(t, s, "h")
	changed.Store(true)
	portstest.Within(t, portstest.Patience, "the tool is offered", func() bool { return hasTool(s, "h/other") })
}

func TestServerThatIsAwayMakesItsToolsDisappear(t *testing.T) {
	t.Parallel()
	p := hurried
	p.health, p.answer = 20*time.Millisecond, time.Second
	for name, stateless := range map[string]bool{"sessions": false, "stateless": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var away atomic.Bool
			var handler atomic.Pointer[http.Handler]
			start := func() {
				server := suiteServer(nil)
				if !stateless {
					server = suiteServer(onlyOld())
				}
				endSessions(t, server)
				h := http.Handler(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
					&mcp.StreamableHTTPOptions{Stateless: stateless, PropagateRequestCancellation: true}))
				handler.Store(&h)
			}
			start()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if away.Load() {
					http.Error(w, "away", http.StatusServiceUnavailable)
					return
				}
				(*handler.Load()).ServeHTTP(w, r)
			}))
			t.Cleanup(func() {
				srv.CloseClientConnections()
				srv.Close()
			})
			s := open(t, p, Server{Name: "h", URL: srv.URL}, Server{Name: "other", InProcess: suiteServer(nil)})
			up(t, s, "h", "other")
			away.Store(true)
			srv.CloseClientConnections()
			portstest.Within(t, portstest.Patience, "its tools are gone", func() bool { return !hasTool(s, "h/echo") })
			if !hasTool(s, "other/echo") {
				t.Error("the other server's tools are gone too")
			}
			if _, err := s.Call(t.Context(), domain.ToolInvocation{Server: "h", Tool: "echo", Arguments: json.RawMessage(`{"text":"a"}`)}); domain.KindOf(err) != domain.NotFound {
				t.Errorf("%v, want NotFound", err)
			}
			start() // it comes back without the sessions that it had
			away.Store(false)
			up(t, s, "h")
			r, err := s.Call(t.Context(), domain.ToolInvocation{Server: "h", Tool: "echo", Arguments: json.RawMessage(`{"text":"a"}`)})
			if err != nil || r.Text != "a" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// A server that is busy takes as many calls at once as it may, and others wait for their turn.
func TestCallsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	h := playing(t, "h", "silent on calls")
	h.Concurrency, h.Timeout = 1, 20*time.Second
	s := open(t, hurried, h)
	up(t, s, "h")
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.Call(ctx, domain.ToolInvocation{Server: "h", Tool: "good"})
		first <- err
	}()
	portstest.Within(t, portstest.Patience, "the first call runs", func() bool { return s.byName["h"].running.Load() == 1 })
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Call(brief, domain.ToolInvocation{Server: "h", Tool: "good"})
	notCalled(t, err)
	_, err = s.Call(brief, domain.ToolInvocation{Server: "h", Tool: "good"}) // there is no time at all
	notCalled(t, err)
	leave()
	if err := <-first; !isUnknown(err) {
		t.Errorf("the first: %v", err)
	}
}

// notCalled wants an error that says that nothing has happened, because there was no time.
func notCalled(t *testing.T, err error) {
	t.Helper()
	if domain.KindOf(err) != domain.Unavailable || isUnknown(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want Unavailable: it never began", err)
	}
}

// What a proxy says when the server behind it is slow is no proof that the server was not called.
func TestStatusOfARequestThatTookTooLong(t *testing.T) {
	t.Parallel()
	for status, unknown := range map[int]bool{http.StatusRequestTimeout: true, http.StatusForbidden: false} {
		well := handlerOf(nil, false)
		s := open(t, hurried, Server{Name: "h", URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte(`"tools/call"`)) {
				w.WriteHeader(status)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			well(w, r)
		}))})
		up(t, s, "h")
		if _, err := callGood(t, s, `{}`); domain.KindOf(err) != domain.Unavailable || isUnknown(err) != unknown {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestRepeatableAndRedactedAreTheOperators(t *testing.T) {
	t.Parallel()
	server := mcp.NewServer(&mcp.Implementation{Name: "h"}, nil)
	for name, hints := range map[string]*mcp.ToolAnnotations{"read": {ReadOnlyHint: true}, "set": {IdempotentHint: true}, "send": {}, "plain": nil} {
		server.AddTool(&mcp.Tool{Name: name, Annotations: hints, InputSchema: json.RawMessage(`{"type":"object"}`)}, nil)
	}
	for _, c := range []struct {
		settings   Server
		repeatable []string
	}{
		{Server{}, nil},
		{Server{TrustHints: true}, []string{"read", "set"}},
		{Server{Repeatable: []string{"s*"}}, []string{"send", "set"}},
	} {
		c.settings.Name, c.settings.InProcess = "h", server
		c.settings.Redact, c.settings.RedactResults = map[string][]string{"se*": {"b"}, "send": {"a", "b"}}, []string{"read"}
		s := open(t, hurried, c.settings)
		up(t, s, "h")
		var got []string
		for _, spec := range s.Tools() {
			if spec.Repeatable {
				got = append(got, spec.Name)
			}
			want := map[string][]string{"set": {"b"}, "send": {"a", "b"}}[spec.Name]
			if !slices.Equal(spec.Redact, want) || spec.RedactResult != (spec.Name == "read") {
				t.Errorf("%s: redacted %v, %t", spec.Name, spec.Redact, spec.RedactResult)
			}
		}
		if !slices.Equal(got, c.repeatable) {
			t.Errorf("repeatable %v, want %v", got, c.repeatable)
		}
	}
}
