package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"gaia/tests/gaiatest"
)

// ids returns what a list of objects calls its entries.
func ids(t *testing.T, list any, key string) []string {
	t.Helper()
	rows, ok := list.([]any)
	if !ok {
		t.Fatalf("no list: %v", list)
	}
	found := []string{}
	for _, row := range rows {
		id, _ := row.(map[string]any)[key].(string)
		found = append(found, id)
	}
	return found
}

func wantIn(t *testing.T, list []string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if !slices.Contains(list, id) {
			t.Errorf("%s is not in %v", id, list)
		}
	}
}

func TestModelCatalogue(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{
		"COMPATIBLE_BASE_URL": "http://127.0.0.1:9/v1", "COMPATIBLE_MODELS": "meta/llama",
	}).Client()
	all := c.Get("/api/v0.2/models").Want(http.StatusOK).JSON()
	wantIn(t, ids(t, all.At("models"), "id"), "gpt-4o", "claude-3-opus-20240229", "claude-haiku-4-5-20251001", "meta/llama", "echo")
	part := c.Get("/api/v0.2/models?provider=claude&capability=vision&limit=2&offset=1").Want(http.StatusOK).JSON()
	if got := ids(t, part.At("models"), "provider"); len(got) != 2 || got[0] != "claude" || got[1] != "claude" {
		t.Errorf("two of Claude's models are %v", got)
	}
	if part.Number("total") < 5 || part.Number("total") >= all.Number("total") || part.Text("filters", "capability") != "vision" {
		t.Errorf("totals: %v of %v", part.At("total"), all.At("total"))
	}
	m := c.Get("/api/v0.2/models/" + url.PathEscape("meta/llama")).Want(http.StatusOK).JSON()
	if m.Text("provider") != "compatible" || m.Number("context_window") != 0 || m.Number("cost_per_input_token") != 0 {
		t.Errorf("a listed model is %v", m)
	}
	for path, key := range map[string]string{"capabilities": "capabilities", "priorities": "priorities", "contexts": "contexts"} {
		list := c.Get("/api/v0.2/models/" + path).Want(http.StatusOK).JSON()
		if rows, _ := list.At(key).([]any); len(rows) == 0 || float64(len(rows)) != list.Number("total") {
			t.Errorf("%s: %v", path, list)
		}
	}
	c.Get("/api/v0.2/models/gpt-9").Want(http.StatusNotFound)
}

// TestModelsForOpenAIClients: the list holds what can be used, and each of its ids can be retrieved.
func TestModelsForOpenAIClients(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{
		"COMPATIBLE_BASE_URL": "http://127.0.0.1:9/v1", "COMPATIBLE_MODELS": "meta/llama",
	}).Client()
	list := ids(t, c.Get("/api/v1/models").Want(http.StatusOK).JSON().At("data"), "id")
	wantIn(t, list, "gpt-4o-mini", "meta/llama", "echo")
	if slices.Contains(list, "claude-3-haiku-20240307") {
		t.Error("a model that nobody configured is listed")
	}
	for _, id := range append(list, "openai/gpt-4o") {
		m := c.Get("/api/v1/models/" + url.PathEscape(id)).Want(http.StatusOK).JSON()
		if got := m.Text("id"); got != id && "openai/"+got != id {
			t.Errorf("%s is %v", id, m)
		}
	}
	for _, id := range []string{"gpt-9", "claude-3-haiku-20240307", "claude/claude-3-haiku-20240307"} {
		if code := c.Get("/api/v1/models/"+url.PathEscape(id)).Want(http.StatusNotFound).JSON().Text("error", "code"); code != "model_not_found" {
			t.Errorf("%s: code %q", id, code)
		}
	}
}

func TestRecommendation(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t, gaiatest.NewProvider(t).Settings()).Client()
	cases := []struct {
		ask                     map[string]any
		model, context, matters string
		fallbacks               int
	}{
		{map[string]any{"message": "Hello"}, "gpt-3.5-turbo", "greeting", "speed", 1},
		{map[string]any{"message": "What do these harbours have in common?", "priority": "quality"}, "gpt-4o", "conversation", "quality", 3},
		{map[string]any{"message": "Tell me", "activity": "coding"}, "gpt-4o", "technical", "quality", 3},
		{map[string]any{"message": "Tell me", "context_type": "vr"}, "gpt-4o-mini", "vr", "vr", 1},
		{map[string]any{"message": "Tell me", "required_capabilities": []string{"long_context", "wings"}}, "gpt-4-turbo", "conversation", "balanced", 0},
		{map[string]any{"message": "Tell me", "preferred_provider": "claude", "max_response_time_ms": 450}, "gpt-4o", "conversation", "balanced", 3},
	}
	for _, test := range cases {
		r := c.Post("/api/v0.2/models/recommend", test.ask).Want(http.StatusOK).JSON()
		if r.Text("recommended_model") != test.model || r.Text("context_type") != test.context || r.Text("priority") != test.matters {
			t.Errorf("%v: %v", test.ask, r)
		}
		if fallbacks, _ := r.At("fallback_models").([]any); len(fallbacks) != test.fallbacks || r.Text("provider") != "openai" {
			t.Errorf("%v: %v", test.ask, r)
		}
	}
	c.Post("/api/v0.2/models/recommend", map[string]any{"message": "", "priority": "luck"}).Want(http.StatusUnprocessableEntity)
}

