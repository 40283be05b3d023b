package telemetry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"gaia/adapters/telemetry"
	"gaia/domain"
)

// named returns the one span with a name.
func (c *collector) named(t *testing.T, name string) *tracev1.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.spans, func(s *tracev1.Span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no span %q in %v", name, c.spans)
	}
	return c.spans[i]
}

func wantParent(t *testing.T, of, parent *tracev1.Span) {
	t.Helper()
	if string(of.ParentSpanId) != string(parent.SpanId) || string(of.TraceId) != string(parent.TraceId) {
		t.Errorf("%s is not a part of %s: %v, %v", of.Name, parent.Name, of, parent)
	}
}

// What a request causes later and elsewhere is in its trace: an event that is sent when the request is over, work on the bus, work that was
// stored, and the events of that.
func TestWhatARequestCausesIsInItsTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := tel.Messages()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	ctx := request(t, server, r, false, telemetry.Answer{Operation: "Op", Route: "/op"})
	cause := domain.TraceOf(ctx)
	if cause == "" || cause != r.Header.Get("Traceparent") {
		t.Fatalf("the cause is %q, and what is handed on %v", cause, r.Header)
	}

	header := map[string][]string{"Nats-Msg-Id": {"1"}}
	bus(domain.WithTrace(t.Context(), cause), "stored", header)(nil)
	if len(header["traceparent"]) != 1 || len(header) != 2 {
		t.Errorf("the headers are %v", header)
	}
	received, end := tel.Received()(t.Context(), "stored", header)
	end(errors.New("given back"))
	_, end = tel.Received()(t.Context(), "old", map[string][]string{"Traceparent": {domain.TraceOf(received)}}) // of an earlier release
	end(nil)
	working, end := tel.Work()(t.Context(), cause, "generation")
	bus(domain.WithTrace(t.Context(), domain.TraceOf(working)), "of work", map[string][]string{})(nil)
	end(nil)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	root, sent := c.named(t, "POST /op"), c.named(t, "publish stored")
	wantParent(t, sent, root)
	process := c.named(t, "process stored")
	wantParent(t, process, sent)
	if process.Kind != tracev1.Span_SPAN_KIND_CONSUMER || sent.Kind != tracev1.Span_SPAN_KIND_PRODUCER || len(process.Links) != 1 ||
		string(process.Links[0].SpanId) != string(sent.SpanId) || process.Status.GetCode() != tracev1.Status_STATUS_CODE_ERROR {
		t.Errorf("got %v and %v", sent, process)
	}
	wantParent(t, c.named(t, "process old"), process)
	wantParent(t, c.named(t, "work on generation"), root)
	wantParent(t, c.named(t, "publish of work"), c.named(t, "work on generation"))
	if want := hex.EncodeToString(sent.SpanId); !strings.Contains(header["traceparent"][0], want) {
		t.Errorf("the message says %v, want %s", header, want)
	}
}

// What nobody watches causes nothing that anybody watches, and is stored without a cause.
func TestWhatIsNotWatchedCausesNothing(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint, cfg.Ratio = c.URL, 0 })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	bus, err := tel.Messages()
	if err != nil {
		t.Fatal(err)
	}
	ctx := request(t, server, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), false, telemetry.Answer{})
	if cause := domain.TraceOf(ctx); cause != "" {
		t.Errorf("the cause is %q", cause)
	}
	for _, cause := range []string{"", "nonsense", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"} {
		header := map[string][]string{}
		bus(domain.WithTrace(t.Context(), cause), "stored", header)(nil)
		got, end := tel.Received()(t.Context(), "stored", map[string][]string{"traceparent": {cause}})
		end(nil)
		work, done := tel.Work()(t.Context(), cause, "generation")
		done(nil)
		if len(header) != 0 || domain.TraceOf(got) != "" || domain.TraceOf(work) != "" {
			t.Errorf("%q: headers %v", cause, header)
		}
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 0 {
		t.Errorf("spans %v", c.spans)
	}
	off, err := telemetry.New(telemetry.Config{Scraped: true})
	if err != nil || off.Received() != nil || off.Work() != nil || off.Hops() != nil {
		t.Errorf("something is traced without a collector: %v", err)
	}
}

// Each attempt to hand a request on is a span, and the service goes on with it.
func TestHops(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tel := watching(t, func(cfg *telemetry.Config) { cfg.Endpoint = c.URL })
	server, err := tel.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	ctx, watched := server.Begin(t.Context(), r, false)
	hops := tel.Hops()
	hop := telemetry.Hop{Service: "chat", Method: http.MethodPost, Host: "10.0.0.1", Port: 8003, Number: 1}
	hops(ctx, hop, http.Header{})(telemetry.HopEnd{Failed: "lost"})
	hop.Number = 2
	header := r.Header.Clone()
	hops(ctx, hop, header)(telemetry.HopEnd{Status: 503, Again: 1})
	hops(ctx, telemetry.Hop{Service: "chat", Method: "odd", Number: 3}, nil)(telemetry.HopEnd{Failed: "away"})
	hops(t.Context(), hop, header)(telemetry.HopEnd{Status: 200}) // of nobody's request
	watched.End(telemetry.Answer{Operation: "Op", Route: "/op", Status: 503})
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 4 {
		t.Fatalf("%d spans: %v", len(c.spans), c.spans)
	}
	root := c.named(t, "POST /op")
	for i, want := range []map[string]any{
		{"gaia.forward.attempt": int64(1), "error.type": "lost", "server.address": "10.0.0.1", "server.port": int64(8003), "peer.service": "chat", "http.request.method": "POST"},
		{"gaia.forward.attempt": int64(2), "error.type": "503", "http.response.status_code": int64(503), "http.request.resend_count": int64(2)},
		{"gaia.forward.attempt": int64(3), "error.type": "away", "http.request.method": "_OTHER", "http.request.resend_count": int64(2)},
	} {
		span := c.spans[i]
		wantParent(t, span, root)
		if span.Kind != tracev1.Span_SPAN_KIND_CLIENT || span.Status.GetCode() != tracev1.Status_STATUS_CODE_ERROR {
			t.Errorf("attempt %d: %v", i+1, span)
		}
		for name, value := range want {
			if got := attribute(span, name); got != value {
				t.Errorf("attempt %d: %s is %v, want %v", i+1, name, got, value)
			}
		}
	}
	if away := c.spans[2]; attribute(away, "server.address") != nil {
		t.Errorf("where nobody is asked: %v", away)
	}
	if want := hex.EncodeToString(c.spans[1].SpanId); !strings.Contains(header.Get("Traceparent"), want) {
		t.Errorf("the service goes on with %v, want %s", header, want)
	}
}

// attribute is what a span says under a name; nil for nothing.
func attribute(s *tracev1.Span, name string) any {
	for _, kv := range s.Attributes {
		if kv.Key != name {
			continue
		}
		if text := kv.Value.GetStringValue(); text != "" {
			return text
		}
		return kv.Value.GetIntValue()
	}
	return nil
}

// While nobody watches, what events and work are stored with costs no memory.
func TestNoTraceCostsNothing(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, 1)
	if n := testing.AllocsPerRun(100, func() {
		if domain.TraceOf(domain.WithTrace(ctx, "")) != "" {
			t.Error("there is a trace")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
