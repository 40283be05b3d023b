package openai_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gaia/adapters/openai"
	"gaia/domain"
)

const key = "sk-proj-0123456789"

func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		credentials = "The provider openai rejected Gaia's credentials"
		noQuota     = "The provider openai has no quota left for Gaia"
		noModel     = `The provider openai has no model "gpt-9"`
		limited     = "The provider openai allows no more requests at the moment"
		away        = "The provider openai is not available at the moment"
		busy        = "The provider openai is overloaded at the moment"
		refusedText = "The provider openai refused the messages"
		tooLong     = "The messages are longer than the model's context window"
		filtered    = "The provider's content filter refused the messages"
	)
	tests := map[string]struct {
		status int
		body   string
		kind   domain.Kind
		code   string
		want   string
	}{
		"bad key":            {401, `{"error":{"message":"Incorrect API key provided: sk-proj-****","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, domain.Unavailable, "provider_credentials", credentials},
		"no permission":      {403, `{"error":{"message":"Country not supported","type":"request_forbidden","code":"unsupported_country_region_territory"}}`, domain.Unavailable, "provider_credentials", credentials},
		"bad key, Gemini":    {401, `[{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}]`, domain.Unavailable, "provider_credentials", credentials},
		"model":              {404, `{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}`, domain.NotFound, "model_not_found", noModel},
		"model, forbidden":   {403, `{"error":{"message":"no access","type":"invalid_request_error","code":"model_not_found"}}`, domain.NotFound, "model_not_found", noModel},
		"model, Ollama":      {404, `{"error":{"message":"model \"gpt-9\" not found","type":"api_error","param":null,"code":null}}`, domain.NotFound, "model_not_found", noModel},
		"model, Mistral":     {400, `{"object":"error","message":"Invalid model: gpt-9","type":"invalid_model","param":null,"code":"1500"}`, domain.NotFound, "model_not_found", noModel},
		"model, plain text":  {404, `{"error":"model not found"}`, domain.NotFound, "model_not_found", noModel},
		"wrong address":      {404, `404 page not found`, domain.Unavailable, "", "The provider openai has no chat completions at its configured address"},
		"wrong address, 2":   {404, `{"detail":"Not Found"}`, domain.Unavailable, "", "The provider openai has no chat completions at its configured address"},
		"rate limit":         {429, `{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, domain.Limited, "rate_limit_exceeded", limited},
		"rate limit, silent": {429, ``, domain.Limited, "rate_limit_exceeded", limited},
		"quota":              {429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, domain.Unavailable, "insufficient_quota", noQuota},
		"no balance":         {402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}`, domain.Unavailable, "insufficient_quota", noQuota},
		"context":            {400, `{"error":{"message":"This model's maximum context length is 8192 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, domain.BadRequest, "context_length_exceeded", tooLong},
		"content filter":     {400, `{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400}}`, domain.BadRequest, "content_filter", filtered},
		"content policy":     {400, `{"error":{"message":"policy","type":"invalid_request_error","code":"content_policy_violation"}}`, domain.BadRequest, "content_filter", filtered},
		"bad value":          {400, `{"error":{"message":"Invalid 'temperature'","type":"invalid_request_error","param":"temperature","code":"decimal_above_max_value"}}`, domain.BadRequest, "decimal_above_max_value", "Invalid 'temperature'"},
		"code is a number":   {400, `{"error":{"message":"bad","code":400}}`, domain.BadRequest, "", "bad"},
		"key in the message": {400, `{"error":{"message":"odd ` + key + `","type":"x","code":null}}`, domain.BadRequest, "", "odd [key]"},
		"control characters": {400, `{"error":{"message":" a\nb\u0000c "}}`, domain.BadRequest, "", "a b c"},
		"message of 100 KB":  {400, `{"error":{"message":"` + strings.Repeat("é", 20_000) + `"}}`, domain.BadRequest, "", strings.Repeat("é", 500) + "…"},
		"body of 1 MB":       {400, strings.Repeat("x", 1<<20), domain.BadRequest, "", refusedText},
		"not JSON":           {400, `<html>secret</html>`, domain.BadRequest, "", refusedText},
		"empty list":         {400, `[]`, domain.BadRequest, "", refusedText},
		"unprocessable":      {422, `{"detail":[{"msg":"x","input":"secret"}]}`, domain.BadRequest, "", "x"},
		"no rules":           {422, `{"detail":{"msg":"secret"}}`, domain.BadRequest, "", refusedText},
		"not of an error":    {400, `{"message":"secret"}`, domain.BadRequest, "", refusedText},
		"context, vLLM":      {400, `{"object":"error","message":"This model's maximum context length is 8192 tokens. However, you requested 9000.","type":"BadRequestError","param":null,"code":400}`, domain.BadRequest, "context_length_exceeded", tooLong},
		"context, llama.cpp": {400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`, domain.BadRequest, "context_length_exceeded", tooLong},
		"too large":          {413, ``, domain.BadRequest, "", refusedText},
		"server":             {500, `{"error":{"message":"oops at db-7.internal","type":"server_error","code":null}}`, domain.Unavailable, "", away},
		"gateway":            {502, `<html>nginx</html>`, domain.Unavailable, "", away},
		"overloaded":         {503, `{"error":{"message":"The engine is currently overloaded","type":"server_error"}}`, domain.Unavailable, "overloaded", busy},
		"Cloudflare":         {529, ``, domain.Unavailable, "overloaded", busy},
		"redirect":           {307, ``, domain.Unavailable, "", away},
		"teapot":             {418, ``, domain.Unavailable, "", away},
		"error with 200":     {200, `{"error":{"message":"bad","type":"invalid_request_error"}}`, domain.BadRequest, "", "bad"},
		"JSON with 200":      {200, `{"choices":[{"message":{"content":"secret"}}]}`, domain.Unavailable, "", "The provider openai answered in a way that Gaia can't read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := refusedWith(t, openai.Config{}, test.status, http.Header{"Location": {"http://127.0.0.1:1/"}}, test.body)
			if e.Kind != test.kind || e.Code != test.code || e.Message != test.want {
				t.Errorf("got kind %d, code %q, %q\nwant kind %d, code %q, %q", e.Kind, e.Code, e.Message, test.kind, test.code, test.want)
			}
			for _, secret := range []string{key, "secret", "db-7", "nginx", "sk-proj"} {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("%q is in the error for the log: %s", secret, e.Error())
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		header http.Header
		least  time.Duration
		most   time.Duration
	}{
		"seconds":            {429, http.Header{"Retry-After": {"7"}}, 7 * time.Second, 7 * time.Second},
		"fraction":           {429, http.Header{"Retry-After": {"0.5"}}, 500 * time.Millisecond, 500 * time.Millisecond},
		"milliseconds first": {429, http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"250"}}, 250 * time.Millisecond, 250 * time.Millisecond},
		"date":               {429, http.Header{"Retry-After": {time.Now().Add(30 * time.Minute).UTC().Format(http.TimeFormat)}}, 20 * time.Minute, 30 * time.Minute},
		"date gone by":       {429, http.Header{"Retry-After": {"Mon, 02 Jan 2006 15:04:05 GMT"}}, 0, 0},
		"none":               {429, nil, 0, 0},
		"nonsense":           {429, http.Header{"Retry-After": {"soon"}, "Retry-After-Ms": {"NaN"}}, 0, 0},
		"negative":           {429, http.Header{"Retry-After": {"-3"}}, 0, 0},
		"endless":            {429, http.Header{"Retry-After": {"1e300"}}, time.Hour, time.Hour},
		"overloaded":         {503, http.Header{"Retry-After": {"7"}}, 7 * time.Second, 7 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := refusedWith(t, openai.Config{}, test.status, test.header, "").RetryAfter; got < test.least || got > test.most {
				t.Errorf("got %v, want %v to %v", got, test.least, test.most)
			}
		})
	}
}

func refusedWith(t *testing.T, cfg openai.Config, status int, header http.Header, body string) *domain.Error {
	t.Helper()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	cfg.BaseURL, cfg.APIKey = server.URL, key
	c := openai.New(cfg)
	defer c.CloseIdle()
	st, err := c.Open(t.Context(), domain.Prompt{Model: "gpt-9"})
	if err == nil {
		st.Close()
		t.Fatal("Open accepted a refusal")
	}
	server.Close()
	if calls != 1 {
		t.Errorf("the provider was asked %d times", calls)
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}
