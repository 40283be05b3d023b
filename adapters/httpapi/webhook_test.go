package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gaia/app"
)

// webhookEdge is what stands before the operations of webhooks, and one that answers with the id of the task.
func webhookEdge(t *testing.T, known map[string]Webhook) *testEdge {
	t.Helper()
	e := newTestEdge(t)
	for path := range webhooks {
		op := contractOperation(t, "POST "+path)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || len(body) == 0 {
				t.Errorf("the body is gone: %v", err)
			}
			_, _ = io.WriteString(w, taskFrom(r.Context()))
		})
		log := slog.New(slog.NewJSONHandler(e.log, nil))
		bodies := gate{app.NewSlots(1), func(*http.Request) string { return "" }}
		fail := e.errs.writeError
		e.router.Method(op.Method, op.Path, limitBody(1000, fail)(validate(op, bodies, fail)(checkWebhook(op, known, log, fail)(h))))
	}
	return e
}

func signed(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const secret, body = "s3cret", `{"task_id": "t-1", "status": "SUCCEEDED"}`
	e := webhookEdge(t, map[string]Webhook{"meshy": {Secret: secret}, "midjourney": {Secret: secret}, "mubert": {Setting: "MUBERT_WEBHOOK_SECRET"}})
	right := signed(secret, body)
	for _, c := range []struct {
		what, path, body, header, signature string
		status                              int
		answer                              string
	}{
		{"signed", "/webhooks/meshy", body, "X-Meshy-Signature", right, 200, "t-1"},
		{"by its token", "/webhooks/meshy?token=" + secret, body, "", "", 200, "t-1"},
		{"as Meshy really names it", "/webhooks/meshy?token=" + secret, `{"id": "t-2"}`, "", "", 200, "t-2"},
		{"Midjourney", "/webhooks/midjourney?token=" + secret, `{"id": "17", "task_id": "18"}`, "", "", 200, "17"},
		{"unsigned", "/webhooks/meshy", body, "", "", 401, "Invalid signature"},
		{"signed with something else", "/webhooks/meshy", body, "X-Meshy-Signature", signed("other", body), 401, "Invalid signature"},
		{"another body", "/webhooks/meshy", body + " ", "X-Meshy-Signature", right, 401, "Invalid signature"},
		{"another header", "/webhooks/meshy", body, "X-Mubert-Signature", right, 401, "Invalid signature"},
		{"without its beginning", "/webhooks/meshy", body, "X-Meshy-Signature", strings.TrimPrefix(right, "sha256="), 401, "Invalid signature"},
		{"cut", "/webhooks/meshy", body, "X-Meshy-Signature", right[:40], 401, "Invalid signature"},
		{"no digits", "/webhooks/meshy", body, "X-Meshy-Signature", "sha256=zz", 401, "Invalid signature"},
		{"an empty token", "/webhooks/meshy?token=", body, "", "", 401, "Invalid signature"},
		{"without a secret", "/webhooks/mubert", `{"id": "1"}`, "X-Mubert-Signature", signed("", `{"id": "1"}`), 401, "Invalid signature"},
		{"without a secret, by token", "/webhooks/mubert?token=", `{"id": "1"}`, "", "", 401, "Invalid signature"},
		{"nothing is read of strangers", "/webhooks/meshy", "{", "", "", 401, "Invalid signature"},
		{"no JSON", "/webhooks/meshy?token=" + secret, "{", "", "", 400, "Invalid JSON payload"},
		{"no object", "/webhooks/meshy?token=" + secret, `["t"]`, "", "", 400, "Invalid JSON payload"},
		{"null", "/webhooks/meshy?token=" + secret, `null`, "", "", 400, "Invalid JSON payload"},
		{"no id", "/webhooks/meshy?token=" + secret, `{"status": "SUCCEEDED"}`, "", "", 400, "Missing task_id"},
		{"a number", "/webhooks/midjourney?token=" + secret, `{"id": 17}`, "", "", 400, "Missing job id"},
		{"an empty id", "/webhooks/midjourney?token=" + secret, `{"id": ""}`, "", "", 400, "Missing job id"},
		{"a null character", "/webhooks/meshy?token=" + secret, `{"task_id": "a\u0000"}`, "", "", 400, "Missing task_id"},
		{"a long id", "/webhooks/meshy?token=" + secret, `{"task_id": "` + strings.Repeat("x", 256) + `"}`, "", "", 400, "Missing task_id"},
		{"a long body", "/webhooks/meshy?token=" + secret, `{"task_id": "` + strings.Repeat("x", 1000) + `"}`, "", "", 413, ""},
		{"a long token", "/webhooks/meshy?token=" + strings.Repeat("x", 257), body, "", "", 422, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		if c.header != "" {
			r.Header.Set(c.header, c.signature)
		}
		res := e.serve(r)
		if c.status == http.StatusOK {
			if got := text(t, res.Body); res.StatusCode != http.StatusOK || got != c.answer {
				t.Errorf("%s: %d %s", c.what, res.StatusCode, got)
			}
			continue
		}
		schema := "Error"
		if c.status == http.StatusUnprocessableEntity {
			schema = "ValidationError"
		}
		if got := failureBody(t, res, schema); res.StatusCode != c.status || c.answer != "" && got["detail"] != c.answer {
			t.Errorf("%s: %d %v", c.what, res.StatusCode, got)
		}
	}
	if n := strings.Count(e.log.String(), "MUBERT_WEBHOOK_SECRET"); n != 1 {
		t.Errorf("the log names the missing setting %d times", n)
	}
	if strings.Contains(e.log.String(), secret) {
		t.Error("the secret is in the log")
	}
}

// Every operation that generators call is checked: one that the table lacks would be open.
func TestEveryWebhookIsChecked(t *testing.T) {
	t.Parallel()
	n := 0
	for _, op := range loadContract(t) {
		if op.Scope != scopeWebhooks {
			continue
		}
		if n++; webhooks[op.Path].generator == "" || webhooks[op.Path].signature == "" || !op.Opaque || !op.Public {
			t.Errorf("%s is not checked", op.Path)
		}
	}
	if n != len(webhooks) {
		t.Errorf("%d operations, %d in the table", n, len(webhooks))
	}
}
