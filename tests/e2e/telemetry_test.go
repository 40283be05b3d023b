package e2e

import (
	"bytes"
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
	"gaia/tests/generators"
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

// find returns the spans of the trace that begins with a request.
func (c *spanCollector) find(root string) []*tracev1.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, spans := range c.spans {
		if slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return len(s.ParentSpanId) == 0 && s.Name == root }) {
			return slices.Clone(spans)
		}
	}
	return nil
}

// missing tells which spans are not in the trace that begins with a request: those with these names, and of these services; nil: none.
func (c *spanCollector) missing(root string, names, services []string) []string {
	spans := c.find(root)
	if spans == nil {
		return []string{"a trace with " + root}
	}
	var missing []string
	for _, want := range names {
		if !slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return s.Name == want }) {
			missing = append(missing, want)
		}
	}
	for _, service := range services {
		if !slices.ContainsFunc(spans, func(s *tracev1.Span) bool { return c.of(s) == service }) {
			missing = append(missing, "a span of "+service)
		}
	}
	return missing
}

// of is the service that a span comes from.
func (c *spanCollector) of(s *tracev1.Span) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from[hex.EncodeToString(s.SpanId)]
}

// wantNever fails the test when one of these texts is in a span.
func (c *spanCollector) wantNever(t *testing.T, texts ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, spans := range c.spans {
		for _, s := range spans {
			for _, text := range texts {
				if strings.Contains(s.String(), text) {
					t.Errorf("%q is in a span: %s", text, s)
				}
			}
		}
	}
}

// one returns the first span of a name.
func one(t *testing.T, spans []*tracev1.Span, name string) *tracev1.Span {
	t.Helper()
	i := slices.IndexFunc(spans, func(s *tracev1.Span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no span %s", name)
	}
	return spans[i]
}

func wantWithin(t *testing.T, part, whole *tracev1.Span) {
	t.Helper()
	if !bytes.Equal(part.ParentSpanId, whole.SpanId) {
		t.Errorf("%s is not within %s", part.Name, whole.Name)
	}
}

func attributeOf(s *tracev1.Span, key string) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.GetStringValue()
		}
	}
	return ""
}

// TestOneChatIsOneTrace: from the gateway to the service, its database, Redis, the provider and NATS, and to whoever hears of it, without a
// word of what was said.
func TestOneChatIsOneTrace(t *testing.T) {
	t.Parallel()
	for name, services := range map[string][]string{"full": {"gateway"}, "split": {"gateway", "chat"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := map[string]func(testing.TB) gaiatest.Backend{"full": gaiatest.Full, "split": gaiatest.Split}[name](t)
			c := newSpanCollector(t)
			server := backend.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "API_KEY_CACHE_TTL": "0"})
			heard := listen(t, backend)
			const said, root = "xylophone", "POST /api/v1/chat"
			server.Client().Post("/api/v1/chat", message(said)).Want(http.StatusOK)
			trace := heard.trace("gaia.chat.message.complete")
			gaiatest.Eventually(t, 60*time.Second, "the whole trace is there", func() bool {
				names := []string{"chat gpt-4o-mini", "publish gaia.chat.message.start", "batch", "publish gaia.chat.message.complete", "publish gaia.usage.recorded"}
				return c.missing(root, names, services) == nil && slices.ContainsFunc(c.find(root), func(s *tracev1.Span) bool { return attributeOf(s, "db.system.name") == "redis" })
			})
			spans := c.find(root)
			sent := one(t, spans, "publish gaia.chat.message.complete")
			if want := "00-" + hex.EncodeToString(sent.TraceId) + "-" + hex.EncodeToString(sent.SpanId) + "-01"; trace != want {
				t.Errorf("who hears of the chat reads %s, want %s", trace, want)
			}
			if name == "split" {
				wantHop(t, c, spans, root)
			}
			if !strings.Contains(server.Output(), `"trace_id":"`) {
				t.Error("no line of the log names its trace")
			}
			c.wantNever(t, said, "every ship you asked about", gaiatest.APIKey)
		})
	}
}

