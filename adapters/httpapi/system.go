package httpapi

import (
	"context"
	"math"
	"time"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// apiVersion is what clients of the platform know this API as. The version of the program is called build.
const apiVersion = "0.2.0"

// GetRoot says what this server is.
func (s *server) GetRoot(context.Context, oapi.GetRootRequestObject) (oapi.GetRootResponseObject, error) {
	return oapi.GetRoot200JSONResponse{
		Message: "LLM Platform API is running", Version: apiVersion, Build: s.build, Timestamp: timestamp(s.now()),
		Note:     "Interactive documentation is at /docs, the contract at /openapi.json.",
		Versions: oapi.RootVersions{V02: "/api/v0.2/", V1: "/api/v1/", Legacy: "/api/v1/"},
	}, nil
}

// GetHealth tells how every part of the system is. It answers 200 whatever it finds, since old probes rely on that.
func (s *server) GetHealth(ctx context.Context, _ oapi.GetHealthRequestObject) (oapi.GetHealthResponseObject, error) {
	r := s.health.Report(ctx)
	service := oapi.ServiceHealth{Status: oapi.ComponentStatus(domain.Healthy), ResponseTime: new(float64)}
	database, cache, bus, identity := r.Part(app.PartDatabase), r.Part(app.PartCache), r.Part(app.PartBus), r.Part(app.PartIdentity)
	limits := r.Part(app.PartLimiter)
	return oapi.GetHealth200JSONResponse{
		Status: oapi.HealthStatus(r.Status), Timestamp: timestamp(s.now()), Version: apiVersion, Build: s.build,
		Services: oapi.ServicesHealth{Auth: service, Asset: service, Chat: service},
		Database: oapi.DatabaseHealth{
			Status: componentToAPI(database), Database: oapi.DatabaseKind(s.databaseKind), Responsive: works(database), Error: nilIfEmpty(database.Detail),
		},
		Redis: oapi.RedisHealth{Status: componentToAPI(cache), Connected: works(cache), Error: nilIfEmpty(cache.Detail)},
		Nats:  oapi.NATSHealth{Status: componentToAPI(bus), Connected: works(bus), Error: nilIfEmpty(bus.Detail)},
		Supabase: oapi.SupabaseHealth{
			Status: componentToAPI(identity), Service: "supabase", Url: nilIfEmpty(s.supabaseURL), Responsive: works(identity), Error: nilIfEmpty(identity.Detail),
		},
		RateLimit: oapi.RateLimitHealth{
			Status: componentToAPI(limits), Shared: s.limitsShared && limits.Status == domain.Healthy, Error: nilIfEmpty(limits.Detail),
		},
	}, nil
}

// GetLivez says that this process runs. It asks nobody else, so that a database that is away does not get the process killed.
func (s *server) GetLivez(context.Context, oapi.GetLivezRequestObject) (oapi.GetLivezResponseObject, error) {
	return oapi.GetLivez200JSONResponse{Status: "alive"}, nil
}

// GetReadyz says whether requests may come here.
func (s *server) GetReadyz(ctx context.Context, _ oapi.GetReadyzRequestObject) (oapi.GetReadyzResponseObject, error) {
	if err := s.health.Ready(ctx); err != nil {
		return nil, err
	}
	return oapi.GetReadyz200JSONResponse{Status: "ready", Checks: []oapi.ReadinessCheck{
		{Name: app.PartDatabase, Status: oapi.ComponentStatus(domain.Healthy)},
	}}, nil
}

// GetV02Info describes the v0.2 API.
func (s *server) GetV02Info(context.Context, oapi.GetV02InfoRequestObject) (oapi.GetV02InfoResponseObject, error) {
	return oapi.GetV02Info200JSONResponse{
		Version: "0.2", Status: "stable",
		Description: "Chat with several model providers, personas, pricing and usage in one API.",
		Features: []string{
			"Chat with OpenAI-style and typed event streams",
			"Personas kept per caller",
			"Conversations that survive restarts",
			"One error format, validated against the contract",
		},
		Endpoints: oapi.ApiEndpoints{
			Chat: "/api/v0.2/chat", ChatStream: "/api/v0.2/chat/stream", Providers: "/api/v0.2/providers", Models: "/api/v0.2/models",
			AssetPricing: "/api/v0.2/assets/pricing", UsageTracking: "/api/v0.2/usage", Personas: "/api/v0.2/personas", Performance: "/api/v0.2/performance",
		},
	}, nil
}

// GetV02Health tells whether chats can be answered.
func (s *server) GetV02Health(ctx context.Context, _ oapi.GetV02HealthRequestObject) (oapi.GetV02HealthResponseObject, error) {
	return oapi.GetV02Health200JSONResponse{Status: oapi.HealthStatus(s.health.Report(ctx).Status), Version: "0.2"}, nil
}

// AddNumbers adds two numbers.
func (s *server) AddNumbers(_ context.Context, r oapi.AddNumbersRequestObject) (oapi.AddNumbersResponseObject, error) {
	sum := deref(r.Body.A) + deref(r.Body.B)
	if math.IsInf(sum, 0) { // JSON has no word for it
		return nil, domain.InvalidInput(domain.Fault{Type: "finite_number", Loc: []any{"body"}, Msg: "The sum should be a finite number", Input: r.Body})
	}
	return oapi.AddNumbers200JSONResponse{Result: sum}, nil
}

// timestamp is a time as the contract writes it. Finer than microseconds, clients in C# and Python can't read it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func componentToAPI(p domain.PartHealth) oapi.ComponentStatus { return oapi.ComponentStatus(p.Status) }

// works reports whether a part answers, be it well or not so well.
func works(p domain.PartHealth) bool {
	return p.Status == domain.Healthy || p.Status == domain.Degraded
}
