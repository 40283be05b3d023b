package main

import (
	"cmp"
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

// watchReceived has work from the bus traced.
func (s *system) watchReceived() telemetry.ReceiveHook {
	if s.telemetry == nil {
		return nil
	}
	return s.telemetry.Received()
}

// watchWork has stored work traced.
func (s *system) watchWork() telemetry.WorkHook {
	if s.telemetry == nil {
		return nil
	}
	return s.telemetry.Work()
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
		m.completers[provider] = s.telemetry.Completer(completer, telemetry.Model{
			Provider: provider, Address: hostOf(addresses[provider]), Known: func(model string) bool { return known[model] },
		})
	}
}

// outsideNames are those of the conventions, where they have one, or else Gaia's own.
var outsideNames = map[string]string{domain.GeneratorStability: "stability_ai"}

// watchGenerators has calls of generators of assets watched, but for the one that is built in: nobody is called for that.
func (s *system) watchGenerators(c config, table domain.GeneratorTable, generators map[string]ports.AssetGenerator) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return
	}
	addresses := map[string]string{
		domain.GeneratorOpenAI: c.OpenAIURL, domain.GeneratorStability: c.StabilityURL, domain.GeneratorMidjourney: c.MidjourneyURL,
		domain.GeneratorMeshy: c.MeshyURL, domain.GeneratorMubert: c.MubertURL, domain.GeneratorFreesound: c.FreesoundURL,
	}
	for id, generator := range generators {
		if id == domain.GeneratorProcedural {
			continue
		}
		row, _ := table.Find(id)
		generators[id] = s.telemetry.Generator(generator, telemetry.Outside{
			Provider: cmp.Or(outsideNames[id], id), Model: row.Model, Address: hostOf(addresses[id]), Makes: id != domain.GeneratorFreesound,
		})
	}
}

// watchEmbedder has calls of the model watched that tells what texts mean.
func (s *system) watchEmbedder(c config, embedder ports.Embedder) ports.Embedder {
	if embedder == nil || s.telemetry == nil || !s.telemetry.Watching() {
		return embedder
	}
	return s.telemetry.Embedder(embedder, telemetry.Outside{Provider: "openai", Model: embedder.Model(), Address: hostOf(c.EmbeddingURL), Makes: true})
}

// watchService has calls of another service traced.
func (s *system) watchService(name, address string) telemetry.Hook {
	if s.telemetry == nil {
		return nil
	}
	return s.telemetry.Service(name, address)
}

// hostOf is the host of a URL; empty when it is none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// watchCost counts what answers cost, once they are stored.
func (s *system) watchCost(store ports.ConversationStore) (ports.ConversationStore, error) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return store, nil
	}
	add, err := s.telemetry.Counter("gaia.llm.cost", "USD", "What answers of models cost, as the ledger has it.")
	return costStore{store, add}, err
}

// watchAssetCost counts what the making of assets costs, once it is in the ledger.
func (s *system) watchAssetCost(store ports.GenerationStore) (ports.GenerationStore, error) {
	if s.telemetry == nil || !s.telemetry.Watching() {
		return store, nil
	}
	add, err := s.telemetry.Counter("gaia.asset.cost", "USD", "What generators of assets cost, as the ledger has it.")
	return assetCostStore{store, add}, err
}

type assetCostStore struct {
	ports.GenerationStore
	add func(ctx context.Context, n float64, labels ...string)
}

// Commit implements ports.GenerationStore.
func (s assetCostStore) Commit(ctx context.Context, change domain.GenerationChange) (int, error) {
	version, err := s.GenerationStore.Commit(ctx, change)
	if err != nil {
		return version, err
	}
	for _, u := range change.Usage {
		if u.Claimed {
			continue
		}
		s.add(ctx, u.Cost.Dollars(), "provider", u.Provider, "category", string(change.Generation.Request.Category))
	}
	return version, nil
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
