package supabase

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"gaia/domain"
)

// wireSession is what a sign-in and a renewal answer with.
type wireSession struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    int64    `json:"expires_in"` // seconds
	ExpiresAt    int64    `json:"expires_at"` // Unix seconds
	RefreshToken string   `json:"refresh_token"`
	User         wireUser `json:"user"`
}

// wireSignUp is what a sign-up answers with: a session, or a user and nothing else while the address has to be confirmed.
type wireSignUp struct {
	wireSession
	wireUser
}

type wireUser struct {
	ID                 string           `json:"id"`
	Audience           string           `json:"aud"`
	Role               string           `json:"role"`
	Email              string           `json:"email"`
	Phone              string           `json:"phone"`
	AppMetadata        map[string]any   `json:"app_metadata"`
	UserMetadata       map[string]any   `json:"user_metadata"`
	Identities         []wireIdentity   `json:"identities"` // may be null
	Factors            []map[string]any `json:"factors"`
	Anonymous          bool             `json:"is_anonymous"`
	CreatedAt          stamp            `json:"created_at"`
	UpdatedAt          stamp            `json:"updated_at"`
	ConfirmedAt        stamp            `json:"confirmed_at"` // not in the answer to a sign-up
	EmailConfirmedAt   stamp            `json:"email_confirmed_at"`
	PhoneConfirmedAt   stamp            `json:"phone_confirmed_at"`
	LastSignInAt       stamp            `json:"last_sign_in_at"`
	ConfirmationSentAt stamp            `json:"confirmation_sent_at"`
	RecoverySentAt     stamp            `json:"recovery_sent_at"`
	EmailChangeSentAt  stamp            `json:"email_change_sent_at"`
	InvitedAt          stamp            `json:"invited_at"`
	NewEmail           string           `json:"new_email"`
	NewPhone           string           `json:"new_phone"`
}

type wireIdentity struct {
	ID           string         `json:"id"`
	IdentityID   string         `json:"identity_id"`
	UserID       string         `json:"user_id"`
	Data         map[string]any `json:"identity_data"`
	Provider     string         `json:"provider"`
	CreatedAt    stamp          `json:"created_at"`
	LastSignInAt stamp          `json:"last_sign_in_at"`
	UpdatedAt    stamp          `json:"updated_at"`
}

// session checks what clients are going to rely on. The server names the session in a header.
func (w wireSession) session(h http.Header, now time.Time) (domain.AccountSession, error) {
	switch {
	case w.AccessToken == "" || w.RefreshToken == "":
		return domain.AccountSession{}, errors.New("a session without tokens")
	case !strings.EqualFold(w.TokenType, "bearer"):
		return domain.AccountSession{}, errors.New("a token of another type than bearer")
	case w.ExpiresIn < 0 || w.ExpiresAt < 0 || w.ExpiresIn > int64(1)<<31:
		return domain.AccountSession{}, errors.New("a session that expires at no time")
	}
	account, err := w.User.account()
	if err != nil {
		return domain.AccountSession{}, err
	}
	id, _ := domain.ParseID(h.Get("Sb-Auth-Session-Id"))
	expires := time.Unix(w.ExpiresAt, 0).UTC()
	if w.ExpiresAt == 0 {
		expires = now.Add(time.Duration(w.ExpiresIn) * time.Second).UTC()
	}
	return domain.AccountSession{
		ID: id, AccessToken: w.AccessToken, RefreshToken: w.RefreshToken, ExpiresIn: int(w.ExpiresIn), ExpiresAt: expires, Account: account,
	}, nil
}

func (w wireUser) account() (domain.Account, error) {
	id, ok := domain.ParseID(w.ID)
	if !ok {
		return domain.Account{}, errors.New("a user without a UUID")
	}
	if time.Time(w.CreatedAt).IsZero() {
		return domain.Account{}, errors.New("a user without a time of creation")
	}
	a := domain.Account{
		ID: id, Audience: w.Audience, Role: w.Role, Email: w.Email, Phone: w.Phone, AppMetadata: orEmpty(w.AppMetadata),
		UserMetadata: orEmpty(w.UserMetadata), Factors: w.Factors, Anonymous: w.Anonymous, CreatedAt: time.Time(w.CreatedAt),
		UpdatedAt: time.Time(w.UpdatedAt), ConfirmedAt: time.Time(w.ConfirmedAt), EmailConfirmedAt: time.Time(w.EmailConfirmedAt),
		PhoneConfirmedAt: time.Time(w.PhoneConfirmedAt), LastSignInAt: time.Time(w.LastSignInAt),
		ConfirmationSentAt: time.Time(w.ConfirmationSentAt), RecoverySentAt: time.Time(w.RecoverySentAt),
		EmailChangeSentAt: time.Time(w.EmailChangeSentAt), InvitedAt: time.Time(w.InvitedAt), NewEmail: w.NewEmail, NewPhone: w.NewPhone,
	}
	if w.Identities != nil {
		a.Identities = make([]domain.AccountIdentity, len(w.Identities))
	}
	for i, identity := range w.Identities {
		if identity.ID == "" || identity.UserID == "" || identity.Provider == "" {
			return domain.Account{}, errors.New("an identity without id, user or provider")
		}
		a.Identities[i] = domain.AccountIdentity{
			ID: identity.ID, IdentityID: identity.IdentityID, UserID: identity.UserID, Data: orEmpty(identity.Data), Provider: identity.Provider,
			CreatedAt: time.Time(identity.CreatedAt), LastSignInAt: time.Time(identity.LastSignInAt), UpdatedAt: time.Time(identity.UpdatedAt),
		}
	}
	return a, nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// stamp is a time in UTC, zero for none. The server writes some in its own zone.
type stamp time.Time

func (s *stamp) UnmarshalJSON(data []byte) error {
	var t *time.Time
	if err := json.Unmarshal(data, &t); err != nil {
		return errors.New("a time that is none")
	}
	if t == nil {
		*s = stamp{}
		return nil
	}
	utc := t.UTC()
	if year := utc.Year(); year < 1 || year > 9999 { // it could not be written again
		return errors.New("a time out of range")
	}
	*s = stamp(utc)
	return nil
}
