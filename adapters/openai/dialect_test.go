package openai_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gaia/adapters/internal/upstreamtest"
	"gaia/adapters/openai"
	"gaia/domain"
)

func TestRefusalsOfDialects(t *testing.T) {
	t.Parallel()
	const (
		credentials = "The provider openai rejected Gaia's credentials"
		noModel     = `The provider openai has no model "gpt-9"`
		limited     = "The provider openai allows no more requests at the moment"
		away        = "The provider openai is not available at the moment"
		busy        = "The provider openai is overloaded at the moment"
		tooLong     = "The messages are longer than the model's context window"
	)
	google := func(code, status, message, details string) string {
		return `[{"error":{"code":` + code + `,"message":"` + message + `","status":"` + status + `","details":[` + details + `]}}]`
	}
	tests := map[string]struct {
		dialect openai.Dialect
		status  int
		body    string
		kind    domain.Kind
		code    string
		want    string
		after   time.Duration
	}{
		"Gemini, bad key":     {openai.Gemini, 400, google("400", "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", ""), domain.Unavailable, domain.CodeCredentials, credentials, 0},
		"Gemini, old key":     {openai.Gemini, 400, google("400", "INVALID_ARGUMENT", "API key expired. Please renew the API key.", ""), domain.Unavailable, domain.CodeCredentials, credentials, 0},
		"Gemini, forbidden":   {openai.Gemini, 403, google("403", "PERMISSION_DENIED", "x", ""), domain.Unavailable, domain.CodeCredentials, credentials, 0},
		"Gemini, place":       {openai.Gemini, 400, google("400", "FAILED_PRECONDITION", "User location is not supported for the API use.", ""), domain.Unavailable, "", away, 0},
		"Gemini, model":       {openai.Gemini, 404, google("404", "NOT_FOUND", "models/gpt-9 is not found for API version v1main", ""), domain.NotFound, domain.CodeModelNotFound, noModel, 0},
		"Gemini, too long":    {openai.Gemini, 400, google("400", "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", ""), domain.BadRequest, domain.CodeContextLength, tooLong, 0},
		"Gemini, field":       {openai.Gemini, 400, google("400", "INVALID_ARGUMENT", `Unknown name \"x\": Cannot find field.`, `{"@type":"type.googleapis.com/google.rpc.BadRequest"}`), domain.BadRequest, "", `Unknown name "x": Cannot find field.`, 0},
		"Gemini, limited":     {openai.Gemini, 429, google("429", "RESOURCE_EXHAUSTED", "You exceeded your current quota", `{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}`), domain.Limited, domain.CodeRateLimit, limited, 34500 * time.Millisecond},
		"Gemini, odd delay":   {openai.Gemini, 429, google("429", "RESOURCE_EXHAUSTED", "x", `{"retryDelay":"soon"},{"retryDelay":"-5s"}`), domain.Limited, domain.CodeRateLimit, limited, 0},
		"Gemini, overloaded":  {openai.Gemini, 503, google("503", "UNAVAILABLE", "The model is overloaded.", ""), domain.Unavailable, domain.CodeOverloaded, busy, 0},
		"Gemini, fault":       {openai.Gemini, 500, google("500", "INTERNAL", "secret", ""), domain.Unavailable, "", away, 0},
		"Mistral, bad key":    {openai.Mistral, 401, `{"detail":"Unauthorized"}`, domain.Unavailable, domain.CodeCredentials, credentials, 0},
		"Mistral, model":      {openai.Mistral, 400, `{"object":"error","message":"Invalid model: gpt-9","type":"invalid_model","param":null,"code":"1500"}`, domain.NotFound, domain.CodeModelNotFound, noModel, 0},
		"Mistral, rules":      {openai.Mistral, 422, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","messages",0,"x"],"msg":"Extra inputs are not permitted","input":"secret"}]},"type":"invalid_request_error","param":null,"code":null}`, domain.BadRequest, "", "body.messages.0.x: Extra inputs are not permitted", 0},
		"Mistral, rules only": {openai.Mistral, 422, `{"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required","input":"secret"},{"msg":"odd"}]}`, domain.BadRequest, "", "body.model: Field required; odd", 0},
		"Mistral, rules list": {openai.Mistral, 422, `{"object":"Error","message":[{"loc":["body"],"msg":"Bad","input":"secret"}],"type":"invalid_request_error","code":3001}`, domain.BadRequest, "", "body: Bad", 0},
		"Mistral, many rules": {openai.Mistral, 422, `{"detail":[` + strings.Repeat(`{"msg":"a"},`, 9) + `{"msg":"b"}]}`, domain.BadRequest, "", "a; a; a; a; a", 0},
		"Mistral, strange":    {openai.Mistral, 422, `{"object":"error","message":{"secret":1},"type":"x"}`, domain.BadRequest, "", "The provider openai refused the messages", 0},
		"Mistral, too long":   {openai.Mistral, 400, `{"object":"error","message":"Prompt contains 40001 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","param":null,"code":"3051"}`, domain.BadRequest, domain.CodeContextLength, tooLong, 0},
		"Mistral, order":      {openai.Mistral, 400, `{"object":"error","message":"Expected last role User or Tool","type":"invalid_request_message_order","param":null,"code":"3230"}`, domain.BadRequest, "", "Expected last role User or Tool", 0},
		"Mistral, limited":    {openai.Mistral, 429, `{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}`, domain.Limited, domain.CodeRateLimit, limited, 0},
		"Mistral, fault":      {openai.Mistral, 500, `{"object":"error","message":"secret","type":"internal_server_error","param":null,"code":"1000"}`, domain.Unavailable, "", away, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := refusedWith(t, openai.Config{Dialect: test.dialect}, test.status, http.Header{}, test.body)
			if e.Kind != test.kind || e.Code != test.code || e.Message != test.want || e.RetryAfter != test.after {
				t.Errorf("got kind %d, code %q, %q, %v\nwant kind %d, code %q, %q, %v", e.Kind, e.Code, e.Message, e.RetryAfter, test.kind, test.code, test.want, test.after)
			}
			if strings.Contains(e.Error(), "secret") {
				t.Errorf("what the provider repeats is in the error for the log: %v", e)
			}
		})
	}
}

