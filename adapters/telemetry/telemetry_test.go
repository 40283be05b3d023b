package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"gaia/adapters/telemetry"
	"gaia/domain"
	"gaia/ports"
)

// collector takes what is sent to it.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*tracev1.Span
	traces  []*tracev1.ResourceSpans
	metrics map[string]*metricsv1.Metric
	headers http.Header
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{metrics: map[string]*metricsv1.Metric{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = c.take(r, body)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(r *http.Request, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	switch r.URL.Path {
	case "/v1/traces":
		var got tracev1.TracesData // on the wire it is an ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			return err
		}
		c.traces = append(c.traces, got.ResourceSpans...)
		for _, rs := range got.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	case "/v1/metrics":
		var got metricsv1.MetricsData
		if err := proto.Unmarshal(body, &got); err != nil {
			return err
		}
		for _, rm := range got.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					c.metrics[m.Name] = m
				}
			}
		}
	default:
		return fmt.Errorf("sent to %s", r.URL.Path)
	}
	return nil
}

func watching(t *testing.T, change func(*telemetry.Config)) *telemetry.Telemetry {
	t.Helper()
	cfg := telemetry.Config{Service: "chat", Version: "v1", Instance: "abc", Ratio: 1, Scraped: true, Timeout: 5 * time.Second, Interval: time.Hour}
	if change != nil {
		change(&cfg)
	}
	tel, err := telemetry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func request(t *testing.T, s *telemetry.Server, r *http.Request, trusted bool, a telemetry.Answer) context.Context {
	t.Helper()
	ctx, watched := s.Begin(t.Context(), r, trusted)
	watched.Answering(a.Operation, a.StreamEnd != "", 5*time.Millisecond)
	watched.End(a)
	return ctx
}

func TestTracesAndMetricsReachACollector(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) {
		cfg.Endpoint, cfg.Headers = c.URL+"/", http.Header{"Api-Key": {"k"}}
		cfg.Attributes = map[string]string{"deployment.environment.name": "test"}
	})
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	db, err := tel.Databases("postgresql", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/chat", nil)
	ctx, watched := server.Begin(t.Context(), r, false)
	_, end := db(ctx, "CommitTurn")
	end(errors.New("with a secret in its words"))
	watched.End(telemetry.Answer{Operation: "V1Chat", Route: "/api/v1/chat", Status: 503, Principal: "jwt"})
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	if len(c.spans) != 2 || c.headers.Get("Api-Key") != "k" {
		t.Fatalf("got %v with %v", c.spans, c.headers)
	}
	query, root := c.spans[0], c.spans[1]
	if query.Name != "CommitTurn" || root.Name != "POST /api/v1/chat" || !bytes.Equal(query.TraceId, root.TraceId) || !bytes.Equal(query.ParentSpanId, root.SpanId) {
		t.Errorf("got %v and %v", query, root)
	}
	if query.Kind != tracev1.Span_SPAN_KIND_CLIENT || root.Kind != tracev1.Span_SPAN_KIND_SERVER || root.Status.Code != tracev1.Status_STATUS_CODE_ERROR ||
		root.EndTimeUnixNano < root.StartTimeUnixNano || root.StartTimeUnixNano == 0 {
		t.Errorf("got %v and %v", query, root)
	}
	for _, want := range []string{`"service.name"`, `"chat"`, `"deployment.environment.name"`, `"service.instance.id"`} {
		if got := fmt.Sprint(c.traces[0].Resource); !strings.Contains(got, want) {
			t.Errorf("the resource %s has no %s", got, want)
		}
	}
	if all := fmt.Sprint(c.traces, c.metrics); strings.Contains(all, "secret") {
		t.Error("the words of an error were sent")
	}
	duration := c.metrics["http.server.request.duration"].GetHistogram()
	if len(duration.GetDataPoints()) != 1 || duration.DataPoints[0].Count != 1 || duration.AggregationTemporality != metricsv1.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE ||
		len(duration.DataPoints[0].BucketCounts) != len(duration.DataPoints[0].ExplicitBounds)+1 {
		t.Errorf("got %v", duration)
	}
	if sum := c.metrics["http.server.active_requests"].GetSum(); sum == nil || sum.IsMonotonic || sum.DataPoints[0].GetAsDouble() != 0 {
		t.Errorf("got %v", sum)
	}
	if c.metrics["go.goroutines"].GetGauge() == nil || !c.metrics["go.gc.cycles"].GetSum().GetIsMonotonic() {
		t.Errorf("got %v", c.metrics)
	}
}

