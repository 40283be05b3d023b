package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTheKeyStaysOnItsHost: a redirect to somebody else must not take the API key along.
func TestTheKeyStaysOnItsHost(t *testing.T) {
	t.Parallel()
	for name, sameHost := range map[string]bool{"elsewhere": false, "on the same host": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var heard string
			other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard = r.Header.Get("X-Api-Key") }))
			defer other.Close()
			first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case !sameHost:
					http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
				case r.URL.Path == "/mcp":
					http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				default:
					heard = r.Header.Get("X-Api-Key")
				}
			}))
			defer first.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, first.URL+"/mcp", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Api-Key", "key")
			resp, err := (&http.Client{CheckRedirect: stayOnHost}).Do(req)
			if resp != nil {
				_ = resp.Body.Close()
			}
			if sameHost != (err == nil) || sameHost != (heard == "key") {
				t.Errorf("got %v, and %q was heard", err, heard)
			}
		})
	}
}
