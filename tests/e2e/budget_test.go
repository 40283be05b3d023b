package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
	"gaia/tests/upstream"
)

// TestBudgetHoldsAcrossReplicas: two processes on one database together spend no more than a caller may, and as much as the caller may.
func TestBudgetHoldsAcrossReplicas(t *testing.T) {
	t.Parallel()
	const budget, tokens, at = 0.001, 100, 12
	provider, settings := startUpstream(t)
	provider.Plays("gpt-4o-mini", upstream.Script{Tokens: tokens})
	b := gaiatest.Full(t)
	user := uuid.NewString()
	more := gaiatest.Settings{"BUDGET_DAILY_USD": "0.001"}
	replicas := []*gaiatest.Client{b.Start(t, settings, more).As(user), b.Start(t, settings, more).As(user)}
	ask := func(c *gaiatest.Client) int {
		r, err := c.Try(gaiatest.Request{Method: http.MethodPost, Path: "/api/v1/chat", Body: map[string]any{
			"messages": []any{userMessage("Hi")}, "max_tokens": tokens,
		}})
		if err != nil {
			t.Error(err)
		}
		if r.Status == http.StatusPaymentRequired {
			e := r.JSON()
			if e.Text("error", "code") != "insufficient_quota" || e.Text("error", "type") != "insufficient_quota" {
				t.Errorf("got %s", r.Body)
			}
		} else if r.Status != http.StatusOK {
			t.Errorf("status %d: %s", r.Status, r.Body)
		}
		return r.Status
	}
	var mu sync.Mutex
	answered, refused := 0, 0
	count := func(status int) {
		mu.Lock()
		defer mu.Unlock()
		if status == http.StatusOK {
			answered++
		} else {
			refused++
		}
	}
	var wg sync.WaitGroup
	for i := range 2 * at {
		wg.Go(func() {
			for range 3 {
				count(ask(replicas[i%2]))
			}
		})
	}
	wg.Wait()
	for ask(replicas[0]) == http.StatusOK { // what a refused one had left over, one after the other
		answered++
	}
	usage := replicas[1].Get("/api/v0.2/usage/current").Want(http.StatusOK).JSON()
	spent := usage.Number("total_cost")
	one := spent / float64(answered)
	if spent > budget || spent+3*one < budget || refused == 0 {
		t.Errorf("%d answers for %v dollars, %d refusals; the budget is %v", answered, spent, refused, budget)
	}
	if served := len(provider.Books()); served != answered {
		t.Errorf("the provider served %d requests, %d were answered", served, answered)
	}
	// Somebody else's budget is whole.
	b.Start(t, settings, more).As(uuid.NewString()).Post("/api/v1/chat", map[string]any{"messages": []any{userMessage("Hi")}, "max_tokens": tokens}).Want(http.StatusOK)
}
