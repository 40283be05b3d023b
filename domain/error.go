package domain

import (
	"context"
	"errors"
	"time"
)

// Kind says what went wrong in the words of the domain. It is a small closed set: the edge maps each to one status, and callers
// decide by it whether a retry makes sense.
type Kind uint8

// The kinds. Internal is the zero value, so an error that nobody classified is Internal.
const (
	Internal        Kind = iota // a fault of Gaia
	BadRequest                  // can't be carried out as it stands
	Invalid                     // input breaks its rules; Faults lists every one
	Unauthenticated             // no usable credentials
	PaymentRequired             // a budget does not allow it
	Forbidden                   // known caller who may not do this
	NotFound                    // absent, or not visible to the caller
	Conflict                    // contradicts what is stored
	TooLarge                    // more than a limit allows
	Limited                     // too often; RetryAfter says when to come back
	Unimplemented               // planned and not there yet
	Unavailable                 // a part that this needs is away; Message names it
	Canceled                    // the caller left
)

// Error is the one error type that crosses package borders with a meaning. Message is safe to show to clients; the cause is for
// the log only.
type Error struct {
	Kind       Kind
	Code       string // a stable word for OpenAI clients, such as "model_not_found"; may be empty
	Message    string
	Faults     []Fault       // for Invalid
	RetryAfter time.Duration // for Limited and Unavailable; zero when unknown
	Cause      error
}

// Fault is one broken rule of the input, in the vocabulary that clients of the old platform parse: Type is a stable word
// ("missing", "string_type"), Loc leads to the value ("body", "messages", 0, "role"), Input is the value itself.
type Fault struct {
	Type  string
	Loc   []any // string keys and int indices
	Msg   string
	Input any
	Ctx   map[string]any // figures that belong to the fault; nil when there are none
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Codes that the layers agree on.
const (
	CodeNameTaken     = "name_taken"      // Conflict: an active persona has this name
	CodeModelNotFound = "model_not_found" // NotFound: nobody knows this model

	// Of providers; they are OpenAI's words, which clients know.
	CodeContextLength = "context_length_exceeded" // BadRequest: the messages are longer than the model's window
	CodeContentFilter = "content_filter"          // BadRequest: the provider's filter refused the messages
	CodeRateLimit     = "rate_limit_exceeded"     // Limited, with RetryAfter when the provider told
	CodeCredentials   = "provider_credentials"    // Unavailable: the provider rejected Gaia's key
	CodeOverloaded    = "overloaded"              // Unavailable: the provider has too much to do
	CodeQuota         = "insufficient_quota"      // PaymentRequired: the caller's budget; Unavailable: Gaia's account at the provider

	// Of identity providers.
	CodeBadCredentials   = "invalid_credentials"   // BadRequest: no account has this address and password
	CodeWeakPassword     = "weak_password"         // BadRequest: the password breaks the provider's rules
	CodeNotRegistered    = "registration_refused"  // BadRequest: no account can be opened like this
	CodeNotConfirmed     = "email_not_confirmed"   // BadRequest: the password is right, the address waits to be confirmed
	CodeBadRefreshToken  = "invalid_refresh_token" //nolint:gosec // a word, not a credential; BadRequest: unknown, used up or revoked
	CodeSwitchedOff      = "provider_disabled"     // BadRequest: the identity provider does not offer this
	CodeAccountSuspended = "account_suspended"     // Forbidden, BadRequest when a session is renewed
	CodeSessionEnded     = "session_ended"         // Unauthenticated: the token was good, its session is over

	CodeOutcomeUnknown = "outcome_unknown" // Unavailable: a tool, a service or the store may or may not have done what it was asked
	CodeEnded          = "ended"           // Conflict: the workflow has ended
	CodeLapsed         = "lapsed"          // Unavailable: what was set aside in a budget may have been given to others
)

// NewError makes an error of a kind with a message for clients.
func NewError(kind Kind, message string) *Error { return &Error{Kind: kind, Message: message} }

// InvalidInput reports broken rules of the input.
func InvalidInput(faults ...Fault) *Error {
	return &Error{Kind: Invalid, Message: "Invalid input", Faults: faults}
}

// MissingPart says that a part of the system is away. The message reaches clients, the cause only the log.
func MissingPart(message string, cause error) *Error {
	return &Error{Kind: Unavailable, Message: message, Cause: cause}
}

// StoreAway is MissingPart for the database: nobody else has failed, and what was asked for is worth another try.
func StoreAway(message string, cause error) *Error { return MissingPart(message, &storeAway{cause}) }

// StoreInDoubt is StoreAway for a change of which nobody knows whether it is stored: it was sent, and the answer was lost. Who can look what
// became of it should, and nobody may be told that it was not.
func StoreInDoubt(message string, cause error) *Error {
	return OutcomeUnknown(message, &storeAway{cause})
}

// IsInDoubt reports whether an error comes from StoreInDoubt.
func IsInDoubt(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeOutcomeUnknown && IsStoreAway(e)
}

type storeAway struct{ cause error }

func (e *storeAway) Error() string { return e.cause.Error() }
func (e *storeAway) Unwrap() error { return e.cause }

// IsStoreAway reports whether an error comes from StoreAway or StoreInDoubt.
func IsStoreAway(err error) bool {
	var away *storeAway
	return errors.As(err, &away)
}

// KindOf classifies any error: wrapped domain errors by their kind, cancellation as Canceled, everything else as Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Canceled
	default:
		return Internal
	}
}

// kindNames are words for figures and logs.
var kindNames = map[Kind]string{
	Internal: "internal", BadRequest: "bad_request", Invalid: "invalid", Unauthenticated: "unauthenticated",
	PaymentRequired: "payment_required", Forbidden: "forbidden", NotFound: "not_found", Conflict: "conflict", TooLarge: "too_large",
	Limited: "limited", Unimplemented: "unimplemented", Unavailable: "unavailable", Canceled: "canceled",
}

// FailureOf names an error in one stable word: its code, or else its kind.
func FailureOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	return kindNames[KindOf(err)]
}
