package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gaia/domain"
)

// Limits of what is taken over from a provider's error.
const (
	maxProviderMessage = 500 // characters
	maxRetryAfter      = time.Hour
)

// Codes that OpenAI's clients know.
const (
	codeModelNotFound  = "model_not_found"
	codeContextLength  = "context_length_exceeded"
	codeContentFilter  = "content_filter"
	codeRateLimit      = "rate_limit_exceeded"
	codeQuota          = "insufficient_quota"
	codeInvalidAPIKey  = "invalid_api_key"
	typeInvalidRequest = "invalid_request_error"
)

// Why a stream ends early; they are causes of its context.
var (
	errClosed     = errors.New("stream closed")
	errFirstToken = errors.New("no first token in time")
	errIdle       = errors.New("nothing received in time")
)

// refused is a provider's "no", before or in the middle of a stream.
type refused struct {
	provider, model, key string
	status               int // 0 in the middle of a stream
	said                 providerError
	readable             bool // said was really found in the answer
	retryAfter           time.Duration
}

// err says what the refusal means for Gaia's client. The provider's own code decides first, since it is more exact than its status.
func (r refused) err() *domain.Error {
	switch {
	case r.is(codeQuota, "billing_hard_limit_reached", "billing_not_active"):
		return r.unavailable("The provider %s has no quota left for Gaia")
	case r.is(codeModelNotFound, "invalid_model", "DeploymentNotFound"):
		return r.noSuchModel()
	case r.is(codeContextLength):
		return r.badRequest(codeContextLength, "The messages are longer than the model's context window")
	case r.is(codeContentFilter, "content_policy_violation"):
		return r.badRequest(codeContentFilter, "The provider's content filter refused the messages")
	case r.is(codeInvalidAPIKey):
		return r.rejectedKey()
	case r.is(codeRateLimit, "rate_limit_error"):
		return r.limited()
	default:
		return r.byStatus()
	}
}

func (r refused) byStatus() *domain.Error {
	switch status := r.statusOrCode(); status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return r.rejectedKey()
	case http.StatusPaymentRequired:
		return r.unavailable("The provider %s has no quota left for Gaia")
	case http.StatusNotFound:
		if r.readable {
			return r.noSuchModel()
		}
		return r.unavailable("The provider %s has no chat completions at its configured address")
	case http.StatusTooManyRequests:
		return r.limited()
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return r.badRequest(r.openAICode(), r.safeMessage())
	case 0:
		if r.said.Type == typeInvalidRequest {
			return r.badRequest(r.openAICode(), r.safeMessage())
		}
		return r.unavailable("The provider %s failed in the middle of its answer")
	default:
		return r.unavailable("The provider %s is not available at the moment")
	}
}

func (r refused) is(words ...string) bool {
	for _, w := range words {
		if r.said.Code == w || r.said.Type == w {
			return true
		}
	}
	return false
}

// statusOrCode is the HTTP status; in the middle of a stream some providers put it into the error's code.
func (r refused) statusOrCode() int {
	if r.status != 0 && r.status != http.StatusOK {
		return r.status
	}
	code, err := strconv.Atoi(r.said.Code)
	if err != nil || code < 400 || code > 599 {
		return 0
	}
	return code
}

func (r refused) rejectedKey() *domain.Error {
	return r.unavailable("The provider %s rejected Gaia's credentials")
}

func (r refused) unavailable(format string) *domain.Error {
	return &domain.Error{
		Kind: domain.Unavailable, Message: fmt.Sprintf(format, r.provider), RetryAfter: r.retryAfter, Cause: r.cause(),
	}
}

func (r refused) limited() *domain.Error {
	return &domain.Error{
		Kind: domain.Limited, Code: codeRateLimit, Message: fmt.Sprintf("The provider %s allows no more requests at the moment", r.provider),
		RetryAfter: r.retryAfter, Cause: r.cause(),
	}
}

func (r refused) noSuchModel() *domain.Error {
	return &domain.Error{
		Kind: domain.NotFound, Code: codeModelNotFound, Cause: r.cause(),
		Message: fmt.Sprintf("The provider %s has no model %q", r.provider, r.clean(r.model)),
	}
}

func (r refused) badRequest(code, message string) *domain.Error {
	return &domain.Error{Kind: domain.BadRequest, Code: code, Message: message, Cause: r.cause()}
}

// openAICode is the provider's code when it is a word, so that clients can tell one fault from another.
func (r refused) openAICode() string {
	if _, err := strconv.Atoi(r.said.Code); err == nil || len(r.said.Code) > 64 {
		return ""
	}
	return r.clean(r.said.Code)
}

// safeMessage is what the provider says about the prompt. Only faults of the prompt itself get through to clients.
func (r refused) safeMessage() string {
	if m := r.clean(r.said.Message); m != "" {
		return m
	}
	return fmt.Sprintf("The provider %s refused the messages", r.provider)
}

// clean bounds a text of the provider, and takes out our key should the provider repeat it.
func (r refused) clean(s string) string {
	if r.key != "" {
		s = strings.ReplaceAll(s, r.key, "[key]")
	}
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > maxProviderMessage {
		s = string(runes[:maxProviderMessage]) + "…"
	}
	return s
}

// cause is for the log: enough to find the reason, and no text that a prompt or a key could be in.
func (r refused) cause() error {
	return fmt.Errorf("openai: %s answered status %d, type %q, code %q", r.provider, r.status, r.clean(r.said.Type), r.clean(r.said.Code))
}

func unreadable(provider string, cause error) *domain.Error {
	return domain.MissingPart(fmt.Sprintf("The provider %s answered in a way that Gaia can't read", provider), cause)
}

// broken explains why a connection gave no (more) answer.
func broken(ctx context.Context, provider string, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errClosed):
		return &domain.Error{Kind: domain.Canceled, Message: "The stream was closed", Cause: cause}
	case errors.Is(cause, errFirstToken):
		return domain.MissingPart(fmt.Sprintf("The provider %s did not begin to answer in time", provider), cause)
	case errors.Is(cause, errIdle):
		return domain.MissingPart(fmt.Sprintf("The provider %s stopped in the middle of its answer", provider), cause)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return domain.MissingPart(fmt.Sprintf("The provider %s did not finish in time", provider), cause)
	case ctx.Err() != nil:
		return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: cause}
	case errors.Is(err, errBrokenOff):
		return domain.MissingPart(fmt.Sprintf("The provider %s stopped in the middle of its answer", provider), err)
	case errors.Is(err, errTooLong), errors.Is(err, errNotChunk):
		return unreadable(provider, err)
	default:
		if errors.Is(err, io.EOF) { // in the chain, it would make the failure look like the end of a whole answer
			err = errors.New(err.Error())
		}
		return domain.MissingPart(fmt.Sprintf("The connection to the provider %s failed", provider), err)
	}
}

// retryAfter reads how long a provider wants to be left alone.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return boundedWait(ms / 1000)
	}
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return boundedWait(seconds)
	}
	if at, err := http.ParseTime(value); err == nil {
		return boundedWait(time.Until(at).Seconds())
	}
	return 0
}

func boundedWait(seconds float64) time.Duration {
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
}
