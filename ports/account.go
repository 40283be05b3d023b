package ports

import (
	"context"
	"time"

	"gaia/domain"
)

// Accounts is an identity provider. No call may share a session with another: each carries its own token. domain.OriginFrom tells whose
// calls may be counted together.
//
// What the provider refuses must be domain.BadRequest with a sentence for the client and one of the account codes of domain, an access
// token that is not good domain.Unauthenticated, a suspended account domain.Forbidden, too many tries domain.Limited, and a provider
// that is away or can't answer domain.Unavailable. Neither the error nor the time that it takes may tell whether an account exists,
// unless the caller has proved to own it.
type Accounts interface {
	// Register opens an account. session is nil while the address has to be confirmed, or when the account is there and no session could be
	// opened: a login gives one. A password that is too weak must be domain.CodeWeakPassword, an address that has an account
	// domain.CodeNotRegistered, as whatever else can't be registered.
	Register(ctx context.Context, email, password string) (domain.Account, *domain.AccountSession, error)
	// Login opens a session. The case of an address must not matter. A wrong password, an unknown address and a suspended account must
	// all be domain.CodeBadCredentials with the same message.
	Login(ctx context.Context, email, password string) (domain.AccountSession, error)
	// Refresh renews the session of a refresh token, which is used up by it. Sending the same token again right away, as one does
	// after an answer was lost, must go well; some seconds after the token that came of it was used, it must end the session. Any token
	// that is not good must be domain.CodeBadRefreshToken.
	Refresh(ctx context.Context, refreshToken string) (domain.AccountSession, error)
	// Logout ends the session of an access token with its refresh tokens, and no other. A session that has ended must be no error.
	Logout(ctx context.Context, accessToken string) error
	// Account returns whose access token it is, as the provider knows them now. The token of a session that has ended must be
	// domain.Unauthenticated.
	Account(ctx context.Context, accessToken string) (domain.Account, error)
	// ResendVerification sends the mail again that confirms an address. Unknown and confirmed addresses must look the same.
	ResendVerification(ctx context.Context, email string) error
	// Recover sends a mail to somebody who has lost the password. Unknown addresses must look the same. A provider that can't send mail
	// must be domain.Unavailable, whoever asks.
	Recover(ctx context.Context, email string) error
}

// AccountStore keeps local accounts. A store that is away must be domain.Unavailable.
type AccountStore interface {
	// Create stores an account. An address that exists must be domain.Conflict, also when two race.
	Create(ctx context.Context, a domain.StoredAccount) error
	// ByEmail returns an account; domain.NotFound when there is none.
	ByEmail(ctx context.Context, email string) (domain.StoredAccount, error)
	// Get returns an account by id; domain.NotFound when there is none.
	Get(ctx context.Context, id string) (domain.StoredAccount, error)
	// SetPasswordHash replaces the hash old of an account. An account that has another one, or is not there, must be domain.Conflict:
	// whoever checked a password must not undo that it was changed meanwhile.
	SetPasswordHash(ctx context.Context, accountID, old, hash string, now time.Time) error
}

// SessionStore keeps sessions of local accounts. A store that is away must be domain.Unavailable.
type SessionStore interface {
	// Open stores a session with its first refresh token, notes the sign-in, and ends those of the account's sessions beyond keep
	// that would end first. An account that is not there must be domain.NotFound.
	Open(ctx context.Context, s domain.StoredSession, tokenHash string, keep int) error
	// Get returns a session that has not ended at now; domain.NotFound otherwise.
	Get(ctx context.Context, id string, now time.Time) (domain.StoredSession, error)
	// Renew uses up a refresh token, as Renewal.Judge says; renewals of one session must happen one after the other. A reused token
	// must end the session. A token that is unknown or whose session has ended must be domain.NotFound, one beyond Renewal.MaxTokens
	// domain.Limited after those were forgotten that were used before Renewal.OldestToken. Done renewals set when the session ends.
	Renew(ctx context.Context, r domain.Renewal) (domain.StoredSession, domain.RenewalResult, error)
	// End ends a session with all its tokens; ending what has ended is no error.
	End(ctx context.Context, id string) error
	// EndAll ends all sessions of an account.
	EndAll(ctx context.Context, accountID string) error
	// Expire forgets sessions that ended before a time, and returns how many.
	Expire(ctx context.Context, before time.Time) (int, error)
}
