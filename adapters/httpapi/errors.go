package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gaia/adapters/httpapi/internal/intake"
	"gaia/adapters/httpapi/internal/oapi"
	"gaia/app"
	"gaia/domain"
)

// failFunc answers a request with a failure.
type failFunc = func(http.ResponseWriter, *http.Request, error)

// edgeError is a failure that only exists in HTTP.
type edgeError struct {
	status    int
	errorType string
	message   string
}

func (e *edgeError) Error() string { return e.message }

var (
	errNoRoute  = &edgeError{http.StatusNotFound, "not_found", "Not Found"}
	errMethod   = &edgeError{http.StatusMethodNotAllowed, "method_not_allowed", "Method Not Allowed"}
	errTooSlow  = &edgeError{http.StatusRequestTimeout, "bad_request", "The body of the request did not arrive in time"}
	errCutShort = &edgeError{http.StatusBadRequest, "bad_request", "The body of the request ended early"}
)

const internalMessage = "Internal server error"

// failure is an error as clients see it.
type failure struct {
	status     int
	errorType  string
	message    string
	faults     []domain.Fault // when the input was invalid
	openAIType string
	code       string // for OpenAI clients; may be empty
	retryAfter time.Duration
}

// kinds says how each kind of domain error reads in HTTP and to OpenAI clients.
var kinds = map[domain.Kind]failure{
	domain.BadRequest:      {status: http.StatusBadRequest, errorType: "bad_request", openAIType: "invalid_request_error"},
	domain.Unauthenticated: {status: http.StatusUnauthorized, errorType: "authentication_error", openAIType: "authentication_error", code: "invalid_api_key"},
	domain.PaymentRequired: {status: http.StatusPaymentRequired, errorType: "budget_exceeded", openAIType: "insufficient_quota", code: "insufficient_quota"},
	domain.Forbidden:       {status: http.StatusForbidden, errorType: "permission_denied", openAIType: "permission_error"},
	domain.NotFound:        {status: http.StatusNotFound, errorType: "not_found", openAIType: "invalid_request_error"},
	domain.Conflict:        {status: http.StatusConflict, errorType: "conflict", openAIType: "invalid_request_error"},
	domain.TooLarge:        {status: http.StatusRequestEntityTooLarge, errorType: "payload_too_large", openAIType: "invalid_request_error"},
	domain.Invalid:         {status: http.StatusUnprocessableEntity, errorType: "validation_error", openAIType: "invalid_request_error"},
	domain.Limited:         {status: http.StatusTooManyRequests, errorType: "rate_limit_exceeded", openAIType: "rate_limit_error", code: "rate_limit_exceeded"},
	domain.Unimplemented:   {status: http.StatusNotImplemented, errorType: "not_implemented", openAIType: "api_error"},
	domain.Unavailable:     {status: http.StatusServiceUnavailable, errorType: "service_unavailable", openAIType: "api_error"},
}

