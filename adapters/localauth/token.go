package localauth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/domain"
)

const (
	audience      = "authenticated"
	role          = "authenticated"
	maxTokenBytes = 8 << 10
)

// tokens signs and reads access tokens.
type tokens struct {
	secret []byte
	issuer string
	ttl    time.Duration
	parser *jwt.Parser
}

func newTokens(cfg Config) *tokens {
	return &tokens{
		secret: []byte(cfg.Secret), issuer: cfg.Issuer, ttl: cfg.AccessTTL,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithAudience(audience),
			jwt.WithTimeFunc(cfg.Now), jwt.WithStrictDecoding(),
		),
	}
}

// sign makes an access token of a session. Its claims are those of Supabase Auth; amr says how and when the session began.
func (t *tokens) sign(s domain.StoredSession, a domain.Account, now time.Time) (token string, expires time.Time, err error) {
	expires = now.Add(t.ttl).Truncate(time.Second)
	claims := jwt.MapClaims{
		"sub": a.ID, "aud": a.Audience, "role": a.Role, "email": a.Email, "phone": a.Phone, "iat": now.Unix(), "exp": expires.Unix(),
		"app_metadata": a.AppMetadata, "user_metadata": a.UserMetadata, "session_id": s.ID, "is_anonymous": a.Anonymous,
		"aal": "aal1", "amr": []map[string]any{{"method": "password", "timestamp": s.CreatedAt.Unix()}},
	}
	if t.issuer != "" {
		claims["iss"] = t.issuer
	}
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(t.secret)
	return token, expires, err
}

// read returns whose token it is and of which session.
func (t *tokens) read(token string) (accountID, sessionID string, err error) {
	if len(token) > maxTokenBytes {
		return "", "", badToken(fmt.Errorf("the token has %d bytes", len(token)))
	}
	claims := jwt.MapClaims{}
	if _, err := t.parser.ParseWithClaims(token, claims, t.key); err != nil {
		return "", "", badToken(err)
	}
	subject, _ := claims["sub"].(string)
	session, _ := claims["session_id"].(string)
	accountID, known := domain.ParseID(subject)
	sessionID, begun := domain.ParseID(session)
	if !known || !begun {
		return "", "", badToken(errors.New("the token belongs to no session"))
	}
	return accountID, sessionID, nil
}

func (t *tokens) key(token *jwt.Token) (any, error) {
	if _, critical := token.Header["crit"]; critical {
		return nil, errors.New("the token has critical extensions")
	}
	return t.secret, nil
}

func badToken(cause error) error {
	return &domain.Error{Kind: domain.Unauthenticated, Message: msgBadToken, Cause: fmt.Errorf("localauth: %w", cause)}
}

func sessionEnded() error {
	return &domain.Error{Kind: domain.Unauthenticated, Code: domain.CodeSessionEnded, Message: msgSessionEnded}
}
