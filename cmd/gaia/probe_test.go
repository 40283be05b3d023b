package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthOfAProcess(t *testing.T) {
	t.Parallel()
	var asked []string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"status":"x"}` + "\n"))
	}))
	defer server.Close()
	ask := func(address string) (string, error) {
		var out bytes.Buffer
		err := runHealth(t.Context(), []string{address}, &out)
		return out.String(), err
	}

	if out, err := ask(server.URL); err != nil || out != "200 {\"status\":\"x\"}\n" {
		t.Errorf("%q, %v", out, err)
	}
	status = http.StatusServiceUnavailable
	if out, err := ask(server.URL + "/health"); exitCode(err) != 1 || !errors.Is(err, errUnhealthy) || !strings.HasPrefix(out, "503 ") {
		t.Errorf("unavailable: %q, %v", out, err)
	}
	if got := strings.Join(asked, " "); got != "/readyz /health" {
		t.Errorf("asked for %s", got)
	}
	server.Close()
	if out, err := ask(server.URL); !errors.Is(err, errUnhealthy) || out != "" {
		t.Errorf("nobody there: %q, %v", out, err)
	}
	if _, err := ask("auth-service:8000"); !errors.Is(err, errUsage) {
		t.Errorf("an address without a scheme: %v", err)
	}
}

func TestOwnAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"0.0.0.0": "http://127.0.0.1:8000", "": "http://127.0.0.1:8000", "::": "http://127.0.0.1:8000", "::1": "http://[::1]:8000", "gaia.lan": "http://gaia.lan:8000",
	} {
		c := config{ServiceHost: host, ServicePort: 8000}
		if got := c.ownAddress(); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}
