package gaiatest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the answer of a Provider adds up to.
const (
	ProviderText   = "The harbour is quiet tonight, the lamps are lit, and every ship you asked about has come home safely, captain."
	ProviderPieces = 20
)

// Models of a Provider that do not simply answer. Send them with `provider: openai`.
const (
	ModelRefuses = "refuses" // answers 429
	ModelBroken  = "broken"  // answers 500
	ModelBreaks  = "breaks"  // breaks off in the middle of its answer
	ModelSilent  = "silent"  // says nothing at all, until the connection is closed
	ModelHangs   = "hangs"   // says half and then nothing, until the connection is closed
)

const providerKey = "sk-test-provider"

//go:embed testdata/openai.sse
var transcript string

// Provider is a stand-in for OpenAI at the socket: it answers every prompt with the same recorded event stream.
type Provider struct {
	url     string
	mu      sync.Mutex
	prompts []ProviderPrompt
	hungUp  chan time.Time
}

// ProviderPrompt is what reached the provider.
type ProviderPrompt struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"messages"`
}

// NewProvider starts a provider that ends with the test.
func NewProvider(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{hungUp: make(chan time.Time, 16)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + "/v1"
	return p
}

// Settings make a server use this provider, with gpt-4o-mini as the default model.
func (p *Provider) Settings() Settings {
	return Settings{"OPENAI_BASE_URL": p.url, "OPENAI_API_KEY": providerKey, "DEFAULT_LLM_MODEL": "gpt-4o-mini"}
}

// Prompts returns what reached the provider so far.
func (p *Provider) Prompts() []ProviderPrompt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ProviderPrompt(nil), p.prompts...)
}

// HungUp tells when a caller closed the connection to ModelHangs.
func (p *Provider) HungUp() <-chan time.Time { return p.hungUp }

// ServeHTTP answers a prompt.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var prompt ProviderPrompt
	switch err := json.NewDecoder(r.Body).Decode(&prompt); {
	case r.Header.Get("Authorization") != "Bearer "+providerKey:
		refuse(w, http.StatusUnauthorized, "invalid_api_key")
		return
	case err != nil || r.URL.Path != "/v1/chat/completions":
		refuse(w, http.StatusBadRequest, "invalid_request_error")
		return
	}
	p.mu.Lock()
	p.prompts = append(p.prompts, prompt)
	p.mu.Unlock()
	frames := bytes.SplitAfter([]byte(strings.ReplaceAll(transcript, "{{model}}", prompt.Model)), []byte("\n\n"))
	switch prompt.Model {
	case ModelRefuses:
		w.Header().Set("Retry-After", "7")
		refuse(w, http.StatusTooManyRequests, "rate_limit_exceeded")
	case ModelBroken:
		refuse(w, http.StatusInternalServerError, "server_error")
	case ModelBreaks:
		play(w, frames[:len(frames)/2])
		panic(http.ErrAbortHandler) // closes the connection in the middle of the body
	case ModelSilent:
		_, _ = io.Copy(io.Discard, r.Body)
		play(w, nil)
		<-r.Context().Done()
	case ModelHangs:
		_, _ = io.Copy(io.Discard, r.Body) // only a server that has read all notices a client that leaves
		play(w, frames[:len(frames)/2])
		<-r.Context().Done()
		p.hungUp <- time.Now()
	default:
		play(w, frames)
	}
}

func play(w http.ResponseWriter, frames [][]byte) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for _, frame := range frames {
		if _, err := w.Write(frame); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"message": "The provider says no to sk-test-provider.", "type": code, "param": nil, "code": code,
	}})
}