// TestFiguresAreMeasured: what providers did is what the routes tell, and a provider that fails is seen to fail.
func TestFiguresAreMeasured(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"LLM_MAX_RETRIES": "0"}).Client()
	if h := c.Get("/api/v0.2/providers/health").Want(http.StatusOK).JSON(); h.Text("overall_status") != "healthy" ||
		h.Text("providers", "openai", "status") != "unknown" || h.At("providers", "openai", "last_check") != nil {
		t.Errorf("before any request: %v", h)
	}
	for range 6 {
		say(t, c, message("Hello"))
	}
	stats := c.Get("/api/v0.2/providers/openai/stats").Want(http.StatusOK).JSON()
	if stats.Number("requests_count") != 6 || stats.Number("error_count") != 0 || stats.Number("total_tokens") <= 0 || stats.Number("total_cost") <= 0 ||
		stats.Number("avg_response_time_ms") <= 0 || stats.At("last_request") == nil {
		t.Errorf("six answers: %v", stats)
	}
	if ms := c.Get("/api/v0.2/models/gpt-4o-mini").Want(http.StatusOK).JSON().Number("avg_response_time_ms"); ms >= 500 {
		t.Errorf("six answers took %v ms, which is what the catalogue expects", ms)
	}
	if vr := c.Get("/api/v0.2/chat/stream/models/vr-recommendation").Want(http.StatusOK).JSON(); vr.Text("recommended_model") != "gpt-4o-mini" ||
		vr.Number("avg_ttft_ms") >= 500 || len(ids(t, vr.At("alternatives"), "model_id")) == 0 {
		t.Errorf("the fastest for VR: %v", vr)
	}
	for range 3 {
		c.Post("/api/v0.2/chat", with(openAI(gaiatest.ModelBroken), "enable_fallback", false)).Want(http.StatusServiceUnavailable)
	}
	wantFailing(t, c)
}

func wantFailing(t *testing.T, c *gaiatest.Client) {
	t.Helper()
	all := c.Get("/api/v0.2/providers/health").Want(http.StatusOK).JSON()
	if rate := all.Number("providers", "openai", "error_rate"); all.Text("overall_status") != "unhealthy" || rate < 0.33 || rate > 0.34 {
		t.Errorf("three of nine failed: %v", all)
	}
	if one := c.Get("/api/v0.2/providers/openai/health").Want(http.StatusOK).JSON(); one.Text("status") != "unhealthy" || one.Text("error") == "" ||
		one.Number("available_models") < 5 || one.Number("response_time_ms") <= 0 {
		t.Errorf("its health: %v", one)
	}
	list := c.Get("/api/v0.2/providers").Want(http.StatusOK).JSON()
	if list.Text("health_status") != "unhealthy" || list.Text("providers", 0, "status") != "unavailable" || list.Text("providers", 0, "health") != "unknown" {
		t.Errorf("the list: %v", list)
	}
	if one := c.Get("/api/v0.2/providers/openai").Want(http.StatusOK).JSON(); one.Text("status") != "available" || one.Text("health") != "unhealthy" {
		t.Errorf("the provider: %v", one)
	}
	if s := c.Get("/api/v0.2/providers/stats").Want(http.StatusOK).JSON(); s.Number("summary", "total_errors") != 3 || s.Number("summary", "total_requests") != 9 {
		t.Errorf("the sums: %v", s)
	}
	if vr := c.Get("/api/v0.2/chat/stream/models/vr-recommendation").Want(http.StatusOK).JSON(); vr.At("recommended_model") != nil || vr.Text("reasoning") == "" {
		t.Errorf("for VR: %v", vr)
	}
	for _, path := range []string{"", "/health", "/stats", "/models"} {
		c.Get("/api/v0.2/providers/acme" + path).Want(http.StatusNotFound)
	}
}

// TestNothingButEcho: without any key there is still an answer to every question about models.
func TestNothingButEcho(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t).Client()
	if r := c.Post("/api/v0.2/models/recommend", map[string]any{"message": "Hello"}).Want(http.StatusOK).JSON(); r.Text("recommended_model") != "echo" {
		t.Errorf("recommended: %v", r)
	}
	p := c.Get("/api/v0.2/chat/stream/models/performance").Want(http.StatusOK).JSON()
	if p.Text("recommendations", "balanced") != "echo" || p.At("recommendations", "vr_best") != nil {
		t.Errorf("recommendations: %v", p.At("recommendations"))
	}
	if list := c.Get("/api/v0.2/chat/stream/models").Want(http.StatusOK).JSON(); len(ids(t, list.At("models"), "model_id")) < 10 {
		t.Errorf("streaming models: %v", list)
	}
	if list := c.Get("/api/v0.2/providers/claude/models?limit=1").Want(http.StatusOK).JSON(); list.Number("models", 0, "pricing", "output_tokens_per_million") != 1.25 || list.Number("total") < 5 {
		t.Errorf("models of Claude: %v", list)
	}
}
