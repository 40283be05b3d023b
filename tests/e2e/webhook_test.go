package e2e

import (
	"net/http"
	"testing"

	"gaia/tests/gaiatest"
)

const (
	webhookScope  = "webhooks"
	webhookSecret = "a-secret-of-generators"
)

// newsSecrets open the addresses to which generators send news.
func newsSecrets() gaiatest.Settings {
	return gaiatest.Settings{
		"MESHY_WEBHOOK_SECRET": webhookSecret, "MIDJOURNEY_WEBHOOK_SECRET": webhookSecret, "MUBERT_WEBHOOK_SECRET": webhookSecret,
	}
}

// newsSecret is what an address has to have at its end to be taken for a generator's; empty for all other operations.
func newsSecret(op gaiatest.Operation) string {
	if op.Scope == webhookScope {
		return "?token=" + webhookSecret
	}
	return ""
}

// TestNewsNeedsTheSecret: who does not know it, or where there is none, is told nothing but that.
func TestNewsNeedsTheSecret(t *testing.T) {
	t.Parallel()
	open, closed := gaiatest.Start(t, newsSecrets()), gaiatest.Start(t)
	asked := 0
	for _, op := range gaiatest.Operations(t) {
		if op.Scope != webhookScope {
			continue
		}
		asked++
		open.Anonymous().Post(op.Path+newsSecret(op), op.Body).Want(http.StatusOK)
		for _, token := range []string{"", "?token=", "?token=wrong", newsSecret(op) + "x"} {
			open.Anonymous().Post(op.Path+token, op.Body).Want(http.StatusUnauthorized)
		}
		closed.Anonymous().Post(op.Path+newsSecret(op), op.Body).Want(http.StatusUnauthorized)
	}
	if asked != 3 {
		t.Errorf("%d addresses were asked", asked)
	}
}
