// Package jwtauth verifies access tokens that are signed with a secret which Gaia shares with the identity provider.
//
// It must not accept any algorithm but HS256, fetch anything, or say to clients what exactly was wrong with a token.
package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gaia/domain"
	"gaia/ports"
)

const (
	defaultAudience = "authenticated"
	maxTokenBytes   = 8 << 10 // far above any real token; bounds the work that a stranger can ask for

	msgInvalidToken = "The access token is not valid" //nolint:gosec // a text, not a credential
)

// Config says which tokens are good.
type Config struct {
	Secret   string
	Audience string      // "authenticated" when empty
	Now      ports.Clock // the system's clock when nil
}

// Verifier judges tokens. It keeps nothing between two of them.
type Verifier struct {
	parser *jwt.Parser
	secret []byte
}

var _ ports.TokenVerifier = (*Verifier)(nil)

// New makes a verifier, or fails when there is no secret: an empty one would accept what anybody signs.
func New(cfg Config) (*Verifier, error) {
	if cfg.Secret == "" {
		return nil, errors.New("jwtauth: the secret is empty")
	}
	if cfg.Audience == "" {
		cfg.Audience = defaultAudience
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithAudience(cfg.Audience),
		jwt.WithTimeFunc(cfg.Now),
		jwt.WithStrictDecoding(),
	)
	return &Verifier{parser: parser, secret: []byte(cfg.Secret)}, nil
}

// Verify implements ports.TokenVerifier.
func (v *Verifier) Verify(_ context.Context, token string) (domain.Principal, error) {
	if len(token) > maxTokenBytes {
		return domain.Principal{}, refused(fmt.Errorf("the token has %d bytes", len(token)))
	}
	claims := jwt.MapClaims{} // a struct would take "SUB" for "sub"
	if _, err := v.parser.ParseWithClaims(token, claims, v.key); err != nil {
		return domain.Principal{}, refused(err)
	}
	subject, err := claims.GetSubject()
	switch {
	case err != nil:
		return domain.Principal{}, refused(err)
	case subject == "":
		return domain.Principal{}, refused(errors.New("the token has no subject"))
	case domain.IsReservedOwner(subject):
		return domain.Principal{}, refused(errors.New("the token's subject is a reserved owner id"))
	}
	return domain.Principal{Type: domain.AuthJWT, UserID: subject}, nil
}

// key is asked after the algorithm was found to be allowed and before the signature is checked.
func (v *Verifier) key(t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical { // RFC 7515, 4.1.11: extensions that a reader must know, and this one knows none
		return nil, errors.New("the token has critical extensions")
	}
	return v.secret, nil
}

func refused(cause error) error {
	return &domain.Error{Kind: domain.Unauthenticated, Message: msgInvalidToken, Cause: fmt.Errorf("jwtauth: %w", cause)}
}
