package gaiatest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// complaints is a test that can only complain.
type complaints struct {
	testing.TB
	all []string
}

func (c *complaints) Helper() {}
func (c *complaints) Errorf(format string, args ...any) {
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

// answer is what a server that may break the contract sends.
type answer struct {
	method, path string
	status       int
	header       http.Header
	body         string
}

func TestBrokenContractsAreSeen(t *testing.T) {
	t.Parallel()
	const (
		status   = "/api/v0.2/chat/status"
		typed    = "/api/v0.2/chat/stream"
		good     = `{"message_count":1,"has_history":true,"api_version":"0.2"}`
		complete = "data: {\"type\":\"complete\",\"timestamp\":\"2026-01-02T03:04:05Z\",\"response_length\":1}\n\n"
		failed   = `{"detail":"Gone","status_code":503,"error_type":"service_unavailable","request_id":"r1"}`
	)
	events := http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}
	for name, test := range map[string]struct {
		answer
		complaint string // part of it; empty for a good answer
	}{
		"good":                 {answer{"GET", status, 200, nil, good}, ""},
		"good error":           {answer{"GET", status, 503, nil, failed}, ""},
		"good stream":          {answer{"POST", typed, 200, events, ": ping\n\n" + complete + "data: [DONE]\n\n"}, ""},
		"good 404":             {answer{"GET", "/nope", 404, nil, strings.NewReplacer("503", "404", "service_unavailable", "not_found").Replace(failed)}, ""},
		"good 405":             {answer{"PATCH", status, 405, http.Header{"Allow": {"GET"}}, strings.NewReplacer("503", "405", "service_unavailable", "method_not_allowed").Replace(failed)}, ""},
		"good redirect":        {answer{"GET", "/health/", 307, http.Header{"Location": {"http://x/health"}}, ""}, ""},
		"good page":            {answer{"GET", "/docs/x.js", 200, http.Header{"Content-Type": {"text/javascript"}}, "x"}, ""},
		"missing key":          {answer{"GET", status, 200, nil, `{"message_count":1,"has_history":true}`}, "api_version"},
		"unknown key":          {answer{"GET", status, 200, nil, `{"message_count":1,"has_history":true,"api_version":"0.2","more":1}`}, "more"},
		"wrong type":           {answer{"GET", status, 200, nil, `{"message_count":"1","has_history":true,"api_version":"0.2"}`}, "message_count"},
		"no JSON":              {answer{"GET", status, 200, nil, "nope"}, "decode"},
		"wrong content type":   {answer{"GET", status, 200, http.Header{"Content-Type": {"text/plain"}}, good}, "Content-Type"},
		"unlisted status":      {answer{"GET", status, 418, nil, failed}, "does not list"},
		"no request id":        {answer{"GET", status, 200, http.Header{"X-Request-Id": {""}}, good}, "X-Request-ID"},
		"another request id":   {answer{"GET", status, 503, http.Header{"X-Request-Id": {"r2"}}, failed}, "another answer"},
		"another status":       {answer{"GET", status, 500, nil, failed}, "another answer"},
		"internals":            {answer{"GET", status, 503, nil, strings.Replace(failed, "Gone", "ERROR (SQLSTATE 42P01)", 1)}, "internals"},
		"bad header":           {answer{"GET", status, 503, http.Header{"Retry-After": {"soon"}}, failed}, "Retry-After"},
		"bad UUID":             {answer{"DELETE", "/api/v0.2/personas/x", 200, nil, `{"success":true,"message":"Persona deleted successfully","persona_id":"x"}`}, "persona_id"},
		"bad time":             {answer{"DELETE", "/api/v0.2/chat/stream/history", 200, nil, `{"status":"success","message":"Streaming chat history cleared","timestamp":"now"}`}, "timestamp"},
		"304":                  {answer{"GET", "/api/v0.2/personas", 304, nil, ""}, ""},
		"bad event":            {answer{"POST", typed, 200, events, "data: {\"type\":\"complete\"}\n\ndata: [DONE]\n\n"}, "event"},
		"unknown event":        {answer{"POST", typed, 200, events, "data: {\"type\":\"surprise\"}\n\ndata: [DONE]\n\n"}, "event"},
		"no DONE":              {answer{"POST", typed, 200, events, complete}, "without [DONE]"},
		"two DONE":             {answer{"POST", typed, 200, events, complete + "data: [DONE]\n\ndata: [DONE]\n\n"}, "comes after"},
		"line without data":    {answer{"POST", typed, 200, events, "error: x\n\ndata: [DONE]\n\n"}, "no data"},
		"stream without order": {answer{"POST", "/api/v0.2/personas", 200, events, complete + "data: [DONE]\n\n"}, "no event stream"},
		"405 without Allow":    {answer{"PATCH", status, 405, nil, strings.Replace(failed, "503", "405", 1)}, "Allow"},
		"plain 404":            {answer{"GET", "/nope", 404, http.Header{"Content-Type": {"text/plain"}}, "404 page not found"}, "invalid character"},
		"unknown page":         {answer{"GET", "/nope", 200, nil, "{}"}, "no such answer"},
		"relative redirect":    {answer{"GET", "/health/", 307, http.Header{"Location": {"/health"}}, ""}, "not absolute"},
		"preflight":            {answer{"OPTIONS", status, 204, nil, ""}, "preflight"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(judge(t, test.answer), "\n")
			if test.complaint == "" && got != "" {
				t.Errorf("a good answer is refused: %s", got)
			}
			if !strings.Contains(got, test.complaint) {
				t.Errorf("the complaint is %q, want something about %q", got, test.complaint)
			}
		})
	}
}

// judge lets the checked transport read one answer.
func judge(t *testing.T, a answer) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("X-Request-Id", "r1")
		for name, values := range a.header {
			h[name] = values
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), a.method, server.URL+a.path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://game.example")
	complain := &complaints{TB: t}
	resp, err := checked{t: complain, next: newTransport()}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return complain.all
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	for line, alarm := range map[string]bool{
		"WARNING: DATA RACE": true, "panic: runtime error: index out of range": true, "fatal error: concurrent map writes": true,
		`{"level":"ERROR","msg":"http: panic serving 127.0.0.1:1: x"}`: true, `{"level":"INFO","msg":"listening","address":"127.0.0.1:1"}`: false,
	} {
		o := newOutput()
		for _, piece := range []string{line[:5], line[5:], "\n"} {
			_, _ = o.Write([]byte(piece))
		}
		if got := o.alarm(); (got != "") != alarm {
			t.Errorf("%s: alarm %q", line, got)
		}
	}
}

func TestOutputFindsTheAddress(t *testing.T) {
	t.Parallel()
	o := newOutput()
	for _, piece := range []string{"hello\n{\"msg\":\"lis", "tening\",\"address\":\"127.0.0.1:1234\"}\n{\"msg\":\"listening\",\"address\":\"x\"}\n"} {
		_, _ = o.Write([]byte(piece))
	}
	if got := <-o.address; got != "127.0.0.1:1234" {
		t.Errorf("address %q", got)
	}
}
