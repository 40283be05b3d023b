package ports

import (
	"context"

	"gaia/domain"
)

// TokenVerifier judges access tokens.
type TokenVerifier interface {
	// Verify returns who a token speaks for. A token that is malformed, expired, of the wrong audience, wrongly signed, signed with
	// an algorithm that is not allowed, or without "exp" or "sub", must be domain.Unauthenticated. A token that may well be good but
	// can't be judged now, because what it takes is away, must be domain.Unavailable.
	Verify(ctx context.Context, token string) (domain.Principal, error)
}
