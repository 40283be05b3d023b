package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"gaia/adapters/httpapi/internal/oapi"
	"gaia/domain"
)

// V1ValidateAuth tells whether credentials are good.
func (s *server) V1ValidateAuth(ctx context.Context, r oapi.V1ValidateAuthRequestObject) (oapi.V1ValidateAuthResponseObject, error) {
	v, err := s.accounts.Validate(ctx, deref(r.Body.Token), deref(r.Body.ApiKey))
	if err != nil {
		return nil, err
	}
	answer := oapi.V1ValidateAuth200JSONResponse{Valid: v.Valid, AuthType: oapi.AuthTypeNone, UserId: nilIfEmpty(v.UserID), Error: nilIfEmpty(v.Error)}
	if v.Valid {
		answer.AuthType = oapi.AuthType(v.Type)
	}
	return answer, nil
}

// V1Register opens an account.
func (s *server) V1Register(ctx context.Context, r oapi.V1RegisterRequestObject) (oapi.V1RegisterResponseObject, error) {
	account, session, err := s.accounts.Register(ctx, r.Body.Email, r.Body.Password)
	if err != nil {
		return nil, err
	}
	return oapi.V1Register200JSONResponse(authToAPI(account, session)), nil
}

// V1Login opens a session.
func (s *server) V1Login(ctx context.Context, r oapi.V1LoginRequestObject) (oapi.V1LoginResponseObject, error) {
	session, err := s.accounts.Login(ctx, r.Body.Email, r.Body.Password)
	if err != nil {
		return nil, err
	}
	return oapi.V1Login200JSONResponse(authToAPI(session.Account, &session)), nil
}

// V1RefreshToken renews a session.
func (s *server) V1RefreshToken(ctx context.Context, r oapi.V1RefreshTokenRequestObject) (oapi.V1RefreshTokenResponseObject, error) {
	session, err := s.accounts.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return oapi.V1RefreshToken200JSONResponse(authToAPI(session.Account, &session)), nil
}

// V1Logout ends the caller's session.
func (s *server) V1Logout(ctx context.Context, _ oapi.V1LogoutRequestObject) (oapi.V1LogoutResponseObject, error) {
	if err := s.accounts.Logout(ctx, principalFrom(ctx), accessTokenFrom(ctx)); err != nil {
		return nil, err
	}
	return oapi.V1Logout200JSONResponse{Message: oapi.LoggedOutSuccessfully}, nil
}

// V1GetUser returns the caller's account.
func (s *server) V1GetUser(ctx context.Context, _ oapi.V1GetUserRequestObject) (oapi.V1GetUserResponseObject, error) {
	account, err := s.accounts.Current(ctx, principalFrom(ctx), accessTokenFrom(ctx))
	if err != nil {
		return nil, err
	}
	return oapi.V1GetUser200JSONResponse{User: accountToAPI(account)}, nil
}

// V1ResendVerification has the mail sent again that confirms an address.
func (s *server) V1ResendVerification(ctx context.Context, r oapi.V1ResendVerificationRequestObject) (oapi.V1ResendVerificationResponseObject, error) {
	if err := s.accounts.ResendVerification(ctx, r.Body.Email); err != nil {
		return nil, err
	}
	return oapi.V1ResendVerification200JSONResponse{Message: "If the address waits for confirmation, a mail is on its way."}, nil
}

// V1RecoverPassword has a mail sent to somebody who has lost the password.
func (s *server) V1RecoverPassword(ctx context.Context, r oapi.V1RecoverPasswordRequestObject) (oapi.V1RecoverPasswordResponseObject, error) {
	if err := s.accounts.Recover(ctx, r.Body.Email); err != nil {
		return nil, err
	}
	return oapi.V1RecoverPassword200JSONResponse{Message: "If the address is known, a mail is on its way."}, nil
}

func authToAPI(account domain.Account, session *domain.AccountSession) oapi.AuthResponse {
	answer := oapi.AuthResponse{User: accountToAPI(account)}
	if session != nil {
		expires := session.ExpiresAt.Unix()
		answer.Session = &oapi.AuthSession{
			AccessToken: session.AccessToken, RefreshToken: session.RefreshToken, TokenType: oapi.Bearer, ExpiresIn: session.ExpiresIn,
			ExpiresAt: &expires, User: accountToAPI(session.Account),
		}
	}
	return answer
}

func accountToAPI(a domain.Account) oapi.AuthUser {
	user := oapi.AuthUser{
		Id: uuid.MustParse(a.ID), Aud: a.Audience, Role: &a.Role, Email: &a.Email, Phone: &a.Phone, AppMetadata: a.AppMetadata,
		UserMetadata: a.UserMetadata, IsAnonymous: a.Anonymous, CreatedAt: a.CreatedAt, UpdatedAt: nilIfZero(a.UpdatedAt),
		ConfirmedAt: nilIfZero(a.ConfirmedAt), EmailConfirmedAt: nilIfZero(a.EmailConfirmedAt), PhoneConfirmedAt: nilIfZero(a.PhoneConfirmedAt),
		LastSignInAt: nilIfZero(a.LastSignInAt), ConfirmationSentAt: nilIfZero(a.ConfirmationSentAt), RecoverySentAt: nilIfZero(a.RecoverySentAt),
		EmailChangeSentAt: nilIfZero(a.EmailChangeSentAt), InvitedAt: nilIfZero(a.InvitedAt), NewEmail: nilIfEmpty(a.NewEmail),
		NewPhone: nilIfEmpty(a.NewPhone),
	}
	if a.Identities != nil {
		user.Identities = make([]oapi.AuthIdentity, len(a.Identities))
	}
	for i, identity := range a.Identities {
		user.Identities[i] = oapi.AuthIdentity{
			Id: identity.ID, IdentityId: nilIfEmpty(identity.IdentityID), UserId: identity.UserID, IdentityData: identity.Data,
			Provider: identity.Provider, CreatedAt: nilIfZero(identity.CreatedAt), LastSignInAt: nilIfZero(identity.LastSignInAt),
			UpdatedAt: nilIfZero(identity.UpdatedAt),
		}
	}
	if a.Factors != nil {
		user.Factors = make([]oapi.AuthFactor, len(a.Factors))
	}
	for i, factor := range a.Factors {
		user.Factors[i] = factor
	}
	return user
}

func nilIfZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
