package supabase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gaia/domain"
)

// What clients read. None of it comes from Supabase.
const (
	msgBadCredentials = "The e-mail address or the password is wrong"
	msgNotRegistered  = "An account can't be opened with this e-mail address and password"
	msgNotConfirmed   = "The e-mail address has not been confirmed yet"
	msgBadRefresh     = "The refresh token is not valid anymore: sign in again"
	msgSuspended      = "The account is suspended"
	msgBadToken       = "The access token is not valid"
	msgSessionEnded   = "The session has ended: sign in again"
	msgBadAddress     = "The e-mail address is not valid"
	msgRefused        = "The identity provider refuses this request"
	msgBusy           = "The session is being renewed by another request: try again"
	msgAway           = "The identity provider is not available at the moment"
	msgMisplaced      = "The identity provider is not at its configured address: see SUPABASE_URL and SUPABASE_AUTH_PATH"
	msgOurKey         = "The identity provider does not accept SUPABASE_ANON_KEY"
)

// How long to wait when the server does not tell. Its buckets fill up with one request in 2 s for tokens and one in 10 s for the
// rest, and one mail in 60 s goes to an address.
const (
	waitToken = 2 * time.Second
	waitOther = 10 * time.Second
	waitMail  = time.Minute
	maxWait   = time.Hour
)

// meaning is what a refusal means for Gaia's client.
type meaning struct {
	kind    domain.Kind
	code    string
	message string
	wait    time.Duration
}

// The codes of Supabase, by name where the code asks for one of them.
const (
	wordBadCredentials = "invalid_credentials"
	wordBanned         = "user_banned"
	wordNoSession      = "session_not_found"
	wordNoUser         = "user_not_found"
	wordInvalid        = "validation_failed"
	wordBadJWT         = "bad_jwt"
	wordWeak           = "weak_password"
	wordMailLimit      = "over_email_send_rate_limit"
	wordRequestLimit   = "over_request_rate_limit"
)

var (
	badCredentials = meaning{kind: domain.BadRequest, code: domain.CodeBadCredentials, message: msgBadCredentials}
	notRegistered  = meaning{kind: domain.BadRequest, code: domain.CodeNotRegistered, message: msgNotRegistered}
	badRefresh     = meaning{kind: domain.BadRequest, code: domain.CodeBadRefreshToken, message: msgBadRefresh}
	badToken       = meaning{kind: domain.Unauthenticated, message: msgBadToken}
	sessionEnded   = meaning{kind: domain.Unauthenticated, code: domain.CodeSessionEnded, message: msgSessionEnded}
	away           = meaning{kind: domain.Unavailable, message: msgAway}
	plainlyRefused = meaning{kind: domain.BadRequest, message: msgRefused}
)

// meanings are those of the codes that mean the same in every call.
var meanings = map[string]meaning{
	wordBadCredentials:             badCredentials,
	"email_not_confirmed":          {kind: domain.BadRequest, code: domain.CodeNotConfirmed, message: msgNotConfirmed},
	"user_already_exists":          notRegistered,
	"email_exists":                 notRegistered,
	"email_address_invalid":        {kind: domain.BadRequest, message: msgBadAddress},
	"email_address_not_authorized": {kind: domain.BadRequest, message: "The identity provider sends no mail to this address"},
	wordInvalid:                    plainlyRefused,
	"captcha_failed":               {kind: domain.BadRequest, message: "The identity provider demands a captcha, which can't be solved here"},
	"signup_disabled":              {kind: domain.BadRequest, code: domain.CodeSwitchedOff, message: "New accounts can't be opened at the moment"},
	"email_provider_disabled": {
		kind: domain.BadRequest, code: domain.CodeSwitchedOff, message: "Signing in with an e-mail address is switched off",
	},
	"phone_provider_disabled":     {kind: domain.BadRequest, code: domain.CodeSwitchedOff, message: "Signing in with a phone is switched off"},
	"anonymous_provider_disabled": {kind: domain.BadRequest, code: domain.CodeSwitchedOff, message: "Signing in without an address is switched off"},
	"refresh_token_not_found":     badRefresh,
	"refresh_token_already_used":  badRefresh,
	"session_expired":             badRefresh,
	"conflict":                    {kind: domain.Unavailable, message: msgBusy, wait: time.Second},
	"no_authorization":            badToken,
	wordBadJWT:                    badToken,
	wordNoSession:                 sessionEnded,
	wordBanned:                    {kind: domain.Forbidden, code: domain.CodeAccountSuspended, message: msgSuspended},
	"not_admin":                   {kind: domain.Forbidden, message: msgRefused},
	wordMailLimit: {
		kind: domain.Limited, code: domain.CodeRateLimit, message: "Too many mails for the moment: try again later", wait: waitMail,
	},
	"over_sms_send_rate_limit": {kind: domain.Limited, code: domain.CodeRateLimit, message: "Too many messages for the moment: try again later", wait: waitMail},
	wordRequestLimit: {
		kind: domain.Limited, code: domain.CodeRateLimit, message: "Too many tries for the moment: try again later", wait: waitOther,
	},
	"request_entity_too_large": {kind: domain.TooLarge, message: "The request is larger than the identity provider reads"},
	"request_timeout":          {kind: domain.Unavailable, message: "The identity provider did not answer in time"},
	"unexpected_failure":       away,
}

