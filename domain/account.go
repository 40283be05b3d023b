package domain

import "time"

// Account is a user as the identity provider knows it. The words and shapes are those of Supabase Auth, which clients read as they are.
type Account struct {
	ID                 string // UUID
	Audience           string
	Role               string
	Email              string
	Phone              string
	AppMetadata        map[string]any // what the provider records
	UserMetadata       map[string]any // what users say about themselves: nothing may be decided by it
	Identities         []AccountIdentity
	Factors            []map[string]any // second factors, as the provider words them
	Anonymous          bool
	CreatedAt          time.Time
	UpdatedAt          time.Time // this and the times below are zero when they did not happen
	ConfirmedAt        time.Time
	EmailConfirmedAt   time.Time
	PhoneConfirmedAt   time.Time
	LastSignInAt       time.Time
	ConfirmationSentAt time.Time
	RecoverySentAt     time.Time
	EmailChangeSentAt  time.Time
	InvitedAt          time.Time
	NewEmail           string
	NewPhone           string
}

// AccountIdentity is a way in which a user can sign in.
type AccountIdentity struct {
	ID           string
	IdentityID   string
	UserID       string
	Data         map[string]any
	Provider     string
	CreatedAt    time.Time
	LastSignInAt time.Time
	UpdatedAt    time.Time
}

// AccountSession is what a sign-in opens.
type AccountSession struct {
	ID           string // of the session, the same after a renewal; empty when the provider does not tell
	AccessToken  string // a JWT
	RefreshToken string // good for one renewal
	ExpiresIn    int    // seconds
	ExpiresAt    time.Time
	Account      Account
}

// StoredAccount is a local account.
type StoredAccount struct {
	ID           string // UUID
	Email        string // as Supabase keeps it: in lower case
	PasswordHash string // PHC string
	UserMetadata map[string]any
	CreatedAt    time.Time
	UpdatedAt    time.Time
	LastSignInAt time.Time // zero: never
}

// StoredSession is a session of a local account. All refresh tokens that came from one sign-in belong to one session.
type StoredSession struct {
	ID        string // UUID
	AccountID string
	CreatedAt time.Time
	EndsAt    time.Time // when it ends without a renewal
}

// Ended reports whether the session is over.
func (s StoredSession) Ended(at time.Time) bool { return !s.EndsAt.After(at) }

// Renewal uses up a refresh token of a local session. Tokens are known by their SHA-256 in lower-case hexadecimal.
type Renewal struct {
	TokenHash string
	NextHash  string        // of the token that follows, which is the same each time
	At        time.Time     // now
	EndsAt    time.Time     // when the session ends without a further renewal
	Grace     time.Duration // how long a used token may be sent again in any case
	MaxTokens int           // more than so many a session can't have
}

// RenewalResult is what became of a renewal.
type RenewalResult uint8

const (
	// RenewalDone: the next token is the session's newest. It may have been made by an earlier renewal whose answer got lost.
	RenewalDone RenewalResult = iota + 1
	// RenewalPassed: the next token has been used as well, but this one not long ago. What comes after the next one is to be asked for.
	RenewalPassed
	// RenewalReused: the token was used long ago by somebody who went on from there. One of the two is a thief; the session has ended.
	RenewalReused
)

// StoredToken is a refresh token as renewals see it.
type StoredToken struct {
	UsedAt time.Time // zero: not used
	// Of the token that was made from it; NextHash is empty when there is none.
	NextHash   string
	NextUsedAt time.Time
}

// OldestToken is since when used tokens have to be remembered: as long as a session may rest.
func (r Renewal) OldestToken() time.Time { return r.At.Add(r.At.Sub(r.EndsAt)) }

// Judge says what a renewal with a token of a session may do; store tells whether the next token has still to be stored.
func (r Renewal) Judge(t StoredToken) (result RenewalResult, store bool) {
	switch {
	case t.UsedAt.IsZero():
		return RenewalDone, true
	case t.NextUsedAt.IsZero():
		// Under another signing key the next token is another one. It takes the place of what nobody can make again.
		return RenewalDone, t.NextHash != r.NextHash
	case r.At.Before(t.UsedAt.Add(r.Grace)):
		return RenewalPassed, false
	default:
		return RenewalReused, false
	}
}

// RenewedTooOften says that a session has had as many refresh tokens as one may have.
func RenewedTooOften() *Error {
	return NewError(Limited, "This session has been renewed too often; log in again")
}
