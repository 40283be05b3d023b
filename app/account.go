package app

import (
	"context"

	"gaia/domain"
	"gaia/ports"
)

// What clients of the old platform compare, and what they read where it has no text.
const (
	msgNothingValid = "No valid authentication credentials provided"
	msgNoProvider   = "No identity provider is configured: set SUPABASE_URL and SUPABASE_ANON_KEY, or see LOCAL_ACCOUNTS"
	msgNeedsSession = "This needs the access token of a session, sent as Authorization: Bearer"
)

// AccountDeps is what Accounts need.
type AccountDeps struct {
	Provider ports.Accounts // nil when there is none
	Identity *Identity
	Audit    *Audit
	// Forget, which may be nil, makes an access token worthless in this process although it has not expired.
	Forget func(ctx context.Context, accessToken string) error
}

// Accounts is signing up, in and out. It keeps no session: each call is about the token that it carries.
type Accounts struct {
	AccountDeps

	authenticate func(ctx context.Context, authorization, apiKey string) (domain.Principal, error)
}

// NewAccounts makes the use case.
func NewAccounts(d AccountDeps) *Accounts {
	return &Accounts{AccountDeps: d, authenticate: d.Audit.Watch(d.Identity.Authenticate)}
}

// CredentialCheck is what a check of credentials found.
type CredentialCheck struct {
	Valid  bool
	Type   domain.AuthType // when valid
	UserID string          // empty when they belong to no user
	Error  string          // when not valid
}

// Validate tells whether credentials would be let in, and as whom. Bad ones are no error; a part that is away is.
func (a *Accounts) Validate(ctx context.Context, token, apiKey string) (CredentialCheck, error) {
	if token == "" && apiKey == "" {
		return CredentialCheck{Error: msgNothingValid}, nil
	}
	authorization := ""
	if token != "" {
		authorization = "Bearer " + token
	}
	who, err := a.authenticate(ctx, authorization, apiKey)
	switch kind := domain.KindOf(err); {
	case err == nil:
		return CredentialCheck{Valid: true, Type: who.Type, UserID: who.UserID}, nil
	case kind == domain.Unauthenticated, kind == domain.Forbidden:
		return CredentialCheck{Error: msgNothingValid}, nil
	default:
		return CredentialCheck{}, err
	}
}

// Register opens an account. The session is nil while its address has to be confirmed, or when a login has to give it.
func (a *Accounts) Register(ctx context.Context, email, password string) (domain.Account, *domain.AccountSession, error) {
	if a.Provider == nil {
		return domain.Account{}, nil, errNoProvider()
	}
	account, session, err := a.Provider.Register(ctx, email, password)
	if err != nil {
		return domain.Account{}, nil, err
	}
	if session != nil {
		a.opened(ctx, domain.AuditLogin, *session)
	}
	return account, session, nil
}

// Login opens a session.
func (a *Accounts) Login(ctx context.Context, email, password string) (domain.AccountSession, error) {
	if a.Provider == nil {
		return domain.AccountSession{}, errNoProvider()
	}
	session, err := a.Provider.Login(ctx, email, password)
	if err != nil {
		if domain.FailureOf(err) == domain.CodeBadCredentials {
			a.Audit.Refused(ctx, RefusedPassword, "")
		}
		return domain.AccountSession{}, err
	}
	a.opened(ctx, domain.AuditLogin, session)
	return session, nil
}

// Refresh renews the session of a refresh token.
func (a *Accounts) Refresh(ctx context.Context, refreshToken string) (domain.AccountSession, error) {
	if a.Provider == nil {
		return domain.AccountSession{}, errNoProvider()
	}
	session, err := a.Provider.Refresh(ctx, refreshToken)
	if err != nil {
		if domain.FailureOf(err) == domain.CodeBadRefreshToken {
			a.Audit.Refused(ctx, RefusedRefresh, "")
		}
		return domain.AccountSession{}, err
	}
	a.opened(ctx, domain.AuditRefresh, session)
	return session, nil
}

func (a *Accounts) opened(ctx context.Context, action domain.AuditAction, s domain.AccountSession) {
	a.Audit.Record(ctx, domain.AuditEntry{
		Action: action, Principal: s.Account.ID, Subject: s.ID, Details: map[string]string{domain.DetailAuthType: string(domain.AuthJWT)},
	})
}

// Logout ends the session of the caller's access token, and no other.
func (a *Accounts) Logout(ctx context.Context, who domain.Principal, accessToken string) error {
	if err := a.session(who, accessToken); err != nil {
		return err
	}
	if err := a.Provider.Logout(ctx, accessToken); err != nil {
		return err
	}
	if a.Forget != nil {
		// A token that is not valid anymore needs no forgetting.
		if err := a.Forget(context.WithoutCancel(ctx), accessToken); err != nil && domain.KindOf(err) != domain.Unauthenticated {
			return err
		}
	}
	a.Audit.Record(ctx, domain.AuditEntry{
		Action: domain.AuditLogout, Principal: who.OwnerID(), Details: map[string]string{domain.DetailAuthType: string(who.Type)},
	})
	return nil
}

// Current returns the caller's account as the identity provider knows it now.
func (a *Accounts) Current(ctx context.Context, who domain.Principal, accessToken string) (domain.Account, error) {
	if err := a.session(who, accessToken); err != nil {
		return domain.Account{}, err
	}
	account, err := a.Provider.Account(ctx, accessToken)
	if err != nil {
		return domain.Account{}, err
	}
	if account.ID != who.UserID { // the provider and the verifier of tokens are not of one mind
		return domain.Account{}, domain.MissingPart("The identity provider does not belong to the access token", nil)
	}
	return account, nil
}

// session demands that the caller has one: keys have none, and nobody else's may be touched.
func (a *Accounts) session(who domain.Principal, accessToken string) error {
	switch {
	case who.Type != domain.AuthJWT || accessToken == "":
		return domain.NewError(domain.Unauthenticated, msgNeedsSession)
	case a.Provider == nil:
		return errNoProvider()
	default:
		return nil
	}
}

// ResendVerification has the mail sent again that confirms an address.
func (a *Accounts) ResendVerification(ctx context.Context, email string) error {
	if a.Provider == nil {
		return errNoProvider()
	}
	return a.Provider.ResendVerification(ctx, email)
}

// Recover has a mail sent to somebody who has lost the password.
func (a *Accounts) Recover(ctx context.Context, email string) error {
	if a.Provider == nil {
		return errNoProvider()
	}
	return a.Provider.Recover(ctx, email)
}

func errNoProvider() error { return domain.MissingPart(msgNoProvider, nil) }
