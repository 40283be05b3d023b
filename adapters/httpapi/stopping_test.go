package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/domain"
)

// TestStreamsOfOthersGetAnEnd: a middleware that forwards knows no more than the bytes that went by.
func TestStreamsOfOthersGetAnEnd(t *testing.T) {
	t.Parallel()
	const stream = "text/event-stream; charset=utf-8"
	for name, test := range map[string]struct {
		op     intake.Operation
		header map[string]string // of the answer
		sent   string
		keyed  bool
		err    error
		want   []string // what follows, line by line; nil: nothing can
		asked  []byte
	}{
		"chunks":                 {intake.Operation{ID: "V1Chat", Method: "POST"}, map[string]string{"Content-Type": stream}, "data: {}\n\n", false, domain.ErrBrokenOff, []string{`"finish_reason":"error"`, "[DONE]"}, nil},
		"chunks before any":      {intake.Operation{ID: "V02Chat", Method: "POST"}, map[string]string{"Content-Type": stream}, "", false, domain.ErrStopping, []string{`"code":"server_stopping"`, "[DONE]"}, nil},
		"with a key":             {intake.Operation{ID: "V1Chat", Method: "POST"}, map[string]string{"Content-Type": stream}, "id: 1\ndata: {}\n\n", true, domain.ErrBrokenOff, []string{"with its Idempotency-Key and Last-Event-ID goes on", "[DONE]"}, nil},
		"typed events":           {intake.Operation{ID: "V02StreamChat", Method: "POST"}, map[string]string{"Content-Type": stream}, ": ping\n\n", false, domain.ErrBrokenOff, []string{`"type":"error"`, `"type":"complete"`, "[DONE]"}, nil},
		"UI messages":            {intake.Operation{ID: "V1Chat", Method: "POST"}, map[string]string{"Content-Type": stream, uiStreamHeader: "v1"}, "data: {}\n\n", false, domain.ErrBrokenOff, []string{`"errorText"`, "[DONE]"}, nil},
		"a feed":                 {intake.Operation{ID: "V1StreamWorkflowEvents", Method: "GET"}, map[string]string{"Content-Type": stream}, "id: 3\ndata: {}\n\n", false, domain.ErrBrokenOff, []string{`"type":"interrupted"`}, nil},
		"an end":                 {intake.Operation{ID: "V1Chat", Method: "POST"}, map[string]string{"Content-Type": stream}, "data: [DONE]\n\n", false, domain.ErrBrokenOff, []string{""}, nil},
		"half an event":          {intake.Operation{ID: "V1Chat", Method: "POST"}, map[string]string{"Content-Type": stream}, "data: {}\n\ndata: {\"a", false, domain.ErrBrokenOff, nil, nil},
		"a call":                 {intake.Operation{ID: mcpOperation, Method: "POST"}, map[string]string{"Content-Type": stream}, ": ping\n\n", false, domain.ErrBrokenOff, []string{`{"jsonrpc":"2.0","id":"a","error":{"code":-32000,"message":"The service that answered can't be reached any more: it is not known whether the call took effect"`}, []byte(`{"method":"tools/call","id":"a"}`)},
		"a call as this stops":   {intake.Operation{ID: mcpOperation, Method: "POST"}, map[string]string{"Content-Type": stream}, ": ping\n\n", false, domain.ErrStopping, []string{`it is not known whether the call took effect","data":{"code":"server_stopping"}`}, []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call"}`)},
		"a notice":               {intake.Operation{ID: mcpOperation, Method: "POST"}, map[string]string{"Content-Type": stream}, "", false, domain.ErrStopping, nil, []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled"}`)},
		"several calls":          {intake.Operation{ID: mcpOperation, Method: "POST"}, map[string]string{"Content-Type": stream}, "", false, domain.ErrStopping, nil, []byte(`[{"id":1},{"id":2}]`)},
		"something else: a file": {intake.Operation{ID: "V1GetAssetFile", Method: "GET"}, map[string]string{"Content-Type": "text/plain"}, "text\n\n", false, domain.ErrBrokenOff, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			if test.keyed {
				r.Header.Set("Idempotency-Key", "k")
			}
			rec, r := record(answer, r)
			for k, v := range test.header {
				rec.Header().Set(k, v)
			}
			rec.WriteHeader(http.StatusOK)
			for _, b := range []byte(test.sent) { // in whatever pieces it came
				_, _ = rec.Write([]byte{b})
			}
			if test.op.ID == mcpOperation {
				held := &passedBody{}
				held.data.Store(&test.asked)
				r = r.WithContext(context.WithValue(r.Context(), passedKey{}, held))
				letGo(r.Context(), &test.op)
			}
			ended := endStream(rec, r, &test.op, test.err)
			rest, _ := strings.CutPrefix(answer.Body.String(), test.sent)
			if ended != (test.want != nil) || !ended && rest != "" {
				t.Fatalf("ended: %v, with %q", ended, rest)
			}
			lines := strings.Split(strings.TrimSuffix(rest, "\n\n"), "\n\n")
			if ended && len(lines) != len(test.want) {
				t.Fatalf("got %q", lines)
			}
			for i, want := range test.want {
				if want != "" && !strings.HasPrefix(lines[i], "data: ") || !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %s, want %s in it", i, lines[i], want)
				}
			}
		})
	}
}

// TestUnknownOutcomesInviteNobody: whoever sends again what was carried out has it twice, OpenAI's libraries by themselves. With the fault the
// answer would be that of a stop, or have no word of its own.
func TestUnknownOutcomesInviteNobody(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/assets/upload", "/api/v1/chat"} {
		ctx, stop := context.WithCancelCause(t.Context())
		stop(domain.ErrStopping)
		answer := httptest.NewRecorder()
		rec, r := record(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil))
		(&errorWriter{log: slog.New(slog.DiscardHandler)}).writeError(rec, r, domain.OutcomeUnknown("The server is shutting down", domain.ErrStopping))
		h, body := answer.Header(), answer.Body.String()
		if answer.Code != http.StatusServiceUnavailable || h.Get("Retry-After") != "" || h.Get("X-Should-Retry") != "false" ||
			!strings.Contains(body, `"error_type":"outcome_unknown"`) || !strings.Contains(body, "it is not known whether the request was carried out") ||
			strings.Contains(path, "chat") && !strings.Contains(body, `"code":"outcome_unknown"`) {
			t.Errorf("%s: %d %v %s", path, answer.Code, h, body)
		}
	}
}

// TestWhatIsEndedByAStopIsA503: and not an answer without a body that looks like a good one.
func TestWhatIsEndedByAStopIsA503(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"work that was given up": context.Canceled, "a body that does not come": errTooSlow, "the stop itself": domain.ErrStopping,
	} {
		ctx, stop := context.WithCancelCause(t.Context())
		stop(domain.ErrStopping)
		answer := httptest.NewRecorder()
		rec, r := record(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		(&errorWriter{log: slog.New(slog.DiscardHandler)}).writeError(rec, r, err)
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || !strings.Contains(answer.Body.String(), "shutting down") {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}
