package e2e

import (
	"net/http"
	"strings"
	"testing"

	"gaia/tests/gaiatest"
)

// TestHealthOfInstances: the gateway tells of each process of a service; one that was killed works no longer at once, is forgotten when it is silent,
// and its successor is found.
func TestHealthOfInstances(t *testing.T) {
	t.Parallel()
	full := gaiatest.Full(t)
	alike := gaiatest.Settings{
		"INTERNAL_AUTH_SECRET": strings.Repeat("s", 32), "API_KEY": "a-key-of-this-test", "SERVICE_HEARTBEAT_INTERVAL": "1", "HEALTH_CHECK_INTERVAL": "1",
	}
	start := func(service string, more ...gaiatest.Settings) *gaiatest.Server {
		return full.Start(t, append([]gaiatest.Settings{alike, {"SERVICES": service, "SERVICE_PORT": "0"}}, more...)...)
	}
	auth, asset, chat := start("auth"), start("asset"), start("chat")
	gateway := start("gateway", gaiatest.Settings{"AUTH_SERVICE_URL": auth.URL(), "ASSET_SERVICE_URL": asset.URL(), "CHAT_SERVICE_URL": chat.URL()})
	other := start("chat") // which the gateway hears of and hands nothing to
	name := other.Anonymous().Get("/livez").Want(http.StatusOK).Header.Get("X-Gaia-Instance")
	state := func() (whole, chats, one string) {
		r := gateway.Anonymous().Get("/health").Want(http.StatusOK).JSON()
		services, _ := r.Fields["services"].(map[string]any)
		service, _ := services["chat"].(map[string]any)
		list, _ := service["instances"].([]any)
		for _, i := range list {
			if i, _ := i.(map[string]any); i["id"] == name {
				one, _ = i["status"].(string)
				if one == "healthy" && i["response_time"] == nil {
					one = "not measured"
				}
			}
		}
		return r.Text("status"), r.Text("services", "chat", "status"), one
	}
	want := func(when, whole, chats, one string) {
		t.Helper()
		gaiatest.Eventually(t, patience, when, func() bool {
			a, b, c := state()
			return a == whole && b == chats && c == one
		})
	}
	want("both processes are well", "healthy", "healthy", "healthy")
	other.Kill()
	want("one is dead", "degraded", "degraded", "unhealthy")
	want("it is forgotten", "healthy", "healthy", "")
	chat.Kill()
	want("no chats", "degraded", "unhealthy", "")
	gateway.Anonymous().Get("/readyz").Want(http.StatusOK)
	if got := asset.Anonymous().Get("/health").Want(http.StatusOK).JSON().Text("services", "chat", "status"); got != "disabled" {
		t.Errorf("a process of assets says that chat is %s", got)
	}
}