// failureOf decides how an error reads to clients. What is not classified shows nothing of itself.
func failureOf(err error) failure {
	var edge *edgeError
	if errors.As(err, &edge) {
		return failure{status: edge.status, errorType: edge.errorType, message: edge.message, openAIType: "invalid_request_error"}
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		e = &domain.Error{Kind: domain.KindOf(err)}
	}
	if e.Kind == domain.Canceled { // but somebody is still there to read an answer
		e = domain.MissingPart("The request was given up before it was finished", err)
	}
	f, known := kinds[e.Kind]
	if !known {
		return failure{status: http.StatusInternalServerError, errorType: "internal_error", openAIType: "api_error", message: internalMessage}
	}
	f.message, f.retryAfter = e.Message, e.RetryAfter
	if e.Code != "" {
		f.code = e.Code
	}
	if e.Code == domain.CodeOutcomeUnknown {
		f.errorType = domain.CodeOutcomeUnknown
	}
	if f.message == "" {
		f.message = http.StatusText(f.status)
	}
	if e.Kind == domain.Invalid {
		if f.faults = e.Faults; len(f.faults) == 0 {
			f.faults = []domain.Fault{{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, " + f.message}}
		}
		f.message = sentence(f.faults[0])
	}
	return f
}

// clientMessage is what clients may read about an error, in one sentence.
func clientMessage(err error) string { return failureOf(err).message }

// openAIErrorFor is an error as OpenAI clients read it.
func openAIErrorFor(err error) oapi.OpenAIErrorObject { return failureOf(err).openAI() }

func (f failure) openAI() oapi.OpenAIErrorObject {
	o := oapi.OpenAIErrorObject{Message: f.message, Type: f.openAIType}
	if f.code != "" {
		o.Code = &f.code
	}
	if len(f.faults) > 0 {
		if param := dotted(f.faults[0].Loc); param != "" {
			o.Param = &param
		}
	}
	return o
}

// sentence says a fault in words: where and what.
func sentence(f domain.Fault) string {
	if where := dotted(f.Loc); where != "" {
		return where + ": " + f.Msg
	}
	return f.Msg
}

// dotted writes a location as OpenAI names parameters: messages.0.role. The first step, such as "body", is left out.
func dotted(loc []any) string {
	var b strings.Builder
	for i, step := range loc {
		if i > 1 {
			b.WriteByte('.')
		}
		if i > 0 {
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// errorWriter is the only place that answers failures.
type errorWriter struct{ log *slog.Logger }

// writeError answers a request with an error and logs it when it is Gaia's fault or that of a part of it.
func (e *errorWriter) writeError(w http.ResponseWriter, r *http.Request, err error) {
	rec := recorderFrom(r.Context())
	if rec != nil && rec.written() {
		if domain.KindOf(err) != domain.Canceled && r.Context().Err() == nil { // net/http ends the context when a write fails
			e.log.ErrorContext(r.Context(), "answer failed halfway", "request_id", requestIDFrom(r.Context()), "path", pathPattern(r), "error", err)
		}
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	if isStopping(r.Context()) && endedByStopping(err) {
		err = domain.ErrStopping
	}
	if domain.KindOf(err) == domain.Canceled && r.Context().Err() != nil {
		if rec != nil {
			rec.canceled = true
		}
		return
	}
	f := failureOf(err)
	e.logFailure(r, f, err)
	h := w.Header()
	h.Del("Content-Encoding")
	h.Del("Content-Length")
	h.Del("ETag")
	h.Del("Cache-Control")
	h.Set("Content-Type", "application/json")
	switch {
	case f.status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case f.status == http.StatusRequestEntityTooLarge, f.status == http.StatusRequestTimeout:
		h.Set("Connection", "close") // what is left of the body is not wanted
	}
	var exceeded *app.RateExceeded
	if errors.As(err, &exceeded) {
		if rec != nil {
			rec.limited = true
		}
		setStanding(h, exceeded.Standing)
	}
	if f.code == domain.CodeOutcomeUnknown {
		h.Set("X-Should-Retry", "false") // for OpenAI's libraries, which send again after any 503 that does not say so
	}
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		// #nosec G705 -- JSON, and the header says so
		_, _ = w.Write(f.body(requestIDFrom(r.Context()), forOpenAI(r.URL.Path, err)))
	}
}

func (e *errorWriter) logFailure(r *http.Request, f failure, err error) {
	if level, worth := logLevel(f.status); worth {
		e.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request failed",
			slog.String("request_id", requestIDFrom(r.Context())), slog.String("method", r.Method), slog.String("path", pathPattern(r)),
			slog.Int("status", f.status), slog.Any("error", err))
	}
}

// logLate tells of a failure that only the end of a stream tells: its status, which the access log has, was sent long before.
func logLate(ctx context.Context, log *slog.Logger, err error) {
	if rec := recorderFrom(ctx); rec != nil {
		rec.failed = true
	}
	status := failureOf(err).status
	level, worth := logLevel(status)
	if !worth {
		level = slog.LevelInfo // no other line has it
	}
	log.LogAttrs(context.WithoutCancel(ctx), level, "stream failed",
		slog.String("request_id", requestIDFrom(ctx)), slog.Int("would_be", status), slog.Any("error", err))
}

// logLevel is how a failure of this status is logged, if it is: for others the line of the access log is enough.
func logLevel(status int) (level slog.Level, worth bool) {
	switch status {
	case http.StatusInternalServerError:
		return slog.LevelError, true
	case http.StatusServiceUnavailable:
		return slog.LevelWarn, true
	default:
		return 0, false
	}
}

// forOpenAI reports whether the answer has to carry OpenAI's error object: OpenAI clients call more paths below /api/v1 than there are.
func forOpenAI(path string, err error) bool {
	return isOpenAIPath(path) || errors.Is(err, errNoRoute) && strings.HasPrefix(path, "/api/v1/")
}

// isOpenAIPath reports whether OpenAI clients call a path. It has to work for paths without a route, too.
func isOpenAIPath(path string) bool {
	switch path {
	case "/api/v1/chat", "/api/v1/chat/completions", "/api/v1/models":
		return true
	default:
		return strings.HasPrefix(path, "/api/v1/models/")
	}
}

// errorBody is the one form of failures. The order of its fields is the order in which people read them.
type errorBody struct {
	Detail     any    `json:"detail"`
	Error      any    `json:"error,omitempty"`
	StatusCode int    `json:"status_code"`
	ErrorType  string `json:"error_type"`
	RequestID  string `json:"request_id"`
}

type faultBody struct {
	Type  string          `json:"type"`
	Loc   []any           `json:"loc"`
	Msg   string          `json:"msg"`
	Input json.RawMessage `json:"input"`
	Ctx   map[string]any  `json:"ctx,omitempty"`
}

func (f failure) body(requestID string, forOpenAI bool) []byte {
	b := errorBody{Detail: f.message, StatusCode: f.status, ErrorType: f.errorType, RequestID: requestID}
	if f.faults != nil {
		list := make([]faultBody, len(f.faults))
		for i, fault := range f.faults {
			list[i] = faultBody{fault.Type, fault.Loc, fault.Msg, shown(fault.Input), fault.Ctx}
		}
		b.Detail = list
	}
	switch {
	case forOpenAI:
		b.Error = f.openAI()
	case f.status == http.StatusTooManyRequests:
		b.Error = f.message
	}
	out, err := encode(b)
	if err != nil { // a fault holds something that is no JSON: its place and message still help
		return f.withoutFigures().body(requestID, forOpenAI)
	}
	return out
}

// withoutFigures leaves only what always encodes.
func (f failure) withoutFigures() failure {
	faults := make([]domain.Fault, len(f.faults))
	for i, fault := range f.faults {
		faults[i] = domain.Fault{Type: fault.Type, Loc: []any{"body"}, Msg: fault.Msg}
	}
	f.faults = faults
	return f
}

// shown is an input value as a fault shows it: bounded, and always JSON.
func shown(input any) json.RawMessage {
	raw, err := encode(input)
	if err != nil {
		return json.RawMessage("null")
	}
	return intake.Preview(raw)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// refused turns what the generated code says about a request into a fault. Validation comes first, so this is for what it can't see.
func (e *errorWriter) refused(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		e.writeError(w, r, errBodyTooLarge(tooLarge.Limit))
		return
	}
	e.writeError(w, r, &domain.Error{
		Kind: domain.Invalid, Cause: err,
		Faults: []domain.Fault{{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, the request can't be read"}},
	})
}

func errBodyTooLarge(limit int64) error {
	return domain.NewError(domain.TooLarge, "The body of the request is larger than "+strconv.FormatInt(limit, 10)+" bytes")
}

func errMediaType(want string) error {
	return &edgeError{http.StatusUnsupportedMediaType, "unsupported_media_type", "Unsupported media type: this operation reads " + want}
}
