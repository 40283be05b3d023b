package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gaia/adapters/httpapi"
	"gaia/adapters/mcptools"
	"gaia/adapters/natsbus"
	"gaia/adapters/rediskv"
	"gaia/adapters/tiercache"
	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

// services are those that this process serves. checkServices has read them.
func (c *config) services() []domain.Service {
	named, err := domain.ParseServices(c.Services)
	if err != nil {
		return nil
	}
	return named
}

func (c *config) hosts(s domain.Service) bool { return slices.Contains(c.services(), s) }

// apart reports whether other processes serve a part of the platform.
func (c *config) apart() bool { return len(c.services()) < len(domain.Services()) }

// serviceURLs are where the gateway finds services that it does not serve itself.
func (c *config) serviceURLs() map[domain.Service][]string {
	urls := map[domain.Service][]string{}
	for _, s := range []struct {
		service domain.Service
		urls    string
	}{
		{domain.ServiceAuth, c.AuthServiceURL}, {domain.ServiceAsset, c.AssetServiceURL}, {domain.ServiceChat, c.ChatServiceURL},
	} {
		if !c.hosts(s.service) {
			urls[s.service] = splitList(s.urls)
		}
	}
	return urls
}

// checkServices reports what a process that serves a part of the platform lacks: whatever services share has to be outside of all of them.
func (c *config) checkServices() error {
	var f faults
	if _, err := domain.ParseServices(c.Services); err != nil {
		f.add("SERVICES: %w", err)
		return errors.Join(f...)
	}
	if !c.apart() {
		return nil
	}
	for _, needed := range []struct{ name, value string }{
		{"DATABASE_URL", c.DatabaseURL}, {"NATS_URL", c.NATSURL}, {"INTERNAL_AUTH_SECRET", c.InternalSecret}, {"API_KEY", c.APIKey},
	} {
		if needed.value == "" {
			f.add("%s: must be set, the same in every process, when SERVICES names a part of the platform", needed.name)
		}
	}
	if c.hosts(domain.ServiceGateway) {
		for service, urls := range c.serviceURLs() {
			c.checkServiceURLs(&f, service, urls)
		}
	}
	return errors.Join(f...)
}

func (c *config) checkServiceURLs(f *faults, service domain.Service, urls []string) {
	name := map[domain.Service]string{
		domain.ServiceAuth: "AUTH_SERVICE_URL", domain.ServiceAsset: "ASSET_SERVICE_URL", domain.ServiceChat: "CHAT_SERVICE_URL",
	}[service]
	if len(urls) == 0 {
		f.add("%s: must be set: the gateway does not serve %s itself", name, service)
	}
	for _, u := range urls {
		if err := checkURL(u, []string{"http", "https"}); err != nil {
			f.add("%s: %w", name, err)
		}
	}
}

// parts is what every process has, whatever it serves.
type parts struct {
	db       database
	bus      *natsbus.Bus
	redis    *rediskv.Client // nil: none is configured
	cache    *tiercache.Cache
	relay    *app.Relay
	audit    *app.Audit
	keys     *app.APIKeys
	identity *app.Identity
	limits   *app.Limits
	personas *app.Personas
	running  *app.Slots
	probes   map[string]ports.Probe
	where    folders
	apiKey   string
}

// openParts opens what every process has. Each judges credentials itself or believes what the gateway has signed, and each may send what
// waits in the outbox.
func (s *system) openParts(ctx context.Context, c config, where folders, apiKey string, log *slog.Logger) (p parts, err error) {
	p = parts{probes: map[string]ports.Probe{}, running: app.NewSlots(c.MaxConcurrent), where: where, apiKey: apiKey}
	if p.db, err = openDatabase(ctx, c, where.data, s, p.probes); err != nil {
		return p, err
	}
	if p.bus, err = openBus(ctx, c, cmp.Or(where.bus, where.data), s, p.probes, log); err != nil {
		return p, err
	}
	p.relay = s.startRelay(&p.db, p.bus, log, keptAudit(c, p.db), keptKeys(c, p.db.apiKeys, log), keptReservations(p.db), keptSessions(p.db),
		keptWorkflows(c, p.db), keptGenerations(c, p.db))
	p.audit = s.startAudit(p.db, p.relay, log)
	if !where.visitor && c.RegistryEnabled {
		s.startDiscovery(ctx, c, p.running)
	}
	if p.redis, err = openRedis(c, s, p.probes, log); err != nil {
		return p, err
	}
	if p.cache, err = openCache(c, p.bus, p.redis, s, log); err != nil {
		return p, err
	}
	p.limits = wireLimits(c, p.redis, p.probes, log)
	p.personas = app.NewPersonas(app.PersonaDeps{
		Store: p.db.personas, Preferences: p.db.preferences, Cache: p.cache, Stored: p.relay.Wake, Now: time.Now, NewID: newID,
		TTLs: app.PersonaTTLs{
			Persona: c.PersonaTTL.duration(), ListActive: c.PersonaListTTL.duration(), ListAll: c.PersonaAllTTL.duration(),
			Preference: c.PreferenceTTL.duration(),
		},
	})
	p.keys = s.startAPIKeys(c, p.db, p.cache, p.relay, log)
	p.identity, err = wireIdentity(c, apiKey, p.keys, s, log)
	return p, err
}

