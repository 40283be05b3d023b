package app

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"gaia/domain"
	"gaia/ports"
)

// What callers without usable credentials read. Clients compare these texts.
const (
	msgNotAuthenticated = "Not authenticated. Provide a valid JWT or API Key."
	msgUnknownKey       = "Could not validate credentials"
)

// Identity finds out who calls.
type Identity struct {
	tokens    ports.TokenVerifier // nil when tokens can't be verified
	globalKey [sha256.Size]byte
	hasGlobal bool
	keys      *APIKeys // nil when there is no key but the global one
}

// NewIdentity makes the use case. tokens may be nil, apiKey empty.
func NewIdentity(apiKey string, tokens ports.TokenVerifier) *Identity {
	return &Identity{tokens: tokens, globalKey: sha256.Sum256([]byte(apiKey)), hasGlobal: apiKey != ""}
}

// WithKeys makes Identity know all API keys, and not the global one alone. It must not be called once Identity is in use.
func (i *Identity) WithKeys(keys *APIKeys) *Identity {
	i.keys = keys
	return i
}

// Authenticate judges the two headers that can carry credentials. A valid token wins over any key; an invalid one is ignored when
// there is a key, and so is one that can't be judged now: without a good key that is the answer, because the caller must not read that
// the token is bad. OpenAI clients send their key as a bearer token, so a bearer value that looks like a key is one when there is no
// other key.
func (i *Identity) Authenticate(ctx context.Context, authorization, apiKey string) (domain.Principal, error) {
	bearer := bearerToken(authorization)
	if bearer == "" || i.tokens == nil {
		return i.withoutToken(ctx, bearer, apiKey)
	}
	who, err := i.tokens.Verify(ctx, bearer)
	switch {
	case err == nil:
		return who, nil
	case domain.KindOf(err) == domain.Unauthenticated:
		return i.withoutToken(ctx, bearer, apiKey)
	case domain.KindOf(err) == domain.Unavailable:
		if who, keyErr := i.withoutToken(ctx, bearer, apiKey); keyErr == nil {
			return who, nil
		}
	}
	return domain.Principal{}, err
}

// withoutToken judges what is left when the bearer value is no token.
func (i *Identity) withoutToken(ctx context.Context, bearer, apiKey string) (domain.Principal, error) {
	switch {
	case apiKey != "":
		return i.byKey(ctx, apiKey)
	case bearer != "" && (i.isGlobal(bearer) || domain.HasKeyShape(bearer)):
		return i.byKey(ctx, bearer)
	default:
		return domain.Principal{}, domain.NewError(domain.Unauthenticated, msgNotAuthenticated)
	}
}

func (i *Identity) byKey(ctx context.Context, key string) (domain.Principal, error) {
	switch {
	case i.isGlobal(key):
		return domain.ServicePrincipal(), nil
	case i.keys == nil:
		return domain.Principal{}, unknownKey(nil)
	default:
		return i.keys.Verify(ctx, key)
	}
}

// isGlobal compares hashes, so that neither content nor length of the key shows in the time it takes.
func (i *Identity) isGlobal(key string) bool {
	hash := sha256.Sum256([]byte(key))
	return subtle.ConstantTimeCompare(hash[:], i.globalKey[:]) == 1 && i.hasGlobal
}

func bearerToken(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.Trim(token, " \t") // and no other spaces: they belong to no token
}
