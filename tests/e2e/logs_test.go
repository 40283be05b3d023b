package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// TestLogsKeepSecrets: what people say, and what lets somebody in, is in no line of the log, at any level.
func TestLogsKeepSecrets(t *testing.T) {
	t.Parallel()
	gaiatest.OnBackends(t, func(t *testing.T, b gaiatest.Backend) {
		server := b.Start(t, gaiatest.NewProvider(t).Settings(), gaiatest.Settings{"LOG_LEVEL": "DEBUG", "DEBUG": "true"})
		const said = "xylophone"
		token := gaiatest.Token(t, uuid.NewString())
		bearer := http.Header{"Authorization": {"Bearer " + token}}
		persona := draft("Quiet")
		persona["system_prompt"] = "You are Quiet, who plays the " + said + "."
		c := server.Client()
		c.Post("/api/v0.2/personas", persona).Want(http.StatusOK)
		server.Anonymous().Do(gaiatest.Request{Method: "POST", Path: "/api/v1/chat", Header: bearer, Body: message(said)}).Want(http.StatusOK)
		c.Stream(t.Context(), typedRoute, message(said)).All()
		c.Post("/api/v0.2/chat", map[string]any{"message": said, "provider": said}).Want(http.StatusUnprocessableEntity)
		c.Post("/api/v0.2/chat", `{"message":"`+said).Want(http.StatusUnprocessableEntity)
		for _, model := range []string{gaiatest.ModelBroken, gaiatest.ModelRefuses, gaiatest.ModelBreaks} {
			c.Post("/api/v1/chat", map[string]any{"message": said, "model": "openai/" + model})
		}
		c.Get("/api/v0.2/personas?limit=" + said).Want(http.StatusUnprocessableEntity)

		log := server.Output()
		for what, secret := range map[string]string{
			"what a user said": said, "what the model said": "every ship you asked about", "the API key": gaiatest.APIKey, "a token": token,
			"the provider's key": "sk-test-provider", "the secret of tokens": gaiatest.JWTSecret,
		} {
			if strings.Contains(log, secret) {
				t.Errorf("%s is in the log", what)
			}
		}
		lines := 0
		for line := range strings.Lines(log) {
			var entry struct{ Time, Level, Msg, Service string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" || !strings.HasPrefix(entry.Service, "gaia.") {
				t.Errorf("a line that is not in the form of the log: %s", line)
			}
			lines++
		}
		if lines == 0 {
			t.Error("nothing was logged")
		}
	})
}
