package httpapi

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// scopeWebhooks is that of operations which generators call.
const scopeWebhooks = "webhooks"

// Webhook is what has to be known of the calls of one generator.
type Webhook struct {
	Secret  string // empty: nobody may call
	Setting string // the environment variable that has the secret
}

// webhook says how the calls of one generator look.
type webhook struct {
	generator string
	signature string   // header
	ids       []string // fields of the body that may name a task, the first that is there
	missing   string
}

// Where generators call.
const (
	meshyNews      = "/webhooks/meshy"
	midjourneyNews = "/webhooks/midjourney"
	mubertNews     = "/webhooks/mubert"
)

// webhooks are those that there are, by path.
var webhooks = map[string]webhook{
	meshyNews:      {"meshy", "X-Meshy-Signature", []string{"task_id", "id"}, "Missing task_id"},
	midjourneyNews: {"midjourney", "X-Midjourney-Signature", []string{"id"}, "Missing job id"},
	mubertNews:     {"mubert", "X-Mubert-Signature", []string{"id"}, "Missing task id"},
}

// Limits of what generators send, in bytes.
const (
	maxWebhook = 1 << 20
	maxTaskID  = 255
)

type taskKey struct{}

// checkWebhook lets only those calls of generators through that carry the secret, and remembers of which task they tell. It needs the bytes
// of the body as they came, so they are not judged by the contract before.
func checkWebhook(op *intake.Operation, known map[string]Webhook, log *slog.Logger, fail failFunc) func(http.Handler) http.Handler {
	hook := webhooks[op.Path]
	return func(next http.Handler) http.Handler {
		if op.Scope != scopeWebhooks {
			return next
		}
		var closed sync.Once
		secret := known[hook.generator].Secret
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body) // in memory already, and bounded
			if err != nil {
				fail(w, r, errCutShort)
				return
			}
			if secret == "" {
				closed.Do(func() {
					log.WarnContext(r.Context(), "an address for news of a generator was called and is closed: no secret is set", "setting", known[hook.generator].Setting)
				})
			}
			if !genuine(secret, body, r.Header.Get(hook.signature), r.URL.Query().Get("token")) {
				fail(w, r, domain.NewError(domain.Unauthenticated, "Invalid signature"))
				return
			}
			task, err := hook.task(body)
			if err != nil {
				fail(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), taskKey{}, task))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			next.ServeHTTP(w, r)
		})
	}
}

// genuine reports whether a call was made by somebody who knows the secret: who has signed the body with it, or names it. What is compared
// takes the same time whatever is wrong.
func genuine(secret string, body []byte, signature, token string) bool {
	if secret == "" {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	claimed, err := hex.DecodeString(strings.TrimPrefix(signature, "sha256="))
	signed := err == nil && strings.HasPrefix(signature, "sha256=") && hmac.Equal(claimed, mac.Sum(nil))
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 || signed
}

// task is the id of the task that a body tells of. Nothing else in it is looked at.
func (h webhook) task(body []byte) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return "", domain.NewError(domain.BadRequest, "Invalid JSON payload")
	}
	for _, name := range h.ids {
		var id string
		if json.Unmarshal(fields[name], &id) == nil && id != "" && len(id) <= maxTaskID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl) {
			return id, nil
		}
	}
	return "", domain.NewError(domain.BadRequest, h.missing)
}

// taskFrom is the id of the task that checkWebhook has found.
func taskFrom(ctx context.Context) string {
	task, _ := ctx.Value(taskKey{}).(string)
	return task
}

// WebhookMeshy has a task of Meshy looked at.
func (s *server) WebhookMeshy(ctx context.Context, _ oapi.WebhookMeshyRequestObject) (oapi.WebhookMeshyResponseObject, error) {
	return oapi.WebhookMeshy200JSONResponse{Status: oapi.Received, TaskId: taskFrom(ctx)}, s.generations.News(ctx, webhooks[meshyNews].generator, taskFrom(ctx))
}

// WebhookMidjourney has a job of Midjourney looked at.
func (s *server) WebhookMidjourney(ctx context.Context, _ oapi.WebhookMidjourneyRequestObject) (oapi.WebhookMidjourneyResponseObject, error) {
	return oapi.WebhookMidjourney200JSONResponse{Status: oapi.Received, JobId: taskFrom(ctx)}, s.generations.News(ctx, webhooks[midjourneyNews].generator, taskFrom(ctx))
}

// WebhookMubert has a track of Mubert looked at.
func (s *server) WebhookMubert(ctx context.Context, _ oapi.WebhookMubertRequestObject) (oapi.WebhookMubertResponseObject, error) {
	return oapi.WebhookMubert200JSONResponse{Status: oapi.Received, TaskId: taskFrom(ctx)}, s.generations.News(ctx, webhooks[mubertNews].generator, taskFrom(ctx))
}