// refusal is a "no" of the server, or of what stands before it.
type refusal struct {
	call    string
	status  int
	word    string // the code; empty when there is none, which a server of Supabase Auth never does with JSON
	reasons []string
	wait    time.Duration
}

// Error is for the log.
func (r *refusal) Error() string {
	return fmt.Sprintf("supabase %s: status %d, code %q", r.call, r.status, r.word)
}

// as turns the refusal into what it means. own are the meanings that codes have in this call alone.
func (r *refusal) as(own map[string]meaning) *domain.Error {
	m, known := own[r.word]
	if !known {
		m = r.meaning()
	}
	e := &domain.Error{Kind: m.kind, Code: m.code, Message: m.message, Cause: r}
	if m.kind == domain.Limited || m.kind == domain.Unavailable {
		e.RetryAfter = m.wait
		if r.wait > 0 {
			e.RetryAfter = r.wait
		}
	}
	return e
}

func (r *refusal) meaning() meaning {
	if r.word == wordWeak {
		return meaning{kind: domain.BadRequest, code: domain.CodeWeakPassword, message: weakness(r.reasons)}
	}
	if r.word == wordNoUser && r.status != http.StatusNotFound { // whose token it is, not whom it asks about
		return sessionEnded
	}
	if m, known := meanings[r.word]; known {
		return m
	}
	return r.byStatus()
}

// byStatus is for codes that nobody has seen yet, and for answers without one, which come from gateways.
func (r *refusal) byStatus() meaning {
	switch {
	case r.status == http.StatusTooManyRequests:
		return meanings[wordRequestLimit]
	case r.status >= 500:
		return away
	case r.word == "" && r.status == http.StatusUnauthorized:
		return meaning{kind: domain.Unavailable, message: msgOurKey}
	case r.word == "" && (r.status < 400 || r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed):
		return meaning{kind: domain.Unavailable, message: msgMisplaced}
	case r.word == "":
		return away
	case r.status == http.StatusUnauthorized:
		return badToken
	case r.status == http.StatusNotFound:
		return meaning{kind: domain.NotFound, message: "The identity provider does not have it"}
	case r.status == http.StatusForbidden:
		return meaning{kind: domain.Forbidden, message: msgRefused}
	default:
		return plainlyRefused
	}
}

// weakness says what is wrong with a password in words of our own.
func weakness(reasons []string) string {
	var faults []string
	for _, reason := range reasons {
		switch reason {
		case "length":
			faults = append(faults, "it is too short")
		case "characters":
			faults = append(faults, "it lacks a kind of character that is required")
		case "pwned":
			faults = append(faults, "it is known from leaks")
		}
	}
	if len(faults) == 0 {
		return "The password is too weak"
	}
	return "The password is too weak: " + strings.Join(faults, ", ")
}

// known is the form of codes; anything else is no code and must not reach the log.
var known = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// refused reads a refusal. The code is in a header, but for weak passwords in the new form of errors and failures that nobody has
// foreseen; in the body it has two places.
func refused(name string, resp *http.Response, body []byte) *refusal {
	var said map[string]json.RawMessage
	_ = json.Unmarshal(body, &said) // what is no JSON has no code
	r := &refusal{call: name, status: resp.StatusCode, wait: retryAfter(resp.Header)}
	for _, candidate := range []string{resp.Header.Get("X-Sb-Error-Code"), text(said["error_code"]), text(said["code"])} {
		if known.MatchString(candidate) {
			r.word = candidate
			break
		}
	}
	var weak struct {
		Reasons []string `json:"reasons"`
	}
	if json.Unmarshal(said["weak_password"], &weak) == nil {
		r.reasons = weak.Reasons
	}
	return r
}

func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // the old form has a number here
	return s
}

func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0
		}
		seconds = time.Until(at).Seconds()
	}
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second))
}

// unreadable says that the server answered with something else than Supabase Auth does.
func unreadable(name string, cause error) *domain.Error {
	return domain.MissingPart("The identity provider answered in a way that Gaia can't read", fmt.Errorf("supabase %s: %w", name, cause))
}

// broken explains why a connection gave no (whole) answer. ctx is the caller's.
func broken(ctx context.Context, name string, err error) error {
	cause := fmt.Errorf("supabase %s: %w", name, err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: cause}
	case errors.Is(err, context.DeadlineExceeded):
		return domain.MissingPart("The identity provider did not answer in time", cause)
	default:
		return domain.MissingPart(msgAway, cause)
	}
}
