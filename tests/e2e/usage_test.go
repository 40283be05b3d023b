package e2e

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

func claim(fields map[string]any) map[string]any {
	body := map[string]any{"provider": "dalle", "operation": "image_generation", "cost": 0.08}
	for key, value := range fields {
		body[key] = value
	}
	return body
}

// wantFields compares some fields of a JSON object, named by their path: a.0.b.
func wantFields(t *testing.T, what string, o gaiatest.Object, want map[string]any) {
	t.Helper()
	for field, value := range want {
		var path []any
		for step := range strings.SplitSeq(field, ".") {
			if i, err := strconv.Atoi(step); err == nil {
				path = append(path, i)
			} else {
				path = append(path, step)
			}
		}
		if n, ok := value.(int); ok {
			value = float64(n)
		}
		if got := o.At(path...); got != value {
			t.Errorf("%s: %s is %v, want %v", what, field, got, value)
		}
	}
}

// sameDay returns today, in UTC, unless it is about to end: sums of a day would begin anew in the middle of a test.
func sameDay(t *testing.T) string {
	t.Helper()
	now := time.Now().UTC()
	if left := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now); left < patience {
		t.Skipf("it is midnight in %v, and sums begin anew", left)
	}
	return now.Format("2006-01-02")
}

func TestLoggedUsageIsInEveryReport(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		today := sameDay(t)
		server := b.Start(t, gaiatest.NewProvider(t).Settings())
		c, other := server.As(uuid.NewString()), server.As(uuid.NewString())

		begin := time.Now().UTC().Truncate(time.Second)
		receipt := c.Post("/api/v0.2/usage/log", claim(map[string]any{"images": 2, "quality": "hd", "model": "dall-e-3", "request_id": "r-1"})).
			Want(http.StatusOK).JSON()
		id := regexp.MustCompile(`^usage_(\d{8}_\d{6})_[0-9a-f]{32}$`).FindStringSubmatch(receipt.Text("log_id"))
		if id == nil || receipt.Number("cost_logged") != 0.08 {
			t.Fatalf("the receipt is %v", receipt.Fields)
		}
		if at, err := time.Parse("20060102_150405", id[1]); err != nil || at.Before(begin) {
			t.Errorf("the id %s does not tell the time", id[0])
		}
		again := c.Post("/api/v0.2/usage/log", claim(map[string]any{"images": 1, "request_id": "r-1"})).Want(http.StatusOK).JSON()
		if again.Text("log_id") == receipt.Text("log_id") {
			t.Error("two records have one id")
		}
		c.Post("/api/v0.2/usage/log", claim(map[string]any{
			"provider": "meshy", "operation": "text_to_3d", "cost": 0.1, "credits": 850,
		})).Want(http.StatusOK)
		say(t, c, message("Hello"))

		current := c.Get("/api/v0.2/usage/current?provider=openai_gpt").Want(http.StatusOK).JSON()
		tokens := current.Number("provider_usage", "tokens")
		chatCost := current.Number("provider_usage", "cost")
		if tokens == 0 || chatCost <= 0 {
			t.Errorf("the chat used %v tokens and cost %v", tokens, chatCost)
		}
		wantFields(t, "current", current, map[string]any{
			"total_requests": 4, "total_images": 3, "total_3d_models": 1, "total_tokens": tokens, "filtered_provider": "openai_gpt",
			"providers.dalle.cost": 0.16, "providers.dalle.requests": 2, "providers.dalle.images": 3, "providers.meshy.models": 1,
			"providers.openai.tokens": tokens, "providers.openai.requests": 1, "provider_usage.requests": 1,
			"billing_period.start": today[:8] + "01",
		})

		history := c.Get("/api/v0.2/usage/history?days=2&provider=dalle").Want(http.StatusOK).JSON()
		wantFields(t, "history", history, map[string]any{
			"period.end_date": today, "period.days": 2, "summary.total_requests": 4, "summary.peak_cost_day": today, "filtered_provider": "dalle",
		})
		wantFields(t, "history", history, map[string]any{
			"usage_history.0.total_requests": 0, "usage_history.0.total_cost": 0, "usage_history.1.date": today,
			"usage_history.1.total_requests": 4, "usage_history.1.total_images": 3, "usage_history.1.breakdown.dalle.cost": 0.16,
			"usage_history.1.breakdown.meshy.requests": 1, "provider_history.0.cost": 0, "provider_history.1.cost": 0.16,
			"provider_history.1.date": today,
		})

		limits := c.Get("/api/v0.2/usage/limits").Want(http.StatusOK).JSON()
		wantFields(t, "limits", limits, map[string]any{
			"limits.dalle.used_this_month": 3, "limits.dalle.remaining": 14997, "limits.meshy.credits_used": 850,
			"limits.meshy.credits_remaining": 150, "limits.openai_gpt.tokens_used": tokens, "limits.claude.tokens_used": 0,
			"limits.stability.used_today": 0,
		})
		if warnings := limits.At("warnings").([]any); len(warnings) != 1 || warnings[0].(map[string]any)["usage_percentage"] != 85.0 {
			t.Errorf("warnings are %v", warnings)
		}
		if only := c.Get("/api/v0.2/usage/limits?provider=meshy").Want(http.StatusOK).JSON().At("limits").(map[string]any); len(only) != 1 {
			t.Errorf("limits of meshy are %v", only)
		}

		bill := c.Get("/api/v0.2/usage/billing/current").Want(http.StatusOK).JSON()
		wantFields(t, "bill", bill, map[string]any{
			"current_charges.subscription_fees": 25, "current_charges.overage_charges": 0, "payment_method": nil, "auto_payment": false,
			"current_charges.usage_charges": current.Number("total_cost"),
		})
		if alerts := bill.At("billing_alerts").([]any); len(alerts) != 1 {
			t.Errorf("alerts are %v", alerts)
		}

		report := c.Get("/api/v0.2/usage/reports/monthly?month=" + today[:7]).Want(http.StatusOK).JSON()
		wantFields(t, "report", report, map[string]any{
			"report_period": today[:7], "summary.total_requests": 4, "summary.unique_operations": 3, "provider_breakdown.dalle.images": 3,
			"cost_categories.per_use_charges": current.Number("total_cost"), "cost_categories.subscription_fees": 25,
		})
		if top := report.At("top_operations", 0).(map[string]any); top["operation"] != "image_generation" || top["count"] != 2.0 {
			t.Errorf("the most expensive operation is %v", top)
		}
		if got := report.At("cost_optimization_suggestions").([]any); len(got) == 0 {
			t.Error("half of the images are in high definition, and nothing is suggested")
		}
		wantFields(t, "a month before", c.Get("/api/v0.2/usage/reports/monthly?month=2020-02").Want(http.StatusOK).JSON(), map[string]any{
			"report_period": "2020-02", "summary.total_requests": 0, "summary.total_cost": 0,
		})

		wantFields(t, "somebody else", other.Get("/api/v0.2/usage/current").Want(http.StatusOK).JSON(), map[string]any{
			"total_requests": 0, "total_cost": 0, "total_tokens": 0,
		})
	})
}

