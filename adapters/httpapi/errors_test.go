package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

// fails serves a request for path with a handler that fails with err.
func fails(t *testing.T, path string, err error) (*http.Response, *testEdge) {
	t.Helper()
	e := newTestEdge(t)
	e.router.Get("/*", func(w http.ResponseWriter, r *http.Request) { e.errs.writeError(w, r, err) })
	return e.serve(request(t, http.MethodGet, path)), e
}

func TestEachKindHasItsStatusAndWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind       domain.Kind
		status     int
		errorType  string
		openAIType string
	}{
		{domain.BadRequest, 400, "bad_request", "invalid_request_error"},
		{domain.Unauthenticated, 401, "authentication_error", "authentication_error"},
		{domain.PaymentRequired, 402, "budget_exceeded", "insufficient_quota"},
		{domain.Forbidden, 403, "permission_denied", "permission_error"},
		{domain.NotFound, 404, "not_found", "invalid_request_error"},
		{domain.Conflict, 409, "conflict", "invalid_request_error"},
		{domain.TooLarge, 413, "payload_too_large", "invalid_request_error"},
		{domain.Limited, 429, "rate_limit_exceeded", "rate_limit_error"},
		{domain.Internal, 500, "internal_error", "api_error"},
		{domain.Unimplemented, 501, "not_implemented", "api_error"},
		{domain.Unavailable, 503, "service_unavailable", "api_error"},
	} {
		err := fmt.Errorf("use case: %w", &domain.Error{Kind: c.kind, Message: "A sentence", Code: "a_code", RetryAfter: 1500 * time.Millisecond})
		schema, want := "Error", "A sentence"
		if c.kind == domain.Limited {
			schema = "RateLimitError"
		}
		if c.kind == domain.Internal {
			want = "Internal server error"
		}
		res, _ := fails(t, "/api/v0.2/chat", err)
		body := failureBody(t, res, schema)
		if res.StatusCode != c.status || body["error_type"] != c.errorType || body["detail"] != want || body["request_id"] != "id-1" {
			t.Errorf("kind %d: %d %v", c.kind, res.StatusCode, body)
		}
		if c.kind == domain.Limited && body["error"] != want {
			t.Errorf("429 says %v", body["error"])
		}
		if got := res.Header.Get("WWW-Authenticate"); (got == "Bearer") != (c.status == 401) {
			t.Errorf("%d: WWW-Authenticate %q", c.status, got)
		}
		if got := res.Header.Get("Retry-After"); c.kind != domain.Internal && got != "2" {
			t.Errorf("%d: Retry-After %q", c.status, got)
		}
		res, _ = fails(t, "/api/v1/chat/completions", err)
		object := failureBody(t, res, "OpenAIError")["error"].(map[string]any)
		if object["type"] != c.openAIType || object["message"] != want || c.kind != domain.Internal && object["code"] != "a_code" {
			t.Errorf("kind %d for OpenAI clients: %v", c.kind, object)
		}
	}
}

func TestInvalidInputListsFaults(t *testing.T) {
	t.Parallel()
	faults := []domain.Fault{
		{Type: "missing", Loc: []any{"body", "messages", 0, "role"}, Msg: "Field required", Input: map[string]any{"a": "<b>"}},
		{Type: "string_too_long", Loc: []any{"body", "name"}, Msg: "Too long", Input: strings.Repeat("é", 10_000_000), Ctx: map[string]any{"max_length": 3}},
		{Type: "odd", Loc: []any{"body"}, Msg: "Odd", Input: math.Inf(1)},
		{Type: "odd", Loc: []any{"body"}, Msg: "Odd", Input: "\xff"},
	}
	res, _ := fails(t, "/api/v1/chat", domain.InvalidInput(faults...))
	body := failureBody(t, res, "OpenAIValidationError")
	list := body["detail"].([]any)
	if res.StatusCode != 422 || len(list) != len(faults) || body["error_type"] != "validation_error" {
		t.Fatalf("%d %v", res.StatusCode, body)
	}
	if got := list[0].(map[string]any)["input"].(map[string]any)["a"]; got != "<b>" {
		t.Errorf("input %v", got)
	}
	if got := list[1].(map[string]any)["input"].(string); len(got) > 1024 || !strings.HasSuffix(got, "é…") {
		t.Errorf("long input has %d bytes, ends %q", len(got), got[len(got)-10:])
	}
	if got := list[2].(map[string]any)["input"]; got != nil {
		t.Errorf("infinite input %v", got)
	}
	object := body["error"].(map[string]any)
	if object["param"] != "messages.0.role" || object["message"] != "messages.0.role: Field required" {
		t.Errorf("error object %v", object)
	}
}

