package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gaia/adapters/forward"
	"gaia/adapters/httpapi"
	"gaia/adapters/telemetry"
	"gaia/domain"
	"gaia/ports"
)

// telemetryWait bounds how long the last traces and metrics may take to leave: nothing waits for a collector that hangs.
const telemetryWait = time.Second

// checkTelemetry finds settings that make no sense before anything is opened.
func (c *config) checkTelemetry() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.AdminAddress); c.AdminAddress != "" && err != nil {
		errs = append(errs, errors.New("ADMIN_ADDRESS: not host:port"))
	}
	if u, err := url.Parse(c.OTLPEndpoint); c.OTLPEndpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: must be http://host:port or https://host"))
	}
	if c.TraceRatio < 0 || c.TraceRatio > 1 {
		errs = append(errs, errors.New("OTEL_TRACES_SAMPLER_ARG: must be from 0 to 1"))
	}
	if c.OTLPTimeout < 0 || c.MetricInterval < 0 {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_METRIC_EXPORT_INTERVAL: must not be below 0"))
	}
	if _, err := keyValues(c.OTLPHeaders); err != nil {
		errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_HEADERS: must be name=value, with commas between")) // the cause would repeat a secret
	}
	if _, err := keyValues(c.ResourceAttributes); err != nil {
		errs = append(errs, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err))
	}
	return errors.Join(errs...)
}

// keyValues reads "name=value,name=value", whose values are written as in URLs.
func keyValues(s string) (map[string]string, error) {
	pairs := map[string]string{}
	for _, pair := range splitList(s) {
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			return nil, fmt.Errorf("%q is not name=value", pair)
		}
		pairs[name] = value
	}
	return pairs, nil
}

// openTelemetry makes what watches this process: nothing, unless somebody is there to look.
func openTelemetry(c config, sys *system, log *slog.Logger) (*slog.Logger, error) {
	headers, err := keyValues(c.OTLPHeaders)
	if err != nil {
		return nil, err
	}
	attributes, err := keyValues(c.ResourceAttributes)
	if err != nil {
		return nil, err
	}
	cfg := telemetry.Config{
		Service: c.ServiceName, Version: build, Instance: sys.instance, Attributes: attributes, Headers: http.Header{}, Ratio: c.TraceRatio,
		Timeout: time.Duration(c.OTLPTimeout) * time.Millisecond, Interval: time.Duration(c.MetricInterval) * time.Millisecond, Logger: log,
	}
	for name, value := range headers {
		cfg.Headers.Set(name, value)
	}
	if !c.TelemetryOff {
		cfg.Scraped, cfg.Endpoint = c.AdminAddress != "", c.OTLPEndpoint
	}
	if sys.telemetry, err = telemetry.New(cfg); err != nil {
		return nil, err
	}
	atMost := func(do func(context.Context)) func() {
		return func() {
			ctx, cancel := context.WithTimeout(context.Background(), telemetryWait)
			defer cancel()
			do(ctx)
		}
	}
	sys.onEnd(atMost(sys.telemetry.Freeze)) // the first of all, while everything that it asks is open
	sys.onClose(atMost(func(ctx context.Context) { _ = sys.telemetry.Close(ctx) }))
	return slog.New(sys.telemetry.Handler(log.Handler())), nil
}

// watchDatabase is nil when nothing is watched, and so are the other hooks.
func (s *system) watchDatabase(kind string) (telemetry.Hook, error) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return nil, nil
	}
	return s.telemetry.Databases(kind, func(err error) bool {
		switch domain.KindOf(err) {
		case domain.NotFound, domain.Conflict:
			return true
		default:
			return false
		}
	})
}

func (s *system) watchMessages() (telemetry.MessageHook, error) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return nil, nil
	}
	return s.telemetry.Messages()
}

// watchHops has attempts to hand requests on traced.
func (s *system) watchHops() forward.Observe {
	if s.telemetry == nil {
		return nil
	}
	watch := s.telemetry.Hops()
	if watch == nil {
		return nil
	}
	return func(ctx context.Context, a forward.Attempt, header http.Header) func(forward.Ending) {
		end := watch(ctx, telemetry.Hop{Service: string(a.Service), Method: a.Method, Host: a.Host, Port: a.Port, Number: a.Number}, header)
		return func(e forward.Ending) { end(telemetry.HopEnd{Status: e.Status, Failed: e.Failed, Again: e.Again}) }
	}
}

// watchRequests has requests watched.
func (s *system) watchRequests() (httpapi.Observe, error) {
	server, err := s.telemetry.NewServer()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r *http.Request, trusted bool) (context.Context, httpapi.Observer) {
		ctx, request := server.Begin(ctx, r, trusted)
		return ctx, httpapi.Observer{
			Begins: func(b httpapi.Beginning) { request.Answering(b.Operation, b.Stream, b.After) },
			Ends: func(o httpapi.Outcome) {
				request.End(telemetry.Answer{
					Operation: o.Operation, Route: o.Route, Status: o.Status, Principal: string(o.Principal), Limited: o.Limited,
					StreamEnd: string(o.StreamEnd), Failed: o.StreamEnd == httpapi.StreamFailed || o.StreamEnd == httpapi.StreamCut,
				})
			},
		}
	}, nil
}

// watchCompleters has calls of providers watched.
func (s *system) watchCompleters(c config, m models) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return
	}
	addresses := map[string]string{
		domain.ProviderOpenAI: c.OpenAIURL, domain.ProviderClaude: c.AnthropicURL, domain.ProviderGemini: c.GeminiURL,
		domain.ProviderMistral: c.MistralURL, domain.ProviderCompatible: c.CompatibleURL,
	}
	known := map[string]bool{}
	for _, model := range m.selector.Catalogue.Models() {
		known[model.ID] = true
	}
	for provider, completer := range m.completers {
		address := ""
		if u, err := url.Parse(addresses[provider]); err == nil {
			address = u.Hostname()
		}
		m.completers[provider] = s.telemetry.Completer(completer, telemetry.Model{
			Provider: provider, Address: address, Known: func(model string) bool { return known[model] },
		})
	}
}

// watchCost counts what answers cost, once they are stored.
func (s *system) watchCost(store ports.ConversationStore) (ports.ConversationStore, error) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return store, nil
	}
	add, err := s.telemetry.Counter("gaia.llm.cost", "USD", "What answers of models cost, as the ledger has it.")
	return costStore{store, add}, err
}

type costStore struct {
	ports.ConversationStore
	add func(ctx context.Context, n float64, labels ...string)
}

// CommitTurn implements ports.ConversationStore.
func (s costStore) CommitTurn(ctx context.Context, turn domain.Turn) (string, error) {
	id, err := s.ConversationStore.CommitTurn(ctx, turn)
	if err != nil {
		return id, err
	}
	for _, u := range turn.Usage {
		if u.Claimed {
			continue
		}
		s.add(ctx, u.Cost.Dollars(), "provider", u.Provider)
	}
	return id, nil
}
