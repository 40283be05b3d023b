package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

const (
	pricing   = "/api/v0.2/assets/pricing"
	estimator = pricing + "/cost-estimator"
)

// The client checks each answer against the contract, and so that each has the form of its provider.
func TestEveryPricedProviderCanBeEstimated(t *testing.T) {
	t.Parallel()
	c := gaiatest.Start(t).Client()
	for _, want := range []struct {
		request map[string]any
		field   string
		cost    float64
	}{
		{map[string]any{"provider": "dalle", "operation": "gpt-image-1.5", "quality": "hd", "quantity": 2}, "total_cost", 0.266},
		{map[string]any{"provider": "dalle", "quality": "low"}, "total_cost", 0.04},
		{map[string]any{"provider": "meshy", "operation": "3d_generation"}, "estimated_cost", 0.28},
		{map[string]any{"provider": "stability", "quantity": 0}, "total_cost", 0},
		{map[string]any{"provider": "openai_gpt", "quantity": 2}, "total_cost", 0.12},
		{map[string]any{"provider": "claude", "quantity": 2, "estimated_tokens": 500}, "total_cost", 0.0525},
		{map[string]any{"provider": "midjourney", "quality": "ultra"}, "total_cost", 0.3},
		{map[string]any{"provider": "mubert", "operation": "audio_generation", "quantity": 30}, "total_cost", 0.15},
		{map[string]any{"provider": "freesound"}, "total_cost", 0},
		{map[string]any{"provider": "procedural", "quantity": 1000}, "total_cost", 0},
	} {
		answer := c.Post(estimator+"/estimate", want.request).Want(http.StatusOK).JSON()
		if got := answer.At(want.field); got != want.cost {
			t.Errorf("%v costs %v, want %v", want.request, got, want.cost)
		}
		c.Get(pricing + "/current?provider=" + want.request["provider"].(string)).Want(http.StatusOK)
	}
	c.Post(estimator+"/estimate", map[string]any{"provider": "dalle", "quantity": -1}).Want(http.StatusUnprocessableEntity)
	c.Post(estimator+"/estimate", map[string]any{"provider": "claude", "quantity": 1e6, "estimated_tokens": 1e9}).Want(http.StatusUnprocessableEntity)
	c.Get(estimator + "/provider-comparison?operation=audio_generation&quantity=30").Want(http.StatusOK)
	c.Get(estimator + "/provider-comparison?operation=3d_generation").Want(http.StatusOK)
}

func TestCostsOfAPeriod(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		today := sameDay(t)
		server := b.Start(t)
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())
		c.Post("/api/v0.2/usage/log", claim(map[string]any{"images": 2})).Want(http.StatusOK)
		c.Post("/api/v0.2/usage/log", claim(map[string]any{"provider": "meshy", "operation": "text_to_3d", "cost": 0.2, "credits": 5})).Want(http.StatusOK)
		wantFields(t, "costs", c.Get(pricing+"/analytics?provider=meshy").Want(http.StatusOK).JSON(), map[string]any{
			"total_cost": 0.28, "cost_breakdown.dalle": 0.08, "usage_metrics.total_images": 2, "usage_metrics.total_3d_models": 1,
			"usage_metrics.total_credits": 5, "cost_trends.0.date": today, "cost_trends.0.daily_cost": 0.28,
			"top_cost_operations.0.operation": "text_to_3d", "filtered_provider": "meshy", "provider_cost": 0.2,
		})
		nothing := other.Get(pricing + "/analytics?provider=nope").Want(http.StatusOK).JSON()
		wantFields(t, "costs of another", nothing, map[string]any{"total_cost": 0, "filtered_provider": "nope"})
		if _, there := nothing.Fields["provider_cost"]; there {
			t.Error("a provider that nobody knows has costs")
		}
		for _, query := range []string{"start_date=2025-02-30", "start_date=2025-02-01&end_date=2025-01-01", "start_date=2020-01-01", "end_date=yesterday"} {
			c.Get(pricing + "/analytics?" + query).Want(http.StatusUnprocessableEntity)
		}
	})
}

func TestPricesOfTheOperator(t *testing.T) {
	t.Parallel()
	built, err := os.ReadFile("../../domain/prices.json")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(file, []byte(strings.Replace(string(built), `"standard": 0.02`, `"standard": 0.03`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := gaiatest.Start(t, gaiatest.Settings{"PRICES_FILE": file}).Client()
	if got := c.Post(estimator+"/estimate", map[string]any{"provider": "stability"}).Want(http.StatusOK).JSON().At("total_cost"); got != 0.03 {
		t.Errorf("an image costs %v", got)
	}
	c.Post(pricing+"/update?provider=stability", nil).Want(http.StatusOK)
}
