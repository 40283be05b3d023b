package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testEdge is the middleware of the server around handlers of a test.
type testEdge struct {
	router *chi.Mux
	errs   *errorWriter
	log    *logBuffer
}

func newTestEdge(t *testing.T, origins ...string) *testEdge {
	t.Helper()
	compression, err := compress()
	if err != nil {
		t.Fatal(err)
	}
	e := &testEdge{router: chi.NewRouter(), log: new(logBuffer)}
	log := slog.New(slog.NewJSONHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e.errs = &errorWriter{log}
	e.router.Use(
		withRequestID(func() string { return "id-1" }), compression, Config{Log: log, AccessLevel: slog.LevelInfo}.accessLog(), cors(origins), recoverPanics(e.errs.writeError),
	)
	e.router.NotFound(notFound(e.router, nil, e.errs.writeError))
	e.router.MethodNotAllowed(methodNotAllowed(e.router, e.errs.writeError))
	return e
}

// serve answers one request without a network.
func (e *testEdge) serve(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	e.router.ServeHTTP(w, r)
	return w.Result()
}

// start serves on a real connection.
func (e *testEdge) start(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(e.router)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // net/http reports aborted answers
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func request(t *testing.T, method, target string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func text(t *testing.T, body io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// failureBody checks the body of a failure against the contract and gives it.
func failureBody(t *testing.T, res *http.Response, schema string) map[string]any {
	t.Helper()
	if ct := res.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("content type %q", ct)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text(t, res.Body)), &v); err != nil {
		t.Fatal(err)
	}
	if err := contractSchema(t, schema).VisitJSON(v); err != nil {
		t.Errorf("%v\nis no %s: %v", v, schema, err)
	}
	if v["status_code"] != float64(res.StatusCode) {
		t.Errorf("status_code %v in a %d", v["status_code"], res.StatusCode)
	}
	return v
}

var contractDoc = sync.OnceValues(oapi.GetSpec)

func contractSchema(t *testing.T, name string) *openapi3.Schema {
	t.Helper()
	doc, err := contractDoc()
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas[name].Value
}

func contractOperation(t *testing.T, key string) *intake.Operation {
	t.Helper()
	op := loadContract(t)[key]
	if op == nil {
		t.Fatalf("no operation %s", key)
	}
	return op
}

func loadContract(t testing.TB) intake.Contract {
	t.Helper()
	spec, err := oapi.GetSpecJSON()
	if err != nil {
		t.Fatal(err)
	}
	contract, err := intake.Load(spec)
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

// known lets everybody in who brings the key "good".
func known(_ context.Context, _, apiKey string) (domain.Principal, error) {
	switch apiKey {
	case "good":
		return domain.ServicePrincipal(), nil
	case "reader":
		return domain.Principal{Type: domain.AuthUserAPIKey, UserID: "u1", Scopes: []string{"chat:read"}}, nil
	default:
		return domain.Principal{}, domain.NewError(domain.Unauthenticated, "who are you")
	}
}

func contains(t *testing.T, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("no %q in %s", p, s)
		}
	}
}