// Mistral takes ids of nine letters and digits only; a call and its result have to keep the same one, and others another.
func TestIDsForMistral(t *testing.T) {
	t.Parallel()
	fits := regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)
	sent := map[string]bool{}
	ids := []string{"call_abc", "toolu_01", "abcDEF012", "äöü", "call_abcdefghi"}
	for _, id := range ids {
		_, body := capture(t, openai.Config{Dialect: openai.Mistral}, domain.Prompt{Messages: []domain.PromptMessage{
			{Role: domain.RoleAssistant, ToolCalls: []domain.ToolCall{{ID: id, Name: "f", Arguments: "{}"}}},
			{Role: domain.RoleTool, ToolCallID: id, Content: "x"},
		}})
		var r struct {
			Messages []struct {
				ToolCalls []struct{ ID string } `json:"tool_calls"`
				Result    string                `json:"tool_call_id"`
			}
		}
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatal(err)
		}
		got := r.Messages[0].ToolCalls[0].ID
		if !fits.MatchString(got) || got != r.Messages[1].Result || (fits.MatchString(id) && got != id) {
			t.Errorf("%s became %q, in the result %q", id, got, r.Messages[1].Result)
		}
		sent[got] = true
	}
	if len(sent) != len(ids) {
		t.Errorf("%d ids became %d", len(ids), len(sent))
	}
}

// A call without an id gets one that its provider takes back.
func TestMadeIDs(t *testing.T) {
	t.Parallel()
	const nameless = `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"null","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}` + "\n\n"
	for dialect, form := range map[openai.Dialect]string{
		openai.Standard: `^call_\w{20,}$`, openai.Gemini: `^call_\w{20,}$`, openai.Mistral: `^[A-Z0-9]{9}$`,
	} {
		a, err := answer(t, openai.New(openai.Config{Dialect: dialect, HTTPClient: upstreamtest.Canned(strings.NewReader(nameless))}))
		if err != nil || len(a.ToolCalls) != 1 || !regexp.MustCompile(form).MatchString(a.ToolCalls[0].ID) {
			t.Errorf("dialect %d: got %+v, %v", dialect, a, err)
		}
	}
}
