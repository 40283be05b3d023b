package httpapi

import (
	"context"
	"math"
	"net/http"
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
	database, cache, bus, identity := r.Part(app.PartDatabase), r.Part(app.PartCache), r.Part(app.PartBus), r.Part(app.PartIdentity)
	limits := r.Part(app.PartLimiter)
	return oapi.GetHealth200JSONResponse{
		Status: oapi.HealthStatus(r.Status), Timestamp: timestamp(s.now()), Version: apiVersion, Build: s.build,
		Services: oapi.ServicesHealth{
			Auth: serviceToAPI(r.Service(domain.ServiceAuth)), Asset: serviceToAPI(r.Service(domain.ServiceAsset)), Chat: serviceToAPI(r.Service(domain.ServiceChat)),
		},
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
	parts, err := s.health.Ready(ctx)
	if err != nil {
		return nil, err
	}
	checks := make([]oapi.ReadinessCheck, len(parts))
	for i, part := range parts {
		checks[i] = oapi.ReadinessCheck{Name: part.Name, Status: componentToAPI(part.PartHealth)}
	}
	return oapi.GetReadyz200JSONResponse{Status: "ready", Checks: checks}, nil
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

// instanceHeader names the process that has answered a probe, so that others can tell processes behind one address apart.
const instanceHeader = "X-Gaia-Instance"

// nameInstance tells who asks how this process is which one it is, whatever the answer.
func nameInstance(id string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isProbe(r) {
				w.Header().Set(instanceHeader, id)
			}
			next.ServeHTTP(w, r)
		})
	}
}

func serviceToAPI(r app.ServiceReport) oapi.ServiceHealth {
	service := oapi.ServiceHealth{Status: componentToAPI(r.PartHealth), ResponseTime: secondsToAPI(r.ResponseTime), Error: nilIfEmpty(r.Detail)}
	for _, part := range r.Parts {
		service.Parts = append(service.Parts, oapi.ServicePart{Name: part.Name, Status: componentToAPI(part.PartHealth), Error: nilIfEmpty(part.Detail)})
	}
	for _, i := range r.Instances {
		one := oapi.InstanceHealth{
			Id: i.ID, Status: componentToAPI(i.Health), ResponseTime: secondsToAPI(i.Health.ResponseTime), Build: nilIfEmpty(i.Build), Error: nilIfEmpty(i.Health.Detail),
		}
		if !i.Seen.IsZero() {
			seen := timestamp(i.Seen)
			one.LastSeen = &seen
		}
		service.Instances = append(service.Instances, one)
	}
	return service
}

// secondsToAPI is nil where nothing was measured.
func secondsToAPI(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}

// timestamp is a time as the contract writes it. Finer than microseconds, clients in C# and Python can't read it.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func componentToAPI(p domain.PartHealth) oapi.ComponentStatus { return oapi.ComponentStatus(p.Status) }

// works reports whether a part answers, be it well or not so well.
func works(p domain.PartHealth) bool {
	return p.Status == domain.Healthy || p.Status == domain.Degraded
}
