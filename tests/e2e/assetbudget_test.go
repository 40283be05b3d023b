package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/generators"
)

// TestAssetBudgetHoldsAcrossReplicas: of 200 requests at two processes no more are carried out than the budget of a day allows.
func TestAssetBudgetHoldsAcrossReplicas(t *testing.T) {
	t.Parallel()
	const requests, allowed = 200, 50
	outside := generators.New(20 * time.Millisecond)
	t.Cleanup(outside.Close)
	settings := gaiatest.Settings{
		"OPENAI_BASE_URL": outside.URL() + "/v1", "OPENAI_API_KEY": generators.Key, "MAX_CONCURRENT_REQUESTS": "1000", "MAX_CONCURRENT_GENERATIONS": "20",
		"PROCEDURAL_ASSETS": "off",
	}
	b := gaiatest.Full(t)
	user := uuid.NewString()
	price := b.Start(t, settings).As(user).Post("/api/v0.2/assets/pricing/cost-estimator/estimate", map[string]any{
		"provider": "dalle", "operation": "gpt-image-1.5", "quality": "standard",
	}).Want(http.StatusOK).JSON().Number("total_cost")
	settings["BUDGET_DAILY_USD"] = strconv.FormatFloat(price*(allowed+0.5), 'f', 9, 64)
	replicas := []*gaiatest.Client{b.Start(t, settings).As(user), b.Start(t, settings).As(user)}

	var mu sync.Mutex
	answers := map[int]int{}
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() {
			status := orderPicture(t, replicas[i%2], i)
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
		})
	}
	wg.Wait()
	if answers[http.StatusOK] != allowed || answers[http.StatusPaymentRequired] != requests-allowed {
		t.Errorf("the answers are %v", answers)
	}
	if paid := len(outside.Paid()); paid != allowed {
		t.Errorf("%d were paid", paid)
	}
	spent := replicas[1].Get("/api/v0.2/assets/pricing/analytics").Want(http.StatusOK).JSON().Number("total_cost")
	if spent < price*allowed-1e-6 || spent > price*allowed+1e-6 {
		t.Errorf("%v were charged, %d cost %v", spent, allowed, price*allowed)
	}
}

// orderPicture asks until there is an answer other than that the server has too much to do, or too much of this caller's.
func orderPicture(t *testing.T, c *gaiatest.Client, n int) int {
	for range 50 {
		r, err := c.Try(gaiatest.Request{
			Method: http.MethodPost, Path: "/api/v1/assets/generate", Header: http.Header{"Idempotency-Key": {"picture " + strconv.Itoa(n)}},
			Body: map[string]any{
				"category": "image", "style": "plain", "description": "picture " + strconv.Itoa(n),
				"preferences": map[string]any{"allow_database": false, "allow_modifications": false, "max_wait_time_ms": 60_000},
			},
		})
		switch {
		case err != nil:
			t.Error(err)
			return 0
		case r.Status != http.StatusServiceUnavailable && r.Status != http.StatusTooManyRequests && r.Status != http.StatusAccepted:
			return r.Status
		}
		t.Logf("picture %d: status %d: %.200s", n, r.Status, r.Body)
	}
	return http.StatusServiceUnavailable
}
