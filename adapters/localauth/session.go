package localauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"gaia/domain"
)

// refreshBytes is what a refresh token has, in base64url: 43 characters.
const refreshBytes = 32

// maxPassed bounds how far behind a token may be that is sent again within the grace.
const maxPassed = 32

// refreshToken is the secret of a session's next renewal. The first one is random, the others are made of the one before with a key:
// so the same token gives the same next one, although only hashes are stored, to whoever has lost the answer.
type refreshToken [refreshBytes]byte

func parseRefreshToken(s string) (token refreshToken, ok bool) {
	if base64.RawURLEncoding.DecodedLen(len(s)) != refreshBytes {
		return refreshToken{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return refreshToken{}, false
	}
	return refreshToken(raw), true
}

func (t refreshToken) text() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// hash is what stores know the token by.
func (t refreshToken) hash() string {
	sum := sha256.Sum256([]byte(t.text()))
	return hex.EncodeToString(sum[:])
}

func (t refreshToken) next(key []byte) refreshToken {
	mac := hmac.New(sha256.New, key)
	mac.Write(t[:])
	return refreshToken(mac.Sum(nil))
}

// open begins a session.
func (a *Accounts) open(ctx context.Context, stored domain.StoredAccount, now time.Time) (domain.AccountSession, error) {
	session := domain.StoredSession{ID: a.config.NewID(), AccountID: stored.ID, CreatedAt: now, EndsAt: now.Add(a.config.SessionTTL)}
	token := refreshToken(random(refreshBytes))
	if err := a.config.Sessions.Open(ctx, session, token.hash(), a.config.MaxSessions); err != nil {
		return domain.AccountSession{}, err
	}
	stored.LastSignInAt, stored.UpdatedAt = now, now
	return a.issue(session, stored, token, now)
}

// issue writes what a session gives to its client.
func (a *Accounts) issue(s domain.StoredSession, stored domain.StoredAccount, next refreshToken, now time.Time) (domain.AccountSession, error) {
	who := account(stored)
	access, expires, err := a.tokens.sign(s, who, now)
	if err != nil {
		return domain.AccountSession{}, err
	}
	return domain.AccountSession{
		ID: s.ID, AccessToken: access, RefreshToken: next.text(), ExpiresIn: int(a.config.AccessTTL.Seconds()), ExpiresAt: expires, Account: who,
	}, nil
}

// Refresh implements ports.Accounts.
func (a *Accounts) Refresh(ctx context.Context, refreshTokenText string) (domain.AccountSession, error) {
	token, ok := parseRefreshToken(refreshTokenText)
	if !ok {
		return domain.AccountSession{}, badRefreshToken()
	}
	now := a.now()
	for range maxPassed {
		next := token.next(a.refreshKey)
		session, result, err := a.config.Sessions.Renew(ctx, domain.Renewal{
			TokenHash: token.hash(), NextHash: next.hash(), At: now, EndsAt: now.Add(a.config.SessionTTL), Grace: max(a.config.Grace, 0),
			MaxTokens: a.config.MaxRenewals,
		})
		switch {
		case err != nil && domain.KindOf(err) == domain.NotFound:
			return domain.AccountSession{}, badRefreshToken()
		case err != nil:
			return domain.AccountSession{}, err
		case result == domain.RenewalDone:
			return a.renewed(ctx, session, next, now)
		case result == domain.RenewalReused:
			return domain.AccountSession{}, badRefreshToken()
		}
		token = next // it is passed: go on from there
	}
	return domain.AccountSession{}, badRefreshToken()
}

func (a *Accounts) renewed(ctx context.Context, s domain.StoredSession, next refreshToken, now time.Time) (domain.AccountSession, error) {
	stored, err := a.config.Accounts.Get(ctx, s.AccountID)
	switch {
	case err == nil:
		return a.issue(s, stored, next, now)
	case domain.KindOf(err) == domain.NotFound: // deleted since, and the session with it
		return domain.AccountSession{}, badRefreshToken()
	default:
		return domain.AccountSession{}, err
	}
}

func badRefreshToken() error { return refusal(domain.CodeBadRefreshToken, msgBadRefresh) }
