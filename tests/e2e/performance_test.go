package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

func TestPerformanceOfRealChats(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.NewProvider(t).Settings())
		c := server.As(uuid.NewString())
		wantFields(t, "nothing measured", c.Get("/api/v0.2/performance/summary").Want(http.StatusOK).JSON(), map[string]any{
			"summary.total_requests": 0, "summary.average_response_time": 0, "summary.active_requests": 0, "health_status": "healthy",
		})
		wantFields(t, "nothing measured", c.Get("/api/v0.2/performance/providers").Want(http.StatusOK).JSON(), map[string]any{
			"providers.openai.total_requests": 0, "providers.openai.uptime_percentage": 100, "providers.openai.last_error": nil, "overall_health": "healthy",
		})
		begin := time.Now().Truncate(time.Microsecond)
		for range 3 {
			say(t, c, message("Hello"))
		}
		c.Stream(t.Context(), typedRoute, message("And as a stream")).All()

		summary := c.Get("/api/v0.2/performance/summary").Want(http.StatusOK).JSON()
		wantFields(t, "summary", summary, map[string]any{
			"summary.total_requests": 4, "summary.requests_last_hour": 4, "summary.requests_last_24h": 4, "summary.active_requests": 0,
			"providers.openai.total_requests": 4, "providers.openai.error_count": 0, "providers.openai.error_rate": 0, "health_status": "healthy",
		})
		least, average, most := summary.Number("summary", "min_response_time"), summary.Number("summary", "average_response_time"), summary.Number("summary", "max_response_time")
		if took := time.Since(begin).Seconds(); least <= 0 || average < least || most < average || most > took {
			t.Errorf("answers took from %v to %v s, on average %v, and all %v together", least, most, average, took)
		}
		if summary.Number("providers", "openai", "total_tokens") == 0 || summary.Number("providers", "openai", "total_cost") <= 0 {
			t.Errorf("openai is %v", summary.At("providers", "openai"))
		}
		if since, err := time.Parse(time.RFC3339, summary.Text("data_since")); err != nil || since.Before(begin) || since.After(time.Now()) {
			t.Errorf("measured since %v", summary.At("data_since"))
		}
		stages := c.Get("/api/v0.2/performance/stages?limit=3").Want(http.StatusOK).JSON()
		wantFields(t, "stages", stages, map[string]any{
			"limit_applied": 3, "stage_timings.llm_api_call.samples": 3, "analysis.bottleneck_threshold": 1,
		})
		for stage := range stages.At("stage_timings").(map[string]any) { //nolint:forcetypeassert // the contract is checked
			slowest := stages.Number("analysis", "slowest_stages", 0, "average_duration")
			if took := stages.Number("stage_timings", stage, "average_duration"); took > slowest {
				t.Errorf("%s took %v s, and the slowest stage %v s", stage, took, slowest)
			}
		}
		if share := stages.Number("stage_timings", "llm_api_call", "percentage_of_total"); share <= 0 || share > 100 {
			t.Errorf("%v percent of the time are the provider's", share)
		}

		c.Post("/api/v0.2/chat", with(with(message("Hello"), "model", gaiatest.ModelBroken), "provider", "openai")).Want(http.StatusServiceUnavailable)
		failed := c.Get("/api/v0.2/performance/providers").Want(http.StatusOK).JSON()
		rate := failed.Number("providers", "openai", "error_rate")
		if failed.At("providers", "openai", "last_error") == nil || rate < 20 || failed.At("overall_health") != "warning" ||
			failed.Text("providers", "openai", "status") != "critical" || failed.Number("providers", "openai", "health_score") >= 100 {
			t.Errorf("after a failure openai is %v", failed.At("providers", "openai"))
		}
		health := c.Get("/api/v0.2/performance/health").Want(http.StatusOK).JSON()
		wantFields(t, "health", health, map[string]any{
			"health_status": "critical", "health_score": 40, "metrics.error_rate_percent": rate, "metrics.requests_analyzed": 5,
			"alerts.0.level": "critical", "thresholds.critical_error_rate": ">= 5.0%",
		})

		c.Delete("/api/v0.2/performance/reset").Want(http.StatusForbidden)
		dropped := server.Client().Delete("/api/v0.2/performance/reset").Want(http.StatusOK).JSON()
		wantFields(t, "reset", dropped, map[string]any{
			"previous_data_summary.total_requests": 5, "previous_data_summary.total_providers": 1,
			"previous_data_summary.data_collection_period.end": dropped.Text("reset_timestamp"),
		})
		server.Terminate()
		if err := server.Wait(); err != nil {
			t.Fatal(err)
		}
		server.Restart()
		wantFields(t, "after the reset", c.Get("/api/v0.2/performance/summary").Want(http.StatusOK).JSON(), map[string]any{
			"summary.total_requests": 0, "data_since": dropped.Text("reset_timestamp"), "health_status": "healthy",
		})
		if used := c.Get("/api/v0.2/usage/current").Want(http.StatusOK).JSON().Number("total_requests"); used != 4 {
			t.Errorf("after the reset of measurements %v requests are left in the usage", used)
		}
	})
}

func TestLiveMetricsShowOnlyOnesOwnRequests(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.NewProvider(t).Settings())
		user := uuid.NewString()
		c, other := server.As(user), server.As(uuid.NewString())
		live := func(c *gaiatest.Client) gaiatest.Object {
			return c.Get("/api/v0.2/performance/live").Want(http.StatusOK).JSON()
		}
		stream := c.Stream(t.Context(), typedRoute, with(with(message("Hello"), "model", gaiatest.ModelHangs), "provider", "openai"))
		defer stream.Close()
		gaiatest.Eventually(t, patience, "the request is listed", func() bool { return live(c).Number("active_requests", "count") == 1 })
		own := live(c)
		wantFields(t, "own", own, map[string]any{
			"active_requests.count": 1, "active_requests.requests.0.provider": "openai", "active_requests.requests.0.model": gaiatest.ModelHangs,
			"active_requests.requests.0.user_id": user,
		})
		if own.Number("active_requests", "requests", 0, "current_duration") <= 0 || own.Number("active_requests", "total_active_time") <= 0 {
			t.Errorf("no time has passed: %v", own.Fields)
		}
		if own.Number("system_metrics", "memory_usage_mb") < 1 || own.Number("system_metrics", "active_connections") < 1 {
			t.Errorf("the process is %v", own.At("system_metrics"))
		}
		others := live(other)
		wantFields(t, "others", others, map[string]any{"active_requests.count": 1})
		if list := others.At("active_requests", "requests").([]any); len(list) != 0 {
			t.Errorf("somebody else sees %v", list)
		}
		stream.Close()
		gaiatest.Eventually(t, patience, "the request is gone", func() bool { return live(c).Number("active_requests", "count") == 0 })
	})
}