func TestUsageOfNobody(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		wantFields(t, "current", c.Get("/api/v0.2/usage/current?provider=claude").Want(http.StatusOK).JSON(), map[string]any{
			"total_cost": 0, "total_requests": 0, "provider_usage.requests": 0, "provider_usage.tokens": 0,
		})
		wantFields(t, "history", c.Get("/api/v0.2/usage/history").Want(http.StatusOK).JSON(), map[string]any{
			"period.days": 30, "summary.total_cost": 0, "summary.peak_cost_day": nil, "summary.average_daily_cost": 0,
		})
		wantFields(t, "bill", c.Get("/api/v0.2/usage/billing/current").Want(http.StatusOK).JSON(), map[string]any{
			"current_charges.total": 0, "current_charges.subscription_fees": 0, "estimated_next_bill": 0, "payment_method": nil,
		})
		wantFields(t, "report", c.Get("/api/v0.2/usage/reports/monthly").Want(http.StatusOK).JSON(), map[string]any{
			"summary.total_cost": 0, "summary.unique_operations": 0,
		})
		wantFields(t, "limits", c.Get("/api/v0.2/usage/limits").Want(http.StatusOK).JSON(), map[string]any{
			"limits.claude.tokens_remaining": 1000000, "limits.stability.remaining_today": 1000,
		})
	})
}

func TestUsageRefusesWrongInput(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		c := b.Start(t).As(uuid.NewString())
		for name, fields := range map[string]map[string]any{
			"negative cost": {"cost": -0.01}, "negative tokens": {"tokens": -1}, "negative images": {"images": -1}, "negative credits": {"credits": -1},
			"no number": {"cost": "abc"}, "no provider": {"provider": nil}, "empty operation": {"operation": ""}, "too dear": {"cost": 1e7},
		} {
			if got := c.Post("/api/v0.2/usage/log", claim(fields)).Status; got != http.StatusUnprocessableEntity {
				t.Errorf("%s: status %d", name, got)
			}
		}
		for path, status := range map[string]int{
			"/api/v0.2/usage/current?provider=nope":         http.StatusNotFound,
			"/api/v0.2/usage/limits?provider=nope":          http.StatusNotFound,
			"/api/v0.2/usage/limits?provider=gemini":        http.StatusNotFound,
			"/api/v0.2/usage/history?days=0":                http.StatusUnprocessableEntity,
			"/api/v0.2/usage/history?days=366":              http.StatusUnprocessableEntity,
			"/api/v0.2/usage/history?days=abc":              http.StatusUnprocessableEntity,
			"/api/v0.2/usage/reports/monthly?month=junk":    http.StatusBadRequest,
			"/api/v0.2/usage/reports/monthly?month=2026-13": http.StatusBadRequest,
			"/api/v0.2/usage/reports/monthly?month=2026-3":  http.StatusBadRequest,
		} {
			c.Get(path).Want(status)
		}
		if got := c.Get("/api/v0.2/usage/current").Want(http.StatusOK).JSON().Number("total_requests"); got != 0 {
			t.Errorf("%v of the refused records are stored", got)
		}
	})
}
