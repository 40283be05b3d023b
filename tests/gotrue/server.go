package gotrue

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Settings of a server. The zero value is the server itself, without a gateway: HS256, sign-ups need no confirmation.
type Settings struct {
	Prefix   string        // "/auth/v1" is how a gateway serves it
	AnonKey  string        // demanded as apikey, as gateways do; empty: nobody looks
	Confirm  bool          // addresses have to be confirmed
	Alg      string        // HS256, ES256 or RS256; HS256 when empty
	Secret   string        // for HS256
	Lifetime time.Duration // of access tokens; an hour when zero
	HashTime time.Duration // what it takes to compare a password
	Burst    int           // requests for tokens that each address in X-Forwarded-For may send; 0: any number
}

// Request is one that reached the server.
type Request struct {
	Method, Path string // with the query
	Header       http.Header
	Body         []byte
}

// Server is a running server. Its methods are safe for concurrent use.
type Server struct {
	settings  Settings
	keys      keys
	http      *httptest.Server
	intercept atomic.Pointer[http.HandlerFunc]

	mu       sync.Mutex
	users    map[string]*user // by address
	sessions map[string]*session
	tries    map[string]int // by address of the client
	requests []Request
}

// New starts a server.
func New(settings Settings) *Server {
	if settings.Lifetime == 0 {
		settings.Lifetime = time.Hour
	}
	s := &Server{
		settings: settings, keys: newKeys(settings), users: map[string]*user{}, sessions: map[string]*session{}, tries: map[string]int{},
	}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"POST /signup": s.signUp, "POST /token": s.token, "GET /user": s.user, "PUT /user": s.updateUser, "POST /logout": s.logout,
		"POST /recover": s.recover, "POST /resend": s.resend,
		"GET /.well-known/jwks.json": s.jwks,
		"GET /health":                func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, "health_ok") },
		"GET /settings":              s.showSettings,
		"/":                          func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, "unknown_path") },
	} {
		mux.HandleFunc(pattern, handle)
	}
	s.http = httptest.NewServer(s.gateway(http.StripPrefix(settings.Prefix, mux)))
	return s
}

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// URL is where the server is, without the prefix.
func (s *Server) URL() string { return s.http.URL }

// Intercept lets a handler answer everything instead, until it is called with nil.
func (s *Server) Intercept(h http.HandlerFunc) {
	if h == nil {
		s.intercept.Store(nil)
		return
	}
	s.intercept.Store(&h)
}

// Requests returns what reached the server, the oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// gateway is what stands before the server: it keeps the books, and demands the key where there is one.
func (s *Server) gateway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20+1))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		s.requests = append(s.requests, Request{r.Method, r.URL.RequestURI(), r.Header.Clone(), body})
		s.mu.Unlock()
		switch h := s.intercept.Load(); {
		case h != nil:
			(*h)(w, r)
		case s.settings.AnonKey != "" && r.Header.Get("apikey") != s.settings.AnonKey && !strings.HasSuffix(r.URL.Path, "/jwks.json"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message": "Invalid authentication credentials"}`)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// answer sends a recorded answer with its placeholders filled in.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string) {
	e := Named(name)
	s.send(w, r, e, Fill(e.Body, s.anything))
}

func (s *Server) anything(key, placeholder string) any {
	switch placeholder {
	case "<seconds>":
		return "59"
	case "<base_url>":
		return s.URL()
	case "<timestamp>":
		return time.Now().Format(time.RFC3339Nano)
	default:
		return newID()
	}
}

// send writes an answer in the form that the client's version has: from 2024-01-01 on, errors have another one.
func (s *Server) send(w http.ResponseWriter, r *http.Request, e Exchange, body any) {
	h := w.Header()
	for name, value := range e.ResponseHeaders {
		if !strings.Contains(value, "<") {
			h.Set(name, value)
		}
	}
	failure, isObject := body.(map[string]any)
	if version := r.Header.Get("X-Supabase-Api-Version"); isObject && e.Status >= 400 && version >= "2024-01-01" && len(version) == 10 {
		h.Set("X-Supabase-Api-Version", "2024-01-01")
		body = newForm(failure)
		if failure["error_code"] == "weak_password" {
			h.Del("X-Sb-Error-Code")
		}
	}
	if text, ok := body.(string); ok {
		w.WriteHeader(e.Status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.WriteHeader(e.Status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func newForm(failure map[string]any) map[string]any {
	body := map[string]any{"code": failure["error_code"], "message": failure["msg"]}
	if weak, ok := failure["weak_password"]; ok {
		body["weak_password"] = weak
	}
	return body
}

func (s *Server) showSettings(w http.ResponseWriter, r *http.Request) {
	name := "settings_ok"
	if s.settings.Confirm {
		name = "settings_confirm_email"
	}
	s.answer(w, r, name)
}

func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	e := Named("jwks_hs256_only")
	if s.keys.public != nil {
		e = Named("jwks_es256_only")
	}
	body := maps.Clone(e.Body.(map[string]any))
	body["keys"] = s.keys.public
	if s.keys.public == nil {
		body["keys"] = []any{}
	}
	s.send(w, r, e, body)
}

// limited counts a request for a token, and refuses it when there were too many.
func (s *Server) limited(w http.ResponseWriter, r *http.Request) bool {
	address, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if s.settings.Burst == 0 || address == "" {
		return false
	}
	s.mu.Lock()
	s.tries[address]++
	over := s.tries[address] > s.settings.Burst
	s.mu.Unlock()
	if over {
		s.answer(w, r, "token_rate_limited")
	}
	return over
}