func TestInvalidInputWithoutEncodableFigures(t *testing.T) {
	t.Parallel()
	for _, fault := range []domain.Fault{
		{Type: "odd", Loc: []any{"body", func() {}}, Msg: "Odd"},
		{Type: "odd", Loc: []any{"body"}, Msg: "Odd", Ctx: map[string]any{"limit": math.NaN()}},
	} {
		res, _ := fails(t, "/x", domain.InvalidInput(fault))
		failureBody(t, res, "ValidationError")
	}
	res, _ := fails(t, "/x", domain.NewError(domain.Invalid, "Either this or that"))
	body := failureBody(t, res, "ValidationError")
	if msg := body["detail"].([]any)[0].(map[string]any)["msg"]; msg != "Value error, Either this or that" {
		t.Errorf("message %v", msg)
	}
}

func TestCausesGoToTheLogOnly(t *testing.T) {
	t.Parallel()
	secret := errors.New(`SQLSTATE 42P01: relation "secret"`)
	for _, c := range []struct {
		err    error
		status int
		log    string
	}{
		{secret, 500, `"level":"ERROR"`},
		{&domain.Error{Kind: domain.Internal, Message: "secret words", Cause: secret}, 500, `"level":"ERROR"`},
		{domain.MissingPart("The database is away", secret), 503, `"level":"WARN"`},
		{context.DeadlineExceeded, 500, `"level":"ERROR"`},
	} {
		res, e := fails(t, "/x", c.err)
		body := text(t, res.Body)
		if res.StatusCode != c.status || strings.Contains(body, "secret") {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		contains(t, e.log.String(), c.log, c.err.Error()[:5], `"request_id":"id-1"`)
	}
	_, e := fails(t, "/x", domain.NewError(domain.NotFound, "gone"))
	if strings.Contains(e.log.String(), "request failed") {
		t.Errorf("logged twice: %s", e.log)
	}
}

func TestCanceledWritesNothingAndCountsAs499(t *testing.T) {
	t.Parallel()
	e := newTestEdge(t)
	e.router.Get("/x", func(w http.ResponseWriter, r *http.Request) {
		e.errs.writeError(w, r, fmt.Errorf("ask: %w", context.Canceled))
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res := e.serve(request(t, http.MethodGet, "/x").WithContext(ctx))
	if body := text(t, res.Body); body != "" {
		t.Errorf("wrote %q", body)
	}
	contains(t, e.log.String(), `"status":499`)
	if strings.Contains(e.log.String(), "ERROR") {
		t.Errorf("log: %s", e.log)
	}
}

// A cancellation that did not come from the client must not look like an empty success.
func TestCanceledWithTheClientStillThere(t *testing.T) {
	t.Parallel()
	res, _ := fails(t, "/x", context.Canceled)
	if body := failureBody(t, res, "Error"); res.StatusCode != 503 {
		t.Errorf("%d %v", res.StatusCode, body)
	}
}

func TestOpenAIPathsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for key, op := range loadContract(t) {
		if got := isOpenAIPath(op.Path); got != op.OpenAI {
			t.Errorf("%s: %t, the contract says %t", key, got, op.OpenAI)
		}
	}
}

// A client that leaves while it is answered is no failure of Gaia.
func TestClientsThatLeaveHalfwayAreNotLoggedAsFailures(t *testing.T) {
	t.Parallel()
	for _, left := range []bool{true, false} {
		e := newTestEdge(t)
		ctx, leave := context.WithCancel(t.Context())
		e.router.Get("/x", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("half"))
			if left {
				leave()
			}
			e.errs.writeError(w, r, errors.New("write: broken pipe"))
		})
		func() {
			defer func() { _ = recover() }()
			e.serve(request(t, http.MethodGet, "/x").WithContext(ctx))
		}()
		leave()
		if logged := strings.Contains(e.log.String(), "halfway"); logged == left {
			t.Errorf("the client left: %v; logged as a failure: %v", left, logged)
		}
	}
}