func TestWhoseTraceARequestBelongsTo(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	for _, trusted := range []bool{true, false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Traceparent", "00-"+theirs+"-b7ad6b7169203331-01")
		r.Header.Set("Tracestate", "them=1")
		request(t, server, r, trusted, telemetry.Answer{Operation: "Op", Route: "/"})
		if got := r.Header.Get("Traceparent"); strings.Contains(got, theirs) != trusted || strings.Contains(got, "b7ad6b7169203331") {
			t.Errorf("trusted %v: goes on with %s", trusted, got)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", "nonsense")
	request(t, server, r, true, telemetry.Answer{})
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 3 {
		t.Fatalf("%d spans", len(c.spans))
	}
	if carried := c.spans[0]; hex.EncodeToString(carried.TraceId) != theirs || hex.EncodeToString(carried.ParentSpanId) != "b7ad6b7169203331" {
		t.Errorf("a trusted trace is not carried on: %v", carried)
	}
	if own := c.spans[1]; hex.EncodeToString(own.TraceId) == theirs || len(own.ParentSpanId) != 0 || len(own.Links) != 1 || hex.EncodeToString(own.Links[0].TraceId) != theirs {
		t.Errorf("a stranger's trace is carried on, or not linked: %v", own)
	}
}

// A client can make up as many methods, paths and models as it likes.
func TestNothingThatClientsMakeUpIsALabel(t *testing.T) {
	t.Parallel()
	tel := watching(t, nil)
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	completer := tel.Completer(completer{}, telemetry.Model{Provider: domain.ProviderOpenAI, Known: func(m string) bool { return m == "gpt" }})
	flood := func(n int) {
		for i := range n {
			r := httptest.NewRequestWithContext(t.Context(), fmt.Sprintf("M%d", i), fmt.Sprintf("/made-up/%d", i), nil)
			request(t, server, r, false, telemetry.Answer{Route: "-", Status: 404})
			if s, err := completer.Open(t.Context(), domain.Prompt{Model: fmt.Sprintf("made-up-%d", i)}); err == nil {
				_, _ = s.Recv()
				_ = s.Close()
			}
		}
	}
	flood(1)
	before := strings.Count(scrape(t, tel), "\n")
	flood(500)
	after := scrape(t, tel)
	if n := strings.Count(after, "\n"); n != before {
		t.Errorf("%d lines became %d", before, n)
	}
	if strings.Contains(after, "made-up") || strings.Contains(after, "M1") {
		t.Error("what a client has made up is a label")
	}
}

type completer struct{}

func (completer) Open(context.Context, domain.Prompt) (ports.CompletionStream, error) {
	return &answer{steps: []domain.Delta{{Content: "secret answer"}, {Finish: "stop", Usage: &domain.Usage{Input: 7, Output: 3}}}}, nil
}

type answer struct{ steps []domain.Delta }

func (a *answer) Recv() (domain.Delta, error) {
	if len(a.steps) == 0 {
		return domain.Delta{}, io.EOF
	}
	d := a.steps[0]
	a.steps = a.steps[1:]
	return d, nil
}

func (*answer) Close() error { return nil }

func TestCallsOfModels(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	s, err := tel.Completer(completer{}, telemetry.Model{Provider: domain.ProviderClaude, Address: "api.example.com"}).Open(t.Context(), domain.Prompt{
		Model: "m", User: "user-1", Messages: []domain.PromptMessage{{Role: "user", Content: "secret question"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = s.Recv()
	}
	_ = s.Close()
	page := scrape(t, tel)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 1 || c.spans[0].Name != "chat m" || c.spans[0].Status.GetCode() != tracev1.Status_STATUS_CODE_UNSET {
		t.Fatalf("got %v", c.spans)
	}
	span := strings.ReplaceAll(fmt.Sprint(c.spans[0]), "  ", " ")
	for _, want := range []string{"gen_ai.operation.name", "anthropic", "gen_ai.request.model", "gen_ai.usage.input_tokens", "int_value:7", "int_value:3", "gen_ai.response.finish_reasons", "server.address", "api.example.com"} {
		if !strings.Contains(span, want) {
			t.Errorf("%s is missing in %s", want, span)
		}
	}
	const of = `{gen_ai_operation_name="chat",gen_ai_provider_name="anthropic",gen_ai_request_model="m",gen_ai_token_type="input",server_address="api.example.com"}`
	for _, want := range []string{"gen_ai_client_token_usage_sum" + of + " 7", "gen_ai_client_operation_time_to_first_chunk_seconds_count", `le="+Inf"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing in %s", want, page)
		}
	}
	for _, secret := range []string{"secret", "user-1"} {
		if strings.Contains(page+span, secret) {
			t.Errorf("%s is told", secret)
		}
	}
}

// A collector that hangs costs nothing but what waits for it, and the stop does not wait.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hung) })
	var log bytes.Buffer
	tel := watching(t, func(cfg *telemetry.Config) {
		cfg.Endpoint, cfg.Timeout, cfg.Logger = server.URL, time.Minute, slog.New(slog.NewTextHandler(&log, nil))
	})
	watch, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 10_000 { // many more than may wait
		request(t, watch, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), false, telemetry.Answer{Operation: "Op", Route: "/", Status: 200})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = tel.Close(ctx)
	if took := time.Since(begun); took > 30*time.Second { // less than one timeout of a request to the collector
		t.Errorf("a collector that hangs held everything up for %v", took)
	}
}

// What a process does by itself is counted, and no trace: it looks for work many times a second.
func TestWhatNobodyAskedForIsNoTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	db, err := tel.Databases("postgresql", nil)
	if err != nil {
		t.Fatal(err)
	}
	bus, err := tel.Messages()
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := db(t.Context(), "ListEvents")
	header := map[string][]string{}
	bus(ctx, "gaia.service.health", header)(nil)
	done(nil)
	if len(header) != 0 {
		t.Errorf("a message has %v", header)
	}
	page := scrape(t, tel)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 0 {
		t.Errorf("%d spans: %v", len(c.spans), c.spans)
	}
	for _, want := range []string{`db_client_operation_duration_seconds_count{db_operation_name="ListEvents"`, "messaging_client_operation_duration_seconds_count{"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not counted", want)
		}
	}
}

// Those who are asked for values are closed before the last metrics leave; what is counted while they close is in these.
func TestLastValuesAreFromBeforeTheEnd(t *testing.T) {
	t.Parallel()
	tel := watching(t, nil)
	var closed atomic.Bool
	err := tel.Gauge("gaia.bus.connected", "", "Whether NATS is there.", func(context.Context) []telemetry.Figure {
		if closed.Load() {
			return []telemetry.Figure{{Value: 0}}
		}
		return []telemetry.Figure{{Value: 1}}
	})
	if err != nil {
		t.Fatal(err)
	}
	add, err := tel.Counter("gaia.llm.cost", "USD", "Cost.")
	if err != nil {
		t.Fatal(err)
	}
	tel.Freeze(t.Context())
	closed.Store(true)
	add(t.Context(), 2)
	page := scrape(t, tel)
	for _, want := range []string{"gaia_bus_connected 1\n", "gaia_llm_cost_usd_total 2\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
}

// Traces that a collector does not take leave the last metrics their time.
func TestTracesThatHangDontCostTheLastMetrics(t *testing.T) {
	t.Parallel()
	metrics, hung := make(chan struct{}, 16), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/metrics" {
			metrics <- struct{}{}
			return
		}
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hung) })
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint, cfg.Timeout = server.URL, time.Minute })
	s, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	request(t, s, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), false, telemetry.Answer{Operation: "op", Status: http.StatusOK})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tel.Close(ctx) }()
	select {
	case <-metrics: // while the traces still hang
	case <-time.After(time.Minute):
		t.Error("the last metrics never left")
	}
	cancel()
	<-ended
}

func TestNothingIsWatchedByDefault(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if tel.Watching() {
		t.Error("something is watched")
	}
	if h := slog.DiscardHandler; tel.Handler(h) != h {
		t.Error("lines of the log are looked at")
	}
	w := httptest.NewRecorder()
	if tel.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)); w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLinesOfTheLogNameTheirTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(tel.Handler(slog.NewTextHandler(&out, nil))).With("a", 1)
	ctx := request(t, server, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), false, telemetry.Answer{})
	log.InfoContext(ctx, "in a request")
	log.Info("beside") //nolint:sloglint // without a context on purpose
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if want := "trace_id=" + hex.EncodeToString(c.spans[0].TraceId); !strings.Contains(lines[0], want) || strings.Contains(lines[1], "trace_id") {
		t.Errorf("want %s in the first alone: %q", want, lines)
	}
}

func TestScrape(t *testing.T) {
	t.Parallel()
	tel := watching(t, nil)
	if err := tel.Gauge("gaia.test.age", "s", "A\nb\\c.", func(context.Context) []telemetry.Figure {
		return []telemetry.Figure{{Value: 1.5, Labels: []string{"part", "a\"b\\c\nd"}}, {Value: math.Inf(1)}}
	}); err != nil {
		t.Fatal(err)
	}
	add, err := tel.Counter("gaia.test.cost", "USD", "Cost.")
	if err != nil {
		t.Fatal(err)
	}
	add(t.Context(), 0.25, "provider", "openai")
	page := scrape(t, tel)
	for _, want := range []string{
		"# HELP gaia_test_age_seconds A\\nb\\\\c.\n# TYPE gaia_test_age_seconds gauge\n", `gaia_test_age_seconds{part="a\"b\\c\nd"} 1.5` + "\n", "gaia_test_age_seconds +Inf\n",
		"# TYPE gaia_test_cost_usd_total counter\ngaia_test_cost_usd_total{provider=\"openai\"} 0.25\n", "# TYPE go_gc_cycles_total counter\n", `gaia_build_info{`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
}

func TestEndpointMustMakeSense(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"collector:4318", "ftp://x", "http://", "http://user:secret@%zz"} {
		if _, err := telemetry.New(telemetry.Config{Endpoint: endpoint}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
