package upstream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

func fetch(t *testing.T, s *upstream.Service, f domain.GeneratedFile, limit int64) (string, error) {
	t.Helper()
	r, err := s.Fetch(t.Context(), f, limit)
	if err != nil {
		return "", err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	data, err := io.ReadAll(r)
	return string(data), err
}

func TestFetch(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "" {
			t.Errorf("a file was asked for with %v", r.Header)
		}
		_, _ = io.WriteString(w, "0123456789")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 10 { // no Content-Length
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.Handle("/moved", http.RedirectHandler("/file?signature="+secret, http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/outside", http.RedirectHandler("http://nowhere.invalid/", http.StatusFound))
	mux.HandleFunc("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	mux.HandleFunc("/expired", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s := service(t, server.URL, nil)

	for path, want := range map[string]string{"/file": "0123456789", "/moved": "0123456789", "/stream": "xxxxxxxxxx"} {
		if got, err := fetch(t, s, domain.GeneratedFile{URL: server.URL + path}, 10); err != nil || got != want {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
		_, err := fetch(t, s, domain.GeneratedFile{URL: server.URL + path}, 9)
		wantError(t, err, domain.TooLarge, "")
	}
	for path, kind := range map[string]domain.Kind{
		"/round": domain.Unavailable, "/outside": domain.Unavailable, "/half": domain.Unavailable, "/broken": domain.Unavailable,
		"/expired": domain.NotFound, "/nothing": domain.NotFound,
	} {
		_, err := fetch(t, s, domain.GeneratedFile{URL: server.URL + path + "?signature=" + secret}, 100)
		wantError(t, err, kind, "")
	}
	if got, err := fetch(t, s, domain.GeneratedFile{Data: []byte("abc")}, 3); err != nil || got != "abc" {
		t.Errorf("data: got %q, %v", got, err)
	}
	_, err := fetch(t, s, domain.GeneratedFile{Data: []byte("abcd")}, 3)
	wantError(t, err, domain.TooLarge, "")
}

// Addresses come from outside: they must not open what only our network can reach.
func TestFetchStaysOutside(t *testing.T) {
	t.Parallel()
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
	t.Cleanup(inside.Close)
	redirect := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL, http.StatusFound) })
	s := service(t, redirect, nil)
	const network, scheme = "an address inside of our network", "not an address of https"
	for url, why := range map[string]string{
		inside.URL: network, redirect: network, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1): network,
		strings.Replace(inside.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1): network, "https://169.254.169.254/latest": network,
		"https://10.0.0.1/": network, "https://172.16.0.1/": network, "https://192.168.1.1/": network, "https://100.64.0.1/": network,
		"https://0.0.0.0/": network, "https://[fd00::1]/": network, "https://[::1]/": network, "https://[fe80::1]/": network,
		"https://[64:ff9b::7f00:1]/": network, "https://[2002:7f00:1::]/": network, "https://224.0.0.1/": network,
		"http://example.com/": scheme, "file:///etc/passwd": scheme, "gopher://example.com": scheme, "://": scheme,
	} {
		_, err := fetch(t, s, domain.GeneratedFile{URL: url, Data: []byte("not taken when there is an address")}, 100)
		if e := wantError(t, err, domain.Unavailable, ""); e.Message != "The file can't be fetched from Testy" || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := service(t, url, nil).Fetch(ctx, domain.GeneratedFile{URL: url}, 100)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-begun; cancel() }()
	_, err = io.ReadAll(r)
	wantError(t, err, domain.Canceled, "")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