// startAuth serves accounts and API keys.
func (s *system) startAuth(_ context.Context, c config, p parts, api *httpapi.Config, log *slog.Logger) error {
	provider, err := openProvider(c, p.db, s, p.probes, log)
	if err != nil {
		return err
	}
	if probe := p.probes[app.PartIdentity]; probe != nil { // keys go on opening what they open
		s.need(domain.ServiceAuth, app.PartIdentity, app.Weaken(probe))
	}
	api.Accounts = app.NewAccounts(app.AccountDeps{Provider: provider, Identity: p.identity, Audit: p.audit, Forget: s.forget})
	return nil
}

// startAsset serves assets and what they cost.
func (s *system) startAsset(_ context.Context, c config, p parts, api *httpapi.Config, log *slog.Logger) error {
	prices, made, err := s.openAssets(c, p, log)
	if err != nil {
		return err
	}
	usage := app.NewUsage(app.UsageDeps{Ledger: p.db.ledger, Now: time.Now, NewID: newID})
	api.Pricing = app.NewPricing(app.PricingDeps{Prices: prices, Usage: usage, Now: time.Now})
	api.Assets, api.Generations = made.assets, made.generations
	return nil
}

// startChat serves models, personas, conversations, usage, files and workflows.
func (s *system) startChat(ctx context.Context, c config, p parts, api *httpapi.Config, log *slog.Logger) error {
	s.ensureDefaultPersona(p.personas, log)
	models, err := wireModels(c, log)
	if err != nil {
		return err
	}
	s.watchCompleters(c, models)
	if p.db.conversations, err = s.watchCost(p.db.conversations); err != nil {
		return err
	}
	files, fileTools, err := wireFiles(c, p.where.data, s, log)
	if err != nil {
		return err
	}
	if err = s.startTools(ctx, c, []mcptools.Server{fileTools}, p.audit, log); err != nil {
		return err
	}
	active := app.NewActiveRequests()
	api.Chat = wireChat(c, models, p.personas, p.db, active, p.running, s, log)
	api.Conversations = app.NewConversations(app.ConversationDeps{Directory: p.db.directory, Personas: p.personas, Stored: p.relay.Wake, Now: time.Now, NewID: newID})
	api.Workflows, err = s.startWorkflows(c, workflowParts{
		store: p.db.workflows, queue: p.bus.Workflows(), chat: api.Chat, personas: p.personas, keys: p.keys, relay: p.relay, onlyOwn: p.where.visitor,
	}, log)
	if err != nil {
		return err
	}
	api.Models, api.Files = app.NewModels(models.selector, models.measurements, time.Now), files
	s.need(domain.ServiceChat, app.PartProviders, api.Models)
	api.Usage = app.NewUsage(app.UsageDeps{Ledger: p.db.ledger, Now: time.Now, NewID: newID})
	api.Performance = app.NewPerformance(app.PerformanceDeps{
		Ledger: p.db.ledger, Marks: p.db.marks, Active: active, Selector: models.selector, Load: s.load.read, Now: time.Now,
	})
	return s.wireMCP(c, p, api, log)
}

// serve makes what answers clients, or the gateway in the place of clients, and what answers other services beside it.
func (s *system) serve(c config, p parts, api httpapi.Config, log *slog.Logger) (err error) {
	if c.apart() && c.hosts(domain.ServiceGateway) {
		if err = s.startForwarding(c, p, &api, log); err != nil {
			return err
		}
	}
	s.health = s.openHealth(c, p)
	api.Health = s.health
	if api.Observe, err = s.watch(p, api); err != nil {
		return err
	}
	switch {
	case p.where.visitor: // answers nobody over HTTP
		return nil
	case !c.hosts(domain.ServiceGateway):
		audiences := []string{c.ServiceName}
		for _, service := range api.Hosts {
			audiences = append(audiences, string(service))
		}
		s.handler, err = newInternalHandler(c, audiences, api)
		return err
	}
	if s.handler, err = httpapi.New(api); err != nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	s.internal, err = internalHandler(c, api)
	return err
}
