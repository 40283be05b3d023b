package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

const secret = "sk-very-secret"

func service(t *testing.T, url string, edit func(*upstream.ServiceConfig)) *upstream.Service {
	t.Helper()
	cfg := upstream.ServiceConfig{
		Name: "Testy", URL: url, Key: secret, Header: http.Header{"Authorization": {"Bearer " + secret}},
		ParseError: func(body []byte) (upstream.Said, bool) {
			var w struct {
				Message string `json:"message"`
			}
			err := json.Unmarshal(body, &w)
			return upstream.Said{Message: w.Message}, err == nil
		},
	}
	if edit != nil {
		edit(&cfg)
	}
	s := upstream.NewService(cfg)
	t.Cleanup(s.CloseIdle)
	return s
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// wantError checks an error, and that it tells no secret.
func wantError(t *testing.T, err error, kind domain.Kind, code string) *domain.Error {
	t.Helper()
	var e *domain.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got %v, want kind %d with code %q", err, kind, code)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the key is in the error: %v", err)
	}
	return e
}

func TestServiceSpeaksJSON(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/things" || r.Header.Get("Authorization") != "Bearer "+secret ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != "gaia" ||
			strings.TrimSpace(string(body)) != `{"a":"<b>"}` {
			t.Errorf("got %s %s %v %s", r.Method, r.URL, r.Header, body)
		}
		_, _ = io.WriteString(w, `{"id":"x"}`)
	})
	var out struct{ ID string }
	err := service(t, url, nil).JSON(t.Context(), upstream.Call{Method: http.MethodPost, Path: "/v1/things"}, map[string]string{"a": "<b>"}, &out)
	if err != nil || out.ID != "x" {
		t.Fatalf("got %+v, %v", out, err)
	}
}

// What each status means, for an order and for a question.
func TestStatuses(t *testing.T) {
	t.Parallel()
	type meaning struct {
		kind domain.Kind
		code string
	}
	unknown, away := meaning{domain.Unavailable, domain.CodeOutcomeUnknown}, meaning{domain.Unavailable, ""}
	for status, want := range map[int]struct{ order, ask meaning }{
		302: {away, away},
		400: {meaning{domain.BadRequest, ""}, meaning{domain.BadRequest, ""}},
		401: {meaning{domain.Unavailable, domain.CodeCredentials}, meaning{domain.Unavailable, domain.CodeCredentials}},
		402: {meaning{domain.Unavailable, domain.CodeQuota}, meaning{domain.Unavailable, domain.CodeQuota}},
		403: {meaning{domain.Unavailable, domain.CodeCredentials}, meaning{domain.Unavailable, domain.CodeCredentials}},
		404: {meaning{domain.BadRequest, ""}, meaning{domain.NotFound, ""}},
		408: {away, away},
		422: {meaning{domain.BadRequest, ""}, meaning{domain.BadRequest, ""}},
		429: {meaning{domain.Limited, domain.CodeRateLimit}, meaning{domain.Limited, domain.CodeRateLimit}},
		500: {unknown, away},
		502: {unknown, away},
		503: {meaning{domain.Unavailable, domain.CodeOverloaded}, meaning{domain.Unavailable, domain.CodeOverloaded}},
		504: {unknown, away},
		529: {meaning{domain.Unavailable, domain.CodeOverloaded}, meaning{domain.Unavailable, domain.CodeOverloaded}},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"message":"no `+secret+`"}`)
		})
		s := service(t, url, nil)
		_, err := s.Do(t.Context(), upstream.Call{Method: http.MethodPost, Path: "/", Body: []byte("x"), Order: true})
		e := wantError(t, err, want.order.kind, want.order.code)
		if e.Kind == domain.Limited && e.RetryAfter != 7*time.Second {
			t.Errorf("%d: wait of %v", status, e.RetryAfter)
		}
		_, err = s.Do(t.Context(), upstream.Call{Method: http.MethodGet, Path: "/"})
		wantError(t, err, want.ask.kind, want.ask.code)
	}
}

func TestRefuseComesBeforeTheStatus(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"too long"}`)
	})
	s := service(t, url, func(cfg *upstream.ServiceConfig) {
		cfg.Refuse = func(r upstream.Refusal) *domain.Error {
			if r.Message == "too long" {
				return r.RefusedOrder()
			}
			return nil
		}
	})
	_, err := s.Do(t.Context(), upstream.Call{Method: http.MethodPost, Path: "/", Order: true})
	if e := wantError(t, err, domain.BadRequest, ""); e.Message != "Testy refused the order: too long" {
		t.Errorf("got %q", e.Message)
	}
}

// An order that was sent may have been carried out, whatever comes back. One that was not has not.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	abort := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"id":`)
	})
	garbage := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) })
	long := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `"`+strings.Repeat("x", 2000)+`"`)
	})
	over := make(chan struct{})
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	t.Cleanup(func() { close(over) })
	for name, url := range map[string]string{"abort": abort, "half": half, "garbage": garbage, "long": long, "silent": silent} {
		s := service(t, url, func(cfg *upstream.ServiceConfig) { cfg.Timeout, cfg.MaxAnswer = 300*time.Millisecond, 1000 })
		var out struct{ ID string }
		err := s.JSON(t.Context(), upstream.Call{Method: http.MethodPost, Order: true}, "x", &out)
		wantError(t, err, domain.Unavailable, domain.CodeOutcomeUnknown)
		err = s.JSON(t.Context(), upstream.Call{Method: http.MethodGet}, nil, &out)
		if e := wantError(t, err, domain.Unavailable, ""); name == "silent" && e.Message != "Testy did not answer in time" {
			t.Errorf("got %q", e.Message)
		}
	}
}

// A connection that the service is about to close swallows what is sent on it: an order never takes one that was used.
func TestOrdersTakeNewConnections(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := service(t, server.URL, nil)
	for i, c := range []struct {
		order bool
		want  int32
	}{{false, 1}, {false, 1}, {true, 2}, {true, 3}, {false, 3}} {
		if _, err := s.Do(t.Context(), upstream.Call{Method: http.MethodPost, Body: []byte("x"), Order: c.order}); err != nil {
			t.Fatal(err)
		}
		if got := opened.Load(); got != c.want {
			t.Errorf("call %d: %d connections, want %d", i, got, c.want)
		}
	}
}

func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	for name, url := range map[string]string{
		"refused": closed, "no TLS": strings.Replace(plain, "http:", "https:", 1), "no such host": "http://nowhere.invalid",
	} {
		_, err := service(t, url, nil).Do(t.Context(), upstream.Call{Method: http.MethodPost, Path: "/?token=" + secret, Order: true})
		if e := wantError(t, err, domain.Unavailable, ""); e.Message != "The connection to Testy failed" {
			t.Errorf("%s: got %q", name, e.Message)
		}
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 2)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		started <- struct{}{}
		<-r.Context().Done()
	})
	s := service(t, url, nil)
	for order, want := range map[bool]struct {
		kind domain.Kind
		code string
	}{true: {domain.Unavailable, domain.CodeOutcomeUnknown}, false: {domain.Canceled, ""}} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		_, err := s.Do(ctx, upstream.Call{Method: http.MethodPost, Body: []byte("x"), Order: order})
		wantError(t, err, want.kind, want.code)
		_, err = s.Do(ctx, upstream.Call{Method: http.MethodPost, Body: []byte("x"), Order: order}) // before anything was sent
		wantError(t, err, domain.Canceled, "")
	}
}
