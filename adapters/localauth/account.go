package localauth

import (
	"context"
	"maps"
	"time"

	"gaia/domain"
)

const (
	busyRetry   = time.Second
	saveTimeout = 5 * time.Second // of a new account, also for a caller who has left
)

// Register implements ports.Accounts. Addresses count as confirmed: there is nobody who could send a mail to them.
func (a *Accounts) Register(ctx context.Context, email, password string) (domain.Account, *domain.AccountSession, error) {
	address, ok := parseAddress(email)
	if !ok {
		return domain.Account{}, nil, badAddress(domain.CodeNotRegistered)
	}
	if err := checkPassword(password); err != nil {
		return domain.Account{}, nil, err
	}
	hash, err := a.passwords.hash(ctx, password) // also for an address that is taken: time must not tell
	if err != nil {
		return domain.Account{}, nil, err
	}
	if err := ctx.Err(); err != nil {
		return domain.Account{}, nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout) // a caller who leaves now must not be refused the address later
	defer cancel()
	now := a.now()
	stored := domain.StoredAccount{ID: a.config.NewID(), Email: address, PasswordHash: hash, CreatedAt: now, UpdatedAt: now}
	stored.UserMetadata = map[string]any{"sub": stored.ID, "email": address, "email_verified": true, "phone_verified": false}
	if err := a.config.Accounts.Create(ctx, stored); err != nil {
		if domain.KindOf(err) == domain.Conflict {
			err = refusal(domain.CodeNotRegistered, msgNotRegistered)
		}
		return domain.Account{}, nil, err
	}
	session, err := a.open(ctx, stored, now)
	if err != nil { // the account is there all the same, which a second try would be refused for: a login gives the session
		return account(stored), nil, nil //nolint:nilerr // see above
	}
	return session.Account, &session, nil
}

// Login implements ports.Accounts.
func (a *Accounts) Login(ctx context.Context, email, password string) (domain.AccountSession, error) {
	stored, err := a.find(ctx, email)
	if err != nil {
		return domain.AccountSession{}, err
	}
	right, stale, err := a.passwords.check(ctx, stored.PasswordHash, password)
	switch {
	case err != nil:
		return domain.AccountSession{}, err
	case !right:
		return domain.AccountSession{}, refusal(domain.CodeBadCredentials, msgBadCredentials)
	case stale:
		a.hashAnew(ctx, &stored, password)
	}
	return a.open(ctx, stored, a.now())
}

// find returns an account, or one without a password when there is none.
func (a *Accounts) find(ctx context.Context, email string) (domain.StoredAccount, error) {
	address, ok := parseAddress(email)
	if !ok {
		return domain.StoredAccount{}, nil
	}
	stored, err := a.config.Accounts.ByEmail(ctx, address)
	if domain.KindOf(err) == domain.NotFound && err != nil {
		return domain.StoredAccount{}, nil
	}
	return stored, err
}

// hashAnew brings a hash up to today's parameters. Whatever stands against it now may be gone at the next login.
func (a *Accounts) hashAnew(ctx context.Context, stored *domain.StoredAccount, password string) {
	hash, err := a.passwords.hash(ctx, password)
	if err == nil {
		_ = a.config.Accounts.SetPasswordHash(ctx, stored.ID, stored.PasswordHash, hash, a.now())
	}
}

// Logout implements ports.Accounts.
func (a *Accounts) Logout(ctx context.Context, accessToken string) error {
	_, sessionID, err := a.tokens.read(accessToken)
	if err != nil {
		return err
	}
	return a.config.Sessions.End(ctx, sessionID)
}

// Account implements ports.Accounts.
func (a *Accounts) Account(ctx context.Context, accessToken string) (domain.Account, error) {
	accountID, sessionID, err := a.tokens.read(accessToken)
	if err != nil {
		return domain.Account{}, err
	}
	session, err := a.config.Sessions.Get(ctx, sessionID, a.now())
	if err == nil && session.AccountID != accountID {
		err = sessionEnded()
	}
	var stored domain.StoredAccount
	if err == nil {
		stored, err = a.config.Accounts.Get(ctx, accountID)
	}
	switch {
	case err == nil:
		return account(stored), nil
	case domain.KindOf(err) == domain.NotFound:
		return domain.Account{}, sessionEnded()
	default:
		return domain.Account{}, err
	}
}

// ResendVerification implements ports.Accounts. No address waits for such a mail, so there is nothing to do, as with Supabase for an
// address that is confirmed.
func (a *Accounts) ResendVerification(ctx context.Context, email string) error {
	if _, ok := parseAddress(email); !ok {
		return badAddress("")
	}
	return ctx.Err()
}

// Recover implements ports.Accounts. It says that no mail will come, whoever asks: an answer as if one had been sent would make people
// wait for it.
func (a *Accounts) Recover(ctx context.Context, email string) error {
	if _, ok := parseAddress(email); !ok {
		return badAddress("")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return domain.MissingPart(msgNoMail, nil)
}

// now is as exact as stores are.
func (a *Accounts) now() time.Time { return a.config.Now().UTC().Truncate(time.Microsecond) }

// account is a local account in the words of Supabase Auth. Its only identity has its id.
func account(s domain.StoredAccount) domain.Account {
	said := maps.Clone(s.UserMetadata)
	said["email_verified"] = false // so with Supabase, whatever the account says
	return domain.Account{
		ID: s.ID, Audience: audience, Role: role, Email: s.Email, UserMetadata: s.UserMetadata,
		AppMetadata: map[string]any{"provider": "email", "providers": []string{"email"}},
		Identities: []domain.AccountIdentity{{
			ID: s.ID, IdentityID: s.ID, UserID: s.ID, Provider: "email", Data: said, CreatedAt: s.CreatedAt, LastSignInAt: s.CreatedAt,
			UpdatedAt: s.CreatedAt,
		}},
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, ConfirmedAt: s.CreatedAt, EmailConfirmedAt: s.CreatedAt, LastSignInAt: s.LastSignInAt,
	}
}

// SetPassword gives an account a new password and ends its sessions. It is for who runs the server: nobody's old password is asked for.
// An address without an account is domain.NotFound.
func (a *Accounts) SetPassword(ctx context.Context, email, password string) error {
	stored, err := a.find(ctx, email)
	switch {
	case err != nil:
		return err
	case stored.ID == "":
		return domain.NewError(domain.NotFound, "No account has this e-mail address")
	}
	if err := checkPassword(password); err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := a.config.Accounts.SetPasswordHash(ctx, stored.ID, stored.PasswordHash, hash, a.now()); err != nil {
		return err
	}
	return a.config.Sessions.EndAll(ctx, stored.ID)
}
