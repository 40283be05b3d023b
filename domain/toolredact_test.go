package domain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"gaia/domain"
)

func TestRedactArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		redact    []string
		raw, want string
	}{
		{nil, `{"a":1.50,"b":[true,null]}`, `{"a":1.50,"b":[true,null]}`},
		{[]string{"a"}, `{"a":{"deep":{"er":["x"]}},"b":2}`, `{"a":"[redacted]","b":2}`},
		{[]string{"a"}, `{"A":"x","aa":"y","b":{"a":"inner"}}`, `{"A":"[redacted]","aa":"y","b":{"a":"inner"}}`},
		{[]string{"a"}, `{"a":"x","a":"y"}`, `{"a":"[redacted]"}`},
		{[]string{"*"}, `{"a":"x","b":2}`, `{"a":"[redacted]","b":"[redacted]"}`},
		{[]string{"*"}, `{}`, `{}`}, {nil, `["x"]`, `{}`}, {nil, `null`, `{}`}, {nil, `{"a":`, `{}`}, {nil, ``, `{}`},
	} {
		got, err := json.Marshal(domain.RedactArguments(domain.ToolSpec{Redact: test.redact}, json.RawMessage(test.raw)))
		if err != nil || string(got) != test.want {
			t.Errorf("%s without %q became %s, %v", test.raw, test.redact, got, err)
		}
	}
}

func TestRedactResult(t *testing.T) {
	t.Parallel()
	result := domain.ToolResult{Text: "secret", Failed: true, Truncated: true}
	if got := domain.RedactResult(domain.ToolSpec{}, result); got != result {
		t.Errorf("got %+v", got)
	}
	if got := domain.RedactResult(domain.ToolSpec{RedactResult: true}, result); got != (domain.ToolResult{Text: "[redacted]", Failed: true, Truncated: true}) {
		t.Errorf("got %+v", got)
	}
}

func TestAuditArguments(t *testing.T) {
	t.Parallel()
	const key = "gaia_live_0123456789abcdefghijklmnopqrstuv"
	for raw, want := range map[string]string{
		`{"q":"<b>&\u4e16","n":12345678901234567890}`:                                `{"n":12345678901234567890,"q":"<b>&世"}`,
		`{"url":"https://x.example/?key=` + key + `"}`:                               `{"url":"https://x.example/?key=[secret]"}`,
		`{"login":{"user":"ada","Password":"p","list":[{"api-key":{"a":1}}]},"z":1}`: `{"login":{"Password":"[redacted]","list":[{"api-key":"[redacted]"}],"user":"ada"},"z":1}`,
		`{"hidden":"h","max_tokens":5,"page_token":"t"}`:                             `{"hidden":"[redacted]","max_tokens":5,"page_token":"t"}`,
		`{"db_password":"p","X-Api-Key":"k","awsSecretAccessKey":"s","pwd":"p","session cookie":"c","pin":"1234","user_token":1234567}`: `{"X-Api-Key":"[redacted]","awsSecretAccessKey":"[redacted]","db_password":"[redacted]",` +
			`"pin":"[redacted]","pwd":"[redacted]","session cookie":"[redacted]","user_token":"[redacted]"}`,
		`{"headers":["Authorization: Bearer abcdef123"],"url":"postgres://ada:geheim@db/x","text":"bearer of news"}`: `{"headers":["Authorization: [redacted]"],"text":"bearer of news","url":"postgres[redacted]db/x"}`,
		`{"author":"ada","pinned":true,"max_tokens":99,"secret":false}`:                                              `{"author":"ada","max_tokens":99,"pinned":true,"secret":false}`,
		`[1]`: `{}`,
	} {
		if got := domain.AuditArguments(domain.ToolSpec{Redact: []string{"hidden"}}, json.RawMessage(raw)); got != want {
			t.Errorf("%s became %s, want %s", raw, got, want)
		}
	}
	long := `{"text":"` + strings.Repeat("世", 1000) + `"}`
	if got := domain.AuditArguments(domain.ToolSpec{}, json.RawMessage(long)); len(got) > 1024 || len(got) < 1020 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
	edge := `{"text":"` + strings.Repeat("x ", 500) + key + `"}` // the cut must not hide the shape of a secret
	if got := domain.AuditArguments(domain.ToolSpec{}, json.RawMessage(edge)); strings.Contains(got, "0123") {
		t.Errorf("a secret is left: %s", got[990:])
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want domain.ToolOutcome
	}{
		{nil, domain.ToolOK}, {domain.NewError(domain.NotFound, "x"), domain.ToolRefused}, {domain.NewError(domain.BadRequest, "x"), domain.ToolRefused},
		{domain.NewError(domain.Limited, "x"), domain.ToolUnavailable}, {domain.NewError(domain.Canceled, "x"), domain.ToolCanceled},
		{fmt.Errorf("x: %w", &domain.Error{Kind: domain.Unavailable, Code: domain.CodeOutcomeUnknown}), domain.ToolOutcomeUnknown},
		{domain.MissingPart("x", nil), domain.ToolUnavailable}, {errors.New("x"), domain.ToolOutcomeUnknown},
	} {
		if got := domain.OutcomeOf(domain.ToolResult{}, test.err); got != test.want {
			t.Errorf("%v is %s", test.err, got)
		}
	}
	if got := domain.OutcomeOf(domain.ToolResult{Failed: true}, nil); got != domain.ToolFailed {
		t.Errorf("a tool that failed is %s", got)
	}
}

func BenchmarkAuditArguments(b *testing.B) {
	raw := json.RawMessage(`{"text":"` + strings.Repeat("some words and abcdef0123456789.", domain.MaxToolArguments/32-1) + `"}`)
	for b.Loop() {
		domain.AuditArguments(domain.ToolSpec{}, raw)
	}
}
