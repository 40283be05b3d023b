package anthropic_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gaia/adapters/internal/upstreamtest"
	"gaia/domain"
)

const key = "sk-ant-api03-0123456789"

func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		credentials = "The provider anthropic rejected Gaia's credentials"
		noQuota     = "The provider anthropic has no quota left for Gaia"
		noModel     = `The provider anthropic has no model "claude-9"`
		limited     = "The provider anthropic allows no more requests at the moment"
		busy        = "The provider anthropic is overloaded at the moment"
		away        = "The provider anthropic is not available at the moment"
		noWords     = "The provider anthropic refused the messages"
		tooLong     = "The messages are longer than the model's context window"
		filtered    = "The provider's content filter refused the messages"
	)
	said := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	tests := map[string]struct {
		status int
		body   string
		kind   domain.Kind
		code   string
		want   string
	}{
		"bad key":           {401, said("authentication_error", "invalid x-api-key"), domain.Unavailable, domain.CodeCredentials, credentials},
		"no permission":     {403, said("permission_error", "Your API key does not have permission"), domain.Unavailable, domain.CodeCredentials, credentials},
		"billing":           {402, said("billing_error", "Check your payment"), domain.Unavailable, domain.CodeQuota, noQuota},
		"no credit":         {400, said("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), domain.Unavailable, domain.CodeQuota, noQuota},
		"own spend limit":   {400, said("invalid_request_error", "You have reached your specified API usage limits."), domain.Unavailable, domain.CodeQuota, noQuota},
		"spend limit":       {429, `{"type":"error","error":{"type":"rate_limit_error","message":"limit","details":{"error_code":"enforced_spend_limit_reached"}}}`, domain.Unavailable, domain.CodeQuota, noQuota},
		"model":             {404, said("not_found_error", "model: claude-9"), domain.NotFound, domain.CodeModelNotFound, noModel},
		"wrong address":     {404, "404 page not found", domain.Unavailable, "", "The provider anthropic has no chat completions at its configured address"},
		"rate limit":        {429, said("rate_limit_error", "This request would exceed your organization's rate limit"), domain.Limited, domain.CodeRateLimit, limited},
		"rate limit, mute":  {429, "", domain.Limited, domain.CodeRateLimit, limited},
		"overloaded":        {529, said("overloaded_error", "Overloaded"), domain.Unavailable, domain.CodeOverloaded, busy},
		"overloaded, mute":  {529, "", domain.Unavailable, domain.CodeOverloaded, busy},
		"overloaded, HTML":  {503, "<html>nginx</html>", domain.Unavailable, domain.CodeOverloaded, busy},
		"context":           {400, said("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), domain.BadRequest, domain.CodeContextLength, tooLong},
		"context, 2":        {400, said("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"), domain.BadRequest, domain.CodeContextLength, tooLong},
		"filter":            {400, said("invalid_request_error", "Output blocked by content filtering policy"), domain.BadRequest, domain.CodeContentFilter, filtered},
		"bad value":         {400, said("invalid_request_error", "max_tokens: 9000 > 4096"), domain.BadRequest, "", "max_tokens: 9000 > 4096"},
		"key in the words":  {400, said("invalid_request_error", "odd "+key), domain.BadRequest, "", "odd [key]"},
		"too large":         {413, said("request_too_large", "Request exceeds the maximum size"), domain.BadRequest, "", "Request exceeds the maximum size"},
		"not JSON":          {400, "<html>secret</html>", domain.BadRequest, "", noWords},
		"server":            {500, said("api_error", "Internal server error at db-7"), domain.Unavailable, "", away},
		"timeout":           {504, said("timeout_error", "Request timed out at db-7"), domain.Unavailable, "", away},
		"redirect":          {307, "", domain.Unavailable, "", away},
		"error with 200":    {200, said("overloaded_error", "Overloaded"), domain.Unavailable, domain.CodeOverloaded, busy},
		"a message, no SSE": {200, `{"type":"message","content":[{"type":"text","text":"secret"}]}`, domain.Unavailable, "", "The provider anthropic answered in a way that Gaia can't read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := refusedWith(t, test.status, test.body)
			if e.Kind != test.kind || e.Code != test.code || e.Message != test.want {
				t.Errorf("got kind %d, code %q, %q\nwant kind %d, code %q, %q", e.Kind, e.Code, e.Message, test.kind, test.code, test.want)
			}
			if asked := test.status == http.StatusTooManyRequests || test.status > 500; asked && e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter is %v", e.RetryAfter)
			}
			for _, secret := range []string{key, "secret", "db-7", "nginx", "sk-ant"} {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("%q is in the error for the log: %s", secret, e.Error())
				}
			}
		})
	}
}

func refusedWith(t *testing.T, status int, body string) *domain.Error {
	t.Helper()
	cfg := over(t, upstreamtest.Plain, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	cfg.APIKey = key
	st, err := completer(t, cfg).Open(t.Context(), domain.Prompt{Model: "claude-9"})
	if err == nil {
		st.Close()
		t.Fatal("Open accepted a refusal")
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}
