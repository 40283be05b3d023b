package upstream

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

	"gaia/adapters/internal/eventstream"
	"gaia/domain"
)

// Limits of what is taken over from a provider's error.
const (
	maxProviderMessage = 500 // characters
	maxCode            = 64  // bytes
	maxRetryAfter      = time.Hour
)

// StatusOverloaded is the status of providers, and of servers in front of them, that have too much to do.
const StatusOverloaded = 529

// ErrUnreadable says that an event makes no sense in the provider's format.
var ErrUnreadable = errors.New("not an event of this format")

// Why a stream ends early; the first three are causes of its context.
var (
	errClosed     = errors.New("stream closed")
	errFirstToken = errors.New("no first token in time")
	errIdle       = errors.New("nothing received in time")
	errTooLong    = errors.New("the answer is too long")
	errBrokenOff  = errors.New("stream ended before the finish reason")
)

// Said is an error as a provider words it.
type Said struct {
	Type       string
	Code       string // a word; some send the HTTP status as a number
	Message    string
	RetryAfter time.Duration // zero when not told
}

// Refusal is a provider's "no", before or in the middle of an answer.
type Refusal struct {
	Said
	Provider, Model, Key string
	Status               int  // 0 in the middle of an answer
	Readable             bool // Said was really found in the answer
}

// Is reports whether the provider used one of the words as code or type.
func (r Refusal) Is(words ...string) bool {
	for _, w := range words {
		if r.Code == w || r.Type == w {
			return true
		}
	}
	return false
}

// ByStatus says what the HTTP status means. badPrompt says whether the prompt is at fault when there is no status to tell.
func (r Refusal) ByStatus(badPrompt bool) *domain.Error {
	switch r.statusOrCode() {
	case http.StatusUnauthorized, http.StatusForbidden:
		return r.RejectedKey()
	case http.StatusPaymentRequired:
		return r.NoQuota()
	case http.StatusNotFound:
		if r.Readable {
			return r.NoSuchModel()
		}
		return r.unavailable("", "The provider %s has no chat completions at its configured address")
	case http.StatusTooManyRequests:
		return r.Limited()
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return r.BadPrompt()
	case http.StatusServiceUnavailable, StatusOverloaded:
		return r.Overloaded()
	case 0:
		if badPrompt {
			return r.BadPrompt()
		}
		return r.unavailable("", "The provider %s failed in the middle of its answer")
	default:
		return r.Unavailable()
	}
}

// statusOrCode is the HTTP status; in the middle of a stream some providers put it into the error's code.
func (r Refusal) statusOrCode() int {
	if r.Status != 0 && r.Status != http.StatusOK {
		return r.Status
	}
	code, err := strconv.Atoi(r.Code)
	if err != nil || code < 400 || code > 599 {
		return 0
	}
	return code
}

// RejectedKey says that the provider does not accept Gaia's key, or not for this.
func (r Refusal) RejectedKey() *domain.Error {
	return r.unavailable(domain.CodeCredentials, "The provider %s rejected Gaia's credentials")
}

// NoQuota says that Gaia's account at the provider is used up.
func (r Refusal) NoQuota() *domain.Error {
	return r.unavailable(domain.CodeQuota, "The provider %s has no quota left for Gaia")
}

// Overloaded says that the provider has too much to do.
func (r Refusal) Overloaded() *domain.Error {
	return r.unavailable(domain.CodeOverloaded, "The provider %s is overloaded at the moment")
}

// Unavailable says that the provider has a fault of its own.
func (r Refusal) Unavailable() *domain.Error {
	return r.unavailable("", "The provider %s is not available at the moment")
}

func (r Refusal) unavailable(code, format string) *domain.Error {
	return &domain.Error{
		Kind: domain.Unavailable, Code: code, Message: fmt.Sprintf(format, r.Provider), RetryAfter: r.RetryAfter, Cause: r.cause(),
	}
}

// Limited says that Gaia asks too often.
func (r Refusal) Limited() *domain.Error {
	return &domain.Error{
		Kind: domain.Limited, Code: domain.CodeRateLimit, RetryAfter: r.RetryAfter, Cause: r.cause(),
		Message: fmt.Sprintf("The provider %s allows no more requests at the moment", r.Provider),
	}
}

// NoSuchModel says that the provider does not know the model.
func (r Refusal) NoSuchModel() *domain.Error {
	return &domain.Error{
		Kind: domain.NotFound, Code: domain.CodeModelNotFound, Cause: r.cause(),
		Message: fmt.Sprintf("The provider %s has no model %q", r.Provider, r.clean(r.Model)),
	}
}

// ContextLength says that the prompt is longer than the model can read.
func (r Refusal) ContextLength() *domain.Error {
	return r.badRequest(domain.CodeContextLength, "The messages are longer than the model's context window")
}

// ContentFilter says that the provider does not want to answer this.
func (r Refusal) ContentFilter() *domain.Error {
	return r.badRequest(domain.CodeContentFilter, "The provider's content filter refused the messages")
}

// BadPrompt passes on what the provider says about the prompt. Only faults of the prompt itself get through to clients.
func (r Refusal) BadPrompt() *domain.Error {
	message := r.clean(r.Message)
	if message == "" {
		message = fmt.Sprintf("The provider %s refused the messages", r.Provider)
	}
	return r.badRequest(r.word(), message)
}

// RefusedOrder passes on what a service says about an order that it does not take.
func (r Refusal) RefusedOrder() *domain.Error {
	message := fmt.Sprintf("%s refused the order", r.Provider)
	if said := r.clean(r.Message); said != "" {
		message += ": " + said
	}
	return r.badRequest(r.word(), message)
}

// FilteredOrder says that the service does not want to make what an order describes.
func (r Refusal) FilteredOrder() *domain.Error {
	return r.badRequest(domain.CodeContentFilter, fmt.Sprintf("The content filter of %s refused the description", r.Provider))
}

func (r Refusal) badRequest(code, message string) *domain.Error {
	return &domain.Error{Kind: domain.BadRequest, Code: code, Message: message, Cause: r.cause()}
}

// word is the provider's code when it is a word, so that clients can tell one fault from another.
func (r Refusal) word() string {
	if _, err := strconv.Atoi(r.Code); err == nil || len(r.Code) > maxCode {
		return ""
	}
	return r.clean(r.Code)
}

// clean bounds a text of the provider, and takes out our key should the provider repeat it.
func (r Refusal) clean(s string) string {
	if r.Key != "" {
		s = strings.ReplaceAll(s, r.Key, "[key]")
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
func (r Refusal) cause() error {
	return fmt.Errorf("%s answered status %d, type %q, code %q", r.Provider, r.Status, r.clean(r.Type), r.clean(r.Code))
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
	case errors.Is(err, errTooLong), errors.Is(err, eventstream.ErrTooLong), errors.Is(err, ErrUnreadable):
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
		return BoundedWait(ms / 1000)
	}
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return BoundedWait(seconds)
	}
	if at, err := http.ParseTime(value); err == nil {
		return BoundedWait(time.Until(at).Seconds())
	}
	return 0
}

// BoundedWait is a number of seconds that a provider named, an hour at most; nonsense is no wait.
func BoundedWait(seconds float64) time.Duration {
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
}
