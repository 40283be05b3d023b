package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"gaia/domain"
)

// Each provider is asked at its own address, with its own key, in its own way.
func TestCompletersOfSettings(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r }))
	t.Cleanup(server.Close)
	tests := map[string]struct {
		settings           []string
		path, header, want string
	}{
		domain.ProviderClaude:     {[]string{"ANTHROPIC_API_KEY=k", "ANTHROPIC_BASE_URL=" + server.URL}, "/v1/messages", "X-Api-Key", "k"},
		domain.ProviderOpenAI:     {[]string{"OPENAI_API_KEY=k", "OPENAI_BASE_URL=" + server.URL + "/v1"}, "/v1/chat/completions", "Authorization", "Bearer k"},
		domain.ProviderGemini:     {[]string{"GOOGLE_API_KEY=k", "GEMINI_BASE_URL=" + server.URL + "/v1beta/openai/"}, "/v1beta/openai/chat/completions", "Authorization", "Bearer k"},
		domain.ProviderMistral:    {[]string{"MISTRAL_API_KEY=k", "MISTRAL_BASE_URL=" + server.URL + "/v1"}, "/v1/chat/completions", "Authorization", "Bearer k"},
		domain.ProviderCompatible: {[]string{"COMPATIBLE_BASE_URL=" + server.URL + "/v1"}, "/v1/chat/completions", "Authorization", ""},
	}
	for provider, test := range tests {
		c, err := loadConfig("no such file", append(test.settings, "ENVIRONMENT=production"))
		if err != nil {
			t.Fatal(err)
		}
		completers := openCompleters(c, slog.New(slog.DiscardHandler))
		if len(completers) != 1 || completers[provider] == nil {
			t.Fatalf("%v gave %v, want %s", test.settings, completers, provider)
		}
		st, err := completers[provider].Open(t.Context(), domain.Prompt{Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		r := <-requests
		if r.URL.Path != test.path || r.Header.Get(test.header) != test.want {
			t.Errorf("%s was asked at %s with %q, want %s with %q", provider, r.URL.Path, r.Header.Get(test.header), test.path, test.want)
		}
		_ = st.Close()
	}
}
