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
