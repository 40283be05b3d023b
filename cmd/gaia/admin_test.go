package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func adminSystem(t *testing.T, settings ...string) *system {
	t.Helper()
	c, err := loadConfig(filepath.Join(t.TempDir(), "absent"), append([]string{"ADMIN_ADDRESS=127.0.0.1:0", "LOCAL_ACCOUNTS=off"}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	sys, err := wire(t.Context(), c, t.TempDir(), "key", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.close)
	return sys
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	sys := adminSystem(t)
	server := httptest.NewServer(adminHandler(sys))
	t.Cleanup(server.Close)
	get := func(path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]string{
		"/metrics": "gaia_build_info{", "/livez": "ok", "/readyz": "ok", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile",
	} {
		if status, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, %s", path, status, body)
		}
	}
	sys.health.Drain()
	if status, _ := get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("draining: status %d", status)
	}
	if status, _ := get("/livez"); status != http.StatusOK {
		t.Errorf("draining is living, but status %d", status)
	}
}

// Profiles are for the machine itself, and not for a page that has a name point at it.
func TestProfilesAreForTheMachineItself(t *testing.T) {
	t.Parallel()
	handler := onlyLocal(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		peer, host string
		want       int
	}{
		{"127.0.0.1:5", "127.0.0.1:9464", http.StatusOK}, {"[::1]:5", "[::1]:9464", http.StatusOK}, {"127.0.0.1:5", "localhost:9464", http.StatusOK},
		{"[::ffff:127.0.0.1]:5", "localhost", http.StatusOK},
		{"10.0.0.7:5", "127.0.0.1:9464", http.StatusForbidden}, {"127.0.0.1:5", "evil.example:9464", http.StatusForbidden}, {"", "localhost", http.StatusForbidden},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap", nil)
		r.RemoteAddr, r.Host = c.peer, c.host
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%+v: status %d", c, w.Code)
		}
	}
}

func TestTelemetrySettings(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"ADMIN_ADDRESS=9464", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "OTEL_TRACES_SAMPLER_ARG=1.5", "OTEL_EXPORTER_OTLP_HEADERS=secret",
		"OTEL_RESOURCE_ATTRIBUTES=x", "OTEL_METRIC_EXPORT_INTERVAL=-1",
	} {
		name, value, _ := strings.Cut(setting, "=")
		_, err := loadConfig(filepath.Join(t.TempDir(), "absent"), []string{setting})
		if err == nil || !strings.Contains(err.Error(), name) || value == "secret" && strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	got, err := keyValues("a=b, c = d%20e ,")
	if err != nil || len(got) != 2 || got["a"] != "b" || got["c"] != "d e" {
		t.Errorf("got %v, %v", got, err)
	}
}
