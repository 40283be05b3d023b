package e2e

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"gaia/tests/gaiatest"
)

// spanCollector takes traces, as the collector of OpenTelemetry does.
type spanCollector struct {
	url   string
	mu    sync.Mutex
	spans map[string][]*tracev1.Span // by trace
	from  map[string]string          // service by span
}

func newSpanCollector(t *testing.T) *spanCollector {
	t.Helper()
	c := &spanCollector{spans: map[string][]*tracev1.Span{}, from: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got tracev1.TracesData // on the wire it is an ExportTraceServiceRequest
		if err == nil && r.URL.Path == "/v1/traces" {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil {
			t.Error(err)
		}
		c.take(&got)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *spanCollector) take(got *tracev1.TracesData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range got.ResourceSpans {
		service := ""
		for _, kv := range rs.Resource.Attributes {
			if kv.Key == "service.name" {
				service = kv.Value.GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				id := hex.EncodeToString(s.TraceId)
				c.spans[id] = append(c.spans[id], s)
				c.from[hex.EncodeToString(s.SpanId)] = service
			}
		}
	}
}

// complete tells what is missing in the trace that the chat is in; empty: nothing.
func (c *spanCollector) missing(services ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := []string{"a trace with POST /api/v1/chat"}
	for _, spans := range c.spans {
		root := slices.IndexFunc(spans, func(s *tracev1.Span) bool { return len(s.ParentSpanId) == 0 })
		if root < 0 || spans[root].Name != "POST /api/v1/chat" {
			continue
		}
		var missing []string
		for _, want := range []string{"chat gpt-4o-mini", "publish gaia.chat.message.start", "batch"} {
			if !slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return s.Name == want }) {
				missing = append(missing, want)
			}
		}
		if !slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return attributeOf(s, "db.system.name") == "redis" }) {
			missing = append(missing, "a span of Redis")
		}
		for _, service := range services {
			if !slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return c.from[hex.EncodeToString(s.SpanId)] == service }) {
				missing = append(missing, "a span of "+service)
			}
		}
		if best = missing; missing == nil {
			return nil
		}
	}
	return best
}

func attributeOf(s *tracev1.Span, key string) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return ""
}

// TestOneChatIsOneTrace: from the gateway to the service, its database, Redis, the provider and NATS, without a word of what was said.
func TestOneChatIsOneTrace(t *testing.T) {
	t.Parallel()
	for name, services := range map[string][]string{"full": {"gateway"}, "split": {"gateway", "chat"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := map[string]func(testing.TB) gaiatest.Backend{"full": gaiatest.Full, "split": gaiatest.Split}[name]
			c := newSpanCollector(t)
			server := backend(t).Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "API_KEY_CACHE_TTL": "0"})
			const said = "xylophone"
			server.Client().Post("/api/v1/chat", message(said)).Want(http.StatusOK)
			gaiatest.Eventually(t, 60*time.Second, "the whole trace is there", func() bool { return c.missing(services...) == nil })
			if !strings.Contains(server.Output(), `"trace_id":"`) {
				t.Error("no line of the log names its trace")
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, spans := range c.spans {
				for _, s := range spans {
					if text := s.String(); strings.Contains(text, said) || strings.Contains(text, "every ship you asked about") || strings.Contains(text, gaiatest.APIKey) {
						t.Errorf("what was said, or a key, is in a span: %s", text)
					}
				}
			}
		})
	}
}

// TestCollectorThatHangs: neither requests nor the stop wait for it.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(collector.Close)
	t.Cleanup(func() { close(hung) })
	server := gaiatest.Embedded(t).Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_TIMEOUT": "120000", "OTEL_METRIC_EXPORT_INTERVAL": "100",
	})
	for range 20 {
		server.Client().Post("/api/v1/chat", message("Is it there?")).Want(http.StatusOK)
	}
	begun := time.Now()
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

var (
	adminAddress = regexp.MustCompile(`"admin_address":"([^"]+)"`)
	metricName   = regexp.MustCompile(`\b(?:http|gaia|gen_ai|db|messaging|go|process)_[a-z0-9_]+\b`)
)

// TestDashboardAndAlertsNameRealMetrics: each of them is in a scrape of the program after some traffic.
func TestDashboardAndAlertsNameRealMetrics(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, b := range []gaiatest.Backend{gaiatest.Full(t), gaiatest.Split(t)} {
		server := b.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"ADMIN_ADDRESS": "127.0.0.1:0"})
		server.Client().Post("/api/v1/chat", message("Is it there?")).Want(http.StatusOK)
		server.Client().Stream(t.Context(), typedRoute, message("Is it there?")).All()
		server.Client().Get("/api/v0.2/personas").Want(http.StatusOK)
		addresses := adminAddress.FindAllStringSubmatch(server.Output(), -1)
		if len(addresses) == 0 {
			t.Fatal("nothing answers operators")
		}
		for _, address := range addresses {
			for line := range strings.Lines(scrape(t, address[1])) {
				name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				name, _, _ = strings.Cut(name, "{")
				there[name] = true
			}
		}
	}
	queries := strings.Join(append(dashboardQueries(t), alertQueries(t)...), "\n")
	labels := regexp.MustCompile(`\b(?:by|on|without) ?\([^)]*\)|\{[^}]*\}`)
	named := metricName.FindAllString(labels.ReplaceAllString(queries, ""), -1)
	if len(named) < 30 {
		t.Fatalf("only %d names were found", len(named))
	}
	slices.Sort(named)
	for _, name := range slices.Compact(named) {
		if !there[name] {
			t.Errorf("%s is in no scrape", name)
		}
	}
}

func scrape(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(page)
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	data, err := os.ReadFile("../../deploy/grafana/dashboards/gaia.json")
	if err == nil {
		err = json.Unmarshal(data, &board)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

func alertQueries(t *testing.T) (queries []string) {
	t.Helper()
	data, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if _, query, found := strings.Cut(line, " expr: "); found {
			queries = append(queries, query)
		}
	}
	return queries
}