// wantHop checks the way from the gateway to the service: an attempt of the one is what the other answers.
func wantHop(t *testing.T, c *spanCollector, spans []*tracev1.Span, root string) {
	t.Helper()
	var asked, hop, answered *tracev1.Span
	for _, s := range spans {
		switch {
		case s.Name == root && c.of(s) == "gateway":
			asked = s
		case s.Name == root:
			answered = s
		case s.Name == "POST" && s.Kind == tracev1.Span_SPAN_KIND_CLIENT:
			hop = s
		}
	}
	if asked == nil || hop == nil || answered == nil {
		t.Fatalf("there is %v, %v and %v", asked, hop, answered)
	}
	wantWithin(t, hop, asked)
	wantWithin(t, answered, hop)
	if attributeOf(hop, "server.address") != "127.0.0.1" || attributeOf(hop, "peer.service") != "chat" {
		t.Errorf("the hop is %v", hop)
	}
}

// trace waits for an event and returns its trace.
func (l *listener) trace(subject string) string {
	l.t.Helper()
	for {
		m, err := l.sub.NextMsg(patience)
		if err != nil {
			l.t.Fatalf("waiting for %s: %v", subject, err)
		}
		if m.Subject == l.prefix+subject {
			return m.Header.Get("traceparent")
		}
	}
}

// TestOneAssetIsOneTrace: from the gateway through the queue to the process that has it made, to the generator, and to whoever hears of it.
func TestOneAssetIsOneTrace(t *testing.T) {
	t.Parallel()
	outside := generators.New(20 * time.Millisecond)
	t.Cleanup(outside.Close)
	backend := gaiatest.Split(t)
	c := newSpanCollector(t)
	server := backend.Start(t, gaiatest.Settings{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "OPENAI_BASE_URL": outside.URL() + "/v1", "OPENAI_API_KEY": generators.Key, "PROCEDURAL_ASSETS": "off",
	})
	heard := listen(t, backend)
	const wanted, root = "a xylophone of glass", "POST /api/v1/assets/generate"
	server.Client().Post("/api/v1/assets/generate", map[string]any{
		"category": "image", "style": "plain", "description": wanted,
		"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 60_000},
	}).Want(http.StatusOK)
	trace := heard.trace("gaia.asset.generation.completed")
	const offered, process, work, made = "publish gaia.work.generation.offered", "process gaia.work.generation.offered", "work on generation", "generate_content gpt-image-1.5"
	gaiatest.Eventually(t, 60*time.Second, "the whole trace is there", func() bool {
		names := []string{offered, process, work, made, "publish gaia.asset.generation.started", "publish gaia.asset.generation.completed"}
		return c.missing(root, names, []string{"gateway", "asset"}) == nil
	})
	spans := c.find(root)
	sent, queued, received := one(t, spans, "publish gaia.asset.generation.completed"), one(t, spans, offered), one(t, spans, process)
	wantWithin(t, received, queued)
	wantWithin(t, one(t, spans, made), one(t, spans, work))
	wantWithin(t, sent, one(t, spans, work))
	if len(received.Links) != 1 || !bytes.Equal(received.Links[0].SpanId, queued.SpanId) || received.Kind != tracev1.Span_SPAN_KIND_CONSUMER {
		t.Errorf("what is received does not link to what was sent: %v", received)
	}
	if want := hex.EncodeToString(sent.TraceId) + "-" + hex.EncodeToString(sent.SpanId); !strings.Contains(trace, want) {
		t.Errorf("who hears of the asset reads %s, want %s", trace, want)
	}
	call := one(t, spans, made)
	for name, want := range map[string]string{
		"gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-image-1.5", "server.address": "127.0.0.1",
	} {
		if got := attributeOf(call, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, s := range spans {
		if s.Name == "RenewGeneration" {
			t.Error("what keeps a claim drowns the work")
		}
	}
	c.wantNever(t, wanted, "xylophone", generators.Key, gaiatest.APIKey)
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
		server.Client().Post("/api/v1/assets/generate", `{"category": "prop", "style": "plain", "description": "A box", "preferences": {"max_wait_time_ms": 60000}}`).Want(http.StatusOK)
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
