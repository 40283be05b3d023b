package e2e

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// TestEveryOperationAsksForCredentials: before anything else, and in the same words everywhere.
func TestEveryOperationAsksForCredentials(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	for _, op := range gaiatest.Operations(t) {
		request := gaiatest.Request{Method: op.Method, Path: op.Path, Body: "{nope"}
		if op.Body == nil {
			request.Body = nil
		}
		if op.Public || op.ID == "v1DownloadAsset" { // which also takes signed links
			continue
		}
		for credentials, want := range map[string]struct {
			header http.Header
			status int
			detail string
		}{
			"none":        {http.Header{}, http.StatusUnauthorized, "Not authenticated. Provide a valid JWT or API Key."},
			"unknown key": {http.Header{"X-Api-Key": {"nope"}}, http.StatusForbidden, "Could not validate credentials"},
			"bad token":   {http.Header{"Authorization": {"Bearer nope"}}, http.StatusUnauthorized, "Not authenticated. Provide a valid JWT or API Key."},
		} {
			request.Header = want.header
			r := server.Anonymous().Do(request)
			if r.Status != want.status || r.JSON().At("detail") != want.detail {
				t.Errorf("%s with credentials %q: status %d: %s", op.ID, credentials, r.Status, r.Body)
			}
			if challenge := r.Header.Get("WWW-Authenticate"); (challenge != "") != (r.Status == http.StatusUnauthorized) {
				t.Errorf("%s with credentials %q: WWW-Authenticate is %q", op.ID, credentials, challenge)
			}
		}
	}
}

// TestKeysAsBearerTokens: OpenAI clients have no other place for a key.
func TestKeysAsBearerTokens(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t)
	for header, status := range map[string]int{
		"Bearer " + gaiatest.APIKey: http.StatusOK, "bearer " + gaiatest.APIKey: http.StatusOK, "Bearer " + gaiatest.APIKey + "x": http.StatusUnauthorized,
		"Bearer gaia_live_" + "0123456789abcdef0123456789abcdef": http.StatusForbidden, "Bearer gaia_live_0123456789abcdef0123456789abcdef_a1B2c3": http.StatusForbidden,
		gaiatest.APIKey: http.StatusUnauthorized, "Bearer": http.StatusUnauthorized, "Bearer ": http.StatusUnauthorized,
	} {
		r := server.Anonymous().Do(gaiatest.Request{Method: "GET", Path: "/api/v1/chat/status", Header: http.Header{"Authorization": {header}}})
		if r.Status != status {
			t.Errorf("Authorization %q: status %d, want %d", header, r.Status, status)
		}
	}
	both := http.Header{"Authorization": {"Bearer " + gaiatest.APIKey}, "X-Api-Key": {"nope"}}
	server.Anonymous().Do(gaiatest.Request{Method: "GET", Path: "/api/v1/chat/status", Header: both}).Want(http.StatusForbidden)
}

// TestBusyServerSaysSo: a server that has enough to do refuses more in the form of the contract, but its probes go on answering.
func TestBusyServerSaysSo(t *testing.T) {
	t.Parallel()
	server := gaiatest.Start(t, gaiatest.Settings{
		"MAX_CONCURRENT_REQUESTS": "1", "MAX_FORWARDED_REQUESTS": "1", "ECHO_WORD_DELAY": "10", "SHUTDOWN_TIMEOUT": "0.5",
	}, newsSecrets())
	c := server.As(uuid.NewString())
	stream := c.Stream(t.Context(), typedRoute, message("Take your time"))
	if _, err := stream.Next(); err != nil {
		t.Fatal(err)
	}
	for _, op := range gaiatest.Operations(t) {
		switch op.Path {
		case "/livez", "/readyz":
			c.Get(op.Path).Want(http.StatusOK)
			continue
		case "/health":
			continue // which an operator may count among the probes
		}
		request := gaiatest.Request{Method: op.Method, Path: op.Path, Body: bodyFor(op)}
		if op.BodyType == "multipart/form-data" {
			request.Body, request.Header = form(t)
		}
		request.Path += newsSecret(op)
		r := c.Do(request)
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, Retry-After %q: %.300s", op.ID, r.Status, r.Header.Get("Retry-After"), r.Body)
		}
	}
	stream.Close()
	gaiatest.Eventually(t, patience, "requests are taken again", func() bool { return c.Get("/").Status == http.StatusOK })
}
