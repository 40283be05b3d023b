package supabase

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"gaia/domain"
)

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// Register implements ports.Accounts. Where addresses have to be confirmed, the server makes up a user for an address that has an
// account; what tells the two apart is left out of both.
func (a *Accounts) Register(ctx context.Context, email, password string) (domain.Account, *domain.AccountSession, error) {
	begun := time.Now()
	var w wireSignUp
	header, err := a.do(ctx, call{
		name: "sign-up", method: http.MethodPost, path: "/signup", body: credentials{email, password},
	}, &w)
	if err != nil {
		err = public(err, map[string]meaning{wordInvalid: notRegistered, "email_address_invalid": notRegistered, wordBanned: notRegistered})
		if hasCode(err, domain.CodeNotRegistered) {
			a.level(ctx, begun)
		}
		return domain.Account{}, nil, err
	}
	if w.AccessToken == "" {
		a.level(ctx, begun)
		account, err := w.wireUser.account()
		if err != nil {
			return domain.Account{}, nil, unreadable("sign-up", err)
		}
		return alike(account, a.now().UTC()), nil, nil
	}
	session, err := w.session(header, a.now())
	if err != nil {
		return domain.Account{}, nil, unreadable("sign-up", err)
	}
	return session.Account, &session, nil
}

// alike leaves of an account that waits for confirmation what one has that is new or made up.
func alike(a domain.Account, now time.Time) domain.Account {
	a.Role, a.UserMetadata, a.Identities, a.Email = "", map[string]any{}, []domain.AccountIdentity{}, strings.ToLower(a.Email)
	a.CreatedAt, a.UpdatedAt, a.ConfirmationSentAt = now, now, now
	return a
}

// Login implements ports.Accounts. The server tells about a suspended account before it looks at the password.
func (a *Accounts) Login(ctx context.Context, email, password string) (domain.AccountSession, error) {
	begun := time.Now()
	session, err := a.session(ctx, call{
		name: "login", method: http.MethodPost, path: "/token?grant_type=password", body: credentials{email, password},
	})
	if err == nil {
		return session, nil
	}
	err = public(err, map[string]meaning{
		wordBanned: badCredentials, wordInvalid: badCredentials, wordNoUser: badCredentials,
		wordRequestLimit: {kind: domain.Limited, code: domain.CodeRateLimit, message: meanings[wordRequestLimit].message, wait: waitToken},
	})
	if hasCode(err, domain.CodeBadCredentials) {
		a.level(ctx, begun)
	}
	return domain.AccountSession{}, err
}

// Refresh implements ports.Accounts. Requests that come at the same time with the same token share one renewal. It is not given up
// when they leave: the token would be spent, and nobody would have the next one.
func (a *Accounts) Refresh(ctx context.Context, refreshToken string) (domain.AccountSession, error) {
	if err := ctx.Err(); err != nil {
		return domain.AccountSession{}, broken(ctx, "refresh", err)
	}
	hash := sha256.Sum256([]byte(refreshToken))
	renewed := a.renewals.DoChan(string(hash[:]), a.detached(func() (any, error) {
		return a.renew(context.WithoutCancel(ctx), refreshToken)
	}))
	select {
	case r := <-renewed:
		session, _ := r.Val.(domain.AccountSession)
		return session, r.Err
	case <-ctx.Done():
		return domain.AccountSession{}, broken(ctx, "refresh", ctx.Err())
	}
}

func (a *Accounts) renew(ctx context.Context, refreshToken string) (domain.AccountSession, error) {
	session, err := a.session(ctx, call{
		name: "refresh", method: http.MethodPost, path: "/token?grant_type=refresh_token",
		body: struct {
			RefreshToken string `json:"refresh_token"`
		}{refreshToken},
	})
	if err != nil {
		return domain.AccountSession{}, public(err, map[string]meaning{
			wordInvalid: badRefresh, wordNoSession: badRefresh, wordNoUser: badRefresh,
			wordBanned:       {kind: domain.BadRequest, code: domain.CodeAccountSuspended, message: msgSuspended},
			wordRequestLimit: {kind: domain.Limited, code: domain.CodeRateLimit, message: meanings[wordRequestLimit].message, wait: waitToken},
		})
	}
	return session, nil
}

func (a *Accounts) session(ctx context.Context, c call) (domain.AccountSession, error) {
	var w wireSession
	header, err := a.do(ctx, c, &w)
	if err != nil {
		return domain.AccountSession{}, err
	}
	session, err := w.session(header, a.now())
	if err != nil {
		return domain.AccountSession{}, unreadable(c.name, err)
	}
	return session, nil
}

// Logout implements ports.Accounts.
func (a *Accounts) Logout(ctx context.Context, accessToken string) error {
	_, err := a.do(ctx, call{name: "logout", method: http.MethodPost, path: "/logout?scope=local", token: accessToken}, nil)
	var r *refusal
	if errors.As(err, &r) && (r.word == wordNoSession || r.word == wordNoUser) {
		return nil
	}
	return private(err)
}

// Account implements ports.Accounts.
func (a *Accounts) Account(ctx context.Context, accessToken string) (domain.Account, error) {
	var w wireUser
	if _, err := a.do(ctx, call{name: "user", method: http.MethodGet, path: "/user", token: accessToken}, &w); err != nil {
		return domain.Account{}, private(err)
	}
	account, err := w.account()
	if err != nil {
		return domain.Account{}, unreadable("user", err)
	}
	return account, nil
}

// ResendVerification implements ports.Accounts.
func (a *Accounts) ResendVerification(ctx context.Context, email string) error {
	return a.mail(ctx, call{
		name: "resend", method: http.MethodPost, path: "/resend", body: struct {
			Type  string `json:"type"`
			Email string `json:"email"`
		}{"signup", email},
	})
}

// Recover implements ports.Accounts.
func (a *Accounts) Recover(ctx context.Context, email string) error {
	return a.mail(ctx, call{
		name: "recover", method: http.MethodPost, path: "/recover", body: struct {
			Email string `json:"email"`
		}{email},
	})
}

// mail has one sent. The server refuses a second mail to a known address within a minute, and never one to an unknown address: that
// refusal would tell them apart.
func (a *Accounts) mail(ctx context.Context, c call) error {
	begun := time.Now()
	_, err := a.do(ctx, c, &struct{}{})
	var r *refusal
	if err != nil && (!errors.As(err, &r) || r.word != wordMailLimit) {
		return public(err, map[string]meaning{wordInvalid: {kind: domain.BadRequest, message: msgBadAddress}})
	}
	a.level(ctx, begun)
	return nil
}

// public says what an error means for a call that needs no token. own are the meanings of codes in this call alone.
func public(err error, own map[string]meaning) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	e := r.as(own)
	switch e.Kind {
	case domain.BadRequest, domain.TooLarge, domain.Limited, domain.Unavailable:
		return e
	default: // it speaks of a token, and there is none: something before the server has put one in
		return domain.MissingPart(msgAway, r)
	}
}

// private says what an error means for a call that carries the caller's token.
func private(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	e := r.as(nil)
	switch e.Kind {
	case domain.Unauthenticated, domain.Forbidden, domain.Limited, domain.Unavailable:
		return e
	default: // there is nothing in such a call that could be wrong but the token
		return &domain.Error{Kind: domain.Unauthenticated, Message: msgBadToken, Cause: r}
	}
}

func hasCode(err error, code string) bool {
	var e *domain.Error
	return errors.As(err, &e) && e.Code == code
}
