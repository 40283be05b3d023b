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

	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
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

// TestAnIdleProcessSendsNoTraces: it looks for events to send, asks its parts how they are and tells others of itself, all the time.
func TestAnIdleProcessSendsNoTraces(t *testing.T) {
	t.Parallel()
	c := newSpanCollector(t)
	server := gaiatest.Full(t).Start(t, gaiatest.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "ADMIN_ADDRESS": "127.0.0.1:0"})
	address := adminAddress.FindStringSubmatch(server.Output())
	if address == nil {
		t.Fatal("nothing answers operators")
	}
	looked := regexp.MustCompile(`db_client_operation_duration_seconds_count\{db_operation_name="LockOutbox"[^}]*\} ([0-9]+)`)
	gaiatest.Eventually(t, patience, "it looked for events to send five times", func() bool {
		count := looked.FindStringSubmatch(scrape(t, address[1]))
		return count != nil && (len(count[1]) > 1 || count[1] >= "5")
	})
	server.Terminate() // sends what waits
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, spans := range c.spans {
		for _, s := range spans {
			if len(s.ParentSpanId) == 0 && s.Kind != tracev1.Span_SPAN_KIND_SERVER {
				t.Errorf("a trace begins with %s", s.Name)
			}
		}
	}
}

// TestLastMetricsAreOfAProcessThatRuns: a collector must not take each restart for an outage of the parts, which are closed then.
func TestLastMetricsAreOfAProcessThatRuns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var last map[string]float64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/metrics" {
			return
		}
		var got metricsv1.MetricsData
		if err := proto.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		last = partsOf(&got)
	}))
	t.Cleanup(collector.Close)
	server := gaiatest.Full(t).Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
	server.Client().Get("/api/v0.2/personas").Want(http.StatusOK)
	server.Terminate()
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"gaia.bus.connected", "gaia.part.up database", "gaia.part.up nats", "gaia.part.up redis"} {
		if last[name] != 1 {
			t.Errorf("the last word of %s is %v; all: %v", name, last[name], last)
		}
	}
}

// partsOf are the values that tell how parts are, by the name of the metric and the part.
func partsOf(got *metricsv1.MetricsData) map[string]float64 {
	parts := map[string]float64{}
	for _, rm := range got.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				if m.Name != "gaia.part.up" && m.Name != "gaia.bus.connected" {
					continue
				}
				for _, p := range m.GetGauge().DataPoints {
					name := m.Name
					for _, label := range p.Attributes {
						name += " " + label.Value.GetStringValue()
					}
					parts[name] = p.GetAsDouble()
				}
			}
		}
	}
	return parts
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
